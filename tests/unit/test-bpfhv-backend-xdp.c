/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend by AF_XDP at a veth, with QEMU and the guest of
 * lib/bpfhv_rig.h. Without root all of it is skipped.
 *
 *     test-bpfhv-backend-xdp BACKEND CTL
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "bpfhv_frames.h"
#include "tap_net.h"

#define XDP_NAME "bpfhv1"       /* one end of a veth */
#define XDP_PEER "bpfhv2"

/* A veth whose one end has two queues, unless the test is skipped. */
static bool set_up_veth(int queues_of_peer)
{
    g_autofree char *line = g_strdup_printf(
        "ip link del " XDP_NAME " 2>/dev/null;"
        "ip link add " XDP_NAME " numtxqueues 2 numrxqueues 2 type veth"
        " peer name " XDP_PEER " numtxqueues %d && ip link set " XDP_NAME
        " up && ip link set " XDP_PEER " up && ethtool -K " XDP_PEER
        " tx off >/dev/null", queues_of_peer);

    if (!tap_net_allowed()) {
        return false;
    }
    bpfhv_frames_shell(line);
    return true;
}

static void test_xdp(const void *words)
{
    g_autofree char *options = g_strdup_printf("--xdp " XDP_NAME "%s",
                                               (const char *)words);
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new(options);
    bpfhv_rig_begin(rig, 1);
    g_assert_cmpuint(rig->features & ~(uint64_t)BPFHV_F_SG, ==, 0);
    bpfhv_frames_exchange(rig, XDP_PEER);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==,
                     BPFHV_FRAMES_EACH_WAY);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "dropped "), ==, 0);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "dropped "), ==, 0);
}

/* The driver does not take the program where frames may be this long. */
static void test_xdp_generic(void)
{
    g_autoptr(Rig) rig = NULL;
    g_autofree RigFrame *frame = g_new(RigFrame, 1);
    int peer;

    if (!set_up_veth(1)) {
        return;
    }
    bpfhv_frames_shell("ip link set " XDP_PEER " mtu 9000");
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_shell("ip -d link show " XDP_NAME " | grep -q xdpgeneric");
    bpfhv_frames_exchange(rig, XDP_PEER);
    bpfhv_frames_random(frame);
    frame->len = 5000;          /* longer than what the kernel can fill */
    bpfhv_frames_shell("ip link set " XDP_NAME " mtu 9000");
    peer = bpfhv_frames_open(XDP_PEER);
    bpfhv_frames_give(frame, peer);
    close(peer);
    bpfhv_frames_exchange(rig, XDP_PEER);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "dropped "), ==, 1);
}

static void test_xdp_upgrades(void)
{
    static const char *const models[] = {
        "vring_packed", "sring", "sring_sum", "sring_gso",
    };
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME " --model sring_gso");
    bpfhv_rig_begin(rig, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        bpfhv_frames_upgrade(rig, models[i]);
        bpfhv_frames_exchange(rig, XDP_PEER);
    }
}

/* Frames that there is no room for are counted; the first ones arrive. */
static void test_xdp_lost(void)
{
    enum { GIVEN = 3000 };
    g_autofree RigFrame *frame = g_new(RigFrame, 1);
    g_autoptr(Rig) rig = NULL;
    uint64_t dropped;
    int peer;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    bpfhv_rig_begin(rig, 1);
    peer = bpfhv_frames_open(XDP_PEER);
    bpfhv_frames_random(frame);
    frame->len = RIG_SOURCE_LEN;
    for (uint64_t i = 0; i < GIVEN; i++) {
        uint64_t number = GUINT64_TO_LE(i);

        memcpy(frame->bytes + RIG_NUMBER_AT, &number, sizeof(number));
        bpfhv_frames_give(frame, peer);
    }
    close(peer);
    dropped = bpfhv_rig_counted(rig, "rx0", "dropped ");
    g_assert_cmpuint(dropped, >, 0);
    g_assert_cmpuint(dropped, <=, GIVEN - 1024);
    bpfhv_rig_receive_packets(rig, 0, GIVEN - dropped);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "packets "), ==,
                     GIVEN - dropped);
    bpfhv_frames_exchange(rig, XDP_PEER);
}

/* Too short for a device, too long for a frame; then many at a time. */
static void test_xdp_odd_lengths(void)
{
    g_autoptr(Rig) rig = NULL;
    uint64_t bytes = 0;
    RigQueue *q;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME " --model sring_gso");
    bpfhv_rig_begin(rig, 1);
    q = &rig->queue[1];
    q->ctx->num_bufs = 0;
    bpfhv_rig_add_buf(q, 1, 13, 0);
    for (int i = 0; i < 2; i++) {
        bpfhv_rig_add_buf(q, 1, RIG_BUF_SIZE, BPFHV_BUF_NEXT);
    }
    bpfhv_rig_add_buf(q, 1, 1, 0);
    bpfhv_rig_publish(rig, 1);
    bpfhv_rig_send_packets(rig, 1, 5000, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "dropped "), ==, 2);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 5000);
}

