/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the configuration under traffic.
 *
 * Two configurations differ in key and table: one uses queues 0 and 1, the
 * other 2 and 3, so each packet's queue tells which of them steered it, or
 * that neither did. A change is timed twice: how long the call takes, in which
 * QEMU's main loop would wait, and how long after its begin the first packet
 * was sent that the new configuration steered, and the last one that the old
 * one did. Changes come alone, or in bursts without a pause, as a guest may
 * send them; then the last one counts. Those of a burst alternate, and there
 * are more of them than slots in the map, so that the last one has to wait.
 *
 * "stock" does what QEMU does at a guest's command, with its own program:
 * detach, write three maps, attach.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "configs.h"
#include "drain.h"
#include "ebpf/ebpf_rss.h"
#include "ebpf/rss_grace.h"
#include "flight.h"
#include "net/tap_steering.h"
#include "packet.h"
#include "samples.h"
#include "stock_program.h"

enum {
    QUEUES = 4,
    FLOWS = 64,
    PAUSE_US = 20000,       /* around a change; some grace periods */
    BURST_PAUSE_US = 80000, /* around a burst, which may wait for them */
    BURST = 50,             /* changes: the last undoes the first */
    GROUP = 20,             /* changes or bursts under one stream */
    GRACE_PERIODS = 50,
    PACKETS = 8000000,      /* in a stream, at the most */
    SKIP = 77,
};

typedef struct Engine {
    const char *name;
    EBPFRSS *ours;
    StockProgram *stock;
    int tap_fd;
} Engine;

typedef struct Bench {
    TapNet *net;
    RssConfig config[2];
    GByteArray *frame[FLOWS];
    uint8_t expected[2][FLOWS];     /* queue of each flow */
} Bench;

/* A burst: which configuration it ended with, when its last change began. */
typedef struct Burst {
    unsigned config;
    double begin, end;
} Burst;

static void make_frames(Bench *b)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    PacketFlow flow;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        packet_random_flow(rand, &flow);
        b->frame[i] = packet_build("eth ip4 udp raw:22", &flow);
    }
}

static uint64_t now_ns(void *unused)
{
    return samples_now_ns();
}

static void make_configs(Bench *b)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    unsigned c, i;

    for (c = 0; c < 2; c++) {
        RssConfig *config = &b->config[c];
        RssEngine *engine;

        *config = config_plain(RSS_TYPES_ALL, c ? 64 : 128);
        config->unclassified_queue = 0;
        for (i = 0; i < config->table_len; i++) {
            config->table[i] = 2 * c + g_rand_int_range(rand, 0, 2);
        }
        for (i = 0; i < RSS_KEY_SIZE; i++) {
            config->key[i] = g_rand_int(rand);
        }
        engine = rss_engine_new(config);
        for (i = 0; i < FLOWS; i++) {
            b->expected[c][i] = rss_engine_steer(engine, b->frame[i]->data,
                                                 b->frame[i]->len);
        }
        rss_engine_free(engine);
    }
}

static void attach(int tap_fd, int prog_fd)
{
    g_autoptr(GError) error = NULL;

    if (!tap_steering_attach(tap_fd, prog_fd, &error)) {
        g_error("%s", error->message);
    }
}

static void set_all(Engine *engine, const RssConfig *config)
{
    if (engine->ours) {
        ebpf_rss_set_all(engine->ours, config);
        return;
    }
    tap_steering_detach(engine->tap_fd, NULL);
    stock_program_set_all(engine->stock, config);
    attach(engine->tap_fd, stock_program_fd(engine->stock));
}

/* One burst; each call's time goes to @hold. */
static Burst change(Bench *b, Engine *engine, unsigned from, unsigned n,
                    Samples *hold)
{
    Burst burst = { .config = from };
    unsigned i;

    for (i = 0; i < n; i++) {
        burst.config = !burst.config;
        burst.begin = samples_now_ns();
        set_all(engine, &b->config[burst.config]);
        burst.end = samples_now_ns();
        samples_add(hold, burst.end - burst.begin);
    }
    return burst;
}

/* When a burst took effect, in ns behind its begin. */
typedef struct Effect {
    double first_new;       /* this packet was steered by it, and all behind */
    double last_old;        /* this one was not; 0: there was none */
} Effect;

/*
 * What the packets say that were sent from the begin of @burst to the end of
 * the pause behind it. Returns false if there were none.
 */
static bool find_effect(const Bench *b, const Flight *f, const Burst *burst,
                        unsigned *first, unsigned sent, double pause,
                        Effect *effect)
{
    unsigned n = *first, start;
    bool found = false;

    *effect = (Effect) { .first_new = pause };
    while (n < sent && flight_before(f, n) < burst->begin) {
        n++;
    }
    start = n;
    for (; n < sent && flight_before(f, n) < burst->end + pause; n++) {
        double since = flight_before(f, n) - burst->begin;

        if (flight_queue(f, n) !=
            b->expected[burst->config][n % FLOWS]) {
            *effect = (Effect) { .first_new = pause, .last_old = since };
            found = false;
        } else if (!found) {
            effect->first_new = since;
            found = true;
        }
    }
    *first = n;
    return n > start;
}

/* Two series: how each burst took effect. */
typedef struct Effects {
    Samples *first_new, *last_old;
} Effects;

static void add_effects(const Bench *b, const Flight *f, const Burst *burst,
                        unsigned sent, double pause, Effects *effects)
{
    unsigned i, first = 0;
    Effect effect;

    for (i = 0; i < GROUP; i++) {
        if (find_effect(b, f, &burst[i], &first, sent, pause, &effect)) {
            samples_add(effects->first_new, effect.first_new);
            samples_add(effects->last_old, effect.last_old);
        }
    }
}

