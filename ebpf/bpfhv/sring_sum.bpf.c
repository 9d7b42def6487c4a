// SPDX-License-Identifier: GPL-2.0-or-later
#include "sring_sum.h"
#include "sring_prog.h"

INLINE int publish(struct sring_sum_ctx *ctx)
{
    __u32 count = ctx->common.num_bufs;
    __u32 prod = ctx->head.prod;

    if (count > BPFHV_CTX_BUFS) {
        return -1;
    }
    for (__u32 i = 0; i < count; i++) {
        const struct bpfhv_buf *buf = buf_at(&ctx->common, i);
        __u64 place = masked(prod + i, SRING_ENTRIES);
        struct sring_sum_desc *desc = &ctx->desc[place];

        desc->paddr = buf->paddr;
        desc->len = buf->len;
        desc->sum = sring_sum_of(buf->paddr, buf->len, prod + i);
        ctx->cookie[place] = buf->cookie;
    }
    sring_publish(&ctx->common, &ctx->head, prod + count);
    return 0;
}

/* A buffer whose sum is wrong has no bytes: the driver drops its packet. */
INLINE int complete(struct sring_sum_ctx *ctx)
{
    __u32 clear = ctx->head.clear;
    int count = sring_completed(&ctx->head);

    if (count <= 0) {
        return count;
    }
    for (__u32 i = 0; i < count; i++) {
        struct bpfhv_buf *buf = buf_at(&ctx->common, i);
        __u64 place = masked(clear + i, SRING_ENTRIES);
        __u32 len = READ(ctx->desc[place].len);
        __u32 sum = READ(ctx->desc[place].sum);

        buf->len = sum == sring_sum_of(0, len, clear + i) ? len : 0;
        buf->cookie = ctx->cookie[place];
        buf->flags = 0;
    }
    ctx->common.num_bufs = count;
    ctx->head.clear = clear + count;
    return 1;
}

SRING_PROGRAMS(struct sring_sum_ctx)
