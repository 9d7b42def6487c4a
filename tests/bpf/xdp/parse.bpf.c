/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that go through headers of any length, with loops and without. */
#include "packet.bpf.h"

SEC("xdp") int tags(struct xdp_md *ctx)
{
    struct ethhdr *eth = DATA(ctx);
    struct vlan *tag = (void *)(eth + 1);
    __be16 type;
    int i;

    if (!FITS(ctx, eth)) {
        return XDP_PASS;
    }
    type = eth->h_proto;
#pragma clang loop unroll(disable)
    for (i = 0; i < 4; i++) {
        if ((type != bpf_htons(ETH_P_8021Q) &&
             type != bpf_htons(ETH_P_8021AD)) || !FITS(ctx, tag)) {
            break;
        }
        type = tag->type;
        tag++;
    }
    return i & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int options(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    struct udphdr *udp;

    if (!ip || ip->ihl < 5) {
        return XDP_PASS;
    }
    udp = (void *)ip + ip->ihl * 4;
    if (!FITS(ctx, udp)) {
        return XDP_DROP;
    }
    return udp->source & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int extensions(struct xdp_md *ctx)
{
    struct ethhdr *eth = DATA(ctx);
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct ext {
        __u8 next, len;
        __u8 rest[6];
    } *ext = (void *)(ip + 1);
    __u8 next;
    int i;

    if (!FITS(ctx, ip) || eth->h_proto != bpf_htons(ETH_P_IPV6)) {
        return XDP_PASS;
    }
    next = ip->nexthdr;
#pragma clang loop unroll(disable)
    for (i = 0; i < 6; i++) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_ROUTING) {
            break;
        }
        if (!FITS(ctx, ext)) {
            return XDP_ABORTED;
        }
        next = ext->next;
        ext = (void *)ext + 8 + ext->len * 8;
    }
    return next == IPPROTO_TCP ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int sum_bytes(struct xdp_md *ctx)
{
    __u8 *at = DATA(ctx);
    __u32 sum = 0;
    int i;

#pragma clang loop unroll(disable)
    for (i = 0; i < 200 && FITS(ctx, at); i++, at++) {
        sum += *at;
    }
    return sum & 1 ? XDP_DROP : XDP_PASS;
}

/* Drops, after a while. */
SEC("xdp") int always(struct xdp_md *ctx)
{
    __u8 *at = DATA(ctx);
    __u32 sum = 0;
    int i;

#pragma clang loop unroll(disable)
    for (i = 0; i < 100 && FITS(ctx, at); i++, at++) {
        sum += *at;
    }
    return sum ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int load_bytes(struct xdp_md *ctx)
{
    __u8 bytes[9];
    __u32 from;

    if (bpf_xdp_load_bytes(ctx, 14, &bytes, sizeof(bytes))) {
        return XDP_ABORTED;
    }
    from = bytes[0] * 4;
    if (bpf_xdp_load_bytes(ctx, from, &bytes, sizeof(bytes)) == -22) {
        return XDP_TX;
    }
    return bytes[8] & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int where(struct xdp_md *ctx)
{
    __u32 len = bpf_xdp_get_buff_len(ctx);

    if (ctx->rx_queue_index != 0 || ctx->ingress_ifindex != 1) {
        return XDP_ABORTED;
    }
    return len & 1 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
