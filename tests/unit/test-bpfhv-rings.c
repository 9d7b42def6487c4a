/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs of ebpf/bpfhv: the driver's verifier accepts them, and between a
 * driver and a host, which sleep and wake each other, every buffer goes forth
 * and comes back once, unchanged, however the steps of the two mix. The host
 * takes steps between any two accesses of a program, a program runs between any
 * two steps of the host.
 *
 *     test-bpfhv-rings OBJECT...
 */
#include <string.h>

#include "bpfhv_programs.h"
#include "bpfhv_run.h"
#include "ebpf/bpfhv/bpfhv_models.h"
#include "ebpf/bpfhv/sring.h"
#include "ebpf/bpfhv/sring_sum.h"
#include "ebpf/bpfhv/vring_packed.h"
#include "ebpf/bpfhv_code.h"

enum {
    NUM_BUFS = 256,             /* as all models have */
    TOTAL_BUFS = 24000,         /* that go through in a case */
    FIRST_INDEX = -1536,        /* indices pass 2^32 on the way */
    MAX_PACKET_BUFS = 17,
    TICKS = 4,                  /* one access of so many lets the host step, */
    MAX_STEPS = 12,             /* up to so many times */
};

typedef enum HostState {
    HOST_POLLS,
    HOST_GAVE,                  /* and has not yet looked for the wish */
    HOST_WANTS_KICKS,           /* and has not yet looked again */
    HOST_SLEEPS,
} HostState;

/**
 * Buf: one of the driver's buffers
 * @outstanding: published and not completed
 * @number: how many were published before
 * @sent: as it was published
 * @back: as the host gives it back
 */
typedef struct Buf {
    bool outstanding;
    unsigned number;
    struct bpfhv_buf sent, back;
} Buf;

typedef struct Queue {
    const BpfhvModel *model;
    const BpfhvProgram *publish, *complete, *interrupts;
    bool receives;
    struct bpfhv_ctx *ctx;

    /* The driver */
    Buf bufs[NUM_BUFS];
    unsigned published, completed;
    bool asleep, interrupted;

    /* The host */
    BpfhvHost host;
    HostState state;
    struct bpfhv_buf taken[NUM_BUFS];
    unsigned num_taken;
    unsigned seen;              /* by the host, in order */
    uint32_t given_before;      /* with HOST_GAVE */
} Queue;

static BpfhvPrograms *programs[BPFHV_NUM_MODELS];

static unsigned below(unsigned end)
{
    return g_test_rand_int_range(0, end);
}

/* Cookies are no small numbers, but unique. */
static uint16_t cookie_of(unsigned i)
{
    return 65535 - 3 * i;
}

static Buf *buf_of(Queue *q, uint16_t cookie)
{
    unsigned i = (65535 - cookie) / 3;

    g_assert_cmpuint(i, <, NUM_BUFS);
    g_assert_cmpuint(cookie_of(i), ==, cookie);
    g_assert_true(q->bufs[i].outstanding);
    return &q->bufs[i];
}

/* May a packet be of several buffers, and has it metadata? */
static bool has_packets(const Queue *q)
{
    return q->model->features & BPFHV_F_SG;
}

static void set_metadata(struct bpfhv_buf *buf)
{
    buf->flags |= below(4) << 1;
    buf->gso_type = below(3);
    buf->hdr_len = below(65536);
    buf->gso_size = below(65536);
    buf->csum_start = below(65536);
    buf->csum_offset = below(65536);
}

/* The host */

static void host_take(Queue *q)
{
    for (unsigned want = 1 + below(64);
         want && q->num_taken < NUM_BUFS; want--) {
        struct bpfhv_buf *buf = &q->taken[q->num_taken];
        Buf *sent;

        if (!q->model->ops->take(&q->host, buf)) {
            return;
        }
        sent = buf_of(q, buf->cookie);
        g_assert_cmpmem(buf, sizeof(*buf), &sent->sent, sizeof(sent->sent));
        g_assert_cmpuint(sent->number, ==, q->seen);
        q->seen++;
        q->num_taken++;
    }
}

/* How many buffers has the packet that begins at @at; 0: not all are here. */
static unsigned packet_length(const Queue *q, unsigned at)
{
    for (unsigned i = at; i < q->num_taken; i++) {
        if (!(q->taken[i].flags & BPFHV_BUF_NEXT)) {
            return i + 1 - at;
        }
    }
    return 0;
}

