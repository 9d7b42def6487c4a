/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of bpfhv's queues, as packets. Between it and a driver that
 * runs the programs of ebpf/bpfhv, every packet arrives once, in order and
 * unchanged, however the steps of the two mix; and a guest that writes what it
 * likes gets an error, and no byte that is not its own.
 *
 *     test-bpfhv-packets OBJECT...
 */
#include <linux/virtio_net.h>
#include <string.h>

#include "bpfhv_programs.h"
#include "bpfhv_run.h"
#include "ebpf/bpfhv/sring_gso.h"
#include "ebpf/bpfhv/sring_sum.h"
#include "ebpf/bpfhv/vring_packed.h"
#include "ebpf/bpfhv_ring.h"

enum {
    NUM_BUFS = 256,
    BUF_SIZE = 1024,
    MEMORY = NUM_BUFS * BUF_SIZE,
    BASE = 0x40000,             /* the guest's address of its first byte */
    MAX_LEN = 9000,             /* of a packet, with SG */
    TOTAL = 6000,               /* packets that go through in a case */
    TICKS = 64,                 /* one access of so many lets the host step */
    HOSTILE_ROUNDS = 3000,
};

static BpfhvPrograms *programs[BPFHV_NUM_MODELS];
static uint8_t *memory;

static unsigned below(unsigned end)
{
    return g_test_rand_int_range(0, end);
}

static void *map(void *opaque, uint64_t address, uint32_t len, bool write)
{
    g_assert_cmpuint(len, >=, 1);
    g_assert_cmpuint(len, <=, BPFHV_MAX_PACKET);
    if (address < BASE || address - BASE > MEMORY - len || len > MEMORY) {
        return NULL;
    }
    return memory + (address - BASE);
}

/* Packets that tell what they are */

typedef struct Sent {
    uint32_t len;
    BpfhvVnetHdr hdr;
} Sent;

static uint8_t byte_of(uint32_t number, uint32_t at)
{
    return number * 31 + at * 7 + (at >> 8);
}

static BpfhvVnetHdr some_hdr(const BpfhvModel *model, uint32_t len)
{
    BpfhvVnetHdr hdr = { 0 };

    if (model->features && len > 100 && below(2)) {
        hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        hdr.csum_start = 34 + below(20);
        hdr.csum_offset = below(20);
        if (below(2)) {
            hdr.gso_type = below(2) ? VIRTIO_NET_HDR_GSO_TCPV4 :
                                      VIRTIO_NET_HDR_GSO_TCPV6;
            hdr.hdr_len = below(len);
            hdr.gso_size = 1 + below(1000);
        }
    }
    return hdr;
}

static void assert_same_hdr(const BpfhvVnetHdr *a, const BpfhvVnetHdr *b)
{
    g_assert_cmpmem(a, sizeof(*a), b, sizeof(*b));
}

typedef struct Queue {
    const BpfhvModel *model;
    const BpfhvProgram *publish, *complete, *interrupts;
    bool receives;
    struct bpfhv_ctx *ctx;

    /* The driver */
    bool outstanding[NUM_BUFS];
    unsigned num_outstanding;
    bool asleep, interrupted;

    /* The host */
    BpfhvRing *ring;
    bool host_sleeps;

    /* Packets: those that one side has sent and the other has seen */
    Sent sent[TOTAL];
    unsigned num_sent, num_seen;
} Queue;

static Sent *new_packet(Queue *q, uint32_t max)
{
    Sent *sent = &q->sent[q->num_sent];

    sent->len = 1 + below(max);
    sent->hdr = some_hdr(q->model, sent->len);
    return sent;
}

/* The host */

static void flush(Queue *q)
{
    q->interrupted |= bpfhv_ring_flush(q->ring);
}

static void check_iov(const BpfhvPacket *packet, uint32_t number, bool fill)
{
    uint32_t at = 0;

    g_assert_cmpuint(packet->iov[0].iov_len, ==, sizeof(packet->hdr));
    for (uint32_t i = 1; i < packet->num_iov; i++) {
        uint8_t *base = packet->iov[i].iov_base;

        for (size_t k = 0; k < packet->iov[i].iov_len; k++, at++) {
            if (fill) {
                base[k] = byte_of(number, at);
            }
            g_assert_cmpuint(base[k], ==, byte_of(number, at));
        }
    }
    g_assert_cmpuint(at, ==, packet->len);
}

