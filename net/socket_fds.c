/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/socket_fds.h"

ssize_t send_fds(int socket, const void *bytes, size_t len, const int *fds,
                 unsigned n_fds, int flags)
{
    struct iovec iov = { (void *)bytes, len };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (n_fds > SEND_FDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (n_fds) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
    }
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t receive_fd(int socket, void *bytes, size_t len, int flags, int *fd)
{
    struct iovec iov = { bytes, len };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
        .msg_controllen = CMSG_LEN(sizeof(int)),    /* no room for two */
    };
    ssize_t got = recvmsg(socket, &message,
                          MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    const struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(&message);

    *fd = -1;
    if (header && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(fd, CMSG_DATA(header), sizeof(*fd));
    }
    return got;
}
