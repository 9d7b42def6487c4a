/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the privileged helpers share: their socket, and what they inherit. */
#ifndef TOOLS_HELPER_SOCKET_H
#define TOOLS_HELPER_SOCKET_H

#include <stdbool.h>

enum {
    HELPER_TEXT_MAX = 512,      /* bytes; a longer text is cut */
};

/* Is it AF_UNIX, SOCK_SEQPACKET, connected? */
bool helper_socket_is_good(int fd);

/**
 * helper_answer:
 * @flags: MSG_DONTWAIT, or 0: a caller that has started this process may make
 *         it wait until there is room; who has merely connected may not
 *
 * Sends a text, with @n_fds descriptors, up to SEND_FDS_MAX. Returns whether it
 * was sent.
 */
bool helper_answer(int socket, int flags, const char *text, const int *fds,
                   int n_fds);

/*
 * Before Linux 5.11 BPF counts as locked memory of the user. This takes
 * CAP_SYS_RESOURCE, which setuid root has; without it the limit stays.
 */
void helper_raise_locked_memory(void);

/*
 * Closes all but @fd and the first three: what the caller has left open by
 * mistake. Before Linux 5.9 it stays, but then the caller might have used it
 * as well.
 */
void helper_close_others(int fd);

#endif
