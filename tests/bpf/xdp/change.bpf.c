/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that change packets. */
#include "packet.bpf.h"

SEC("xdp") int swap(struct xdp_md *ctx)
{
    struct ethhdr *eth = DATA(ctx);

    if (!FITS(ctx, eth) || eth->h_proto == bpf_htons(ETH_P_ARP)) {
        return XDP_PASS;
    }
    swap_addresses(eth);
    return XDP_TX;
}

SEC("xdp") int reflect(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    struct udphdr *udp = (void *)(ip + 1);
    __be32 address;
    __be16 port;

    if (!ip || ip->protocol != IPPROTO_UDP || !FITS(ctx, udp)) {
        return XDP_PASS;
    }
    swap_addresses(DATA(ctx));
    address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    port = udp->source;
    udp->source = udp->dest;
    udp->dest = port;
    return XDP_TX;
}

/* Zeros behind the first 40 bytes, one by one. */
SEC("xdp") int blank(struct xdp_md *ctx)
{
    __u8 *at = DATA(ctx) + 40;
    int i;

#pragma clang loop unroll(disable)
    for (i = 0; i < 40 && FITS(ctx, at); i++, at++) {
        *at = 0;
    }
    return XDP_TX;
}

/* Into an IPv4 tunnel. */
SEC("xdp") int encapsulate(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx), *inner;
    struct ethhdr *eth, old;
    __u32 sum;
    int len;

    if (!ip) {
        return XDP_PASS;
    }
    __builtin_memcpy(&old, DATA(ctx), sizeof(old));
    len = bpf_ntohs(ip->tot_len);
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip))) {
        return XDP_DROP;
    }
    eth = DATA(ctx);
    ip = (void *)(eth + 1);
    inner = ip + 1;
    if (!FITS(ctx, inner)) {
        return XDP_DROP;
    }
    *eth = old;
    ip->version = 4;
    ip->ihl = 5;
    ip->tos = 0;
    ip->tot_len = bpf_htons(len + sizeof(*ip));
    ip->id = 0;
    ip->frag_off = 0;
    ip->ttl = 8;
    ip->protocol = IPPROTO_IPIP;
    ip->check = 0;
    ip->saddr = inner->daddr;
    ip->daddr = inner->saddr;
    sum = bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0);
    sum = (sum & 0xffff) + (sum >> 16);
    ip->check = ~((sum & 0xffff) + (sum >> 16));
    return XDP_TX;
}

/* Takes the first 20 bytes behind the Ethernet header for a tunnel's. */
SEC("xdp") int decapsulate(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx), *inner = ip + 1;
    struct ethhdr *eth, old;

    if (!ip || ip->ihl != 5 || !FITS(ctx, inner)) {
        return XDP_PASS;
    }
    __builtin_memcpy(&old, DATA(ctx), sizeof(old));
    if (bpf_xdp_adjust_head(ctx, sizeof(*ip))) {
        return XDP_DROP;
    }
    eth = DATA(ctx);
    if (!FITS(ctx, eth)) {
        return XDP_DROP;
    }
    *eth = old;
    return XDP_PASS;
}

/* Cut to 64 bytes. */
SEC("xdp") int trim(struct xdp_md *ctx)
{
    int len = bpf_xdp_get_buff_len(ctx);

    if (len > 64 && bpf_xdp_adjust_tail(ctx, 64 - len)) {
        return XDP_DROP;
    }
    return XDP_TX;
}

/* The last 8 bytes cut off; for kernels that do not tell the length, too. */
SEC("xdp") int shorten(struct xdp_md *ctx)
{
    __u8 *at = DATA(ctx) + 100;

    if (!FITS(ctx, at) || bpf_xdp_adjust_tail(ctx, -8)) {
        return XDP_PASS;
    }
    return XDP_TX;
}

/* What is added has to be zeros, not what was there before. */
SEC("xdp") int grow(struct xdp_md *ctx)
{
    if (bpf_xdp_get_buff_len(ctx) < 200 || bpf_xdp_adjust_tail(ctx, -50)) {
        return XDP_PASS;
    }
    return bpf_xdp_adjust_tail(ctx, 40) ? XDP_DROP : XDP_TX;
}

SEC("xdp") int store_bytes(struct xdp_md *ctx)
{
    static const char mark[] = "mark";

    if (bpf_xdp_store_bytes(ctx, 60, (void *)mark, 4)) {
        return XDP_PASS;
    }
    return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
