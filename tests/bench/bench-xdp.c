/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a frame costs on its way into a tap where its reader drops or reflects
 * it, and where the host runs the guest's XDP program before.
 *
 *     live frames ─▶ veth0 ─▶ bridge0 ─▶ egress of the tap ─▶ queue ─▶ reader
 *                                            │ TX                        │
 *     veth1: drops ◀─ veth0 ◀─ bridge0 ◀─────┴───────────────────────────┘
 *
 *     live frames ─▶ devmap's entry: stub ─▶ tap ─▶ queue ─▶ reader
 *
 * The kernel makes the frames (BPF_F_TEST_XDP_LIVE_FRAMES), as fast as it can,
 * on one processor; the reader is on another, where there is one. The time is
 * that of all this process's threads, with what the kernel does for them.
 *
 * The program goes into the host by qemu-xdp-helper, which fills the devmap's
 * stub, too. A sample without it and one with it follow each other, the one
 * first or the other; without, the devmap's entry has no stub.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "drain.h"
#include "ebpf/insn.h"
#include "ebpf/xdp_helper_wire.h"
#include "ebpf/xdp_stub.h"
#include "packet.h"
#include "samples.h"
#include "tap_net.h"
#include "xdp_client.h"
#include "xdp_pair.h"

enum {
    FRAMES = 1 << 17,           /* in a system call, which takes 2 ms more */
    WARM_UP = 1 << 14,
    BATCH = 64,
    AT_LEAST = 200000000,       /* ns, so that a reader gets its turns */
    SKIP = 77,
};

/*
 * Frames come in at veth0; what is sent back goes out there, to veth1. The
 * host's rules for IP, where the bridge asks them, are no part of this.
 */
static const char topology[] =
    "for file in /proc/sys/net/bridge/bridge-nf-call-*; do "
    "[ ! -e $file ] || echo 0 >$file; done; "
    "ip link add veth0 type veth peer name veth1 && "
    "ip link add bridge0 type bridge && "
    "ip link set veth0 master bridge0 up && "
    "ip link set steer0 master bridge0 && "
    "ip link set veth1 up && ip link set bridge0 up && "
    "bridge link set dev veth0 learning off && "
    "bridge link set dev steer0 learning off && "
    "bridge fdb replace 02:00:00:00:00:01 dev veth0 master static && "
    "bridge fdb replace 52:54:00:12:34:56 dev steer0 master static";

/**
 * @program, @object: what is offloaded; without @object it is of xdp-tools,
 *                    without @program one that always says @verdict
 * @redirect: the frames come by the devmap
 * @reflect: program and reader do
 * @trusted: it calculates with pointers
 * @unread: nobody reads: the queue is full, and frames are dropped behind the
 *          program
 */
typedef struct Row {
    const char *name;
    const char *program, *object;
    int verdict;
    bool redirect, reflect, trusted, unread;
} Row;

static const Row rows[] = {
    { "bridge, drop", .verdict = XDP_DROP },
    { "bridge, TX", "swap", "change", .reflect = true },
    { "bridge, pass", .verdict = XDP_PASS, .unread = true },
    { "bridge, pass by xdp-filter", "xdpfilt_alw_all",
      .trusted = true, .unread = true },
    { "redirect, drop", .verdict = XDP_DROP, .redirect = true },
    { "redirect, pass", .verdict = XDP_PASS, .redirect = true,
      .unread = true },
};

typedef struct Bench {
    int rounds;
    char *helper;
    TapNet *net;
    Drain *drain;
    uint64_t sent;
    XdpClient *client;
    GArray *insns;              /* of what is offloaded */
    GByteArray *frame;
    int veth0;                  /* index */
    int source, redirect;       /* XDP programs */
    int devmap, stub;           /* -1: no stub can be made */
} Bench;

static int load_xdp(const struct bpf_insn *insns, size_t count)
{
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "source", "GPL", insns, count,
                           NULL);

    if (fd < 0) {
        g_error("cannot load an XDP program: %s", g_strerror(errno));
    }
    return fd;
}

/*
 * The kernel takes pages that came back as they are, so each frame gets its
 * addresses anew.
 */
static int load_source(const GByteArray *frame)
{
    const uint32_t *addresses = (const uint32_t *)(const void *)frame->data;
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_MOVE, 4, 2, 0, 0),
        insn(INSN_ADD_CONST, 4, 0, 0, 12),
        insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 3, 0),
        insn(BPF_ST | BPF_MEM | BPF_W, 2, 0, 0, addresses[0]),
        insn(BPF_ST | BPF_MEM | BPF_W, 2, 0, 4, addresses[1]),
        insn(BPF_ST | BPF_MEM | BPF_W, 2, 0, 8, addresses[2]),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return load_xdp(insns, G_N_ELEMENTS(insns));
}

