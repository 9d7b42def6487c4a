/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets at full rate into a tap of 16 queues, while configurations follow
 * each other as fast as the library takes them, and
 *
 *     /tap/reconfigure/under-traffic   nothing else happens
 *                     /attach          the program is detached and attached
 *                     /load            another program takes its place, or it
 *                                      is detached, unloaded, loaded, attached
 *                     /queues          queues are turned off and on
 *
 * No packet may come out of a queue that no configuration gives it, none may
 * be lost, and none come twice. The code book (code_book.h) makes a packet's
 * queue tell. These are the queues:
 *
 *     0        none; a program without a configuration
 *     1 to 11  a configuration's
 *     12       what automatic steering gives these flows, which are chosen so
 *     13       bad
 *     14, 15   see below
 *
 * What is permitted depends on what was in force: which configurations, with
 * how many queues, and whether a program was attached. The test keeps a history
 * of that (history.h), in which each change has a moment of its own, when both
 * is permitted. Between two changes there is only one queue where a packet may
 * go; a burst of configurations makes it several, detaching the program adds
 * 12, and replacing it by another adds only the other's. At the moment when the
 * program is detached the kernel may ask for it twice, finds it only the first
 * time, and takes queue 0 (tun_ebpf_select_queue()).
 *
 * Turning off queues 15 and 14 leaves 15 and 14 queues, and the device takes
 * the program's answer modulo that. Answers 1 to 9 and 13 do not care; the
 * configurations 10 and 11 answer 430 and 431, which is 14 and 15 of 16
 * queues, and 10 and 11 of 15 or 14. While the number changes, the kernel
 * sends a packet to queue 0 whose queue has gone. When a queue is turned off,
 * the kernel throws away what is in it: only packets may be lost here that
 * may have gone to queue 14 or 15, or met the change.
 *
 *     test-tap-reconfigure [PACKETS [SECONDS]]
 *
 * Each of the four ends after so many packets or seconds, but if twice as many
 * packets suffice, not before each configuration has had its turn.
 * RSS_TEST_SECONDS sets the seconds, too.
 */
#include <inttypes.h>

#include "bpf_run.h"
#include "code_book.h"
#include "ebpf/ebpf_rss.h"
#include "flight.h"
#include "history.h"
#include "limit.h"
#include "net/tap_steering.h"
#include "tap_net.h"

enum {
    QUEUES = 16,
    QUEUES_MIN = 14,        /* that are on */
    AUTOMATIC = 12,         /* a queue */
    BAD = 13,               /* a queue */
    BURST_MAX = 4096,       /* configurations without a pause */
    SINGLES = 2,            /* behind each burst */
    PAUSE_MAX = 256,        /* packets between any two of these */
    LEARN_MS = 5000,
};

static const uint16_t queue_of[BOOK_CONFIGS] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 430, 431,
};

/* What may be in force: 1 << the number of queues that are on, or this. */
enum {
    DETACHED = 1,
    DETACHING = 2,
};

/* For each of the four; PACKETS and SECONDS take its place. */
static Limit limit = { .count = 1000000, .seconds = 8 };

typedef struct Storm {
    TapNet *net;
    EBPFRSS *rss;
    CodeBook *book;
    Flight *flight;
    GRand *rand;
    gint64 begin;
    unsigned configs;       /* in force, perhaps: a bit each */
    unsigned modes;         /* in force, perhaps */
    unsigned queues;        /* that are on */
    History *history;
    unsigned bursts, published, changes;
    bool queues_change;
} Storm;

/* What happens behind each burst of configurations: so many changes. */
typedef struct Scenario {
    const char *path;
    void (*change)(Storm *s);
    unsigned changes;
} Scenario;

static GMutex lock;
static GCond changed;
static unsigned notified;

static void on_notify(void *opaque)
{
    g_mutex_lock(&lock);
    notified++;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static unsigned notifications(void)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    return notified;
}

static void wait_for_another_than(unsigned before)
{
    g_mutex_lock(&lock);
    while (notified == before) {
        g_cond_wait(&changed, &lock);
    }
    g_mutex_unlock(&lock);
}

