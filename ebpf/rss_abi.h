/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What crosses into the kernel: the content of the programs' maps.
 * Both compilers read this file.
 *
 * A QEMU may get a program that a newer or older helper has loaded. Who changes
 * what is meant here, in net/rss_policy.h or in net/rss_hash.h, changes the
 * number in RSS_HELPER_LOADED (rss_helper_wire.h).
 */
#ifndef EBPF_RSS_ABI_H
#define EBPF_RSS_ABI_H

#include "net/rss_hash.h"

enum {
    RSS_SLOTS = 4,              /* a power of two */
    RSS_COUNTER_ROWS = 4,       /* a power of two */
};

/**
 * struct rss_map: the one value of the map of configurations
 * @active: the slot in force. One aligned store changes it, and with it the
 *          whole configuration.
 * @counting: not 0: count packets
 * @slot: configurations. The program reads no slot but the one that @active
 *        named when it started.
 */
struct rss_map {
    __u32 active;
    __u32 counting;
    __u32 unused[14];   /* a line of the cache, as the slots are some */
    struct rss_policy slot[RSS_SLOTS];
};

_Static_assert(sizeof(struct rss_map) ==
               64 + RSS_SLOTS * sizeof(struct rss_policy),
               "struct rss_map must have no padding");
_Static_assert(sizeof(struct rss_map) <= 4096,
               "a NIC's configuration is meant to take one page");

/**
 * struct rss_hash_map: the one value of the map of hash tables
 * @slot: for each slot of struct rss_map; written before that is active
 */
struct rss_hash_map {
    struct rss_hash_table slot[RSS_SLOTS];
};

/**
 * struct rss_counter_row: one of RSS_COUNTER_ROWS in the map of counters
 * @type: packets by the bit number of their hash type, plus one; those
 *        without a hash at 0
 * @queue: packets by queue
 *
 * A processor adds to the row that the low bits of its number say; a counter
 * is the sum over the rows.
 */
struct rss_counter_row {
    __u64 type[RSS_COUNTED_TYPES];
    __u64 queue[RSS_COUNTED_QUEUES];
};

#endif
