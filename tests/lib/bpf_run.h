/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steering program in the kernel, without a network device. */
#ifndef TESTS_BPF_RUN_H
#define TESTS_BPF_RUN_H

#include <glib.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why this process may not load BPF programs; NULL if it may. */
const char *bpf_run_refusal(void);

/*
 * Whether this process may load BPF programs. If not, the test is skipped,
 * with the reason, and must return.
 */
bool bpf_run_allowed(void);

/* Loads a program of two instructions: "return @value". -errno on failure. */
int bpf_run_load_return(enum bpf_prog_type type, int value);

/*
 * Runs a program on a frame of @len bytes, by BPF_PROG_TEST_RUN. Returns what
 * the program returned, or -errno if the kernel did not run it.
 */
int64_t bpf_run(int prog_fd, const void *frame, size_t len);

/* The same @repeat times over; only what the last run returned is known. */
int64_t bpf_run_repeat(int prog_fd, const void *frame, size_t len, int repeat);

/*
 * Runs a program that reports hashes. Returns 0 with what it left in the
 * packet, or -errno.
 */
int bpf_run_report(int prog_fd, const void *frame, size_t len,
                   uint32_t *hash, uint32_t *report);

enum {
    BPF_RUN_MAX = 3000,     /* bytes: any kernel takes a frame this long */
};

#endif
