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
 * A wait may fail: then its slots stay retired, what is pending is given up,
 * and @stuck says so. What finds no free slot then is unavailable at once,
 * and @state is that of the one before it; but the worker tries again, and a
 * wait that succeeds frees the slots.
 *
 * Invariants
 *  - 1 + free + retiring + retired == RSS_SLOTS;
 *  - @state is EBPF_RSS_DEFERRED if and only if a configuration is pending,
 *    and then the worker runs;
 *  - only the worker runs while @retiring is not 0, and it is one at a time;
 *    the caller stands in for it only if the pool has no thread.
 *
 * The worker is a job in a pool of threads that all publishers share, and
 * holds a reference, so closing does not wait for it. Where there can be no
 * thread (RLIMIT_NPROC, a cgroup's pids.max), the job stays in the pool's
 * queue, and the caller waits itself when there is no free slot.
 */
#include <signal.h>

#include "net/rss_compile.h"
#include "rss_publish.h"

enum {
    MAX_WORKERS = 4,    /* waiting for the same grace periods */
};

struct RssPublisher {
    gatomicrefcount refs;
    struct rss_map *map;
    RssGrace *grace;
    RssPublisherDestroy *destroy;

    GMutex lock;        /* of all that follows */
    GCond resolved;     /* @state is not EBPF_RSS_DEFERRED any more */
    EBPFRSSNotify *notify;
    void *opaque;
    bool working;
    bool closed;
    bool stuck;
    EBPFRSSState state;
    unsigned retiring;
    unsigned retired;
    struct rss_hash_map *hashes;        /* or NULL */
    RssConfig pending;
};

static void rss_publisher_unref(RssPublisher *p)
{
    if (g_atomic_ref_count_dec(&p->refs)) {
        p->destroy(p->map, p->hashes, p->grace);
        g_cond_clear(&p->resolved);
        g_mutex_clear(&p->lock);
        g_free(p);
    }
}

static bool have_free_slot(const RssPublisher *p)
{
    return 1 + p->retiring + p->retired < RSS_SLOTS;
}

static void activate(RssPublisher *p, const RssConfig *config)
{
    uint32_t next = (p->map->active + 1) % RSS_SLOTS;

    g_assert(have_free_slot(p));
    rss_compile(config, &p->map->slot[next]);
    if (p->hashes) {
        rss_compile_hash(config->key, &p->hashes->slot[next]);
    }
    __atomic_store_n(&p->map->active, next, __ATOMIC_RELEASE);
    p->retired++;
    p->state = EBPF_RSS_IN_FORCE;
}

/* A wait has ended: frees the slots that it was for, or keeps them. */
static void finish_wait(RssPublisher *p, bool done)
{
    bool deferred = p->state == EBPF_RSS_DEFERRED;

    p->stuck = !done;
    if (!done) {
        p->retired += p->retiring;
    }
    p->retiring = 0;
    if (!deferred || p->closed) {
        return;
    }
    if (done) {
        activate(p, &p->pending);
    } else {
        p->state = EBPF_RSS_UNAVAILABLE;
    }
    g_cond_broadcast(&p->resolved);
    if (p->notify) {
        p->notify(p->opaque);
    }
}

/*
 * Waits for the slots that are retired now. Called and returns with the lock
 * held. Returns false if that fails.
 */
static bool wait_once(RssPublisher *p)
{
    bool done;

    p->retiring = p->retired;
    p->retired = 0;
    g_mutex_unlock(&p->lock);
    done = rss_grace_wait(p->grace);
    g_mutex_lock(&p->lock);
    finish_wait(p, done);
    return done;
}

static void rss_publisher_work(void *data, void *unused)
{
    RssPublisher *p = data;

    g_mutex_lock(&p->lock);
    while (p->retired && !p->closed && wait_once(p)) {
        continue;
    }
    p->working = false;
    g_mutex_unlock(&p->lock);
    rss_publisher_unref(p);
}

/*
 * A thread of ours must not take the signals of the process whose thread it
 * is. The pool is exclusive, so its threads are started by who calls this or
 * g_thread_pool_push(), and have that thread's mask.
 */
static GThreadPool *workers(void)
{
    static gsize pool;

    if (g_once_init_enter(&pool)) {
        /* GLib 2.84 gives none that cannot have its threads at once. */
        GThreadPool *empty = g_thread_pool_new(rss_publisher_work, NULL, 0,
                                               TRUE, NULL);

        /* Where it can have no thread now, it tries again at each push. */
        g_thread_pool_set_max_threads(empty, MAX_WORKERS, NULL);
        g_once_init_leave(&pool, (gsize)empty);
    }
    return (GThreadPool *)pool;
}

static void start_worker(RssPublisher *p)
{
    sigset_t all, before;

    if (p->working) {
        return;
    }
    p->working = true;
    g_atomic_ref_count_inc(&p->refs);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    g_thread_pool_push(workers(), p, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

RssPublisher *rss_publisher_new(struct rss_map *map, RssGrace *grace,
                                RssPublisherDestroy *destroy,
                                EBPFRSSNotify *notify, void *opaque)
{
    RssPublisher *p = g_new0(RssPublisher, 1);

    g_atomic_ref_count_init(&p->refs);
    g_mutex_init(&p->lock);
    g_cond_init(&p->resolved);
    p->map = map;
    p->grace = grace;
    p->destroy = destroy;
    p->notify = notify;
    p->opaque = opaque;
    return p;
}

void rss_publisher_set_hashes(RssPublisher *p, struct rss_hash_map *hashes)
{
    g_mutex_lock(&p->lock);
    g_assert(!p->hashes);
    p->hashes = hashes;
    g_mutex_unlock(&p->lock);
}

EBPFRSSState rss_publisher_publish(RssPublisher *p, const RssConfig *config)
{
    EBPFRSSState state = EBPF_RSS_UNAVAILABLE;

    g_mutex_lock(&p->lock);
    start_worker(p);
    if (!have_free_slot(p) && !g_thread_pool_get_num_threads(workers())) {
        wait_once(p);
    }
    if (have_free_slot(p)) {
        activate(p, config);
        state = p->state;
    } else if (!p->stuck) {
        p->pending = *config;
        state = p->state = EBPF_RSS_DEFERRED;
    }
    g_mutex_unlock(&p->lock);
    return state;
}

EBPFRSSState rss_publisher_wait(RssPublisher *p, unsigned timeout_ms)
{
    gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;
    EBPFRSSState state;

    g_mutex_lock(&p->lock);
    while (p->state == EBPF_RSS_DEFERRED &&
           g_cond_wait_until(&p->resolved, &p->lock, end)) {
        continue;
    }
    state = p->state;
    g_mutex_unlock(&p->lock);
    return state;
}

void rss_publisher_close(RssPublisher *p)
{
    g_mutex_lock(&p->lock);
    p->closed = true;
    g_mutex_unlock(&p->lock);
    rss_publisher_unref(p);
}