/* A received packet, made of the buffers from @at on; return how many. */
static unsigned receive_packet(Queue *q, unsigned at)
{
    unsigned length = has_packets(q) ?
        1 + below(MIN(MAX_PACKET_BUFS, q->num_taken - at)) : 1;

    for (unsigned i = 0; i < length; i++) {
        struct bpfhv_buf *buf = &q->taken[at + i];

        buf->len = below(buf->len + 1);
        if (has_packets(q)) {
            buf->flags = i + 1 < length ? BPFHV_BUF_NEXT : 0;
            if (!i) {
                set_metadata(buf);
            }
        }
    }
    return length;
}

static void host_give(Queue *q)
{
    unsigned count = 0, packets = 1 + below(40);

    if (!q->model->ops->in_order) {
        unsigned other = below(q->num_taken);
        struct bpfhv_buf first = q->taken[0];

        q->taken[0] = q->taken[other];
        q->taken[other] = first;
    }
    while (packets-- && count < q->num_taken) {
        unsigned length = q->receives ? receive_packet(q, count) :
                                        packet_length(q, count);

        if (!length) {
            break;
        }
        count += length;
    }
    for (unsigned i = 0; i < count; i++) {
        buf_of(q, q->taken[i].cookie)->back = q->taken[i];
    }
    q->given_before = q->host.given;
    q->model->ops->give(&q->host, q->taken, count);
    q->num_taken -= count;
    memmove(q->taken, q->taken + count, q->num_taken * sizeof(*q->taken));
    q->state = HOST_GAVE;
}

static void host_poll(Queue *q)
{
    unsigned seen = q->seen;

    if (below(2)) {
        q->model->ops->want_kicks(&q->host, false);
    }
    if (q->num_taken && below(2)) {
        host_give(q);
        return;
    }
    host_take(q);
    if (q->seen == seen && !q->num_taken) {
        q->model->ops->want_kicks(&q->host, true);
        q->state = HOST_WANTS_KICKS;
    }
}

static void host_step(void *data)
{
    Queue *q = data;

    switch (q->state) {
    case HOST_POLLS:
        host_poll(q);
        break;
    case HOST_GAVE:
        q->interrupted |= q->model->ops->needs_interrupt(&q->host,
                                                         q->given_before);
        q->state = HOST_POLLS;
        break;
    case HOST_WANTS_KICKS:
        host_take(q);
        q->state = q->num_taken ? HOST_POLLS : HOST_SLEEPS;
        break;
    case HOST_SLEEPS:
        break;
    }
}

/* Between two accesses of a program. */
static void tick(void *data)
{
    if (below(TICKS) == 0) {
        for (unsigned steps = 1 + below(MAX_STEPS); steps; steps--) {
            host_step(data);
        }
    }
}

/* The driver */

static int run_with(Queue *q, const BpfhvProgram *program,
                    void (*tick)(void *), void *tick_data)
{
    BpfhvRun run = {
        .insns = program->verified, .count = program->verified_count,
        .source_count = program->count, .rules = &program->rules,
        .ctx = (uint8_t *)q->ctx, .tick = tick, .tick_data = tick_data,
    };

    bpfhv_run(&run);
    g_assert_cmpstr(run.fault, ==, NULL);
    return run.result;
}

static int run(Queue *q, const BpfhvProgram *program)
{
    return run_with(q, program, tick, q);
}

static struct bpfhv_buf *add_buf(Queue *q, unsigned *next)
{
    struct bpfhv_buf *buf = &q->ctx->bufs[q->ctx->num_bufs++];

    while (q->bufs[*next % NUM_BUFS].outstanding) {
        ++*next;
    }
    *buf = (struct bpfhv_buf) {
        .paddr = (uint64_t)g_test_rand_int() << 12, .len = below(1 << 16),
        .cookie = cookie_of(*next % NUM_BUFS),
    };
    q->bufs[*next % NUM_BUFS].outstanding = true;
    q->bufs[*next % NUM_BUFS].number = q->published++;
    return buf;
}

static void add_packet(Queue *q, unsigned *next, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        struct bpfhv_buf *buf = add_buf(q, next);

        if (has_packets(q) && !q->receives) {
            buf->flags = i + 1 < length ? BPFHV_BUF_NEXT : 0;
            if (!i) {
                set_metadata(buf);
            }
        }
        buf_of(q, buf->cookie)->sent = *buf;
    }
}

