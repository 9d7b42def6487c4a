/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steering program in the kernel against the rows of flow_cases.c, the
 * host's engine and the oracle.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "flow_cases.h"
#include "limit.h"
#include "packet.h"
#include "random_packet.h"

enum {
    RANDOM_PACKETS = 120000,
    PACKETS_PER_CONFIG = 200,
    FULL_RANGE = 65536,     /* queues: any 16-bit number */
    WAIT_MS = 20000,
};

/* Loaded once, for all tests; NULL if that is not allowed. */
static EBPFRSS *rss;

/* Puts @config in force, and returns when it is. */
static void set_all(const RssConfig *config)
{
    ebpf_rss_set_all(rss, config);
    g_assert_cmpint(ebpf_rss_wait(rss, WAIT_MS), ==, EBPF_RSS_IN_FORCE);
}

static bool have_program(void)
{
    g_autoptr(GError) error = NULL;

    if (!bpf_run_allowed()) {
        return false;
    }
    if (!rss) {
        rss = ebpf_rss_load("test", NULL, NULL, &error);
        g_assert_no_error(error);
    }
    return true;
}

/* The verifier takes it. How much of its budget that was is in the output. */
static void test_load(void)
{
    struct bpf_prog_info info = { 0 };
    __u32 info_len = sizeof(info);
    EBPFRSS *mine;
    g_autoptr(GError) error = NULL;
    gint64 start;

    if (!bpf_run_allowed()) {
        return;
    }
    start = g_get_monotonic_time();
    mine = ebpf_rss_load("test", NULL, NULL, &error);
    g_assert_no_error(error);
    g_test_message("loaded in %.1f ms",
                   (g_get_monotonic_time() - start) / 1000.0);

    g_assert_cmpint(bpf_obj_get_info_by_fd(ebpf_rss_program_fd(mine), &info,
                                           &info_len), ==, 0);
    g_test_message("%s: %u instructions after verification, %u bytes of"
                   " machine code", info.name, info.xlated_prog_len / 8,
                   info.jited_prog_len);
    g_assert_cmpint(info.type, ==, BPF_PROG_TYPE_SOCKET_FILTER);
    ebpf_rss_unload(mine);
}

/* Before the first configuration everything goes to queue 0. */
static void test_unconfigured(void)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip4 tcp", &packet_flow);
    EBPFRSS *mine;

    if (!bpf_run_allowed()) {
        return;
    }
    mine = ebpf_rss_load("test", NULL, NULL, NULL);
    g_assert_nonnull(mine);
    g_assert_cmpint(bpf_run(ebpf_rss_program_fd(mine), frame->data,
                            frame->len), ==, 0);
    ebpf_rss_unload(mine);
}

static void G_GNUC_NORETURN
complain(const char *what, const uint8_t *frame, size_t len,
         const OracleConfig *oracle, int64_t seen, unsigned host,
         unsigned expected)
{
    g_autofree char *hex = packet_hex(frame, len);

    g_error("%s\n%s\ntypes 0x%x, table of %u: the program says queue %ld,"
            " the host's engine %u, the oracle %u", what, hex,
            oracle->hash_types, oracle->table_len, (long)seen, host,
            expected);
}

/* All three agree on the first @len bytes at @frame. */
static void check_frame(const char *what, const RssEngine *engine,
                        const OracleConfig *oracle,
                        const uint8_t *frame, size_t len)
{
    int64_t seen = bpf_run(ebpf_rss_program_fd(rss), frame, len);
    uint16_t host = rss_engine_steer(engine, frame, len);
    uint16_t expected = oracle_classify(oracle, frame, len).queue;

    if (len == 0 && seen == -EINVAL) {
        return;     /* newer kernels do not run programs on empty frames */
    }
    if (seen != expected || host != expected) {
        complain(what, frame, len, oracle, seen, host, expected);
    }
}

/* A row, and each length at which it can be cut off. */
static void test_case(gconstpointer data)
{
    const FlowCase *c = data;
    RssConfig config = config_plain(c->enabled, RSS_TABLE_MAX);
    OracleConfig oracle = config_for_oracle(&config);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    g_autoptr(GByteArray) frame = flow_case_frame(c);
    int queue = 999;
    size_t len;

    if (!have_program()) {
        return;
    }
    set_all(&config);
    for (len = 0; len <= MIN(frame->len, BPF_RUN_MAX); len++) {
        check_frame(c->name, engine, &oracle, frame->data, len);
    }
    if (c->type) {
        queue = 1000 + (flow_case_hash(c, config.key) & (RSS_TABLE_MAX - 1));
    }
    if (frame->len > 0 && frame->len <= BPF_RUN_MAX) {
        g_assert_cmpint(bpf_run(ebpf_rss_program_fd(rss), frame->data,
                                frame->len), ==, queue);
    }
}

static void test_random(void)
{
    unsigned packets = limit_part(RANDOM_PACKETS), i, j;
    g_autoptr(GRand) rand = NULL;

    if (!have_program()) {
        return;
    }
    rand = config_seeded_rand();
    for (i = 0; i < packets / PACKETS_PER_CONFIG; i++) {
        RssConfig config = config_random(rand, FULL_RANGE);
        OracleConfig oracle = config_for_oracle(&config);
        g_autoptr(RssEngine) engine = rss_engine_new(&config);

        set_all(&config);
        for (j = 0; j < PACKETS_PER_CONFIG; j++) {
            g_autoptr(RandomPacket) p = random_packet(rand, BPF_RUN_MAX);

            check_frame(p->recipe, engine, &oracle, p->frame->data,
                        p->frame->len);
        }
    }
    g_test_message("%u packets", packets);
}

int main(int argc, char **argv)
{
    size_t i;
    int status;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bpf/load", test_load);
    g_test_add_func("/bpf/unconfigured", test_unconfigured);
    for (i = 0; i < n_flow_cases; i++) {
        g_autofree char *name = g_strdup_printf("/bpf/case/%s",
                                                flow_cases[i].name);

        g_test_add_data_func(name, &flow_cases[i], test_case);
    }
    g_test_add_func("/bpf/random", test_random);
    status = g_test_run();
    ebpf_rss_unload(rss);
    return status;
}
