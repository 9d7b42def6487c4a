/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up all that the helper does not need. */
#ifndef TOOLS_CONFINE_H
#define TOOLS_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * ConfineUse: what the program is there for
 * @CONFINE_LOAD: it loads a program, answers and ends
 * @CONFINE_TAP: it loads programs and attaches them to taps, and holds maps
 * @CONFINE_TAP_TRUSTED: this, for programs that calculate with pointers
 */
typedef enum ConfineUse {
    CONFINE_LOAD,
    CONFINE_TAP,
    CONFINE_TAP_TRUSTED,
} ConfineUse;

/**
 * confine:
 *
 * What remains: the ids of the caller, also in a setuid program; of the
 * capabilities that it has CAP_BPF, and CAP_PERFMON or CAP_NET_ADMIN or both,
 * as @use needs them, or for CONFINE_LOAD CAP_SYS_ADMIN on a kernel without
 * these; and the system calls that @use takes. Another call fails with EPERM.
 *
 * To be called first thing, while there is one thread.
 *
 * Returns: NULL, or with errno set what could not be given up; then the
 * program must end
 */
const char *confine(ConfineUse use);

/* Give up all capabilities but @wanted, a bit for each; false: errno is set. */
bool confine_capabilities(uint64_t wanted);

#endif
