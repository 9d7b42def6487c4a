/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bpf_run.h"
#include "net/tap_steering.h"
#include "packet.h"
#include "steered_tap.h"

RssConfig four_queues(uint32_t hash_types)
{
    RssConfig config = config_plain(hash_types, RSS_TABLE_MAX);
    unsigned i;

    for (i = 0; i < config.table_len; i++) {
        config.table[i] = i % 3;
    }
    config.unclassified_queue = 3;
    return config;
}

RssConfig one_queue(uint16_t queue)
{
    RssConfig config = config_plain(RSS_TYPES_ALL, 1);

    config.table[0] = config.unclassified_queue = queue;
    return config;
}

void steering_set_all(Steering *s, const RssConfig *config)
{
    s->oracle = config_for_oracle(config);
    ebpf_rss_set_all(s->rss, config);
    g_assert_cmpint(ebpf_rss_wait(s->rss, RECEIVE_MS), ==, EBPF_RSS_IN_FORCE);
}

void steering_attach(Steering *s)
{
    g_autoptr(GError) error = NULL;

    tap_steering_attach(s->net->queue[0], ebpf_rss_program_fd(s->rss),
                        &error);
    g_assert_no_error(error);
}

void steering_free(Steering *s)
{
    ebpf_rss_unload(s->rss);
    tap_net_free(s->net);
    g_free(s);
}

Steering *steering_new(uint32_t hash_types)
{
    RssConfig config = four_queues(hash_types);
    g_autoptr(GError) error = NULL;
    Steering *s;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return NULL;
    }
    s = g_new0(Steering, 1);
    s->net = tap_net_new(QUEUES);
    s->rss = ebpf_rss_load("test", NULL, NULL, &error);
    g_assert_no_error(error);
    steering_set_all(s, &config);
    steering_attach(s);
    return s;
}

int steering_queue_of(Steering *s, const uint8_t *frame, size_t len)
{
    g_autoptr(GByteArray) seen = g_byte_array_new();
    int queue;

    g_assert_true(tap_net_send(s->net, frame, len));
    queue = tap_net_receive(s->net, seen, RECEIVE_MS);
    g_assert_cmpmem(seen->data, seen->len, frame, len);
    return queue;
}

void steering_check_frame(Steering *s, const char *what,
                        const uint8_t *frame, size_t len)
{
    int queue = steering_queue_of(s, frame, len);
    int expected = oracle_classify(&s->oracle, frame, len).queue % QUEUES;

    if (queue != expected) {
        g_autofree char *hex = packet_hex(frame, len);

        g_error("%s\n%s\ntypes 0x%x: queue %d, expected %d", what, hex,
                s->oracle.hash_types, queue, expected);
    }
}

void steering_check_flows(Steering *s)
{
    PacketFlow flow = packet_flow;
    int i;

    for (i = 0; i < FLOWS; i++) {
        g_autoptr(GByteArray) frame = NULL;

        flow.ports[1] = i;
        frame = packet_build(i % 2 ? "eth ip4:df tcp" : "eth ip6 udp", &flow);
        steering_check_frame(s, "flow", frame->data, frame->len);
    }
}
