/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real helper, whose path is in QEMU_XDP_HELPER, at a real tap: what a
 * guest asks for happens there, what it may not is refused, and however the
 * helper ends, packets flow.
 *
 *     this process ── frames ──▶ helper ──▶ egress of the tap
 *                                   └─────▶ stub in a devmap
 *
 * Packets come to that stub by XDP on a veth:
 *
 *     packet socket ──▶ veth0 ─ veth1: count, redirect ──▶ stub ──▶ tap
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/insn.h"
#include "ebpf/xdp_helper_wire.h"
#include "ebpf/xdp_limits.h"
#include "ebpf/xdp_stub.h"
#include "ebpf/xdp_wire.h"
#include "net/socket_fds.h"
#include "packet.h"
#include "tap_net.h"

enum {
    WAIT_MS = 20000,            /* for what must come, on a busy machine */
    RECEIVE_MS = 5000,
    STORM_US = 50000,           /* a program each so often is none */
};

/* Of what is refused for want of trust. */
#define TRUST "a guest that it does not trust (trusted=on)"

static const char *helper;
static unsigned seed;

/* A helper and its tap. */
typedef struct Rig {
    TapNet *net;
    GPid pid;                   /* 0: it was waited for */
    int socket;
    uint32_t sequence;
    uint8_t frame[XDP_WIRE_MAX];    /* the last answer */
    char text[XDP_HELPER_TEXT_MAX + 1];
    char redirected[XDP_HELPER_TEXT_MAX + 1];       /* what it said last */
    int veth0, veth1;           /* packets into veth0 are redirected */
    int count;                  /* a map: so many were */
} Rig;

/* How the helper is started, and what it is asked at first. */
typedef struct Start {
    const char *option;         /* or NULL */
    uint32_t flags;             /* XDP_HELPER_* */
    const char *magic, *name;   /* NULL: the right ones */
    uint64_t max_memory;
    uint32_t max_insns;
    bool other_namespace, no_fd, no_tap;
} Start;

static const Start trusted = {
    .option = "--trusted", .flags = XDP_HELPER_TRUSTED,
};

typedef struct Child {
    int fd;
    bool other_namespace;
} Child;

static void set_up_child(gpointer data)
{
    const Child *child = data;

    dup2(child->fd, STDIN_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (child->other_namespace && unshare(CLONE_NEWNET) < 0) {
        _exit(1);
    }
}

static void spawn(Rig *rig, const Start *start, int fd)
{
    const char *argv[] = { helper, "--inetd", start->option, NULL };
    g_autoptr(GError) error = NULL;
    Child child = { fd, start->other_namespace };

    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD |
                  G_SPAWN_CHILD_INHERITS_STDIN | G_SPAWN_STDERR_TO_DEV_NULL,
                  set_up_child, &child, &rig->pid, &error);
    g_assert_no_error(error);
}

static void send_request(Rig *rig, const Start *start)
{
    XdpHelperRequest request = {
        .flags = start->flags, .max_memory = start->max_memory,
        .max_insns = start->max_insns,
    };
    int fd = start->no_tap ? rig->socket : rig->net->queue[0];

    strncpy(request.magic, start->magic ? start->magic : XDP_HELPER_MAGIC,
            sizeof(request.magic));
    strncpy(request.name, start->name ? start->name : "net0",
            sizeof(request.name));
    g_assert_cmpint(send_fds(rig->socket, &request, sizeof(request), &fd,
                             !start->no_fd, 0), ==, sizeof(request));
}

/* Bytes of the next message; 0 at the end. */
static ssize_t receive(Rig *rig, void *to, size_t size)
{
    struct pollfd ready = { .fd = rig->socket, .events = POLLIN };

    g_assert_cmpint(poll(&ready, 1, WAIT_MS), ==, 1);
    return recv(rig->socket, to, size, 0);
}

/* It ends well, once it was ready, or was killed by the test. */
static void reap(Rig *rig)
{
    int status;

    if (rig->pid) {
        g_assert_cmpint(waitpid(rig->pid, &status, 0), ==, rig->pid);
        rig->pid = 0;
        if (WIFSIGNALED(status)) {
            g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
        } else if (g_str_has_prefix(rig->text, XDP_HELPER_READY)) {
            g_assert_cmpint(WEXITSTATUS(status), ==, 0);
        }
    }
}

/* Ends the helper by the end of its socket. */
static void hang_up(Rig *rig)
{
    close(rig->socket);
    reap(rig);
}

static void rig_free(Rig *rig)
{
    hang_up(rig);
    tap_net_free(rig->net);
    g_free(rig);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

static void begin(Rig *rig, const Start *start)
{
    ssize_t len;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds),
                    ==, 0);
    rig->socket = fds[0];
    send_request(rig, start);       /* it does not wait for it for long */
    spawn(rig, start, fds[1]);
    close(fds[1]);
    len = receive(rig, rig->text, sizeof(rig->text) - 1);
    rig->text[MAX(len, 0)] = 0;
}

static Rig *rig_of(const Start *start)
{
    Rig *rig;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return NULL;
    }
    rig = g_new0(Rig, 1);
    rig->net = tap_net_new(1);
    begin(rig, start);
    return rig;
}

static XdpWireMessage ask(Rig *rig, XdpWireMessage request);

static void greet(Rig *rig)
{
    g_assert_true(g_str_has_prefix(rig->text, XDP_HELPER_READY ", "));
    g_assert_cmpuint(ask(rig, (XdpWireMessage) {
                             .op = XDP_OP_HELLO }).error, ==, 0);
}

