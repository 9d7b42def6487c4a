/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of 64-bit numbers, for the verifier: an interval with a step. */
#ifndef LINUX_BPFHV_RANGE_H
#define LINUX_BPFHV_RANGE_H

#include <linux/types.h>

/**
 * struct bpfhv_range: the numbers lo, lo + 2^step, lo + 2 * 2^step, ... hi
 * @lo: the least, unsigned
 * @hi: the greatest
 * @step: 64 if there is only one, else less
 *
 * It says which values a register may have. Nothing but the functions here
 * writes to its fields. Each result may have more members than it needs,
 * never fewer.
 */
struct bpfhv_range {
    __u64 lo, hi;
    __u8 step;
};

struct bpfhv_range bpfhv_range_const(__u64 value);

/* All numbers of so many @bits, 8 to 64. */
struct bpfhv_range bpfhv_range_bits(unsigned int bits);

/* The low 32 bits of @a. */
struct bpfhv_range bpfhv_range_low32(struct bpfhv_range a);

/**
 * bpfhv_range_alu: what an instruction of arithmetic makes
 * @op: BPF_ADD to BPF_ARSH, BPF_MOV; for BPF_NEG @a is 0 and @b negated
 * @a: the destination before
 * @b: the source
 * @is64: all 64 bits; else the low 32 of @a and @b, and the result's high
 *        ones are 0
 *
 * Division by zero gives 0, its remainder is @a; of the number of places to
 * shift only the low 5 or 6 bits count.
 */
struct bpfhv_range bpfhv_range_alu(unsigned int op, struct bpfhv_range a,
                                   struct bpfhv_range b, int is64);

/* The least range that has all members of both. */
struct bpfhv_range bpfhv_range_join(struct bpfhv_range a,
                                    struct bpfhv_range b);

/*
 * As bpfhv_range_join(), but in great strides: after some dozens of calls, each
 * with the last result as @a, nothing changes any more.
 */
struct bpfhv_range bpfhv_range_widen(struct bpfhv_range a,
                                     struct bpfhv_range b);

int bpfhv_range_same(struct bpfhv_range a, struct bpfhv_range b);

/**
 * bpfhv_range_branch: take away what a conditional jump rules out
 * @op: BPF_JEQ to BPF_JSLE
 * @is64: compares 64 bits, else the low 32
 * @taken: the condition holds
 * @a: the destination
 * @b: the source
 *
 * What cannot be is left as it was.
 */
void bpfhv_range_branch(unsigned int op, int is64, int taken,
                        struct bpfhv_range *a, struct bpfhv_range *b);

#endif
