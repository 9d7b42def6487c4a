/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The publisher's book-keeping, on ordinary memory, with grace periods that
 * the test ends: which slots are used when, what waits, who is told.
 */
#include <signal.h>
#include <string.h>

#include "ebpf/rss_publish.h"
#include "fake_grace.h"

static void on_notify(void *opaque)
{
    count(opaque);
}

static void on_destroy(struct rss_map *map, struct rss_hash_map *hashes,
                       RssGrace *grace)
{
    count(&destroyed);
}

static RssPublisher *new_publisher(struct rss_map *map)
{
    memset(map, 0, sizeof(*map));
    forget_what_happened();
    return rss_publisher_new(map, NULL, on_destroy, on_notify, &notified);
}

static EBPFRSSState publish(RssPublisher *p, unsigned n)
{
    RssConfig config = config_number(n);

    return rss_publisher_publish(p, &config);
}

static void assert_active(const struct rss_map *map, unsigned n)
{
    g_assert_cmpuint(map->active, <, RSS_SLOTS);
    g_assert_true(is_config(&map->slot[map->active], n));
}

/* Closes, and waits until nobody uses the map any more. */
static void close_and_wait(RssPublisher *p)
{
    rss_publisher_close(p);
    end_grace_periods(G_MAXUINT);
    wait_until(&destroyed, 1);
}

static void test_first(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);

    g_assert_cmpint(publish(p, 1), ==, EBPF_RSS_IN_FORCE);
    assert_active(&map, 1);
    g_assert_cmpuint(notified, ==, 0);
    close_and_wait(p);
    assert_active(&map, 1);
}

/* Without the end of a grace period there are RSS_SLOTS - 1 to fill. */
static void test_pending(void)
{
    struct rss_map map, before;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    for (n = 1; n < RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_IN_FORCE);
        assert_active(&map, n);
    }
    before = map;
    g_assert_cmpint(publish(p, 100), ==, EBPF_RSS_DEFERRED);
    g_assert_cmpint(publish(p, 101), ==, EBPF_RSS_DEFERRED);
    g_assert_cmpint(publish(p, 102), ==, EBPF_RSS_DEFERRED);
    g_assert_cmpmem(&map, sizeof(map), &before, sizeof(before));
    g_assert_cmpuint(notified, ==, 0);

    end_grace_periods(1);
    wait_until(&notified, 1);
    assert_active(&map, 102);

    /* No more is said of 100 and 101, whatever ends. */
    close_and_wait(p);
    assert_active(&map, 102);
    g_assert_cmpuint(notified, ==, 1);
}

/* A retired slot keeps what it holds as long as somebody may read it. */
static void test_slots_kept(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    unsigned n, i;

    for (n = 1; n < RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_IN_FORCE);
        for (i = 1; i <= n; i++) {
            g_assert_true(is_config(&map.slot[i], i));
        }
    }
    publish(p, 100);
    for (i = 1; i < RSS_SLOTS; i++) {
        g_assert_true(is_config(&map.slot[i], i));
    }
    close_and_wait(p);
}

/* The end of a grace period frees no slot that was retired during it. */
static void test_retired_during(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    g_assert_cmpint(publish(p, 1), ==, EBPF_RSS_IN_FORCE);
    wait_until(&started, 1);        /* for slot 0 alone */
    for (n = 2; n < RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_IN_FORCE);
    }
    end_grace_periods(1);
    wait_until(&started, 2);        /* for the others */
    g_assert_cmpint(publish(p, 50), ==, EBPF_RSS_IN_FORCE);
    g_assert_cmpuint(map.active, ==, 0);
    g_assert_cmpint(publish(p, 51), ==, EBPF_RSS_DEFERRED);
    assert_active(&map, 50);
    end_grace_periods(2);
    wait_until(&notified, 1);
    assert_active(&map, 51);
    close_and_wait(p);
}

/* A slot that is free again is used again, round and round. */
static void test_free_again(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    unsigned n, later = 0;

    end_grace_periods(G_MAXUINT);
    for (n = 1; n <= 1000; n++) {
        if (publish(p, n) == EBPF_RSS_DEFERRED) {
            later++;
            wait_until(&notified, later);
        }
        assert_active(&map, n);
    }
    close_and_wait(p);
    g_assert_cmpuint(notified, ==, later);
}

