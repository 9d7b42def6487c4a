// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpfhv_prog.h"
#include "vring_packed.h"

INLINE struct vring_desc *desc_at(struct vring_packed_ctx *ctx, __u32 index)
{
    return &ctx->ring.desc[masked(index, VRING_ENTRIES)];
}

INLINE __u64 avail_word(const struct bpfhv_buf *buf, __u32 index, __u32 flags)
{
    return vring_word(buf->len, buf->cookie, vring_avail_flags(index) | flags);
}

/*
 * The host stops at the first descriptor that is not available, so that one is
 * the last to be written.
 */
INLINE int publish(struct vring_packed_ctx *ctx, __u32 flags)
{
    __u32 count = ctx->common.num_bufs;
    __u32 avail = ctx->ring.avail;

    if (!count || count > BPFHV_CTX_BUFS) {
        return -1;
    }
    for (__u32 i = 1; i < count; i++) {
        const struct bpfhv_buf *buf = buf_at(&ctx->common, i);
        struct vring_desc *desc = desc_at(ctx, avail + i);

        desc->addr = buf->paddr;
        WRITE(desc->word, avail_word(buf, avail + i, flags));
    }
    desc_at(ctx, avail)->addr = ctx->common.bufs[0].paddr;
    exchange(&ctx->ring.barrier, 0);
    WRITE(desc_at(ctx, avail)->word,
          avail_word(&ctx->common.bufs[0], avail, flags));
    exchange(&ctx->ring.avail, avail + count);
    ctx->common.out = vring_reaches(READ(ctx->ring.device_event), avail,
                                    avail + count) ? BPFHV_OUT_KICK : 0;
    return 0;
}

INLINE int complete(struct vring_packed_ctx *ctx)
{
    __u32 used = ctx->ring.used;
    __u32 count;

    for (count = 0; count < BPFHV_CTX_BUFS; count++) {
        struct bpfhv_buf *buf = buf_at(&ctx->common, count);
        __u64 word = READ(desc_at(ctx, used + count)->word);

        if (!vring_has_flags(word, vring_used_flags(used + count))) {
            break;
        }
        buf->len = word;
        buf->cookie = word >> 32;
        buf->flags = 0;
    }
    ctx->common.num_bufs = count;
    ctx->ring.used = used + count;
    return count > 0;
}

INLINE int interrupts(struct vring_packed_ctx *ctx)
{
    __u32 wanted = ctx->common.min_completed_bufs;
    __u32 at = ctx->ring.used + wanted - 1;

    if (!wanted) {
        WRITE(ctx->ring.driver_event,
              VRING_EVENT_DISABLE << VRING_EVENT_FLAGS);
        return 0;
    }
    exchange(&ctx->ring.driver_event, vring_event_at(at));
    return vring_has_flags(READ(desc_at(ctx, at)->word), vring_used_flags(at));
}

PROGRAM(rxp, struct vring_packed_ctx *ctx)
{
    return publish(ctx, VRING_WRITE);
}

PROGRAM(rxc, struct vring_packed_ctx *ctx)
{
    return complete(ctx);
}

PROGRAM(rxi, struct vring_packed_ctx *ctx)
{
    return interrupts(ctx);
}

PROGRAM(txp, struct vring_packed_ctx *ctx)
{
    return publish(ctx, 0);
}

PROGRAM(txc, struct vring_packed_ctx *ctx)
{
    return complete(ctx);
}

PROGRAM(txi, struct vring_packed_ctx *ctx)
{
    return interrupts(ctx);
}
