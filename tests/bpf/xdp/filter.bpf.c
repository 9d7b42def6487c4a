/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that drop and pass by what is in a map of each type. */
#include "packet.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 64);
} ports SEC(".maps");

struct prefix4 {
    __u32 len;
    __u32 address;
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __type(key, struct prefix4);
    __type(value, __u32);
    __uint(max_entries, 64);
    __uint(map_flags, BPF_F_NO_PREALLOC);
} prefixes4 SEC(".maps");

struct prefix6 {
    __u32 len;
    struct in6_addr address;
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __type(key, struct prefix6);
    __type(value, __u32);
    __uint(max_entries, 64);
    __uint(map_flags, BPF_F_NO_PREALLOC);
} prefixes6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 256);
} by_protocol SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 256);
} by_source SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 4096);
} seen SEC(".maps");

SEC("xdp") int drop_port(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    struct udphdr *udp = (void *)(ip + 1);
    __u32 key, *drop;

    if (!ip || ip->ihl != 5 || !FITS(ctx, udp) ||
        (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP)) {
        return XDP_PASS;
    }
    key = bpf_ntohs(udp->dest) & 15;
    drop = bpf_map_lookup_elem(&ports, &key);
    return drop && *drop & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int drop_prefix4(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    struct prefix4 key = { .len = 32 };
    __u32 *drop;

    if (!ip) {
        return XDP_PASS;
    }
    key.address = ip->saddr;
    drop = bpf_map_lookup_elem(&prefixes4, &key);
    return drop && *drop & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int drop_prefix6(struct xdp_md *ctx)
{
    struct ethhdr *eth = DATA(ctx);
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct prefix6 key = { .len = 128 };
    __u32 *drop;

    if (!FITS(ctx, ip) || eth->h_proto != bpf_htons(ETH_P_IPV6)) {
        return XDP_PASS;
    }
    key.address = ip->daddr;
    drop = bpf_map_lookup_elem(&prefixes6, &key);
    return drop && *drop & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int count_protocols(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    __u32 key = ip ? ip->protocol : 255;
    __u64 *count = bpf_map_lookup_elem(&by_protocol, &key);

    if (count) {
        *count += 1;
    }
    return XDP_PASS;
}

SEC("xdp") int count_sources(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    __u64 *count, one = 1;
    __u32 key;

    if (!ip) {
        return XDP_PASS;
    }
    key = ip->saddr & bpf_htonl(63);
    count = bpf_map_lookup_elem(&by_source, &key);
    if (!count) {
        bpf_map_update_elem(&by_source, &key, &one, BPF_NOEXIST);
        return XDP_DROP;
    }
    __sync_fetch_and_add(count, 1);
    return XDP_PASS;
}

/* Each second packet from a source is dropped. */
SEC("xdp") int every_second(struct xdp_md *ctx)
{
    struct iphdr *ip = find_ip4(ctx);
    __u64 len;
    __u32 key;

    if (!ip) {
        return XDP_PASS;
    }
    len = ip->tot_len;
    key = ip->saddr & bpf_htonl(255);
    if (bpf_map_delete_elem(&seen, &key) == 0) {
        return XDP_DROP;
    }
    bpf_map_update_elem(&seen, &key, &len, BPF_ANY);
    return XDP_PASS;
}

/* All verdicts, and numbers that are none. */
SEC("xdp") int verdicts(struct xdp_md *ctx)
{
    __u8 *port = DATA(ctx) + 37;

    return FITS(ctx, port) ? *port % 7 : XDP_ABORTED;
}

char LICENSE[] SEC("license") = "GPL";