/* A rig that works, or NULL: the test is skipped and must return. */
static Rig *rig_new(const Start *start)
{
    Rig *rig = rig_of(start);

    if (rig && start->option && strstr(rig->text, "cannot attach")) {
        g_test_skip(rig->text);
        rig_free(rig);
        return NULL;
    }
    if (rig) {
        greet(rig);
    }
    return rig;
}

/* Sends a request; its answer is valid until the next one. */
static XdpWireMessage ask(Rig *rig, XdpWireMessage request)
{
    const ssize_t said = strlen(XDP_HELPER_REDIRECTED);
    g_autoptr(GByteArray) frame = NULL;
    XdpWireMessage answer;
    ssize_t len;

    request.sequence = ++rig->sequence;
    frame = xdp_wire_encode(&request);
    g_assert_nonnull(frame);
    g_assert_cmpint(send(rig->socket, frame->data, frame->len, MSG_NOSIGNAL),
                    ==, frame->len);
    len = receive(rig, rig->frame, sizeof(rig->frame));
    if (len >= said && !memcmp(rig->frame, XDP_HELPER_REDIRECTED, said)) {
        g_assert_cmpint(len, <, sizeof(rig->redirected));
        memcpy(rig->redirected, rig->frame, len);
        rig->redirected[len] = 0;
        len = receive(rig, rig->frame, sizeof(rig->frame));
    }
    g_assert_cmpint(len, >, 0);
    g_assert_cmpint(xdp_wire_decode(rig->frame, len, &answer), ==, 0);
    g_assert_true(answer.answer);
    g_assert_cmpint(answer.op, ==, request.op);
    g_assert_cmpuint(answer.sequence, ==, request.sequence);
    return answer;
}

static void assert_good(const XdpWireMessage *answer)
{
    if (answer->error) {
        g_error("error %u: %.*s", answer->error, (int)answer->len,
                (const char *)answer->data);
    }
}

static uint32_t error_of(Rig *rig, XdpWireMessage request)
{
    return ask(rig, request).error;
}

static XdpWireMessage map_request(uint32_t type, uint32_t key_size,
                                  uint32_t value_size, uint32_t max_entries,
                                  uint32_t flags)
{
    XdpWireMessage m = {
        .op = XDP_OP_MAP_CREATE,
        .map = { type, key_size, value_size, max_entries, flags, "map" },
    };

    return m;
}

static uint32_t create(Rig *rig, uint32_t type, uint32_t key_size,
                       uint32_t value_size, uint32_t max_entries,
                       uint32_t flags)
{
    XdpWireMessage answer = ask(rig, map_request(type, key_size, value_size,
                                                 max_entries, flags));

    assert_good(&answer);
    return answer.handle;
}

static XdpWireMessage program(const struct bpf_insn *insns, size_t count)
{
    XdpWireMessage m = {
        .op = XDP_OP_PROG_SET,
        .program = { .count = count, .name = "guests" },
        .data = (const uint8_t *)insns, .len = count * sizeof(*insns),
    };

    return m;
}

static XdpWireMessage always(int verdict, struct bpf_insn insns[2])
{
    insns[0] = insn(INSN_SET, 0, 0, 0, verdict);
    insns[1] = insn(INSN_EXIT, 0, 0, 0, 0);
    return program(insns, 2);
}

static void set_always(Rig *rig, int verdict)
{
    struct bpf_insn insns[2];
    XdpWireMessage answer = ask(rig, always(verdict, insns));

    assert_good(&answer);
}

/* Returns what the first entry of map @handle says. */
static void set_by_map(Rig *rig, uint32_t handle)
{
    const struct bpf_insn insns[] = {
        insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, handle),
        insn(0, 0, 0, 0, 0),
        insn(INSN_MOVE, 2, 10, 0, 0),
        insn(INSN_ADD_CONST, 2, 0, 0, -4),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
        insn(INSN_IF_NOT_EQUAL, 0, 0, 2, 0),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
        insn(INSN_LOAD32, 0, 0, 0, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    XdpWireMessage answer = ask(rig, program(insns, G_N_ELEMENTS(insns)));

    assert_good(&answer);
}

static XdpWireMessage entries(XdpOp op, uint32_t handle, uint32_t flags,
                              uint32_t count, const void *data, size_t len)
{
    XdpWireMessage m = {
        .op = op, .entries = { handle, flags, count }, .data = data,
        .len = len,
    };

    return m;
}

static uint32_t update(Rig *rig, uint32_t handle, uint32_t flags, uint32_t key,
                       uint32_t value)
{
    uint32_t entry[] = { key, value };

    return error_of(rig, entries(XDP_OP_UPDATE, handle, flags, 1, entry,
                                 sizeof(entry)));
}

/* Whether a frame gets to the reader of the tap; each other one is dropped. */
static bool passes(Rig *rig)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:100",
                                               &packet_flow);
    g_autoptr(GByteArray) came = g_byte_array_new();

    if (!tap_net_send(rig->net, frame->data, frame->len)) {
        return false;
    }
    g_assert_cmpint(tap_net_receive(rig->net, came, RECEIVE_MS), ==, 0);
    g_assert_cmpmem(came->data, came->len, frame->data, frame->len);
    return true;
}

