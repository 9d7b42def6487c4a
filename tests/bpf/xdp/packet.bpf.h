/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs here share: maps' types, and a header at a place. */
#ifndef TESTS_XDP_PACKET_H
#define TESTS_XDP_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define DATA_END(ctx) ((void *)(long)(ctx)->data_end)

/* Whether all of *@header is in the packet. */
#define FITS(ctx, header) ((void *)((header) + 1) <= DATA_END(ctx))

struct vlan {
    __be16 tci;
    __be16 type;
};

/* The IPv4 header behind an untagged Ethernet header; NULL. */
static __always_inline struct iphdr *find_ip4(struct xdp_md *ctx)
{
    struct ethhdr *eth = DATA(ctx);
    struct iphdr *ip = (void *)(eth + 1);

    return FITS(ctx, ip) && eth->h_proto == bpf_htons(ETH_P_IP) ? ip : NULL;
}

static __always_inline void swap_addresses(struct ethhdr *eth)
{
    __u8 old[ETH_ALEN];

    __builtin_memcpy(old, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, old, ETH_ALEN);
}

#endif