static bool host_sends(Queue *q)
{
    BpfhvPacket packet;

    if (!bpfhv_ring_next_to_send(q->ring, &packet)) {
        return false;
    }
    if (below(8) == 0) {
        return true;            /* busy: it is still the next one later */
    }
    g_assert_cmpuint(q->num_seen, <, q->num_sent);
    g_assert_cmpuint(packet.len, ==, q->sent[q->num_seen].len);
    assert_same_hdr(&packet.hdr, &q->sent[q->num_seen].hdr);
    check_iov(&packet, q->num_seen++, false);
    bpfhv_ring_sent(q->ring);
    return true;
}

static bool host_receives(Queue *q)
{
    uint32_t max = q->model->features ? MAX_LEN : BUF_SIZE;
    BpfhvPacket packet;
    Sent *sent;

    if (q->num_sent == TOTAL) {
        return false;
    }
    sent = new_packet(q, max);
    if (!bpfhv_ring_next_room(q->ring, sent->len, &packet)) {
        return false;
    }
    g_assert_cmpuint(packet.len, ==, sent->len);
    check_iov(&packet, q->num_sent++, true);
    packet.hdr = sent->hdr;
    g_assert_true(bpfhv_ring_received(q->ring, &packet, packet.len));
    return true;
}

static void host_step(void *data)
{
    Queue *q = data;

    if (q->host_sleeps) {
        return;
    }
    if (below(4) == 0) {
        bpfhv_ring_kicks_off(q->ring);
    }
    if (!(q->receives ? host_receives(q) : host_sends(q))) {
        g_assert_cmpstr(bpfhv_ring_fault(q->ring), ==, NULL);
        flush(q);
        q->host_sleeps = !bpfhv_ring_kicks_on(q->ring);
    } else if (below(8) == 0) {
        flush(q);
    }
}

static void tick(void *data)
{
    if (below(TICKS) == 0) {
        host_step(data);
    }
}

/* The driver */

static int run(Queue *q, const BpfhvProgram *program)
{
    BpfhvRun run = {
        .insns = program->verified, .count = program->verified_count,
        .source_count = program->count, .rules = &program->rules,
        .ctx = (uint8_t *)q->ctx, .tick = tick, .tick_data = q,
    };

    bpfhv_run(&run);
    g_assert_cmpstr(run.fault, ==, NULL);
    return run.result;
}

static struct bpfhv_buf *add_buf(Queue *q, uint32_t len)
{
    struct bpfhv_buf *buf = &q->ctx->bufs[q->ctx->num_bufs++];
    unsigned cookie = below(NUM_BUFS);

    while (q->outstanding[cookie]) {
        cookie = (cookie + 1) % NUM_BUFS;
    }
    q->outstanding[cookie] = true;
    q->num_outstanding++;
    *buf = (struct bpfhv_buf) {
        .paddr = BASE + cookie * BUF_SIZE, .len = len, .cookie = cookie,
    };
    return buf;
}

static void set_metadata(struct bpfhv_buf *buf, const BpfhvVnetHdr *hdr)
{
    if (hdr->flags) {
        buf->flags |= BPFHV_BUF_NEEDS_CSUM;
        buf->csum_start = hdr->csum_start;
        buf->csum_offset = hdr->csum_offset;
    }
    if (hdr->gso_type) {
        buf->gso_type = hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ?
                        BPFHV_GSO_TCP4 : BPFHV_GSO_TCP6;
        buf->hdr_len = hdr->hdr_len;
        buf->gso_size = hdr->gso_size;
    }
}

