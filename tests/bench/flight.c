/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drain.h"
#include "flight.h"
#include "packet.h"
#include "samples.h"

enum {
    UNDER_WAY = 256,        /* less than the shortest queue of a tap, 500 */
    WAIT_MS = 1000,         /* for the last packets */
    MAGIC = 0x51,           /* in front of a packet's number */
};

struct Flight {
    TapNet *net;
    unsigned max;
    double *sent_at;
    uint8_t *queue;
    GByteArray *frame[FLIGHT_FLOWS];
    GThread *sender, *reader;
    unsigned sent, received;
    int stop_sender, stop_reader;
};

static int other_cpu(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

/* Its number is the end of each packet. */
static void *send_packets(void *opaque)
{
    Flight *f = opaque;
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_ifindex = f->net->ifindex,
    };
    uint32_t n;

    drain_pin(0);
    for (n = 0; n < f->max &&
         !__atomic_load_n(&f->stop_sender, __ATOMIC_RELAXED); n++) {
        GByteArray *frame = f->frame[n % FLIGHT_FLOWS];

        while (n - __atomic_load_n(&f->received, __ATOMIC_RELAXED) >=
               UNDER_WAY &&
               !__atomic_load_n(&f->stop_sender, __ATOMIC_RELAXED)) {
            sched_yield();
        }
        memcpy(frame->data + frame->len - sizeof(n), &n, sizeof(n));
        f->sent_at[n] = samples_now_ns();
        if (sendto(f->net->socket, frame->data, frame->len, 0,
                   (struct sockaddr *)&to, sizeof(to)) < 0) {
            g_error("cannot send: %s", g_strerror(errno));
        }
        __atomic_store_n(&f->sent, n + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Takes what a queue has. */
static void read_queue(Flight *f, unsigned queue)
{
    uint8_t frame[2048];
    ssize_t len;
    uint32_t n;

    while ((len = read(f->net->queue[queue], frame, sizeof(frame))) > 0) {
        memcpy(&n, frame + len - sizeof(n), sizeof(n));
        if (frame[len - sizeof(n) - 1] == MAGIC && n < f->max) {
            f->queue[n] = queue;
            __atomic_fetch_add(&f->received, 1, __ATOMIC_RELAXED);
        }
    }
}

static void *read_packets(void *opaque)
{
    Flight *f = opaque;
    struct pollfd fds[TAP_MAX_QUEUES];
    int i;

    drain_pin(other_cpu());
    for (i = 0; i < f->net->n_queues; i++) {
        fds[i] = (struct pollfd) { f->net->queue[i], POLLIN };
    }
    while (!__atomic_load_n(&f->stop_reader, __ATOMIC_RELAXED)) {
        poll(fds, f->net->n_queues, 10);
        for (i = 0; i < f->net->n_queues; i++) {
            read_queue(f, i);
        }
    }
    return NULL;
}

Flight *flight_new(TapNet *net, unsigned max)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    Flight *f = g_new0(Flight, 1);
    unsigned i;

    f->net = net;
    f->max = max;
    f->sent_at = g_new0(double, max);
    f->queue = g_malloc(max);
    memset(f->queue, FLIGHT_NEVER, max);
    for (i = 0; i < FLIGHT_FLOWS; i++) {
        PacketFlow flow;

        packet_random_flow(rand, &flow);
        f->frame[i] = packet_build("eth ip4 udp raw:22", &flow);
        f->frame[i]->data[f->frame[i]->len - sizeof(uint32_t) - 1] = MAGIC;
    }
    return f;
}

const uint8_t *flight_frame(const Flight *f, unsigned flow, size_t *len)
{
    *len = f->frame[flow]->len;
    return f->frame[flow]->data;
}

void flight_start(Flight *f)
{
    f->reader = g_thread_new("reader", read_packets, f);
    f->sender = g_thread_new("sender", send_packets, f);
}

unsigned flight_stop(Flight *f)
{
    double end;

    __atomic_store_n(&f->stop_sender, 1, __ATOMIC_RELAXED);
    g_thread_join(f->sender);
    end = samples_now_ns() + WAIT_MS * 1e6;
    while (__atomic_load_n(&f->received, __ATOMIC_RELAXED) < f->sent &&
           samples_now_ns() < end) {
        sched_yield();
    }
    __atomic_store_n(&f->stop_reader, 1, __ATOMIC_RELAXED);
    g_thread_join(f->reader);
    return f->sent;
}

double flight_sent_at(const Flight *f, unsigned n)
{
    return f->sent_at[n];
}

unsigned flight_queue(const Flight *f, unsigned n)
{
    return f->queue[n];
}

void flight_free(Flight *f)
{
    unsigned i;

    for (i = 0; i < FLIGHT_FLOWS; i++) {
        g_byte_array_unref(f->frame[i]);
    }
    g_free(f->queue);
    g_free(f->sent_at);
    g_free(f);
}
