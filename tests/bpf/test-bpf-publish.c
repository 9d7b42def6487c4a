/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the configuration while the program runs, in the real kernel: each
 * packet is steered by one whole configuration, and the last one wins.
 *
 * Configuration n has queue n in the one entry of its table that one certain
 * packet's hash under its own key chooses, and BAD in all others. A program
 * that mixed two configurations would answer BAD. The packet has many
 * extension headers, so that much time goes by between finding the active
 * slot and reading it.
 *
 * With --without-membarrier the kernel refuses that system call (seccomp), and
 * the library must find another way to wait for running programs.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "ebpf/rss_abi.h"
#include "packet.h"
#include "refuse.h"

enum {
    BAD = 65000,            /* a queue */
    UNCLASSIFIED = 65001,
    KEYS = 64,
    HEADERS = 18,           /* more, and the packet would not be hashed */
    THREADS = 3,
    RUNS = 60000,           /* of the program, by all threads */
    BURST = 8,              /* configurations without a pause */
    NOBODY = 65534,         /* user */
    WAIT_MS = 20000,
    CONFIGS = 40,           /* in a child process */
};

static GByteArray *frame;
static uint8_t keys[KEYS][RSS_KEY_SIZE];
static unsigned entries[KEYS];      /* of the table, for the packet */

static GMutex lock;
static GCond changed;
static unsigned notified;
static bool unloaded;

static void on_notify(void *opaque)
{
    g_mutex_lock(&lock);
    if (unloaded) {
        g_error("notified after the handle was unloaded");
    }
    notified++;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static unsigned notifications(void)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    return notified;
}

static void wait_for_notify(unsigned n)
{
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;

    g_mutex_lock(&lock);
    while (notified < n) {
        g_assert_true(g_cond_wait_until(&changed, &lock, end));
    }
    g_mutex_unlock(&lock);
}

static void make_frame(void)
{
    GString *recipe = g_string_new("eth vlan ip6");
    int i;

    for (i = 0; i < HEADERS; i++) {
        g_string_append(recipe, " hop");
    }
    g_string_append(recipe, " dst:home tcp");
    frame = packet_build(recipe->str, &packet_flow);
    g_string_free(recipe, TRUE);
}

/* Odd ones hash the home address, even ones the address in the header. */
static uint32_t types_of(unsigned n)
{
    return n & 1 ? RSS_TYPE_TCP_EX : RSS_TYPE_TCPV6;
}

/* The table's entry that the packet has under a key. */
static unsigned entry_of(const uint8_t *key, unsigned n)
{
    OracleConfig oracle = {
        .hash_types = types_of(n),
        .table_len = RSS_TABLE_MAX,
    };
    OracleAnswer answer;

    memcpy(oracle.key, key, sizeof(oracle.key));
    answer = oracle_classify(&oracle, frame->data, frame->len);
    g_assert_cmphex(answer.type, ==, oracle.hash_types);
    return answer.hash % RSS_TABLE_MAX;
}

/* Keys that give the packet different entries, each another. */
static void make_keys(void)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    bool taken[RSS_TABLE_MAX] = { false };
    unsigned n = 0, i;

    while (n < KEYS) {
        for (i = 0; i < RSS_KEY_SIZE; i++) {
            keys[n][i] = g_rand_int(rand);
        }
        i = entry_of(keys[n], n);
        if (!taken[i]) {
            taken[i] = true;
            entries[n++] = i;
        }
    }
}

static RssConfig config_number(unsigned n)
{
    RssConfig config = {
        .hash_types = types_of(n),
        .unclassified_queue = UNCLASSIFIED,
        .table_len = RSS_TABLE_MAX,
    };
    unsigned i;

    for (i = 0; i < RSS_TABLE_MAX; i++) {
        config.table[i] = BAD;
    }
    memcpy(config.key, keys[n % KEYS], RSS_KEY_SIZE);
    config.table[entries[n % KEYS]] = n;
    return config;
}

static EBPFRSS *load(void)
{
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss;

    if (!bpf_run_allowed()) {
        return NULL;
    }
    notified = 0;
    unloaded = false;
    rss = ebpf_rss_load("test", on_notify, NULL, &error);
    g_assert_no_error(error);
    return rss;
}

/* Which configuration steers now. */
static int64_t in_force(const EBPFRSS *rss)
{
    return bpf_run(ebpf_rss_program_fd(rss), frame->data, frame->len);
}

static gint runs;

static gpointer run_thread(gpointer data)
{
    const EBPFRSS *rss = data;
    int64_t last = 0, n;

    while (g_atomic_int_get(&runs) < RUNS) {
        n = in_force(rss);
        if (n < last || n >= BAD) {
            g_error("the program returned %ld, after configuration %ld",
                    (long)n, (long)last);
        }
        last = n;
        g_atomic_int_inc(&runs);
    }
    return NULL;
}

