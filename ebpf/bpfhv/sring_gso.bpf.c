// SPDX-License-Identifier: GPL-2.0-or-later
#include "sring_gso.h"
#include "sring_prog.h"

INLINE int publish(struct sring_gso_ctx *ctx)
{
    __u32 count = ctx->common.num_bufs;
    __u32 prod = ctx->head.prod;

    if (count > BPFHV_CTX_BUFS) {
        return -1;
    }
    BY_TWO
    for (__u32 i = 0; i < count; i++) {
        ctx->desc[masked(prod + i, SRING_ENTRIES)] = *buf_at(&ctx->common, i);
    }
    sring_publish(&ctx->common, &ctx->head, prod + count);
    return 0;
}

/* Take whole packets; the last one of 64 buffers may go on behind them. */
INLINE int complete(struct sring_gso_ctx *ctx)
{
    __u32 clear = ctx->head.clear;
    int count = sring_completed(&ctx->head);
    __u32 whole = 0;

    if (count <= 0) {
        return count;
    }
    BY_TWO
    for (__u32 i = 0; i < count; i++) {
        const struct bpfhv_buf *desc =
            &ctx->desc[masked(clear + i, SRING_ENTRIES)];
        struct bpfhv_buf copy = *desc;

        *buf_at(&ctx->common, i) = copy;
        if (!(copy.flags & BPFHV_BUF_NEXT)) {
            whole = i + 1;
        }
    }
    if (!whole) {
        return -1;      /* a packet without end */
    }
    ctx->common.num_bufs = whole;
    ctx->head.clear = clear + whole;
    return 1;
}

SRING_PROGRAMS(struct sring_gso_ctx)
