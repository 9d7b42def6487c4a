/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steering program in a real tap: every frame that is sent into it must
 * come out of the queue that the oracle says, unchanged.
 */
#include <linux/if_ether.h>
#include <string.h>

#include "flow_cases.h"
#include "packet.h"
#include "random_packet.h"
#include "steered_tap.h"

enum {
    RANDOM_PACKETS = 10000,
    PACKETS_PER_CONFIG = 500,
    CUT_MAX = 130,          /* bytes: up to here each length is tried */
};

/* All rows with the hash types of each, whole and cut. */
static void check_all_cases(Steering *s)
{
    size_t i, len;

    for (i = 0; i < n_flow_cases; i++) {
        const FlowCase *c = &flow_cases[i];
        g_autoptr(GByteArray) frame = flow_case_frame(c);
        RssConfig config = four_queues(c->enabled);

        if (frame->len < 14 || frame->len > TAP_MTU) {
            continue;
        }
        if (s->oracle.hash_types != c->enabled) {
            steering_set_all(s, &config);
        }
        for (len = 14; len < MIN(frame->len, CUT_MAX); len++) {
            steering_check_frame(s, c->name, frame->data, len);
        }
        steering_check_frame(s, c->name, frame->data, frame->len);
    }
}

static void check_random(Steering *s)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    int i;

    for (i = 0; i < RANDOM_PACKETS; i++) {
        g_autoptr(RandomPacket) p = random_packet(rand, TAP_MTU);

        if (i % PACKETS_PER_CONFIG == 0) {
            RssConfig config = config_random(rand, 65536);

            steering_set_all(s, &config);
        }
        if (p->frame->len >= 14) {
            steering_check_frame(s, p->recipe, p->frame->data, p->frame->len);
        }
    }
}

static void test_cases(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (s) {
        check_all_cases(s);
    }
}

static void test_cases_bypass(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (s) {
        tap_net_bypass_qdisc(s->net);
        check_all_cases(s);
    }
}

static void test_random(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (s) {
        check_random(s);
    }
}

static void test_random_bypass(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (s) {
        tap_net_bypass_qdisc(s->net);
        check_random(s);
    }
}

/*
 * Sends all rows into a device that makes the kernel put a tag beside each.
 * It comes out of the tap in the frame, where the guest sees it: the queue must
 * be that of the frame which came out.
 */
static void check_accelerated_tags(Steering *s, int ifindex, uint16_t ethertype)
{
    g_autoptr(GByteArray) seen = g_byte_array_new();
    size_t i;
    int queue, expected;

    for (i = 0; i < n_flow_cases; i++) {
        const FlowCase *c = &flow_cases[i];
        g_autoptr(GByteArray) frame = flow_case_frame(c);

        if (frame->len < 14 || frame->len > TAP_MTU - 100) {
            continue;
        }
        g_assert_true(tap_net_send_to(s->net, ifindex, frame->data,
                                      frame->len));
        queue = tap_net_receive(s->net, seen, RECEIVE_MS);
        g_assert_cmpuint(seen->len, ==, frame->len + 4);
        g_assert_cmphex(seen->data[12] << 8 | seen->data[13], ==, ethertype);
        g_assert_cmpuint(seen->data[15], ==, TAP_VLAN_ID);
        expected = oracle_classify(&s->oracle, seen->data, seen->len).queue;
        if (queue != expected) {
            g_test_message("%s, and a tag beside it", c->name);
        }
        g_assert_cmpint(queue, ==, expected);
    }
}

/* @data: the EtherType of the tag */
static void test_vlan_accelerated(const void *data)
{
    uint16_t ethertype = GPOINTER_TO_UINT(data);
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);

    if (!s) {
        return;
    }
    if (!tap_net_tag_all(s->net, ethertype)) {
        g_test_skip("this kernel has no tc programs (sch_ingress, cls_bpf)");
        return;
    }
    check_accelerated_tags(s, s->net->ifindex, ethertype);
}

static void test_vlan_device(void)
{
    g_autoptr(Steering) s = steering_new(RSS_TYPES_ALL);
    int vlan;

    if (!s) {
        return;
    }
    vlan = tap_net_add_vlan(s->net);
    if (!vlan) {
        g_test_skip("this kernel has no VLAN devices (8021q)");
        return;
    }
    check_accelerated_tags(s, vlan, ETH_P_8021Q);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tap/steering/cases", test_cases);
    g_test_add_func("/tap/steering/cases-bypass", test_cases_bypass);
    g_test_add_func("/tap/steering/random", test_random);
    g_test_add_func("/tap/steering/random-bypass", test_random_bypass);
    g_test_add_data_func("/tap/steering/vlan-accelerated",
                         GUINT_TO_POINTER(ETH_P_8021Q), test_vlan_accelerated);
    g_test_add_data_func("/tap/steering/svlan-accelerated",
                         GUINT_TO_POINTER(ETH_P_8021AD),
                         test_vlan_accelerated);
    g_test_add_func("/tap/steering/vlan-device", test_vlan_device);
    return g_test_run();
}
