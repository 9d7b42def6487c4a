/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One end of the socket between QEMU and a bpfhv backend. */
#ifndef NET_BPFHV_LINK_H
#define NET_BPFHV_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/bpfhv_proxy.h"

/**
 * BpfhvLink: a connection
 * @socket: AF_UNIX, SOCK_STREAM, non-blocking; the caller's
 * @receives_answers: it is QEMU's end
 * @len: bytes of @in that have come
 * @fds: the descriptors that came with them, @n_fds
 * @out: what is still to be sent, or %NULL
 */
typedef struct BpfhvLink {
    int socket;
    bool receives_answers;
    size_t len;
    uint8_t in[BPFHV_PROXY_HEADER + BPFHV_PROXY_MAX_BODY];
    int fds[BPFHV_PROXY_MAX_FDS];
    unsigned n_fds;
    GByteArray *out;
} BpfhvLink;

typedef enum BpfhvLinkState {
    BPFHV_LINK_WAITS,       /* for more bytes */
    BPFHV_LINK_MESSAGE,     /* there is one: link->fds are its descriptors */
    BPFHV_LINK_BAD_MESSAGE, /* there is one that may not be; its type is known,
                               nothing else of it, see bpfhv_proxy_decode() */
    BPFHV_LINK_ENDED,       /* the peer has closed, or cannot be understood */
} BpfhvLinkState;

/*
 * Read on. With a message, the caller calls bpfhv_link_next() when it is done
 * with it; what link->fds has then is closed, but for those that are -1.
 */
BpfhvLinkState bpfhv_link_receive(BpfhvLink *link, BpfhvProxyMessage *message);
void bpfhv_link_next(BpfhvLink *link);

/*
 * Send @message with its descriptors, as far as that is possible now; one
 * message at a time. bpfhv_link_flush() goes on with it. False: the peer is
 * gone, or the message is none.
 */
bool bpfhv_link_send(BpfhvLink *link, const BpfhvProxyMessage *message,
                     const int *fds);
bool bpfhv_link_flush(BpfhvLink *link);

/* Close descriptors and free what is in there, not @link nor its socket. */
void bpfhv_link_clear(BpfhvLink *link);

#endif
