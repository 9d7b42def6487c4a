/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model vring_packed: the packed virtqueue of virtio 1.1 (section 2.7), a
 * buffer for each packet, no offloads. Read by programs and host.
 *
 * Both sides count descriptors without end; a descriptor's place is its index
 * modulo VRING_ENTRIES, and its wrap counter is 1 in the first round, 0 in the
 * second, and so on. The buffer's id is the driver's cookie, so the host may
 * use buffers in any order and the guest keeps no state of its own for them.
 *
 * Length, id and flags are written and read as one word of 64 bits: who sees
 * the flags sees what belongs to them.
 */
#ifndef EBPF_BPFHV_VRING_PACKED_H
#define EBPF_BPFHV_VRING_PACKED_H

#include "linux/bpfhv/bpfhv_abi.h"

enum {
    VRING_ENTRIES = 256,        /* a power of two */

    /* Flags of a descriptor (virtio 1.1, 2.7.1) */
    VRING_WRITE = 1 << 1,       /* the host writes to the buffer */
    VRING_AVAIL = 1 << 7,
    VRING_USED = 1 << 15,

    /* Flags of the event structures (virtio 1.1, 2.7.14) */
    VRING_EVENT_ENABLE = 0,
    VRING_EVENT_DISABLE = 1,
    VRING_EVENT_DESC = 2,       /* at one descriptor */
    VRING_EVENT_FLAGS = 16,     /* places to shift them by */
    VRING_EVENT_WRAP = 1 << 15, /* beside the place: the wrap counter */
};

/**
 * struct vring_desc: the specification's
 * @addr: of the buffer
 * @word: length in bytes; id from bit 32 on, flags from bit 48 on
 */
struct vring_desc {
    __u64 addr;
    __u64 word;
};

/**
 * struct vring_packed: the private part
 * @driver_event: the guest's: where it wants an interrupt
 * @device_event: the host's: where it wants a kick
 * @avail: the guest's alone: what it has published ends here
 * @used: the guest's alone: what its driver has taken ends here
 * @barrier: the guest's alone: written to order memory
 */
struct vring_packed {
    __u32 driver_event;
    __u32 unused[31];
    __u32 device_event;
    __u32 unused2[31];
    __u32 avail;
    __u32 used;
    __u32 barrier;
    __u32 unused3[29];
    struct vring_desc desc[VRING_ENTRIES];
};

struct vring_packed_ctx {
    struct bpfhv_ctx common;
    struct vring_packed ring;
};

_Static_assert(sizeof(struct vring_desc) == 16, "as the specification has it");

/* Is the wrap counter 0 at @index? */
static inline __u32 vring_is_odd_round(__u32 index)
{
    return index / VRING_ENTRIES % 2;
}

/* The flags of a descriptor that the guest publishes at @index. */
static inline __u32 vring_avail_flags(__u32 index)
{
    return vring_is_odd_round(index) ? VRING_USED : VRING_AVAIL;
}

/* And of one that the host has used. */
static inline __u32 vring_used_flags(__u32 index)
{
    return vring_is_odd_round(index) ? 0 : VRING_AVAIL | VRING_USED;
}

static inline __u64 vring_word(__u32 len, __u16 id, __u32 flags)
{
    return len | (__u64)id << 32 | (__u64)flags << 48;
}

/* Has @word one of the two states of a descriptor at an index? */
static inline int vring_has_flags(__u64 word, __u32 flags)
{
    return (word >> 48 & (VRING_AVAIL | VRING_USED)) == flags;
}

/* The wish for a kick or an interrupt at the descriptor at @index. */
static inline __u32 vring_event_at(__u32 index)
{
    return index % VRING_ENTRIES |
           (vring_is_odd_round(index) ? 0 : VRING_EVENT_WRAP) |
           VRING_EVENT_DESC << VRING_EVENT_FLAGS;
}

/*
 * Is the wish @event fulfilled by the descriptors from @old up to @now, which
 * have become available, or have been used?
 */
static inline int vring_reaches(__u32 event, __u32 old, __u32 now)
{
    __u32 at = event % VRING_ENTRIES +
               (event & VRING_EVENT_WRAP ? 0 : VRING_ENTRIES);

    if (event >> VRING_EVENT_FLAGS != VRING_EVENT_DESC) {
        return event >> VRING_EVENT_FLAGS == VRING_EVENT_ENABLE && now != old;
    }
    return (at - old) % (2 * VRING_ENTRIES) < now - old;
}

#endif
