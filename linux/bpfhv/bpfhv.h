/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's driver: what its files share.
 *
 *     bpfhv_main.c     the PCI device
 *     bpfhv_netdev.c   the network device
 *     bpfhv_card.c     the life of the card: load, start, stop, upgrades
 *     bpfhv_prog.c     programs: from the device, verified, to the kernel
 *     bpfhv_queue.c    a queue: its context, the table of buffers, its programs
 *     bpfhv_rx.c       from completed buffers to packets
 *     bpfhv_tx.c       and the other way
 *     bpfhv_ethtool.c
 *
 * The device is not trusted, see docs/bpfhv_abi.rst. What it can write to, that
 * is struct bpfhv_ctx and the registers, is read once, into memory of ours, and
 * checked there.
 */
#ifndef LINUX_BPFHV_H
#define LINUX_BPFHV_H

#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include "bpfhv_abi.h"

/* The verifier's proof is about these (bpfhv_verify.h). */
#if !defined(CONFIG_X86_64) && !defined(CONFIG_ARM64)
#error "bpfhv is for x86_64 and arm64 only"
#endif

enum {
    BPFHV_MAX_QUEUES = 2 * BPFHV_MAX_QUEUE_PAIRS,

    /* Buffers of a queue that we use, of those that the device may have. */
    BPFHV_MAX_SLOTS = 1024,

    BPFHV_MAX_MTU = 9000,

    /* A packet to be sent has a head and fragments. */
    BPFHV_MAX_PARTS = MAX_SKB_FRAGS + 1,
};

_Static_assert((int)BPFHV_MAX_PARTS <= (int)BPFHV_CTX_BUFS,
               "a packet fits in one call");

/* What a queue does with its context. */
enum bpfhv_step {
    BPFHV_PUBLISH,
    BPFHV_COMPLETE,
    BPFHV_INTERRUPTS,
    BPFHV_NUM_STEPS,
};

/**
 * struct bpfhv_slot: a buffer of a queue; its index is the buffer's cookie
 * @data: receive: the memory
 * @skb: transmit: the packet, in the slot of its first buffer
 * @paddr: the address that the device has
 * @len: bytes that are mapped for it
 * @first: transmit: the packet's first slot
 * @next: transmit: its next one
 * @left: transmit: in the first slot: how many of them are outstanding
 * @is_outstanding: the device has it
 */
struct bpfhv_slot {
    union {
        void *data;
        struct sk_buff *skb;
    };
    dma_addr_t paddr;
    u32 len;
    u16 first, next, left;
    bool is_outstanding;
};

/**
 * struct bpfhv_counters: of a queue, since the card is there
 *
 * One writer each; read at any time.
 */
struct bpfhv_counters {
    u64 packets;
    u64 bytes;
    u64 dropped;
    u64 kicks;
    u64 interrupts;
};

/**
 * struct bpfhv_queue: a queue
 * @number: receive queues first; @index: among its kind
 * @programs: of its kind, by bpfhv_step
 * @ctx: memory that is shared with the device, of @ctx_size bytes; all below is
 *       ours
 * @slots: the table of buffers, @num_slots; @free: a stack of those not in use
 * @num_outstanding: that the device has
 * @num_pending: transmit: buffers in @ctx that are not published yet
 * @is_armed: transmit: an interrupt is asked for
 * @completed: what complete has returned, a copy
 *
 * Programs of a queue never run at the same time: those of a receive queue run
 * in its NAPI poll, those of a transmit queue under the lock of the kernel's
 * queue, and both by bpfhv_card_start() and bpfhv_card_stop() while nobody else
 * can.
 */
struct bpfhv_queue {
    struct bpfhv_card *card;
    u16 number, index;
    bool is_tx;
    bool has_irq;
    struct napi_struct napi;
    struct bpf_prog *const *programs;
    void __iomem *doorbell;

    struct bpfhv_ctx *ctx;
    dma_addr_t ctx_paddr;
    u32 ctx_size;

