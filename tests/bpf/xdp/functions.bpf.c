/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that are not inlined, global data, a context that moves about. */
#include "packet.bpf.h"

static volatile const __u32 mask = 3;
static volatile __u32 threshold = 2;
static volatile __u64 packets;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 16);
} lengths SEC(".maps");

SEC("xdp") int globals(struct xdp_md *ctx)
{
    packets++;
    return (packets & mask) < threshold ? XDP_DROP : XDP_PASS;
}

static __noinline int first_byte(struct xdp_md *ctx, int place)
{
    __u8 *at = DATA(ctx) + (place & 63);

    return FITS(ctx, at) ? *at : -1;
}

SEC("xdp") int leaf(struct xdp_md *ctx)
{
    int a = first_byte(ctx, 26), b = first_byte(ctx, 30);

    return a < b ? XDP_DROP : XDP_PASS;
}

/* No context comes here, and it has a loop. */
static __noinline __u32 fold(const __u8 *bytes, int count)
{
    __u32 sum = count;
    int i;

#pragma clang loop unroll(disable)
    for (i = 0; i < 16; i++) {
        sum = sum * 31 + bytes[i];
    }
    return sum;
}

static __noinline __u32 fold_twice(const __u8 *bytes)
{
    return fold(bytes, 1) ^ fold(bytes, 2);
}

SEC("xdp") int nested(struct xdp_md *ctx)
{
    __u8 *data = DATA(ctx), bytes[16];

    if (data + 30 > (__u8 *)DATA_END(ctx)) {
        return XDP_PASS;
    }
    __builtin_memcpy(bytes, data + 14, sizeof(bytes));
    return fold_twice(bytes) & 1 ? XDP_DROP : first_byte(ctx, 14) & 3;
}

/* Drops, after a while in a function. */
SEC("xdp") int within(struct xdp_md *ctx)
{
    __u8 bytes[16] = { 1 };

    return fold_twice(bytes) ? XDP_DROP : XDP_PASS;
}

/* The context comes within a structure. */
struct cursor {
    struct xdp_md *ctx;
    __u32 at;
    __u32 read;
};

static __noinline int next_byte(struct cursor *cursor)
{
    __u8 *at = DATA(cursor->ctx) + (cursor->at & 255);

    cursor->at++;
    if (!FITS(cursor->ctx, at)) {
        return -1;
    }
    cursor->read++;
    return *at;
}

SEC("xdp") int structure(struct xdp_md *ctx)
{
    struct cursor cursor = { .ctx = ctx, .at = 14 };
    int a = next_byte(&cursor), b = next_byte(&cursor);

    return cursor.read != 2 ? XDP_PASS : a > b ? XDP_DROP : XDP_TX;
}

/* Nothing stays in a register. */
SEC("xdp") int spill(struct xdp_md *ctx)
{
    __u32 key = bpf_xdp_get_buff_len(ctx) & 15;
    __u64 *count, a = ctx->rx_queue_index, b = key + 1, c = key + 2;
    __u64 d = key + 3, e = key + 4, f = key + 5;
    int i;

#pragma clang loop unroll(disable)
    for (i = 0; i < 3; i++) {
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e),
                          "+r"(f));
        key = (a + b + c + d + e + f + first_byte(ctx, key)) & 15;
        count = bpf_map_lookup_elem(&lengths, &key);
        if (!count) {
            return XDP_ABORTED;
        }
        *count += f;
    }
    return ctx->data_end - ctx->data > 100 ? key & 3 : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
