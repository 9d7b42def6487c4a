/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the dissector reads a frame: the one accessor that differs between the
 * two engines. Everything that is built on it is written once.
 *
 * A frame starts at the destination MAC address. In a steering program that
 * is where skb->data points, so offsets are taken from there; they must not
 * be taken from skb->mac_header, which a sender with PACKET_QDISC_BYPASS
 * leaves unset.
 */
#ifndef NET_RSS_PACKET_H
#define NET_RSS_PACKET_H

#include <linux/types.h>

enum {
    RSS_HEAD_LEN = 58,      /* bytes: Ethernet, IPv6, ports */
    RSS_HEAD_MIN = 34,      /* Ethernet, IPv4 */
};

/* A number as it is in a frame. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RSS_BE16(x) ((x) >> 8 | ((x) & 0xff) << 8)
#define RSS_BE32(x) __builtin_bswap32(x)
#define RSS_BE64(x) __builtin_bswap64(x)
#else
#define RSS_BE16(x) (x)
#define RSS_BE32(x) (x)
#define RSS_BE64(x) (x)
#endif

#define RSS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define RSS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#ifdef __bpf__

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define RSS_INLINE static __always_inline
#define RSS_OUTLINE static __noinline
#define RSS_UNROLL _Pragma("unroll")

typedef struct __sk_buff RssPacket;

RSS_INLINE __u32 rss_packet_len(const RssPacket *pkt)
{
    return pkt->len;
}

RSS_INLINE int rss_packet_has_tag_beside(const RssPacket *pkt)
{
    return pkt->vlan_present;
}

RSS_INLINE long rss_packet_load(const RssPacket *pkt, __u32 offset,
                                void *to, __u32 len)
{
    return bpf_skb_load_bytes(pkt, offset, to, len);
}

/* The helper that failed has written zeros to @to, as the verifier demands. */
RSS_OUTLINE long rss_packet_load_short_head(const RssPacket *pkt, __u32 offset,
                                            __u8 *to)
{
    __u32 len = pkt->len - offset;

    if (len < RSS_HEAD_MIN || len >= RSS_HEAD_LEN) {
        return -1;
    }
    return bpf_skb_load_bytes(pkt, offset, to, len);
}

RSS_INLINE long rss_packet_load_head(const RssPacket *pkt, __u32 offset,
                                     __u8 to[RSS_HEAD_LEN])
{
    if (RSS_LIKELY(bpf_skb_load_bytes(pkt, offset, to, RSS_HEAD_LEN) == 0)) {
        return 0;
    }
    return rss_packet_load_short_head(pkt, offset, to);
}

/*
 * Where paths meet, for the verifier: it goes on once for all of them if it has
 * kept a state there, and it keeps one when eight instructions and two jumps
 * are behind it. These are, and the kernel takes them out of the program.
 */
RSS_INLINE void rss_paths_meet(void)
{
    asm volatile("goto +0\n goto +0\n goto +0\n goto +0\n"
                 "goto +0\n goto +0\n goto +0\n goto +0");
}

/* All bits if @value is less than 0, else none. No branch. */
RSS_INLINE __s64 rss_if_negative(__s64 value)
{
    value >>= 63;
    asm volatile("" : "+r" (value));
    return value;
}

/*
 * A piece of the frame, in whole words, of which @start is the first byte.
 *
 * A word is picked by masks: not before Linux 5.12 may a program read its stack
 * at an offset that the verifier does not know, and branches it would all walk.
 */
struct rss_window {
    __u64 word[3];
    __u16 pad;      /* later verifiers know what is in an aligned word */
    volatile __u16 start;
};

/*
 * It does not fail, for near the frame's end it begins before @offset. If it
 * did, the helper would have written zeros.
 */
RSS_INLINE void rss_window_load(struct rss_window *window,
                                const RssPacket *pkt, __u32 offset)
{
    const __u32 len = sizeof(window->word);
    __s64 room = (__s64)pkt->len - len - offset;

    offset += room & rss_if_negative(room);
    window->start = offset;
    bpf_skb_load_bytes(pkt, offset, window->word, len);
}