/* What became of the packets of all streams of an engine. */
typedef struct Fate {
    unsigned sent, neither, lost;
} Fate;

/* Counts packets that no configuration explains, and that never came. */
static void add_fate(const Bench *b, const Flight *f, unsigned sent,
                     Fate *fate)
{
    unsigned n;

    for (n = 0; n < sent; n++) {
        unsigned queue = flight_queue(f, n), flow = n % FLOWS;

        if (queue == FLIGHT_NEVER) {
            fate->lost++;
        } else if (queue != b->expected[0][flow] &&
                   queue != b->expected[1][flow]) {
            fate->neither++;
        }
    }
    fate->sent += sent;
}

static void print_fate(const Fate *fate, const char *what)
{
    g_autofree char *sent_name = g_strconcat("sent/", what, NULL);
    g_autofree char *neither_name = g_strconcat("neither/", what, NULL);
    g_autofree char *lost_name = g_strconcat("lost/", what, NULL);

    samples_print_one(sent_name, "packets", fate->sent);
    samples_print_one(neither_name, "packets", fate->neither);
    samples_print_one(lost_name, "packets", fate->lost);
}

/* Some bursts of @n changes under one stream of packets. */
static void measure_group(Bench *b, Engine *engine, unsigned n,
                          Samples *hold, Effects *effects, Fate *fate)
{
    unsigned pause_us = n > 1 ? BURST_PAUSE_US : PAUSE_US;
    Flight *flight = flight_new(b->net, b->frame, FLOWS, PACKETS, now_ns,
                                NULL);
    unsigned i, config = 0, sent;
    Burst burst[GROUP];

    make_configs(b);
    set_all(engine, &b->config[0]);
    g_usleep(BURST_PAUSE_US);
    flight_start(flight, drain_pin);
    for (i = 0; i < GROUP; i++) {
        g_usleep(pause_us);
        burst[i] = change(b, engine, config, n, hold);
        config = burst[i].config;
        g_usleep(pause_us);
    }
    sent = flight_stop(flight);
    if (sent == PACKETS) {
        g_error("the stream of packets ended before the changes did");
    }
    add_effects(b, flight, burst, sent, pause_us * 1e3, effects);
    add_fate(b, flight, sent, fate);
    flight_free(flight);
}

static void measure(Bench *b, Engine *engine, unsigned n, unsigned groups)
{
    g_autofree char *what = g_strdup_printf("%u/%s", n, engine->name);
    g_autofree char *hold_name = g_strconcat("hold/", what, NULL);
    g_autofree char *new_name = g_strconcat("active/", what, NULL);
    g_autofree char *old_name = g_strconcat("old/", what, NULL);
    Samples *hold = samples_new(hold_name, "ns");
    Effects effects = { samples_new(new_name, "ns"),
                        samples_new(old_name, "ns") };
    Fate fate = { 0 };
    unsigned i;

    for (i = 0; i < groups; i++) {
        measure_group(b, engine, n, hold, &effects, &fate);
    }
    samples_print(hold);
    samples_print(effects.first_new);
    samples_print(effects.last_old);
    print_fate(&fate, what);
}

/* What a change waits for that finds no free slot: the least it can take. */
static void measure_grace_periods(void)
{
    Samples *samples = samples_new("grace", "ns");
    int fds[EBPF_RSS_FDS];
    RssGrace *grace;
    unsigned i;

    if (!ebpf_rss_open("grace", fds, NULL)) {
        g_error("cannot load the steering program twice");
    }
    grace = rss_grace_new(fds[EBPF_RSS_FD_GRACE], fds[EBPF_RSS_FD_CONFIG],
                          false, NULL);

    for (i = 0; i < GRACE_PERIODS; i++) {
        double begin = samples_now_ns();

        rss_grace_wait(grace);
        samples_add(samples, samples_now_ns() - begin);
    }
    samples_print(samples);
    rss_grace_free(grace);
    close(fds[EBPF_RSS_FD_PROGRAM]);
    close(fds[EBPF_RSS_FD_COUNTERS]);
}

/*
 * Puts the calling thread, but not those it starts, before all others: what
 * waits for a processor that the packets' threads use is not the call's time.
 */
static void go_first(void)
{
    const struct sched_param param = { .sched_priority = 1 };

    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
                           &param) != 0) {
        fprintf(stderr, "no real-time priority: times of calls may be"
                " longer\n");
    }
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    Bench b = { 0 };
    Engine ours = { .name = "ours" }, stock = { .name = "stock" };
    unsigned groups, i;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-reconfigure STOCK-PROGRAM GROUPS\n");
        return 1;
    }
    groups = strtoul(argv[2], NULL, 10);
    if (!tap_net_allowed()) {
        fprintf(stderr, "a tap in a network namespace needs root\n");
        return SKIP;
    }
    make_frames(&b);
    b.net = tap_net_new(QUEUES);
    ours.ours = ebpf_rss_load("bench", NULL, NULL, &error);
    if (!ours.ours) {
        g_error("%s", error->message);
    }
    stock.stock = stock_program_load(argv[1]);
    ours.tap_fd = stock.tap_fd = b.net->queue[0];
    go_first();

    for (i = 0; i < 2; i++) {
        attach(b.net->queue[0], ebpf_rss_program_fd(ours.ours));
        measure(&b, &ours, i ? BURST : 1, groups);
        measure(&b, &stock, i ? BURST : 1, groups);
    }
    measure_grace_periods();
    tap_steering_detach(b.net->queue[0], NULL);
    stock_program_free(stock.stock);
    ebpf_rss_unload(ours.ours);
    tap_net_free(b.net);
    for (i = 0; i < FLOWS; i++) {
        g_byte_array_unref(b.frame[i]);
    }
    return 0;
}
