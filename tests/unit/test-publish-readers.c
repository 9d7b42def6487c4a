/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers never see a mixture of two configurations. They are threads that do
 * what the program does, slowly, and a grace period is over when all of them
 * have ended that were reading when it began. So a publisher that writes to a
 * slot too early is caught here at once; with the real program, which is fast,
 * the moment is seldom hit (tests/bpf/test-bpf-publish.c tries).
 */
#include "ebpf/rss_publish.h"
#include "fake_grace.h"

enum {
    READERS = 3,
    PUBLISHES = 20000,
    PUBLISHES_AT_ONCE = 7,
};

/* A reader's count is odd while it reads. */
static volatile gint reader_count[READERS];

static void wait_for_readers(void)
{
    int i, before;

    for (i = 0; i < READERS; i++) {
        before = g_atomic_int_get(&reader_count[i]);
        while ((before & 1) && before == g_atomic_int_get(&reader_count[i])) {
            g_thread_yield();
        }
    }
}

static struct rss_map shared;
static gint stop, reads;

/* The slot that is in force, copied slowly enough to be caught at it. */
static void read_slot(int reader, struct rss_policy *copy)
{
    const volatile uint32_t *from;
    uint32_t active, *to = (uint32_t *)copy;
    size_t i;

    g_atomic_int_inc(&reader_count[reader]);
    active = __atomic_load_n(&shared.active, __ATOMIC_ACQUIRE);
    from = (const volatile uint32_t *)&shared.slot[active];
    for (i = 0; i < sizeof(*copy) / sizeof(*to); i++) {
        if (i % 64 == 63) {
            g_thread_yield();
        }
        to[i] = from[i];
    }
    g_atomic_int_inc(&reader_count[reader]);
}

static gpointer reader_thread(gpointer data)
{
    int reader = GPOINTER_TO_INT(data);
    unsigned last = 0, number;
    struct rss_policy copy;

    while (!g_atomic_int_get(&stop)) {
        read_slot(reader, &copy);
        number = copy.unclassified_queue;
        if (!is_config(&copy, number)) {
            g_error("a mixture, which says it is number %u", number);
        }
        if (number < last) {
            g_error("number %u in force after %u", number, last);
        }
        last = number;
        g_atomic_int_inc(&reads);
    }
    return NULL;
}

static void wait_for_reads(int more)
{
    int enough = g_atomic_int_get(&reads) + more;

    while (g_atomic_int_get(&reads) < enough) {
        g_thread_yield();
    }
}

static EBPFRSSState publish(RssPublisher *p, unsigned n)
{
    RssConfig config = config_number(n);

    return rss_publisher_publish(p, &config);
}

static void on_destroy(struct rss_map *map, struct rss_hash_map *hashes,
                       RssGrace *grace)
{
    count(&destroyed);
}

static void test_readers(void)
{
    GThread *reader[READERS];
    unsigned i, later = 0;
    RssPublisher *p;

    grace_hook = wait_for_readers;
    p = rss_publisher_new(&shared, NULL, on_destroy, NULL, NULL);
    g_assert_cmpint(publish(p, 0), ==, EBPF_RSS_IN_FORCE);
    g_atomic_int_set(&stop, 0);
    for (i = 0; i < READERS; i++) {
        reader[i] = g_thread_new("reader", reader_thread, GINT_TO_POINTER(i));
    }
    for (i = 1; i <= PUBLISHES; i++) {
        later += publish(p, i) == EBPF_RSS_DEFERRED;
        if (i % PUBLISHES_AT_ONCE == 0) {
            wait_for_reads(1);
        }
    }
    while (!is_config(&shared.slot[g_atomic_int_get((gint *)&shared.active)],
                      PUBLISHES)) {
        g_thread_yield();
    }
    wait_for_reads(READERS + 1);
    g_atomic_int_set(&stop, 1);
    for (i = 0; i < READERS; i++) {
        g_thread_join(reader[i]);
    }
    g_test_message("%d configurations, %u of them had to wait; %d reads",
                   PUBLISHES, later, reads);
    rss_publisher_close(p);
    wait_until(&destroyed, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/publish-readers/no-mixture", test_readers);
    return g_test_run();
}
