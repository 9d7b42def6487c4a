/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages on a stream that ends anywhere. Never are more bytes asked for than
 * those of one message, so descriptors cannot be taken for another one's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpfhv-backend-link.h"

typedef union Control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(BPFHV_PROXY_MAX_FDS * sizeof(int))];
} Control;

/* Keep the descriptors of @message; false: there are more than there may be. */
static bool take_fds(Link *link, struct msghdr *message)
{
    struct cmsghdr *header;

    for (header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (header->cmsg_level != SOL_SOCKET ||
            header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        /* One call has room for no more. */
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
            if (link->n_fds == BPFHV_PROXY_MAX_FDS) {
                close(fd);
                return false;
            }
            link->fds[link->n_fds++] = fd;
        }
    }
    return !(message->msg_flags & MSG_CTRUNC);
}

/* Read until there are @want bytes in all: LINK_MESSAGE. */
static LinkState read_up_to(Link *link, size_t want)
{
    while (link->len < want) {
        struct iovec iov = { link->in + link->len, want - link->len };
        Control control;
        struct msghdr message = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
            .msg_controllen = sizeof(control),
        };
        ssize_t got = recvmsg(link->socket, &message,
                              MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        unsigned had = link->n_fds;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return LINK_WAITS;
        }
        if (got <= 0 || !take_fds(link, &message) ||
            (link->len && link->n_fds != had)) {
            return LINK_ENDED;
        }
        link->len += got;
    }
    return LINK_MESSAGE;
}

LinkState link_receive(Link *link, BpfhvProxyMessage *message)
{
    LinkState state = read_up_to(link, BPFHV_PROXY_HEADER);
    int len;

    if (state != LINK_MESSAGE) {
        return state;
    }
    len = bpfhv_proxy_frame_len(link->in, link->len);
    if (len < 0) {
        return LINK_ENDED;
    }
    state = read_up_to(link, len);
    if (state != LINK_MESSAGE) {
        return state;
    }
    switch (bpfhv_proxy_decode(link->in, len, link->receives_answers,
                               link->n_fds, message)) {
    case 0:
        return LINK_MESSAGE;
    case -EINVAL:
        return LINK_BAD_MESSAGE;
    default:
        return LINK_ENDED;
    }
}

void link_next(Link *link)
{
    for (unsigned i = 0; i < link->n_fds; i++) {
        if (link->fds[i] >= 0) {
            close(link->fds[i]);
        }
    }
    link->n_fds = 0;
    link->len = 0;
}

/* Send from @out on; descriptors go with the first byte. */
static bool send_some(Link *link, const int *fds, unsigned n_fds)
{
    struct iovec iov = { link->out->data, link->out->len };
    Control control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (n_fds) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
    }
    do {
        sent = sendmsg(link->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN && !n_fds;
    }
    g_byte_array_remove_range(link->out, 0, sent);
    return true;
}

bool link_flush(Link *link)
{
    bool good = !link->out || send_some(link, NULL, 0);

    if (link->out && !link->out->len) {
        g_clear_pointer(&link->out, g_byte_array_unref);
    }
    return good;
}

bool link_send(Link *link, const BpfhvProxyMessage *message, const int *fds)
{
    g_assert(!link->out);
    link->out = bpfhv_proxy_encode(message);
    return link->out && send_some(link, fds, message->n_fds) &&
           link_flush(link);
}

void link_clear(Link *link)
{
    link_next(link);
    g_clear_pointer(&link->out, g_byte_array_unref);
}
