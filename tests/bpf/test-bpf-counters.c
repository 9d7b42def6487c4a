/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the steering program counts, if it is told to. */
#include <string.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "flow_cases.h"
#include "packet.h"

enum {
    THREADS = 3,
    RUNS = 20000,           /* by each thread */
};

static EBPFRSS *load(void)
{
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss;

    if (!bpf_run_allowed()) {
        return NULL;
    }
    rss = ebpf_rss_load("test", NULL, NULL, &error);
    g_assert_no_error(error);
    return rss;
}

static int64_t run(const EBPFRSS *rss, const char *recipe)
{
    g_autoptr(GByteArray) frame = packet_build(recipe, &packet_flow);

    return bpf_run(ebpf_rss_program_fd(rss), frame->data, frame->len);
}

static void assert_counters(const EBPFRSS *rss, const RssCounters *expected)
{
    RssCounters seen = ebpf_rss_get_counters(rss);

    g_assert_cmpmem(&seen, sizeof(seen), expected, sizeof(*expected));
}

static void test_off(void)
{
    static const RssCounters none;
    g_autoptr(EBPFRSS) rss = load();
    RssConfig config = config_plain(RSS_TYPES_ALL, RSS_TABLE_MAX);

    if (!rss) {
        return;
    }
    g_assert_cmpint(ebpf_rss_set_all(rss, &config), ==,
                    EBPF_RSS_IN_FORCE);
    g_assert_cmpint(run(rss, "eth ip4 tcp"), >=, 1000);
    assert_counters(rss, &none);
    ebpf_rss_set_counting(rss, true);
    ebpf_rss_set_counting(rss, false);
    g_assert_cmpint(run(rss, "eth ip4 tcp"), >=, 1000);
    assert_counters(rss, &none);
}

/* A packet for each hash type, by the code of its hash report. */
static const char *const by_code[RSS_COUNTED_TYPES] = {
    "eth type:0x0806 raw:40",
    "eth ip4:proto=1 raw:8", "eth ip4 tcp", "eth ip4 udp",
    "eth ip6 icmp6", "eth ip6 tcp", "eth ip6 udp",
    "eth ip6 hop icmp6", "eth ip6 hop tcp", "eth ip6 hop udp",
};

static void test_types(void)
{
    g_autoptr(EBPFRSS) rss = load();
    RssConfig config = config_plain(RSS_TYPES_ALL, 1);
    RssCounters expected = { 0 };
    int code, i;

    if (!rss) {
        return;
    }
    config.table[0] = 3;
    config.unclassified_queue = 8;
    g_assert_cmpint(ebpf_rss_set_all(rss, &config), ==,
                    EBPF_RSS_IN_FORCE);
    ebpf_rss_set_counting(rss, true);
    for (code = 0; code < RSS_COUNTED_TYPES; code++) {
        for (i = 0; i < code + 2; i++) {
            expected.queue[run(rss, by_code[code])]++;
            expected.type[code]++;
        }
    }
    g_assert_cmpuint(expected.queue[8], ==, 2);
    assert_counters(rss, &expected);

    /* They go on from where they were. */
    ebpf_rss_set_counting(rss, false);
    run(rss, by_code[1]);
    assert_counters(rss, &expected);
    ebpf_rss_set_counting(rss, true);
    expected.queue[run(rss, by_code[1])]++;
    expected.type[1]++;
    assert_counters(rss, &expected);
}

/* The last queue that is counted, the first that is not, and the last. */
static void test_queues(void)
{
    static const uint16_t queues[] = { 0, 255, 256, 65535 };
    g_autoptr(EBPFRSS) rss = load();
    RssCounters expected = { 0 };
    size_t i;

    if (!rss) {
        return;
    }
    ebpf_rss_set_counting(rss, true);
    for (i = 0; i < G_N_ELEMENTS(queues); i++) {
        RssConfig config = config_plain(RSS_TYPES_ALL, 1);

        config.table[0] = queues[i];
        ebpf_rss_set_all(rss, &config);
        g_assert_cmpint(ebpf_rss_wait(rss, 20000), ==, EBPF_RSS_IN_FORCE);
        g_assert_cmpint(run(rss, "eth ip4 tcp"), ==, queues[i]);
        expected.type[2]++;
        if (queues[i] < RSS_COUNTED_QUEUES) {
            expected.queue[queues[i]]++;
        }
        assert_counters(rss, &expected);
    }
}

static gpointer run_thread(gpointer data)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip6 udp", &packet_flow);
    int i;

    for (i = 0; i < RUNS; i++) {
        g_assert_cmpint(bpf_run(ebpf_rss_program_fd(data), frame->data,
                                frame->len), ==, 9);
    }
    return NULL;
}

/* None is missed when processors count at once. */
static void test_threads(void)
{
    g_autoptr(EBPFRSS) rss = load();
    RssConfig config = config_plain(RSS_TYPES_ALL, 1);
    RssCounters expected = {
        .type[6] = THREADS * RUNS,
        .queue[9] = THREADS * RUNS,
    };
    GThread *threads[THREADS];
    int i;

    if (!rss) {
        return;
    }
    config.table[0] = 9;
    g_assert_cmpint(ebpf_rss_set_all(rss, &config), ==,
                    EBPF_RSS_IN_FORCE);
    ebpf_rss_set_counting(rss, true);
    for (i = 0; i < THREADS; i++) {
        threads[i] = g_thread_new("runner", run_thread, rss);
    }
    for (i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    assert_counters(rss, &expected);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bpf/counters/off", test_off);
    g_test_add_func("/bpf/counters/types", test_types);
    g_test_add_func("/bpf/counters/queues", test_queues);
    g_test_add_func("/bpf/counters/threads", test_threads);
    return g_test_run();
}