/* From now on these configurations and modes are permitted. */
static void permit(Storm *s, unsigned configs, unsigned modes)
{
    const bool changing = modes & (modes - 1);
    Moment moment = { 0 };
    unsigned n, i;

    for (n = QUEUES_MIN; n <= QUEUES; n++) {
        for (i = 0; i < BOOK_CONFIGS; i++) {
            if ((modes & 1 << n) && (configs & 1 << i)) {
                moment.queues |= 1 << queue_of[i] % n;
            }
        }
    }
    if (modes & DETACHED) {
        moment.queues |= 1 << AUTOMATIC | (modes & DETACHING ? 1 << 0 : 0);
    } else if (changing) {
        moment.queues |= 1 << 0;
        moment.may_lose = true;
    }
    /* Those in a queue that will be turned off are lost then. */
    moment.may_lose |= s->queues_change && moment.queues >> QUEUES_MIN;
    s->configs = configs;
    s->modes = modes;
    history_add(s->history, moment);
}

static unsigned packets_max(void)
{
    return 2 * limit.count;
}

/* Until some more packets were sent, or the stream has ended. */
static void wait_for_packets(Storm *s)
{
    unsigned n = g_rand_int_range(s->rand, 1, PAUSE_MAX);
    unsigned end = MIN(flight_sent(s->flight) + n, packets_max());

    while (flight_sent(s->flight) < end) {
        g_thread_yield();
    }
}

/* Publishes one that finds a slot, or has to wait. */
static bool publish_some(Storm *s, unsigned n)
{
    if (!(s->configs & 1 << n)) {
        permit(s, s->configs | 1 << n, s->modes);
    }
    s->published++;
    return ebpf_rss_set_all(s->rss, &s->book->config[n]) == EBPF_RSS_IN_FORCE;
}

/* Publishes one that is in force, alone, when this returns. */
static void publish(Storm *s, unsigned n)
{
    unsigned before = notifications();

    while (!publish_some(s, n)) {
        wait_for_another_than(before);
        before = notifications();
    }
    permit(s, 1 << n, s->modes);
}

static unsigned any(Storm *s)
{
    return g_rand_int_range(s->rand, 0, BOOK_CONFIGS);
}

/* Some without a pause. Each has its turn at being the last one, in force. */
static void publish_burst(Storm *s)
{
    unsigned n = g_rand_int_range(s->rand, 0, BURST_MAX);

    while (n--) {
        publish_some(s, any(s));
    }
    publish(s, s->bursts++ % BOOK_CONFIGS);
}

static void attach(Storm *s)
{
    g_autoptr(GError) error = NULL;

    permit(s, s->configs, s->modes | 1 << s->queues);
    tap_steering_attach(s->net->queue[0], ebpf_rss_program_fd(s->rss), &error);
    g_assert_no_error(error);
    permit(s, s->configs, 1 << s->queues);
}

static void detach(Storm *s)
{
    permit(s, s->configs, s->modes | DETACHED | DETACHING);
    g_assert_true(tap_steering_detach(s->net->queue[0], NULL));
    permit(s, s->configs, DETACHED);
}

static EBPFRSS *load(void)
{
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss = ebpf_rss_load("test", on_notify, NULL, &error);

    g_assert_no_error(error);
    return rss;
}

static void change_attachment(Storm *s)
{
    detach(s);
    if (s->changes % 2) {
        wait_for_packets(s);
    }
    publish_some(s, any(s));
    attach(s);
}

static void change_program(Storm *s)
{
    EBPFRSS *old = s->rss, *new;
    unsigned n = any(s);

    if (g_rand_boolean(s->rand)) {
        detach(s);
        ebpf_rss_unload(old);
        old = NULL;
    }
    new = load();
    g_assert_cmpint(ebpf_rss_set_all(new, &s->book->config[n]), ==,
                    EBPF_RSS_IN_FORCE);
    permit(s, s->configs | 1 << n, s->modes);
    s->rss = new;
    attach(s);
    permit(s, 1 << n, s->modes);
    ebpf_rss_unload(old);
}

/* The last queue off, or one more on: so each keeps its number. */
static void change_queues(Storm *s)
{
    bool on = s->queues == QUEUES_MIN ||
              (s->queues < QUEUES && g_rand_boolean(s->rand));
    unsigned queues = on ? s->queues + 1 : s->queues - 1;

    permit(s, s->configs, s->modes | 1 << queues);
    tap_net_enable_queue(s->net, MIN(queues, s->queues), on);
    permit(s, s->configs, 1 << queues);
    s->queues = queues;
    if (!on) {
        flight_settle(s->flight);
    }
}