/* A guest that configures in a loop, while packets arrive on all CPUs. */
static void test_storm(void)
{
    g_autoptr(EBPFRSS) rss = load();
    GThread *threads[THREADS];
    unsigned n = 0, later = 0, before;
    RssConfig config;
    bool now;
    int i;

    if (!rss) {
        return;
    }
    g_atomic_int_set(&runs, 0);
    for (i = 0; i < THREADS; i++) {
        threads[i] = g_thread_new("runner", run_thread, rss);
    }
    while (g_atomic_int_get(&runs) < RUNS && n + BURST < BAD) {
        before = notifications();
        for (i = 0, now = true; i < BURST; i++) {
            config = config_number(++n);
            now = ebpf_rss_set_all(rss, &config) == EBPF_RSS_IN_FORCE;
            later += !now;
        }
        if (!now) {
            wait_for_notify(before + 1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    g_test_message("%d packets, %u configurations, %u of them had to wait",
                   RUNS, n, later);
}

/* After a burst, the last one is in force once none is deferred any more. */
static void test_last_wins(void)
{
    g_autoptr(EBPFRSS) rss = load();
    unsigned round, n = 0, i;

    if (!rss) {
        return;
    }
    g_assert_cmpint(ebpf_rss_state(rss), ==, EBPF_RSS_IN_FORCE);
    for (round = 1; round <= 20; round++) {
        for (i = 0; i < 5 + round; i++) {
            RssConfig config = config_number(++n);

            if (ebpf_rss_set_all(rss, &config) == EBPF_RSS_IN_FORCE) {
                g_assert_cmpint(in_force(rss), ==, n);
            }
        }
        g_assert_cmpint(ebpf_rss_wait(rss, WAIT_MS), ==, EBPF_RSS_IN_FORCE);
        g_assert_cmpint(ebpf_rss_state(rss), ==, EBPF_RSS_IN_FORCE);
        g_assert_cmpint(in_force(rss), ==, n);
    }
}

/* A guest that configures several times in a row. */
static void burst(EBPFRSS *rss, unsigned n_configs)
{
    unsigned n;

    for (n = 1; n <= n_configs; n++) {
        RssConfig config = config_number(n);

        ebpf_rss_set_all(rss, &config);
    }
}

/* Long enough for each publisher's worker to be done, by another handle. */
static void wait_for_grace_periods(void)
{
    EBPFRSS *other = ebpf_rss_load("test", NULL, NULL, NULL);

    g_assert_nonnull(other);
    burst(other, 8);
    g_assert_cmpint(ebpf_rss_wait(other, WAIT_MS), ==, EBPF_RSS_IN_FORCE);
    ebpf_rss_unload(other);
}

/* A handle that is gone is heard of no more, whatever was waiting. */
static void test_unload_pending(void)
{
    unsigned i;

    for (i = 0; i < 20; i++) {
        EBPFRSS *rss = load();

        if (!rss) {
            return;
        }
        burst(rss, 8);
        ebpf_rss_unload(rss);
        g_mutex_lock(&lock);
        unloaded = true;
        g_mutex_unlock(&lock);
        if (i % 2) {
            wait_for_grace_periods();
        }
    }
}

/* In a child process: as nobody, configures, and waits where it must. */
static int configure_as_nobody(EBPFRSS *rss)
{
    unsigned n;

    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        return 1;
    }
    for (n = 1; n <= CONFIGS; n++) {
        RssConfig config = config_number(n);

        ebpf_rss_set_all(rss, &config);
        if (ebpf_rss_wait(rss, WAIT_MS) != EBPF_RSS_IN_FORCE) {
            return 2;
        }
    }
    return 0;
}

/* Runs @configure in a child process; it must return 0. */
static void run_child(int (*configure)(EBPFRSS *rss), EBPFRSS *rss)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        _exit(configure(rss));
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

/* Loading takes a privilege; configuring later does not. */
static void test_unprivileged(void)
{
    g_autoptr(EBPFRSS) rss = load();

    if (!rss) {
        return;
    }
    if (geteuid() != 0) {
        g_test_skip("becoming another user needs root");
        return;
    }
    run_child(configure_as_nobody, rss);
    g_assert_cmpint(in_force(rss), ==, CONFIGS);
}

/* In a child process: it can wait no more, as if a privilege were gone. */
static int configure_without_waiting(EBPFRSS *rss)
{
    EBPFRSSState state = EBPF_RSS_IN_FORCE;
    unsigned n;

    if (!refuse_call(__NR_bpf) || !refuse_call(__NR_membarrier)) {
        return 1;
    }
    for (n = 1; n <= CONFIGS; n++) {
        RssConfig config = config_number(n);

        state = ebpf_rss_set_all(rss, &config);
        if ((state == EBPF_RSS_IN_FORCE) != (n < RSS_SLOTS)) {
            return 2;
        }
    }
    if (state == EBPF_RSS_DEFERRED) {   /* or it was known by then */
        state = ebpf_rss_wait(rss, WAIT_MS);
    }
    return state == EBPF_RSS_UNAVAILABLE ? 0 : 3;
}

/* Then the slots that are free are used, and the last of them stays in force. */
static void test_no_way_to_wait(void)
{
    g_autoptr(EBPFRSS) rss = load();

    if (rss) {
        run_child(configure_without_waiting, rss);
        g_assert_cmpint(in_force(rss), ==, RSS_SLOTS - 1);
    }
}

/* From here on membarrier() does not exist. */
static void refuse_membarrier(void)
{
    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_true(refuse_call(__NR_membarrier));
    g_assert_cmpint(syscall(__NR_membarrier, 0, 0), ==, -1);
}

int main(int argc, char **argv)
{
    bool without_membarrier;

    g_test_init(&argc, &argv, NULL);
    without_membarrier = argc > 1 && !strcmp(argv[1], "--without-membarrier");
    make_frame();
    make_keys();
    if (without_membarrier) {
        refuse_membarrier();
    } else {
        /* Before the first worker thread: it does not survive a fork. */
        g_test_add_func("/bpf/publish/unprivileged", test_unprivileged);
        g_test_add_func("/bpf/publish/no-way-to-wait", test_no_way_to_wait);
    }
    g_test_add_func("/bpf/publish/last-wins", test_last_wins);
    g_test_add_func("/bpf/publish/storm", test_storm);
    g_test_add_func("/bpf/publish/unload-pending", test_unload_pending);
    return g_test_run();
}
