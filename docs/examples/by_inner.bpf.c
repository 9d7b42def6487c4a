/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sticky by the inner header of VXLAN: all packets of one flow inside a tunnel
 * take one queue, whatever outer port its sender chose for them, and different
 * flows different queues, though the outer addresses are the same.
 *
 *     tap-steer load tap0 obj by_inner.bpf.o
 *
 * A tap takes what the program returns modulo its queues. With --fallback the
 * number of queues is in the map "inner_queues", 4 if nobody says another one.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
    NO_OPINION = -1,
    VXLAN_PORT = 4789,          /* RFC 7348 */
    VXLAN_HLEN = 8,
    QUEUES = 4,
    MULTIPLIER = 0x9e3779b1,    /* 2^32 divided by the golden ratio; odd */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} inner_queues SEC(".maps");

static __always_inline __u32 mix(__u32 hash, __u32 word)
{
    hash = (hash ^ word) * (__u32)MULTIPLIER;
    hash = (hash ^ hash >> 15) * (__u32)MULTIPLIER;
    return hash ^ hash >> 15;
}

/* Where the inner frame starts; 0 if there is none. */
static __always_inline __u32 find_inner(struct __sk_buff *skb)
{
    __be16 ethertype = 0;
    struct iphdr ip;
    struct udphdr udp;
    __u32 at;

    bpf_skb_load_bytes(skb, ETH_HLEN - 2, &ethertype, sizeof(ethertype));
    if (ethertype != bpf_htons(ETH_P_IP) ||
        bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) < 0 ||
        ip.protocol != IPPROTO_UDP) {
        return 0;
    }
    at = ETH_HLEN + ip.ihl * 4;
    if (bpf_skb_load_bytes(skb, at, &udp, sizeof(udp)) < 0 ||
        udp.dest != bpf_htons(VXLAN_PORT)) {
        return 0;
    }
    return at + sizeof(udp) + VXLAN_HLEN;
}

/* Addresses and ports, as far as there are any. */
static __always_inline __u32 hash_inner(struct __sk_buff *skb, __u32 at)
{
    __be16 ethertype = 0;
    __u32 word[4] = { 0, 0, 0, 0 }, ports = 0, hash = 0;
    struct iphdr ip;

    bpf_skb_load_bytes(skb, at + ETH_HLEN - 2, &ethertype,
                       sizeof(ethertype));
    at += ETH_HLEN;
    if (ethertype == bpf_htons(ETH_P_IP) &&
        bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) == 0) {
        hash = mix(mix(mix(0, ip.saddr), ip.daddr), ip.protocol);
        bpf_skb_load_bytes(skb, at + ip.ihl * 4, &ports, sizeof(ports));
    } else if (ethertype == bpf_htons(ETH_P_IPV6)) {
        /* The low halves of both addresses tell flows apart well enough. */
        bpf_skb_load_bytes(skb, at + 16, word, 8);
        bpf_skb_load_bytes(skb, at + 32, word + 2, 8);
        bpf_skb_load_bytes(skb, at + 40, &ports, sizeof(ports));
        hash = mix(mix(mix(mix(0, word[0]), word[1]), word[2]), word[3]);
    }
    return mix(hash, ports);
}

SEC("socket")
int by_inner(struct __sk_buff *skb)
{
    __u32 at = find_inner(skb);

    /* The tap looks at 16 bits. */
    return at ? hash_inner(skb, at) >> 16 : 0;
}

SEC("tc")
int by_inner_tc(struct __sk_buff *skb)
{
    __u32 at = find_inner(skb), zero = 0;
    __u32 *queues = bpf_map_lookup_elem(&inner_queues, &zero);
    __u32 n = queues && *queues ? *queues : QUEUES;

    return at ? (hash_inner(skb, at) >> 16) % n : NO_OPINION;
}

char LICENSE[] SEC("license") = "GPL";
