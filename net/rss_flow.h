/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flow dissector: finds in a frame what RSS hashes.
 *
 * Written once, compiled for the host and for BPF, so that the two engines
 * cannot disagree.
 *
 * Theory of operation
 *
 * The first bytes of the frame, less its VLAN tags, are copied to
 * struct rss_flow in one piece: a BPF helper call costs more than the bytes
 * that it copies. There the network header has a fixed place, and so have
 * the addresses and, behind an IPv4 header without options or an IPv6 header
 * without extension headers, the ports. Ports that lie elsewhere are loaded
 * into that same place. So the input of the hash is always one run of bytes:
 *
 *     head[26..33] addresses, head[34..37] ports      IPv4
 *     head[22..53] addresses, head[54..57] ports      IPv6
 *
 * Invariants
 *  - total: every frame of every length has an answer, and it is reached in
 *    a bounded number of steps; for what cannot be classified it is 0;
 *  - what stops the walk along IPv6 extension headers (a fragment, a header
 *    that is cut off, too many of them) leaves the addresses, which are hashed;
 *  - lengths are those of the frame. The length fields of IP are not looked
 *    at, for they are 0 in the largest GSO frames.
 *
 * Limits: RSS_MAX_VLANS and RSS_MAX_STEPS below. A step is an extension
 * header, or an option in a destination options header. RFC 8200, section 4.1,
 * wants at most seven headers in a packet; so there is room for 13 options.
 * More of them would make loading longer, for the verifier walks each step.
 *
 * Most packets have none of tags, options and extension headers. What these
 * need is in functions of their own (RSS_OUTLINE), out of the way of the
 * others: each line of the instruction cache that a packet touches counts.
 * Extension headers are loaded several at once (struct rss_window).
 *
 * The BPF verifier walks every path, and walks on from where paths meet once
 * for each set of values that it knows there. What differs by path is
 * therefore kept in bytes on the stack, of which it knows nothing; and where
 * many paths meet, it is made to notice (rss_paths_meet()). That makes loading
 * several times faster; make bench prints the time, and how many instructions
 * the verifier walks.
 */
#ifndef NET_RSS_FLOW_H
#define NET_RSS_FLOW_H

#include "rss_packet.h"

enum {
    RSS_MAX_VLANS = 8,      /* tags in a frame */
    RSS_MAX_STEPS = 20,     /* along the extension headers of a packet */
};

/* Offsets in a frame without VLAN tags, in bytes. */
enum {
    RSS_OFF_ETHERTYPE = 12,
    RSS_OFF_L3 = 14,
    RSS_OFF_IPV4_FRAG = 20,
    RSS_OFF_IPV4_PROTO = 23,
    RSS_OFF_IPV4_INPUT = 26,
    RSS_OFF_IPV4_PORTS = 34,
    RSS_OFF_IPV6_NEXT = 20,
    RSS_OFF_IPV6_INPUT = 22,
    RSS_OFF_IPV6_PORTS = 54,
};

enum {
    RSS_ETHERTYPE_IPV4 = 0x0800,
    RSS_ETHERTYPE_VLAN = 0x8100,        /* 802.1Q */
    RSS_ETHERTYPE_SVLAN = 0x88a8,       /* 802.1ad */
    RSS_ETHERTYPE_IPV6 = 0x86dd,
};

/* IP protocol numbers (IANA). */
enum {
    RSS_PROTO_HOP_BY_HOP = 0,
    RSS_PROTO_TCP = 6,
    RSS_PROTO_UDP = 17,
    RSS_PROTO_ROUTING = 43,
    RSS_PROTO_FRAGMENT = 44,
    RSS_PROTO_ESP = 50,
    RSS_PROTO_AH = 51,
    RSS_PROTO_DEST_OPTS = 60,
    RSS_PROTO_MOBILITY = 135,
    RSS_PROTO_HIP = 139,
    RSS_PROTO_SHIM6 = 140,
};

enum {
    RSS_TCP_MIN_LEN = 20,
    RSS_UDP_LEN = 8,
    RSS_OPT_PAD1 = 0,
    RSS_OPT_HOME_ADDRESS = 0xc9,        /* RFC 6275, section 6.3 */
    RSS_ROUTING_TYPE_2 = 2,             /* RFC 6275, section 6.4 */
    RSS_ROUTING_TYPE_2_LEN = 2,         /* its length field: 24 bytes */
};

