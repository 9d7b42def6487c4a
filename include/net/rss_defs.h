/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of receive-side scaling that everyone must agree on.
 *
 * Read by both compilers, for the host and for BPF: constants only.
 *
 * Sources: virtio 1.4, device-types/net, "Supported/enabled hash types",
 * "Hash reporting for incoming packets" and "Setting RSS parameters".
 */
#ifndef NET_RSS_DEFS_H
#define NET_RSS_DEFS_H

/* Hash types, as in supported_hash_types and hash_types. */
enum {
    RSS_TYPE_IPV4    = 1 << 0,
    RSS_TYPE_TCPV4   = 1 << 1,
    RSS_TYPE_UDPV4   = 1 << 2,
    RSS_TYPE_IPV6    = 1 << 3,
    RSS_TYPE_TCPV6   = 1 << 4,
    RSS_TYPE_UDPV6   = 1 << 5,
    RSS_TYPE_IP_EX   = 1 << 6,
    RSS_TYPE_TCP_EX  = 1 << 7,
    RSS_TYPE_UDP_EX  = 1 << 8,

    RSS_TYPES_ALL    = (1 << 9) - 1,
    RSS_TYPES_EX     = RSS_TYPE_IP_EX | RSS_TYPE_TCP_EX | RSS_TYPE_UDP_EX,
    RSS_TYPES_PORTS  = RSS_TYPE_TCPV4 | RSS_TYPE_UDPV4 |
                       RSS_TYPE_TCPV6 | RSS_TYPE_UDPV6 |
                       RSS_TYPE_TCP_EX | RSS_TYPE_UDP_EX,
    RSS_TYPES_IPV4   = RSS_TYPE_IPV4 | RSS_TYPE_TCPV4 | RSS_TYPE_UDPV4,
};

/* Limits. Linux guests up to 6.18 refuse a device with a longer key. */
enum {
    RSS_KEY_SIZE     = 40,      /* bytes: 36 of input and a 32-bit window */
    RSS_INPUT_MAX    = 36,      /* bytes: two IPv6 addresses, two ports */
    RSS_TABLE_BITS   = 7,
    RSS_TABLE_MAX    = 1 << RSS_TABLE_BITS,     /* entries */

    RSS_COUNTED_TYPES  = 9 + 1,     /* the hash types, and none of them */
    RSS_COUNTED_QUEUES = 256,       /* a tap has no more */
};

#endif
