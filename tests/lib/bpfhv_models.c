/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bpfhv_models.h"
#include "ebpf/bpfhv/sring.h"
#include "ebpf/bpfhv/sring_gso.h"
#include "ebpf/bpfhv/vring_packed.h"

/* sring and sring_gso: the indices are at the same place. */

static struct sring_head *head_of(const BpfhvHost *host)
{
    return &((struct sring_ctx *)host->ctx)->head;
}

static void sring_begin(BpfhvHost *host, uint32_t index)
{
    struct sring_head *head = head_of(host);

    host->taken = host->given = index;
    head->prod = head->cons = head->clear = head->intr_at = index;
}

static bool sring_needs(const BpfhvHost *host, uint32_t old)
{
    return sring_needs_interrupt(head_of(host)->intr_at, old, host->given);
}

static void sring_want_kicks(BpfhvHost *host, bool kicks)
{
    head_of(host)->kick_off = !kicks;
}

static bool sring_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct sring_ctx *ctx = host->ctx;
    struct sring_desc *desc = &ctx->desc[host->taken % SRING_ENTRIES];

    if (ctx->head.prod == host->taken) {
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = desc->paddr, .len = desc->len, .cookie = desc->cookie,
    };
    host->taken++;
    return true;
}

static void sring_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                       uint32_t count)
{
    struct sring_ctx *ctx = host->ctx;

    for (uint32_t i = 0; i < count; i++) {
        ctx->desc[host->given++ % SRING_ENTRIES].len = bufs[i].len;
    }
    ctx->head.cons = host->given;
}

static bool gso_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct sring_gso_ctx *ctx = host->ctx;

    if (ctx->head.prod == host->taken) {
        return false;
    }
    *buf = ctx->desc[host->taken++ % SRING_ENTRIES];
    return true;
}

static void gso_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                     uint32_t count)
{
    struct sring_gso_ctx *ctx = host->ctx;

    for (uint32_t i = 0; i < count; i++) {
        ctx->desc[host->given++ % SRING_ENTRIES] = bufs[i];
    }
    ctx->head.cons = host->given;
}

static struct vring_packed *ring_of(const BpfhvHost *host)
{
    return &((struct vring_packed_ctx *)host->ctx)->ring;
}

static void vring_begin(BpfhvHost *host, uint32_t index)
{
    host->taken = host->given = index;
    ring_of(host)->avail = ring_of(host)->used = index;
}

static bool vring_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    const struct vring_desc *desc =
        &ring_of(host)->desc[host->taken % VRING_ENTRIES];

    if (!vring_has_flags(desc->word, vring_avail_flags(host->taken))) {
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = desc->addr, .len = desc->word, .cookie = desc->word >> 32,
    };
    host->taken++;
    return true;
}

static void vring_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ring_of(host)->desc[host->given % VRING_ENTRIES].word =
            vring_word(bufs[i].len, bufs[i].cookie,
                       vring_used_flags(host->given));
        host->given++;
    }
}

static bool vring_needs(const BpfhvHost *host, uint32_t old)
{
    return vring_needs_interrupt(ring_of(host)->driver_event, old,
                                 host->given);
}

static void vring_want_kicks(BpfhvHost *host, bool kicks)
{
    ring_of(host)->device_event =
        (kicks ? VRING_EVENT_ENABLE : VRING_EVENT_DISABLE) <<
        VRING_EVENT_FLAGS;
}

const BpfhvModel bpfhv_models[BPFHV_NUM_MODELS] = {
    { "sring", sizeof(struct sring_ctx), SRING_ENTRIES, true, false,
      sring_begin, sring_take, sring_give, sring_needs, sring_want_kicks },
    { "sring_gso", sizeof(struct sring_gso_ctx), SRING_ENTRIES, true, true,
      sring_begin, gso_take, gso_give, sring_needs, sring_want_kicks },
    { "vring_packed", sizeof(struct vring_packed_ctx), VRING_ENTRIES, false,
      false, vring_begin, vring_take, vring_give, vring_needs,
      vring_want_kicks },
};