    struct bpfhv_slot *slots;
    u16 *free;
    u32 num_slots, num_free, num_outstanding, num_pending;
    bool is_armed;
    struct bpfhv_buf completed[BPFHV_CTX_BUFS];

    struct bpfhv_counters counters;
    char name[IFNAMSIZ + 16];
};

/*
 * UNLOADED ──load──▶ LOADED ──start──▶ RUNNING ──stop──▶ STOPPING ──▶ LOADED
 *     ▲                │ load again: an upgrade, other features
 *     └── it failed ───┘
 *
 * Changed under RTNL only. Read elsewhere: only while RUNNING, transmit queues
 * are woken.
 */
enum bpfhv_state {
    BPFHV_UNLOADED,     /* there are no programs */
    BPFHV_LOADED,
    BPFHV_RUNNING,      /* there are queues, and the device is enabled */
    BPFHV_STOPPING,
};

/* Bits of bpfhv_card.events: what the work is to do. */
enum bpfhv_event {
    BPFHV_IS_BROKEN,    /* the device did what must not be; until a start */
    BPFHV_WANTS_RESET,
};

/**
 * struct bpfhv_card: a device, in its network device
 * @usable: features of the device's that the driver can use; @features: those
 *          that it has chosen
 * @num_rx: receive queues; @num_tx: transmit queues
 * @rx_slots: buffers that a receive queue has; @tx_slots
 * @tx_parts: buffers that a packet to be sent may have
 * @num_vectors: of MSI-X; the last one tells that STATUS has changed
 * @rx_size: bytes of memory that a receive buffer takes, @rx_room: of them for
 *           the device
 * @programs: of receive queues, of transmit queues
 * @queues: by number
 */
struct bpfhv_card {
    struct net_device *netdev;
    struct pci_dev *pdev;
    void __iomem *registers;
    void __iomem *doorbells;
    void __iomem *window;

    enum bpfhv_state state;
    unsigned long events;
    struct delayed_work work;

    u32 usable, features;
    u32 num_rx, num_tx;
    u32 rx_slots, tx_slots;
    u32 rx_ctx_size, tx_ctx_size;
    u32 doorbell_size;
    u32 tx_parts;
    u32 num_vectors;
    u32 rx_size, rx_room;
    struct bpf_prog *programs[2][BPFHV_NUM_STEPS];

    u64 upgrades, resets;
    struct bpfhv_queue queues[BPFHV_MAX_QUEUES];
};

/* About the device, which must not fill the log. */
#define bpfhv_error(card, ...)                      \
    do {                                            \
        if (net_ratelimit()) {                      \
            netdev_err((card)->netdev, __VA_ARGS__); \
        }                                           \
    } while (0)

static inline u32 bpfhv_read(const struct bpfhv_card *card,
                             enum bpfhv_register reg)
{
    return ioread32(card->registers + reg);
}

static inline void bpfhv_write(struct bpfhv_card *card,
                               enum bpfhv_register reg, u32 value)
{
    iowrite32(value, card->registers + reg);
}

/* Add to a counter that somebody else reads: one store, of 64 bits. */
static inline void bpfhv_count(u64 *counter, u64 number)
{
    WRITE_ONCE(*counter, *counter + number);
}

/**
 * bpfhv_break: the device did what must not be
 * @format: what; one line, without its end
 *
 * Tells it once and has the queues stopped, by the work. May be called
 * anywhere.
 */
__printf(2, 3) void bpfhv_break(struct bpfhv_card *card,
                                const char *format, ...);

static inline bool bpfhv_is_broken(const struct bpfhv_card *card)
{
    return test_bit(BPFHV_IS_BROKEN, &card->events);
}

/* bpfhv_card.c; all but the work and the end of it are called under RTNL. */

enum {
    BPFHV_ALL_LRO = BPFHV_F_LRO4 | BPFHV_F_LRO6,
    BPFHV_ALL_TSO = BPFHV_F_TSO4 | BPFHV_F_TSO6,
};

/*
 * Have what the device is now. There are no queues. After an error, which is
 * told, there are no programs.
 */
