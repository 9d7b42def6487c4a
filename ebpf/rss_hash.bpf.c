/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that vhost-net asks for each packet's hash and its report code
 * (VHOST_NET_SET_HASH_PROG): it writes them into cb[0] and cb[1]. A packet
 * that has no hash gets a 0 in both: VIRTIO_NET_HASH_REPORT_NONE.
 *
 * It has the map of configurations in common with the steering program
 * (rss.bpf.c), and reads the same slot of the other map. So one store puts
 * both in force, and what a packet is reported to have is of one
 * configuration.
 *
 * Like the steering program it is total and harmless, and BPF_PROG_TEST_RUN
 * wants 14 bytes before the frame.
 */
#include "rss_abi.h"

struct rss_map config SEC(".data.config");
struct rss_hash_map hashes SEC(".data.hashes");

SEC("socket")
int vhost_rss_report(struct __sk_buff *skb)
{
    __u32 active = *(volatile __u32 *)&config.active & (RSS_SLOTS - 1);
    const struct rss_policy *policy = &config.slot[active];
    const struct rss_hash_table *table = &hashes.slot[active];
    struct rss_flow flow;
    __u32 type, hash = 0;

    asm volatile("" : "+r" (policy));   /* or they are computed at each use */
    asm volatile("" : "+r" (table));
    type = rss_find_input(policy, skb, &flow);
    if (type) {
        hash = rss_hash(table, &flow, type);
    }
    skb->cb[0] = hash;
    skb->cb[1] = rss_type_index(type);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