/* What a dissector finds, as bits. They decide on the hash type. */
enum {
    RSS_FOUND_IPV4 = 1 << 0,    /* a sound IPv4 header */
    RSS_FOUND_IPV6 = 1 << 1,    /* a sound IPv6 header */
    RSS_FOUND_TCP = 1 << 2,     /* a TCP header; its ports are in the head */
    RSS_FOUND_UDP = 1 << 3,     /* a UDP header; likewise */
    RSS_FOUND_EXT = 1 << 4,     /* IPv6 extension headers */
    RSS_FOUND_ALL = (1 << 5) - 1,
};

/**
 * struct rss_flow: the bytes that a hash may cover
 * @head: the frame without VLAN tags, as far as the ports; see above
 * @tags: length of the VLAN tags, in bytes
 */
struct rss_flow {
    __u8 align[2];      /* IPv6 addresses are aligned to 8, IPv4's to 4 */
    __u8 head[RSS_HEAD_LEN];
    volatile __u8 tags;
} __attribute__((aligned(8)));

_Static_assert(__builtin_offsetof(struct rss_flow, tags) % 8 != 0,
               "later verifiers know what is in an aligned word of a stack");

/* Two bytes of a frame, as they are there. */
RSS_INLINE __u16 rss_get_16(const __u8 *p)
{
    __u16 value;

    __builtin_memcpy(&value, p, 2);
    return value;
}

RSS_INLINE int rss_is_ext_header(__u8 next)
{
    switch (next) {
    case RSS_PROTO_HOP_BY_HOP:
    case RSS_PROTO_ROUTING:
    case RSS_PROTO_FRAGMENT:
    case RSS_PROTO_ESP:
    case RSS_PROTO_AH:
    case RSS_PROTO_DEST_OPTS:
    case RSS_PROTO_MOBILITY:
    case RSS_PROTO_HIP:
    case RSS_PROTO_SHIM6:
        return 1;
    default:
        return 0;
    }
}

/*
 * @room: bytes in the frame from the transport header on. Returns
 * RSS_FOUND_TCP or RSS_FOUND_UDP if there is a whole header, else 0.
 */
RSS_INLINE __u8 rss_transport(__u8 ip_proto, __u32 room)
{
    if (ip_proto == RSS_PROTO_TCP && room >= RSS_TCP_MIN_LEN) {
        return RSS_FOUND_TCP;
    }
    if (ip_proto == RSS_PROTO_UDP && room >= RSS_UDP_LEN) {
        return RSS_FOUND_UDP;
    }
    return 0;
}

/**
 * struct rss_walk: a place on the way along IPv6 extension headers
 * @end: where the next header begins, in bytes. 16 bits are enough: a header
 *       has 2,048 bytes at the most.
 * @at: where the walk is: before @end at an option, else at @end
 * @home: of the Home Address option's address
 * @rt2: of the type-2 routing header's address
 * @next: what the next header is
 *
 * As long as there is none, @home and @rt2 are where the first header begins:
 * the verifier would know a 0, and walk on for it apart.
 */
struct rss_walk {
    __u16 pad;      /* later verifiers know what is in an aligned word */
    __u16 end;
    __u16 at;
    __u16 home;
    __u16 pad2;     /* likewise */
    __u16 rt2;
    __u8 next;
} __attribute__((aligned(8)));

/* Where the first extension header begins, in bytes. */
RSS_INLINE __u16 rss_walk_start(const struct rss_flow *flow)
{
    return flow->tags + RSS_OFF_IPV6_PORTS;
}

/* One byte of eight, the first is number 0. */
RSS_INLINE __u8 rss_byte(__u64 bytes, int number)
{
    return bytes >> (56 - 8 * number);
}

/*
 * Looks at one destination option. Of one that is cut off, the length is not
 * there, and does not matter: nothing comes behind it.
 */
RSS_INLINE void rss_step_option(volatile struct rss_walk *walk, __u64 option)
{
    const __u8 type = rss_byte(option, 0), len = rss_byte(option, 1);
    const __u32 at = walk->at, end = walk->end;
    __u32 next = type == RSS_OPT_PAD1 ? at + 1 : at + 2 + len;

    if (type == RSS_OPT_HOME_ADDRESS && len == 16 && next <= end) {
        walk->home = at + 2;
        next = end;
    }
    walk->at = next < end ? next : end;
}

/*
 * Looks at one extension header. Returns less than 0 if the walk ends there:
 * the header is cut off, or what follows it cannot be looked into.
 */
