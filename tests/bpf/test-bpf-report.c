/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that reports hashes, in the kernel: hash and report code of the
 * rows of flow_cases.c and of random frames against the host's engine and the
 * oracle, and never a mixture of two configurations.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "flow_cases.h"
#include "limit.h"
#include "packet.h"
#include "random_packet.h"

enum {
    RANDOM_PACKETS = 40000,
    PACKETS_PER_CONFIG = 200,
    FULL_RANGE = 65536,     /* queues: any 16-bit number */
    CONFIGS = 8,            /* that replace each other */
    THREADS = 2,
    WAIT_MS = 20000,
};

/* A steering program with one that reports, and configured. */
static EBPFRSS *load(void)
{
    int fds[EBPF_RSS_FDS], report_fds[EBPF_RSS_REPORT_FDS];
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss;

    ebpf_rss_open("test", fds, &error);
    g_assert_no_error(error);
    ebpf_rss_open_report("test", fds, report_fds, &error);
    g_assert_no_error(error);
    rss = ebpf_rss_adopt(fds, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(ebpf_rss_report_fd(rss), ==, -1);
    ebpf_rss_adopt_report(rss, report_fds, &error);
    g_assert_no_error(error);
    g_assert_cmpint(ebpf_rss_report_fd(rss), ==,
                    report_fds[EBPF_RSS_FD_REPORT]);
    return rss;
}

/* Puts @config in force, and returns when it is. */
static void set_all(EBPFRSS *rss, const RssConfig *config)
{
    ebpf_rss_set_all(rss, config);
    g_assert_cmpint(ebpf_rss_wait(rss, WAIT_MS), ==, EBPF_RSS_IN_FORCE);
}

/* Program, host's engine and oracle agree on the @len bytes at @frame. */
static void check_frame(EBPFRSS *rss, const RssEngine *engine,
                        const OracleConfig *oracle, const char *what,
                        const uint8_t *frame, size_t len)
{
    RssResult host = rss_engine_classify(engine, frame, len);
    OracleAnswer expected = oracle_classify(oracle, frame, len);
    uint32_t hash, report;
    int err = bpf_run_report(ebpf_rss_report_fd(rss), frame, len, &hash,
                             &report);

    if (len == 0 && err == -EINVAL) {
        return;     /* newer kernels do not run programs on empty frames */
    }
    g_assert_cmpint(err, ==, 0);
    if (hash != expected.hash || host.hash != expected.hash ||
        report != rss_type_report(expected.type) ||
        host.type != expected.type) {
        g_autofree char *hex = packet_hex(frame, len);

        g_error("%s\n%s\ntypes 0x%x: the program says hash 0x%08x and report"
                " %u, the host's engine 0x%08x and %u, the oracle 0x%08x and"
                " %u", what, hex, oracle->hash_types, hash, report, host.hash,
                rss_type_report(host.type), expected.hash,
                rss_type_report(expected.type));
    }
}

/* All rows, and each length at which one can be cut off. */
static void test_cases(void)
{
    g_autoptr(EBPFRSS) rss = NULL;
    size_t i, len;

    if (!bpf_run_allowed()) {
        return;
    }
    rss = load();
    for (i = 0; i < n_flow_cases; i++) {
        const FlowCase *c = &flow_cases[i];
        RssConfig config = config_plain(c->enabled, RSS_TABLE_MAX);
        OracleConfig oracle = config_for_oracle(&config);
        g_autoptr(RssEngine) engine = rss_engine_new(&config);
        g_autoptr(GByteArray) frame = flow_case_frame(c);

        set_all(rss, &config);
        for (len = 0; len <= MIN(frame->len, BPF_RUN_MAX); len++) {
            check_frame(rss, engine, &oracle, c->name, frame->data, len);
        }
    }
}

static void test_random(void)
{
    unsigned packets = limit_part(RANDOM_PACKETS), i, j;
    g_autoptr(EBPFRSS) rss = NULL;
    g_autoptr(GRand) rand = NULL;

    if (!bpf_run_allowed()) {
        return;
    }
    rss = load();
    rand = config_seeded_rand();
    for (i = 0; i < packets / PACKETS_PER_CONFIG; i++) {
        RssConfig config = config_random(rand, FULL_RANGE);
        OracleConfig oracle = config_for_oracle(&config);
        g_autoptr(RssEngine) engine = rss_engine_new(&config);

        set_all(rss, &config);
        for (j = 0; j < PACKETS_PER_CONFIG; j++) {
            g_autoptr(RandomPacket) p = random_packet(rand, BPF_RUN_MAX);

            check_frame(rss, engine, &oracle, p->recipe, p->frame->data,
                        p->frame->len);
        }
    }
    g_test_message("%u packets", packets);
}

/* Before the first configuration no packet has a hash. */
static void test_unconfigured(void)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip4 tcp", &packet_flow);
    g_autoptr(EBPFRSS) rss = NULL;
    uint32_t hash, report;

    if (!bpf_run_allowed()) {
        return;
    }
    rss = load();
    g_assert_cmpint(bpf_run_report(ebpf_rss_report_fd(rss), frame->data,
                                   frame->len, &hash, &report), ==, 0);
    g_assert_cmphex(hash, ==, 0);
    g_assert_cmpuint(report, ==, 0);
}

