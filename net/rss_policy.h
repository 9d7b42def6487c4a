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
 * the policy holds one mask as long as the input for each of these bits: 384
 * bytes, IPv4 and IPv6 together, in place of 36 KiB of byte tables or 4.6 KiB
 * of nibble tables, and no load depends on the packet.
 *
 * Two parities are taken at once: four bytes of the input are put into both
 * halves of a word, and a word of masks has a half for each of two bits of
 * the hash. Eight bytes fill a word. It is used as it is, and once more with
 * its bytes reversed, so that each four of them come to both halves.
 *
 * What remains of all input are four words. They are folded, two into one,
 * until each byte of one word is the parity for one bit.
 */
#ifndef NET_RSS_POLICY_H
#define NET_RSS_POLICY_H

#include "net/rss_defs.h"
#include "rss_flow.h"

/*
 * Masks for the bits 0 and 4 of the hash, 2 and 6, 1 and 5, 3; the first of two
 * in the low half. A half is a number in host order, like the four bytes of
 * the input when loaded as one.
 */
typedef __u64 RssMasks[4];

/**
 * struct rss_policy: a configuration as the engines use it
 * @type: by RSS_FOUND_*, which RSS_TYPE_* applies: its bit number plus one,
 *        or 0 if none does. A byte each, so that IPv4 reads one line less.
 * @ipv4: for each four bytes of the input
 * @ipv6: for each eight bytes of the addresses: as they are, then reversed
 * @ipv6_ports: for the ports
 * @table: receive queues, by the low RSS_TABLE_BITS bits of the hash
 * @unclassified_queue: for packets without a hash
 *
 * This is the content of a map: fixed widths, no padding, host byte order.
 * Its length is a multiple of 64, so that in an array a packet finds what it
 * needs in few lines of the cache.
 */
struct rss_policy {
    __u8 type[RSS_FOUND_ALL + 1];
    RssMasks ipv4[3];
    RssMasks ipv6[4][2];
    RssMasks ipv6_ports;
    __u16 unclassified_queue;
    __u16 unused[15];
    __u16 table[RSS_TABLE_MAX];
};