static void wait_until_it_passes(Rig *rig)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;

    while (!passes(rig)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

static void test_verdicts(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    g_autoptr(GByteArray) frame = NULL, came = g_byte_array_new();
    XdpWireMessage answer;
    uint32_t map;

    if (!rig) {
        return;
    }
    map = create(rig, BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_PASS), ==, 0);
    set_by_map(rig, map);
    g_assert_true(passes(rig));
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_DROP), ==, 0);
    g_assert_false(passes(rig));
    g_assert_false(passes(rig));
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_TX), ==, 0);
    frame = packet_build("eth ip4 udp raw:100", &packet_flow);
    g_assert_true(tap_net_send(rig->net, frame->data, frame->len));
    g_assert_cmpint(tap_net_receive(rig->net, came, 0), ==, TAP_NO_QUEUE);

    answer = ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.passed, ==, 1);
    g_assert_cmpuint(answer.stats.dropped, ==, 2);
    g_assert_cmpuint(answer.stats.sent, ==, 1);
    g_assert_cmpuint(answer.stats.unexamined, ==, 0);
    g_assert_cmpuint(answer.stats.memory, >=, 8);
    g_assert_cmpuint(answer.stats.since, >, 0);

    g_assert_cmpuint(error_of(rig, (XdpWireMessage) {
                                  .op = XDP_OP_PROG_UNSET }), ==, 0);
    g_assert_true(passes(rig));
    g_assert_cmpuint(error_of(rig, (XdpWireMessage) {
                                  .op = XDP_OP_PROG_UNSET }), ==, 0);
    answer = ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.since, ==, 0);
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_DROP), ==, 0);
    greet(rig);
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_DROP), ==, EBADF);
}

/* A program takes another's place; HELLO begins anew. */
static void test_replace(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    const struct bpf_insn bad[] = { insn(INSN_EXIT, 0, 0, 0, 0) };
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    set_always(rig, XDP_PASS);
    g_assert_true(passes(rig));
    set_always(rig, XDP_DROP);
    g_assert_false(passes(rig));

    /* One that is refused changes nothing. */
    answer = ask(rig, program(bad, G_N_ELEMENTS(bad)));
    g_assert_cmpuint(answer.error, ==, EINVAL);
    g_assert_nonnull(g_strstr_len((const char *)answer.data, answer.len,
                                  "instruction 0"));
    g_assert_false(passes(rig));

    answer = ask(rig, (XdpWireMessage) {
                     .op = XDP_OP_HELLO,
                     .hello = { .max_maps = 1 },
                 });
    assert_good(&answer);
    g_assert_cmphex(answer.hello.features, ==, XDP_FEATURE_TX);
    g_assert_cmpuint(answer.hello.max_insns, ==, XDP_MAX_INSNS);
    g_assert_cmpuint(answer.hello.max_maps, ==, 1);
    g_assert_cmpuint(answer.hello.processors, ==,
                     libbpf_num_possible_cpus());
    g_assert_true(passes(rig));
    create(rig, BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(error_of(rig, map_request(BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)),
                     ==, ENOSPC);
}

/* Our filter, of a kernel without TCX. */
static bool filter_is_left(const Rig *rig)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = rig->net->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .priority = 50, .handle = 0x58445030);

    return bpf_tc_query(&hook, &opts) == 0;
}

/* Packets flow, and the next helper finds nothing in its way. */
static void test_killed(const void *data)
{
    const Start *start = data;
    g_autoptr(Rig) rig = rig_new(start);

    if (!rig) {
        return;
    }
    set_always(rig, XDP_DROP);
    g_assert_false(passes(rig));
    kill(rig->pid, SIGKILL);
    reap(rig);
    wait_until_it_passes(rig);
    close(rig->socket);
    begin(rig, start);
    g_assert_true(g_str_has_prefix(rig->text, XDP_HELPER_READY ", "));
    g_assert_false(filter_is_left(rig));
    g_assert_true(passes(rig));
}

static void test_hung_up(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);

    if (!rig) {
        return;
    }
    set_always(rig, XDP_DROP);
    g_assert_false(passes(rig));
    hang_up(rig);
    g_assert_false(filter_is_left(rig));
    g_assert_true(passes(rig));
    begin(rig, start);
}

/* Longer than a lease: who lives renews it. */
static void test_lease(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    gint64 end;

    if (!rig) {
        return;
    }
    set_always(rig, XDP_DROP);
    for (end = g_get_monotonic_time() + 7000000;
         g_get_monotonic_time() < end; g_usleep(100000)) {
        g_assert_false(passes(rig));
    }
}

typedef struct MapRow {
    const char *name;
    uint32_t type, key_size, value_size, max_entries, flags;
    uint32_t error;
} MapRow;

#define ARRAY BPF_MAP_TYPE_ARRAY
#define HASH BPF_MAP_TYPE_HASH
#define LPM BPF_MAP_TYPE_LPM_TRIE
#define PROG_ARRAY BPF_MAP_TYPE_PROG_ARRAY

