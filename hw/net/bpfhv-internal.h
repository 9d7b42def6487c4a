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
 * @irq: a backend's interrupt
 * @irq_listens: there is a backend to listen to
 * @vector_used: with KVM: the guest has it unmasked
 * @irq_by_kvm: it goes by irqfd, with a route of KVM's, @irq_route
 * @ctx_address: where the guest has its context; 0: it has none
 * @ctx: mapped; its @ptr is %NULL if there is none, or it cannot be reached
 *       now, or a backend serves the queue
 * @ring: %NULL: there is no context, or a backend serves the queue
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
    EventNotifier kick, irq;
    bool irq_listens, vector_used, irq_by_kvm;
    int irq_route;
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
 * BpfhvSizes: registers that the format of the rings decides
 * @rx_ctx, @tx_ctx: bytes of a context
 * @rx_bufs, @tx_bufs: buffers of a queue
 */
typedef struct BpfhvSizes {
    uint32_t rx_ctx, tx_ctx, rx_bufs, tx_bufs;
} BpfhvSizes;

/* What there is for a device whose queues a backend serves. */
typedef struct BpfhvRemote BpfhvRemote;

/**
 * BpfhvState: the device
 * @registers, @doorbells, @programs: the regions
 * @listener: tells when guest memory is at another place
 * @blocker: why there is no migration
 * @num_pairs: of queues, as many as the netdev has
 * @has_vnet_hdr: the netdev has packets' metadata
 * @remote: a backend serves the queues; %NULL: QEMU itself does
 * @model: the format of the rings; of a backend's, only until there is one
 * @code, @sizes: the programs, and what goes with them
 * @next_model: not %NULL: an upgrade is wanted, to this one
 * @model_name: the property's, before the device is realized; %NULL: not set
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

    BpfhvRemote *remote;
    const BpfhvModel *model, *next_model;
    BpfhvCode *code;
    BpfhvSizes sizes;
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

/* The bit of STATUS for the queue's direction. */
static inline uint32_t bpfhv_enable_bit(const BpfhvQueue *q)
{
    return q->receives ? BPFHV_STATUS_RX_ENABLED : BPFHV_STATUS_TX_ENABLED;
}

/* STATUS has changed. */
static inline void bpfhv_tell_status(BpfhvState *s)
{
    msix_notify(PCI_DEVICE(s), bpfhv_num_queues(s));
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

/* Is this a place for the queue's context, of which all can be reached? */
bool bpfhv_queue_reaches(BpfhvQueue *q, uint64_t address);

/* Guest memory may be at another place. */
void bpfhv_queue_remap(BpfhvQueue *q);

/* Other eventfds for all doorbells. Return: 0, or -errno: some are old. */
int bpfhv_queues_renew_kicks(BpfhvState *s);

/*
 * Put a new eventfd into the place of @notifier, that nobody waits for. Return:
 * 0, or -errno: it is the old one.
 */
int bpfhv_renew_notifier(EventNotifier *notifier);

/* The queues of one way are enabled: there may be something to do. */
void bpfhv_queues_start(BpfhvState *s, bool receive);

/*
 * The queues of one way are disabled; when it returns, nothing of the device's
 * touches their buffers.
 */
void bpfhv_queues_stop(BpfhvState *s, bool receive);

/* The doorbell was rung. */
void bpfhv_queue_kick(BpfhvQueue *q);

/* A backend's interrupts (bpfhv-irq.c); all of it runs with the BQL held. */

/*
 * bpfhv_irqs_init: by KVM where it can; the device has vectors, and its queues
 * are not listened to
 */
void bpfhv_irqs_init(BpfhvState *s);

/* Undo it: the same again. */
void bpfhv_irqs_cleanup(BpfhvState *s);

/* Bring the interrupts of a queue to the guest, or no more. */
void bpfhv_irq_listen(BpfhvQueue *q, bool on);

/* A backend's queues (bpfhv-remote.c); all of it runs with the BQL held. */

/* %NULL: the netdev is another one than bpfhv-proxy. */
BpfhvRemote *bpfhv_remote_new(BpfhvState *s);

/* After bpfhv_queues_init(). False: @errp is set. */
bool bpfhv_remote_start(BpfhvRemote *r, Error **errp);

/* Before bpfhv_queues_cleanup(); @r may be %NULL. */
void bpfhv_remote_free(BpfhvRemote *r);

/*
 * The device begins anew, with no contexts, no features, and queues that are
 * disabled: if there is a backend, it is what that says from now on.
 */
void bpfhv_remote_renew(BpfhvRemote *r);

/* What the backend offers; features that the driver has chosen. */
uint32_t bpfhv_remote_offered(const BpfhvRemote *r);
void bpfhv_remote_set_features(BpfhvRemote *r);

/* A queue has another context, or none. */
void bpfhv_remote_set_ctx(BpfhvRemote *r, const BpfhvQueue *q);

/* What queues are enabled, or whether the link is up, may have changed. */
void bpfhv_remote_enable(BpfhvRemote *r);

/* The netdev was removed; from QEMU 10.0 on it is closed with the card only. */
void bpfhv_remote_netdev_gone(BpfhvRemote *r);

/* BPFHV_STATUS_LINK: a backend serves; BPFHV_STATUS_UPGRADE: one wants to. */
uint32_t bpfhv_remote_status(const BpfhvRemote *r);
const char *bpfhv_remote_describe(const BpfhvRemote *r);

/* Does the backend reach all of this? */
bool bpfhv_remote_reaches(const BpfhvRemote *r, uint64_t address,
                          uint64_t len);

/* Contexts may be out of reach: their queues lose them. */
void bpfhv_remote_memory_changed(BpfhvRemote *r);

#endif
