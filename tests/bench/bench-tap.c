/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole path into a tap of four queues: what a packet costs its sender,
 * and how many arrive.
 *
 *     sender ─ packet socket ─ sendmmsg() ─▶ tap ─ steering ─▶ 4 queues ─▶ readers
 *
 * A sample sends some thousand packets of many flows, with one program (or
 * none) attached; the programs take turns. The sender's cost is the processor
 * time of its thread: queue selection and all else of the tap's transmit
 * function run in it. What wakes readers up runs in it, too.
 *
 * With --tap-steer in place of our programs those that tap-steer loads, each by
 * one of its mechanisms.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "configs.h"
#include "drain.h"
#include "net/tap_steering.h"
#include "packet.h"
#include "programs.h"
#include "samples.h"
#include "tap_net.h"

enum {
    QUEUES = 4,
    FLOWS = 256,
    BATCH = 64,             /* packets in a system call */
    MAX_NAMES = 5,          /* of what is compared */
    SKIP = 77,
};

/* How many from the head of the tables below tap-steer is measured with. */
enum {
    TAP_STEER_FAMILIES = 1,     /* what it loads knows IPv4 alone */
    TAP_STEER_MODES = 2,
    TAP_STEER_NO_FALLBACK = 3,  /* mechanisms */
};

static const struct {
    const char *name, *recipe;
} families[] = {
    { "IPv4", "eth ip4 udp raw:22" },
    { "IPv6", "eth ip6 udp raw:10" },
};

/* Where the readers run: 1 is another processor than the sender's. */
static const struct {
    const char *name;
    DrainMode mode;
    int cpu;
} modes[] = {
    { "one reader", DRAIN_EPOLL, 1 },
    { "queues full", DRAIN_NONE, 0 },
    { "4 readers", DRAIN_THREADS, 1 },
    { "one reader, same core", DRAIN_EPOLL, 0 },
};

static const char *const names[] = { "none", "len3", "stock", "ours" };

/* With programs of tests/steer/returns.bpf.c. */
static const struct {
    const char *name;
    const char *load;       /* tap-steer's words; NULL: nothing */
    bool bare_filter;
} mechanisms[MAX_NAMES] = {
    { "none" },
    { "hook", "spread" },
    /* As "no opinion", by tc(8): a filter that matches nothing. */
    { "filter", .bare_filter = true },
    { "opinion", "spread_tc --fallback" },
    { "no opinion", "none_tc --fallback" },
};

typedef struct Bench {
    int rounds, batches;
    char *stock_file;
    char *tap_steer, *objects;      /* with --tap-steer */
    gboolean elapsed;
    unsigned n_names;
    TapNet *net;
    BenchPrograms *programs;
    GByteArray *frame[FLOWS];
    struct iovec iov[FLOWS];
    struct mmsghdr message[FLOWS];
    struct sockaddr_ll to;
} Bench;

static RssConfig four_queues(void)
{
    RssConfig config = config_plain(RSS_TYPES_ALL & ~RSS_TYPES_EX,
                                    RSS_TABLE_MAX);
    unsigned i;

    for (i = 0; i < config.table_len; i++) {
        config.table[i] = i % QUEUES;
    }
    config.unclassified_queue = 0;
    return config;
}

static void make_frames(Bench *b, const char *recipe)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        PacketFlow flow;

        packet_random_flow(rand, &flow);
        if (b->frame[i]) {
            g_byte_array_unref(b->frame[i]);
        }
        b->frame[i] = packet_build(recipe, &flow);
        b->iov[i].iov_base = b->frame[i]->data;
        b->iov[i].iov_len = b->frame[i]->len;
        b->message[i].msg_hdr.msg_iov = &b->iov[i];
        b->message[i].msg_hdr.msg_iovlen = 1;
        b->message[i].msg_hdr.msg_name = &b->to;
        b->message[i].msg_hdr.msg_namelen = sizeof(b->to);
    }
}

/* Sends packets of all flows in turn. */
static void send_batches(Bench *b, int batches)
{
    int i, sent, n;

    for (i = 0; i < batches; i++) {
        struct mmsghdr *message = &b->message[i * BATCH % FLOWS];

        for (n = 0; n < BATCH; n += sent) {
            sent = sendmmsg(b->net->socket, message + n, BATCH - n, 0);
            if (sent < 0) {
                if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR) {
                    sent = 1;       /* dropped by a full queue: that counts */
                    continue;
                }
                g_error("cannot send: %s", g_strerror(errno));
            }
        }
    }
}

/* False if it fails; what it says goes to standard error if @loud. */
static bool run_line(const char *line, bool loud)
{
    g_autofree char *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!g_spawn_command_line_sync(line, NULL, &errors, &status, &error)) {
        g_error("%s: %s", line, error->message);
    }
    if (status && loud) {
        fputs(errors, stderr);
    }
    return status == 0;
}

/*
 * Begins with a tap without clsact. False if this kernel cannot do it.
 * --force: this process has the tap open and holds RSS programs, as QEMU does.
 */
static bool use_mechanism(const Bench *b, unsigned which)
{
    g_autofree char *unload = g_strdup_printf("%s unload steer0 --force",
                                              b->tap_steer);
    g_autofree char *load = g_strdup_printf("%s load steer0 --force obj %s"
                                            " sec %s", b->tap_steer,
                                            b->objects,
                                            mechanisms[which].load);
    g_autofree char *filter = g_strdup_printf("tc filter add dev steer0 egress"
                                              " bpf obj %s sec tc",
                                              b->objects);

    if (!run_line(unload, true)) {
        g_error("%s fails", unload);
    }
    run_line("tc qdisc del dev steer0 clsact", false);
    if (mechanisms[which].bare_filter) {
        return run_line("tc qdisc add dev steer0 clsact", true) &&
               run_line(filter, true);
    }
    return !mechanisms[which].load || run_line(load, true);
}

