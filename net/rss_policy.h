/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steering policy: which hash type applies to a flow, the bits of its
 * hash that choose an entry of the indirection table, and the queue there.
 *
 * Written once, compiled for the host and for BPF.
 *
 * Theory of operation
 *
 * The Toeplitz hash is linear: each of its bits is the parity of the input's
 * bits under a mask that depends on the key alone. An indirection table of
 * 2^n entries needs n bits of the hash, and n is at most RSS_TABLE_BITS. So
 * the policy holds one mask as long as the input for each of these bits: 288
 * bytes in place of 36 KiB of byte tables or 4.6 KiB of nibble tables, and no
 * load depends on the packet.
 *
 * Two parities are taken at once: four bytes of the input are put into both
 * halves of a word, and a word of masks has a half for each of two bits of
 * the hash. What remains of all input are four words. They are folded, two
 * into one, until each byte of one word is the parity for one bit.
 */
#ifndef NET_RSS_POLICY_H
#define NET_RSS_POLICY_H

#include "net/rss_defs.h"
#include "rss_flow.h"

/**
 * struct rss_policy: a configuration as the engines use it
 * @hash_types: RSS_TYPE_* that are enabled
 * @table_mask: number of entries in @table, less one
 * @unclassified_queue: for packets without a hash
 * @mask: for each four bytes of the input the masks for bits 0 and 4 of the
 *        hash, 2 and 6, 1 and 5, 3; the first of two in the low half. A half
 *        is a number in host order, like the four bytes when loaded as one
 * @table: receive queues, by the low bits of the hash
 *
 * This is the content of a map: fixed widths, no padding, host byte order.
 */
struct rss_policy {
    __u32 hash_types;
    __u16 table_mask;
    __u16 unclassified_queue;
    __u64 mask[RSS_INPUT_MAX / 4][4];
    __u16 table[RSS_TABLE_MAX];
};

_Static_assert(sizeof(struct rss_policy) ==
               8 + 8 * RSS_INPUT_MAX + 2 * RSS_TABLE_MAX,
               "struct rss_policy must have no padding");
_Static_assert(RSS_TABLE_BITS <= 8, "a bit of the hash has a byte of a word");

/* That one of two hash types which applies to the transport in @found. */
RSS_INLINE __u32 rss_transport_type(__u32 found, __u32 tcp, __u32 udp)
{
    return found & RSS_FOUND_TCP ? tcp : found & RSS_FOUND_UDP ? udp : 0;
}

/**
 * rss_select_type:
 * @found: RSS_FOUND_* of a frame
 *
 * Returns the one RSS_TYPE_* of @hash_types that applies to it, or 0.
 * Virtio 1.4, "Hash calculation for incoming packets".
 */
RSS_INLINE __u32 rss_select_type(__u32 found, __u32 hash_types)
{
    __u32 type;

    if (found & RSS_FOUND_IPV4) {
        type = hash_types & rss_transport_type(found, RSS_TYPE_TCPV4,
                                               RSS_TYPE_UDPV4);
        return type ? type : hash_types & RSS_TYPE_IPV4;
    }
    if (!(found & RSS_FOUND_IPV6)) {
        return 0;
    }
    if (found & RSS_FOUND_EXT) {
        type = hash_types & rss_transport_type(found, RSS_TYPE_TCP_EX,
                                               RSS_TYPE_UDP_EX);
        type = type ? type : hash_types & RSS_TYPE_IP_EX;
        if (type) {
            return type;
        }
    }
    type = hash_types & rss_transport_type(found, RSS_TYPE_TCPV6,
                                           RSS_TYPE_UDPV6);
    return type ? type : hash_types & RSS_TYPE_IPV6;
}

/**
 * rss_prepare_input:
 * @found: RSS_FOUND_* of the frame in @flow
 * @type: what rss_select_type() returned for it, not 0
 *
 * Puts the input of the hash where the dissector keeps it: the addresses that
 * @type asks for, and zeros for the ports if it does not ask for them, for
 * zeros add nothing to a Toeplitz hash.
 */