/* One more packet into the context; false: there is no room. */
static bool add_packet(Queue *q)
{
    uint32_t max = q->model->features ? MAX_LEN : BUF_SIZE;
    Sent *sent;
    struct bpfhv_buf *first = NULL;
    unsigned needs;

    if (q->num_sent == TOTAL) {
        return false;
    }
    sent = new_packet(q, max);
    needs = (sent->len + BUF_SIZE - 1) / BUF_SIZE;
    if (needs > NUM_BUFS - q->num_outstanding ||
        needs > BPFHV_CTX_BUFS - q->ctx->num_bufs) {
        return false;
    }
    for (uint32_t at = 0; at < sent->len; at += BUF_SIZE) {
        uint32_t len = MIN(BUF_SIZE, sent->len - at);
        struct bpfhv_buf *buf = add_buf(q, len);

        for (uint32_t k = 0; k < len; k++) {
            memory[buf->paddr - BASE + k] = byte_of(q->num_sent, at + k);
        }
        buf->flags = at + len < sent->len ? BPFHV_BUF_NEXT : 0;
        first = first ? first : buf;
    }
    set_metadata(first, &sent->hdr);
    q->num_sent++;
    return true;
}

static void publish(Queue *q)
{
    q->ctx->num_bufs = 0;
    for (unsigned i = 1 + below(20); i; i--) {
        if (!q->receives) {
            if (!add_packet(q)) {
                break;
            }
        } else if (q->num_outstanding < NUM_BUFS) {
            add_buf(q, BUF_SIZE);
        }
    }
    if (q->ctx->num_bufs) {
        g_assert_cmpint(run(q, q->publish), ==, 0);
        if (q->ctx->out & BPFHV_OUT_KICK) {
            q->host_sleeps = false;
        }
    }
}

/* The packet that begins at @at of the context; return where it ends. */
static unsigned see_packet(Queue *q, unsigned at)
{
    const Sent *sent = &q->sent[q->num_seen];
    struct bpfhv_buf expected = { .flags = q->ctx->bufs[at].flags & 1 };
    uint32_t seen = 0;

    set_metadata(&expected, &sent->hdr);
    expected.len = q->ctx->bufs[at].len;
    expected.cookie = q->ctx->bufs[at].cookie;
    expected.paddr = q->ctx->bufs[at].paddr;
    if (q->model->features) {
        g_assert_cmpmem(&expected, sizeof(expected), &q->ctx->bufs[at],
                        sizeof(expected));
    }
    for (bool more = true; more; at++) {
        const struct bpfhv_buf *buf = &q->ctx->bufs[at];

        for (uint32_t k = 0; k < buf->len; k++) {
            g_assert_cmpuint(memory[buf->cookie * BUF_SIZE + k], ==,
                             byte_of(q->num_seen, seen + k));
        }
        seen += buf->len;
        more = buf->flags & BPFHV_BUF_NEXT;
    }
    g_assert_cmpuint(seen, ==, sent->len);
    q->num_seen++;
    return at;
}

static void complete(Queue *q)
{
    if (run(q, q->complete) != 1) {
        return;
    }
    for (unsigned i = 0; i < q->ctx->num_bufs; i++) {
        const struct bpfhv_buf *buf = &q->ctx->bufs[i];

        g_assert_cmpuint(buf->cookie, <, NUM_BUFS);
        g_assert_true(q->outstanding[buf->cookie]);
        g_assert_cmpuint(buf->len, <=, BUF_SIZE);
        q->outstanding[buf->cookie] = false;
        q->num_outstanding--;
    }
    for (unsigned at = 0; q->receives && at < q->ctx->num_bufs;) {
        at = see_packet(q, at);
    }
}

static void driver_step(Queue *q)
{
    switch (below(4)) {
    case 0:
        publish(q);
        break;
    case 1:
        if (q->num_outstanding) {
            q->ctx->min_completed_bufs = 1;
            q->interrupted = false;
            q->asleep = run(q, q->interrupts) == 0;
        }
        break;
    default:
        complete(q);
        break;
    }
}

