/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bpfhv_frames.h"

enum {
    TCP_HEADERS = 54,           /* bytes: Ethernet, IPv4, TCP */
    SEGMENT = 1400,             /* bytes of its payload in a segment */
    SEGMENTS = 4,
    LARGE_FRAME = TCP_HEADERS + SEGMENTS * SEGMENT,
    IN_PIECES = SEGMENTS * (TCP_HEADERS + SEGMENT),
};

G_STATIC_ASSERT((int)IN_PIECES <= (int)RIG_FRAME_MAX);

int bpfhv_frames_open(const char *name)
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

void bpfhv_frames_random(RigFrame *frame)
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

    bpfhv_frames_random(frame);
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

void bpfhv_frames_give(const RigFrame *frame, int tap)
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
    bpfhv_frames_give(frame, tap);
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

void bpfhv_frames_exchange(Rig *rig, const char *device)
{
    g_autofree RigFrame *frame = g_new(RigFrame, 1), *got = g_new(RigFrame, 1);
    int tap = bpfhv_frames_open(device);

    for (int i = 0; i < BPFHV_FRAMES_EACH_WAY; i++) {
        bpfhv_frames_random(frame);
        send_frame(rig, frame, tap);
        bpfhv_frames_random(frame);
        bpfhv_frames_give(frame, tap);
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

void bpfhv_frames_upgrade(Rig *rig, const char *model)
{
    g_autofree char *said = bpfhv_rig_tell(rig, "upgrade", model);

    g_assert_nonnull(strstr(said, model));
    bpfhv_rig_follow_upgrade(rig);
}

void bpfhv_frames_shell(const char *line)
{
    const char *argv[] = { "/bin/sh", "-c", line, NULL };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

void bpfhv_frames_device_goes(Rig *rig, const char *name)
{
    g_autofree char *command = g_strdup_printf("ip link del %s", name);
    g_autofree char *stats = NULL;
    uint64_t bytes = 0, sent;

    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    bpfhv_frames_shell(command);
    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    sent = bpfhv_rig_counted(rig, "tx0", "packets ");
    g_assert_cmpuint(sent + bpfhv_rig_counted(rig, "tx0", "dropped "), ==,
                     1000);
    g_assert_cmpuint(sent, <, 600);
    stats = bpfhv_rig_tell(rig, "stats", NULL);
    g_assert_nonnull(strstr(stats, "the device has gone"));
    bpfhv_frames_upgrade(rig, "sring");
    bpfhv_rig_send_packets(rig, 1, 500, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, sent);
}
