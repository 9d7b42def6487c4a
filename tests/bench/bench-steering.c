/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What steering a packet costs, and reporting its hash: each program on each
 * packet, by BPF_PROG_TEST_RUN, in turns.
 *
 * Warm: the kernel runs the program many times in one call; the call's
 * processor time is divided by that. So tables, code and packet stay in the
 * nearest cache, and branches are predicted.
 *
 * Spoiled: before each single run a buffer twice as large as the second-level
 * cache is written, so that tables and code of the program must come from behind
 * it. The packet is copied by the call itself and is near, as a packet is that
 * a sender has just written. The time is the kernel's own, of one run, which
 * includes the reading of a clock; a run of the empty program includes the
 * same.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "packet.h"
#include "programs.h"
#include "samples.h"

enum {
    SKIPPED_LEN = 14,       /* what the kernel takes for an Ethernet header */
    CACHE_LINE = 64,
};

static const struct {
    const char *name, *recipe;
} packets[] = {
    { "TCP/IPv4", "eth ip4:df tcp raw:10" },
    { "UDP/IPv4", "eth ip4 udp raw:22" },
    { "IPv4 other", "eth ip4:proto=47 raw:30" },
    { "TCP/IPv6", "eth ip6 tcp raw:10" },
    { "UDP/IPv6", "eth ip6 udp raw:10" },
    { "IPv6 2 ext", "eth ip6 hop dst tcp raw:10" },
    { "VLAN TCP/IPv4", "eth vlan ip4:df tcp raw:10" },
    { "ARP", "eth type:0x0806 raw:46" },
};

typedef struct Options {
    int rounds, repeat, spoiled_rounds, spoil_kib;
    char *stock_file;
    char *only;             /* packets whose name has this in it */
    gboolean variants;
} Options;

typedef struct Input {
    uint8_t *data;          /* SKIPPED_LEN bytes, then the frame */
    size_t len;
} Input;

typedef struct Bench {
    Options options;
    BenchPrograms *programs;
    Input input[G_N_ELEMENTS(packets)];
    uint8_t *spoiler;
} Bench;

static RssConfig bench_config(void)
{
    RssConfig config = config_plain(RSS_TYPES_ALL & ~RSS_TYPES_EX,
                                    RSS_TABLE_MAX);
    unsigned i;

    for (i = 0; i < config.table_len; i++) {
        config.table[i] = i;        /* to see that all choose the same one */
    }
    config.unclassified_queue = RSS_TABLE_MAX;
    return config;
}

static bool wanted(const Bench *b, unsigned packet)
{
    return !b->options.only ||
           strstr(packets[packet].name, b->options.only);
}

static void make_inputs(Bench *b)
{
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(packets); i++) {
        g_autoptr(GByteArray) frame = packet_build(packets[i].recipe,
                                                   &packet_flow);

        b->input[i].len = SKIPPED_LEN + frame->len;
        b->input[i].data = g_malloc0(b->input[i].len);
        memcpy(b->input[i].data + SKIPPED_LEN, frame->data, frame->len);
    }
}

/* Runs a program; returns the kernel's time for one run, in ns. */
static unsigned run(const BenchProgram *program, const Input *input,
                    int repeat, unsigned *result)
{
    size_t skip = program->mac_relative ? SKIPPED_LEN : 0;
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = input->data + skip,
                .data_size_in = input->len - skip,
                .repeat = repeat);

    if (bpf_prog_test_run_opts(program->fd, &opts) < 0) {
        g_error("cannot run %s: %s", program->name, g_strerror(errno));
    }
    *result = opts.retval;
    return opts.duration;
}

static double run_warm(const Bench *b, const BenchProgram *program,
                       const Input *input)
{
    unsigned result;
    double start = samples_cpu_ns();

    run(program, input, b->options.repeat, &result);
    return (samples_cpu_ns() - start) / b->options.repeat;
}

static double run_spoiled(const Bench *b, const BenchProgram *program,
                          const Input *input)
{
    size_t len = b->options.spoil_kib * 1024ul, i;
    volatile uint8_t *p = b->spoiler;
    unsigned result;

    for (i = 0; i < len; i += CACHE_LINE) {
        p[i]++;
    }
    return run(program, input, 1, &result);
}

typedef double Run(const Bench *b, const BenchProgram *program,
                   const Input *input);