RSS_INLINE __u64 rss_window_get(struct rss_window *window,
                                const RssPacket *pkt, __u32 offset)
{
    const __u64 *word = window->word;
    __u64 at, first, second;
    __s64 mask;

    rss_paths_meet();
    if ((__u32)(offset - window->start) > sizeof(window->word) - 8) {
        rss_window_load(window, pkt, offset);
    }
    rss_paths_meet();
    at = offset - window->start;
    mask = rss_if_negative(at - 16);
    first = word[2] ^ ((word[2] ^ word[1]) & mask);
    second = word[2] & mask;
    mask = rss_if_negative(at - 8);
    first ^= (word[1] ^ word[0]) & mask;
    second ^= (word[2] ^ word[1]) & mask;
    at = at % 8 * 8;
    return RSS_BE64(first) << at | RSS_BE64(second) >> 1 >> (63 - at);
}

#else

#include <string.h>

#define RSS_INLINE static inline __attribute__((always_inline))
#define RSS_OUTLINE static __attribute__((noinline))
#define RSS_UNROLL _Pragma("GCC unroll 18")

typedef struct RssPacket {
    const __u8 *data;
    __u32 len;          /* bytes */
} RssPacket;

RSS_INLINE __u32 rss_packet_len(const RssPacket *pkt)
{
    return pkt->len;
}

RSS_INLINE int rss_packet_has_tag_beside(const RssPacket *pkt)
{
    return 0;
}

RSS_INLINE long rss_packet_load(const RssPacket *pkt, __u32 offset,
                                void *to, __u32 len)
{
    if (offset > pkt->len || len > pkt->len - offset) {
        return -1;
    }
    memcpy(to, pkt->data + offset, len);
    return 0;
}

/*
 * In pieces that hold what is read together later, the addresses above all: a
 * load that spans two stores waits until both have reached the cache.
 */
RSS_INLINE long rss_packet_load_head(const RssPacket *pkt, __u32 offset,
                                     __u8 to[RSS_HEAD_LEN])
{
    const __u8 *from = pkt->data + offset;
    __u32 len = pkt->len - offset;

    if (offset > pkt->len || len < RSS_HEAD_MIN) {
        return -1;
    }
    if (RSS_UNLIKELY(len < RSS_HEAD_LEN)) {
        memcpy(to, from, len);
        memset(to + len, 0, RSS_HEAD_LEN - len);
        return 0;
    }
    memcpy(to, from, 16);
    memcpy(to + 10, from + 10, 16);
    memcpy(to + 22, from + 22, 16);
    memcpy(to + 50, from + 50, 8);
    memcpy(to + 38, from + 38, 16);
    return 0;
}

/* All of the frame can be seen. */
struct rss_window {
};

RSS_INLINE void rss_window_load(struct rss_window *window,
                                const RssPacket *pkt, __u32 offset)
{
}

RSS_INLINE __u64 rss_window_get(struct rss_window *window,
                                const RssPacket *pkt, __u32 offset)
{
    __u64 bytes = 0;

    if (RSS_LIKELY(offset + 8 <= pkt->len)) {
        memcpy(&bytes, pkt->data + offset, 8);
    } else if (offset < pkt->len) {
        memcpy(&bytes, pkt->data + offset, pkt->len - offset);
    }
    return RSS_BE64(bytes);
}

#endif

/*
 * Loads @len bytes at @offset (both in bytes) into @to. Returns 0, or less
 * than 0 if they are not all there; then @to holds nothing of use.
 *
 * rss_packet_load_head() does the same for RSS_HEAD_LEN bytes, but of a frame
 * that ends before them it takes what there is, and zeros. It returns less than
 * 0 if that is not even RSS_HEAD_MIN bytes.
 *
 * rss_window_get() returns the eight bytes at @offset as a number, the first in
 * the highest bits; of those that the frame does not have, any. The window must
 * have been loaded once, from a frame of 24 bytes or more. It is loaded again
 * where that is needed, so going forward in small steps is cheap.
 *
 * rss_packet_has_tag_beside() says whether the kernel keeps a VLAN tag, 802.1Q
 * or 802.1ad, beside the frame. A tap puts it in front of the tags in the
 * frame, so the guest, and an engine behind the tap, find it there.
 */
RSS_INLINE long rss_packet_load(const RssPacket *pkt, __u32 offset,
                                void *to, __u32 len);

#endif
