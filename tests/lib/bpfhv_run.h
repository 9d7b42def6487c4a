/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a verified bpfhv program and looks at each step: an interpreter that
 * knows nothing of the verifier but what it promises.
 */
#ifndef TESTS_BPFHV_RUN_H
#define TESTS_BPFHV_RUN_H

#include <glib.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "linux/bpfhv/bpfhv_verify.h"

/**
 * BpfhvRun: a program, and a run of it
 * @insns: the verifier's result
 * @count: its instructions
 * @source_count: those of the program that was verified
 * @rules: what it may do
 * @ctx: the context
 * @lies: not NULL: some of what is read from @ctx is random instead
 * @tick: not NULL: called before each access to @ctx
 * @tick_data: its argument
 * @steps: instructions that were executed
 * @result: what the program returned
 * @insn: where it was at its end
 * @fault: NULL, or what it did that it may not
 */
typedef struct BpfhvRun {
    const struct bpf_insn *insns;
    uint32_t count, source_count;
    const struct bpfhv_rules *rules;
    uint8_t *ctx;
    GRand *lies;
    void (*tick)(void *data);
    void *tick_data;

    uint64_t steps;
    int32_t result;
    uint32_t insn;
    const char *fault;
} BpfhvRun;

/* Is it so? @op: of a conditional jump; @is64: else by the lower 32 bits */
bool bpfhv_compare(unsigned op, bool is64, uint64_t a, uint64_t b);

/* Run it; return whether there was no fault. */
gboolean bpfhv_run(BpfhvRun *run);

#endif