/* Closing forgets what is waiting, does not block, and is heard of no more. */
static void test_close_pending(void)
{
    struct rss_map map, before;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    for (n = 1; n < RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_IN_FORCE);
    }
    g_assert_cmpint(publish(p, 99), ==, EBPF_RSS_DEFERRED);
    wait_until(&started, 1);
    before = map;
    rss_publisher_close(p);
    g_assert_cmpuint(destroyed, ==, 0);

    end_grace_periods(G_MAXUINT);
    wait_until(&destroyed, 1);
    g_assert_cmpmem(&map, sizeof(map), &before, sizeof(before));
    g_assert_cmpuint(notified, ==, 0);
}

static void test_close_unused(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);

    rss_publisher_close(p);
    g_assert_cmpuint(destroyed, ==, 1);
}

static void test_no_notify(void)
{
    struct rss_map map = { 0 };
    RssPublisher *p;
    unsigned n;

    forget_what_happened();
    p = rss_publisher_new(&map, NULL, on_destroy, NULL, NULL);
    for (n = 1; n <= RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, n < RSS_SLOTS ? EBPF_RSS_IN_FORCE
                                                         : EBPF_RSS_DEFERRED);
    }
    end_grace_periods(1);
    wait_until(&started, 2);
    assert_active(&map, RSS_SLOTS);
    close_and_wait(p);
}

/* More publishers than there are worker threads: each gets its turn. */
static void test_many_publishers(void)
{
    enum { MANY = 16 };
    struct rss_map map[MANY] = { 0 };
    RssPublisher *p[MANY];
    unsigned i, n;

    forget_what_happened();
    for (i = 0; i < MANY; i++) {
        p[i] = rss_publisher_new(&map[i], NULL, on_destroy, on_notify,
                                 &notified);
        for (n = 1; n < RSS_SLOTS; n++) {
            g_assert_cmpint(publish(p[i], n), ==, EBPF_RSS_IN_FORCE);
        }
        g_assert_cmpint(publish(p[i], 100 + i), ==, EBPF_RSS_DEFERRED);
    }
    end_grace_periods(G_MAXUINT);
    wait_until(&notified, MANY);
    for (i = 0; i < MANY; i++) {
        assert_active(&map[i], 100 + i);
        rss_publisher_close(p[i]);
    }
    wait_until(&destroyed, MANY);
}

/* Closing waits for a notification that is under way. */
static gint in_notify, notify_seen;

static void slow_notify(void *opaque)
{
    g_atomic_int_set(&in_notify, 1);
    g_atomic_int_set(&notify_seen, 1);
    g_usleep(20 * 1000);            /* for the other thread to go wrong in */
    g_atomic_int_set(&in_notify, 0);
}

static void test_close_during_notify(void)
{
    struct rss_map map = { 0 };
    RssPublisher *p;
    unsigned n;

    forget_what_happened();
    g_atomic_int_set(&notify_seen, 0);
    p = rss_publisher_new(&map, NULL, on_destroy, slow_notify, NULL);
    for (n = 1; n <= RSS_SLOTS; n++) {
        publish(p, n);
    }
    end_grace_periods(G_MAXUINT);
    while (!g_atomic_int_get(&notify_seen)) {
        g_thread_yield();
    }
    rss_publisher_close(p);
    g_assert_false(g_atomic_int_get(&in_notify));
    wait_until(&destroyed, 1);
}

/* What is deferred is not in force, and who waits for that has to wait. */
static void test_wait(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_IN_FORCE);
    for (n = 1; n < RSS_SLOTS; n++) {
        publish(p, n);
    }
    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_IN_FORCE);
    publish(p, 100);
    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_DEFERRED);
    g_assert_cmpint(rss_publisher_wait(p, 20), ==, EBPF_RSS_DEFERRED);
    end_grace_periods(1);
    g_assert_cmpint(rss_publisher_wait(p, 20000), ==, EBPF_RSS_IN_FORCE);
    assert_active(&map, 100);
    close_and_wait(p);
}

/*
 * One notification is under way, its configuration dropped, and another waits:
 * who asks at that moment is told of the latter.
 */
static void test_late_notification(void)
{
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    for (n = 1; n < RSS_SLOTS; n++) {
        publish(p, n);
    }
    g_assert_cmpint(publish(p, 100), ==, EBPF_RSS_DEFERRED);
    end_grace_periods(1);
    wait_until(&notified, 1);
    for (n = 101; publish(p, n) != EBPF_RSS_DEFERRED; n++) {
        continue;
    }
    g_assert_cmpuint(notified, ==, 1);
    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_DEFERRED);
    assert_active(&map, n - 1);
    end_grace_periods(G_MAXUINT);
    wait_until(&notified, 2);
    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_IN_FORCE);
    assert_active(&map, n);
    close_and_wait(p);
}