static Queue *queue_new(int model, bool receives)
{
    const BpfhvProgram *p = programs[model]->program;
    Queue *q = g_new0(Queue, 1);

    q->model = &bpfhv_models[model];
    q->receives = receives;
    q->publish = &p[receives ? BPFHV_RX_PUBLISH : BPFHV_TX_PUBLISH];
    q->complete = &p[receives ? BPFHV_RX_COMPLETE : BPFHV_TX_COMPLETE];
    q->interrupts = &p[receives ? BPFHV_RX_INTERRUPTS : BPFHV_TX_INTERRUPTS];
    q->ctx = g_malloc0(q->model->ctx_size);
    q->ring = bpfhv_ring_new(q->model, q->model->features, receives, q->ctx,
                             map, NULL);
    return q;
}

static void queue_free(Queue *q)
{
    bpfhv_ring_free(q->ring);
    g_free(q->ctx);
    g_free(q);
}

static void test_flow(const void *data)
{
    Queue *q = queue_new(GPOINTER_TO_INT(data) / 2, GPOINTER_TO_INT(data) % 2);

    /* A transmitted packet's buffers must come back, too. */
    while (q->num_sent < TOTAL || q->num_seen < TOTAL ||
           (!q->receives && q->num_outstanding)) {
        if (q->asleep && q->interrupted) {
            q->asleep = false;
        }
        if (q->asleep && q->host_sleeps && q->num_sent < TOTAL) {
            /* A driver also wakes because it has something to publish. */
            publish(q);
        }
        g_assert_true(!q->asleep || !q->host_sleeps || q->num_sent < TOTAL);
        if (!q->asleep && below(2)) {
            driver_step(q);
        } else {
            host_step(q);
        }
    }
    queue_free(q);
}

/* What a guest can do wrong */

typedef struct Wrong {
    const char *name;
    uint32_t features;
    struct bpfhv_buf buf;
    unsigned repeat;            /* so many buffers like that */
    const char *fault;
} Wrong;

#define ALL (BPFHV_F_SG | BPFHV_F_TX_CSUM | BPFHV_F_TSO4 | BPFHV_F_TSO6)
#define CSUM .flags = BPFHV_BUF_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16
#define TCP4 CSUM, .gso_type = BPFHV_GSO_TCP4

static const char no_sense[] = "a packet whose metadata make no sense";
static const char out_of_reach[] = "a buffer that the device cannot reach";
static const char too_long[] = "a packet that is too long";

static const Wrong wrongs[] = {
    { "right", ALL, { BASE, 100, TCP4, .hdr_len = 100, .gso_size = 1 } },
    { "first-byte", 0, { BASE, 1 } },
    { "last-byte", 0, { BASE + MEMORY - 1, 1 } },
    { "below", 0, { BASE - 1, 2 }, 1, out_of_reach },
    { "above", 0, { BASE + MEMORY - 1, 2 }, 1, out_of_reach },
    { "wraps", 0, { UINT64_MAX - 1, 3 }, 1, out_of_reach },
    { "ends-at-the-end", 0, { UINT64_MAX - 2, 3 }, 1, out_of_reach },
    { "longest", ALL, { BASE, BPFHV_MAX_PACKET } },
    { "longer", ALL, { BASE, BPFHV_MAX_PACKET + 1 }, 1, too_long },
    { "endless", ALL, { BASE, UINT32_MAX }, 1, too_long },
    { "long-in-sum", ALL, { BASE, 2048, .flags = BPFHV_BUF_NEXT }, 63,
      too_long },
    { "empty", 0, { BASE, 0 }, 1, "a packet without a byte" },
    { "empty-anywhere", ALL, { 0, 0, .flags = BPFHV_BUF_NEXT }, 63 },
    { "too-many", ALL, { BASE, 1, .flags = BPFHV_BUF_NEXT }, 64,
      "a packet of too many buffers" },
    { "no-sg", 0, { BASE, 1, .flags = BPFHV_BUF_NEXT }, 1,
      "a packet of several buffers without SG" },
    { "csum-at-end", ALL, { BASE, 60, .flags = BPFHV_BUF_NEEDS_CSUM,
                            .csum_start = 50, .csum_offset = 8 } },
    { "csum-outside", ALL, { BASE, 60, .flags = BPFHV_BUF_NEEDS_CSUM,
                             .csum_start = 50, .csum_offset = 9 }, 1,
      no_sense },
    { "csum-far", ALL, { BASE, 60, .flags = BPFHV_BUF_NEEDS_CSUM,
                         .csum_start = 65535, .csum_offset = 65535 }, 1,
      no_sense },
    { "csum-not-chosen", BPFHV_F_SG, { BASE, 60,
                                       .flags = BPFHV_BUF_NEEDS_CSUM }, 1,
      no_sense },
    { "gso-type", ALL, { BASE, 100, CSUM, .gso_size = 1, .gso_type = 3 }, 1,
      no_sense },
    { "gso-size", ALL, { BASE, 100, TCP4, .gso_size = 0 }, 1, no_sense },
    { "gso-hdr-len", ALL, { BASE, 100, TCP4, .gso_size = 1, .hdr_len = 101 },
      1, no_sense },
    { "gso-without-csum", ALL, { BASE, 100, .gso_type = BPFHV_GSO_TCP4,
                                 .gso_size = 1 }, 1, no_sense },
    { "gso-not-chosen", ALL & ~BPFHV_F_TSO4, { BASE, 100, TCP4,
                                               .gso_size = 1 }, 1, no_sense },
};

