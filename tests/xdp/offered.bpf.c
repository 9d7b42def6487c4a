/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs with maps and global data of each kind. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 4);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 8);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 8);
} unused SEC(".maps");

const volatile __u32 wanted = 0x11223344;
__u32 limit = 100;
__u32 seen;

SEC("xdp") int all_kinds(struct xdp_md *ctx)
{
    __u32 key = wanted, *port = bpf_map_lookup_elem(&ports, &key), *count;

    key = 0;
    count = bpf_map_lookup_elem(&counts, &key);
    if (count) {
        *count += 1;
    }
    seen++;
    return port && seen > limit ? XDP_DROP : XDP_PASS;
}

/* Fields of many kinds; what a pointer leads to is not told. */
enum colour { RED = 1, BLUE = 0x80000000 };

struct sender {
    const volatile __u64 packets;
    union {
        __u8 bytes[4];
        __u32 address;
    };
    enum colour colour;
    unsigned low : 3, high : 29;
    struct {
        struct sender *next;
    } link;
};

struct prefix {
    __u32 len;
    __u8 bytes[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __type(key, struct prefix);
    __type(value, struct sender);
    __uint(max_entries, 8);
    __uint(map_flags, BPF_F_NO_PREALLOC);
} senders SEC(".maps");

SEC("xdp") int structures(struct xdp_md *ctx)
{
    struct prefix key = { .len = 32 };

    return bpf_map_lookup_elem(&senders, &key) ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int no_maps(struct xdp_md *ctx)
{
    return XDP_PASS;
}

SEC("xdp") int broken(struct xdp_md *ctx)
{
    return *(char *)(long)ctx->data;
}

char LICENSE[] SEC("license") = "GPL";