/* Descriptors that are others are refused, and stay the caller's. */
static void test_refused(void)
{
    int fds[2][EBPF_RSS_FDS], report_fds[EBPF_RSS_REPORT_FDS], i, j;
    g_autoptr(EBPFRSS) rss = NULL;

    if (!bpf_run_allowed()) {
        return;
    }
    for (i = 0; i < 2; i++) {
        g_assert_true(ebpf_rss_open("test", fds[i], NULL));
    }
    rss = ebpf_rss_adopt(fds[0], NULL, NULL, NULL);
    g_assert_nonnull(rss);
    g_assert_true(ebpf_rss_open_report("test", fds[1], report_fds, NULL));
    {
        const int wrong[][EBPF_RSS_REPORT_FDS] = {
            { report_fds[EBPF_RSS_FD_REPORT], -1 },
            { -1, report_fds[EBPF_RSS_FD_HASHES] },
            { report_fds[EBPF_RSS_FD_HASHES], report_fds[EBPF_RSS_FD_REPORT] },
            { report_fds[EBPF_RSS_FD_REPORT], fds[0][EBPF_RSS_FD_COUNTERS] },
            { fds[0][EBPF_RSS_FD_PROGRAM], report_fds[EBPF_RSS_FD_HASHES] },
            /* Of another handle's configurations: before 6.0 root may ask */
            { report_fds[EBPF_RSS_FD_REPORT],
              report_fds[EBPF_RSS_FD_HASHES] },
        };

        for (j = 0; j < G_N_ELEMENTS(wrong); j++) {
            g_autoptr(GError) error = NULL;

            g_assert_false(ebpf_rss_check_report(fds[0], wrong[j], &error));
            g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
            g_clear_error(&error);
            g_assert_false(ebpf_rss_adopt_report(rss, wrong[j], &error));
            g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
            g_test_message("%s", error->message);
            g_assert_cmpint(ebpf_rss_report_fd(rss), ==, -1);
        }
    }
    g_assert_true(ebpf_rss_check_report(fds[1], report_fds, NULL));
    for (i = 0; i < EBPF_RSS_REPORT_FDS; i++) {
        g_assert_cmpint(close(report_fds[i]), ==, 0);
    }
    for (i = 0; i < EBPF_RSS_FDS; i++) {
        g_assert_cmpint(close(fds[1][i]), ==, 0);
    }
}