/* Two queues each way: the host chooses on which one a frame comes. */
static void test_xdp_pairs(void)
{
    g_autoptr(Rig) rig = NULL;
    g_autofree RigFrame *frame = g_new(RigFrame, 1);
    uint64_t bytes = 0;
    int peer;

    if (!set_up_veth(2)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME ",mode=copy --queues 2");
    bpfhv_rig_begin(rig, 2);
    bpfhv_rig_send_packets(rig, 2, 300, &bytes);
    bpfhv_rig_send_packets(rig, 3, 200, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 300);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx1", "packets "), ==, 200);
    bpfhv_rig_publish_room(rig, 0);
    bpfhv_rig_publish_room(rig, 1);
    peer = bpfhv_frames_open(XDP_PEER);
    for (int i = 0; i < RIG_NUM_BUFS; i++) {
        bpfhv_frames_random(frame);
        bpfhv_frames_give(frame, peer);
    }
    close(peer);
    for (int i = 0; bpfhv_rig_counted(rig, "rx0", "packets ") +
                    bpfhv_rig_counted(rig, "rx1", "packets ") < RIG_NUM_BUFS;
         i++) {
        g_assert_cmpint(i, <, 10000);
    }
}

static void test_xdp_gone(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_device_goes(rig, XDP_NAME);
}

/* Nothing remains of a backend that is killed, so the next one can start. */
static void test_xdp_killed(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    for (int i = 0; i < 5; i++) {
        kill(rig->backend, SIGKILL);
        g_assert_true(WIFSIGNALED(bpfhv_rig_stop(rig)));
        bpfhv_frames_shell("! ip -d link show " XDP_NAME " | grep xdp");
        bpfhv_rig_start(rig, "--xdp " XDP_NAME);
    }
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_exchange(rig, XDP_PEER);
}

/* What it says when it cannot start. */
static const struct {
    const char *name, *options, *why, *before;
} xdp_refusals[] = {
    { "no-device", "bpfhv9", "there is no network device \"bpfhv9\"" },
    { "no-name", ",queue=0", "there is no network device \"\"" },
    { "no-queue", XDP_NAME ",queue=1 --queues 2", "there is no such queue" },
    { "queue", XDP_NAME ",queue=-1", "not \"queue=-1\"" },
    { "large-queue", XDP_NAME ",queue=65536", "not \"queue=65536\"" },
    { "word", XDP_NAME ",", "not \"\"" },
    { "modes", XDP_NAME ",mode=copy,mode=zerocopy", "mode is given twice" },
    { "zero-copy", XDP_NAME ",mode=zerocopy", "the driver has no zero copy" },
    { "mtu", XDP_NAME, "the MTU of bpfhv1 is 3823: AF_XDP takes up to 3822",
      "ip link set " XDP_NAME " mtu 3823" },
    { "peer", XDP_NAME ",mode=zerocopy", "the MTU may be too much",
      "ip link set " XDP_PEER " mtu 9000" },
    { "two-ports", XDP_NAME " --sink", "one of --tap, --xdp, --sink" },
};