RSS_INLINE void rss_prepare_input(struct rss_flow *flow, __u32 found,
                                  __u32 type)
{
    __u8 *addresses = flow->head + RSS_OFF_IPV6_INPUT;

    if (type & RSS_TYPES_EX) {
        if (found & RSS_FOUND_HOME) {
            __builtin_memcpy(addresses, flow->home, 16);
        }
        if (found & RSS_FOUND_RT2) {
            __builtin_memcpy(addresses + 16, flow->rt2, 16);
        }
    }
    if (!(type & RSS_TYPES_PORTS)) {
        if (type & RSS_TYPES_IPV4) {
            __builtin_memset(flow->head + RSS_OFF_IPV4_PORTS, 0, 4);
        } else {
            __builtin_memset(flow->head + RSS_OFF_IPV6_PORTS, 0, 4);
        }
    }
}

/*
 * Folds lanes of @lane bits: the even lanes of the result are a lane of @a XOR
 * the one above it, the odd lanes the same of @b. @low has the bits of the
 * even lanes set.
 */
RSS_INLINE __u64 rss_fold(__u64 a, __u64 b, int lane, __u64 low)
{
    __u64 t = (a >> lane ^ b) & low;

    return a ^ b ^ t ^ t << lane;
}

/*
 * The parities of the @len bytes at @input under all masks, the first one's in
 * the lowest bit. @input is aligned to 4 bytes, and so is @len.
 */
RSS_INLINE __u32 rss_parities(const __u64 (*mask)[4], const __u8 *input,
                              int len)
{
    __u64 a = 0, b = 0, c = 0, d = 0, x;
    __u32 bytes;
    int i;

    RSS_UNROLL
    for (i = 0; i < len / 4; i++) {
        __builtin_memcpy(&bytes, __builtin_assume_aligned(input + 4 * i, 4), 4);
        x = bytes * 0x0000000100000001ULL;
        a ^= mask[i][0] & x;
        b ^= mask[i][1] & x;
        c ^= mask[i][2] & x;
        d ^= mask[i][3] & x;
        /* Or clang loads all masks first and has no registers for them. */
        asm volatile("" : "+r" (a), "+r" (b), "+r" (c), "+r" (d));
    }

    a = rss_fold(a, b, 16, 0x0000ffff0000ffffULL);      /* 0 2 4 6 */
    c = rss_fold(c, d, 16, 0x0000ffff0000ffffULL);      /* 1 3 5 - */
    x = rss_fold(a, c, 8, 0x00ff00ff00ff00ffULL);       /* 0 1 2 3 4 5 6 - */
    x ^= x >> 4;
    x ^= x >> 2;
    x ^= x >> 1;
    x &= 0x0101010101010101ULL;
    return x * 0x0102040810204080ULL >> 56;             /* byte n to bit n */
}

/**
 * rss_hash_bits:
 *
 * Returns the low RSS_TABLE_BITS bits of the hash of a flow that has a type.
 */
RSS_INLINE __u32 rss_hash_bits(const struct rss_policy *policy,
                               const struct rss_flow *flow)
{
    if (flow->type & RSS_TYPES_IPV4) {
        return rss_parities(policy->mask, flow->head + RSS_OFF_IPV4_INPUT, 12);
    }
    return rss_parities(policy->mask, flow->head + RSS_OFF_IPV6_INPUT, 36);
}

/**
 * rss_find_input:
 *
 * Dissects the frame @pkt, and makes @flow hold the type that applies to it,
 * or 0 if the frame has no hash, and the input of the hash.
 *
 * Returns the type. A BPF program reads it from @flow, where the verifier does
 * not follow it.
 */
RSS_INLINE __u32 rss_find_input(const struct rss_policy *policy,
                                const RssPacket *pkt, struct rss_flow *flow)
{
    __u32 found = rss_dissect(pkt, flow);
    __u32 type = rss_select_type(found, policy->hash_types);

    flow->type = type;
    if (type) {
        rss_prepare_input(flow, found, type);
    }
    return type;
}

/**
 * rss_queue:
 * @hash: the hash, or at least its low RSS_TABLE_BITS bits
 *
 * Returns the receive queue for a frame with that hash.
 */
RSS_INLINE __u16 rss_queue(const struct rss_policy *policy, __u32 hash)
{
    return policy->table[hash & policy->table_mask & (RSS_TABLE_MAX - 1)];
}

/**
 * rss_steer:
 * @flow: as rss_find_input() left it
 *
 * Returns the receive queue for the frame.
 */
RSS_INLINE __u16 rss_steer(const struct rss_policy *policy,
                           const struct rss_flow *flow)
{
    if (!flow->type) {
        return policy->unclassified_queue;
    }
    return rss_queue(policy, rss_hash_bits(policy, flow));
}

#endif
