/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers that empty the queues of a tap, as a VMM would. */
#ifndef BENCH_DRAIN_H
#define BENCH_DRAIN_H

#include <glib.h>

#include "tap_net.h"

typedef enum DrainMode {
    DRAIN_EPOLL,        /* one thread waits for all queues */
    DRAIN_THREADS,      /* a thread for each queue, blocked in read() */
    DRAIN_REFLECT,      /* the same, and it sends each packet back */
    DRAIN_NONE,         /* nobody reads: the queues are full */
} DrainMode;

typedef struct Drain Drain;

/**
 * drain_start:
 * @cpu: the processor on which the threads run
 */
Drain *drain_start(TapNet *net, DrainMode mode, int cpu);

/* Packets read so far. */
uint64_t drain_packets(const Drain *drain);

/* Ends the threads. */
void drain_stop(Drain *drain);

/* Makes the calling thread stay on a processor. */
void drain_pin(int cpu);

#endif
