/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_CALL_HELPER_H
#define TESTS_CALL_HELPER_H

/**
 * call_helper:
 * @helper: path of a program or socket
 * @name: what it is asked for
 * @message: must be in the error, with the path; NULL: it must succeed
 *
 * Also when it fails it must leave no descriptor, and end in ten seconds.
 */
void call_helper(const char *helper, const char *name, const char *message,
                 int timeout_ms);

#endif
