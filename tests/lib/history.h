/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which queues packets were permitted to come from, and when.
 *
 * A history is a row of moments. Before something changes, a moment is added
 * that permits both what was and what will be, and behind it another one with
 * only the latter. The packets of a flight note the number of the moment in
 * which they are sent, so for each of them it is known which moments there
 * were while it was on its way, and a queue that none of them permits is
 * wrong.
 */
#ifndef TESTS_HISTORY_H
#define TESTS_HISTORY_H

#include "flight.h"

/* Queues, a bit each; whether a packet may be lost. */
typedef struct Moment {
    uint16_t queues;
    bool may_lose;
} Moment;

/* What became of packets. */
typedef struct Fate {
    unsigned by_queue[TAP_MAX_QUEUES];
    unsigned exact;         /* that could have come from one queue only */
    unsigned wrong;         /* came from a queue that was not permitted */
    unsigned lost;
    unsigned may_lose;      /* lost, which was permitted */
} Fate;

typedef struct History History;

History *history_new(void);

void history_free(History *history);

/* From now on this is permitted. */
void history_add(History *history, Moment moment);

/* The number of the moment; a FlightClock. */
uint64_t history_now(void *history);

/*
 * What became of the @sent packets of a flight that has stopped. The first
 * ones that are wrong or lost are told in messages.
 */
Fate history_judge(const History *history, const Flight *flight,
                   unsigned sent);

#endif