static const MapRow map_rows[] = {
    { "array", ARRAY, 4, 4, 1, 0, 0 },
    { "array-mmapable", ARRAY, 4, 4, 1, BPF_F_MMAPABLE, 0 },
    { "array-of-3-byte-keys", ARRAY, 3, 4, 1, 0, EINVAL },
    { "array-without-entries", ARRAY, 4, 4, 0, 0, EINVAL },
    { "array-of-nothing", ARRAY, 4, 0, 1, 0, EINVAL },
    { "array-with-inner-flag", ARRAY, 4, 4, 1, BPF_F_INNER_MAP, EINVAL },
    { "array-numa", ARRAY, 4, 4, 1, BPF_F_NUMA_NODE, EINVAL },
    { "array-15M", ARRAY, 4, 4096, 3840, 0, 0 },
    { "array-16M-and-more", ARRAY, 4, 4096, 4096, 0, ENOMEM },
    { "array-4G-entries", ARRAY, 4, 4096, UINT32_MAX, 0, ENOMEM },
    { "percpu-array-4G-entries", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4096,
      UINT32_MAX, 0, ENOMEM },
    { "hash", HASH, 512, 4096, 1, 0, 0 },
    { "hash-without-key", HASH, 0, 4, 1, 0, EINVAL },
    { "hash-key-513", HASH, 513, 4, 1, 0, E2BIG },
    { "hash-key-4G", HASH, UINT32_MAX, 4, 1, 0, E2BIG },
    { "hash-value-4097", HASH, 4, 4097, 1, 0, E2BIG },
    { "hash-value-4G", HASH, 4, UINT32_MAX, 1, 0, E2BIG },
    { "hash-4G-entries", HASH, 4, 4, UINT32_MAX, 0, ENOMEM },
    { "lru-hash", BPF_MAP_TYPE_LRU_HASH, 4, 4, 64, 0, 0 },
    { "lpm", LPM, 8, 4, 64, BPF_F_NO_PREALLOC, 0 },
    { "lpm-key-20", LPM, 20, 4, 64, BPF_F_NO_PREALLOC, 0 },
    { "lpm-key-21", LPM, 21, 4, 64, BPF_F_NO_PREALLOC, EINVAL },
    { "lpm-preallocated", LPM, 8, 4, 64, 0, EINVAL },
    { "prog-array", PROG_ARRAY, 4, 4, 1, 0, EOPNOTSUPP },
    { "ringbuf", BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, EOPNOTSUPP },
    { "map-of-maps", BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0, EOPNOTSUPP },
    { "type-0", 0, 4, 4, 1, 0, EOPNOTSUPP },
    { "type-4G", UINT32_MAX, 4, 4, 1, 0, EOPNOTSUPP },
};

static void test_maps(void)
{
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    unsigned i;

    for (i = 0; rig && i < G_N_ELEMENTS(map_rows); i++) {
        const MapRow *row = &map_rows[i];
        uint32_t err;

        g_test_message("%s", row->name);
        err = error_of(rig, map_request(row->type, row->key_size,
                                        row->value_size, row->max_entries,
                                        row->flags));
        g_assert_cmpuint(err, ==, row->error);
        greet(rig);
    }
}

static void test_limits(void)
{
    const Start start = { .max_memory = 65536, .max_insns = 3 };
    g_autoptr(Rig) rig = rig_new(&start);
    struct bpf_insn insns[4];
    unsigned i;

    if (!rig) {
        return;
    }
    create(rig, ARRAY, 4, 4096, 10, 0);
    g_assert_cmpuint(error_of(rig, map_request(ARRAY, 4, 4096, 10, 0)), ==,
                     ENOMEM);
    for (i = 1; i < XDP_MAX_MAPS; i++) {
        g_assert_cmpuint(create(rig, ARRAY, 4, 4, 1, 0), ==, i);
    }
    g_assert_cmpuint(error_of(rig, map_request(ARRAY, 4, 4, 1, 0)), ==,
                     ENOSPC);
    for (i = 0; i < 3; i++) {
        insns[i] = insn(INSN_SET, 0, 0, 0, XDP_PASS);
    }
    insns[2] = insns[3] = insn(INSN_EXIT, 0, 0, 0, 0);
    g_assert_cmpuint(error_of(rig, program(insns, 3)), ==, 0);
    insns[2] = insns[0];
    g_assert_cmpuint(error_of(rig, program(insns, 4)), ==, E2BIG);
    g_assert_cmpuint(error_of(rig, program(insns, 0)), ==, EINVAL);
}

static void test_entries(void)
{
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    const uint32_t some[] = { 1, 10, 2, 20, 3, 30 }, keys[] = { 1, 9, 3 };
    uint32_t map, values[2], last = 0;
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    map = create(rig, HASH, 4, 4, 8, BPF_F_NO_PREALLOC);
    answer = ask(rig, entries(XDP_OP_UPDATE, map, XDP_ENTRIES_NO_EXIST, 3,
                              some, sizeof(some)));
    assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 3);
    g_assert_cmpuint(update(rig, map, XDP_ENTRIES_NO_EXIST, 1, 5), ==, EEXIST);
    g_assert_cmpuint(update(rig, map, XDP_ENTRIES_EXIST, 4, 5), ==, ENOENT);
    g_assert_cmpuint(update(rig, map, 3 * XDP_ENTRIES_NO_EXIST, 4, 5), ==,
                     EINVAL);

    /* The second is not there. */
    answer = ask(rig, entries(XDP_OP_LOOKUP, map, 0, 3, keys, sizeof(keys)));
    assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    g_assert_cmpmem(answer.data, answer.len, &some[1], 4);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_LOOKUP, map, 0, 1, &keys[1],
                                           4)), ==, ENOENT);

    answer = ask(rig, entries(XDP_OP_NEXT, map, XDP_ENTRIES_FIRST, 2, NULL,
                              0));
    assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 2);
    memcpy(values, answer.data + 8, sizeof(values));
    last = values[0];
    answer = ask(rig, entries(XDP_OP_NEXT, map, 0, UINT32_MAX, &last, 4));
    assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    memcpy(&last, answer.data, 4);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_NEXT, map, 0, 1, &last, 4)),
                     ==, ENOENT);

    answer = ask(rig, entries(XDP_OP_DELETE, map, 0, 3, keys, sizeof(keys)));
    assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_DELETE, map, 0, 1, keys, 4)),
                     ==, ENOENT);
}

