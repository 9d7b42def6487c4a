/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuel costs in the programs of ebpf/bpfhv: as they are, and as the
 * driver's verifier makes them, with fuel at each jump backward.
 *
 *     bench-bpfhv OBJECT...
 *
 * prints for each call MODEL/PROGRAM/BUFFERS/plain and .../fuel: how many
 * instructions, in an interpreter, and under time/ how many ticks of the
 * processor's clock they take as native code, the clock's own subtracted.
 */
#include <dlfcn.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bpfhv_native.h"
#include "bpfhv_programs.h"
#include "bpfhv_run.h"
#include "ebpf/bpfhv/bpfhv_models.h"
#include "samples.h"

enum {
    ROUNDS = 60,
    CALLS = 500,                /* in a round */
    KEPT = 450,                 /* of them; others ran meanwhile in the rest */
    NUM_STEPS = 3,
};

/* The steps of a transmit queue, in their order. */
static const struct {
    unsigned program;
    const char *name;
    int result;
} steps[NUM_STEPS] = {
    { BPFHV_TX_PUBLISH, "publish", 0 },
    { BPFHV_TX_INTERRUPTS, "interrupts", 0 },
    { BPFHV_TX_COMPLETE, "complete", 1 },
};

typedef struct Queue Queue;

/**
 * Queue: one whose driver and host take turns
 * @call: runs a program; returns what it took
 * @bufs: of a call
 */
struct Queue {
    const BpfhvModel *model;
    const BpfhvPrograms *programs;
    bool fuel;
    BpfhvNative native[NUM_STEPS];
    double (*call)(const Queue *q, int step);
    unsigned bufs;
    struct bpfhv_ctx *ctx;
    BpfhvHost host;
};

static void check(const Queue *q, int step, int result, const char *fault)
{
    if (fault || result != steps[step].result) {
        g_error("%s: %s: %s, result %d", q->model->name, steps[step].name,
                fault ? fault : "no fault", result);
    }
}

static double count(const Queue *q, int step)
{
    const BpfhvProgram *program = &q->programs->program[steps[step].program];
    BpfhvRun run = {
        .insns = q->fuel ? program->verified : program->insns,
        .count = q->fuel ? (uint32_t)program->verified_count : program->count,
        .source_count = program->count, .rules = &program->rules,
        .ctx = (uint8_t *)q->ctx,
    };

    bpfhv_run(&run);
    check(q, step, run.result, run.fault);
    return run.steps;
}

static double ticks(const Queue *q, int step)
{
    unsigned other;
    uint64_t begin = __rdtscp(&other);
    int result = q->native[step](q->ctx);
    uint64_t end = __rdtscp(&other);

    check(q, step, result, NULL);
    return end - begin;
}

static void fill(const Queue *q)
{
    for (unsigned i = 0; i < q->bufs; i++) {
        q->ctx->bufs[i] = (struct bpfhv_buf) {
            .paddr = 0x100000 + 2048 * i, .len = 60, .cookie = i,
        };
    }
    q->ctx->num_bufs = q->ctx->min_completed_bufs = q->bufs;
}

static void serve(Queue *q)
{
    struct bpfhv_buf taken[BPFHV_CTX_BUFS];

    for (unsigned i = 0; i < q->bufs; i++) {
        if (!q->model->ops->take(&q->host, &taken[i])) {
            g_error("%s: %u of %u buffers", q->model->name, i, q->bufs);
        }
    }
    q->model->ops->give(&q->host, taken, q->bufs);
}

static void go_once(Queue *q, double took[NUM_STEPS])
{
    fill(q);
    took[0] = q->call(q, 0);
    took[1] = q->call(q, 1);
    serve(q);
    took[2] = q->call(q, 2);
}

static void begin(Queue *q, unsigned bufs)
{
    g_free(q->ctx);
    q->ctx = g_malloc0(q->model->ctx_size);
    q->host = (BpfhvHost) { .model = q->model, .ctx = q->ctx };
    q->bufs = bufs;
}

static char *series(const Queue *q, const char *what, int step)
{
    return g_strdup_printf("%s%s/%s/%u/%s", what, q->model->name,
                           steps[step].name, q->bufs,
                           q->fuel ? "fuel" : "plain");
}

