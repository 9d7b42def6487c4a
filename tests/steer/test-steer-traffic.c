/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap-steer, as a user runs it, on a tap of four queues that carries traffic.
 *
 *     sender ──▶ steer0 (tap) ──▶ queues 0 to 3 ──▶ receiver
 *                   ▲
 *     commands: load, load another, unload …
 *
 * One flow, of which each packet has a number. A packet whose number lies in a
 * command may come out of the queue that was chosen before it or is chosen
 * after it; every other one only out of the queue that is chosen. None may be
 * lost or come twice. The kernel reads the program twice for a packet, so at
 * an unload one may come out of queue 0: these are counted.
 *
 * Arguments: packets, and seconds, at which each case ends. The environment's
 * TAP_STEER is the program, STEER_OBJECTS the folder of returns.bpf.o.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"
#include "packet.h"
#include "tap_net.h"

enum {
    QUEUES = 4,
    IN_FLIGHT = 200,            /* packets; a queue holds 500 or more */
    NUMBER_AT = 42,             /* offset in the frame: the payload of UDP */
    LOST_MS = 2000,             /* after which what has not come is lost */
    NOT_SEEN = 0xff,
    TWICE = 0xfe,
    FEW_COMMANDS = 3,
};

/* What was chosen from a packet on, and until when the one before may be. */
typedef struct Change {
    uint32_t first, last;       /* packets that were sent meanwhile */
    int queue;
    bool unload;
} Change;

typedef struct Traffic {
    TapNet *net;
    uint64_t most;              /* packets */
    uint8_t *seen;              /* queue, by number of packet */
    _Atomic uint32_t sent, received, twice;
    atomic_bool stop, done;
    GArray *changes;
    PacketFlow flow;
    int automatic;              /* the kernel's own queue for the flow */
} Traffic;

typedef struct Step {
    const char *words;          /* NULL: unload */
    int queue;
} Step;

static Limit limit = { 10500000, 8 };

static void *receive(void *opaque)
{
    Traffic *t = opaque;
    struct pollfd ready[QUEUES];
    uint8_t frame[2048];
    uint32_t number;
    ssize_t len;
    int i;

    for (i = 0; i < QUEUES; i++) {
        ready[i] = (struct pollfd) { t->net->queue[i], POLLIN, 0 };
    }
    while (!t->done) {
        poll(ready, QUEUES, 20);
        for (i = 0; i < QUEUES; i++) {
            while ((len = read(t->net->queue[i], frame, sizeof(frame))) > 0) {
                if (len < NUMBER_AT + 4) {
                    continue;
                }
                memcpy(&number, frame + NUMBER_AT, 4);
                if (number >= t->most) {
                    continue;   /* not ours */
                }
                t->twice += t->seen[number] != NOT_SEEN;
                t->seen[number] = i;
                t->received++;
            }
        }
    }
    return NULL;
}

/* Waits until few packets are on their way; false if they do not come. */
static bool wait_for(Traffic *t, uint32_t in_flight)
{
    gint64 until = g_get_monotonic_time() + LOST_MS * 1000;

    while (t->sent - t->received > in_flight) {
        if (g_get_monotonic_time() > until) {
            return false;
        }
        g_usleep(50);
    }
    return true;
}

static void *send_all(void *opaque)
{
    Traffic *t = opaque;
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:20", &t->flow);
    uint32_t number;

    while (!t->stop && t->sent < t->most && wait_for(t, IN_FLIGHT)) {
        number = t->sent;
        memcpy(frame->data + NUMBER_AT, &number, 4);
        if (!tap_net_send(t->net, frame->data, frame->len)) {
            g_usleep(50);
            continue;
        }
        t->sent++;
    }
    return NULL;
}

