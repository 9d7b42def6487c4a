/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading a user's steering program, for a tap or for a tc filter. */
#ifndef EBPF_STEER_PROGRAM_H
#define EBPF_STEER_PROGRAM_H

#include <bpf/libbpf.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * SteerUse: what a program is for
 * @STEER_FOR_TAP: the tap's own hook, which takes socket filters. Each packet
 *                 goes to the queue that it returns, modulo the queues.
 * @STEER_FOR_FILTER: a tc filter, made of a program of type SCHED_CLS, see
 *                    steer_fallback.h. What it returns may be no opinion.
 * @STEER_TO_TRY_FILTER: such a program as it is, to be run by hand
 */
typedef enum SteerUse {
    STEER_FOR_TAP,
    STEER_FOR_FILTER,
    STEER_TO_TRY_FILTER,
} SteerUse;

/**
 * SteerProgram: a loaded program, owned by this process
 * @fd: of the program, close-on-exec
 * @id, @tag, @loaded_ns: how the kernel knows it; the time is CLOCK_BOOTTIME
 * @name: of its function
 */
typedef struct SteerProgram {
    int fd;
    uint32_t id;
    uint64_t loaded_ns;
    uint8_t tag[8];
    char *name;
} SteerProgram;

/**
 * steer_program_load:
 * @file: an object file as clang writes it
 * @section: section or function of the program; NULL if the file has only one
 *           for @use
 * @limit: STEER_FOR_FILTER: queues from here on are no opinion
 *
 * Returns: NULL with @error set: what is wrong with the file, or the last lines
 * of the verifier, or which privilege is missing
 */
SteerProgram *steer_program_load(const char *file, const char *section,
                                 SteerUse use, uint16_t limit,
                                 GError **error);

/* Takes @fd over, also if it fails: then it is closed. */
SteerProgram *steer_program_adopt(int fd, const char *name, GError **error);

void steer_program_free(SteerProgram *program);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SteerProgram, steer_program_free)

/* Capabilities, as bits: those that steering can need. */
enum {
    STEER_CAP_BPF = 1 << 0,
    STEER_CAP_PERFMON = 1 << 1,
    STEER_CAP_NET_ADMIN = 1 << 2,
    STEER_CAP_SYS_PTRACE = 1 << 3,
    STEER_CAP_SYS_ADMIN = 1 << 4,   /* implies the first two */
};

/* Which of @capabilities this process lacks. */
unsigned steer_caps_missing(unsigned capabilities);

/**
 * steer_lacks:
 * @err: of a system call that needs @capabilities
 *
 * Returns: for the end of a message: " (CAP_BPF is missing)", or "" if @err
 * does not tell of a privilege, or none is missing. It is valid until the next
 * call.
 */
const char *steer_lacks(int err, unsigned capabilities);

/* For libbpf_set_print(): our own messages have the reason. */
int steer_no_print(enum libbpf_print_level level, const char *format,
                   va_list args);

#endif
