/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By the destination port of TCP and UDP, as the administrator says, while it
 * runs. Ports that are not in the map are no opinion.
 *
 *     tap-steer load tap0 obj by_port.bpf.o --fallback
 *     bpftool map update name port_queue key 53 0 value 1 0 0 0
 *
 * Port and queue are in host order: here port 53, queue 1, on a little-endian
 * machine.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
    NO_OPINION = -1,
    FRAGMENT = 0x3fff,          /* RFC 791: MF and offset */
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u16);
    __type(value, __u32);
} port_queue SEC(".maps");

/* Where the ports are; 0 if there are none. */
static __always_inline __u32 find_ports(struct __sk_buff *skb,
                                        __u16 ethertype, __u8 *protocol)
{
    struct iphdr ip4;
    struct ipv6hdr ip6;

    if (ethertype == ETH_P_IP &&
        bpf_skb_load_bytes(skb, ETH_HLEN, &ip4, sizeof(ip4)) == 0 &&
        !(ip4.frag_off & bpf_htons(FRAGMENT))) {
        *protocol = ip4.protocol;
        return ETH_HLEN + ip4.ihl * 4;
    }
    if (ethertype == ETH_P_IPV6 &&
        bpf_skb_load_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6)) == 0) {
        *protocol = ip6.nexthdr;
        return ETH_HLEN + sizeof(ip6);
    }
    return 0;
}

static __always_inline int choose(struct __sk_buff *skb)
{
    __be16 ethertype = 0, ports[2] = { 0, 0 };
    __u8 protocol = 0;
    __u32 *queue, at;
    __u16 port;

    bpf_skb_load_bytes(skb, ETH_HLEN - 2, &ethertype, sizeof(ethertype));
    at = find_ports(skb, bpf_ntohs(ethertype), &protocol);
    if (!at || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) ||
        bpf_skb_load_bytes(skb, at, ports, sizeof(ports)) < 0) {
        return NO_OPINION;
    }
    port = bpf_ntohs(ports[1]);
    queue = bpf_map_lookup_elem(&port_queue, &port);
    return queue ? *queue : NO_OPINION;
}

SEC("socket")
int by_port(struct __sk_buff *skb)
{
    return choose(skb);
}

SEC("tc")
int by_port_tc(struct __sk_buff *skb)
{
    return choose(skb);
}

char LICENSE[] SEC("license") = "GPL";
