/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's side of struct sring_head. */
#ifndef EBPF_BPFHV_SRING_PROG_H
#define EBPF_BPFHV_SRING_PROG_H

#include "bpfhv_prog.h"
#include "sring_head.h"

/* Publish what has been written up to @prod. */
INLINE void sring_publish(struct bpfhv_ctx *ctx, struct sring_head *head,
                          __u32 prod)
{
    __u32 old = head->prod;

    exchange(&head->prod, prod);
    ctx->out = sring_reaches(READ(head->kick_at), old, prod) ? BPFHV_OUT_KICK
                                                             : 0;
}

/*
 * How many descriptors the host has completed, at most BPFHV_CTX_BUFS; they can
 * be read then. -1: it says that it has completed more than there are.
 */
INLINE int sring_completed(struct sring_head *head)
{
    __u32 count = READ(head->cons) - head->clear;

    if (!count || count > SRING_ENTRIES) {
        return count ? -1 : 0;
    }
    exchange(&head->barrier, 0);
    return count < BPFHV_CTX_BUFS ? count : BPFHV_CTX_BUFS;
}

/* Ask for an interrupt; return whether it is too late for that. */
INLINE int sring_interrupts(const struct bpfhv_ctx *ctx,
                            struct sring_head *head)
{
    __u32 wanted = ctx->min_completed_bufs;
    __u32 clear = head->clear;

    if (!wanted) {
        WRITE(head->intr_at, clear + SRING_NEVER);
        return 0;
    }
    exchange(&head->intr_at, clear + wanted - 1);
    return READ(head->cons) - clear >= wanted;
}

/* The programs of a model whose publish() and complete() are for both ways. */
#define SRING_PROGRAMS(type) \
    PROGRAM(rxp, type *ctx) { return publish(ctx); } \
    PROGRAM(rxc, type *ctx) { return complete(ctx); } \
    PROGRAM(rxi, type *ctx) \
    { return sring_interrupts(&ctx->common, &ctx->head); } \
    PROGRAM(txp, type *ctx) { return publish(ctx); } \
    PROGRAM(txc, type *ctx) { return complete(ctx); } \
    PROGRAM(txi, type *ctx) \
    { return sring_interrupts(&ctx->common, &ctx->head); }

#endif
