/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program runs without a pause on all processors but one, on which a
 * thread configures without a pause. Every run must see one whole
 * configuration.
 *
 * The kernel does the runs (BPF_PROG_TEST_RUN with many repetitions), and the
 * program's own counters say what came of each: with the code book
 * (code_book.h) a run that saw a mixture counts for queue 0 or BAD. So this
 * sees some ten times as many runs as packets go through a tap, and the
 * program is nearly always on one of its instructions.
 *
 *     test-bpf-reconfigure [RUNS [SECONDS]]
 *
 * It ends after so many runs or seconds, but not before all configurations
 * were seen. RSS_TEST_SECONDS sets the seconds, too.
 */
#include <inttypes.h>
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
};

static const uint16_t queue_of[BOOK_CONFIGS] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
};

/* RUNS and SECONDS take its place. */
static Limit limit = { .count = 20000000, .seconds = 8 };

typedef struct Storm {
    EBPFRSS *rss;
    CodeBook *book;
    uint64_t runs;          /* atomic */
    gint stop;
} Storm;

/* Each flow for some time: most of the time would go into the long ones. */
static void *run_program(void *opaque)
{
    int prog_fd, n = 0;
    Storm *s = opaque;

    prog_fd = ebpf_rss_program_fd(s->rss);
    while (!g_atomic_int_get(&s->stop)) {
        gint64 end = g_get_monotonic_time() + FLOW_US;
        const GByteArray *frame = s->book->frame[n++ % BOOK_FLOWS];

        do {
            g_assert_cmpint(bpf_run_repeat(prog_fd, frame->data, frame->len,
                                           REPEAT), >=, 0);
            __atomic_fetch_add(&s->runs, REPEAT, __ATOMIC_RELAXED);
        } while (g_get_monotonic_time() < end);
    }
    return NULL;
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

/* Configures until it is enough. Returns how often. */
static unsigned configure(Storm *s, GRand *rand)
{
    gint64 begin = g_get_monotonic_time();
    unsigned published = 0;
    RssCounters counters;

    do {
        do {
            int n = g_rand_int_range(rand, 0, BOOK_CONFIGS);

            ebpf_rss_set_all(s->rss, &s->book->config[n]);
        } while (++published % BURST);
        counters = ebpf_rss_get_counters(s->rss);
    } while (!all_seen(&counters) ||
             !limit_is_over(&limit, __atomic_load_n(&s->runs, __ATOMIC_RELAXED),
                            begin));
    return published;
}

static void judge(const Storm *s, unsigned published, double took)
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
    g_test_message("%" PRIu64 " runs in %.1f s, %.0f a second; %u"
                   " configurations; %" PRIu64 " mixtures", s->runs, took,
                   s->runs / took, published, counted - good);
    g_assert_cmpuint(counted, ==, s->runs);
    g_assert_cmpuint(good, ==, counted);
}

static void test_under_load(void)
{
    int n_threads = MAX(sysconf(_SC_NPROCESSORS_ONLN) - 1, 1), i;
    g_autofree GThread **threads = g_new(GThread *, n_threads);
    g_autoptr(GError) error = NULL;
    g_autoptr(CodeBook) book = NULL;
    g_autoptr(EBPFRSS) rss = NULL;
    g_autoptr(GRand) rand = NULL;
    unsigned published;
    gint64 begin;
    Storm s = { 0 };

    if (!bpf_run_allowed()) {
        return;
    }
    rand = config_seeded_rand();
    s.book = book = code_book_new(rand, queue_of, BAD, NULL, NULL);
    s.rss = rss = ebpf_rss_load("test", NULL, NULL, &error);
    g_assert_no_error(error);
    ebpf_rss_set_all(rss, &book->config[0]);
    ebpf_rss_set_counting(rss, true);

    begin = g_get_monotonic_time();
    for (i = 0; i < n_threads; i++) {
        threads[i] = g_thread_new("runner", run_program, &s);
    }
    published = configure(&s, rand);
    g_atomic_int_set(&s.stop, 1);
    for (i = 0; i < n_threads; i++) {
        g_thread_join(threads[i]);
    }
    judge(&s, published, (g_get_monotonic_time() - begin) / 1e6);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    limit = limit_from_args(argc, argv, limit);
    g_test_add_func("/bpf/reconfigure/under-load", test_under_load);
    return g_test_run();
}