static void publish(Queue *q)
{
    unsigned room = NUM_BUFS - (q->published - q->completed);
    unsigned next = below(NUM_BUFS), packets = 1 + below(40);

    q->ctx->num_bufs = 0;
    while (packets-- && q->published < TOTAL_BUFS) {
        unsigned length = has_packets(q) && !q->receives ?
                          1 + below(MAX_PACKET_BUFS) : 1;

        if (length > room || q->ctx->num_bufs + length > BPFHV_CTX_BUFS) {
            break;
        }
        add_packet(q, &next, length);
        room -= length;
    }
    if (!q->ctx->num_bufs) {
        return;
    }
    g_assert_cmpint(run(q, q->publish), ==, 0);
    if (q->ctx->out & BPFHV_OUT_KICK && q->state == HOST_SLEEPS) {
        q->state = HOST_POLLS;
    }
}

static void check_back(Queue *q, struct bpfhv_buf got)
{
    Buf *buf = buf_of(q, got.cookie);

    if (has_packets(q)) {
        buf->back.paddr = got.paddr;
        g_assert_cmpmem(&got, sizeof(got), &buf->back, sizeof(got));
    } else {
        g_assert_cmpuint(got.len, ==, buf->back.len);
        g_assert_cmpuint(got.flags, ==, 0);
    }
    if (q->model->ops->in_order) {
        g_assert_cmpuint(buf->number, ==, q->completed);
    }
    buf->outstanding = false;
    q->completed++;
}

static void complete(Queue *q)
{
    int ret = run(q, q->complete);
    unsigned count = q->ctx->num_bufs;

    if (!ret) {
        return;
    }
    g_assert_cmpint(ret, ==, 1);
    g_assert_cmpuint(count, >=, 1);
    g_assert_cmpuint(count, <=, BPFHV_CTX_BUFS);
    for (unsigned i = 0; i < count; i++) {
        check_back(q, q->ctx->bufs[i]);
    }
    g_assert_cmpuint(q->ctx->bufs[count - 1].flags & BPFHV_BUF_NEXT, ==, 0);
}

static void go_to_sleep(Queue *q)
{
    unsigned outstanding = q->published - q->completed;

    if (!outstanding) {
        return;
    }
    q->ctx->min_completed_bufs = below(2) ? 1 : 1 + below(outstanding);
    q->interrupted = false;
    q->asleep = run(q, q->interrupts) == 0;
}

static void poll_only(Queue *q)
{
    q->ctx->min_completed_bufs = 0;
    g_assert_cmpint(run(q, q->interrupts), ==, 0);
}

static void driver_step(Queue *q)
{
    switch (below(6)) {
    case 0:
        publish(q);
        break;
    case 1:
        poll_only(q);
        break;
    case 2:
    case 3:
        go_to_sleep(q);
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
    q->host = (BpfhvHost) { .model = q->model, .ctx = q->ctx };
    q->state = HOST_SLEEPS;
    return q;
}

static void queue_free(Queue *q)
{
    g_free(q->ctx);
    g_free(q);
}

/* Count from @index on, a multiple of 2 * NUM_BUFS. */
static void begin_at(Queue *q, uint32_t index)
{
    q->host.taken = q->host.given = index;
    if (q->model->ops->in_order) {
        struct sring_head *head = &((struct sring_ctx *)q->ctx)->head;

        head->prod = head->cons = head->clear = head->intr_at = index;
    } else {
        struct vring_packed *ring = &((struct vring_packed_ctx *)q->ctx)->ring;

        ring->avail = ring->used = index;
    }
}

static void flow(int model, bool receives, uint32_t first_index)
{
    Queue *q = queue_new(model, receives);

    g_assert_cmpuint(q->model->max_bufs, ==, NUM_BUFS);
    begin_at(q, first_index);
    q->state = HOST_POLLS;
    while (q->published < TOTAL_BUFS || q->completed < q->published) {
        if (q->asleep && q->interrupted) {
            q->asleep = false;
        }
        if (q->asleep && q->state == HOST_SLEEPS) {
            g_error("both sleep, %u published, %u seen, %u completed",
                    q->published, q->seen, q->completed);
        }
        if (!q->asleep && below(2)) {
            driver_step(q);
        } else {
            host_step(q);
        }
    }
    queue_free(q);
}

static void test_flow(const void *data)
{
    int model = GPOINTER_TO_INT(data) / 2;

    flow(model, GPOINTER_TO_INT(data) % 2, 0);
    flow(model, GPOINTER_TO_INT(data) % 2, FIRST_INDEX);
}

static void test_accepted(const void *data)
{
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        const BpfhvProgram *p =
            &programs[GPOINTER_TO_INT(data)]->program[i];

        if (p->section && p->verified_count < 0) {
            g_error("%s is refused at %u: %s", p->section, p->refusal.insn,
                    p->refusal.reason);
        }
    }
}