/* Without the map of configurations there is nothing to load. */
static void test_no_map(void)
{
    const int fds[EBPF_RSS_FDS] = { -1, -1, -1, -1 };
    int report_fds[EBPF_RSS_REPORT_FDS] = { -7, -7 };
    g_autoptr(GError) error = NULL;

    if (!bpf_run_allowed()) {
        return;
    }
    g_assert_false(ebpf_rss_open_report("test", fds, report_fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
    g_assert_cmpint(report_fds[0], ==, -7);
}

typedef struct Storm {
    EBPFRSS *rss;
    RssConfig config[CONFIGS];
    OracleAnswer answer[CONFIGS];       /* for @frame */
    GByteArray *frame;
    gint stop;
    gint runs;
    gint seen;              /* a bit for each configuration */
} Storm;

/* Each run's hash and code are those of one configuration. */
static void *report_in_a_loop(void *opaque)
{
    Storm *s = opaque;
    uint32_t hash, report;
    int i;

    while (!g_atomic_int_get(&s->stop)) {
        g_assert_cmpint(bpf_run_report(ebpf_rss_report_fd(s->rss),
                                       s->frame->data, s->frame->len, &hash,
                                       &report), ==, 0);
        for (i = 0; i < CONFIGS; i++) {
            if (hash == s->answer[i].hash &&
                report == rss_type_report(s->answer[i].type)) {
                break;
            }
        }
        if (i == CONFIGS) {
            g_error("hash 0x%08x, report %u: of no configuration", hash,
                    report);
        }
        g_atomic_int_or(&s->seen, 1 << i);
        g_atomic_int_inc(&s->runs);
    }
    return NULL;
}

/*
 * Configurations that differ in the key and in whether the home address
 * counts, so that a table of one with the types of another would be seen.
 */
static void test_reconfigure(void)
{
    Limit limit = { .count = 2000000, .seconds = 3 };
    char *no_args[] = { NULL };
    g_autoptr(GRand) rand = NULL;
    gint64 begin = g_get_monotonic_time();
    GThread *threads[THREADS];
    unsigned n = 0;
    Storm s = { 0 };
    int i;

    if (!bpf_run_allowed()) {
        return;
    }
    rand = config_seeded_rand();
    limit = limit_from_args(0, no_args, limit);
    s.rss = load();
    s.frame = packet_build("eth vlan ip6 hop hop hop hop dst:home tcp",
                           &packet_flow);
    for (i = 0; i < CONFIGS; i++) {
        OracleConfig oracle;

        s.config[i] = config_random(rand, FULL_RANGE);
        s.config[i].hash_types = i & 1 ? RSS_TYPE_TCP_EX : RSS_TYPE_TCPV6;
        oracle = config_for_oracle(&s.config[i]);
        s.answer[i] = oracle_classify(&oracle, s.frame->data, s.frame->len);
        g_assert_cmphex(s.answer[i].type, ==, s.config[i].hash_types);
    }
    set_all(s.rss, &s.config[0]);
    for (i = 0; i < THREADS; i++) {
        threads[i] = g_thread_new("runner", report_in_a_loop, &s);
    }
    do {
        n++;
        if (ebpf_rss_set_all(s.rss, &s.config[g_rand_int_range(rand, 0,
                                                               CONFIGS)]) !=
            EBPF_RSS_IN_FORCE) {
            ebpf_rss_wait(s.rss, WAIT_MS);      /* the processor is theirs */
        }
    } while (!limit_is_over(&limit, g_atomic_int_get(&s.runs), begin) ||
             g_atomic_int_get(&s.seen) != (1 << CONFIGS) - 1);
    g_atomic_int_set(&s.stop, 1);
    for (i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    g_test_message("%d runs, %u configurations", s.runs, n);
    g_byte_array_unref(s.frame);
    ebpf_rss_unload(s.rss);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bpf/report/cases", test_cases);
    g_test_add_func("/bpf/report/random", test_random);
    g_test_add_func("/bpf/report/unconfigured", test_unconfigured);
    g_test_add_func("/bpf/report/refused", test_refused);
    g_test_add_func("/bpf/report/no-map", test_no_map);
    g_test_add_func("/bpf/report/reconfigure", test_reconfigure);
    return g_test_run();
}
