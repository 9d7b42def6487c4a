/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which steering program a tap has, as the kernel itself knows it. */
#ifndef EBPF_STEER_ATTACHED_H
#define EBPF_STEER_ATTACHED_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "steer_attached_abi.h"

/* Reads taps of any owner, in any network namespace. For one thread. */
typedef struct SteerReader SteerReader;

/**
 * steer_reader_new:
 *
 * Takes some ten milliseconds, CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN where tun
 * is a module), and a kernel that lets BPF iterators read the tun driver: Linux
 * 5.11 and later, with BTF.
 *
 * Returns: NULL with @error set to why what is attached stays unknown
 */
SteerReader *steer_reader_new(GError **error);

void steer_reader_free(SteerReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SteerReader, steer_reader_free)

/**
 * steer_reader_ask:
 * @netns: inode number of the network namespace; a process must be in it
 * @ifindex: of a tun or tap device in it
 * @answer: receives what is attached; its program_id is 0 if nothing is
 *
 * Returns: false with @error set if that stays unknown
 */
bool steer_reader_ask(SteerReader *reader, uint32_t netns, int ifindex,
                      struct steer_answer *answer, GError **error);

#endif
