/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of numbered packets through a steered tap: when each was sent, and
 * from which queue it came.
 *
 *     sender thread ─▶ tap ─▶ 4 queues ─▶ reader thread
 *
 * The sender waits when too many packets are under way, so no queue can
 * overflow: what is lost was lost by something else.
 */
#ifndef BENCH_FLIGHT_H
#define BENCH_FLIGHT_H

#include <glib.h>

#include "tap_net.h"

enum {
    FLIGHT_FLOWS = 64,
    FLIGHT_NEVER = 255,         /* queue of a packet that never arrived */
};

typedef struct Flight Flight;

/* The frame of a flow, to ask an engine about; @len receives its length. */
const uint8_t *flight_frame(const Flight *flight, unsigned flow, size_t *len);

/**
 * flight_new:
 * @max: packets to remember; the stream ends there
 */
Flight *flight_new(TapNet *net, unsigned max);

/* Starts the stream. */
void flight_start(Flight *flight);

/* Ends it, and waits for what is under way. Returns the packets sent. */
unsigned flight_stop(Flight *flight);

/* When packet @n was sent, in ns; it is of flow n % FLIGHT_FLOWS. */
double flight_sent_at(const Flight *flight, unsigned n);

/* The queue that packet @n came from, or FLIGHT_NEVER. */
unsigned flight_queue(const Flight *flight, unsigned n);

void flight_free(Flight *flight);

#endif