/* As a driver that does not run the program publishes them. */
static void post(struct sring_gso_ctx *ctx, const struct bpfhv_buf *buf,
                 unsigned count)
{
    while (count--) {
        ctx->desc[ctx->head.prod++ % SRING_ENTRIES] = *buf;
    }
}

static void test_wrong(const void *data)
{
    const struct bpfhv_buf end = { BASE, 1 };
    const Wrong *wrong = data;
    g_autofree struct sring_gso_ctx *ctx = g_new0(struct sring_gso_ctx, 1);
    g_autoptr(BpfhvRing) ring =
        bpfhv_ring_new(bpfhv_model_find("sring_gso"), wrong->features, false,
                       ctx, map, NULL);
    BpfhvPacket packet;

    post(ctx, &wrong->buf, MAX(wrong->repeat, 1));
    if (wrong->buf.flags & BPFHV_BUF_NEXT) {
        post(ctx, &end, 1);
    }
    g_assert_cmpint(bpfhv_ring_next_to_send(ring, &packet), ==,
                    !wrong->fault);
    g_assert_cmpstr(bpfhv_ring_fault(ring), ==, wrong->fault);

    /* It is not served any more. */
    post(ctx, &end, 1);
    bpfhv_ring_flush(ring);
    g_assert_cmpuint(ctx->head.cons, ==, 0);
    g_assert_cmpint(bpfhv_ring_next_to_send(ring, &packet), ==,
                    !wrong->fault);
    g_assert_true(!wrong->fault || !bpfhv_ring_kicks_on(ring));
}

/* Indices that cannot be, and the greatest that can. */
static void test_indices(void)
{
    static const struct { uint32_t prod; bool fault; } rows[] = {
        { 0, false }, { 1, false }, { SRING_ENTRIES, false },
        { SRING_ENTRIES + 1, true }, { -1u, true }, { 1u << 31, true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree struct sring_gso_ctx *ctx = g_new0(struct sring_gso_ctx, 1);
        g_autoptr(BpfhvRing) ring =
            bpfhv_ring_new(bpfhv_model_find("sring_gso"), 0, true, ctx, map,
                           NULL);
        BpfhvPacket packet;

        ctx->head.prod = rows[i].prod;
        bpfhv_ring_next_room(ring, 1, &packet);
        g_assert_cmpint(!bpfhv_ring_fault(ring), ==, !rows[i].fault);
    }
}

/* A flag of virtio's that the model does not have */
static void test_vring_flags(void)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        g_autofree struct vring_packed_ctx *ctx =
            g_new0(struct vring_packed_ctx, 1);
        g_autoptr(BpfhvRing) ring =
            bpfhv_ring_new(bpfhv_model_find("vring_packed"), 0, false, ctx,
                           map, NULL);
        bool known = 1 << bit & (VRING_WRITE | VRING_AVAIL | VRING_USED);
        BpfhvPacket packet;

        ctx->ring.desc[0].addr = BASE;
        ctx->ring.desc[0].word = vring_word(1, 0, VRING_AVAIL | 1 << bit);
        bpfhv_ring_next_to_send(ring, &packet);
        g_assert_cmpint(!bpfhv_ring_fault(ring), ==, known);
    }
}