/* By the first entry of a devmap. */
static int load_redirect(int devmap)
{
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, devmap),
        insn(0, 0, 0, 0, 0),
        insn(INSN_SET, 2, 0, 0, 0),
        insn(INSN_SET, 3, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return load_xdp(insns, G_N_ELEMENTS(insns));
}

static int make_devmap(void)
{
    int fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "taps", sizeof(uint32_t),
                            sizeof(struct bpf_devmap_val), 1, NULL);

    if (fd < 0) {
        g_error("cannot make a devmap: %s", g_strerror(errno));
    }
    return fd;
}

/* @program: a descriptor, or 0 */
static void set_devmap(const Bench *b, int program)
{
    struct bpf_devmap_val value = {
        .ifindex = b->net->ifindex, .bpf_prog.fd = program,
    };
    uint32_t zero = 0;

    if (bpf_map_update_elem(b->devmap, &zero, &value, BPF_ANY) < 0) {
        g_error("cannot set a devmap's entry: %s", g_strerror(errno));
    }
}

/* Its files go with this process. Returns the stub's program, or -1. */
static int make_stub(const Bench *b)
{
    const char *argv[] = { b->helper, "--make-stub=steer0", NULL };
    int status;

    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0 ||
        !g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL,
                      &status, NULL) || status) {
        return -1;
    }
    return bpf_obj_get(XDP_STUB_FOLDER "/steer0/program");
}

static void make_topology(Bench *b)
{
    const struct bpf_insn drop[] = {
        insn(INSN_SET, 0, 0, 0, XDP_DROP), insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const char *argv[] = { "/bin/sh", "-c", topology, NULL };
    int status, fd = load_xdp(drop, G_N_ELEMENTS(drop));

    if (!g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL,
                      &status, NULL) || status) {
        g_error("cannot make a bridge");
    }
    if (bpf_xdp_attach(if_nametoindex("veth1"), fd, 0, NULL) < 0) {
        g_error("cannot attach to veth1: %s", g_strerror(errno));
    }
    close(fd);
    b->veth0 = if_nametoindex("veth0");
    b->source = load_source(b->frame);
    b->devmap = make_devmap();
    set_devmap(b, 0);
    b->redirect = load_redirect(b->devmap);
}

static void send_frames(Bench *b, const Row *row, unsigned count)
{
    struct xdp_md md = {
        .data_end = b->frame->len, .ingress_ifindex = b->veth0,
    };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->frame->data,
                .data_size_in = b->frame->len, .ctx_in = &md,
                .ctx_size_in = sizeof(md), .repeat = count,
                .batch_size = BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

    if (bpf_prog_test_run_opts(row->redirect ? b->redirect : b->source,
                               &opts) < 0) {
        fprintf(stderr, "this kernel makes no live frames: %s\n",
                g_strerror(errno));
        exit(SKIP);
    }
    b->sent += count;
}

/* Where the row's program is; to be freed. */
static char *find_program(const Row *row)
{
    return row->object ? xdp_object(row->object, row->program)
                       : g_strdup_printf(XDP_TOOLS_OBJECTS "/%s.o:%s",
                                         row->program, row->program);
}

/* The host gets the maps. Returns the instructions. */
static GArray *offer_object(const Bench *b, const char *where)
{
    struct bpf_map *map;
    GArray *insns;
    XdpPair pair;

    if (!xdp_pair_open(&pair, where)) {
        g_error("cannot load %s", where);
    }
    insns = xdp_pair_insns(&pair);
    bpf_object__for_each_map(map, pair.object) {
        xdp_client_ask(b->client, (XdpWireMessage) {
            .op = XDP_OP_MAP_CREATE,
            .map = {
                bpf_map__type(map), bpf_map__key_size(map),
                bpf_map__value_size(map), bpf_map__max_entries(map),
                bpf_map__map_flags(map), "map",
            },
        });
    }
    xdp_pair_close(&pair);
    return insns;
}

