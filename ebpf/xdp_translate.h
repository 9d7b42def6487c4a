/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's XDP program, as one that the host can run on frames for a tap. */
#ifndef EBPF_XDP_TRANSLATE_H
#define EBPF_XDP_TRANSLATE_H

#include "xdp_code.h"

/**
 * XdpHook: where the host runs it
 * @XDP_HOOK_TC: at the egress of the tap. The program is of type
 *               BPF_PROG_TYPE_SCHED_CLS; with cls_bpf it takes direct action.
 * @XDP_HOOK_DEVMAP: in a devmap entry, of type BPF_PROG_TYPE_XDP to be loaded
 *                   with BPF_XDP_DEVMAP. It knows DROP and PASS only: the
 *                   program may not change packets, and what it would send
 *                   back is passed on.
 */
typedef enum XdpHook {
    XDP_HOOK_TC,
    XDP_HOOK_DEVMAP,
} XdpHook;

/**
 * XdpCounter: packets of the tap, by what became of them
 * @XDP_PASSED: the program passed it on
 * @XDP_DROPPED: the program dropped it, or broke off after a change
 * @XDP_SENT: the program sent it back
 * @XDP_UNEXAMINED: passed on without the program's word: see the prologue
 * @XDP_COUNTERS: places for each processor, 64 bytes
 */
typedef enum XdpCounter {
    XDP_PASSED,
    XDP_DROPPED,
    XDP_SENT,
    XDP_UNEXAMINED,
    XDP_COUNTERS = 8,
} XdpCounter;

/**
 * XdpTarget: what the program is translated for
 * @maps: the card's, by their numbers; descriptors of the host
 * @tap_ifindex: of the tap in the host, into which XDP_TX sends
 * @guest_ifindex: what the guest's program shall see as ingress_ifindex
 * @budget: for loops and functions, for each packet; at most XDP_BUDGET
 * @rewrite: it may change all of a packet, not only its two Ethernet
 *           addresses. Checksums that are not yet computed (CHECKSUM_PARTIAL)
 *           become wrong where a program corrects them.
 * @trusted: whoever loads it has CAP_PERFMON, so the verifier allows arithmetic
 *           with pointers. Without, it refuses many programs, and each packet
 *           is made linear by a helper, needed or not: some 12 ns.
 * @budget_fd: for XDP_HOOK_DEVMAP: a PERCPU_ARRAY of the host with one 4-byte
 *             value. 0: loops and functions are refused.
 * @counters_fd: of the host, an ARRAY of 8-byte values in which packets are
 *               counted: XDP_COUNTERS places for each possible processor. 0:
 *               they are not.
 * @lease_fd: for XDP_HOOK_TC: an ARRAY with one 8-byte value, the time
 *            (CLOCK_MONOTONIC, ns) from which on the program is not run any
 *            more; for a program that can outlive whoever loaded it. 0: no end.
 * @gso_pass: it is not run on GSO packets, which go to the guest; else once on
 *            the whole of each
 */
typedef struct XdpTarget {
    XdpHook hook;
    const XdpMap *maps;
    size_t n_maps;
    uint32_t tap_ifindex, guest_ifindex;
    uint32_t budget;
    int budget_fd, counters_fd, lease_fd;
    bool rewrite, trusted, gso_pass;
} XdpTarget;

/**
 * xdp_translate:
 * @insns: of the program, from the guest: of type BPF_PROG_TYPE_XDP, with its
 *         functions behind it, as bpf_program__insns() gives them after
 *         loading. In LD_IMM64 with src_reg 1 or 2, imm is the number of a map
 *         of @target.
 * @count: how many they are
 *
 * Pure: asks the kernel nothing. Any thread may call it.
 *
 * Returns: the program's instructions, to be freed with g_array_free(); or
 * NULL with @error set (XDP_ERROR), which names the guest's instruction and
 * the reason. The kernel's verifier may still refuse it.
 */
GArray *xdp_translate(const struct bpf_insn *insns, size_t count,
                      const XdpTarget *target, GError **error);

#endif