_Static_assert(sizeof(struct rss_policy) == 704,
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

/* Adds to @sums what @masks leave of @input. */
RSS_INLINE void rss_add_masked(__u64 sums[4], const RssMasks masks, __u64 input)
{
    int i;

    RSS_UNROLL
    for (i = 0; i < 4; i++) {
        sums[i] ^= masks[i] & input;
        /* Or clang loads all masks first and has no registers for them. */
        asm volatile("" : "+r" (sums[i]));
    }
}

/* Four bytes of input, aligned. */
RSS_INLINE void rss_add_4(__u64 sums[4], const RssMasks masks,
                          const __u8 *input)
{
    __u32 bytes;

    __builtin_memcpy(&bytes, __builtin_assume_aligned(input, 4), 4);
    rss_add_masked(sums, masks, bytes * 0x0000000100000001ULL);
}

/* Eight bytes of input, aligned. */
RSS_INLINE void rss_add_8(__u64 sums[4], const RssMasks masks[2],
                          const __u8 *input)
{
    __u64 bytes;

    __builtin_memcpy(&bytes, __builtin_assume_aligned(input, 8), 8);
    rss_add_masked(sums, masks[0], bytes);
    rss_add_masked(sums, masks[1], __builtin_bswap64(bytes));
}

/* The parities of the words' halves, the first bit's in the lowest bit. */
RSS_INLINE __u32 rss_parities(const __u64 sums[4])
{
    const __u64 low = 0x0000ffff0000ffffULL;
    __u64 even = rss_fold(sums[0], sums[1], 16, low);       /* bits 0 2 4 6 */
    __u64 odd = rss_fold(sums[2], sums[3], 16, low);        /* bits 1 3 5 - */
    __u64 x = rss_fold(even, odd, 8, 0x00ff00ff00ff00ffULL);

    x ^= x >> 4;
    x ^= x >> 2;
    x ^= x >> 1;
    x &= 0x0101010101010101ULL;
    return x * 0x0102040810204080ULL >> 56;             /* byte n to bit n */
}

/**
 * rss_hash_bits:
 * @type: what rss_find_input() returned, not 0
 *
 * Returns the low RSS_TABLE_BITS bits of the hash of a flow.
 */
RSS_INLINE __u32 rss_hash_bits(const struct rss_policy *policy,
                               const struct rss_flow *flow, __u32 type)
{
    const __u8 *ipv4 = flow->head + RSS_OFF_IPV4_INPUT;
    const __u8 *ipv6 = flow->head + RSS_OFF_IPV6_INPUT;
    __u64 sums[4] = { 0 };

    if (type & RSS_TYPES_IPV4) {
        rss_add_4(sums, policy->ipv4[0], ipv4);
        rss_add_4(sums, policy->ipv4[1], ipv4 + 4);
        if (RSS_LIKELY(type & RSS_TYPES_PORTS)) {
            rss_add_4(sums, policy->ipv4[2], ipv4 + 8);
        }
    } else {
        rss_add_8(sums, policy->ipv6[0], ipv6);
        rss_add_8(sums, policy->ipv6[1], ipv6 + 8);
        rss_add_8(sums, policy->ipv6[2], ipv6 + 16);
        rss_add_8(sums, policy->ipv6[3], ipv6 + 24);
        if (RSS_LIKELY(type & RSS_TYPES_PORTS)) {
            rss_add_4(sums, policy->ipv6_ports, ipv6 + 32);
        }
    }
    return rss_parities(sums);
}

/* The RSS_TYPE_* that applies to a frame, or 0. */
RSS_INLINE __u32 rss_policy_type(const struct rss_policy *policy, __u32 found)
{
    return 1U << (policy->type[found & RSS_FOUND_ALL] & 0xf) >> 1;
}

/* The rest of rss_find_input() for a packet with extension headers. */
RSS_OUTLINE __u32 rss_find_ext_input(const struct rss_policy *policy,
                                     const RssPacket *pkt,
                                     struct rss_flow *flow)
{
    volatile struct rss_walk walk;
    __u32 found = rss_walk_ext_headers(pkt, flow, &walk);
    __u32 type = rss_policy_type(policy, found);

    if (type & RSS_TYPES_EX) {
        rss_take_ex_addresses(pkt, flow, &walk);
    }
    return type;
}

/**
 * rss_find_input:
 *
 * Dissects the frame @pkt, and makes @flow hold the input of its hash: the
 * addresses and, if the type has RSS_TYPES_PORTS, the ports.
 *
 * Returns the RSS_TYPE_* that applies, or 0 if the frame has no hash.
 */
RSS_INLINE __u32 rss_find_input(const struct rss_policy *policy,
                                const RssPacket *pkt, struct rss_flow *flow)
{
    __u32 found = rss_dissect(pkt, flow);

    if (RSS_UNLIKELY(found & RSS_FOUND_EXT)) {
        return rss_find_ext_input(policy, pkt, flow);
    }
    return rss_policy_type(policy, found);
}

/**
 * rss_queue:
 * @hash: the hash, or at least its low RSS_TABLE_BITS bits
 *
 * Returns the receive queue for a frame with that hash.
 */
RSS_INLINE __u16 rss_queue(const struct rss_policy *policy, __u32 hash)
{
    return policy->table[hash & (RSS_TABLE_MAX - 1)];
}

/**
 * rss_steer:
 * @flow, @type: what rss_find_input() found
 *
 * Returns the receive queue for the frame.
 */
RSS_INLINE __u16 rss_steer(const struct rss_policy *policy,
                           const struct rss_flow *flow, __u32 type)
{
    if (!type) {
        return policy->unclassified_queue;
    }
    return rss_queue(policy, rss_hash_bits(policy, flow, type));
}

#endif