static void count_all(Queue q[2], unsigned bufs)
{
    for (int kind = 0; kind < 2; kind++) {
        double took[NUM_STEPS];

        begin(&q[kind], bufs);
        q[kind].call = count;
        go_once(&q[kind], took);
        for (int step = 0; step < NUM_STEPS; step++) {
            g_autofree char *name = series(&q[kind], "", step);

            samples_print_one(name, "", took[step]);
        }
    }
    g_assert_cmpmem(q[0].ctx, q[0].model->ctx_size, q[1].ctx,
                    q[1].model->ctx_size);
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

/* The mean of the least KEPT: the clock goes by steps as long as a call. */
static double mean(double values[CALLS])
{
    double sum = 0;

    qsort(values, CALLS, sizeof(*values), compare);
    for (int i = 0; i < KEPT; i++) {
        sum += values[i];
    }
    return sum / KEPT;
}

static int32_t nothing(void *ctx)
{
    return 0;
}

/* What reading the clock takes. */
static double clock_ticks(void)
{
    Queue q = { .native = { nothing } };
    double values[CALLS];

    for (int i = 0; i < CALLS; i++) {
        values[i] = ticks(&q, 0);
    }
    return mean(values);
}

static void time_round(Queue *q, double clock, Samples *samples[NUM_STEPS])
{
    static double values[NUM_STEPS][CALLS];

    for (int i = 0; i < CALLS; i++) {
        double took[NUM_STEPS];

        go_once(q, took);
        for (int step = 0; step < NUM_STEPS; step++) {
            values[step][i] = took[step];
        }
    }
    for (int step = 0; step < NUM_STEPS; step++) {
        samples_add(samples[step], mean(values[step]) - clock);
    }
}

static void time_all(Queue q[2], unsigned bufs)
{
    Samples *samples[2][NUM_STEPS];
    double clock = clock_ticks();

    for (int kind = 0; kind < 2; kind++) {
        begin(&q[kind], bufs);
        q[kind].call = ticks;
        for (int step = 0; step < NUM_STEPS; step++) {
            g_autofree char *name = series(&q[kind], "time/", step);

            samples[kind][step] = samples_new(name, "ticks");
        }
    }
    for (int round = 0; round < 2 * ROUNDS; round++) {
        int kind = (round ^ round >> 1) & 1;    /* one, other, other, one */

        time_round(&q[kind], clock, samples[kind]);
    }
    for (int kind = 0; kind < 2; kind++) {
        for (int step = 0; step < NUM_STEPS; step++) {
            samples_print(samples[kind][step]);
        }
    }
}

static void make_native(Queue q[2], const char *folder)
{
    g_autofree char *path = g_strdup_printf("%s/%s", folder, q->model->name);
    g_autofree char *object = g_strdup_printf("%s.so", path);
    FILE *file = fopen(path, "w");
    void *handle;

    for (int i = 0; file && i < 2 * NUM_STEPS; i++) {
        const BpfhvProgram *program =
            &q->programs->program[steps[i / 2].program];
        g_autofree char *name = g_strdup_printf("f%d", i);

        bpfhv_native_write(file, name,
                           i % 2 ? program->verified : program->insns,
                           i % 2 ? (uint32_t)program->verified_count
                                 : program->count);
    }
    if (!file || fclose(file)) {
        g_error("cannot write %s", path);
    }
    handle = bpfhv_native_load(path);
    for (int i = 0; i < 2 * NUM_STEPS; i++) {
        g_autofree char *name = g_strdup_printf("f%d", i);

        *(void **)&q[i % 2].native[i / 2] = dlsym(handle, name);
    }
    g_unlink(object);
    g_unlink(path);
}

int main(int argc, char **argv)
{
    g_autofree char *folder = g_dir_make_tmp("bench-bpfhv-XXXXXX", NULL);

    g_assert_cmpint(argc, ==, 1 + BPFHV_NUM_MODELS);
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        const BpfhvModel *model = &bpfhv_models[i];
        BpfhvPrograms *programs = bpfhv_programs_read(argv[1 + i],
                                                      model->ctx_size);
        Queue q[2] = {
            { .model = model, .programs = programs },
            { .model = model, .programs = programs, .fuel = true },
        };

        make_native(q, folder);
        count_all(q, 1);
        count_all(q, BPFHV_CTX_BUFS);
        time_all(q, 1);
        time_all(q, BPFHV_CTX_BUFS);
        g_free(q[0].ctx);
        g_free(q[1].ctx);
        bpfhv_programs_free(programs);
    }
    g_rmdir(folder);
    return 0;
}
