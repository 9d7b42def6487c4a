/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs written by hand for the verifier of bpfhv's driver: attacks, each
 * refused at its instruction and for its reason, and beside them what is
 * allowed, which runs and returns what it should. Compiled for user space and
 * for the kernel.
 */
#ifndef TESTS_BPFHV_ATTACKS_H
#define TESTS_BPFHV_ATTACKS_H

#include <linux/bpf.h>

#include "linux/bpfhv/bpfhv_verify.h"

enum {
    /* The rules are those of the ABI for this program, and such a context. */
    BPFHV_ATTACKS_PROGRAM = BPFHV_TX_PUBLISH,
    BPFHV_ATTACKS_CTX_SIZE = sizeof(struct bpfhv_ctx) + 64,

    BPFHV_ATTACKS_MAX_INSNS = 16,
};

/**
 * struct bpfhv_attack: a program; behind its last instruction only zeros
 * @insn: where it is refused
 * @reason: why; NULL: it is accepted
 * @result: what it returns then, in a context of zeros
 */
struct bpfhv_attack {
    const char *name;
    struct bpf_insn insns[BPFHV_ATTACKS_MAX_INSNS];
    __u32 insn;
    const char *reason;
    __s32 result;
};

extern const struct bpfhv_attack bpfhv_attacks[];
extern const __u32 bpfhv_num_attacks;

/* How many instructions it has. */
__u32 bpfhv_attack_length(const struct bpfhv_attack *attack);

/*
 * Write BPFHV_MAX_INSNS instructions of which the verifier makes as many as of
 * no other program. It runs out of fuel.
 */
void bpfhv_longest(struct bpf_insn *insns);

/* An instruction; fields as the kernel's documentation orders them. */
#define I(code, dst, src, off, imm) { code, dst, src, off, imm }
#define END { 0 }

#define MOV(dst, imm) I(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define MOVR(dst, src) I(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOV32R(dst, src) I(BPF_ALU | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ALU(op, dst, imm) I(BPF_ALU64 | (op) | BPF_K, dst, 0, 0, imm)
#define ALUR(op, dst, src) I(BPF_ALU64 | (op) | BPF_X, dst, src, 0, 0)
#define ALU32(op, dst, imm) I(BPF_ALU | (op) | BPF_K, dst, 0, 0, imm)
#define ALU32R(op, dst, src) I(BPF_ALU | (op) | BPF_X, dst, src, 0, 0)
#define LD(size, dst, src, off) I(BPF_LDX | BPF_MEM | (size), dst, src, off, 0)
#define ST(size, dst, off, src) I(BPF_STX | BPF_MEM | (size), dst, src, off, 0)
#define STI(size, dst, off, imm) I(BPF_ST | BPF_MEM | (size), dst, 0, off, imm)
#define ATOMIC(size, dst, off, src, op) \
    I(BPF_STX | BPF_ATOMIC | (size), dst, src, off, op)
#define JMP(op, dst, imm, off) I(BPF_JMP | (op) | BPF_K, dst, 0, off, imm)
#define JMPR(op, dst, src, off) I(BPF_JMP | (op) | BPF_X, dst, src, off, 0)
#define JMP32(op, dst, imm, off) I(BPF_JMP32 | (op) | BPF_K, dst, 0, off, imm)
#define GOTO(off) I(BPF_JMP | BPF_JA, 0, 0, off, 0)
#define EXIT I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define RETURN_0 MOV(0, 0), EXIT
#define W BPF_W
#define DW BPF_DW

#endif
