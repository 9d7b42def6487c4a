/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's side of each bpfhv model, one small step at a time. */
#ifndef EBPF_BPFHV_MODELS_H
#define EBPF_BPFHV_MODELS_H

#include "ebpf/bpfhv_ring.h"

/**
 * BpfhvHost: a queue
 * @ctx: its context
 * @taken: how many buffers have been taken, since the first
 * @given: how many have been given back
 * @damaged: what was taken last is not what the guest has published: its packet
 *           is to be dropped
 * @fault: %NULL, or how the guest has broken the rules
 */
typedef struct BpfhvHost {
    const BpfhvModel *model;
    void *ctx;
    uint32_t taken, given;
    bool damaged;
    const char *fault;
} BpfhvHost;

/**
 * BpfhvModelOps: what the host does with a queue
 * @in_order: buffers are given back in the order of their publishing
 * @has_more: is there something to take?
 * @take: the next published buffer; false: there is none, or a fault. Only a
 *        model without SG sets @damaged, each time
 * @give: give back @count buffers, at once; their paddr does not matter
 * @needs_interrupt: now that more was given back, behind @old
 * @want_kicks: or not
 *
 * Order: @give comes before all that follows it in the code, for the guest;
 * between @give and @needs_interrupt, and between @want_kicks and @has_more,
 * the caller puts a full barrier.
 */
struct BpfhvModelOps {
    bool in_order;
    bool (*has_more)(const BpfhvHost *host);
    bool (*take)(BpfhvHost *host, struct bpfhv_buf *buf);
    void (*give)(BpfhvHost *host, const struct bpfhv_buf *bufs,
                 uint32_t count);
    bool (*needs_interrupt)(const BpfhvHost *host, uint32_t old);
    void (*want_kicks)(BpfhvHost *host, bool kicks);
};

#endif
