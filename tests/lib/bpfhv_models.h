/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's side of each bpfhv model, one small step at a time. */
#ifndef TESTS_BPFHV_MODELS_H
#define TESTS_BPFHV_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpfhv_programs.h"

typedef struct BpfhvModel BpfhvModel;

/**
 * BpfhvHost: a queue
 * @ctx: its context
 * @taken: how many buffers have been taken, since the first
 * @given: how many have been given back
 */
typedef struct BpfhvHost {
    const BpfhvModel *model;
    void *ctx;
    uint32_t taken, given;
} BpfhvHost;

/**
 * BpfhvModel: what the host does with a queue
 * @name: of the program's object
 * @ctx_size: bytes
 * @max_bufs: how many buffers may be published
 * @in_order: buffers are given back in the order of their publishing
 * @packets: they may be of several buffers, and have metadata
 * @begin: count from @index on, a multiple of 2 * @max_bufs
 * @take: the next published buffer; false: there is none
 * @give: give back @count buffers, at once; their paddr does not matter
 * @needs_interrupt: now that more was given back, behind @old
 * @want_kicks: or not
 */
struct BpfhvModel {
    const char *name;
    uint32_t ctx_size;
    uint32_t max_bufs;
    bool in_order, packets;
    void (*begin)(BpfhvHost *host, uint32_t index);
    bool (*take)(BpfhvHost *host, struct bpfhv_buf *buf);
    void (*give)(BpfhvHost *host, const struct bpfhv_buf *bufs,
                 uint32_t count);
    bool (*needs_interrupt)(const BpfhvHost *host, uint32_t old);
    void (*want_kicks)(BpfhvHost *host, bool kicks);
};

enum { BPFHV_NUM_MODELS = 3 };

extern const BpfhvModel bpfhv_models[BPFHV_NUM_MODELS];

#endif