static char *start_in_vain(GSpawnChildSetupFunc place, const char *options)
{
    g_autofree char *line = g_strdup_printf(
        "%s --socket /nonexistent --xdp %s", bpfhv_rig_backend(), options);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    char *said = NULL;
    int status;

    g_spawn_sync(NULL, argv, NULL, 0, place, NULL, NULL, &said, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return said;
}

static void assert_said(const char *said, const char *why)
{
    if (!strstr(said, why)) {
        g_error("not \"%s\", but: %s", why, said);
    }
}

static void test_xdp_refused(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autofree char *said = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    if (xdp_refusals[i].before) {
        bpfhv_frames_shell(xdp_refusals[i].before);
    }
    said = start_in_vain(NULL, xdp_refusals[i].options);
    assert_said(said, xdp_refusals[i].why);
}

static void become_nobody(gpointer data)
{
    if (setgid(65534) < 0 || setuid(65534) < 0) {
        _exit(EXIT_FAILURE);
    }
}

static void test_xdp_ordinary_user(void)
{
    g_autofree char *said = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    said = start_in_vain(become_nobody, XDP_NAME);
    assert_said(said, "it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF");
}

static void test_xdp_two_backends(void)
{
    g_autofree char *said = NULL;
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    bpfhv_rig_begin(rig, 1);
    said = start_in_vain(NULL, XDP_NAME);
    assert_said(said, "it has one already");
    bpfhv_frames_exchange(rig, XDP_PEER);
}

enum {
    HELD_FRAMES = 64,
    HELD_BYTES = HELD_FRAMES * XSK_UMEM__DEFAULT_FRAME_SIZE,
};

/* A queue of XDP_NAME with a socket of this process, and no program. */
typedef struct HeldQueue {
    void *memory;
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons done, rx;
} HeldQueue;

static void hold_queue(HeldQueue *held)
{
    const struct xsk_umem_config memory = {
        .fill_size = HELD_FRAMES, .comp_size = HELD_FRAMES,
        .frame_size = XSK_UMEM__DEFAULT_FRAME_SIZE,
    };
    const struct xsk_socket_config socket = {
        .rx_size = HELD_FRAMES, .tx_size = HELD_FRAMES,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags = XDP_COPY,
    };

    held->memory = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(held->memory != MAP_FAILED);
    g_assert_cmpint(xsk_umem__create(&held->umem, held->memory, HELD_BYTES,
                                     &held->fill, &held->done, &memory),
                    ==, 0);
    g_assert_cmpint(xsk_socket__create(&held->socket, XDP_NAME, 0, held->umem,
                                       &held->rx, &held->tx, &socket), ==, 0);
}

static gpointer release_queue(gpointer data)
{
    HeldQueue *held = data;

    xsk_socket__delete(held->socket);
    xsk_umem__delete(held->umem);
    munmap(held->memory, HELD_BYTES);
    return NULL;
}

static void test_xdp_queue_in_use(void)
{
    g_autofree char *said = NULL;
    HeldQueue held;

    if (!set_up_veth(1)) {
        return;
    }
    hold_queue(&held);
    said = start_in_vain(NULL, XDP_NAME);
    assert_said(said, "another process has a socket there");
    release_queue(&held);
}

static gpointer release_queue_later(gpointer data)
{
    g_usleep(G_USEC_PER_SEC / 2);
    return release_queue(data);
}

/* Its last user has ended, but the kernel takes a while to set it free. */
static void test_xdp_queue_set_free(void)
{
    g_autoptr(Rig) rig = NULL;
    GThread *thread;
    HeldQueue held;

    if (!set_up_veth(1)) {
        return;
    }
    hold_queue(&held);
    thread = g_thread_new("release", release_queue_later, &held);
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    g_thread_join(thread);
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_exchange(rig, XDP_PEER);
}

static void test_xdp_hostile_guest(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = bpfhv_rig_new("--xdp " XDP_NAME " --model sring_gso");
    bpfhv_rig_be_hostile(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 3);
    bpfhv_rig_init(argv[1], argv[2]);
    bpfhv_rig_add("xdp", "sring", " --model sring", test_xdp);
    bpfhv_rig_add("xdp", "sring_gso", " --model sring_gso", test_xdp);
    bpfhv_rig_add("xdp", "vring_packed", " --model vring_packed", test_xdp);
    bpfhv_rig_add("xdp", "sring_sum", " --model sring_sum", test_xdp);
    bpfhv_rig_add("xdp", "busy-wait", ",mode=copy --busy-wait", test_xdp);
    bpfhv_rig_add("xdp", "one-queue-of-two", ",mode=copy --queues 2", test_xdp);
    g_test_add_func("/bpfhv/backend/xdp/generic", test_xdp_generic);
    g_test_add_func("/bpfhv/backend/xdp/upgrades", test_xdp_upgrades);
    g_test_add_func("/bpfhv/backend/xdp/lost", test_xdp_lost);
    g_test_add_func("/bpfhv/backend/xdp/odd-lengths", test_xdp_odd_lengths);
    g_test_add_func("/bpfhv/backend/xdp/pairs", test_xdp_pairs);
    g_test_add_func("/bpfhv/backend/xdp/gone", test_xdp_gone);
    g_test_add_func("/bpfhv/backend/xdp/killed", test_xdp_killed);
    g_test_add_func("/bpfhv/backend/xdp/queue-in-use", test_xdp_queue_in_use);
    g_test_add_func("/bpfhv/backend/xdp/queue-set-free",
                    test_xdp_queue_set_free);
    g_test_add_func("/bpfhv/backend/xdp/ordinary-user",
                    test_xdp_ordinary_user);
    g_test_add_func("/bpfhv/backend/xdp/two-backends", test_xdp_two_backends);
    g_test_add_func("/bpfhv/backend/xdp/hostile-guest",
                    test_xdp_hostile_guest);
    for (size_t i = 0; i < G_N_ELEMENTS(xdp_refusals); i++) {
        bpfhv_rig_add("xdp/refused", xdp_refusals[i].name, GSIZE_TO_POINTER(i),
                      test_xdp_refused);
    }
    return g_test_run();
}
