/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of a bpfhv queue: packets out of and into the rings of which
 * the guest knows the programs only. docs/bpfhv_abi.rst is the specification.
 */
#ifndef EBPF_BPFHV_RING_H
#define EBPF_BPFHV_RING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "linux/bpfhv/bpfhv_abi.h"

enum {
    BPFHV_NUM_MODELS = 4,

    /* Bytes of a packet: the longest that IP has, behind two VLAN tags */
    BPFHV_MAX_PACKET = 65535 + 14 + 8,
};

typedef struct BpfhvModelOps BpfhvModelOps;

/**
 * BpfhvModel: a format of rings
 * @name: as a user writes it
 * @ctx_size: bytes of a queue's context, either way
 * @max_bufs: how many buffers of a queue may be outstanding
 * @features: bpfhv_feature; those that it can express
 * @ops: the library's
 */
typedef struct BpfhvModel {
    const char *name;
    uint32_t ctx_size;
    uint32_t max_bufs;
    uint32_t features;
    const BpfhvModelOps *ops;
} BpfhvModel;

extern const BpfhvModel bpfhv_models[BPFHV_NUM_MODELS];

/* The model with this name, or %NULL. */
const BpfhvModel *bpfhv_model_find(const char *name);

/* The names of all, "a, b, c", to be freed with g_free(). */
char *bpfhv_model_names(void);

/**
 * BpfhvMap: the only way to the memory that buffers are in
 * @opaque: what bpfhv_ring_new() was given
 * @address: the guest's, of the first byte; anything
 * @len: bytes, at least 1, at most BPFHV_MAX_PACKET
 * @write: the device is going to write
 *
 * Return: where these bytes are, all of them; %NULL: it cannot reach them. It
 * stays valid until the packet has been passed to bpfhv_ring_sent() or
 * bpfhv_ring_received(), or the next one is asked for.
 */
typedef void *(*BpfhvMap)(void *opaque, uint64_t address, uint32_t len,
                          bool write);

/**
 * BpfhvVnetHdr: a packet's metadata, as a tap with IFF_VNET_HDR has it in front
 *
 * struct virtio_net_hdr of linux/virtio_net.h, of which QEMU has another copy.
 * In the byte order of the host.
 */
typedef struct BpfhvVnetHdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
} BpfhvVnetHdr;

/**
 * BpfhvPacket: a packet in the guest's memory
 * @hdr: its metadata
 * @iov: @hdr, then its bytes: who wants no header begins at the second
 * @num_iov: how many of @iov, the header counted
 * @len: bytes of the packet, or of room for one
 *
 * It must not be copied, for @iov has the address of @hdr.
 */
typedef struct BpfhvPacket {
    BpfhvVnetHdr hdr;
    struct iovec iov[1 + BPFHV_CTX_BUFS];
    uint32_t num_iov;
    uint32_t len;
} BpfhvPacket;

typedef struct BpfhvRing BpfhvRing;

/**
 * bpfhv_ring_new: serve a queue
 * @model: the format of its ring
 * @features: bpfhv_feature; those that the driver has chosen
 * @receives: whether it is one of the guest's receive queues
 * @ctx: its context, @model->ctx_size bytes of guest memory, aligned to 8;
 *       they outlive the ring, and the guest writes to them at any time
 * @map: finds buffers
 * @opaque: @map's argument
 *
 * A queue begins at the first buffer, and its context zeroed. A ring is used by
 * one thread at a time. It trusts nothing that it reads from the guest: what
 * must not be stops the ring, see bpfhv_ring_fault().
 *
 * Return: the ring, see bpfhv_ring_free(). Never %NULL.
 */
BpfhvRing *bpfhv_ring_new(const BpfhvModel *model, uint32_t features,
                          bool receives, void *ctx, BpfhvMap map,
                          void *opaque);

/* Free it; @ring may be %NULL. The context is left as it is. */
void bpfhv_ring_free(BpfhvRing *ring);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BpfhvRing, bpfhv_ring_free)

/* The same context is at another place of the host's memory from now on. */
void bpfhv_ring_move(BpfhvRing *ring, void *ctx);

/**
 * bpfhv_ring_fault: has the guest broken the rules?
 *
 * Return: %NULL, or how, in words: then there is nothing to send any more, and
 * no room. Never freed.
 */
const char *bpfhv_ring_fault(const BpfhvRing *ring);

/**
 * bpfhv_ring_next_to_send: look at the next packet of the guest's
 * @ring: one that does not receive
 * @packet: where it goes
 *
 * It remains the next one until bpfhv_ring_sent(). Its metadata have been
 * checked against its length and the features, its bytes have not.
 *
 * Return: whether there is one. @packet->len is 0 if it arrived damaged, which
 * its model can tell: the caller drops it.
 */
bool bpfhv_ring_next_to_send(BpfhvRing *ring, BpfhvPacket *packet);

/* It was sent, or dropped; its buffers go back with bpfhv_ring_flush(). */
void bpfhv_ring_sent(BpfhvRing *ring);

/**
 * bpfhv_ring_next_room: find room for a packet to the guest
 * @ring: one that receives
 * @room: bytes that are wanted, 1 to BPFHV_MAX_PACKET
 * @packet: where it is, with an empty header
 *
 * @packet->len is less than @room if a packet can have no more in the buffers
 * that the guest has published: who has a longer one drops it. It is 0 if a
 * buffer arrived damaged, which goes back without a byte.
 *
 * Return: false: there are too few buffers for now.
 */
bool bpfhv_ring_next_room(BpfhvRing *ring, uint32_t room, BpfhvPacket *packet);

/**
 * bpfhv_ring_received: a packet was written there
 * @packet: of bpfhv_ring_next_room(), its header filled in
 * @len: bytes, 1 to @packet->len
 *
 * The guest gets it with bpfhv_ring_flush().
 *
 * Return: false: its metadata are more than the driver has chosen to
 * understand; it was dropped.
 */
bool bpfhv_ring_received(BpfhvRing *ring, const BpfhvPacket *packet,
                         uint32_t len);

/**
 * bpfhv_ring_flush: tell the guest what was done, at the end of a batch
 *
 * Return: whether it wants to be interrupted now.
 */
bool bpfhv_ring_flush(BpfhvRing *ring);

/* The guest need not kick: the host looks by itself. */
void bpfhv_ring_kicks_off(BpfhvRing *ring);

/**
 * bpfhv_ring_kicks_on: the host will not look again before it is kicked
 *
 * Return: whether it has to look again all the same: something was published
 * meanwhile, which there may be no kick for.
 */
bool bpfhv_ring_kicks_on(BpfhvRing *ring);

/* A line about the ring for a dump, to be freed with g_free(). */
char *bpfhv_ring_describe(const BpfhvRing *ring);

#endif
