/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of numbered packets through a tap: when each was sent, and from
 * which queue it came.
 *
 *     sender thread ─▶ tap ─▶ its queues ─▶ reader thread
 *
 * The sender waits when too many packets are under way, so no queue can
 * overflow: what is lost was lost by something else.
 */
#ifndef TESTS_FLIGHT_H
#define TESTS_FLIGHT_H

#include <glib.h>

#include "tap_net.h"

enum {
    FLIGHT_NEVER = 255,         /* queue of a packet that never arrived */
};

typedef struct Flight Flight;

/* What to remember of the moment: a time, or a state of the test's. */
typedef uint64_t FlightClock(void *opaque);

/**
 * flight_new:
 * @frame: sent by turns; stay the caller's. The last bytes of each, which are
 *         payload, become the packet's number
 * @max: packets to remember; the stream ends there
 * @clock: asked before each packet, and after the last one
 * @opaque: for @clock
 */
Flight *flight_new(TapNet *net, GByteArray *const *frame, unsigned n_frames,
                   unsigned max, FlightClock *clock, void *opaque);

/**
 * flight_start:
 * @pin: makes the calling thread stay on a processor, or NULL
 *
 * Starts the stream.
 */
void flight_start(Flight *flight, void (*pin)(int cpu));

/* Packets sent so far. */
unsigned flight_sent(const Flight *flight);

/*
 * Stops the stream, waits until all queues are empty, and lets it go on. What
 * had not come out by then is lost, and no more counted as under way.
 */
void flight_settle(Flight *flight);

/* Ends it, and waits for what is under way. Returns the packets sent. */
unsigned flight_stop(Flight *flight);

/*
 * What the clock said before packet @n was sent, or after the last one. The
 * frame of packet @n is n % n_frames.
 */
uint64_t flight_before(const Flight *flight, unsigned n);

/* The queue that packet @n came from, or FLIGHT_NEVER. */
unsigned flight_queue(const Flight *flight, unsigned n);

void flight_free(Flight *flight);

#endif
