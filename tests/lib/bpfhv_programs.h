/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bpfhv programs of ebpf/bpfhv, from their ELF objects, verified. */
#ifndef TESTS_BPFHV_PROGRAMS_H
#define TESTS_BPFHV_PROGRAMS_H

#include <linux/bpf.h>
#include <stdint.h>

#include "linux/bpfhv/bpfhv_verify.h"

/**
 * BpfhvProgram: one of them
 * @section: its name in the object, as "rxp"; NULL: there is none
 * @rules: what it may do
 * @insns: as it was compiled
 * @count: how many
 * @verified: the verifier's result
 * @verified_count: how many; negative: refused
 * @refusal: why
 */
typedef struct BpfhvProgram {
    const char *section;
    struct bpfhv_rules rules;
    struct bpf_insn *insns;
    uint32_t count;
    struct bpf_insn *verified;
    int verified_count;
    struct bpfhv_refusal refusal;
} BpfhvProgram;

/* By bpfhv_program. */
typedef struct BpfhvPrograms {
    BpfhvProgram program[BPFHV_NUM_PROGRAMS];
} BpfhvPrograms;

/*
 * Read the object @path, whose contexts have @ctx_size bytes.
 * The process ends if it cannot be read.
 */
BpfhvPrograms *bpfhv_programs_read(const char *path, uint32_t ctx_size);
void bpfhv_programs_free(BpfhvPrograms *programs);

#endif
