/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel that lacks a system call. */
#ifndef TESTS_REFUSE_H
#define TESTS_REFUSE_H

#include <stdbool.h>

/**
 * refuse_call:
 * @number: __NR_*
 *
 * From here on this process and its children get ENOSYS from this call.
 *
 * Returns: false if this process may not do that. It may with no_new_privs,
 * or with CAP_SYS_ADMIN.
 */
bool refuse_call(int number);

#endif