/* A value of each processor, and one that no one may change any more. */
static void test_kinds(void)
{
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    unsigned cpus = libbpf_num_possible_cpus();
    uint32_t zero = 0, map;
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    map = create(rig, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 1, 0);
    answer = ask(rig, entries(XDP_OP_LOOKUP, map, 0, 1, &zero, 4));
    assert_good(&answer);
    g_assert_cmpuint(answer.len, ==, cpus * 8);

    map = create(rig, ARRAY, 4, 4, 1, BPF_F_RDONLY_PROG);
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_DROP), ==, 0);
    set_by_map(rig, map);
    g_assert_false(passes(rig));
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_PASS), ==, EPERM);
    g_assert_false(passes(rig));
    set_by_map(rig, map);
}

static void test_forged(void)
{
    static const uint32_t handles[] = { 1, XDP_MAX_MAPS, 0x7fffffff,
                                        UINT32_MAX };
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    const uint8_t long_key[8] = { 0 };
    unsigned i;

    if (!rig) {
        return;
    }
    create(rig, ARRAY, 4, 4, 1, 0);
    for (i = 0; i < G_N_ELEMENTS(handles); i++) {
        struct bpf_insn insns[] = {
            insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, handles[i]),
            insn(0, 0, 0, 0, 0),
            insn(INSN_SET, 0, 0, 0, XDP_DROP),
            insn(INSN_EXIT, 0, 0, 0, 0),
        };

        g_assert_cmpuint(update(rig, handles[i], 0, 0, 1), ==, EBADF);
        g_assert_cmpuint(error_of(rig, entries(XDP_OP_NEXT, handles[i],
                                               XDP_ENTRIES_FIRST, 1, NULL,
                                               0)), ==, EBADF);
        g_assert_cmpuint(error_of(rig, program(insns, 4)), ==, EINVAL);
    }
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_LOOKUP, 0, 0, 1, long_key,
                                           8)), ==, EINVAL);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_LOOKUP, 0, 0, UINT32_MAX,
                                           long_key, 4)), ==, EINVAL);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_NEXT, 0, XDP_ENTRIES_FIRST,
                                           0, NULL, 0)), ==, EINVAL);
    g_assert_true(passes(rig));
}

