/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reconfiguring a tap while packets flow: each packet goes where the old or
 * the new configuration says, and none is lost.
 *
 * There are two configurations, which send the packet in question to queue 0
 * or 1. All else in them says queue 3, and a packet without a hash goes to 2.
 */
#include <string.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "net/tap_steering.h"
#include "packet.h"
#include "tap_net.h"

enum {
    QUEUES = 4,
    UNCLASSIFIED = 2,
    BAD = 3,                /* a queue */
    PACKETS_MIN = 40000,    /* at least so many, */
    BY_EACH_MIN = 1000,     /* so many by each configuration, */
    BURSTS_MIN = 10,        /* and so many bursts of configurations */
    PACKETS_MAX = 4000000,
    UNDER_WAY = 200,        /* packets in the tap, which holds 500 and more */
    BURST = 8,              /* configurations without a pause */
    NUMBER_LEN = 4,         /* bytes at a packet's end */
    RECEIVE_MS = 10000,
};

static const char *const recipe = "eth ip6 dst:home rt tcp raw:4";

/* Between the threads; atomic. */
static gint sent, received, bursts, stop, notified;

static void on_notify(void *opaque)
{
    g_atomic_int_inc(&notified);
}

/* Configuration 0 or 1: another key, another type, another queue. */
static RssConfig make_config(GByteArray *frame, int n)
{
    RssConfig config = config_plain(n ? RSS_TYPE_TCP_EX : RSS_TYPE_TCPV6,
                                    RSS_TABLE_MAX);
    OracleConfig oracle;
    unsigned i;

    config.unclassified_queue = UNCLASSIFIED;
    for (i = 0; i < RSS_TABLE_MAX; i++) {
        config.table[i] = BAD;
    }
    for (i = 0; i < RSS_KEY_SIZE; i++) {
        config.key[i] = n ? 0xc3 * i + 0x11 : 0x6d * i + 0x5a;
    }
    oracle = config_for_oracle(&config);
    i = oracle_classify(&oracle, frame->data, frame->len).hash;
    config.table[i % RSS_TABLE_MAX] = n;
    return config;
}

static void wait_while_many_under_way(void)
{
    while (!g_atomic_int_get(&stop) &&
           g_atomic_int_get(&sent) - g_atomic_int_get(&received) >=
           UNDER_WAY) {
        g_thread_yield();
    }
}

/* Sends numbered packets until it is stopped. */
static gpointer send_thread(gpointer data)
{
    TapNet *net = data;
    g_autoptr(GByteArray) frame = packet_build(recipe, &packet_flow);
    guint32 number;

    for (number = 0; !g_atomic_int_get(&stop); number++) {
        g_assert_cmpuint(number, <, PACKETS_MAX);
        wait_while_many_under_way();
        memcpy(frame->data + frame->len - NUMBER_LEN, &number, NUMBER_LEN);
        if (!tap_net_send(net, frame->data, frame->len)) {
            g_error("packet %u could not be sent", number);
        }
        g_atomic_int_inc(&sent);
    }
    return NULL;
}

typedef struct Configurer {
    EBPFRSS *rss;
    RssConfig config[2];
    unsigned done;
} Configurer;

/* Configures in bursts, as fast as the library takes them. */
static gpointer configure_thread(gpointer data)
{
    Configurer *c = data;
    g_autoptr(GRand) rand = config_seeded_rand();
    int before, i;
    bool now = true;

    while (!g_atomic_int_get(&stop)) {
        before = g_atomic_int_get(&notified);
        for (i = 0; i < BURST; i++) {
            now = ebpf_rss_set_all(c->rss,
                                   &c->config[g_rand_boolean(rand)]);
            c->done++;
        }
        while (!now && g_atomic_int_get(&notified) == before) {
            g_thread_yield();
        }
        g_atomic_int_inc(&bursts);
    }
    return NULL;
}

/* Receives one packet, and counts it by queue. None may come twice. */
static void receive_one(TapNet *net, GByteArray *frame, guint8 *seen,
                        unsigned *by_queue)
{
    int queue = tap_net_receive(net, frame, RECEIVE_MS);
    guint32 number;

    if (queue == TAP_NO_QUEUE) {
        g_error("%d packets are lost", g_atomic_int_get(&sent) - received);
    }
    memcpy(&number, frame->data + frame->len - NUMBER_LEN, NUMBER_LEN);
    g_assert_cmpuint(number, <, PACKETS_MAX);
    g_assert_cmpuint(seen[number], ==, 0);
    seen[number] = 1;
    by_queue[queue]++;
    g_atomic_int_inc(&received);
}

static bool enough(const unsigned *by_queue)
{
    return received >= PACKETS_MIN &&
           g_atomic_int_get(&bursts) >= BURSTS_MIN &&
           by_queue[0] >= BY_EACH_MIN && by_queue[1] >= BY_EACH_MIN;
}

/* Receives until it is enough, stops the sender, receives the rest. */
static void receive_all(TapNet *net, GThread *sender, unsigned *by_queue)
{
    g_autofree guint8 *seen = g_new0(guint8, PACKETS_MAX);
    g_autoptr(GByteArray) frame = g_byte_array_new();

    while (!enough(by_queue)) {
        receive_one(net, frame, seen, by_queue);
    }
    g_atomic_int_set(&stop, 1);
    g_thread_join(sender);
    while (received < g_atomic_int_get(&sent)) {
        receive_one(net, frame, seen, by_queue);
    }
}

static void test_under_traffic(void)
{
    g_autoptr(GByteArray) frame = packet_build(recipe, &packet_flow);
    Configurer c = {
        .config = { make_config(frame, 0), make_config(frame, 1) },
    };
    g_autoptr(GError) error = NULL;
    unsigned by_queue[QUEUES] = { 0 };
    GThread *sender, *configurer;
    TapNet *net;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    net = tap_net_new(QUEUES);
    c.rss = ebpf_rss_load("test", on_notify, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(ebpf_rss_set_all(c.rss, &c.config[0]));
    tap_steering_attach(net->queue[0], ebpf_rss_program_fd(c.rss), &error);
    g_assert_no_error(error);

    sender = g_thread_new("sender", send_thread, net);
    configurer = g_thread_new("configurer", configure_thread, &c);
    receive_all(net, sender, by_queue);
    g_thread_join(configurer);

    g_test_message("%u configurations; packets by queue: %u %u, %u without"
                   " a hash, %u by neither", c.done, by_queue[0],
                   by_queue[1], by_queue[UNCLASSIFIED], by_queue[BAD]);
    g_assert_cmpuint(by_queue[UNCLASSIFIED], ==, 0);
    g_assert_cmpuint(by_queue[BAD], ==, 0);
    ebpf_rss_unload(c.rss);
    tap_net_free(net);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tap/reconfigure/under-traffic", test_under_traffic);
    return g_test_run();
}