int bpfhv_card_load(struct bpfhv_card *card);

/* From LOADED to RUNNING. */
int bpfhv_card_start(struct bpfhv_card *card);

/* From RUNNING to LOADED. Nothing is sent until the caller wakes the queues. */
void bpfhv_card_stop(struct bpfhv_card *card);

/*
 * Stop, have what the device is now, and start again if it was set up. What is
 * to be sent waits meanwhile.
 */
int bpfhv_card_restart(struct bpfhv_card *card);

/* Others may be wanted: restart if that matters to the device. */
int bpfhv_card_update_features(struct bpfhv_card *card);

/* The card's work: do what its events and its STATUS ask for. */
void bpfhv_card_work(struct work_struct *work);

/* No interrupts, no work and no programs any more. There are no queues. */
void bpfhv_card_end(struct bpfhv_card *card);

/* bpfhv_netdev.c */

extern const struct net_device_ops bpfhv_netdev_ops;

/* bpfhv_prog.c */

/**
 * bpfhv_load_programs: fetch all programs, verify them, make them ready to run
 *
 * The sizes of contexts are known. On an error, which is told, there are none.
 */
int bpfhv_load_programs(struct bpfhv_card *card);

/* Nobody runs them any more. */
void bpfhv_unload_programs(struct bpfhv_card *card);

/* bpfhv_queue.c */

/* Tell the device where a queue's context is; 0: there is none. */
void bpfhv_set_context(struct bpfhv_card *card, u32 number, dma_addr_t paddr);

/**
 * bpfhv_queue_create: memory for a queue, whose context the device then has
 * @q: zeros, but for its counters
 * @number: of the queue
 *
 * Return: 0 or -ENOMEM, and there is nothing to destroy.
 */
int bpfhv_queue_create(struct bpfhv_card *card, struct bpfhv_queue *q,
                       u32 number);

/* Take the context from the device and free all, buffers excepted. */
void bpfhv_queue_destroy(struct bpfhv_queue *q);

/* Take a slot that is not in use, of which there is one, for the device. */
struct bpfhv_slot *bpfhv_queue_give(struct bpfhv_queue *q, u16 *cookie);

/**
 * bpfhv_queue_take: a buffer comes back
 * @cookie: what the device says
 *
 * Return: its slot, which is not yet free; NULL if the device does not have it,
 * and then it is broken.
 */
struct bpfhv_slot *bpfhv_queue_take(struct bpfhv_queue *q, u16 cookie);

void bpfhv_queue_release(struct bpfhv_queue *q, struct bpfhv_slot *slot);

/* Publish the first @count buffers in the context; -EIO: it is broken. */
int bpfhv_queue_publish(struct bpfhv_queue *q, u32 count);

/*
 * Have completed buffers in q->completed; return how many. 0: there are none,
 * or the device is broken.
 */
u32 bpfhv_queue_complete(struct bpfhv_queue *q);

/*
 * Ask for an interrupt after @count completions; return whether it is too late
 * for that. There are as many outstanding.
 */
bool bpfhv_queue_arm(struct bpfhv_queue *q, u32 count);

/* bpfhv_rx.c and bpfhv_tx.c */

int bpfhv_rx_poll(struct napi_struct *napi, int budget);
int bpfhv_tx_poll(struct napi_struct *napi, int budget);
netdev_tx_t bpfhv_xmit(struct sk_buff *skb, struct net_device *netdev);

/* How large a receive buffer is, for the MTU and the features. */
void bpfhv_rx_set_size(struct bpfhv_card *card);

/* Publish as many buffers as there may be; return whether there are any. */
bool bpfhv_rx_fill(struct bpfhv_queue *q);

/*
 * The device is disabled: take what it has completed, then all that it has not.
 * Nobody polls.
 */
void bpfhv_rx_drain(struct bpfhv_queue *q);
void bpfhv_tx_drain(struct bpfhv_queue *q);

/* bpfhv_ethtool.c */

extern const struct ethtool_ops bpfhv_ethtool_ops;

#endif
