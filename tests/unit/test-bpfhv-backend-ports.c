/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend at a tap, and by AF_XDP at a veth, with QEMU and the guest of
 * lib/bpfhv_rig.h. Without root all of it is skipped.
 *
 *     test-bpfhv-backend-ports BACKEND CTL
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_LIBXDP
#include <xdp/xsk.h>
#endif

#include "bpfhv_rig.h"
#include "tap_net.h"

enum {
    TCP_HEADERS = 54,           /* bytes: Ethernet, IPv4, TCP */
    SEGMENT = 1400,             /* bytes of its payload in a segment */
    SEGMENTS = 4,
    LARGE_FRAME = TCP_HEADERS + SEGMENTS * SEGMENT,
    FRAMES_EACH_WAY = 200,
    IN_PIECES = SEGMENTS * (TCP_HEADERS + SEGMENT),
};

G_STATIC_ASSERT((int)IN_PIECES <= (int)RIG_FRAME_MAX);

#define TAP_NAME "bpfhv0"
#define XDP_NAME "bpfhv1"       /* one end of a veth */
#define XDP_PEER "bpfhv2"

/* A packet socket on a device, which is brought up. */
static int open_device(const char *name)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(name),
    };
    struct ifreq request = { .ifr_flags = IFF_UP };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

    g_strlcpy(request.ifr_name, name, IFNAMSIZ);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &request), ==, 0);
    g_assert_cmpint(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on,
                               sizeof(on)), ==, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)),
                    ==, 0);
    return fd;
}

static void random_frame(RigFrame *frame)
{
    memset(frame, 0, sizeof(*frame));
    frame->len = g_test_rand_int_range(60, 1515);
    for (size_t i = 0; i < frame->len; i++) {
        frame->bytes[i] = g_test_rand_int();
    }
    frame->bytes[0] &= 0xfe;            /* to one */
    frame->bytes[12] = 0x88;            /* an EtherType of nobody's */
    frame->bytes[13] = 0xb5;
}

/* TCP over IPv4 that has yet to be cut in pieces. */
static void large_frame(RigFrame *frame)
{
    uint8_t *ip = frame->bytes + ETH_HLEN, *tcp = ip + 20;

    random_frame(frame);
    frame->len = LARGE_FRAME;
    memset(ip, 0, TCP_HEADERS - ETH_HLEN);
    frame->bytes[12] = 0x08;
    frame->bytes[13] = 0x00;
    ip[0] = 0x45;
    ip[2] = (LARGE_FRAME - ETH_HLEN) >> 8;
    ip[3] = (LARGE_FRAME - ETH_HLEN) & 0xff;
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    tcp[12] = 5 << 4;
    frame->meta = (struct bpfhv_buf) {
        .flags = BPFHV_BUF_NEEDS_CSUM, .gso_type = BPFHV_GSO_TCP4,
        .hdr_len = TCP_HEADERS, .gso_size = SEGMENT,
        .csum_start = ETH_HLEN + 20, .csum_offset = 16,
    };
}

static struct virtio_net_hdr header_of(const RigFrame *frame)
{
    const struct bpfhv_buf *meta = &frame->meta;

    return (struct virtio_net_hdr) {
        .flags = meta->flags & BPFHV_BUF_NEEDS_CSUM ?
                 VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
        .gso_type = meta->gso_type ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
        .hdr_len = meta->hdr_len, .gso_size = meta->gso_size,
        .csum_start = meta->csum_start, .csum_offset = meta->csum_offset,
    };
}

/* From the guest to the tap. */
static void send_frame(Rig *rig, const RigFrame *frame, int tap)
{
    RigQueue *q = &rig->queue[1];
    struct virtio_net_hdr header = header_of(frame), got;
    uint8_t bytes[sizeof(header) + LARGE_FRAME];
    size_t part = rig->features & BPFHV_F_SG ? frame->len / 4 + 1 :
                  RIG_BUF_SIZE;

    q->ctx->num_bufs = 0;
    for (size_t at = 0; at < frame->len; at += part) {
        size_t len = MIN(part, frame->len - at);
        struct bpfhv_buf *buf;

        bpfhv_rig_add_buf(q, 1, len,
                          at + len < frame->len ? BPFHV_BUF_NEXT : 0);
        buf = &q->ctx->bufs[q->ctx->num_bufs - 1];
        memcpy(rig->high + bpfhv_rig_buf_offset(1, buf->cookie),
               frame->bytes + at, len);
        if (!at) {
            struct bpfhv_buf first = frame->meta;

            first.paddr = buf->paddr;
            first.len = buf->len;
            first.cookie = buf->cookie;
            first.flags |= buf->flags;
            *buf = first;
        }
    }
    bpfhv_rig_publish(rig, 1);
    while (q->num_outstanding) {
        bpfhv_rig_wait_for_interrupt(rig, 1);
        bpfhv_rig_complete(rig, 1);
    }
    g_assert_true(bpfhv_rig_wait_for(tap, POLLIN));
    g_assert_cmpint(recv(tap, bytes, sizeof(bytes), 0), ==,
                    sizeof(header) + frame->len);
    memcpy(&got, bytes, sizeof(got));
    g_assert_cmpuint(got.gso_type, ==, header.gso_type);
    g_assert_cmpuint(got.gso_size, ==, header.gso_size);
    g_assert_cmpuint(got.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, ==,
                     header.flags);
    g_assert_cmpmem(bytes + sizeof(header), frame->len, frame->bytes,
                    frame->len);
}