/*
 * What is unavailable at once leaves the state of the one before it, about
 * which a notification may still be on its way.
 */
static void test_unavailable_at_once(void)
{
    unsigned n, delay = 1000;
    EBPFRSSState state;
    struct rss_map map;
    RssPublisher *p;

    do {                    /* until the failed wait is over before 101 comes */
        p = new_publisher(&map);
        publish(p, 1);
        wait_until(&started, 1);        /* so it frees one slot, for 100 */
        for (n = 2; n < RSS_SLOTS; n++) {
            publish(p, n);
        }
        g_assert_cmpint(publish(p, 100), ==, EBPF_RSS_DEFERRED);
        end_grace_periods(1);
        wait_until(&started, 2);
        fail_grace_periods(true);
        end_grace_periods(G_MAXUINT);
        g_usleep(delay *= 2);
        state = publish(p, 101);
        if (state == EBPF_RSS_UNAVAILABLE) {
            g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_IN_FORCE);
            assert_active(&map, 100);
        }
        close_and_wait(p);
    } while (state == EBPF_RSS_DEFERRED);
    g_assert_cmpint(state, ==, EBPF_RSS_UNAVAILABLE);
}

/*
 * A wait that fails frees nothing and is told; what is in force stays so. One
 * that succeeds later makes all good again.
 */
static void test_failed_wait(void)
{
    struct rss_map map, before;
    RssPublisher *p = new_publisher(&map);
    unsigned n;

    for (n = 1; n < RSS_SLOTS; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_IN_FORCE);
    }
    before = map;
    g_assert_cmpint(publish(p, 100), ==, EBPF_RSS_DEFERRED);
    wait_until(&started, 1);
    fail_grace_periods(true);
    end_grace_periods(G_MAXUINT);
    wait_until(&notified, 1);
    g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_UNAVAILABLE);

    for (n = 101; n < 200; n++) {
        g_assert_cmpint(publish(p, n), ==, EBPF_RSS_UNAVAILABLE);
        g_assert_cmpint(rss_publisher_wait(p, 0), ==, EBPF_RSS_UNAVAILABLE);
    }
    g_assert_cmpmem(&map, sizeof(map), &before, sizeof(before));
    g_assert_cmpuint(notified, ==, 1);

    fail_grace_periods(false);
    while (publish(p, n) == EBPF_RSS_UNAVAILABLE) {
        g_usleep(1000);
    }
    g_assert_cmpint(rss_publisher_wait(p, 20000), ==, EBPF_RSS_IN_FORCE);
    assert_active(&map, n);
    close_and_wait(p);
}

/* The threads that wait leave the process's signals to its other threads. */
static sigset_t blocked;

static void note_signals(void)
{
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    count(&started);
}

static void test_signals(void)
{
    static const int signals[] = {
        SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGPROF,
    };
    struct rss_map map;
    RssPublisher *p = new_publisher(&map);
    size_t i;

    grace_hook = note_signals;
    publish(p, 1);
    wait_until(&started, 1);
    grace_hook = NULL;
    for (i = 0; i < G_N_ELEMENTS(signals); i++) {
        g_assert_cmpint(sigismember(&blocked, signals[i]), ==, 1);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    g_assert_cmpint(sigismember(&blocked, SIGTERM), ==, 0);
    close_and_wait(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/publish/first", test_first);
    g_test_add_func("/publish/pending", test_pending);
    g_test_add_func("/publish/slots-kept", test_slots_kept);
    g_test_add_func("/publish/retired-during", test_retired_during);
    g_test_add_func("/publish/free-again", test_free_again);
    g_test_add_func("/publish/close-pending", test_close_pending);
    g_test_add_func("/publish/close-unused", test_close_unused);
    g_test_add_func("/publish/close-during-notify",
                    test_close_during_notify);
    g_test_add_func("/publish/no-notify", test_no_notify);
    g_test_add_func("/publish/wait", test_wait);
    g_test_add_func("/publish/late-notification", test_late_notification);
    g_test_add_func("/publish/unavailable-at-once", test_unavailable_at_once);
    g_test_add_func("/publish/failed-wait", test_failed_wait);
    g_test_add_func("/publish/signals", test_signals);
    g_test_add_func("/publish/many-publishers", test_many_publishers);
    return g_test_run();
}
