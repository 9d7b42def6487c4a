/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet is in a queue when the call that sends it returns. So when the
 * sender rests, and the reader then finds all queues empty, nothing is under
 * way.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flight.h"

enum {
    UNDER_WAY = 256,        /* less than the shortest queue of a tap, 500 */
    BATCH = 64,             /* packets of a queue before the next one's turn */
    WAIT_MS = 10,
    MAGIC = 0x51,           /* in front of a packet's number */
};

/* What the sender does, or is to do. */
enum { SEND, REST, END };

struct Flight {
    TapNet *net;
    GByteArray *const *frame;
    unsigned n_frames;
    unsigned max;
    FlightClock *clock;
    void *opaque;
    void (*pin)(int cpu);
    uint64_t *before;
    uint8_t *queue;
    GThread *sender, *reader;
    /* Between the threads; atomic. */
    unsigned sent, received, lost;
    unsigned empty_rounds;      /* of the reader: all queues were empty */
    int asked, answered;        /* of the sender */
    int stop_reader;
};

static void set(unsigned *counter, unsigned n)
{
    __atomic_store_n(counter, n, __ATOMIC_SEQ_CST);
}

static unsigned get(const unsigned *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static int other_cpu(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

static void pin(Flight *f, int cpu)
{
    if (f->pin) {
        f->pin(cpu);
    }
}

/* Waits until packet @n may be sent. Returns false when the stream ends. */
static bool may_send(Flight *f, unsigned n)
{
    int asked;

    for (;;) {
        asked = __atomic_load_n(&f->asked, __ATOMIC_SEQ_CST);
        __atomic_store_n(&f->answered, asked, __ATOMIC_SEQ_CST);
        if (asked == END) {
            return false;
        }
        if (asked == SEND && n < f->max &&
            n - get(&f->received) - get(&f->lost) < UNDER_WAY) {
            return true;
        }
        sched_yield();
    }
}

/* Its number is the end of each packet. */
static void *send_packets(void *opaque)
{
    Flight *f = opaque;
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_ifindex = f->net->ifindex,
    };
    uint32_t n;

    pin(f, 0);
    for (n = 0; may_send(f, n); n++) {
        GByteArray *frame = f->frame[n % f->n_frames];

        memcpy(frame->data + frame->len - sizeof(n), &n, sizeof(n));
        f->before[n] = f->clock(f->opaque);
        if (sendto(f->net->socket, frame->data, frame->len, 0,
                   (struct sockaddr *)&to, sizeof(to)) < 0) {
            g_error("cannot send: %s", g_strerror(errno));
        }
        set(&f->sent, n + 1);
    }
    f->before[n] = f->clock(f->opaque);
    return NULL;
}

/* Takes what a queue has, within bounds. Returns false if it was empty. */
static bool read_queue(Flight *f, unsigned queue)
{
    uint8_t frame[2048];
    unsigned taken = 0;
    ssize_t len;
    uint32_t n;

    while (taken < BATCH &&
           (len = read(f->net->queue[queue], frame, sizeof(frame))) > 0) {
        taken++;
        memcpy(&n, frame + len - sizeof(n), sizeof(n));
        if (frame[len - sizeof(n) - 1] != MAGIC || n >= f->max) {
            continue;       /* not ours */
        }
        if (f->queue[n] != FLIGHT_NEVER) {
            g_error("packet %u came from queue %u, and again from queue %u",
                    n, f->queue[n], queue);
        }
        f->queue[n] = queue;
        set(&f->received, f->received + 1);
    }
    return taken;
}

static void *read_packets(void *opaque)
{
    Flight *f = opaque;
    struct pollfd fds[TAP_MAX_QUEUES];
    bool some;
    int i;

    pin(f, other_cpu());
    for (i = 0; i < f->net->n_queues; i++) {
        fds[i] = (struct pollfd) { f->net->queue[i], POLLIN };
    }
    while (!__atomic_load_n(&f->stop_reader, __ATOMIC_RELAXED)) {
        poll(fds, f->net->n_queues, WAIT_MS);
        some = false;
        for (i = 0; i < f->net->n_queues; i++) {
            some |= (fds[i].revents & POLLIN) && read_queue(f, i);
        }
        if (!some) {
            set(&f->empty_rounds, f->empty_rounds + 1);
        }
    }
    return NULL;
}

Flight *flight_new(TapNet *net, GByteArray *const *frame, unsigned n_frames,
                   unsigned max, FlightClock *clock, void *opaque)
{
    Flight *f = g_new0(Flight, 1);
    unsigned i;

    f->net = net;
    f->frame = frame;
    f->n_frames = n_frames;
    f->max = max;
    f->clock = clock;
    f->opaque = opaque;
    f->before = g_new0(uint64_t, max + 1);
    f->queue = g_malloc(max);
    memset(f->queue, FLIGHT_NEVER, max);
    for (i = 0; i < n_frames; i++) {
        frame[i]->data[frame[i]->len - sizeof(uint32_t) - 1] = MAGIC;
    }
    return f;
}

void flight_start(Flight *f, void (*pin)(int cpu))
{
    f->pin = pin;
    f->reader = g_thread_new("reader", read_packets, f);
    f->sender = g_thread_new("sender", send_packets, f);
}

unsigned flight_sent(const Flight *f)
{
    return get(&f->sent);
}

/* Asks the sender for something, and waits until it does that. */
static void ask(Flight *f, int what)
{
    __atomic_store_n(&f->asked, what, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&f->answered, __ATOMIC_SEQ_CST) != what) {
        sched_yield();
    }
}

/* Nothing is under way when this returns, and nothing is sent. */
static void rest(Flight *f)
{
    unsigned round;

    ask(f, REST);
    round = get(&f->empty_rounds);
    /* The first of two may have begun before the sender rested. */
    while (get(&f->empty_rounds) - round < 2) {
        sched_yield();
    }
}

void flight_settle(Flight *f)
{
    rest(f);
    set(&f->lost, get(&f->sent) - get(&f->received));
    ask(f, SEND);
}

unsigned flight_stop(Flight *f)
{
    rest(f);
    ask(f, END);
    g_thread_join(f->sender);
    __atomic_store_n(&f->stop_reader, 1, __ATOMIC_RELAXED);
    g_thread_join(f->reader);
    return f->sent;
}

uint64_t flight_before(const Flight *f, unsigned n)
{
    return f->before[n];
}

unsigned flight_queue(const Flight *f, unsigned n)
{
    return f->queue[n];
}

void flight_free(Flight *f)
{
    g_free(f->queue);
    g_free(f->before);
    g_free(f);
}
