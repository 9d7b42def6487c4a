/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads from the kernel which steering program a tap has: there is no system
 * call that tells.
 *
 * An iterator over tasks. The first task that is in the device's network
 * namespace leads to the device, and this to the tun driver's own structure,
 * whose fields libbpf finds by the kernel's BTF (CO-RE). Only what the kernel's
 * own pointers confirm is written: a structure whose field "dev" does not point
 * back to the device is not the tun driver's. Nothing is written then.
 *
 * The structures below name the fields that are read, and no others.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "steer_attached_abi.h"

#define KERNEL __attribute__((preserve_access_index))

enum {
    INDEX_HASH_SIZE = 256,      /* NETDEV_HASHENTRIES */
    MAX_CHAIN = 256,            /* devices with the same last 8 bits */
    OLD_PRIV_ALIGN = 32,        /* NETDEV_ALIGN, where there is no dev->priv */
};

struct hlist_node {
    struct hlist_node *next;
} KERNEL;

struct hlist_head {
    struct hlist_node *first;
} KERNEL;

struct ns_common {
    unsigned int inum;
} KERNEL;

struct net {
    struct ns_common ns;
    struct hlist_head *dev_index_head;
} KERNEL;

struct nsproxy {
    struct net *net_ns;
} KERNEL;

struct task_struct {
    struct nsproxy *nsproxy;
} KERNEL;

struct net_device {
    int ifindex;
    struct hlist_node index_hlist;
} KERNEL;

/* Since 6.10 the driver's own part is a member. */
struct net_device___with_priv {
    unsigned char priv[1];
} KERNEL;

typedef struct {
    unsigned int val;
} kuid_t;

struct user_struct {
    kuid_t uid;
} KERNEL;

struct bpf_map {
    __u32 id;
} KERNEL;

struct bpf_prog_aux {
    __u32 id;
    __u32 used_map_cnt;
    __u64 load_time;
    struct bpf_map **used_maps;
    struct user_struct *user;
    char name[STEER_NAME_LEN];
} KERNEL;

struct bpf_prog {
    __u8 tag[STEER_TAG_LEN];
    struct bpf_prog_aux *aux;
} KERNEL;

struct tun_prog {
    struct bpf_prog *prog;
} KERNEL;

struct tun_struct {
    unsigned int numqueues;
    struct net_device *dev;
    struct tun_prog *steering_prog;
} KERNEL;

struct bpf_iter_meta {
    struct seq_file *seq;
} KERNEL;

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
} KERNEL;

/* Written by the loader before each run, which is over when it is answered. */
struct steer_question question;
bool answered;

static struct steer_answer answer;

static struct net_device *find_device(struct net *net)
{
    struct hlist_head *heads = BPF_CORE_READ(net, dev_index_head);
    __u32 at = question.ifindex & (INDEX_HASH_SIZE - 1);
    struct hlist_node *node = NULL;
    int i;

    if (!heads) {
        return NULL;
    }
    bpf_core_read(&node, sizeof(node),
                  (void *)heads + at * bpf_core_type_size(struct hlist_head));
    for (i = 0; i < MAX_CHAIN && node; i++) {
        struct net_device *dev = (void *)node -
            bpf_core_field_offset(struct net_device, index_hlist);

        if (BPF_CORE_READ(dev, ifindex) == question.ifindex) {
            return dev;
        }
        node = BPF_CORE_READ(node, next);
    }
    return NULL;
}

/* What netdev_priv() returns. */
static struct tun_struct *driver_part(struct net_device *dev)
{
    struct net_device___with_priv *with_priv = NULL;
    __u32 size = bpf_core_type_size(struct net_device);

    if (bpf_core_field_exists(with_priv->priv)) {
        return (void *)dev +
               bpf_core_field_offset(struct net_device___with_priv, priv);
    }
    size = (size + OLD_PRIV_ALIGN - 1) & ~(OLD_PRIV_ALIGN - 1);
    return (void *)dev + size;
}

static void describe(struct bpf_prog *prog)
{
    struct bpf_prog_aux *aux = BPF_CORE_READ(prog, aux);
    struct bpf_map **maps = BPF_CORE_READ(aux, used_maps);
    __u32 n = BPF_CORE_READ(aux, used_map_cnt), i;

    answer.program_id = BPF_CORE_READ(aux, id);
    answer.loaded_ns = BPF_CORE_READ(aux, load_time);
    answer.uid = BPF_CORE_READ(aux, user, uid.val);
    BPF_CORE_READ_INTO(&answer.tag, prog, tag);
    BPF_CORE_READ_INTO(&answer.name, aux, name);
    for (i = 0; i < STEER_MAX_MAPS && i < n; i++) {
        struct bpf_map *map = NULL;

        bpf_core_read(&map, sizeof(map), maps + i);
        answer.map_id[i] = BPF_CORE_READ(map, id);
    }
    answer.n_maps = n < STEER_MAX_MAPS ? n : STEER_MAX_MAPS;
}

SEC("iter/task")
int steer_attached(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    struct net_device *dev;
    struct tun_struct *tun;
    struct bpf_prog *prog;
    struct net *net;

    if (!task || answered) {
        return 0;
    }
    net = BPF_CORE_READ(task, nsproxy, net_ns);
    if (!net || BPF_CORE_READ(net, ns.inum) != question.netns) {
        return 0;
    }
    answered = true;
    __builtin_memset(&answer, 0, sizeof(answer));
    dev = find_device(net);
    tun = dev ? driver_part(dev) : NULL;
    if (!tun || BPF_CORE_READ(tun, dev) != dev) {
        return 0;
    }
    answer.queues = BPF_CORE_READ(tun, numqueues);
    prog = BPF_CORE_READ(tun, steering_prog, prog);
    if (prog) {
        describe(prog);
    }
    bpf_seq_write(ctx->meta->seq, &answer, sizeof(answer));
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
