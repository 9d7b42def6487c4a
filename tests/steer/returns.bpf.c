/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that return always the same, as both types of programs; one that
 * spreads flows, for the benchmark; and some that nobody may load.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define RETURNS(name, value)                                            \
    SEC("socket") int name(struct __sk_buff *skb) { return value; }     \
    SEC("tc") int name##_tc(struct __sk_buff *skb) { return value; }

RETURNS(first, 0)
RETURNS(second, 1)
RETURNS(third, 2)
RETURNS(fourth, 3)
RETURNS(none, -1)

/* The last bits of the source port, of UDP by IPv4 without options. */
static __always_inline int spread_flows(struct __sk_buff *skb)
{
    __u8 port[2] = { 0 };

    bpf_skb_load_bytes(skb, 34, port, sizeof(port));
    return port[1] & 3;
}

SEC("socket")
int spread(struct __sk_buff *skb)
{
    return spread_flows(skb);
}

SEC("tc")
int spread_tc(struct __sk_buff *skb)
{
    return spread_flows(skb);
}

/* What the verifier refuses: it reads where there may be nothing. */
SEC("socket")
int broken(struct __sk_buff *skb)
{
    return *(volatile int *)(unsigned long)skb->len;
}

/* Of a type that no hook of ours takes. */
SEC("xdp")
int dropper(struct xdp_md *ctx)
{
    return XDP_PASS;
}

/* In a section that libbpf does not know, as ip(8) once took them. */
SEC("hello")
int returns_one(struct __sk_buff *skb)
{
    return 1;
}

char LICENSE[] SEC("license") = "GPL";