/* What the library has built in is what is verified here. */
static void test_built_in(const void *data)
{
    int model = GPOINTER_TO_INT(data);
    GError *error = NULL;
    g_autoptr(BpfhvCode) code = bpfhv_code_of(&bpfhv_models[model], &error);

    g_assert_no_error(error);
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        const BpfhvProgram *p = &programs[model]->program[i];

        g_assert_cmpmem(code->insns[i], code->count[i] * 8, p->insns,
                        p->count * 8);
    }
}

/* An object that is cut off, or none. */
static void test_no_object(void)
{
    static const char *const texts[] = { "", "\177ELF", "neither" };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        GError *error = NULL;

        g_assert_null(bpfhv_code_read(texts[i], strlen(texts[i]), &error));
        g_assert_nonnull(error);
        g_error_free(error);
    }
}

/**
 * Moment: when the host does all that there is to do, and goes to sleep
 * @left: after how many accesses of the program
 */
typedef struct Moment {
    Queue *q;
    int left;
} Moment;

static void at_moment(void *data)
{
    Moment *moment = data;

    if (moment->left-- == 0) {
        while (moment->q->state != HOST_SLEEPS) {
            host_step(moment->q);
        }
    }
}

/* A queue with one buffer, which publish is to be called for. */
static Queue *queue_with_buf(const void *model)
{
    Queue *q = queue_new(GPOINTER_TO_INT(model), false);
    unsigned next = 0;

    q->model->ops->want_kicks(&q->host, false);
    poll_only(q);
    add_packet(q, &next, 1);
    return q;
}

/* The host sees what is published, or is kicked, whenever it goes to sleep. */
static void test_kick(const void *model)
{
    Moment moment = { .left = -1 };

    for (int access = 0; moment.left < 0; access++) {
        Queue *q = queue_with_buf(model);

        q->state = HOST_POLLS;
        moment = (Moment) { q, access };
        g_assert_cmpint(run_with(q, q->publish, at_moment, &moment), ==, 0);
        g_assert_true(moment.left >= 0 || q->seen == 1 ||
                      q->ctx->out & BPFHV_OUT_KICK);
        queue_free(q);
    }
}

/* Nothing of the host's runs in between. */
static bool kicks(Queue *q)
{
    unsigned next = 0;

    q->ctx->num_bufs = 0;
    add_packet(q, &next, 1);
    g_assert_cmpint(run_with(q, q->publish, NULL, NULL), ==, 0);
    return q->ctx->out & BPFHV_OUT_KICK;
}

/* A host that sleeps is kicked once, however much is sent until it looks. */
static void test_one_kick(const void *model)
{
    Queue *q = queue_new(GPOINTER_TO_INT(model), false);

    for (int i = 0; i < 3; i++) {
        q->model->ops->want_kicks(&q->host, true);
        g_assert_true(kicks(q));
        g_assert_false(kicks(q));
        while (q->seen < 4 * i + 2) {
            host_take(q);
        }
        g_assert_false(kicks(q));
        q->model->ops->want_kicks(&q->host, false);
        g_assert_false(kicks(q));
        while (q->seen < 4 * i + 4) {
            host_take(q);
        }
    }
    queue_free(q);
}

/* The driver is told of what is completed, whenever that is. */
static void test_interrupt(const void *model)
{
    Moment moment = { .left = -1 };

    for (int access = 0; moment.left < 0; access++) {
        Queue *q = queue_with_buf(model);
        int ret;

        g_assert_cmpint(run(q, q->publish), ==, 0);
        q->state = HOST_POLLS;
        q->ctx->min_completed_bufs = 1;
        moment = (Moment) { q, access };
        ret = run_with(q, q->interrupts, at_moment, &moment);
        g_assert_true(moment.left >= 0 || q->interrupted || ret == 1);
        queue_free(q);
    }
}

/* Verify a copy with other fuel; its result is the caller's. */
static void refuel(BpfhvProgram *program, uint32_t fuel)
{
    program->rules.fuel = fuel;
    program->verified = g_new(struct bpf_insn,
                              BPFHV_VERIFIED_INSNS(program->count));
    program->verified_count = bpfhv_verify(program->insns, program->count,
                                           &program->rules, program->verified,
                                           &program->refusal);
}

