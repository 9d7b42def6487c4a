/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of the programs in variants.bpf.c, all in one map. Both compilers
 * read this file. Positions are those in the hash's input, which are the same
 * for IPv4 (bytes 0 to 11) and IPv6 (bytes 0 to 35).
 */
#ifndef BENCH_VARIANTS_ABI_H
#define BENCH_VARIANTS_ABI_H

#include "net/rss_policy.h"

enum {
    VARIANT_IPV4_WORDS = 2,     /* 4 bytes, then 8 */
    VARIANT_IPV6_WORDS = 5,     /* 4 times 8 bytes, then 4 */
    VARIANT_HASH_BYTES = 4,
};

/**
 * struct variant_tables
 * @policy: types and indirection table, as the product compiles them
 * @mask4, @mask6: for each word of the input, one mask for each of 7 bits of
 *                 the hash
 * @lane32: masks for 4 bytes, in 2 lanes: for 4 pairs of bits of the hash
 *          (0 4, 1 5, 2 6, 3 -)
 * @whole32: the same for each byte of the hash, with all bits; 1.1 KiB
 * @lane16: masks for 2 bytes, in 4 lanes: bits 0 2 4 6, then bits 1 3 5 -
 * @lane8: mask for a byte, in 8 lanes, one for each bit
 * @nibble8, @byte8: the low 8 bits of what a half byte (the high one first)
 *                 or a byte adds to the hash; 1.1 and 9 KiB
 * @nibble32, @byte32: all that it adds; 4.5 and 36 KiB
 */
struct variant_tables {
    struct rss_policy policy;
    __u64 mask4[VARIANT_IPV4_WORDS][RSS_TABLE_BITS];
    __u64 mask6[VARIANT_IPV6_WORDS][RSS_TABLE_BITS];
    __u64 lane32[RSS_INPUT_MAX / 4][4];
    __u64 whole32[VARIANT_HASH_BYTES][RSS_INPUT_MAX / 4][4];
    __u64 lane16[RSS_INPUT_MAX / 2][2];
    __u64 lane8[RSS_INPUT_MAX];
    __u8 nibble8[2 * RSS_INPUT_MAX][16];
    __u32 nibble32[2 * RSS_INPUT_MAX][16];
    __u8 byte8[RSS_INPUT_MAX][256];
    __u32 byte32[RSS_INPUT_MAX][256];
};

#endif
