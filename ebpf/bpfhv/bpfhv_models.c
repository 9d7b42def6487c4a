/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that is here reads and writes a context, which the guest changes at any
 * time: each field is accessed once, by load() and store(), and what it says is
 * checked. What the host has taken and given back it counts itself, and never
 * reads from there.
 */
#include "bpfhv_models.h"
#include "sring.h"
#include "sring_gso.h"
#include "sring_sum.h"
#include "vring_packed.h"

/* What the guest wrote before @place can be read behind this. */
#define load(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)

/* And the guest sees @value only with all that was written before. */
#define store(place, value) __atomic_store_n(&(place), value, __ATOMIC_RELEASE)

/* sring, sring_gso and sring_sum: the indices are at the same place. */

_Static_assert(offsetof(struct sring_ctx, head) ==
               offsetof(struct sring_gso_ctx, head) &&
               offsetof(struct sring_ctx, head) ==
               offsetof(struct sring_sum_ctx, head), "one head for all");

static struct sring_head *head_of(const BpfhvHost *host)
{
    return &((struct sring_ctx *)host->ctx)->head;
}

static bool sring_has_more(const BpfhvHost *host)
{
    return load(head_of(host)->prod) != host->taken;
}

/* Is there a buffer, and has it not been overwritten? */
static bool sring_may_take(BpfhvHost *host)
{
    uint32_t prod = load(head_of(host)->prod);

    if (prod - host->given > SRING_ENTRIES ||
        prod - host->taken > prod - host->given) {
        host->fault = "more buffers than the ring has";
        return false;
    }
    return prod != host->taken;
}

static bool sring_needs(const BpfhvHost *host, uint32_t old)
{
    return sring_reaches(load(head_of(host)->intr_at), old, host->given);
}

static void sring_want_kicks(BpfhvHost *host, bool kicks)
{
    store(head_of(host)->kick_at, host->taken + (kicks ? 0 : SRING_NEVER));
}

static bool sring_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct sring_ctx *ctx = host->ctx;
    struct sring_desc *desc = &ctx->desc[host->taken % SRING_ENTRIES];

    if (!sring_may_take(host)) {
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = load(desc->paddr), .len = load(desc->len),
        .cookie = load(desc->cookie),
    };
    host->taken++;
    return true;
}

static void sring_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                       uint32_t count)
{
    struct sring_ctx *ctx = host->ctx;

    for (uint32_t i = 0; i < count; i++) {
        store(ctx->desc[host->given++ % SRING_ENTRIES].len, bufs[i].len);
    }
    store(ctx->head.cons, host->given);
}

static bool gso_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct sring_gso_ctx *ctx = host->ctx;
    struct bpfhv_buf *desc = &ctx->desc[host->taken % SRING_ENTRIES];

    if (!sring_may_take(host)) {
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = load(desc->paddr), .len = load(desc->len),
        .cookie = load(desc->cookie), .flags = load(desc->flags),
        .gso_type = load(desc->gso_type), .hdr_len = load(desc->hdr_len),
        .gso_size = load(desc->gso_size),
        .csum_start = load(desc->csum_start),
        .csum_offset = load(desc->csum_offset),
    };
    host->taken++;
    return true;
}

static void gso_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                     uint32_t count)
{
    struct sring_gso_ctx *ctx = host->ctx;

    for (uint32_t i = 0; i < count; i++) {
        struct bpfhv_buf *desc = &ctx->desc[host->given++ % SRING_ENTRIES];

        store(desc->len, bufs[i].len);
        store(desc->flags, bufs[i].flags);
        store(desc->gso_type, bufs[i].gso_type);
        store(desc->hdr_len, bufs[i].hdr_len);
        store(desc->gso_size, bufs[i].gso_size);
        store(desc->csum_start, bufs[i].csum_start);
        store(desc->csum_offset, bufs[i].csum_offset);
    }
    store(ctx->head.cons, host->given);
}

