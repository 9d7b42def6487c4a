/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The indices of the models sring, sring_gso and sring_sum: one ring, which the
 * guest fills and the host completes in order. Read by programs and host.
 *
 * Indices count on without end; a descriptor's place is its index modulo
 * SRING_ENTRIES. Published are those from @cons to @prod, completed and not
 * yet taken those from @clear to @cons. The driver never has more than
 * SRING_ENTRIES buffers outstanding, so nobody looks for room.
 *
 * A wish names one descriptor, so that it is fulfilled once: packets that are
 * sent before the host has woken up do not kick it again.
 *
 * Who writes an index or a wish and then reads the other side's has a full
 * barrier in between; so one of the two sees what the other wrote, and neither
 * a kick nor an interrupt is lost.
 */
#ifndef EBPF_BPFHV_SRING_HEAD_H
#define EBPF_BPFHV_SRING_HEAD_H

#include <linux/types.h>

enum {
    SRING_ENTRIES = 256,        /* a power of two */

    /* So far behind the last index that it is never reached: no wish. */
    SRING_NEVER = 1u << 30,
};

/**
 * struct sring_head: begin of the private part, a line for each reader
 * @prod: the guest's: what is published ends here
 * @intr_at: the guest's: interrupt when the descriptor with this index is
 *           completed
 * @cons: the host's: what is completed ends here
 * @kick_at: the host's: kick when the descriptor with this index is published
 * @clear: the guest's alone: what its driver has taken ends here
 * @barrier: the guest's alone: written to order memory
 */
struct sring_head {
    __u32 prod;
    __u32 intr_at;
    __u32 unused[30];
    __u32 cons;
    __u32 kick_at;
    __u32 unused2[30];
    __u32 clear;
    __u32 barrier;
    __u32 unused3[30];
};

_Static_assert(sizeof(struct sring_head) == 384, "three lines of 128 bytes");

/* Is a wish @at fulfilled by an index that moves on from @old to @now? */
static inline int sring_reaches(__u32 at, __u32 old, __u32 now)
{
    return at - old < now - old;
}

#endif