RSS_INLINE long rss_step_header(const RssPacket *pkt,
                                volatile struct rss_walk *walk,
                                const struct rss_flow *flow, __u64 header)
{
    const __u16 none = rss_walk_start(flow);
    const __u8 kind = walk->next, len = rss_byte(header, 1);
    __u32 begin = walk->at;
    __u32 end = begin + 8 + len * 8;

    if (kind == RSS_PROTO_FRAGMENT) {
        end = begin + 8;
        if (header >> 32 & 0xfff9) {
            return -1;          /* offset or M: the others have no ports */
        }
    } else if (kind == RSS_PROTO_AH) {
        end = begin + 8 + len * 4;          /* RFC 4302, section 2.2 */
    }
    if (kind == RSS_PROTO_ESP || end > rss_packet_len(pkt)) {
        return -1;
    }
    walk->end = end;
    walk->at = end;

    if (kind == RSS_PROTO_DEST_OPTS && walk->home == none) {
        walk->at = begin + 2;
    }
    if (kind == RSS_PROTO_ROUTING && walk->rt2 == none &&
        rss_byte(header, 2) == RSS_ROUTING_TYPE_2 &&
        len == RSS_ROUTING_TYPE_2_LEN) {
        walk->rt2 = begin + 8;
    }
    walk->next = rss_byte(header, 0);
    return 0;
}

/**
 * rss_walk_ext_headers:
 * @flow: of which rss_dissect() returned RSS_FOUND_EXT
 * @walk: receives where it ended
 *
 * Goes on along the extension headers. Returns RSS_FOUND_*.
 */
RSS_INLINE __u32 rss_walk_ext_headers(const RssPacket *pkt,
                                      struct rss_flow *flow,
                                      volatile struct rss_walk *walk)
{
    struct rss_window window;
    __u64 bytes;
    __u32 ports;
    __u8 transport;
    int i;

    walk->end = walk->at = rss_walk_start(flow);
    walk->home = walk->rt2 = rss_walk_start(flow);
    walk->next = flow->head[RSS_OFF_IPV6_NEXT];
    rss_window_load(&window, pkt, walk->at);

    for (i = 0; i < RSS_MAX_STEPS; i++) {
        bytes = rss_window_get(&window, pkt, walk->at);
        if (walk->at < walk->end) {
            rss_step_option(walk, bytes);
        } else if (!rss_is_ext_header(walk->next) ||
                   rss_step_header(pkt, walk, flow, bytes) < 0) {
            break;
        }
    }
    if (walk->at < walk->end || rss_is_ext_header(walk->next)) {
        return RSS_FOUND_IPV6 | RSS_FOUND_EXT;      /* it ended before them */
    }

    transport = rss_transport(walk->next, rss_packet_len(pkt) - walk->end);
    if (transport) {
        bytes = rss_window_get(&window, pkt, walk->end);
        ports = RSS_BE32((__u32)(bytes >> 32));
        __builtin_memcpy(__builtin_assume_aligned(
                             flow->head + RSS_OFF_IPV6_PORTS, 4), &ports, 4);
    }
    return RSS_FOUND_IPV6 | RSS_FOUND_EXT | transport;
}

/**
 * rss_take_ex_addresses:
 *
 * Puts the addresses that the RSS_TYPES_EX hash where the others have theirs,
 * those that are there. The loads do not fail: the headers are whole.
 */
RSS_INLINE void rss_take_ex_addresses(const RssPacket *pkt,
                                      struct rss_flow *flow,
                                      const volatile struct rss_walk *walk)
{
    __u8 *addresses = flow->head + RSS_OFF_IPV6_INPUT;

    if (walk->home != rss_walk_start(flow)) {
        rss_packet_load(pkt, walk->home, addresses, 16);
    }
    if (walk->rt2 != rss_walk_start(flow)) {
        rss_packet_load(pkt, walk->rt2, addresses + 16, 16);
    }
}

/* @room: bytes in the frame from the transport header on. */
RSS_INLINE __u32 rss_look_into_ipv4(const __u8 *head, __u32 room)
{
    if (RSS_LIKELY(!(rss_get_16(head + RSS_OFF_IPV4_FRAG) &
                     RSS_BE16(0x3fff)))) {
        return RSS_FOUND_IPV4 |
               rss_transport(head[RSS_OFF_IPV4_PROTO], room);
    }
    return RSS_FOUND_IPV4;      /* RFC 791: MF or an offset; never DF */
}

/* The header is not one of 20 bytes: it has options, or is not sound. */
RSS_OUTLINE __u32 rss_dissect_ipv4_options(const RssPacket *pkt,
                                           struct rss_flow *flow)
{
    const __u8 *head = flow->head;
    __u32 len = rss_packet_len(pkt) - flow->tags;
    __u32 offset = RSS_OFF_L3 + (head[RSS_OFF_L3] & 0xf) * 4;
    __u32 found;

    if (head[RSS_OFF_L3] >> 4 != 4 || offset < RSS_OFF_IPV4_PORTS ||
        offset > len) {
        return 0;
    }
    found = rss_look_into_ipv4(head, len - offset);
    if (found != RSS_FOUND_IPV4 &&
        rss_packet_load(pkt, flow->tags + offset,
                        flow->head + RSS_OFF_IPV4_PORTS, 4) < 0) {
        return RSS_FOUND_IPV4;
    }
    return found;
}