/*
 * Two buffers are published, the first with the sum of another index or, if
 * there is such a bit, a bit changed.
 */
static struct sring_sum_ctx *damaged_ctx(unsigned bit, uint32_t first)
{
    struct sring_sum_ctx *ctx = g_new0(struct sring_sum_ctx, 1);

    for (unsigned i = 0; i < 2; i++) {
        ctx->desc[i] = (struct sring_sum_desc) {
            BASE + i * BUF_SIZE, 100, sring_sum_of(BASE + i * BUF_SIZE, 100, i),
        };
    }
    ctx->desc[0].sum = sring_sum_of(BASE, 100, first);
    if (bit < 8 * sizeof(ctx->desc[0])) {
        ((uint8_t *)&ctx->desc[0])[bit / 8] ^= 1 << bit % 8;
    }
    ctx->head.prod = 2;
    return ctx;
}

/*
 * Whatever bit is wrong, and if it is of another round: the packet is dropped,
 * the next one is not, and both buffers come back.
 */
static void test_damaged(void)
{
    for (unsigned bit = 0; bit <= 8 * sizeof(struct sring_sum_desc); bit++) {
        bool is_stale = bit == 8 * sizeof(struct sring_sum_desc);
        uint32_t first = is_stale ? -SRING_ENTRIES : 0;

        for (int receives = 0; receives < 2; receives++) {
            g_autofree struct sring_sum_ctx *ctx = damaged_ctx(bit, first);
            g_autoptr(BpfhvRing) ring = bpfhv_ring_new(
                bpfhv_model_find("sring_sum"), 0, receives, ctx, map, NULL);
            BpfhvPacket packet;

            for (unsigned len = 0; len <= 100; len += 100) {
                g_assert_true(receives ?
                              bpfhv_ring_next_room(ring, 100, &packet) :
                              bpfhv_ring_next_to_send(ring, &packet));
                g_assert_cmpuint(packet.len, ==, len);
                if (!receives) {
                    bpfhv_ring_sent(ring);
                } else if (len) {
                    g_assert_true(bpfhv_ring_received(ring, &packet, len));
                }
            }
            bpfhv_ring_flush(ring);
            g_assert_cmpuint(ctx->head.cons, ==, 2);
            g_assert_true(!receives || !ctx->desc[0].len);
            g_assert_cmpuint(ctx->desc[1].len, ==, 100);
            g_assert_cmpuint(ctx->desc[1].sum, ==, sring_sum_of(0, 100, 1));
        }
    }
}

/* Metadata that the driver has not chosen do not reach it. */
static void test_unwanted(void)
{
    static const BpfhvVnetHdr hdrs[] = {
        { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM },
        { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 },
        { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN },
        { .gso_type = VIRTIO_NET_HDR_GSO_UDP },
        { .gso_type = 77 },
    };
    const struct bpfhv_buf buf = { BASE, 100 };
    g_autofree struct sring_gso_ctx *ctx = g_new0(struct sring_gso_ctx, 1);
    g_autoptr(BpfhvRing) ring =
        bpfhv_ring_new(bpfhv_model_find("sring_gso"), 0, true, ctx, map,
                       NULL);
    BpfhvPacket packet;

    post(ctx, &buf, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(hdrs); i++) {
        g_assert_true(bpfhv_ring_next_room(ring, 60, &packet));
        packet.hdr = hdrs[i];
        g_assert_false(bpfhv_ring_received(ring, &packet, 60));
    }
    g_assert_true(bpfhv_ring_next_room(ring, 60, &packet));
    packet.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    g_assert_true(bpfhv_ring_received(ring, &packet, 60));
    bpfhv_ring_flush(ring);
    g_assert_cmpuint(ctx->head.cons, ==, 1);
    g_assert_cmpuint(ctx->desc[0].len, ==, 60);
    g_assert_cmpuint(ctx->desc[0].flags, ==, 0);
}

/* A guest that writes anything to its context, at any time */

