/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program runs without a pause on other processors than a thread that
 * configures it. Every run must see one whole configuration.
 *
 * The kernel does the runs (BPF_PROG_TEST_RUN with many repetitions), and the
 * program's own counters say what came of each: with the code book
 * (code_book.h) a run that saw a mixture counts for queue 0 or BAD. So this
 * sees some ten times as many runs as packets go through a tap, and the
 * program is nearly always on one of its instructions.
 *
 *     /bpf/reconfigure/under-load      without a pause
 *                     /each-step       one after the other, and no run may see
 *                                      one that was in force earlier, either
 *
 * The latter has several programs, because each has but a few slots in a grace
 * period.
 *
 *     test-bpf-reconfigure [--three] [RUNS [SECONDS]]
 *
 * Each ends after so many runs or seconds, but not before all configurations
 * were seen. RSS_TEST_SECONDS sets the seconds, too. With --three there is no
 * map to wait with (EBPF_RSS_FD_GRACE); where processors come and go that is
 * safe only half of the time.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "bpf_run.h"
#include "code_book.h"
#include "ebpf/ebpf_rss.h"
#include "limit.h"

enum {
    BAD = 12,               /* a queue */
    REPEAT = 128,           /* runs in a call */
    FLOW_US = 500,          /* time for each flow */
    BURST = 256,            /* configurations between two looks at the rest */
    PROGRAMS = 16,
    STEPS = 3,              /* configurations that find a slot */
};

static const uint16_t queue_of[BOOK_CONFIGS] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
};

/* RUNS and SECONDS take its place. */
static Limit limit = { .count = 10000000, .seconds = 5 };

static bool three;          /* descriptors */

typedef struct Storm {
    EBPFRSS *rss;           /* that runs; atomic */
    CodeBook *book;
    GRand *rand;
    gint64 begin;
    int n_threads;
    GThread **threads;
    uint64_t runs;          /* atomic */
    unsigned published;
    gint stop;
} Storm;

/* Each flow for some time: most of the time would go into the long ones. */
static void *run_program(void *opaque)
{
    Storm *s = opaque;
    int n = 0;

    while (!g_atomic_int_get(&s->stop)) {
        gint64 end = g_get_monotonic_time() + FLOW_US;
        const GByteArray *frame = s->book->frame[n++ % BOOK_FLOWS];

        do {
            EBPFRSS *rss = g_atomic_pointer_get(&s->rss);

            g_assert_cmpint(bpf_run_repeat(ebpf_rss_program_fd(rss),
                                           frame->data, frame->len, REPEAT),
                            >=, 0);
            __atomic_fetch_add(&s->runs, REPEAT, __ATOMIC_RELAXED);
        } while (g_get_monotonic_time() < end);
    }
    return NULL;
}

/* It is refused while there is one processor. */
static EBPFRSS *adopt_three(int fds[EBPF_RSS_FDS])
{
    EBPFRSS *rss;

    close(fds[EBPF_RSS_FD_GRACE]);
    fds[EBPF_RSS_FD_GRACE] = -1;
    while (!(rss = ebpf_rss_adopt(fds, NULL, NULL, NULL))) {
        g_usleep(1000);
    }
    return rss;
}

static EBPFRSS *load(Storm *s)
{
    g_autoptr(GError) error = NULL;
    int fds[EBPF_RSS_FDS];
    EBPFRSS *rss;

    ebpf_rss_open("test", fds, &error);
    g_assert_no_error(error);
    rss = three ? adopt_three(fds) : ebpf_rss_adopt(fds, NULL, NULL, &error);
    g_assert_no_error(error);
    ebpf_rss_set_all(rss, &s->book->config[0]);
    ebpf_rss_set_counting(rss, true);
    return rss;
}

static void start(Storm *s, int n_threads)
{
    int i;

    s->n_threads = n_threads;
    s->threads = g_new(GThread *, s->n_threads);
    s->begin = g_get_monotonic_time();
    for (i = 0; i < s->n_threads; i++) {
        s->threads[i] = g_thread_new("runner", run_program, s);
    }
}

static void stop(Storm *s)
{
    double took;
    int i;

    g_atomic_int_set(&s->stop, 1);
    for (i = 0; i < s->n_threads; i++) {
        g_thread_join(s->threads[i]);
    }
    g_free(s->threads);
    took = (g_get_monotonic_time() - s->begin) / 1e6;
    g_test_message("%" PRIu64 " runs in %.1f s, %.0f a second; %u"
                   " configurations", s->runs, took, s->runs / took,
                   s->published);
}

static bool is_over(Storm *s)
{
    return limit_is_over(&limit, __atomic_load_n(&s->runs, __ATOMIC_RELAXED),
                         s->begin);
}

static bool publish(Storm *s, EBPFRSS *rss, unsigned n)
{
    s->published++;
    return ebpf_rss_set_all(rss, &s->book->config[n]) == EBPF_RSS_IN_FORCE;
}