/* A pointer is where the program's counter is put, as compilers do it. */
static void test_spilled(const void *start)
{
    const struct bpf_insn insns[] = {
        insn(INSN_STORE64, 10, 1, -8, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    g_autoptr(Rig) rig = rig_new(start);
    XdpWireMessage answer;

    if (rig) {
        answer = ask(rig, program(insns, G_N_ELEMENTS(insns)));
        assert_good(&answer);
        g_assert_false(passes(rig));
    }
}

/*
 * A loop that the verifier takes and the budget does not. Where its budget is
 * found is below the stack that the program seems to have: a map instead, with
 * a number that lasts, gets there by a pointer that is not followed.
 */
static void test_loop(void)
{
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD_CONST, 7, BPF_PSEUDO_MAP_VALUE, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(INSN_MOVE, 2, 10, 0, 0),
        insn(INSN_SET, 3, 0, 0, -8),
        insn(INSN_ADD, 2, 3, 0, 0),
        insn(INSN_STORE64, 2, 7, 0, 0),
        insn(INSN_SET, 6, 0, 0, 2 * XDP_BUDGET / XDP_HELPER_COST),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns),
        insn(INSN_ADD_CONST, 6, 0, 0, -1),
        insn(INSN_IF_NOT_EQUAL, 6, 0, -3, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const size_t loop = 6, count = G_N_ELEMENTS(insns);
    g_autoptr(Rig) rig = rig_new(&trusted);
    uint32_t entry[17] = { 0 };
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    memset(&entry[1], 0xff, 64);
    create(rig, ARRAY, 4, 64, 1, 0);
    g_assert_cmpuint(error_of(rig, entries(XDP_OP_UPDATE, 0, 0, 1, entry,
                                           sizeof(entry))), ==, 0);
    answer = ask(rig, program(insns + loop, count - loop));
    assert_good(&answer);
    g_assert_true(passes(rig));
    answer = ask(rig, program(insns, count));
    g_assert_cmpuint(answer.error, ==, EINVAL);
    g_assert_true(passes(rig));
}

/* It is answered, and the stream goes on. */
static void test_unknown(void)
{
    static const XdpWireMessage stats = { .op = XDP_OP_STATS };
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    g_autoptr(GByteArray) frame = xdp_wire_encode(&stats);

    if (!rig) {
        return;
    }
    frame->data[6] = XDP_OP_END;
    g_assert_cmpint(send(rig->socket, frame->data, frame->len, 0), ==,
                    frame->len);
    g_assert_cmpint(receive(rig, rig->frame, sizeof(rig->frame)), ==,
                    XDP_WIRE_HEADER + 4);
    g_assert_cmphex(rig->frame[6] | rig->frame[7] << 8, ==,
                    XDP_OP_END | XDP_WIRE_ANSWER);
    g_assert_cmpuint(rig->frame[XDP_WIRE_HEADER], ==, EOPNOTSUPP);
    g_assert_cmpuint(error_of(rig, stats), ==, 0);
}

/* Where the verifier's text is longer than its buffer, its reason is there. */
static void test_long_log(void)
{
    const struct bpf_insn insns[] = {
        insn(INSN_SET, 6, 0, 0, 2000),
        insn(INSN_ADD_CONST, 6, 0, 0, -1),
        insn(INSN_IF_NOT_EQUAL, 6, 0, -2, 0),
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_VALUE, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(INSN_LOAD32, 0, 1, 4, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    create(rig, ARRAY, 4, 4, 1, 0);
    answer = ask(rig, program(insns, G_N_ELEMENTS(insns)));
    g_assert_cmpuint(answer.error, ==, EACCES);
    g_assert_true(g_strstr_len((const char *)answer.data, answer.len,
                               "invalid access to map value") ||
                  g_strstr_len((const char *)answer.data, answer.len,
                               "the verifier's reason is behind too much"));
}

/* Who has too many programs loaded waits; maps and packets do not. */
static void test_storm(void)
{
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    struct bpf_insn insns[2];
    unsigned i, slow = 0;

    if (!rig) {
        return;
    }
    for (i = 0; i < 1000; i++) {
        gint64 begun = g_get_monotonic_time();
        XdpWireMessage answer = ask(rig, always(XDP_DROP, insns));

        if (answer.error) {
            g_assert_cmpuint(answer.error, ==, EBUSY);
            g_assert_false(passes(rig));
            return;
        }
        slow += g_get_monotonic_time() - begun > STORM_US;
        if (slow > 200) {
            g_test_skip("this machine is too busy for a storm");
            return;
        }
    }
    g_assert_not_reached();
}

/* Requests with some bytes changed, and bytes that are none. */
static void test_random(void)
{
    g_autoptr(Rig) rig = rig_new(&(Start) { 0 });
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    unsigned i, n, first, ended = 0;

    if (!rig) {
        return;
    }
    g_test_message("seed %u", seed);
    create(rig, HASH, 4, 4, 8, 0);
    for (i = 0; i < 400; i++) {
        uint32_t entry[64];
        XdpWireMessage m = entries(g_rand_int_range(rand, XDP_OP_LOOKUP,
                                                    XDP_OP_STATS),
                                   0, 0, g_rand_int_range(rand, 0, 9), entry,
                                   8 * g_rand_int_range(rand, 0, 9));
        g_autoptr(GByteArray) frame = NULL;

        for (n = 0; n < G_N_ELEMENTS(entry); n++) {
            entry[n] = g_rand_int_range(rand, 0, 20);
        }
        frame = xdp_wire_encode(&m);
        /* What is wrong in the header ends the helper, which takes time. */
        first = g_rand_int_range(rand, 0, 16) ? XDP_WIRE_HEADER : 0;
        for (n = g_rand_int_range(rand, 0, 4); n; n--) {
            frame->data[g_rand_int_range(rand, first, frame->len)] =
                g_rand_int(rand);
        }
        send(rig->socket, frame->data, frame->len, MSG_NOSIGNAL);
        if (receive(rig, rig->frame, sizeof(rig->frame)) <= 0) {
            hang_up(rig);
            begin(rig, &(Start) { 0 });
            greet(rig);
            error_of(rig, map_request(HASH, 4, 4, 8, 0));
            ended++;
        }
    }
    g_test_message("%u of %u were no frames", ended, i);
    g_assert_true(passes(rig));
}

/* A file system for what is pinned, that goes with this process. */
static bool may_pin(void)
{
    static bool there;

    if (!there && (unshare(CLONE_NEWNS) < 0 ||
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                   mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)) {
        g_test_skip("cannot mount a file system of type bpf");
        return false;
    }
    there = true;
    return true;
}

static void make_stub(void)
{
    const char *argv[] = { helper, "--make-stub=steer0", NULL };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/*
 * As an administrator's does: XDP, the stub in an entry of its devmap. False:
 * there is no veth.
 */
static bool redirect_to_tap(Rig *rig)
{
    static const char make[] =
        "ip link show veth0 || ip link add veth0 type veth peer name veth1 &&"
        " ip link set veth0 up && ip link set veth1 up";
    const char *argv[] = { "/bin/sh", "-c", make, NULL };
    struct bpf_devmap_val value = { .ifindex = rig->net->ifindex };
    uint32_t zero = 0;
    int devmap = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "devmap", 4,
                                sizeof(value), 1, NULL);
    int count = bpf_map_create(BPF_MAP_TYPE_ARRAY, "count", 4, 8, 1, NULL);
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD_CONST, 2, BPF_PSEUDO_MAP_VALUE, 0, count),
        insn(0, 0, 0, 0, 0),
        insn(INSN_SET, 3, 0, 0, 1),
        insn(BPF_STX | BPF_XADD | BPF_DW, 2, 3, 0, 0),
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, devmap),
        insn(0, 0, 0, 0, 0),
        insn(INSN_SET, 2, 0, 0, 0),
        insn(INSN_SET, 3, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    int fd, status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL |
                      G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                      &status, NULL) || status) {
        return false;
    }
    value.bpf_prog.fd = bpf_obj_get(XDP_STUB_FOLDER "/steer0/program");
    g_assert_cmpint(value.bpf_prog.fd, >=, 0);
    g_assert_cmpint(bpf_map_update_elem(devmap, &zero, &value, 0), ==, 0);
    fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "GPL", insns,
                       G_N_ELEMENTS(insns), NULL);
    g_assert_cmpint(fd, >=, 0);
    rig->veth0 = if_nametoindex("veth0");
    rig->veth1 = if_nametoindex("veth1");
    rig->count = count;
    g_assert_cmpint(bpf_xdp_attach(rig->veth1, fd, XDP_FLAGS_DRV_MODE, NULL),
                    ==, 0);
    close(fd);
    close(value.bpf_prog.fd);
    close(devmap);
    return true;
}

