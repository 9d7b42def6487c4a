/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The map has RSS_SLOTS slots and the number of the active one. A new
 * configuration is written to the next slot, which no program reads, and one
 * aligned store makes it active. The slot before it is *retired*: programs
 * that began before the store may still read it, so it is free for another
 * configuration only after an RCU grace period.
 *
 * Waiting for that is a worker's business. So that a guest which configures
 * in a loop cannot hold up its caller, a configuration that finds no free slot
 * is kept *pending* for the worker, and a later one takes its place. Slots are
 * used in turn, so two counts tell the free ones:
 *
 *     active | free ... | retiring (the worker waits for these) | retired
 *
 * Invariants
 *  - 1 + free + retiring + retired == RSS_SLOTS;
 *  - a pending configuration implies that the worker runs;
 *  - only the worker runs while @retiring is not 0, and it is one at a time;
 *    the caller stands in for it only if the pool has no thread.
 *
 * The worker is a job in a pool of threads that all publishers share, and
 * holds a reference, so closing does not wait for it. Where there can be no
 * thread (RLIMIT_NPROC, a cgroup's pids.max), the job stays in the pool's queue,
 * and the caller waits for the grace period itself when there is no free slot.
 */
#include "net/rss_compile.h"
#include "rss_grace.h"
#include "rss_publish.h"

enum {
    MAX_WORKERS = 4,    /* waiting for the same grace periods */
};

struct RssPublisher {
    gatomicrefcount refs;
    struct rss_map *map;
    void (*destroy_map)(struct rss_map *map);

    GMutex lock;        /* of all that follows */
    EBPFRSSNotify *notify;
    void *opaque;
    bool working;
    bool closed;
    bool has_pending;
    unsigned retiring;
    unsigned retired;
    struct rss_policy pending;
};

static void rss_publisher_unref(RssPublisher *p)
{
    if (g_atomic_ref_count_dec(&p->refs)) {
        p->destroy_map(p->map);
        g_mutex_clear(&p->lock);
        g_free(p);
    }
}

static bool have_free_slot(const RssPublisher *p)
{
    return 1 + p->retiring + p->retired < RSS_SLOTS;
}

static void activate(RssPublisher *p, const struct rss_policy *policy)
{
    uint32_t next = (p->map->active + 1) % RSS_SLOTS;

    g_assert(have_free_slot(p));
    p->map->slot[next] = *policy;
    __atomic_store_n(&p->map->active, next, __ATOMIC_RELEASE);
    p->retired++;
}

/* Frees the slots that wait for it; publishes what waited for them. */
static void finish_grace_period(RssPublisher *p)
{
    p->retiring = 0;
    if (p->has_pending && !p->closed) {
        activate(p, &p->pending);
        p->has_pending = false;
        if (p->notify) {
            p->notify(p->opaque);
        }
    }
}

/* Waits until no slot is retired. Called and returns with the lock held. */
static void drain(RssPublisher *p)
{
    while (p->retired && !p->closed) {
        p->retiring = p->retired;
        p->retired = 0;
        g_mutex_unlock(&p->lock);
        rss_grace_wait();
        g_mutex_lock(&p->lock);
        finish_grace_period(p);
    }
}

static void rss_publisher_work(void *data, void *unused)
{
    RssPublisher *p = data;

    g_mutex_lock(&p->lock);
    drain(p);
    p->working = false;
    g_mutex_unlock(&p->lock);
    rss_publisher_unref(p);
}

static GThreadPool *workers(void)
{
    static gsize pool;

    if (g_once_init_enter(&pool)) {
        /* Not exclusive, so creating it cannot fail. */
        g_once_init_leave(&pool, (gsize)g_thread_pool_new(rss_publisher_work,
                                                          NULL, MAX_WORKERS,
                                                          FALSE, NULL));
    }
    return (GThreadPool *)pool;
}

static void start_worker(RssPublisher *p)
{
    if (p->working) {
        return;
    }
    p->working = true;
    g_atomic_ref_count_inc(&p->refs);
    g_thread_pool_push(workers(), p, NULL);
}

RssPublisher *rss_publisher_new(struct rss_map *map,
                                void (*destroy_map)(struct rss_map *map),
                                EBPFRSSNotify *notify, void *opaque)
{
    RssPublisher *p = g_new0(RssPublisher, 1);

    g_atomic_ref_count_init(&p->refs);
    g_mutex_init(&p->lock);
    p->map = map;
    p->destroy_map = destroy_map;
    p->notify = notify;
    p->opaque = opaque;
    return p;
}

bool rss_publisher_publish(RssPublisher *p, const RssConfig *config)
{
    struct rss_policy policy;
    bool now;

    rss_compile(config, &policy);

    g_mutex_lock(&p->lock);
    now = have_free_slot(p);
    if (now) {
        activate(p, &policy);
        p->has_pending = false;
    } else {
        p->pending = policy;
        p->has_pending = true;
    }
    start_worker(p);
    if (!now && !g_thread_pool_get_num_threads(workers())) {
        drain(p);
        now = true;
    }
    g_mutex_unlock(&p->lock);
    return now;
}

void rss_publisher_close(RssPublisher *p)
{
    g_mutex_lock(&p->lock);
    p->closed = true;
    g_mutex_unlock(&p->lock);
    rss_publisher_unref(p);
}
