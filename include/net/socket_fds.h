/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes with descriptors, through a socket of AF_UNIX. */
#ifndef NET_SOCKET_FDS_H
#define NET_SOCKET_FDS_H

#include <stddef.h>
#include <sys/types.h>

enum {
    SEND_FDS_MAX = 8,           /* descriptors that go with one call */
};

/**
 * send_fds: send what goes at once
 * @fds: they go with the first byte, and remain the caller's
 * @n_fds: how many, up to SEND_FDS_MAX
 * @flags: MSG_DONTWAIT, or 0: it may wait until there is room
 *
 * No SIGPIPE, and no EINTR.
 *
 * Return: how many bytes were sent; -1: none, and errno is set.
 */
ssize_t send_fds(int socket, const void *bytes, size_t len, const int *fds,
                 unsigned n_fds, int flags);

/**
 * receive_fd: receive a message with at most one descriptor, if one is there
 * @len: bytes that there is room for
 * @flags: MSG_TRUNC, to be told of the whole length of a longer message; or 0
 * @fd: receives the descriptor, the caller's from now on; -1: none came
 *
 * It does not wait. If more descriptors come, the kernel closes them.
 *
 * Return: the message's length, 0 at the end of a stream; -1: errno is set.
 */
ssize_t receive_fd(int socket, void *bytes, size_t len, int flags, int *fd);

#endif