/* Judges all packets, of which there are @sent. */
static void judge(const Storm *s, unsigned sent)
{
    g_autoptr(GString) text = g_string_new("packets by queue:");
    Fate fate = history_judge(s->history, s->flight, sent);
    unsigned used = 0, i;

    for (i = 0; i < QUEUES; i++) {
        g_string_append_printf(text, " %u", fate.by_queue[i]);
    }
    g_test_message("%s", text->str);
    g_test_message("%u could go to one queue only; %u mixtures, %u lost, %u"
                   " thrown away with their queue", fate.exact, fate.wrong,
                   fate.lost, fate.may_lose);
    g_assert_cmpuint(fate.wrong, ==, 0);
    g_assert_cmpuint(fate.lost, ==, 0);
    g_assert_cmpuint(fate.exact, >, 0);
    for (i = 0; i < BOOK_CONFIGS; i++) {
        used += fate.by_queue[queue_of[i] % QUEUES] > 0;
    }
    g_assert_cmpuint(used, >, BOOK_CONFIGS / 2);
}

static bool is_enough(const Storm *s)
{
    unsigned sent = flight_sent(s->flight);

    return sent == packets_max() ||
           (s->bursts > BOOK_CONFIGS && limit_is_over(&limit, sent, s->begin));
}

/* Whether automatic steering, which is in force, gives a flow its queue. */
static bool is_automatic(const GByteArray *frame, void *opaque)
{
    g_autoptr(GByteArray) seen = g_byte_array_new();
    TapNet *net = opaque;

    g_assert_true(tap_net_send(net, frame->data, frame->len));
    return tap_net_receive(net, seen, LEARN_MS) == AUTOMATIC;
}

static void run(Storm *s, const Scenario *scenario)
{
    uint64_t dropped = tap_net_dropped();
    unsigned sent, i;
    double took;

    s->begin = g_get_monotonic_time();
    flight_start(s->flight, NULL);
    while (!is_enough(s)) {
        publish_burst(s);
        for (i = 0; i < SINGLES; i++) {
            wait_for_packets(s);
            publish(s, any(s));
        }
        wait_for_packets(s);
        for (i = 0; i < scenario->changes; i++) {
            scenario->change(s);
            s->changes++;
            wait_for_packets(s);
        }
    }
    sent = flight_stop(s->flight);
    took = (g_get_monotonic_time() - s->begin) / 1e6;
    g_test_message("%u packets in %.1f s, %.0f a second; %u configurations,"
                   " %u changes; the tap dropped %" PRIu64, sent, took,
                   sent / took, s->published, s->changes,
                   tap_net_dropped() - dropped);
    judge(s, sent);
}

static void test(gconstpointer data)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    const Scenario *scenario = data;
    Storm s = { .rand = rand, .queues = QUEUES,
                .queues_change = scenario->change == change_queues };

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    s.net = tap_net_new(QUEUES);
    s.book = code_book_new(rand, queue_of, BAD, is_automatic, s.net);
    s.history = history_new();
    s.rss = load();
    publish(&s, 0);
    attach(&s);
    s.flight = flight_new(s.net, s.book->frame, BOOK_FLOWS, packets_max(),
                          history_now, s.history);
    run(&s, scenario);

    flight_free(s.flight);
    history_free(s.history);
    ebpf_rss_unload(s.rss);
    code_book_free(s.book);
    tap_net_free(s.net);
}

int main(int argc, char **argv)
{
    static const Scenario scenarios[] = {
        { "/tap/reconfigure/under-traffic" },
        { "/tap/reconfigure/attach", change_attachment, 32 },
        { "/tap/reconfigure/load", change_program, 4 },
        { "/tap/reconfigure/queues", change_queues, 8 },
    };
    size_t i;

    g_test_init(&argc, &argv, NULL);
    limit = limit_from_args(argc, argv, limit);
    for (i = 0; i < G_N_ELEMENTS(scenarios); i++) {
        g_test_add_data_func(scenarios[i].path, &scenarios[i], test);
    }
    return g_test_run();
}