static void offer(Bench *b, const Row *row)
{
    const struct bpf_insn always[] = {
        insn(INSN_SET, 0, 0, 0, row->verdict), insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const char *option = row->trusted ? "--trusted" :
                         row->redirect ? "--stubs=" XDP_STUB_FOLDER : NULL;
    g_autofree char *where = NULL;

    b->client = xdp_client_new(b->helper, option, b->net->queue[0],
                               row->trusted ? XDP_HELPER_TRUSTED : 0);
    if (row->program) {
        where = find_program(row);
        b->insns = offer_object(b, where);
    } else {
        b->insns = g_array_new(FALSE, FALSE, sizeof(*always));
        g_array_append_vals(b->insns, always, G_N_ELEMENTS(always));
    }
}

static void set_offload(const Bench *b, const Row *row, bool on)
{
    XdpWireMessage unset = { .op = XDP_OP_PROG_UNSET };
    XdpWireMessage set = {
        .op = XDP_OP_PROG_SET,
        .program = { XDP_PROGRAM_GPL, b->veth0, b->insns->len, "bench" },
        .data = (const uint8_t *)b->insns->data,
        .len = (size_t)b->insns->len * sizeof(struct bpf_insn),
    };

    xdp_client_ask(b->client, on ? set : unset);
    set_devmap(b, row->redirect && on ? b->stub : 0);
}

/* Frames that are done with: read, dropped by the host, or back. */
static uint64_t done(const Bench *b, const Row *row)
{
    XdpWireMessage stats;

    if (row->unread) {
        return b->sent;
    }
    if (row->reflect) {
        return tap_net_received_by("veth1");
    }
    stats = xdp_client_ask(b->client,
                           (XdpWireMessage) { .op = XDP_OP_STATS });
    return stats.stats.dropped + drain_packets(b->drain);
}

typedef struct Sample {
    double cpu_ns, pps;
} Sample;

static Sample take_sample(Bench *b, const Row *row, bool offload)
{
    double cpu, begin, wall, frames;

    set_offload(b, row, offload);
    send_frames(b, row, WARM_UP);
    frames = done(b, row);
    cpu = samples_process_cpu_ns();
    begin = samples_now_ns();
    do {
        send_frames(b, row, FRAMES);
        wall = samples_now_ns() - begin;
    } while (wall < AT_LEAST);
    cpu = samples_process_cpu_ns() - cpu;
    frames = done(b, row) - frames;
    if (!frames) {
        g_error("%s: no frame arrives", row->name);
    }
    return (Sample) { cpu / frames, frames / wall * 1e9 };
}

static void measure(Bench *b, const Row *row)
{
    static const char *const names[] = { "without", "with" };
    Samples *cpu[2], *pps[2];
    int round, i;

    for (i = 0; i < 2; i++) {
        g_autofree char *c = g_strdup_printf("cpu/%s/%s", row->name, names[i]);
        g_autofree char *p = g_strdup_printf("pps/%s/%s", row->name, names[i]);

        cpu[i] = samples_new(c, "ns");
        pps[i] = samples_new(p, "1/s");
    }
    offer(b, row);
    b->drain = drain_start(b->net, row->unread ? DRAIN_NONE :
                           row->reflect ? DRAIN_REFLECT : DRAIN_THREADS,
                           sysconf(_SC_NPROCESSORS_ONLN) > 1);
    for (round = 0; round < b->rounds; round++) {
        for (i = 0; i < 2; i++) {
            int which = (i + round) % 2;
            Sample sample = take_sample(b, row, which);

            samples_add(cpu[which], sample.cpu_ns);
            samples_add(pps[which], sample.pps);
        }
    }
    drain_stop(b->drain);
    set_devmap(b, 0);
    xdp_client_free(b->client);
    g_array_free(b->insns, TRUE);
    for (i = 0; i < 2; i++) {
        samples_print(cpu[i]);
        samples_print(pps[i]);
    }
}

static void parse_options(Bench *b, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        { "rounds", 0, 0, G_OPTION_ARG_INT, &b->rounds, "samples of each",
          "N" },
        { "helper", 0, 0, G_OPTION_ARG_FILENAME, &b->helper,
          "qemu-xdp-helper", "FILE" },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !b->helper) {
        fprintf(stderr, "%s\n", error ? error->message : "--helper is needed");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    Bench b = { .rounds = 12 };
    size_t i;

    libbpf_set_print(NULL);
    parse_options(&b, argc, argv);
    if (!tap_net_allowed()) {
        fprintf(stderr, "a tap in a network namespace needs root\n");
        return SKIP;
    }
    b.net = tap_net_new(1);
    b.frame = packet_build("eth ip4 udp raw:22", &packet_flow);
    make_topology(&b);
    b.stub = make_stub(&b);
    drain_pin(0);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].trusted &&
            access(XDP_TOOLS_OBJECTS "/xdpfilt_alw_all.o", R_OK) != 0) {
            fprintf(stderr, "%s: needs xdp-tools\n", rows[i].name);
            continue;
        }
        if (rows[i].redirect && b.stub < 0) {
            fprintf(stderr, "%s: cannot make a stub\n", rows[i].name);
            continue;
        }
        measure(&b, &rows[i]);
    }
    g_byte_array_unref(b.frame);
    close(b.source);
    close(b.redirect);
    close(b.devmap);
    close(b.stub);
    tap_net_free(b.net);
    g_free(b.helper);
    return 0;
}
