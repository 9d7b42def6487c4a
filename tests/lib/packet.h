/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames from recipes: words for what is in the frame, from the front.
 *
 *     "eth vlan ip4:df tcp"
 *     "eth ip6 hop dst:home frag tcp"
 *     "eth ip4:ihl=15,mf udp raw:100"
 *
 * A word is one header, with settings behind a colon:
 *
 *     eth              destination and source MAC address
 *     vlan svlan       a tag, 802.1Q or 802.1ad
 *     type:N           an EtherType (vlan, ip4 and ip6 write their own)
 *     ip4              settings ihl=N df mf off=N ver=N proto=N
 *     ip6              settings ver=N next=N
 *     hop dst mob hip shim     extension headers; settings len=N (length
 *                      field), next=N; dst and hop also take options, in
 *                      their order: pad1 padn=N opt=N home home=N (length)
 *     rt               settings type=N len=N next=N
 *     frag             settings off=N m next=N
 *     ah               settings len=N next=N
 *     esp tcp udp icmp6
 *     raw:N            N bytes
 *
 * Numbers may be hexadecimal. Each header is announced by the one before it,
 * unless that has a setting next=N or proto=N. An extension header is as long
 * as its options need if len is not given; with len=N it gets the 8 * N + 8
 * bytes that N says (for ah: 4 * N + 8), filled with Pad1.
 */
#ifndef TESTS_PACKET_H
#define TESTS_PACKET_H

#include <glib.h>
#include <stdint.h>

/* The addresses and ports in a frame, in wire order. */
typedef struct PacketFlow {
    uint8_t src4[4], dst4[4];
    uint8_t src6[16], dst6[16];
    uint8_t home[16];           /* Home Address option */
    uint8_t routed_to[16];      /* type 2 routing header */
    uint8_t ports[4];           /* source, destination */
} PacketFlow;

/* A flow whose bytes all differ. */
extern const PacketFlow packet_flow;

/* Fills a flow with random bytes. */
void packet_random_flow(GRand *rand, PacketFlow *flow);

/* The frame that @recipe describes; a recipe that is wrong aborts. */
GByteArray *packet_build(const char *recipe, const PacketFlow *flow);

/* The bytes in hex, for a message. To be freed. */
char *packet_hex(const uint8_t *data, size_t len);

#endif