/* Finds a flow that the kernel itself does not put on queue 0. */
static int find_flow(TapNet *net, PacketFlow *flow)
{
    g_autoptr(GByteArray) got = g_byte_array_new();
    int queue, i;

    *flow = packet_flow;
    for (i = 0; i < 256; i++) {
        g_autoptr(GByteArray) frame = NULL;

        flow->ports[1] = i;
        frame = packet_build("eth ip4 udp raw:20", flow);
        g_assert_true(tap_net_send(net, frame->data, frame->len));
        queue = tap_net_receive(net, got, LOST_MS);
        if (queue > 0) {
            return queue;
        }
    }
    g_error("the tap puts all flows on queue 0");
}

/* NULL; or what it said, if it failed. To be freed. */
static char *run_command(const Step *step)
{
    const char *tool = g_getenv("TAP_STEER");
    g_autofree char *line = NULL, *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (step->words) {
        line = g_strdup_printf("%s load steer0 obj %s/returns.bpf.o sec %s",
                               tool, g_getenv("STEER_OBJECTS"), step->words);
    } else {
        line = g_strdup_printf("%s unload steer0", tool);
    }
    if (!g_spawn_command_line_sync(line, NULL, &errors, &status, &error)) {
        g_error("%s: %s", line, error->message);
    }
    return status ? g_steal_pointer(&errors) : NULL;
}

static void must_run(const Step *step)
{
    g_autofree char *errors = run_command(step);

    if (errors) {
        g_error("%s: %s", step->words ? step->words : "unload", errors);
    }
}

static void change(Traffic *t, const Step *step)
{
    Change change = {
        .first = t->sent,
        .queue = step->words ? step->queue : t->automatic,
        .unload = !step->words,
    };
    gint64 until;

    must_run(step);
    change.last = t->sent;
    g_array_append_val(t->changes, change);
    /* So that no packet is on its way during two commands. */
    until = g_get_monotonic_time() + LOST_MS * 1000;
    while (t->sent < MIN(change.last + 2, t->most) &&
           g_get_monotonic_time() < until) {
        g_usleep(50);
    }
}

/* Counts what came out wrong; @at_unload: on queue 0, by the kernel itself. */
static void judge(const Traffic *t, uint64_t *lost, uint64_t *wrong,
                  uint64_t *at_unload)
{
    const Change *changes = (void *)t->changes->data;
    int before = t->automatic, now = t->automatic;
    guint next = 0;
    uint32_t i;

    *lost = *wrong = *at_unload = 0;
    for (i = 0; i < t->sent; i++) {
        bool overlaps, unload = false;

        while (next < t->changes->len && changes[next].first <= i) {
            before = now;
            now = changes[next++].queue;
        }
        overlaps = next && i <= changes[next - 1].last;
        unload = overlaps && changes[next - 1].unload;
        if (t->seen[i] == NOT_SEEN) {
            ++*lost;
        } else if (t->seen[i] != now && !(overlaps && t->seen[i] == before)) {
            ++*(unload && t->seen[i] == 0 ? at_unload : wrong);
        }
    }
}

static void finish(Traffic *t, GThread *sender, GThread *receiver)
{
    t->stop = true;
    g_thread_join(sender);
    wait_for(t, 0);
    t->done = true;
    g_thread_join(receiver);
}

