/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One end of the socket between QEMU and bpfhv-backend. */
#ifndef TOOLS_BPFHV_BACKEND_LINK_H
#define TOOLS_BPFHV_BACKEND_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/bpfhv_proxy.h"

/**
 * Link: a connection
 * @socket: AF_UNIX, SOCK_STREAM, non-blocking; the caller's
 * @receives_answers: it is QEMU's end
 * @len: bytes of @in that have come
 * @fds: the descriptors that came with them, @n_fds
 * @out: what is still to be sent, or %NULL
 */
typedef struct Link {
    int socket;
    bool receives_answers;
    size_t len;
    uint8_t in[BPFHV_PROXY_HEADER + BPFHV_PROXY_MAX_BODY];
    int fds[BPFHV_PROXY_MAX_FDS];
    unsigned n_fds;
    GByteArray *out;
} Link;

typedef enum LinkState {
    LINK_WAITS,         /* for more bytes */
    LINK_MESSAGE,       /* there is one: link->fds are its descriptors */
    LINK_BAD_MESSAGE,   /* there is one that may not be; its type is known, and
                           nothing else of it, see bpfhv_proxy_decode() */
    LINK_ENDED,         /* the peer has closed, or cannot be understood */
} LinkState;

/*
 * Read on. With a message, the caller calls link_next() when it is done with
 * it; what link->fds has then is closed, but for those that are -1.
 */
LinkState link_receive(Link *link, BpfhvProxyMessage *message);
void link_next(Link *link);

/*
 * Send @message with its descriptors, as far as that is possible now; one
 * message at a time. link_flush() goes on with it. False: the peer is gone, or
 * the message is none.
 */
bool link_send(Link *link, const BpfhvProxyMessage *message, const int *fds);
bool link_flush(Link *link);

/* Close descriptors and free what is in there, not @link nor its socket. */
void link_clear(Link *link);

#endif
