/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/insn.h"
#include "net/socket_fds.h"
#include "packet.h"
#include "xdp_rig.h"

enum {
    RECEIVE_MS = 5000,
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

void rig_init(void)
{
    g_assert_nonnull(rig_helper());
    /* What is confined cannot look for its leaks, and would fail over it. */
    g_setenv("ASAN_OPTIONS", "detect_leaks=0", FALSE);
}

const char *rig_helper(void)
{
    return g_getenv("QEMU_XDP_HELPER");
}

static void spawn(Rig *rig, const RigStart *start, int fd)
{
    const char *argv[] = { rig_helper(), "--inetd", start->option, NULL };
    g_autoptr(GError) error = NULL;
    Child child = { fd, start->other_namespace };

    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD |
                  G_SPAWN_CHILD_INHERITS_STDIN | G_SPAWN_STDERR_TO_DEV_NULL,
                  set_up_child, &child, &rig->pid, &error);
    g_assert_no_error(error);
}

static void send_request(Rig *rig, const RigStart *start)
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

ssize_t rig_receive(Rig *rig, void *to, size_t size)
{
    struct pollfd ready = { .fd = rig->socket, .events = POLLIN };

    g_assert_cmpint(poll(&ready, 1, RIG_WAIT_MS), ==, 1);
    return recv(rig->socket, to, size, 0);
}

void rig_reap(Rig *rig)
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

void rig_hang_up(Rig *rig)
{
    close(rig->socket);
    rig_reap(rig);
}

void rig_free(Rig *rig)
{
    rig_hang_up(rig);
    tap_net_free(rig->net);
    g_free(rig);
}

void rig_begin(Rig *rig, const RigStart *start)
{
    ssize_t len;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds),
                    ==, 0);
    rig->socket = fds[0];
    send_request(rig, start);       /* it does not wait for it for long */
    spawn(rig, start, fds[1]);
    close(fds[1]);
    len = rig_receive(rig, rig->text, sizeof(rig->text) - 1);
    rig->text[MAX(len, 0)] = 0;
}

Rig *rig_of(const RigStart *start)
{
    Rig *rig;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return NULL;
    }
    rig = g_new0(Rig, 1);
    rig->net = tap_net_new(1);
    rig_begin(rig, start);
    return rig;
}

void rig_greet(Rig *rig)
{
    g_assert_true(g_str_has_prefix(rig->text, XDP_HELPER_READY ", "));
    g_assert_cmpuint(rig_ask(rig, (XdpWireMessage) {
                                 .op = XDP_OP_HELLO }).error, ==, 0);
}

Rig *rig_new(const RigStart *start)
{
    Rig *rig = rig_of(start);

    if (rig && start->option && strstr(rig->text, "cannot attach")) {
        g_test_skip(rig->text);
        rig_free(rig);
        return NULL;
    }
    if (rig) {
        rig_greet(rig);
    }
    return rig;
}

XdpWireMessage rig_ask(Rig *rig, XdpWireMessage request)
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
    len = rig_receive(rig, rig->frame, sizeof(rig->frame));
    if (len >= said && !memcmp(rig->frame, XDP_HELPER_REDIRECTED, said)) {
        g_assert_cmpint(len, <, sizeof(rig->redirected));
        memcpy(rig->redirected, rig->frame, len);
        rig->redirected[len] = 0;
        len = rig_receive(rig, rig->frame, sizeof(rig->frame));
    }
    g_assert_cmpint(len, >, 0);
    g_assert_cmpint(xdp_wire_decode(rig->frame, len, &answer), ==, 0);
    g_assert_true(answer.answer);
    g_assert_cmpint(answer.op, ==, request.op);
    g_assert_cmpuint(answer.sequence, ==, request.sequence);
    return answer;
}

void rig_assert_good(const XdpWireMessage *answer)
{
    if (answer->error) {
        g_error("error %u: %.*s", answer->error, (int)answer->len,
                (const char *)answer->data);
    }
}

uint32_t rig_error_of(Rig *rig, XdpWireMessage request)
{
    return rig_ask(rig, request).error;
}

XdpWireMessage rig_map(uint32_t type, uint32_t key_size,
                       uint32_t value_size, uint32_t max_entries,
                       uint32_t flags)
{
    XdpWireMessage m = {
        .op = XDP_OP_MAP_CREATE,
        .map = { type, key_size, value_size, max_entries, flags, "map" },
    };

    return m;
}

uint32_t rig_create(Rig *rig, uint32_t type, uint32_t key_size,
                    uint32_t value_size, uint32_t max_entries,
                    uint32_t flags)
{
    XdpWireMessage answer = rig_ask(rig, rig_map(type, key_size, value_size,
                                                 max_entries, flags));

    rig_assert_good(&answer);
    return answer.handle;
}

XdpWireMessage rig_program(const struct bpf_insn *insns, size_t count)
{
    XdpWireMessage m = {
        .op = XDP_OP_PROG_SET,
        .program = { .count = count, .name = "guests" },
        .data = (const uint8_t *)insns, .len = count * sizeof(*insns),
    };

    return m;
}

XdpWireMessage rig_always(int verdict, struct bpf_insn insns[2])
{
    insns[0] = insn(INSN_SET, 0, 0, 0, verdict);
    insns[1] = insn(INSN_EXIT, 0, 0, 0, 0);
    return rig_program(insns, 2);
}

void rig_set_always(Rig *rig, int verdict)
{
    struct bpf_insn insns[2];
    XdpWireMessage answer = rig_ask(rig, rig_always(verdict, insns));

    rig_assert_good(&answer);
}

void rig_set_by_map(Rig *rig, uint32_t handle)
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
    XdpWireMessage answer = rig_ask(rig, rig_program(insns,
                                                     G_N_ELEMENTS(insns)));

    rig_assert_good(&answer);
}

XdpWireMessage rig_entries(XdpOp op, uint32_t handle, uint32_t flags,
                           uint32_t count, const void *data, size_t len)
{
    XdpWireMessage m = {
        .op = op, .entries = { handle, flags, count }, .data = data,
        .len = len,
    };

    return m;
}

uint32_t rig_update(Rig *rig, uint32_t handle, uint32_t flags, uint32_t key,
                    uint32_t value)
{
    uint32_t entry[] = { key, value };

    return rig_error_of(rig, rig_entries(XDP_OP_UPDATE, handle, flags, 1, entry,
                                         sizeof(entry)));
}

bool rig_passes(Rig *rig)
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

void rig_wait_until_it_passes(Rig *rig)
{
    gint64 end = g_get_monotonic_time() + RIG_WAIT_MS * 1000;

    while (!rig_passes(rig)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}
