// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The programs of sring_gso, harmless and verified, which tell the driver lies:
 * each when a frame of its length is completed, LIE_RX + lie or LIE_TX + lie
 * bytes. tests/functional/test_bpfhv.py knows these numbers.
 */
#include "ebpf/bpfhv/sring_prog.h"
#undef SRING_PROGRAMS
#define SRING_PROGRAMS(type)
#include "ebpf/bpfhv/sring_gso.bpf.c"

enum {
    LIE_RX = 1000,
    LIE_TX = 1100,
};

enum lie {
    UNKNOWN_BUFFER,
    BUFFER_TWICE,
    NO_BUFFERS,
    TOO_MANY_BUFFERS,
    MOST_BUFFERS,
    FAILED,
    UNKNOWN_ANSWER,
    ENDLESS,
    TOO_LONG,           /* from here on of received packets only */
    LONGEST,
    NO_END,
    CSUM_BEHIND,        /* the packet is dropped */
    GSO_OF_NOTHING,     /* likewise */
};

INLINE int lie(struct bpfhv_ctx *ctx, __u32 which)
{
    struct bpfhv_buf *first = &ctx->bufs[0];

    switch (which) {
    case UNKNOWN_BUFFER:
        first->cookie = 0xffff;
        return 1;
    case BUFFER_TWICE:
        ctx->bufs[1] = *first;
        ctx->num_bufs = 2;
        return 1;
    case NO_BUFFERS:
        ctx->num_bufs = 0;
        return 1;
    case TOO_MANY_BUFFERS:
        ctx->num_bufs = BPFHV_CTX_BUFS + 1;
        return 1;
    case MOST_BUFFERS:
        ctx->num_bufs = 0xffffffff;
        return 1;
    case FAILED:
        return -1;
    case UNKNOWN_ANSWER:
        return 2;
    case ENDLESS:
        for (;;) {
            WRITE(ctx->num_bufs, 1);
        }
    case TOO_LONG:
        first->len = 1 << 16;
        return 1;
    case LONGEST:
        first->len = 0xffffffff;
        return 1;
    case NO_END:
        first->flags = BPFHV_BUF_NEXT;
        ctx->num_bufs = 1;
        return 1;
    case CSUM_BEHIND:
        first->flags = BPFHV_BUF_NEEDS_CSUM;
        first->csum_start = 0xffff;
        first->csum_offset = 0xffff;
        return 1;
    case GSO_OF_NOTHING:
        first->flags = BPFHV_BUF_NEEDS_CSUM;
        first->gso_type = BPFHV_GSO_TCP6;
        first->gso_size = 0;
        return 1;
    default:
        return 1;
    }
}

INLINE int complete_and_lie(struct sring_gso_ctx *ctx, __u32 lies)
{
    int ret = complete(ctx);

    return ret > 0 ? lie(&ctx->common, ctx->common.bufs[0].len - lies) : ret;
}

PROGRAM(rxp, struct sring_gso_ctx *ctx) { return publish(ctx); }
PROGRAM(rxc, struct sring_gso_ctx *ctx)
{ return complete_and_lie(ctx, LIE_RX); }
PROGRAM(rxi, struct sring_gso_ctx *ctx)
{ return sring_interrupts(&ctx->common, &ctx->head); }
PROGRAM(txp, struct sring_gso_ctx *ctx) { return publish(ctx); }
PROGRAM(txc, struct sring_gso_ctx *ctx)
{ return complete_and_lie(ctx, LIE_TX); }
PROGRAM(txi, struct sring_gso_ctx *ctx)
{ return sring_interrupts(&ctx->common, &ctx->head); }
