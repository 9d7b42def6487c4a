/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drain.h"

enum {
    BATCH = 64,         /* packets from one queue before the next one's turn */
};

typedef struct Worker {
    struct Drain *drain;
    GThread *thread;
    int queue;          /* -1: all of them */
} Worker;

struct Drain {
    TapNet *net;
    int cpu;
    bool reflects;
    int stop_fd;        /* readable: the threads end */
    gint stopping;
    uint64_t packets;
    int n_workers;
    Worker worker[TAP_MAX_QUEUES];
};

void drain_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        g_error("cannot stay on processor %d: %s", cpu, g_strerror(errno));
    }
}

/* A packet that the kernel does not take back is lost. */
static void reflect(int fd, uint8_t *frame, size_t len)
{
    uint8_t destination[ETH_ALEN];

    memcpy(destination, frame, ETH_ALEN);
    memcpy(frame, frame + ETH_ALEN, ETH_ALEN);
    memcpy(frame + ETH_ALEN, destination, ETH_ALEN);
    while (write(fd, frame, len) < 0 && errno == EINTR) {
    }
}

/* Reads up to BATCH packets. Returns how many there were. */
static unsigned read_some(Drain *drain, int fd)
{
    uint8_t buffer[2048];
    unsigned n = 0;
    ssize_t len;

    while (n < BATCH && (len = read(fd, buffer, sizeof(buffer))) > 0) {
        if (drain->reflects) {
            reflect(fd, buffer, len);
        }
        n++;
    }
    __atomic_fetch_add(&drain->packets, n, __ATOMIC_RELAXED);
    return n;
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        g_error("cannot watch a queue: %s", g_strerror(errno));
    }
}

static void *read_all_queues(void *opaque)
{
    Worker *worker = opaque;
    Drain *drain = worker->drain;
    struct epoll_event events[TAP_MAX_QUEUES + 1];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), i, n;

    drain_pin(drain->cpu);
    watch(epoll_fd, drain->stop_fd);
    for (i = 0; i < drain->net->n_queues; i++) {
        watch(epoll_fd, drain->net->queue[i]);
    }
    while (!g_atomic_int_get(&drain->stopping)) {
        n = epoll_wait(epoll_fd, events, G_N_ELEMENTS(events), -1);
        for (i = 0; i < n; i++) {
            if (events[i].data.fd != drain->stop_fd) {
                read_some(drain, events[i].data.fd);
            }
        }
    }
    close(epoll_fd);
    return NULL;
}

/* Blocks in read() as long as there are packets; polls to see the end. */
static void *read_one_queue(void *opaque)
{
    Worker *worker = opaque;
    Drain *drain = worker->drain;
    int fd = drain->net->queue[worker->queue];
    struct pollfd fds[] = {
        { .fd = fd, .events = POLLIN },
        { .fd = drain->stop_fd, .events = POLLIN },
    };

    drain_pin(drain->cpu);
    while (!g_atomic_int_get(&drain->stopping)) {
        if (!read_some(drain, fd)) {
            poll(fds, G_N_ELEMENTS(fds), -1);
        }
    }
    return NULL;
}

static void add_worker(Drain *drain, GThreadFunc function, int queue)
{
    Worker *worker = &drain->worker[drain->n_workers++];

    worker->drain = drain;
    worker->queue = queue;
    worker->thread = g_thread_new("drain", function, worker);
}

Drain *drain_start(TapNet *net, DrainMode mode, int cpu)
{
    Drain *drain = g_new0(Drain, 1);
    int i;

    drain->net = net;
    drain->cpu = cpu;
    drain->reflects = mode == DRAIN_REFLECT;
    drain->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (mode == DRAIN_EPOLL) {
        add_worker(drain, read_all_queues, -1);
    } else if (mode == DRAIN_THREADS || mode == DRAIN_REFLECT) {
        for (i = 0; i < net->n_queues; i++) {
            add_worker(drain, read_one_queue, i);
        }
    }
    return drain;
}

uint64_t drain_packets(const Drain *drain)
{
    return __atomic_load_n(&drain->packets, __ATOMIC_RELAXED);
}

void drain_stop(Drain *drain)
{
    uint64_t one = 1;
    int i;

    g_atomic_int_set(&drain->stopping, 1);
    if (write(drain->stop_fd, &one, sizeof(one)) != sizeof(one)) {
        g_error("cannot end the readers: %s", g_strerror(errno));
    }
    for (i = 0; i < drain->n_workers; i++) {
        g_thread_join(drain->worker[i].thread);
    }
    close(drain->stop_fd);
    g_free(drain);
}
