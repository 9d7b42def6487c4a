/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the steering program gets into a tap, stays there, and leaves it. */
#include <unistd.h>

#include "bpf_run.h"
#include "net/tap_steering.h"
#include "packet.h"
#include "steered_tap.h"

/* How many queues do frames of many flows come out of? */
static unsigned spread(Steering *s)
{
    PacketFlow flow = packet_flow;
    unsigned used = 0, i;

    for (i = 0; i < FLOWS; i++) {
        g_autoptr(GByteArray) frame = NULL;

        flow.ports[1] = i;
        frame = packet_build("eth ip4 udp raw:20", &flow);
        used |= 1 << steering_queue_of(s, frame->data, frame->len);
    }
    return __builtin_popcount(used);
}

static void test_detach(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);
    RssConfig config = one_queue(2);
    g_autoptr(GError) error = NULL;

    if (!s) {
        return;
    }
    steering_set_all(s, &config);
    g_assert_cmpuint(spread(s), ==, 1);

    tap_steering_detach(s->net->queue[1], &error);
    g_assert_no_error(error);
    g_assert_cmpuint(spread(s), >, 1);

    steering_attach(s);
    g_assert_cmpuint(spread(s), ==, 1);

    /* Detaching twice is no error. */
    g_assert_true(tap_steering_detach(s->net->queue[0], NULL));
    g_assert_true(tap_steering_detach(s->net->queue[0], NULL));
    g_assert_cmpuint(spread(s), >, 1);
}

/* A program that the tap refuses leaves the one that is attached. */
static void test_refused(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);
    static const enum bpf_prog_type types[] = {
        BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_XDP,
    };
    RssConfig config = one_queue(1);
    size_t i;

    if (!s) {
        return;
    }
    steering_set_all(s, &config);
    for (i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autoptr(GError) error = NULL;
        int fd = bpf_run_load_return(types[i], 0);

        g_assert_cmpint(fd, >=, 0);
        g_assert_false(tap_steering_attach(s->net->queue[0], fd, &error));
        g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
        g_assert_cmpuint(spread(s), ==, 1);
        close(fd);
    }
    /* No descriptor; one that is no program at all; one that is no tap. */
    for (i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(tap_steering_attach(s->net->queue[0], i ? -1 : -7,
                                           &error));
        g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
        g_assert_cmpuint(spread(s), ==, 1);
    }
    g_assert_false(tap_steering_attach(s->net->queue[0], s->net->socket,
                                       NULL));
    g_assert_false(tap_steering_attach(s->net->socket,
                                       ebpf_rss_program_fd(s->rss), NULL));
    steering_check_flows(s);
}

/* The program stays when its loader is gone, with what was in force. */
static void test_survives_unload(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (!s) {
        return;
    }
    ebpf_rss_unload(s->rss);
    s->rss = NULL;
    steering_check_flows(s);
}

static void test_replaced(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);
    RssConfig config = one_queue(3);
    EBPFRSS *first;

    if (!s) {
        return;
    }
    first = s->rss;
    s->rss = ebpf_rss_load("test", NULL, NULL, NULL);
    g_assert_nonnull(s->rss);
    steering_set_all(s, &config);
    g_assert_cmpuint(spread(s), >, 1);
    steering_attach(s);
    g_assert_cmpuint(spread(s), ==, 1);
    ebpf_rss_unload(first);
    g_assert_cmpuint(spread(s), ==, 1);
}

/* Works from a queue that is off, and the device has one queue less then. */
static void test_detached_queue(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);
    RssConfig config = one_queue(3);
    g_autoptr(GByteArray) frame = packet_build("eth ip6 tcp", &packet_flow);

    if (!s) {
        return;
    }
    steering_set_all(s, &config);
    g_assert_true(tap_steering_detach(s->net->queue[0], NULL));
    tap_net_enable_queue(s->net, 3, false);
    g_assert_true(tap_steering_attach(s->net->queue[3],
                                      ebpf_rss_program_fd(s->rss), NULL));
    g_assert_cmpint(steering_queue_of(s, frame->data, frame->len), ==, 3 % 3);
    tap_net_enable_queue(s->net, 3, true);
    g_assert_cmpint(steering_queue_of(s, frame->data, frame->len), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tap/attach/detach", test_detach);
    g_test_add_func("/tap/attach/refused", test_refused);
    g_test_add_func("/tap/attach/survives-unload", test_survives_unload);
    g_test_add_func("/tap/attach/replaced", test_replaced);
    g_test_add_func("/tap/attach/detached-queue", test_detached_queue);
    return g_test_run();
}
