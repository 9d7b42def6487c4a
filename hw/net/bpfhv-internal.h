/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device bpfhv-pci: its parts, for each other. */
#ifndef HW_NET_BPFHV_INTERNAL_H
#define HW_NET_BPFHV_INTERNAL_H

#include "ebpf/bpfhv_code.h"
#include "ebpf/bpfhv_ring.h"
#include "bpfhv-compat.h"
#include "qemu/event_notifier.h"
#include "qom/object.h"

#define TYPE_BPFHV "bpfhv-pci"
OBJECT_DECLARE_SIMPLE_TYPE(BpfhvState, BPFHV)

enum {
    BPFHV_MAX_QUEUES = 2 * BPFHV_MAX_QUEUE_PAIRS,
    BPFHV_DOORBELL_SIZE = 8,
};

/**
 * BpfhvMapping: a piece of a buffer, mapped
 */
typedef struct BpfhvMapping {
    void *base;
    uint32_t len;
} BpfhvMapping;

/**
 * BpfhvQueue: a queue; receive queues come first
 * @index: which one it is, also of its vector and its doorbell
 * @nc: the network client that it belongs to
 * @kick: the doorbell
 * @ctx_address: where the guest has its context; 0: it has none
 * @ctx: mapped; its @ptr is %NULL if there is none, or it cannot be reached now
 * @ring: %NULL: there is no context
 * @bh: transmit: runs the queue
 * @waits: transmit: the peer is busy, and calls when it is not
 * @told: a fault was logged
 * @maps: the packet that is being looked at
 */
typedef struct BpfhvQueue {
    BpfhvState *s;
    uint32_t index;
    bool receives;
    NetClientState *nc;
    EventNotifier kick;
    uint64_t ctx_address;
    MemoryRegionCache ctx;
    BpfhvRing *ring;
    QEMUBH *bh;
    bool waits;
    bool told;
    BpfhvMapping maps[BPFHV_CTX_BUFS];
    uint32_t num_maps;
} BpfhvQueue;

/**
 * BpfhvState: the device
 * @registers, @doorbells, @programs: the regions
 * @listener: tells when guest memory is at another place
 * @blocker: why there is no migration
 * @num_pairs: of queues, as many as the netdev has
 * @has_vnet_hdr: the netdev has packets' metadata
 * @model: the format of the rings
 * @code: its programs
 * @next_model: not %NULL: an upgrade is wanted, to this one
 * @model_name: the property's, before the device is realized
 * @enabled: BPFHV_STATUS_RX_ENABLED and BPFHV_STATUS_TX_ENABLED
 * @features: those that the driver has chosen
 * @queue_select, @prog_select, @ctx_lo, @dump_ofs: registers
 * @dump: what QUEUES_DUMP has made, or %NULL
 */
struct BpfhvState {
    PCIDevice parent_obj;

    MemoryRegion registers, doorbells, programs;
    MemoryListener listener;
    bool listening;
    Error *blocker;
    NICState *nic;
    NICConf conf;
    uint32_t num_pairs;
    bool has_vnet_hdr;
    BpfhvQueue queues[BPFHV_MAX_QUEUES];

    const BpfhvModel *model, *next_model;
    BpfhvCode *code;
    char *model_name;

    uint32_t enabled;
    uint32_t features;
    uint32_t queue_select, prog_select, ctx_lo, dump_ofs;
    GString *dump;
};

/* How many queues there are, both ways. */
static inline uint32_t bpfhv_num_queues(const BpfhvState *s)
{
    return 2 * s->num_pairs;
}

/* Queues (bpfhv-queue.c); all of them run with the BQL held. */

/**
 * bpfhv_queues_init: doorbells, and the network card
 *
 * Return: false, with @errp set; bpfhv_queues_cleanup() has been called.
 */
bool bpfhv_queues_init(BpfhvState *s, Error **errp);

/* Undo it. */
void bpfhv_queues_cleanup(BpfhvState *s);

/**
 * bpfhv_queue_set_ctx: the driver says where a queue's context is
 * @address: the guest's; 0: nowhere, any more
 *
 * Return: false: nothing has changed, for it cannot be reached whole.
 */
bool bpfhv_queue_set_ctx(BpfhvQueue *q, uint64_t address);

/* Guest memory may be at another place. */
void bpfhv_queue_remap(BpfhvQueue *q);

/* The queues of one way are enabled: there may be something to do. */
void bpfhv_queues_start(BpfhvState *s, bool receive);

/*
 * The queues of one way are disabled; when it returns, nothing of the device's
 * touches their buffers.
 */
void bpfhv_queues_stop(BpfhvState *s, bool receive);

/* The doorbell was rung. */
void bpfhv_queue_kick(BpfhvQueue *q);

#endif
