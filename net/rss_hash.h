/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole hash of a flow, by tables: what a hash report needs.
 *
 * Written once, compiled for the host and for BPF.
 *
 * Theory of operation
 *
 * The Toeplitz hash is linear: that of an input is the sum (XOR) of what each
 * four bits of it add, and that depends on the key and on where they are. So
 * there is a table of 16 numbers for each four bits: 4.5 KiB for 36 bytes of
 * input. Tables by bytes would take half the lookups, and 36 KiB; the masks
 * that steer (rss_policy.h), which have 7 of the 32 bits, four times their
 * time.
 */
#ifndef NET_RSS_HASH_H
#define NET_RSS_HASH_H

#include "rss_policy.h"

enum {
    RSS_NIBBLES = 2 * RSS_INPUT_MAX,
};

/**
 * struct rss_hash_table: a key as the program that reports hashes uses it
 * @nibble: by the place of four bits in the input, the higher four of a byte
 *          first, and by their value: what they add to the hash
 *
 * This is the content of a map: fixed widths, no padding, host byte order.
 */
struct rss_hash_table {
    __u32 nibble[RSS_NIBBLES][16];
};

_Static_assert(sizeof(struct rss_hash_table) == 4608,
               "struct rss_hash_table must have no padding");

/*
 * The bit number of the one RSS_TYPE_* in @type, plus one; 0 if there is none:
 * a report code. Without a branch, for the verifier would take each.
 */
RSS_INLINE __u32 rss_type_index(__u32 type)
{
    __u32 bit0 = type >> 1 | type >> 3 | type >> 5 | type >> 7;
    __u32 bit1 = type >> 2 | type >> 3 | type >> 6 | type >> 7;
    __u32 bit2 = type >> 4 | type >> 5 | type >> 6 | type >> 7;
    __u32 bit3 = type >> 8;
    __u32 any = bit0 | bit1 | bit2 | bit3 | type;

    return (bit3 << 3 | (bit2 & 1) << 2 | (bit1 & 1) << 1 | (bit0 & 1)) +
           (any & 1);
}

/* What the @len bytes of @input add that begin at its byte @from. */
RSS_INLINE __u32 rss_add_nibbles(const struct rss_hash_table *table,
                                 const __u8 *input, int from, int len)
{
    __u32 hash = 0;
    int i;

    RSS_UNROLL
    for (i = from; i < from + len; i++) {
        hash ^= table->nibble[2 * i][input[i] >> 4] ^
                table->nibble[2 * i + 1][input[i] & 0xf];
        /* Or clang loads more at once than it has registers for. */
        asm volatile("" : "+r" (hash));
    }
    return hash;
}

/**
 * rss_hash:
 * @type: what rss_find_input() returned, not 0
 *
 * Returns the hash of a flow, all 32 bits of it, in host order.
 */
RSS_INLINE __u32 rss_hash(const struct rss_hash_table *table,
                          const struct rss_flow *flow, __u32 type)
{
    const __u8 *ipv4 = flow->head + RSS_OFF_IPV4_INPUT;
    const __u8 *ipv6 = flow->head + RSS_OFF_IPV6_INPUT;
    __u32 hash;

    if (type & RSS_TYPES_IPV4) {
        hash = rss_add_nibbles(table, ipv4, 0, 8);
        if (RSS_LIKELY(type & RSS_TYPES_PORTS)) {
            hash ^= rss_add_nibbles(table, ipv4, 8, 4);
        }
    } else {
        hash = rss_add_nibbles(table, ipv6, 0, 32);
        if (RSS_LIKELY(type & RSS_TYPES_PORTS)) {
            hash ^= rss_add_nibbles(table, ipv6, 32, 4);
        }
    }
    return hash;
}

#endif
