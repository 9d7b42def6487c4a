/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bench-software is told about an implementation that it compares with
 * ours. Each is a shared object of its own, made at bench time, with an array
 * "bench_peers" in it that ends with an entry without a name.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * BenchPeer:
 * @name: short
 * @init: gets a key of 40 bytes; false: not on this processor
 * @frame: analyses a frame and returns its hash, or NULL
 * @tuple: returns the hash of @len bytes of addresses and ports, or NULL
 * @tuples: the same for @n tuples at once, or NULL
 * @host_order: @tuple wants 32-bit words in host order, not as in the packet
 */
typedef struct BenchPeer {
    const char *name;
    bool (*init)(const uint8_t *key);
    uint32_t (*frame)(const uint8_t *frame, size_t len);
    uint32_t (*tuple)(const uint8_t *tuple, size_t len);
    void (*tuples)(uint8_t **tuple, size_t len, uint32_t *hash, unsigned n);
    bool host_order;
} BenchPeer;

#endif
