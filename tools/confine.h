/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up all that the helper does not need. */
#ifndef TOOLS_CONFINE_H
#define TOOLS_CONFINE_H

/**
 * confine:
 *
 * What remains: the ids of the caller, also in a setuid program; of the
 * capabilities that it has CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN on a
 * kernel without these; and the system calls that load a program, answer and
 * end. Another call fails with EPERM.
 *
 * To be called first thing, while there is one thread.
 *
 * Returns: NULL, or with errno set what could not be given up; then the
 * program must end
 */
const char *confine(void);

#endif
