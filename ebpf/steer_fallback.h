/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A steering program that may have no opinion, as the program of a tc filter. */
#ifndef EBPF_STEER_FALLBACK_H
#define EBPF_STEER_FALLBACK_H

#include <glib.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Queues that a filter can choose: 0 to 65534 (net/tc_steering.h) */
    STEER_FALLBACK_QUEUES = 65535,
};

/**
 * steer_fallback_compose:
 * @user: a program's instructions, which return a queue in r0
 * @count: how many they are
 * @limit: values from here on, and so negative ones, are no opinion
 *
 * Returns: the instructions, to be freed with g_array_free(), of a program for
 * cls_bpf without direct action. It returns 0, no match, for no opinion. Else
 * it returns -1, a match, and the packet's hash, modulo
 * STEER_FALLBACK_QUEUES, is the queue.
 */
GArray *steer_fallback_compose(const struct bpf_insn *user, size_t count,
                               uint16_t limit);

#endif
