/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "history.h"

enum {
    COMPLAINTS = 10,
};

struct History {
    GArray *moments;
    uint64_t now;           /* the number of the last one; atomic */
};

G_STATIC_ASSERT(TAP_MAX_QUEUES <= 8 * sizeof(((Moment *)NULL)->queues));

History *history_new(void)
{
    History *history = g_new0(History, 1);

    history->moments = g_array_new(FALSE, FALSE, sizeof(Moment));
    return history;
}

void history_free(History *history)
{
    g_array_unref(history->moments);
    g_free(history);
}

void history_add(History *history, Moment moment)
{
    g_array_append_val(history->moments, moment);
    __atomic_store_n(&history->now, history->moments->len - 1,
                     __ATOMIC_SEQ_CST);
}

uint64_t history_now(void *opaque)
{
    History *history = opaque;

    return __atomic_load_n(&history->now, __ATOMIC_SEQ_CST);
}

/* What was permitted while packet @n was on its way. */
static Moment while_under_way(const History *history, const Flight *flight,
                              unsigned n)
{
    uint64_t i, end = flight_before(flight, n + 1);
    Moment sum = { 0 };

    for (i = flight_before(flight, n); i <= end; i++) {
        const Moment *moment = &g_array_index(history->moments, Moment, i);

        sum.queues |= moment->queues;
        sum.may_lose |= moment->may_lose;
    }
    return sum;
}

static void judge(Fate *fate, Moment may, unsigned n, unsigned queue)
{
    fate->exact += !(may.queues & (may.queues - 1));
    if (queue != FLIGHT_NEVER) {
        fate->by_queue[queue]++;
        if (may.queues & 1 << queue) {
            return;
        }
        fate->wrong++;
    } else if (may.may_lose) {
        fate->may_lose++;
        return;
    } else {
        fate->lost++;
    }
    if (fate->wrong + fate->lost <= COMPLAINTS) {
        g_test_message("packet %u: queue %u (%d: lost), permitted 0x%x", n,
                       queue, FLIGHT_NEVER, may.queues);
    }
}

Fate history_judge(const History *history, const Flight *flight,
                   unsigned sent)
{
    Fate fate = { { 0 } };
    unsigned n;

    for (n = 0; n < sent; n++) {
        judge(&fate, while_under_way(history, flight, n), n,
              flight_queue(flight, n));
    }
    return fate;
}
