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

#include "net/bpfhv_link.h"
#include "net/socket_fds.h"

_Static_assert((int)BPFHV_PROXY_MAX_FDS <= (int)SEND_FDS_MAX,
               "those of a message go with one call");

/*
 * Keep the descriptors of @message; false: there are more than there may be,
 * which are closed.
 */
static bool take_fds(BpfhvLink *link, struct msghdr *message)
{
    bool fits = !(message->msg_flags & MSG_CTRUNC);
    struct cmsghdr *header;

    for (header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (header->cmsg_level != SOL_SOCKET ||
            header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
            if (link->n_fds < BPFHV_PROXY_MAX_FDS) {
                link->fds[link->n_fds++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

/* Read until there are @want bytes in all: BPFHV_LINK_MESSAGE. */
static BpfhvLinkState read_up_to(BpfhvLink *link, size_t want)
{
    while (link->len < want) {
        struct iovec iov = { link->in + link->len, want - link->len };
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(BPFHV_PROXY_MAX_FDS * sizeof(int))];
        } control;
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
            return BPFHV_LINK_WAITS;
        }
        if (got <= 0 || !take_fds(link, &message) ||
            (link->len && link->n_fds != had)) {
            return BPFHV_LINK_ENDED;
        }
        link->len += got;
    }
    return BPFHV_LINK_MESSAGE;
}

BpfhvLinkState bpfhv_link_receive(BpfhvLink *link, BpfhvProxyMessage *message)
{
    BpfhvLinkState state = read_up_to(link, BPFHV_PROXY_HEADER);
    int len;

    if (state != BPFHV_LINK_MESSAGE) {
        return state;
    }
    len = bpfhv_proxy_frame_len(link->in, link->len);
    if (len < 0) {
        return BPFHV_LINK_ENDED;
    }
    state = read_up_to(link, len);
    if (state != BPFHV_LINK_MESSAGE) {
        return state;
    }
    switch (bpfhv_proxy_decode(link->in, len, link->receives_answers,
                               link->n_fds, message)) {
    case 0:
        return BPFHV_LINK_MESSAGE;
    case -EINVAL:
        return BPFHV_LINK_BAD_MESSAGE;
    default:
        return BPFHV_LINK_ENDED;
    }
}

void bpfhv_link_next(BpfhvLink *link)
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
static bool send_some(BpfhvLink *link, const int *fds, unsigned n_fds)
{
    ssize_t sent = send_fds(link->socket, link->out->data, link->out->len, fds,
                            n_fds, MSG_DONTWAIT);

    if (sent < 0) {
        return errno == EAGAIN && !n_fds;
    }
    g_byte_array_remove_range(link->out, 0, sent);
    return true;
}

bool bpfhv_link_flush(BpfhvLink *link)
{
    bool good = !link->out || send_some(link, NULL, 0);

    if (link->out && !link->out->len) {
        g_clear_pointer(&link->out, g_byte_array_unref);
    }
    return good;
}

bool bpfhv_link_send(BpfhvLink *link, const BpfhvProxyMessage *message,
                     const int *fds)
{
    g_assert(!link->out);
    link->out = bpfhv_proxy_encode(message);
    return link->out && send_some(link, fds, message->n_fds) &&
           bpfhv_link_flush(link);
}

void bpfhv_link_clear(BpfhvLink *link)
{
    bpfhv_link_next(link);
    g_clear_pointer(&link->out, g_byte_array_unref);
}