/* So that no program always follows the same other one. */
static void shuffle(unsigned *order, unsigned n)
{
    unsigned i, other, kept;

    for (i = 0; i < n; i++) {
        other = g_random_int_range(i, n);
        kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

/* Each program once, in a new order. */
static void run_round(const Bench *b, unsigned packet, Run *run_once,
                      unsigned *order, double *ns)
{
    unsigned n = bench_programs_count(b->programs), i;

    shuffle(order, n);
    for (i = 0; i < n; i++) {
        ns[order[i]] = run_once(b, bench_program(b->programs, order[i]),
                                &b->input[packet]);
    }
}

/* All programs on one packet, @rounds times. */
static void measure(const Bench *b, unsigned packet, const char *what,
                    Run *run_once, int rounds)
{
    unsigned n = bench_programs_count(b->programs), i;
    g_autofree Samples **series = g_new(Samples *, n);
    g_autofree unsigned *order = g_new(unsigned, n);
    g_autofree double *ns = g_new(double, n);
    int round;

    for (i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf(
            "%s/%s/%s", what, packets[packet].name,
            bench_program(b->programs, i)->name);

        order[i] = i;
        series[i] = samples_new(name, "ns");
    }
    for (round = 0; round < rounds; round++) {
        do {
            bench_programs_wait_uncounted(b->programs);
            run_round(b, packet, run_once, order, ns);
        } while (bench_programs_counted(b->programs));
        for (i = 0; i < n; i++) {
            samples_add(series[i], ns[i]);
        }
    }
    for (i = 0; i < n; i++) {
        samples_print(series[i]);
    }
}

/* The hash that a program reports. */
static unsigned reported_hash(const BenchProgram *program, const Input *input)
{
    uint32_t hash, report;
    int err = bpf_run_report(program->fd, input->data + SKIPPED_LEN,
                             input->len - SKIPPED_LEN, &hash, &report);

    if (err < 0) {
        g_error("cannot run %s: %s", program->name, g_strerror(-err));
    }
    return hash;
}

/* What each program chooses or reports: those that do the same work agree. */
static void print_results(const Bench *b, unsigned packet)
{
    const BenchProgram *program;
    unsigned i, result;

    for (i = 0; (program = bench_program(b->programs, i)); i++) {
        const char *what = program->reports ? "hash" : "queue";
        g_autofree char *name = g_strdup_printf(
            "%s/%s/%s", what, packets[packet].name, program->name);

        if (program->reports) {
            result = reported_hash(program, &b->input[packet]);
        } else {
            run(program, &b->input[packet], 1, &result);
        }
        samples_print_one(name, what, result);
    }
}

static void parse_options(Options *o, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        { "rounds", 0, 0, G_OPTION_ARG_INT, &o->rounds, "samples of each",
          "N" },
        { "repeat", 0, 0, G_OPTION_ARG_INT, &o->repeat, "runs in a sample",
          "N" },
        { "spoiled-rounds", 0, 0, G_OPTION_ARG_INT, &o->spoiled_rounds,
          "samples of each with spoiled caches", "N" },
        { "stock", 0, 0, G_OPTION_ARG_FILENAME, &o->stock_file,
          "QEMU's own program", "FILE" },
        { "variants", 0, 0, G_OPTION_ARG_NONE, &o->variants,
          "with the programs of variants.bpf.c", NULL },
        { "only", 0, 0, G_OPTION_ARG_STRING, &o->only,
          "packets with this in their name", "TEXT" },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
}

/* Twice the second-level cache. */
static int default_spoil_kib(void)
{
    long size = sysconf(_SC_LEVEL2_CACHE_SIZE);

    return 2 * (size > 0 ? size / 1024 : 2048);
}

int main(int argc, char **argv)
{
    Bench b = {
        .options = {
            .rounds = 40, .repeat = 20000, .spoiled_rounds = 400,
            .spoil_kib = default_spoil_kib(),
        },
    };
    RssConfig config = bench_config();
    unsigned i;

    parse_options(&b.options, argc, argv);
    b.programs = bench_programs_new(&config, b.options.stock_file,
                                    b.options.variants);
    b.spoiler = g_malloc0(b.options.spoil_kib * 1024ul);
    make_inputs(&b);
    samples_print_one("spoiler", "KiB", b.options.spoil_kib);

    for (i = 0; i < G_N_ELEMENTS(packets); i++) {
        if (wanted(&b, i)) {
            print_results(&b, i);
            measure(&b, i, "warm", run_warm, b.options.rounds);
            measure(&b, i, "spoiled", run_spoiled, b.options.spoiled_rounds);
        }
        g_free(b.input[i].data);
    }
    g_free(b.spoiler);
    g_free(b.options.stock_file);
    g_free(b.options.only);
    bench_programs_free(b.programs);
    return 0;
}