static uint64_t counted(const Rig *rig)
{
    uint32_t zero = 0;
    uint64_t count;

    g_assert_cmpint(bpf_map_lookup_elem(rig->count, &zero, &count), ==, 0);
    return count;
}

/*
 * Whether a frame gets to the reader of the tap that XDP redirects to it. It
 * is there or gone when the interrupt has ended in which XDP counted it;
 * membarrier() waits for that.
 */
static bool redirects(Rig *rig)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:100",
                                               &packet_flow);
    g_autoptr(GByteArray) came = g_byte_array_new();
    uint64_t before = counted(rig);

    g_assert_true(tap_net_send_to(rig->net, rig->veth0, frame->data,
                                  frame->len));
    while (counted(rig) == before) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(100);
    }
    g_assert_cmpint(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0), ==, 0);
    if (tap_net_receive(rig->net, came, 0) == TAP_NO_QUEUE) {
        return false;
    }
    g_assert_cmpmem(came->data, came->len, frame->data, frame->len);
    return true;
}

static void wait_until_it_redirects(Rig *rig)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;

    while (!redirects(rig)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

static void rig_with_stub_free(Rig *rig)
{
    if (rig->veth1) {
        bpf_xdp_detach(rig->veth1, XDP_FLAGS_DRV_MODE, NULL);
        close(rig->count);
    }
    rig_free(rig);
}

static const Start with_stub = { .option = "--stubs=" XDP_STUB_FOLDER };

/* A rig with a stub that packets are redirected to; or NULL. */
static Rig *rig_with_stub(void)
{
    Rig *rig;

    if (!bpf_run_allowed() || !tap_net_allowed() || !may_pin()) {
        return NULL;
    }
    make_stub();
    rig = rig_new(&with_stub);
    if (!redirect_to_tap(rig)) {
        g_test_skip("cannot make a veth");
        rig_with_stub_free(rig);
        return NULL;
    }
    return rig;
}

/* What is redirected to the tap meets the same program as all else. */
static void test_devmap(void)
{
    Rig *rig = rig_with_stub();
    XdpWireMessage answer;
    uint32_t map;

    if (!rig) {
        return;
    }
    g_assert_true(redirects(rig));
    map = create(rig, ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_DROP), ==, 0);
    set_by_map(rig, map);
    g_assert_cmpstr(rig->redirected, ==, XDP_HELPER_REDIRECTED
                    "examined, but not sent back");
    g_assert_false(redirects(rig));
    g_assert_false(redirects(rig));
    g_assert_false(passes(rig));
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_PASS), ==, 0);
    g_assert_true(redirects(rig));
    g_assert_cmpuint(update(rig, map, 0, 0, XDP_TX), ==, 0);
    g_assert_true(redirects(rig));
    answer = ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.dropped, ==, 3);
    g_assert_cmpuint(answer.stats.passed, ==, 2);

    set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    g_assert_cmpuint(error_of(rig, (XdpWireMessage) {
                                  .op = XDP_OP_PROG_UNSET }), ==, 0);
    g_assert_true(redirects(rig));
    set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    greet(rig);
    g_assert_true(redirects(rig));
    rig_with_stub_free(rig);
}

/* One that is not possible there does not leave the one before. */
static void test_devmap_changes(void)
{
    const struct bpf_insn swap[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_MOVE, 4, 2, 0, 0),
        insn(INSN_ADD_CONST, 4, 0, 0, 14),
        insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 1, 0),
        insn(INSN_STORE32, 2, 0, 0, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    Rig *rig = rig_with_stub();
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    answer = ask(rig, program(swap, G_N_ELEMENTS(swap)));
    if (answer.error == EACCES && g_strstr_len((const char *)answer.data,
                                               answer.len, TRUST)) {
        g_test_skip("without CAP_PERFMON this kernel takes no program that "
                    "looks into packets");
        g_assert_false(redirects(rig));
    } else {
        assert_good(&answer);
        g_assert_cmpstr(rig->redirected, ==, XDP_HELPER_REDIRECTED
                        "not examined: instruction 6: it changes the packet");
        g_assert_true(redirects(rig));
        g_assert_false(passes(rig));
    }
    rig_with_stub_free(rig);
}

/* However the helper ends, packets pass; the next one finds its place. */
static void test_devmap_ends(void)
{
    Rig *rig = rig_with_stub();
    unsigned i;

    if (!rig) {
        return;
    }
    for (i = 0; i < 4; i++) {
        set_always(rig, XDP_DROP);
        g_assert_false(redirects(rig));
        if (i % 2) {
            g_assert_cmpint(kill(rig->pid, SIGKILL), ==, 0);
        }
        hang_up(rig);
        wait_until_it_redirects(rig);
        make_stub();            /* it is there: nothing changes */
        begin(rig, &with_stub);
        greet(rig);
        g_assert_true(redirects(rig));
    }
    rig_with_stub_free(rig);
}