static void scribble(void *ctx, uint32_t size)
{
    for (int i = below(40); i >= 0; i--) {
        uint32_t *word = (uint32_t *)ctx + below(size / 4);

        switch (below(4)) {
        case 0:
            *word = g_test_rand_int();
            break;
        case 1:
            *word = BASE + below(MEMORY);
            break;
        default:
            *word = g_test_rand_int() >> below(32);
            break;
        }
    }
    /* Often enough there is something in the ring. */
    ((struct sring_gso_ctx *)ctx)->head.prod += below(3);
}

static void use(BpfhvRing *ring, bool receives)
{
    uint32_t room = 1 + below(BPFHV_MAX_PACKET), sum = 0;
    BpfhvPacket packet;

    if (!(receives ? bpfhv_ring_next_room(ring, room, &packet) :
                     bpfhv_ring_next_to_send(ring, &packet))) {
        return;
    }
    g_assert_cmpstr(bpfhv_ring_fault(ring), ==, NULL);
    for (uint32_t i = 1; i < packet.num_iov; i++) {
        uint8_t *base = packet.iov[i].iov_base;

        g_assert_true(base >= memory && base + packet.iov[i].iov_len <=
                                        memory + MEMORY);
        sum += packet.iov[i].iov_len;
    }
    g_assert_cmpuint(sum, ==, packet.len);
    g_assert_cmpuint(sum, <=, receives ? room : BPFHV_MAX_PACKET);
    if (!receives) {
        g_assert_cmpuint(packet.hdr.csum_start + packet.hdr.csum_offset +
                         (packet.hdr.flags ? 2 : 0), <=, packet.len);
        bpfhv_ring_sent(ring);
    } else if (packet.len) {
        bpfhv_ring_received(ring, &packet, 1 + below(packet.len));
    }
}

static void test_hostile(const void *data)
{
    const BpfhvModel *model = &bpfhv_models[GPOINTER_TO_INT(data) / 2];
    bool receives = GPOINTER_TO_INT(data) % 2;

    for (int i = 0; i < HOSTILE_ROUNDS; i++) {
        g_autofree void *ctx = g_malloc0(model->ctx_size);
        g_autoptr(BpfhvRing) ring =
            bpfhv_ring_new(model, model->features & g_test_rand_int(),
                           receives, ctx, map, NULL);

        while (!bpfhv_ring_fault(ring) && below(50)) {
            g_autofree char *line = bpfhv_ring_describe(ring);

            scribble(ctx, model->ctx_size);
            use(ring, receives);
            if (below(2)) {
                bpfhv_ring_flush(ring);
                bpfhv_ring_kicks_on(ring);
            }
        }
    }
}

static void add(const char *group, const char *name, const void *data,
                void (*test)(const void *))
{
    g_autofree char *path = g_strdup_printf("/bpfhv/packets/%s/%s", group,
                                            name);

    g_test_add_data_func(path, data, test);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 1 + BPFHV_NUM_MODELS);
    memory = g_malloc(MEMORY);
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        const BpfhvModel *m = &bpfhv_models[i];

        programs[i] = bpfhv_programs_read(argv[1 + i], m->ctx_size);
        add(m->name, "transmit", GINT_TO_POINTER(2 * i), test_flow);
        add(m->name, "receive", GINT_TO_POINTER(2 * i + 1), test_flow);
        add(m->name, "hostile-transmit", GINT_TO_POINTER(2 * i),
            test_hostile);
        add(m->name, "hostile-receive", GINT_TO_POINTER(2 * i + 1),
            test_hostile);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(wrongs); i++) {
        add("wrong", wrongs[i].name, &wrongs[i], test_wrong);
    }
    g_test_add_func("/bpfhv/packets/wrong/indices", test_indices);
    g_test_add_func("/bpfhv/packets/wrong/vring-flags", test_vring_flags);
    g_test_add_func("/bpfhv/packets/damaged", test_damaged);
    g_test_add_func("/bpfhv/packets/unwanted-metadata", test_unwanted);
    ret = g_test_run();
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        bpfhv_programs_free(programs[i]);
    }
    g_free(memory);
    return ret;
}
