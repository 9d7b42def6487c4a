/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tap of four queues that the steering program steers. */
#ifndef TESTS_STEERED_TAP_H
#define TESTS_STEERED_TAP_H

#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "tap_net.h"

enum {
    QUEUES = 4,
    FLOWS = 64,
    RECEIVE_MS = 5000,
};

/* The tap, the program that is attached, the configuration in force. */
typedef struct Steering {
    TapNet *net;
    EBPFRSS *rss;
    OracleConfig oracle;
} Steering;

/*
 * With four_queues(@hash_types) in force. NULL: this cannot be done here; the
 * test is skipped, with the reason, and must return.
 */
Steering *steering_new(uint32_t hash_types);

void steering_free(Steering *s);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Steering, steering_free)

/* Queues 0 to 2 by turns, and 3 for what has no hash. */
RssConfig four_queues(uint32_t hash_types);

/* All to one queue. */
RssConfig one_queue(uint16_t queue);

/* Puts a configuration in force, and returns when it is. */
void steering_set_all(Steering *s, const RssConfig *config);

void steering_attach(Steering *s);

/* Sends a frame, which must come out unchanged. Returns the queue. */
int steering_queue_of(Steering *s, const uint8_t *frame, size_t len);

/* Sends a frame, which must come out of the queue that the oracle says. */
void steering_check_frame(Steering *s, const char *what,
                          const uint8_t *frame, size_t len);

/* Some flows, each of which must come out of the queue of the oracle. */
void steering_check_flows(Steering *s);

#endif