static void give_frame(const RigFrame *frame, int tap)
{
    const struct virtio_net_hdr header = header_of(frame);
    struct iovec iov[] = {
        { (void *)&header, sizeof(header) },
        { (void *)frame->bytes, frame->len },
    };

    g_assert_cmpint(writev(tap, iov, 2), ==, sizeof(header) + frame->len);
}

/* Until the guest has @len bytes, in all. */
static void take_frame(Rig *rig, RigFrame *frame, size_t len)
{
    *frame = (RigFrame) { .len = 0 };
    rig->frame = frame;
    while (frame->len < len) {
        bpfhv_rig_publish_room(rig, 0);
        bpfhv_rig_wait_for_interrupt(rig, 0);
        bpfhv_rig_complete(rig, 0);
    }
    g_assert_cmpuint(frame->len, ==, len);
}

/* Whoever does it, the payload arrives: as a whole, or in pieces. */
static void give_large_frame(Rig *rig, int tap)
{
    bool whole = rig->features & BPFHV_F_LRO4;
    size_t part = whole ? SEGMENTS * SEGMENT : SEGMENT;
    g_autofree RigFrame *frame = g_new(RigFrame, 1), *got = g_new(RigFrame, 1);
    const uint8_t *from = frame->bytes + TCP_HEADERS, *to = got->bytes;

    large_frame(frame);
    give_frame(frame, tap);
    take_frame(rig, got, whole ? LARGE_FRAME : IN_PIECES);
    for (int i = 0; i < (whole ? 1 : SEGMENTS); i++) {
        to += TCP_HEADERS;
        g_assert_cmpmem(to, part, from, part);
        from += part;
        to += part;
    }
    g_assert_cmpuint(got->meta.gso_type, ==,
                     whole ? BPFHV_GSO_TCP4 : BPFHV_GSO_NONE);
    g_assert_cmpuint(got->meta.gso_size, ==, whole ? SEGMENT : 0);
    g_assert_cmpuint(got->meta.flags & BPFHV_BUF_NEEDS_CSUM, ==,
                     whole ? BPFHV_BUF_NEEDS_CSUM : 0);
}

static void exchange_frames(Rig *rig, const char *device)
{
    g_autofree RigFrame *frame = g_new(RigFrame, 1), *got = g_new(RigFrame, 1);
    int tap = open_device(device);

    for (int i = 0; i < FRAMES_EACH_WAY; i++) {
        random_frame(frame);
        send_frame(rig, frame, tap);
        random_frame(frame);
        give_frame(frame, tap);
        take_frame(rig, got, frame->len);
        g_assert_cmpmem(got->bytes, got->len, frame->bytes, frame->len);
    }
    if (rig->features & BPFHV_F_TSO4) {
        large_frame(frame);
        send_frame(rig, frame, tap);
    }
    give_large_frame(rig, tap);
    close(tap);
}

static void test_tap(const void *words)
{
    g_autofree char *options = g_strdup_printf("--tap " TAP_NAME " %s",
                                               (const char *)words);
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new(options);
    bpfhv_rig_begin(rig, 1);
    exchange_frames(rig, TAP_NAME);
}

static void follow_upgrade_to(Rig *rig, const char *model)
{
    g_autofree char *said = bpfhv_rig_tell(rig, "upgrade", model);

    g_assert_nonnull(strstr(said, model));
    bpfhv_rig_follow_upgrade(rig);
}

/* A model without offloads, whose driver chooses none, after one with. */
static void test_tap_upgrade(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new("--tap " TAP_NAME " --model sring_gso");
    bpfhv_rig_begin(rig, 1);
    follow_upgrade_to(rig, "sring");
    exchange_frames(rig, TAP_NAME);
}

