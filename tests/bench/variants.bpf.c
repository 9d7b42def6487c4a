/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steering program and the one that reports hashes, with other hashes, and
 * parts of it alone. They are only measured: docs/performance.rst tells why the
 * losers lost.
 */
#include "net/rss_hash.h"
#include "variants_hash.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct variant_tables);
} tables SEC(".maps");

typedef __u32 Hash(const struct variant_tables *t, const __u8 *input,
                   const int len);

/*
 * The hash of a flow that has one. All here are always inlined, so @hash is no
 * call through a pointer.
 */
static __always_inline __u32 hash_flow(const struct variant_tables *t,
                                       struct rss_flow *flow, __u32 type,
                                       Hash *const hash)
{
    /* These take the ports always: zeros add nothing to a Toeplitz hash. */
    if (type & RSS_TYPES_IPV4) {
        if (!(type & RSS_TYPES_PORTS)) {
            __builtin_memset(flow->head + RSS_OFF_IPV4_PORTS, 0, 4);
        }
        return hash(t, flow->head + RSS_OFF_IPV4_INPUT, 12);
    }
    if (!(type & RSS_TYPES_PORTS)) {
        __builtin_memset(flow->head + RSS_OFF_IPV6_PORTS, 0, 4);
    }
    return hash(t, flow->head + RSS_OFF_IPV6_INPUT, 36);
}

static __always_inline __u16 steer(struct __sk_buff *skb, Hash *const hash)
{
    __u32 zero = 0;
    struct variant_tables *t = bpf_map_lookup_elem(&tables, &zero);
    struct rss_flow flow;
    __u32 type;

    if (!t) {
        return 0;
    }
    type = rss_find_input(&t->policy, skb, &flow);
    if (!type) {
        return t->policy.unclassified_queue;
    }
    return rss_queue(&t->policy, hash_flow(t, &flow, type, hash));
}

static __always_inline int report(struct __sk_buff *skb, Hash *const hash)
{
    __u32 zero = 0;
    struct variant_tables *t = bpf_map_lookup_elem(&tables, &zero);
    struct rss_flow flow;
    __u32 type;

    if (!t) {
        return 0;
    }
    type = rss_find_input(&t->policy, skb, &flow);
    skb->cb[0] = type ? hash_flow(t, &flow, type, hash) : 0;
    skb->cb[1] = rss_type_index(type);
    return 0;
}

SEC("socket")
int mask64(struct __sk_buff *skb)
{
    return steer(skb, hash_mask64);
}

SEC("socket")
int lane32(struct __sk_buff *skb)
{
    return steer(skb, hash_lane32);
}

SEC("socket")
int lane16(struct __sk_buff *skb)
{
    return steer(skb, hash_lane16);
}

SEC("socket")
int lane8(struct __sk_buff *skb)
{
    return steer(skb, hash_lane8);
}

SEC("socket")
int nibble8(struct __sk_buff *skb)
{
    return steer(skb, hash_nibble8);
}

SEC("socket")
int nibble32(struct __sk_buff *skb)
{
    return steer(skb, hash_nibble32);
}

SEC("socket")
int byte8(struct __sk_buff *skb)
{
    return steer(skb, hash_byte8);
}

SEC("socket")
int byte32(struct __sk_buff *skb)
{
    return steer(skb, hash_byte32);
}

/* --- hash reports ------------------------------------------------------- */

SEC("socket")
int report_lane32(struct __sk_buff *skb)
{
    return report(skb, hash_whole32);
}

SEC("socket")
int report_nibble32(struct __sk_buff *skb)
{
    return report(skb, hash_nibble32);
}

SEC("socket")
int report_byte32(struct __sk_buff *skb)
{
    return report(skb, hash_byte32);
}

/* --- parts -------------------------------------------------------------- */

SEC("socket")
int part_lookup(struct __sk_buff *skb)
{
    __u32 zero = 0;
    struct variant_tables *t = bpf_map_lookup_elem(&tables, &zero);

    return t ? t->policy.unclassified_queue : 0;
}

SEC("socket")
int part_load(struct __sk_buff *skb)
{
    __u64 head[8];

    return bpf_skb_load_bytes(skb, 0, (__u8 *)head + 6, 58) + head[7];
}

SEC("socket")
int part_find(struct __sk_buff *skb)
{
    __u32 zero = 0;
    struct variant_tables *t = bpf_map_lookup_elem(&tables, &zero);
    struct rss_flow flow;

    if (!t) {
        return 0;
    }
    return rss_find_input(&t->policy, skb, &flow);
}

/* The classic instruction, which takes no copy but a call for each word. */
unsigned long long load_word(void *skb, unsigned long long offset)
    asm("llvm.bpf.load.word");

SEC("socket")
int part_ldabs(struct __sk_buff *skb)
{
    return load_word(skb, 12) + load_word(skb, 20) + load_word(skb, 26) +
           load_word(skb, 30) + load_word(skb, 34);
}

char LICENSE[] SEC("license") = "GPL";
