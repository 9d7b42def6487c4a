/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends frames into a device for some time, as fast as they are taken:
 *
 *     bench-send DEVICE FILE MILLISECONDS
 *
 * FILE holds frames, each behind its length in two bytes, in host order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "samples.h"

enum {
    MAX_FRAMES = 1024,
    BATCH = 64,
};

typedef struct Sender {
    int socket;
    unsigned n;
    struct sockaddr_ll to;
    struct iovec iov[MAX_FRAMES];
    struct mmsghdr message[MAX_FRAMES];
} Sender;

static void add_frame(Sender *s, char *data, size_t len)
{
    s->iov[s->n] = (struct iovec) { data, len };
    s->message[s->n].msg_hdr = (struct msghdr) {
        .msg_iov = &s->iov[s->n], .msg_iovlen = 1,
        .msg_name = &s->to, .msg_namelen = sizeof(s->to),
    };
    s->n++;
}

static void read_frames(Sender *s, char *data, size_t size)
{
    uint16_t len;
    size_t at = 0;

    while (at + sizeof(len) <= size && s->n < MAX_FRAMES) {
        memcpy(&len, data + at, sizeof(len));
        at += sizeof(len);
        if (at + len > size) {
            g_error("the file of frames is cut off");
        }
        add_frame(s, data + at, len);
        at += len;
    }
    if (s->n < BATCH) {
        g_error("%u frames, but %d are sent at a time", s->n, BATCH);
    }
}

/* Returns how many were taken. */
static unsigned send_batch(Sender *s, unsigned first)
{
    int sent = sendmmsg(s->socket, &s->message[first], BATCH, 0);

    if (sent >= 0) {
        return sent;
    }
    if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
        g_error("cannot send: %s", g_strerror(errno));
    }
    return 0;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    g_autofree Sender *s = g_new0(Sender, 1);
    double end, packets = 0, cpu;
    unsigned first = 0;
    gsize size;

    if (argc != 4) {
        fprintf(stderr, "usage: bench-send DEVICE FILE MILLISECONDS\n");
        return 1;
    }
    if (!g_file_get_contents(argv[2], &data, &size, &error)) {
        g_error("%s", error->message);
    }
    s->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    s->to.sll_family = AF_PACKET;
    s->to.sll_ifindex = if_nametoindex(argv[1]);
    if (s->socket < 0 || !s->to.sll_ifindex) {
        g_error("cannot send into %s: %s", argv[1], g_strerror(errno));
    }
    read_frames(s, data, size);

    cpu = samples_cpu_ns();
    end = samples_now_ns() + atof(argv[3]) * 1e6;
    while (samples_now_ns() < end) {
        packets += send_batch(s, first);
        first = first + 2 * BATCH <= s->n ? first + BATCH : 0;
    }
    samples_print_one("sent", "packets", packets);
    samples_print_one("cpu", "ns", (samples_cpu_ns() - cpu) / packets);
    return 0;
}