/* Returns RSS_FOUND_*, like the next one. */
RSS_INLINE __u32 rss_dissect_ipv4(const RssPacket *pkt, struct rss_flow *flow)
{
    if (RSS_LIKELY(flow->head[RSS_OFF_L3] == (4 << 4 | 5))) {
        return rss_look_into_ipv4(flow->head, rss_packet_len(pkt) -
                                  flow->tags - RSS_OFF_IPV4_PORTS);
    }
    return rss_dissect_ipv4_options(pkt, flow);
}

RSS_INLINE __u32 rss_dissect_ipv6(const RssPacket *pkt, struct rss_flow *flow)
{
    __u32 len = rss_packet_len(pkt) - flow->tags;
    __u8 next = flow->head[RSS_OFF_IPV6_NEXT];
    __u32 transport;

    if (flow->head[RSS_OFF_L3] >> 4 != 6 || len < RSS_OFF_IPV6_PORTS) {
        return 0;
    }
    transport = rss_transport(next, len - RSS_OFF_IPV6_PORTS);
    if (RSS_LIKELY(transport || !rss_is_ext_header(next))) {
        return RSS_FOUND_IPV6 | transport;
    }
    return RSS_FOUND_IPV6 | RSS_FOUND_EXT;
}

/* Two bytes, as they are in the frame. */
RSS_INLINE int rss_is_vlan(__u16 ethertype)
{
    return ethertype == RSS_BE16(RSS_ETHERTYPE_VLAN) ||
           ethertype == RSS_BE16(RSS_ETHERTYPE_SVLAN);
}

/*
 * Finds where the tags of a tagged frame end. Returns their length in bytes, or
 * 0 if the guest sees more than RSS_MAX_VLANS. All EtherTypes that it looks at
 * are in the head; in a frame that ends first they are 0.
 */
RSS_INLINE __u8 rss_skip_vlans(const RssPacket *pkt, const __u8 *head)
{
    int i;

    RSS_UNROLL
    for (i = 1; i < RSS_MAX_VLANS; i++) {
        if (!rss_is_vlan(rss_get_16(head + RSS_OFF_ETHERTYPE + 4 * i))) {
            return 4 * i;
        }
    }
    if (rss_is_vlan(rss_get_16(head + RSS_OFF_ETHERTYPE + 4 * i)) ||
        rss_packet_has_tag_beside(pkt)) {
        return 0;
    }
    return 4 * i;
}

/* The same as rss_dissect(), of a frame whose head is there. */
RSS_INLINE __u32 rss_dissect_head(const RssPacket *pkt, struct rss_flow *flow,
                                  __u16 ethertype)
{
    if (RSS_LIKELY(ethertype == RSS_BE16(RSS_ETHERTYPE_IPV4))) {
        return rss_dissect_ipv4(pkt, flow);
    }
    if (RSS_LIKELY(ethertype == RSS_BE16(RSS_ETHERTYPE_IPV6))) {
        return rss_dissect_ipv6(pkt, flow);
    }
    return 0;
}

RSS_OUTLINE __u32 rss_dissect_tagged(const RssPacket *pkt,
                                     struct rss_flow *flow)
{
    flow->tags = rss_skip_vlans(pkt, flow->head);
    if (!flow->tags ||
        rss_packet_load_head(pkt, flow->tags, flow->head) < 0) {
        return 0;
    }
    /* Now the first 12 bytes are tags in place of MAC addresses. */
    return rss_dissect_head(pkt, flow,
                            rss_get_16(flow->head + RSS_OFF_ETHERTYPE));
}

/**
 * rss_dissect:
 * @pkt: the frame
 * @flow: receives what was found; need not be initialized
 *
 * Returns RSS_FOUND_*, 0 if the frame is not IP or its IP header is not sound.
 * After RSS_FOUND_EXT go on with rss_walk_ext_headers().
 */
RSS_INLINE __u32 rss_dissect(const RssPacket *pkt, struct rss_flow *flow)
{
    __u16 ethertype;
    __u32 found;

    if (rss_packet_load_head(pkt, 0, flow->head) < 0) {
        return 0;
    }
    flow->tags = 0;
    ethertype = rss_get_16(flow->head + RSS_OFF_ETHERTYPE);
    found = rss_dissect_head(pkt, flow, ethertype);
    if (!found && rss_is_vlan(ethertype)) {
        return rss_dissect_tagged(pkt, flow);
    }
    return found;
}

#endif
