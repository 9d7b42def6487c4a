// SPDX-License-Identifier: GPL-2.0-or-later
#include "sring.h"
#include "sring_prog.h"

INLINE int publish(struct sring_ctx *ctx)
{
    __u32 count = ctx->common.num_bufs;
    __u32 prod = ctx->head.prod;

    if (count > BPFHV_CTX_BUFS) {
        return -1;
    }
    BY_TWO
    for (__u32 i = 0; i < count; i++) {
        const struct bpfhv_buf *buf = buf_at(&ctx->common, i);
        struct sring_desc *desc = &ctx->desc[masked(prod + i, SRING_ENTRIES)];

        desc->paddr = buf->paddr;
        desc->len = buf->len;
        desc->cookie = buf->cookie;
    }
    sring_publish(&ctx->common, &ctx->head, prod + count);
    return 0;
}

INLINE int complete(struct sring_ctx *ctx)
{
    __u32 clear = ctx->head.clear;
    int count = sring_completed(&ctx->head);

    if (count <= 0) {
        return count;
    }
    BY_TWO
    for (__u32 i = 0; i < count; i++) {
        struct bpfhv_buf *buf = buf_at(&ctx->common, i);
        const struct sring_desc *desc =
            &ctx->desc[masked(clear + i, SRING_ENTRIES)];

        buf->len = desc->len;
        buf->cookie = desc->cookie;
        buf->flags = 0;
    }
    ctx->common.num_bufs = count;
    ctx->head.clear = clear + count;
    return 1;
}

SRING_PROGRAMS(struct sring_ctx)
