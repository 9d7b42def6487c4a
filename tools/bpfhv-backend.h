/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend: what its parts know of each other. See bpfhv-backend.c.
 *
 * The functions that return bool or a pointer and take a GError follow GLib's
 * rule: false or %NULL means that it is set.
 */
#ifndef TOOLS_BPFHV_BACKEND_H
#define TOOLS_BPFHV_BACKEND_H

#include <glib.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/bpfhv_link.h"
#include "ebpf/bpfhv_code.h"
#include "ebpf/bpfhv_ring.h"
#include "linux/bpfhv/bpfhv_abi.h"
#include "net/bpfhv_proxy.h"

/* One line on standard error, with the program's name. */
void say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Set @error, whose text the peer may see; return false. */
bool refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Guest memory */

typedef struct Memory Memory;

/**
 * memory_map: map what SET_MEMORY describes
 * @message: the request, decoded
 * @fds: one for each region; they remain the caller's
 */
Memory *memory_map(const BpfhvProxyMessage *message, const int *fds,
                   GError **error);
void memory_unmap(Memory *memory);

/*
 * The one way to guest memory: where @len bytes from @gpa on are; %NULL: they
 * are not all in one region. @memory may be %NULL.
 */
void *memory_find(const Memory *memory, uint64_t gpa, uint64_t len);

/* Where packets come from and go to */

enum {
    PORT_ALWAYS_READY = -1,     /* it has a packet at any time */
    PORT_NEVER_READY = -2,
};

typedef struct Xdp Xdp;

typedef struct Port {
    int *fds;                   /* of a tap's queues */
    Xdp *xdp;                   /* a device's queues */
    unsigned n_queues;
    uint64_t features;          /* those that it has, or another cares for */
    bool gone;                  /* its device was deleted */
    unsigned source_len;        /* bytes of a packet that is made up; or 0 */
    uint64_t source_count;
} Port;

/* A tap of @n_queues queues, which exists or is made. */
Port *port_new_tap(const char *name, unsigned n_queues, GError **error);

/*
 * Queues of a network device, by AF_XDP: @text is
 * DEVICE[,queue=FIRST][,mode=auto|copy|zerocopy].
 */
Port *port_new_xdp(const char *text, unsigned n_queues, GError **error);

/* Takes all packets. With @source_len not 0 it has as many as one wants. */
Port *port_new_sink(unsigned n_queues, unsigned source_len);
void port_free(Port *port);

/* Packets come from the first @n_queues only, and are what @features allow. */
bool port_configure(Port *port, unsigned n_queues, uint64_t features,
                    GError **error);

/* What to poll for a packet from @queue, or PORT_ALWAYS_READY and so on. */
int port_fd(const Port *port, unsigned queue);

/* That descriptor was polled, and there is an error: the device has gone. */
void port_failed(Port *port);

/* Send, with the next port_flush(); return whether the port took it. */
bool port_send(Port *port, unsigned queue, const BpfhvPacket *packet);

/* The end of a batch; return whether to call it again soon. */
bool port_flush(Port *port, unsigned queue);

/* Receive up to BPFHV_MAX_PACKET bytes; return how many; 0: there is none. */
size_t port_receive(Port *port, unsigned queue, BpfhvVnetHdr *hdr,
                    uint8_t *packet);

/* How many packets to @queue there was no room for. */
uint64_t port_lost(const Port *port, unsigned queue);

/* A port's queues by AF_XDP, which -port.c calls: see there */

Xdp *xdp_new(const char *text, unsigned n_queues, GError **error);
void xdp_free(Xdp *xdp);
bool xdp_use(Xdp *xdp, unsigned n_queues, GError **error);
int xdp_fd(const Xdp *xdp, unsigned queue);
bool xdp_gone(const Xdp *xdp);
bool xdp_send(Xdp *xdp, unsigned queue, const BpfhvPacket *packet);
bool xdp_flush(Xdp *xdp, unsigned queue);
size_t xdp_receive(Xdp *xdp, unsigned queue, uint8_t *packet);
uint64_t xdp_lost(const Xdp *xdp, unsigned queue);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Xdp, xdp_free)

/* The card */

typedef struct Options {
    char *socket, *control, *model, *programs, *tap, *xdp;
    gboolean sink, busy, version;
    int source;
    int queues;                 /* pairs */
} Options;

typedef struct Card Card;

/* @options and @port outlive it. */
Card *card_new(const Options *options, Port *port, GError **error);
void card_free(Card *card);

/*
 * Do what @message asks for, and fill in the answer, which refuses what cannot
 * be done. Descriptors that the card keeps are -1 in @fds then.
 */
void card_request(Card *card, const BpfhvProxyMessage *message, int *fds,
                  BpfhvProxyMessage *answer);

/* Use @model from the guest's next UPGRADE on, and ask the guest for it. */
bool card_upgrade(Card *card, const char *model, GError **error);

/* Move packets, a batch for each queue; return whether to come back at once. */
bool card_serve(Card *card);

/*
 * What to poll while there is nothing to do: appends struct pollfd to @fds.
 * card_polled() is told what has come of them, from the first on.
 */
void card_poll(Card *card, GArray *fds);
void card_polled(Card *card, const struct pollfd *fds, unsigned n_fds);

/* Lines for people and scripts, to be freed with g_free(). */
char *card_statistics(const Card *card);

/* The control socket */

/* A datagram socket at @path, for the user only. -1: @error is set. */
int control_open(const char *path, GError **error);

/* Answer what has come. */
void control_serve(int socket, Card *card);

#endif
