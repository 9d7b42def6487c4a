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

#endif

/*
 * Loads @len bytes at @offset (both in bytes) into @to. Returns 0, or less
 * than 0 if they are not all there; then @to holds nothing of use.
 *
 * rss_packet_load_head() does the same for RSS_HEAD_LEN bytes, but of a frame
 * that ends before them it takes what there is, and zeros. It returns less than
 * 0 if that is not even RSS_HEAD_MIN bytes.
 *
 * rss_packet_has_tag_beside() says whether the kernel keeps a VLAN tag, 802.1Q
 * or 802.1ad, beside the frame. A tap puts it in front of the tags in the
 * frame, so the guest, and an engine behind the tap, find it there.
 */
RSS_INLINE long rss_packet_load(const RssPacket *pkt, __u32 offset,
                                void *to, __u32 len);

#endif
