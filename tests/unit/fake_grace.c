/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "ebpf/rss_grace.h"
#include "fake_grace.h"
#include "net/rss_compile.h"

/* @lock is that of all numbers here. */
static GMutex lock;
static GCond changed;
unsigned started, notified, destroyed;
static unsigned allowed;
static bool failing;
void (*grace_hook)(void);

bool rss_grace_wait(const RssGrace *grace)
{
    unsigned mine;
    bool done;

    if (grace_hook) {
        grace_hook();
        return true;
    }
    g_mutex_lock(&lock);
    mine = ++started;
    g_cond_broadcast(&changed);
    while (allowed < mine) {
        g_cond_wait(&changed, &lock);
    }
    done = !failing;
    g_mutex_unlock(&lock);
    return done;
}

void wait_until(const unsigned *counter, unsigned n)
{
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;

    g_mutex_lock(&lock);
    while (*counter < n) {
        g_assert_true(g_cond_wait_until(&changed, &lock, end));
    }
    g_mutex_unlock(&lock);
}

void end_grace_periods(unsigned n)
{
    g_mutex_lock(&lock);
    allowed = n;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

void fail_grace_periods(bool fail)
{
    g_mutex_lock(&lock);
    failing = fail;
    g_mutex_unlock(&lock);
}

void count(unsigned *counter)
{
    g_mutex_lock(&lock);
    (*counter)++;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

void forget_what_happened(void)
{
    started = allowed = notified = destroyed = 0;
    failing = false;
}

RssConfig config_number(unsigned n)
{
    RssConfig config = {
        .hash_types = n & RSS_TYPES_ALL,
        .unclassified_queue = n,
        .table_len = RSS_TABLE_MAX,
    };
    unsigned i;

    for (i = 0; i < RSS_TABLE_MAX; i++) {
        config.table[i] = n;
    }
    for (i = 0; i < RSS_KEY_SIZE; i++) {
        config.key[i] = n + i;
    }
    return config;
}

bool is_config(const struct rss_policy *policy, unsigned n)
{
    RssConfig config = config_number(n);
    struct rss_policy expected;

    rss_compile(&config, &expected);
    return memcmp(policy, &expected, sizeof(expected)) == 0;
}