static void run_shell(const char *line)
{
    const char *argv[] = { "/bin/sh", "-c", line, NULL };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/* The guest's packets are dropped from then on, and all else goes on. */
static void device_goes(Rig *rig, const char *name)
{
    g_autofree char *command = g_strdup_printf("ip link del %s", name);
    g_autofree char *stats = NULL;
    uint64_t bytes = 0, sent;

    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    run_shell(command);
    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    sent = bpfhv_rig_counted(rig, "tx0", "packets ");
    g_assert_cmpuint(sent + bpfhv_rig_counted(rig, "tx0", "dropped "), ==,
                     1000);
    g_assert_cmpuint(sent, <, 600);
    stats = bpfhv_rig_tell(rig, "stats", NULL);
    g_assert_nonnull(strstr(stats, "the device has gone"));
    follow_upgrade_to(rig, "sring");
    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, sent);
}

static void test_tap_gone(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new("--tap " TAP_NAME);
    bpfhv_rig_begin(rig, 1);
    close(open_device(TAP_NAME));
    device_goes(rig, TAP_NAME);
}

/* AF_XDP */

/* A veth whose one end has two queues, unless the test is skipped. */
static bool set_up_veth(int queues_of_peer)
{
#ifdef HAVE_LIBXDP
    g_autofree char *line = g_strdup_printf(
        "ip link del " XDP_NAME " 2>/dev/null;"
        "ip link add " XDP_NAME " numtxqueues 2 numrxqueues 2 type veth"
        " peer name " XDP_PEER " numtxqueues %d && ip link set " XDP_NAME
        " up && ip link set " XDP_PEER " up && ethtool -K " XDP_PEER
        " tx off >/dev/null", queues_of_peer);

    if (!tap_net_allowed()) {
        return false;
    }
    run_shell(line);
    return true;
#else
    g_test_skip("this bpfhv-backend was built without libxdp");
    return false;
#endif
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
    exchange_frames(rig, XDP_PEER);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==,
                     FRAMES_EACH_WAY);
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
    run_shell("ip link set " XDP_PEER " mtu 9000");
    rig = bpfhv_rig_new("--xdp " XDP_NAME);
    bpfhv_rig_begin(rig, 1);
    run_shell("ip -d link show " XDP_NAME " | grep -q xdpgeneric");
    exchange_frames(rig, XDP_PEER);
    random_frame(frame);
    frame->len = 5000;          /* longer than what the kernel can fill */
    run_shell("ip link set " XDP_NAME " mtu 9000");
    peer = open_device(XDP_PEER);
    give_frame(frame, peer);
    close(peer);
    exchange_frames(rig, XDP_PEER);
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
        follow_upgrade_to(rig, models[i]);
        exchange_frames(rig, XDP_PEER);
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
    peer = open_device(XDP_PEER);
    random_frame(frame);
    frame->len = RIG_SOURCE_LEN;
    for (uint64_t i = 0; i < GIVEN; i++) {
        uint64_t number = GUINT64_TO_LE(i);

        memcpy(frame->bytes + RIG_NUMBER_AT, &number, sizeof(number));
        give_frame(frame, peer);
    }
    close(peer);
    dropped = bpfhv_rig_counted(rig, "rx0", "dropped ");
    g_assert_cmpuint(dropped, >, 0);
    g_assert_cmpuint(dropped, <=, GIVEN - 1024);
    bpfhv_rig_receive_packets(rig, 0, GIVEN - dropped);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "packets "), ==,
                     GIVEN - dropped);
    exchange_frames(rig, XDP_PEER);
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
    peer = open_device(XDP_PEER);
    for (int i = 0; i < RIG_NUM_BUFS; i++) {
        random_frame(frame);
        give_frame(frame, peer);
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
    device_goes(rig, XDP_NAME);
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
        run_shell("! ip -d link show " XDP_NAME " | grep xdp");
        bpfhv_rig_start(rig, "--xdp " XDP_NAME);
    }
    bpfhv_rig_begin(rig, 1);
    exchange_frames(rig, XDP_PEER);
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
        run_shell(xdp_refusals[i].before);
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
    exchange_frames(rig, XDP_PEER);
}

#ifdef HAVE_LIBXDP

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
    exchange_frames(rig, XDP_PEER);
}

#endif

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
    bpfhv_rig_add("tap", "sring", "--model sring", test_tap);
    bpfhv_rig_add("tap", "sring_gso", "--model sring_gso", test_tap);
    bpfhv_rig_add("tap", "vring_packed", "--model vring_packed", test_tap);
    bpfhv_rig_add("tap", "sring_sum", "--model sring_sum", test_tap);
    bpfhv_rig_add("tap", "one-queue-of-four", "--queues 4", test_tap);
    g_test_add_func("/bpfhv/backend/tap/upgrade", test_tap_upgrade);
    g_test_add_func("/bpfhv/backend/tap/gone", test_tap_gone);
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
#ifdef HAVE_LIBXDP
    g_test_add_func("/bpfhv/backend/xdp/queue-in-use", test_xdp_queue_in_use);
    g_test_add_func("/bpfhv/backend/xdp/queue-set-free",
                    test_xdp_queue_set_free);
#endif
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