static bool sum_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct sring_sum_ctx *ctx = host->ctx;
    uint32_t place = host->taken % SRING_ENTRIES;
    struct sring_sum_desc *desc = &ctx->desc[place];

    if (!sring_may_take(host)) {
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = load(desc->paddr), .len = load(desc->len),
        .cookie = load(ctx->cookie[place]),
    };
    host->damaged = load(desc->sum) !=
                    sring_sum_of(buf->paddr, buf->len, host->taken);
    host->taken++;
    return true;
}

static void sum_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                     uint32_t count)
{
    struct sring_sum_ctx *ctx = host->ctx;

    for (uint32_t i = 0; i < count; i++) {
        struct sring_sum_desc *desc = &ctx->desc[host->given % SRING_ENTRIES];

        store(desc->len, bufs[i].len);
        store(desc->sum, sring_sum_of(0, bufs[i].len, host->given));
        host->given++;
    }
    store(ctx->head.cons, host->given);
}

/* vring_packed */

static struct vring_packed *ring_of(const BpfhvHost *host)
{
    return &((struct vring_packed_ctx *)host->ctx)->ring;
}

static bool vring_has_more(const BpfhvHost *host)
{
    return vring_has_flags(
        load(ring_of(host)->desc[host->taken % VRING_ENTRIES].word),
        vring_avail_flags(host->taken));
}

static bool vring_take(BpfhvHost *host, struct bpfhv_buf *buf)
{
    struct vring_desc *desc =
        &ring_of(host)->desc[host->taken % VRING_ENTRIES];
    uint64_t word = load(desc->word);

    if (host->taken - host->given == VRING_ENTRIES ||
        !vring_has_flags(word, vring_avail_flags(host->taken))) {
        return false;
    }
    if (word >> 48 & ~(VRING_WRITE | VRING_AVAIL | VRING_USED)) {
        host->fault = "a descriptor with a flag that the model does not have";
        return false;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = load(desc->addr), .len = word, .cookie = word >> 32,
    };
    host->taken++;
    return true;
}

static void vring_give(BpfhvHost *host, const struct bpfhv_buf *bufs,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        store(ring_of(host)->desc[host->given % VRING_ENTRIES].word,
              vring_word(bufs[i].len, bufs[i].cookie,
                         vring_used_flags(host->given)));
        host->given++;
    }
}

static bool vring_needs(const BpfhvHost *host, uint32_t old)
{
    return vring_reaches(load(ring_of(host)->driver_event), old, host->given);
}

static void vring_want_kicks(BpfhvHost *host, bool kicks)
{
    store(ring_of(host)->device_event, kicks ? vring_event_at(host->taken) :
          VRING_EVENT_DISABLE << VRING_EVENT_FLAGS);
}

static const BpfhvModelOps sring_ops = {
    true, sring_has_more, sring_take, sring_give, sring_needs,
    sring_want_kicks,
};

static const BpfhvModelOps gso_ops = {
    true, sring_has_more, gso_take, gso_give, sring_needs, sring_want_kicks,
};

static const BpfhvModelOps vring_ops = {
    false, vring_has_more, vring_take, vring_give, vring_needs,
    vring_want_kicks,
};

static const BpfhvModelOps sum_ops = {
    true, sring_has_more, sum_take, sum_give, sring_needs, sring_want_kicks,
};

const BpfhvModel bpfhv_models[BPFHV_NUM_MODELS] = {
    { "sring", sizeof(struct sring_ctx), SRING_ENTRIES, 0, &sring_ops },
    { "sring_gso", sizeof(struct sring_gso_ctx), SRING_ENTRIES,
      BPFHV_F_SG | BPFHV_F_TX_CSUM | BPFHV_F_RX_CSUM | BPFHV_F_TSO4 |
      BPFHV_F_LRO4 | BPFHV_F_TSO6 | BPFHV_F_LRO6, &gso_ops },
    { "vring_packed", sizeof(struct vring_packed_ctx), VRING_ENTRIES, 0,
      &vring_ops },
    { "sring_sum", sizeof(struct sring_sum_ctx), SRING_ENTRIES, 0, &sum_ops },
};