static unsigned any(Storm *s)
{
    return g_rand_int_range(s->rand, 0, BOOK_CONFIGS);
}

static bool all_seen(const RssCounters *counters)
{
    unsigned i;

    for (i = 0; i < BOOK_CONFIGS; i++) {
        if (!counters->queue[queue_of[i]]) {
            return false;
        }
    }
    return true;
}

static void judge(const Storm *s)
{
    RssCounters counters = ebpf_rss_get_counters(s->rss);
    uint64_t counted = 0, good = 0;
    unsigned i;

    for (i = 0; i < RSS_COUNTED_TYPES; i++) {
        counted += counters.type[i];
    }
    for (i = 0; i < BOOK_CONFIGS; i++) {
        good += counters.queue[queue_of[i]];
        g_test_message("configuration %u: %" PRIu64, i,
                       counters.queue[queue_of[i]]);
    }
    g_test_message("%" PRIu64 " mixtures", counted - good);
    g_assert_cmpuint(counted, ==, s->runs);
    g_assert_cmpuint(good, ==, counted);
}

static void test_under_load(void)
{
    g_autoptr(CodeBook) book = NULL;
    g_autoptr(GRand) rand = NULL;
    RssCounters counters;
    Storm s = { 0 };

    if (!bpf_run_allowed()) {
        return;
    }
    s.rand = rand = config_seeded_rand();
    s.book = book = code_book_new(rand, queue_of, BAD, NULL, NULL);
    s.rss = load(&s);
    start(&s, MAX(sysconf(_SC_NPROCESSORS_ONLN) - 1, 1));
    do {
        do {
            publish(&s, s.rss, any(&s));
        } while (s.published % BURST);
        counters = ebpf_rss_get_counters(s.rss);
        /* With --three, slots are rare while a processor comes and goes. */
    } while (!is_over(&s) || !(three || all_seen(&counters)));
    stop(&s);
    judge(&s);
    ebpf_rss_unload(s.rss);
}

/* Waits until a run has counted for a configuration since @before. */
static RssCounters wait_for_run(EBPFRSS *rss, const RssCounters *before,
                                unsigned n)
{
    unsigned queue = queue_of[n];
    RssCounters now;

    for (;;) {
        now = ebpf_rss_get_counters(rss);
        if (now.queue[queue] > before->queue[queue]) {
            return now;
        }
        g_thread_yield();
    }
}

/*
 * Configures a program that has long been left alone. Returns how many runs
 * saw anything but what was in force in the meantime. There is one runner: so
 * when a run has counted for a configuration, no run before it is left. Gives
 * up, with none, where it is over and there is still no slot: with --three no
 * slot becomes free while one processor is offline.
 */
static unsigned step(Storm *s, EBPFRSS *rss)
{
    unsigned permitted, wrong = 0, n = any(s), i;
    RssCounters before, now;

    g_atomic_pointer_set(&s->rss, rss);
    while (!publish(s, rss, n)) {
        if (is_over(s)) {
            return 0;
        }
        g_thread_yield();
    }
    permitted = 1u << queue_of[n];
    before = ebpf_rss_get_counters(rss);
    before = wait_for_run(rss, &before, n);
    now = before;
    for (i = 1; i < STEPS; i++) {
        RssCounters last = now;

        n = any(s);
        permitted |= 1u << queue_of[n];
        if (!publish(s, rss, n)) {
            break;      /* it has to wait; the next visit is after that */
        }
        now = wait_for_run(rss, &last, n);
    }
    for (i = 0; i < RSS_COUNTED_QUEUES; i++) {
        if (i >= 32 || !(permitted & 1u << i)) {
            wrong += now.queue[i] - before.queue[i];
        }
    }
    return wrong;
}

static void test_each_step(void)
{
    g_autoptr(CodeBook) book = NULL;
    g_autoptr(GRand) rand = NULL;
    unsigned wrong = 0, visits = 0, i;
    EBPFRSS *programs[PROGRAMS];
    Storm s = { 0 };

    if (!bpf_run_allowed()) {
        return;
    }
    s.rand = rand = config_seeded_rand();
    s.book = book = code_book_new(rand, queue_of, BAD, NULL, NULL);
    for (i = 0; i < PROGRAMS; i++) {
        programs[i] = load(&s);
    }
    s.rss = programs[0];
    start(&s, 1);
    while (!is_over(&s)) {
        wrong += step(&s, programs[visits++ % PROGRAMS]);
    }
    stop(&s);
    g_test_message("%u visits, %u runs saw what was not in force", visits,
                   wrong);
    g_assert_cmpuint(wrong, ==, 0);
    for (i = 0; i < PROGRAMS; i++) {
        ebpf_rss_unload(programs[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1 && !strcmp(argv[1], "--three")) {
        three = true;
        argc--;
        argv++;
    }
    limit = limit_from_args(argc, argv, limit);
    g_test_add_func("/bpf/reconfigure/under-load", test_under_load);
    g_test_add_func("/bpf/reconfigure/each-step", test_each_step);
    return g_test_run();
}