static const char *name_of(const Bench *b, unsigned which)
{
    return b->tap_steer ? mechanisms[which].name : names[which];
}

static void attach(Bench *b, unsigned which)
{
    const BenchProgram *program;
    g_autoptr(GError) error = NULL;
    bool done;

    if (b->tap_steer) {
        if (!use_mechanism(b, which)) {
            g_error("cannot load \"%s\"", mechanisms[which].name);
        }
        return;
    }
    program = bench_program_find(b->programs, names[which]);
    if (program) {
        done = tap_steering_attach(b->net->queue[0], program->fd, &error);
    } else {
        done = tap_steering_detach(b->net->queue[0], &error);
    }
    if (!done) {
        g_error("%s", error->message);
    }
}

typedef struct Sample {
    double cpu_ns, received_pps;
} Sample;

static Sample take_sample(Bench *b, const Drain *drain, unsigned which)
{
    double packets = (double)b->batches * BATCH;
    double cpu, wall;
    uint64_t received;

    attach(b, which);
    send_batches(b, b->batches / 8 + 1);        /* warm up */
    received = drain_packets(drain);
    wall = samples_now_ns();
    cpu = samples_cpu_ns();
    send_batches(b, b->batches);
    cpu = samples_cpu_ns() - cpu;
    wall = samples_now_ns() - wall;
    received = drain_packets(drain) - received;
    return (Sample) {
        (b->elapsed ? wall : cpu) / packets, received / wall * 1e9
    };
}

/* The programs begin with another one each round. */
static void measure(Bench *b, unsigned family, unsigned mode)
{
    Samples *cpu[MAX_NAMES], *pps[MAX_NAMES];
    Drain *drain = drain_start(b->net, modes[mode].mode, modes[mode].cpu);
    unsigned i;
    int round;

    for (i = 0; i < b->n_names; i++) {
        g_autofree char *path = g_strdup_printf(
            "%s/%s/%s", families[family].name, modes[mode].name,
            name_of(b, i));
        g_autofree char *cpu_name = g_strconcat("cpu/", path, NULL);
        g_autofree char *pps_name = g_strconcat("received/", path, NULL);

        cpu[i] = samples_new(cpu_name, "ns");
        pps[i] = samples_new(pps_name, "1/s");
    }
    for (round = 0; round < b->rounds; round++) {
        bench_programs_wait_uncounted(b->programs);
        for (i = 0; i < b->n_names; i++) {
            unsigned which = (i + round) % b->n_names;
            Sample sample = take_sample(b, drain, which);

            samples_add(cpu[which], sample.cpu_ns);
            samples_add(pps[which], sample.received_pps);
        }
    }
    drain_stop(drain);
    for (i = 0; i < b->n_names; i++) {
        samples_print(cpu[i]);
        samples_print(pps[i]);
    }
}

static void parse_options(Bench *b, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        { "rounds", 0, 0, G_OPTION_ARG_INT, &b->rounds, "samples of each",
          "N" },
        { "batches", 0, 0, G_OPTION_ARG_INT, &b->batches,
          "times 64 packets in a sample", "N" },
        { "stock", 0, 0, G_OPTION_ARG_FILENAME, &b->stock_file,
          "QEMU's own program", "FILE" },
        { "tap-steer", 0, 0, G_OPTION_ARG_FILENAME, &b->tap_steer,
          "measure its mechanisms", "PROGRAM" },
        { "objects", 0, 0, G_OPTION_ARG_FILENAME, &b->objects,
          "what it is to load", "FILE" },
        { "elapsed", 0, 0, G_OPTION_ARG_NONE, &b->elapsed,
          "take the time that passed for the sender's own", NULL },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) ||
        !b->stock_file || (b->tap_steer && !b->objects)) {
        fprintf(stderr, "%s\n", error ? error->message :
                b->stock_file ? "--objects is needed" : "--stock is needed");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    Bench b = { .rounds = 12, .batches = 400,
                .n_names = G_N_ELEMENTS(names) };
    RssConfig config = four_queues();
    unsigned n_families = G_N_ELEMENTS(families), family;
    unsigned n_modes = G_N_ELEMENTS(modes), mode;

    parse_options(&b, argc, argv);
    if (!tap_net_allowed()) {
        fprintf(stderr, "a tap in a network namespace needs root\n");
        return SKIP;
    }
    b.net = tap_net_new(QUEUES);
    b.to = (struct sockaddr_ll) {
        .sll_family = AF_PACKET, .sll_ifindex = b.net->ifindex,
    };
    b.programs = bench_programs_new(&config, b.stock_file, false);
    if (b.tap_steer) {
        n_families = TAP_STEER_FAMILIES;
        n_modes = TAP_STEER_MODES;
        b.n_names = use_mechanism(&b, TAP_STEER_NO_FALLBACK) ?
                    MAX_NAMES : TAP_STEER_NO_FALLBACK;
    }
    drain_pin(0);
    for (mode = 0; mode < n_modes; mode++) {
        if (modes[mode].cpu >= sysconf(_SC_NPROCESSORS_ONLN)) {
            continue;
        }
        for (family = 0; family < n_families; family++) {
            make_frames(&b, families[family].recipe);
            measure(&b, family, mode);
        }
    }
    for (family = 0; family < FLOWS; family++) {
        g_byte_array_unref(b.frame[family]);
    }
    bench_programs_free(b.programs);
    tap_net_free(b.net);
    g_free(b.stock_file);
    g_free(b.tap_steer);
    g_free(b.objects);
    return 0;
}