static void run_steps(const char *what, const Step *steps, size_t n,
                      TapNet *net, const PacketFlow *flow, int automatic)
{
    Traffic t = {
        .net = net, .flow = *flow, .automatic = automatic,
        .most = limit.count,
        .seen = g_malloc(limit.count),
        .changes = g_array_new(FALSE, FALSE, sizeof(Change)),
    };
    uint64_t lost, wrong, at_unload;
    gint64 begin = g_get_monotonic_time();
    GThread *receiver, *sender;
    guint unloads = 0, i;

    memset(t.seen, NOT_SEEN, t.most);
    receiver = g_thread_new("receiver", receive, &t);
    sender = g_thread_new("sender", send_all, &t);
    do {
        for (i = 0; i < n; i++) {
            change(&t, &steps[i]);
            unloads += !steps[i].words;
        }
    } while (!limit_is_over(&limit, t.sent, begin));
    finish(&t, sender, receiver);
    judge(&t, &lost, &wrong, &at_unload);
    g_print("# | %s: %u packets, %u commands: %" G_GUINT64_FORMAT " lost, %u"
            " twice, %" G_GUINT64_FORMAT " on a wrong queue, %"
            G_GUINT64_FORMAT " on queue 0 at %u unloads\n", what,
            t.sent, t.changes->len, lost, t.twice, wrong, at_unload, unloads);
    g_assert_cmpuint(t.changes->len, >=, FEW_COMMANDS);
    g_assert_cmpuint(t.sent, >, 1000);
    g_assert_cmpuint(lost, ==, 0);
    g_assert_cmpuint(t.twice, ==, 0);
    g_assert_cmpuint(wrong, ==, 0);
    g_assert_cmpuint(at_unload, <=, unloads);
    g_array_unref(t.changes);
    g_free(t.seen);
}

static const char *const by_queue[QUEUES] = {
    "first", "second", "third", "fourth"
};

/*
 * A tap, a flow that the kernel puts on the queue @automatic, and two queues
 * @a and @b that are neither that one nor 0. NULL, and the test is skipped, if
 * there can be none.
 */
static TapNet *make_net(PacketFlow *flow, int *automatic, int *a, int *b)
{
    TapNet *net;

    if (!tap_net_allowed()) {
        return NULL;
    }
    net = tap_net_new(QUEUES);
    *automatic = find_flow(net, flow);
    *a = *automatic == 1 ? 2 : 1;
    *b = *automatic == 3 ? 2 : 3;
    return net;
}

static void test_hook(void)
{
    g_autoptr(TapNet) net = NULL;
    int automatic, a, b;
    PacketFlow flow;

    net = make_net(&flow, &automatic, &a, &b);
    if (!net) {
        return;
    }
    {
        const Step replaced[] = {
            { by_queue[a], a }, { by_queue[b], b }, { by_queue[a], a },
        };
        const Step unloaded[] = {
            { by_queue[a], a }, { NULL }, { by_queue[b], b },
            { by_queue[a], a }, { NULL },
        };

        /* The first one attaches; from then on it is always replaced. */
        run_steps("load and replace", replaced, G_N_ELEMENTS(replaced), net,
                  &flow, automatic);
        must_run(&unloaded[1]);
        run_steps("load, replace, unload", unloaded, G_N_ELEMENTS(unloaded),
                  net, &flow, automatic);
    }
}

static void test_filter(void)
{
    g_autofree char *none = NULL, *first = NULL, *second = NULL;
    g_autoptr(TapNet) net = NULL;
    int automatic, a, b;
    PacketFlow flow;

    net = make_net(&flow, &automatic, &a, &b);
    if (!net) {
        return;
    }
    first = g_strdup_printf("%s_tc --fallback", by_queue[a]);
    second = g_strdup_printf("%s_tc --fallback", by_queue[b]);
    none = g_strdup("none_tc --fallback");
    {
        const Step steps[] = {
            { first, a }, { second, b }, { none, automatic }, { first, a },
            { NULL }, { second, b }, { NULL },
        };

        g_autofree char *errors = run_command(&steps[0]);

        if (errors && strstr(errors, "not supported by this kernel")) {
            g_test_skip(g_strchomp(errors));
            return;
        }
        must_run(&steps[0]);
        must_run(&steps[4]);                        /* clsact stays */
        run_steps("--fallback", steps, G_N_ELEMENTS(steps), net, &flow,
                  automatic);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    limit = limit_from_args(argc, argv, limit);
    g_test_add_func("/steer/traffic/hook", test_hook);
    g_test_add_func("/steer/traffic/filter", test_filter);
    return g_test_run();
}
