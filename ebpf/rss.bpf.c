/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steering program that the kernel's tap device asks for each packet's
 * queue (TUNSETSTEERINGEBPF).
 *
 * It is total and harmless: bounded, without side effects, and whatever it
 * cannot classify goes to the unclassified queue. The device takes what it
 * returns modulo its number of queues.
 *
 * BPF_PROG_TEST_RUN takes the first 14 bytes of its input for an Ethernet
 * header and lets a socket filter start behind them. Who tests the program
 * that way puts 14 bytes before the frame.
 */
#include "rss_abi.h"

/*
 * Variables, of which libbpf makes a map for each section: the program gets at
 * them without a lookup.
 */
struct rss_map config SEC(".data.config");
struct rss_counter_row counters[RSS_COUNTER_ROWS] SEC(".data.counters");

/*
 * The program does not use it. Who configures the program puts the map of
 * configurations into it, whenever it must wait until no program runs that is
 * running now: the kernel waits for that at each update (rss_grace.c).
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(key_size, sizeof(__u32));
    __uint(max_entries, 1);
    __array(values, struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(key_size, sizeof(__u32));
        __uint(value_size, sizeof(struct rss_map));
        __uint(max_entries, 1);
    });
} grace SEC(".maps");

RSS_OUTLINE int count(__u32 type, __u32 queue)
{
    __u32 row = bpf_get_smp_processor_id() & (RSS_COUNTER_ROWS - 1);
    struct rss_counter_row *counter = &counters[row];
    __u32 index = rss_type_index(type);

    if (index < RSS_COUNTED_TYPES) {
        __sync_fetch_and_add(&counter->type[index], 1);
    }
    if (queue < RSS_COUNTED_QUEUES) {
        __sync_fetch_and_add(&counter->queue[queue], 1);
    }
    return 0;
}

SEC("socket")
int tun_rss_steering(struct __sk_buff *skb)
{
    __u32 active = *(volatile __u32 *)&config.active & (RSS_SLOTS - 1);
    const struct rss_policy *policy = &config.slot[active];
    struct rss_flow flow;
    __u32 type, queue;

    asm volatile("" : "+r" (policy));   /* or it is computed at each use */
    type = rss_find_input(policy, skb, &flow);
    queue = rss_steer(policy, &flow, type);
    if (RSS_UNLIKELY(config.counting)) {
        count(type, queue);
    }
    return queue;
}

char LICENSE[] SEC("license") = "GPL";
