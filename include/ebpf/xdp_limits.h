/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of the host a guest's XDP program may use. Whoever runs the VM may
 * ask for less; this is the most.
 */
#ifndef EBPF_XDP_LIMITS_H
#define EBPF_XDP_LIMITS_H

enum {
    /*
     * The guest's instructions. Large programs of today have 2,700 (Katran).
     */
    XDP_MAX_INSNS = 4096,
    XDP_MAX_FUNCTIONS = 64,
    XDP_MAX_FRAMES = 8,             /* calls within calls, as the verifier */
    XDP_MAX_STACK = 512,            /* bytes, of all frames together */

    /*
     * Time, in units of about one instruction, a third of a nanosecond. What a
     * program takes without its loops and functions is limited by its length
     * and by what its slow instructions cost together, which are calls of
     * helpers above all; loops and functions have a budget for each packet. A
     * packet never takes over 20 us: the units that there can be take half of
     * that, by the costs in xdp_code.c.
     */
    XDP_HELPER_COST = 64,           /* at the least */
    XDP_MAX_SLOW = 256 * XDP_HELPER_COST,
    XDP_BUDGET = 8192,
    XDP_MAX_CHECKSUM = 512,         /* bytes, each of the two for csum_diff */

    /*
     * How much of a packet is made linear, in bytes: XDP without fragments
     * has no more in its page either.
     */
    XDP_MAX_LINEAR = 4096,

    /* Maps; the bytes count what the kernel will take, see xdp_wire.h. */
    XDP_MAX_MAPS = 16,
    XDP_MAX_KEY = 512,              /* bytes */
    XDP_MAX_LPM_KEY = 4 + 16,       /* bytes: each of its bits is a step */
    XDP_MAX_VALUE = 4096,           /* bytes */
    XDP_MAX_MEMORY = 16 << 20,      /* bytes, of all maps */

    /*
     * Types of a map: bytes of BTF; letters of a name; how deep types are in
     * others; and values that one is shown as, since whoever shows it walks
     * through all of them, and writes their names.
     */
    XDP_MAX_TYPES = 16384,
    XDP_MAX_TYPE_NAME = 63,
    XDP_MAX_TYPE_DEPTH = 16,
    XDP_MAX_TYPE_VALUES = 8 * XDP_MAX_VALUE,
};

#endif