/* A map of somebody else is left alone, and the rest works. */
static void test_devmap_other(void)
{
    const char *slot = XDP_STUB_FOLDER "/steer0/slot";
    Rig *rig = rig_with_stub();
    int map;

    if (!rig) {
        return;
    }
    hang_up(rig);
    map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "other", 4, 4, 1, NULL);
    g_assert_cmpint(unlink(slot), ==, 0);
    g_assert_cmpint(bpf_obj_pin(map, slot), ==, 0);
    begin(rig, &with_stub);
    greet(rig);
    g_assert_nonnull(strstr(rig->redirected, "not examined: "));
    g_assert_nonnull(strstr(rig->redirected, "is no slot of a stub"));
    set_always(rig, XDP_DROP);
    g_assert_false(passes(rig));
    g_assert_true(redirects(rig));
    g_assert_cmpint(unlink(slot), ==, 0);
    g_assert_cmpint(unlink(XDP_STUB_FOLDER "/steer0/program"), ==, 0);
    close(map);
    rig_with_stub_free(rig);
}

typedef struct Refusal {
    const char *name;
    Start start;
    const char *text;
} Refusal;

static const Refusal refusals[] = {
    { "no-descriptor", { .no_fd = true }, "no descriptor of a tap" },
    { "no-tap", { .no_tap = true }, "the descriptor is none of a tap" },
    { "other-namespace", { .other_namespace = true },
      "is in another network namespace" },
    { "magic", { .magic = "xdp 0" }, "not a request that this helper knows" },
    { "flag", { .flags = 1 << 3 }, "not a request that this helper knows" },
    { "name", { .name = "net0\n" }, "not a request that this helper knows" },
    { "trusted", { .flags = XDP_HELPER_TRUSTED }, "\"trusted\" is not"
      " allowed" },
};

static void test_refuses(const void *data)
{
    const Refusal *refusal = data;
    g_autoptr(Rig) rig = rig_of(&refusal->start);
    char byte;

    if (!rig) {
        return;
    }
    if (!strstr(rig->text, refusal->text)) {
        g_error("'%s' is not in '%s'", refusal->text, rig->text);
    }
    g_assert_cmpint(receive(rig, &byte, 1), ==, 0);
    g_assert_true(passes(rig));
}

/* Arithmetic with pointers takes CAP_PERFMON. */
static void test_trusted(void)
{
    const struct bpf_insn difference[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(BPF_ALU64 | BPF_SUB | BPF_X, 3, 2, 0, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(BPF_JMP | BPF_JGT | BPF_K, 3, 0, 1, 50),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const Start starts[] = { trusted, { 0 } };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_autoptr(Rig) rig = rig_new(&starts[i]);
        XdpWireMessage answer;

        if (!rig) {
            return;
        }
        answer = ask(rig, program(difference, G_N_ELEMENTS(difference)));
        if (starts[i].option) {
            assert_good(&answer);
            g_assert_false(passes(rig));
        } else {
            g_assert_cmpuint(answer.error, ==, EACCES);
            g_assert_nonnull(g_strstr_len((const char *)answer.data,
                                          answer.len, TRUST));
            g_assert_true(passes(rig));
        }
    }
}

static const Start best, filter = { .option = "--cls-bpf" };

static void add(const char *name, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/tap/xdp-helper/%s", name);
    g_autofree char *path_filter = g_strdup_printf("%s/cls-bpf", path);

    g_test_add_data_func(path, &best, test);
    g_test_add_data_func(path_filter, &filter, test);
}

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    helper = g_getenv("QEMU_XDP_HELPER");
    g_assert_nonnull(helper);
    /* What is confined cannot look for its leaks, and would fail over it. */
    g_setenv("ASAN_OPTIONS", "detect_leaks=0", FALSE);
    seed = g_test_rand_int();
    add("verdicts", test_verdicts);
    add("replace", test_replace);
    add("spilled", test_spilled);
    add("killed", test_killed);
    add("hung-up", test_hung_up);
    g_test_add_data_func("/tap/xdp-helper/lease/cls-bpf", &filter, test_lease);
    g_test_add_func("/tap/xdp-helper/maps", test_maps);
    g_test_add_func("/tap/xdp-helper/limits", test_limits);
    g_test_add_func("/tap/xdp-helper/entries", test_entries);
    g_test_add_func("/tap/xdp-helper/kinds", test_kinds);
    g_test_add_func("/tap/xdp-helper/forged", test_forged);
    g_test_add_func("/tap/xdp-helper/loop", test_loop);
    g_test_add_func("/tap/xdp-helper/unknown", test_unknown);
    g_test_add_func("/tap/xdp-helper/long-log", test_long_log);
    g_test_add_func("/tap/xdp-helper/storm", test_storm);
    g_test_add_func("/tap/xdp-helper/random", test_random);
    g_test_add_func("/tap/xdp-helper/trusted", test_trusted);
    g_test_add_func("/tap/xdp-helper/devmap", test_devmap);
    g_test_add_func("/tap/xdp-helper/devmap-changes", test_devmap_changes);
    g_test_add_func("/tap/xdp-helper/devmap-ends", test_devmap_ends);
    g_test_add_func("/tap/xdp-helper/devmap-other", test_devmap_other);
    for (i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strdup_printf("/tap/xdp-helper/refuses/%s",
                                                refusals[i].name);

        g_test_add_data_func(path, &refusals[i], test_refuses);
    }
    return g_test_run();
}