/* The most work that a call is for needs no more than a quarter of the fuel. */
static void test_full_call(const void *data)
{
    int model = GPOINTER_TO_INT(data);
    Queue *q = queue_new(model, false);
    BpfhvProgram publish = *q->publish, complete_all = *q->complete;
    unsigned next = 0;

    refuel(&publish, BPFHV_MAX_FUEL / 4);
    refuel(&complete_all, BPFHV_MAX_FUEL / 4);
    add_packet(q, &next, BPFHV_CTX_BUFS);
    g_assert_cmpint(run(q, &publish), ==, 0);
    while (q->seen < BPFHV_CTX_BUFS) {
        host_take(q);
    }
    for (int i = 0; i < BPFHV_CTX_BUFS; i++) {
        buf_of(q, q->taken[i].cookie)->back = q->taken[i];
    }
    q->model->ops->give(&q->host, q->taken, BPFHV_CTX_BUFS);
    g_assert_cmpint(run(q, &complete_all), ==, 1);
    g_assert_cmpuint(q->ctx->num_bufs, ==, BPFHV_CTX_BUFS);
    g_free(publish.verified);
    g_free(complete_all.verified);
    queue_free(q);
}

/* A bit that is wrong on the way back costs the packet, not the buffer. */
static void test_damaged(void)
{
    int model = bpfhv_model_find("sring_sum") - bpfhv_models;

    for (unsigned bit = 0; bit < 64; bit++) {
        Queue *q = queue_new(model, true);
        struct sring_sum_desc *desc = ((struct sring_sum_ctx *)q->ctx)->desc;
        unsigned next = 0;

        add_packet(q, &next, 1);
        g_assert_cmpint(run(q, q->publish), ==, 0);
        while (!q->seen) {
            host_take(q);
        }
        q->model->ops->give(&q->host, q->taken, 1);
        *(bit < 32 ? &desc->len : &desc->sum) ^= 1u << bit % 32;
        g_assert_cmpint(run(q, q->complete), ==, 1);
        g_assert_cmpuint(q->ctx->num_bufs, ==, 1);
        g_assert_cmpuint(q->ctx->bufs[0].len, ==, 0);
        g_assert_nonnull(buf_of(q, q->ctx->bufs[0].cookie));
        queue_free(q);
    }
}

/* What a host that lies can make of a context is an error, and no more. */
static void test_lies(const void *data)
{
    int model = GPOINTER_TO_INT(data);
    GRand *random = g_rand_new_with_seed(g_test_rand_int());
    uint32_t *ctx = g_malloc(bpfhv_models[model].ctx_size);

    for (int i = 0; i < 12000; i++) {
        const BpfhvProgram *p = &programs[model]->program[
            i % BPFHV_NUM_PROGRAMS];
        BpfhvRun run = {
            .insns = p->verified, .count = p->verified_count,
            .source_count = p->count, .rules = &p->rules,
            .ctx = (uint8_t *)ctx, .lies = random,
        };

        if (!p->section) {
            continue;
        }
        for (uint32_t k = 0; k < bpfhv_models[model].ctx_size / 4; k++) {
            ctx[k] = g_rand_int(random) >> g_rand_int_range(random, 0, 32);
        }
        bpfhv_run(&run);
        g_assert_cmpstr(run.fault, ==, NULL);
        g_assert_cmpint(run.result, <=, 1);
    }
    g_free(ctx);
    g_rand_free(random);
}

static void add(int model, const char *name, int data,
                void (*test)(const void *))
{
    g_autofree char *path = g_strdup_printf("/bpfhv/rings/%s/%s",
                                            bpfhv_models[model].name, name);

    g_test_add_data_func(path, GINT_TO_POINTER(data), test);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 1 + BPFHV_NUM_MODELS);
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        programs[i] = bpfhv_programs_read(argv[1 + i],
                                          bpfhv_models[i].ctx_size);
        add(i, "accepted", i, test_accepted);
        add(i, "built-in", i, test_built_in);
        add(i, "full-call", i, test_full_call);
        add(i, "kick-at-each-access", i, test_kick);
        add(i, "one-kick-until-the-host-looks", i, test_one_kick);
        add(i, "interrupt-at-each-access", i, test_interrupt);
        add(i, "transmit", 2 * i, test_flow);
        add(i, "receive", 2 * i + 1, test_flow);
        add(i, "lies", i, test_lies);
    }
    g_test_add_func("/bpfhv/rings/sring_sum/damaged", test_damaged);
    g_test_add_func("/bpfhv/rings/no-object", test_no_object);
    ret = g_test_run();
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        bpfhv_programs_free(programs[i]);
    }
    return ret;
}
