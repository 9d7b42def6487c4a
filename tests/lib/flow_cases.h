/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames, and what must be hashed of each: a row or more for each rule, and
 * one on each side of each limit.
 */
#ifndef TESTS_FLOW_CASES_H
#define TESTS_FLOW_CASES_H

#include <glib.h>
#include <stdint.h>

/* The hash types by short names, as in the tables of cases. */
enum {
    V4 = 0x001, TCP4 = 0x002, UDP4 = 0x004,
    V6 = 0x008, TCP6 = 0x010, UDP6 = 0x020,
    XIP = 0x040, XTCP = 0x080, XUDP = 0x100,
    NO_X = 0x03f, ALL = 0x1ff,
};

/**
 * FlowCase:
 * @name: also the name of the test
 * @recipe: the frame, see packet.h; it carries the addresses of packet_flow
 * @cut: bytes to cut off its end
 * @enabled: hash types that are enabled
 * @type: the one that must apply, or 0
 * @input: what must be hashed, a letter each: s source, d destination,
 *         h home address, r routing header's address, p ports
 */
typedef struct FlowCase {
    const char *name;
    const char *recipe;
    unsigned cut;
    uint32_t enabled;
    uint32_t type;
    const char *input;
} FlowCase;

extern const FlowCase flow_cases[];
extern const size_t n_flow_cases;

/* The frame of a case. */
GByteArray *flow_case_frame(const FlowCase *c);

/* The hash that it must have: bit by bit, from @input alone. */
uint32_t flow_case_hash(const FlowCase *c, const uint8_t *key);

#endif
