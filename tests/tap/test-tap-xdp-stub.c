/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real helper, and packets that are redirected to its tap: what examines
 * them is behind a stub in a devmap.
 *
 *     packet socket ──▶ veth0 ─ veth1: count, redirect ──▶ stub ──▶ tap
 *                                             helper ────────┘
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/insn.h"
#include "ebpf/xdp_stub.h"
#include "packet.h"
#include "xdp_rig.h"

/* Packets into veth0 are redirected; count is a map: so many were. */
static struct {
    unsigned veth0, veth1;
    int count;
} way;

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
    const char *argv[] = { rig_helper(), "--make-stub=steer0", NULL };
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
    way.veth0 = if_nametoindex("veth0");
    way.veth1 = if_nametoindex("veth1");
    way.count = count;
    g_assert_cmpint(bpf_xdp_attach(way.veth1, fd, XDP_FLAGS_DRV_MODE, NULL),
                    ==, 0);
    close(fd);
    close(value.bpf_prog.fd);
    close(devmap);
    return true;
}

static uint64_t counted(void)
{
    uint32_t zero = 0;
    uint64_t count;

    g_assert_cmpint(bpf_map_lookup_elem(way.count, &zero, &count), ==, 0);
    return count;
}

/*
 * Whether a frame gets to the reader of the tap that XDP redirects to it. It
 * is there or gone when the interrupt has ended in which XDP counted it;
 * membarrier() waits for that.
 */
static bool redirects(Rig *rig)
{
    gint64 end = g_get_monotonic_time() + RIG_WAIT_MS * 1000;
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:100",
                                               &packet_flow);
    g_autoptr(GByteArray) came = g_byte_array_new();
    uint64_t before = counted();

    g_assert_true(tap_net_send_to(rig->net, way.veth0, frame->data,
                                  frame->len));
    while (counted() == before) {
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
    gint64 end = g_get_monotonic_time() + RIG_WAIT_MS * 1000;

    while (!redirects(rig)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

static void rig_with_stub_free(Rig *rig)
{
    if (way.veth1) {
        bpf_xdp_detach(way.veth1, XDP_FLAGS_DRV_MODE, NULL);
        close(way.count);
        way.veth1 = 0;
    }
    rig_free(rig);
}

static const RigStart with_stub = { .option = "--stubs=" XDP_STUB_FOLDER };

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
static void test_verdicts(void)
{
    Rig *rig = rig_with_stub();
    XdpWireMessage answer;
    uint32_t map;

    if (!rig) {
        return;
    }
    g_assert_true(redirects(rig));
    map = rig_create(rig, BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_DROP), ==, 0);
    rig_set_by_map(rig, map);
    g_assert_cmpstr(rig->redirected, ==, XDP_HELPER_REDIRECTED
                    "examined, but not sent back");
    g_assert_false(redirects(rig));
    g_assert_false(redirects(rig));
    g_assert_false(rig_passes(rig));
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_PASS), ==, 0);
    g_assert_true(redirects(rig));
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_TX), ==, 0);
    g_assert_true(redirects(rig));
    answer = rig_ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.dropped, ==, 3);
    g_assert_cmpuint(answer.stats.passed, ==, 2);

    rig_set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    g_assert_cmpuint(rig_error_of(rig, (XdpWireMessage) {
                                      .op = XDP_OP_PROG_UNSET }), ==, 0);
    g_assert_true(redirects(rig));
    rig_set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    rig_greet(rig);
    g_assert_true(redirects(rig));
    rig_with_stub_free(rig);
}

/* One that is not possible there does not leave the one before. */
static void test_changes(void)
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
    rig_set_always(rig, XDP_DROP);
    g_assert_false(redirects(rig));
    answer = rig_ask(rig, rig_program(swap, G_N_ELEMENTS(swap)));
    if (answer.error == EACCES && g_strstr_len((const char *)answer.data,
                                               answer.len, RIG_TRUST)) {
        g_test_skip("without CAP_PERFMON this kernel takes no program that "
                    "looks into packets");
        g_assert_false(redirects(rig));
    } else {
        rig_assert_good(&answer);
        g_assert_cmpstr(rig->redirected, ==, XDP_HELPER_REDIRECTED
                        "not examined: instruction 6: it changes the packet");
        g_assert_true(redirects(rig));
        g_assert_false(rig_passes(rig));
    }
    rig_with_stub_free(rig);
}

/* However the helper ends, packets pass; the next one finds its place. */
static void test_ends(void)
{
    Rig *rig = rig_with_stub();
    unsigned i;

    if (!rig) {
        return;
    }
    for (i = 0; i < 4; i++) {
        rig_set_always(rig, XDP_DROP);
        g_assert_false(redirects(rig));
        if (i % 2) {
            g_assert_cmpint(kill(rig->pid, SIGKILL), ==, 0);
        }
        rig_hang_up(rig);
        wait_until_it_redirects(rig);
        make_stub();            /* it is there: nothing changes */
        rig_begin(rig, &with_stub);
        rig_greet(rig);
        g_assert_true(redirects(rig));
    }
    rig_with_stub_free(rig);
}

/* A map of somebody else is left alone, and the rest works. */
static void test_other(void)
{
    const char *slot = XDP_STUB_FOLDER "/steer0/slot";
    Rig *rig = rig_with_stub();
    int map;

    if (!rig) {
        return;
    }
    rig_hang_up(rig);
    map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "other", 4, 4, 1, NULL);
    g_assert_cmpint(unlink(slot), ==, 0);
    g_assert_cmpint(bpf_obj_pin(map, slot), ==, 0);
    rig_begin(rig, &with_stub);
    rig_greet(rig);
    g_assert_nonnull(strstr(rig->redirected, "not examined: "));
    g_assert_nonnull(strstr(rig->redirected, "is no slot of a stub"));
    rig_set_always(rig, XDP_DROP);
    g_assert_false(rig_passes(rig));
    g_assert_true(redirects(rig));
    g_assert_cmpint(unlink(slot), ==, 0);
    g_assert_cmpint(unlink(XDP_STUB_FOLDER "/steer0/program"), ==, 0);
    close(map);
    rig_with_stub_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    rig_init();
    g_test_add_func("/tap/xdp-stub/verdicts", test_verdicts);
    g_test_add_func("/tap/xdp-stub/changes", test_changes);
    g_test_add_func("/tap/xdp-stub/ends", test_ends);
    g_test_add_func("/tap/xdp-stub/other", test_other);
    return g_test_run();
}
