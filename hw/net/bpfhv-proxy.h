/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The netdev bpfhv-proxy, as the card at it sees it. */
#ifndef HW_NET_BPFHV_PROXY_H
#define HW_NET_BPFHV_PROXY_H

#include "net/bpfhv_proxy.h"
#include "net/net.h"

/**
 * BpfhvBackend: the process at the other end, if there is one
 *
 * It lives as long as the card's peer does. All functions are called with the
 * BQL held.
 */
typedef struct BpfhvBackend BpfhvBackend;

/* The backend of a netdev; %NULL: @nc is %NULL, or another kind of netdev. */
BpfhvBackend *bpfhv_backend_of(NetClientState *nc);

/**
 * bpfhv_backend_watch: say who uses it
 * @changed: called when a backend has connected or has gone, which can be
 *           during bpfhv_backend_ask(); %NULL: nobody any more
 */
void bpfhv_backend_watch(BpfhvBackend *backend, void (*changed)(void *opaque),
                         void *opaque);

/* Is one connected, that has not failed? */
bool bpfhv_backend_is_there(const BpfhvBackend *backend);

/**
 * bpfhv_backend_ask: send a request and wait for its answer
 * @fds: its descriptors, @request->n_fds; they remain the caller's
 * @answer: valid until the next request; may be %NULL
 *
 * It waits for three seconds at most, and for less if the backend has been slow
 * before.
 *
 * Return: false: there is no answer that says yes. The backend is given up, if
 * there was one, which has been told.
 */
bool bpfhv_backend_ask(BpfhvBackend *backend, const BpfhvProxyMessage *request,
                       const int *fds, BpfhvProxyMessage *answer);

/* End the connection, for good; the netdev is being removed. */
void bpfhv_backend_close(BpfhvBackend *backend);

/* Warn of what is wrong with it, and end the connection. */
void bpfhv_backend_give_up(BpfhvBackend *backend, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

#endif
