/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's verifier on programs that were written by hand: attacks, each
 * refused at its instruction and for its reason, and beside them what is
 * allowed, which runs and returns what it should.
 */
#include <stdbool.h>
#include <string.h>

#include "bpfhv_run.h"

enum {
    MAX_INSNS = 16,         /* of a row */
    CTX_SIZE = sizeof(struct bpfhv_ctx) + 64,
    PRIV = sizeof(struct bpfhv_ctx),
    OUT = 4,                /* what any program here may write, but PRIV */
    BUFS = 128,
    STACK_LOW = -BPFHV_MAX_STACK,
    FUEL = 1000,
};

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

/**
 * Row: a program; behind its last instruction only zeros
 * @insn: where it is refused
 * @reason: why; NULL: it is accepted
 * @result: what it returns then, in a context of zeros
 */
typedef struct Row {
    const char *name;
    struct bpf_insn insns[MAX_INSNS];
    uint32_t insn;
    const char *reason;
    int32_t result;
} Row;

static const Row rows[] = {
    /* The form of a program */
    { "form/nothing", { END }, 0, "no instructions, or too many" },
    { "form/no-exit", { MOV(0, 0) }, 0, "the program runs over its end" },
    { "form/exit-is-skipped", { MOV(0, 0), JMP(BPF_JEQ, 0, 0, 1), EXIT,
                                MOV(0, 1) },
      3, "the program runs over its end" },
    { "form/jump-behind", { MOV(0, 0), GOTO(1), EXIT },
      1, "jump to where no instruction begins" },
    { "form/jump-before", { MOV(0, 0), GOTO(-3), EXIT },
      1, "jump to where no instruction begins" },
    { "form/jump-far", { MOV(0, 0), JMP(BPF_JEQ, 0, 0, 32767), EXIT },
      1, "jump to where no instruction begins" },
    { "form/jump-into-constant",
      { MOV(0, 0), JMP(BPF_JEQ, 0, 0, 1),
        I(BPF_LD | BPF_IMM | DW, 2, 0, 0, 1), I(0, 0, 0, 0, 0x95), EXIT },
      1, "jump to where no instruction begins" },
    { "form/never-reached", { RETURN_0, MOV(0, 1), EXIT },
      2, "instruction is never reached" },
    { "form/half-a-constant", { I(BPF_LD | BPF_IMM | DW, 0, 0, 0, 1) },
      0, "a constant of 64 bits without its second half" },
    { "form/second-half",
      { I(BPF_LD | BPF_IMM | DW, 0, 0, 0, 1), EXIT },
      0, "a constant of 64 bits without its second half" },
    { "form/register-11", { MOV(11, 0), RETURN_0 }, 0, "unknown register" },
    { "form/register-15", { MOVR(0, 15), EXIT }, 0, "unknown register" },
    { "form/frame-pointer", { ALU(BPF_ADD, 10, 8), RETURN_0 },
      0, "write to the frame pointer" },
    { "form/frame-pointer-loaded", { LD(DW, 10, 1, 0), RETURN_0 },
      0, "write to the frame pointer" },
    { "form/frame-pointer-constant",
      { I(BPF_LD | BPF_IMM | DW, 10, 0, 0, 1), I(0, 0, 0, 0, 0), RETURN_0 },
      0, "write to the frame pointer" },

    /* Instructions that have no business here */
    { "insn/call", { I(BPF_JMP | BPF_CALL, 0, 0, 0, 1), EXIT },
      0, "calls are not allowed" },
    { "insn/call-of-own", { I(BPF_JMP | BPF_CALL, 0, 1, 0, 1), EXIT, RETURN_0 },
      0, "calls are not allowed" },
    { "insn/call-of-kernel", { I(BPF_JMP | BPF_CALL, 0, 2, 0, 1), EXIT },
      0, "calls are not allowed" },
    { "insn/call-by-register",
      { I(BPF_JMP | BPF_CALL | BPF_X, 0, 1, 0, 0), EXIT },
      0, "calls are not allowed" },
    { "insn/map",
      { I(BPF_LD | BPF_IMM | DW, 1, 1, 0, 3), I(0, 0, 0, 0, 0), RETURN_0 },
      0, "maps and functions are not allowed" },
    { "insn/packet", { I(BPF_LD | BPF_ABS | W, 0, 0, 0, 0), EXIT },
      0, "unknown access to memory" },
    { "insn/atomic-add", { MOV(2, 1), ATOMIC(W, 1, PRIV, 2, BPF_ADD),
                           RETURN_0 },
      1, "no atomic operation but the exchange is allowed" },
    { "insn/compare-exchange", { MOV(2, 1),
                                 ATOMIC(W, 1, PRIV, 2, BPF_CMPXCHG), RETURN_0 },
      1, "no atomic operation but the exchange is allowed" },
    { "insn/exchange-of-a-byte", { MOV(2, 1),
                                   ATOMIC(BPF_B, 1, PRIV, 2, BPF_XCHG),
                                   RETURN_0 },
      1, "no atomic operation but the exchange is allowed" },
    { "insn/signed-load", { I(BPF_LDX | 0x80 | W, 0, 1, 0, 0), EXIT },
      0, "unknown access to memory" },
    { "insn/signed-division", { MOV(0, 1), MOV(2, 1),
                                I(BPF_ALU64 | BPF_DIV | BPF_X, 0, 2, 1, 0),
                                EXIT },
      2, "unknown arithmetic" },
    { "insn/signed-move", { MOV(2, 1),
                            I(BPF_ALU64 | BPF_MOV | BPF_X, 0, 2, 8, 0), EXIT },
      1, "unknown arithmetic" },
    { "insn/arithmetic-e0", { MOV(0, 0), I(BPF_ALU64 | 0xe0, 0, 0, 0, 0),
                              EXIT },
      1, "unknown arithmetic" },
    { "insn/swap-of-64-bits", { MOV(0, 0),
                                I(BPF_ALU64 | BPF_END, 0, 0, 0, 16), EXIT },
      1, "unknown byte swap" },
    { "insn/swap-24", { MOV(0, 0), ALU32(BPF_END, 0, 24), EXIT },
      1, "unknown byte swap" },
    { "insn/may-goto", { MOV(0, 0), I(BPF_JMP | 0xe0, 0, 0, 0, 0), EXIT },
      1, "unknown jump" },
    { "insn/long-goto", { MOV(0, 0), I(BPF_JMP32 | BPF_JA, 0, 0, 0, 0), EXIT },
      1, "unknown jump" },
    { "insn/exit-32", { MOV(0, 0), I(BPF_JMP32 | BPF_EXIT, 0, 0, 0, 0), EXIT },
      1, "unknown jump" },
    { "insn/field", { I(BPF_ALU64 | BPF_MOV | BPF_K, 0, 1, 0, 0), EXIT },
      0, "field not 0" },
    { "insn/field-of-exit", { MOV(0, 0), I(BPF_JMP | BPF_EXIT, 0, 0, 0, 1) },
      1, "field not 0" },
    { "insn/divide-by-0", { MOV(0, 1), ALU(BPF_DIV, 0, 0), EXIT },
      1, "division by zero" },
    { "insn/modulo-0", { MOV(0, 1), ALU32(BPF_MOD, 0, 0), EXIT },
      1, "division by zero" },
    { "insn/shift-64", { MOV(0, 1), ALU(BPF_LSH, 0, 64), EXIT },
      1, "shift by too many places" },
    { "insn/shift-32", { MOV(0, 1), ALU32(BPF_RSH, 0, 32), EXIT },
      1, "shift by too many places" },
    { "insn/shift-minus-1", { MOV(0, 1), ALU(BPF_ARSH, 0, -1), EXIT },
      1, "shift by too many places" },

    /* What was never set */
    { "unset/register", { MOVR(0, 2), EXIT }, 0, "register not set" },
    { "unset/operand", { MOV(0, 0), ALUR(BPF_ADD, 0, 9), EXIT },
      1, "register not set" },
    { "unset/compared", { JMP(BPF_JEQ, 5, 0, 0), RETURN_0 },
      0, "register not set" },
    { "unset/stored", { ST(W, 1, PRIV, 3), RETURN_0 }, 0, "register not set" },
    { "unset/address", { LD(W, 0, 7, 0), EXIT }, 0, "register not set" },
    { "unset/returned", { EXIT }, 0, "no value to return" },
    { "unset/on-one-way", { LD(W, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 1), MOV(0, 0),
                            EXIT },
      3, "no value to return" },
    { "unset/stack", { LD(DW, 0, 10, -8), EXIT },
      0, "read of the stack before it was written" },
    { "unset/half-of-stack", { STI(W, 10, -8, 0), LD(DW, 0, 10, -8), EXIT },
      1, "read of the stack before it was written" },
    { "unset/stack-on-one-way", { LD(W, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 1),
                                  STI(DW, 10, -8, 0), LD(DW, 0, 10, -8), EXIT },
      3, "read of the stack before it was written" },

    /* Pointers that would become numbers */
    { "leak/return", { MOVR(0, 1), EXIT }, 1, "a pointer is returned" },
    { "leak/return-stack", { MOVR(0, 10), EXIT }, 1, "a pointer is returned" },
    { "leak/return-sum", { MOVR(0, 1), ALU(BPF_ADD, 0, 8), EXIT },
      2, "a pointer is returned" },
    { "leak/store", { ST(DW, 1, PRIV, 1), RETURN_0 },
      0, "write of a pointer to the context" },
    { "leak/store-stack", { ST(DW, 1, PRIV, 10), RETURN_0 },
      0, "write of a pointer to the context" },
    { "leak/store-half", { ST(W, 1, PRIV, 1), RETURN_0 },
      0, "write of a pointer to the context" },
    { "leak/exchange", { ATOMIC(DW, 1, PRIV, 1, BPF_XCHG), RETURN_0 },
      0, "write of a pointer to the context" },
    { "leak/compare", { MOV(0, 0), JMP(BPF_JGT, 1, 1000, 0), EXIT },
      1, "comparison of a pointer" },
    { "leak/compare-with-0", { MOV(0, 0), JMP(BPF_JEQ, 1, 0, 0), EXIT },
      1, "comparison of a pointer" },
    { "leak/compare-two", { MOVR(2, 1), JMPR(BPF_JEQ, 1, 2, 0), RETURN_0 },
      1, "comparison of a pointer" },
    { "leak/test-bits", { MOV(2, 1), JMPR(BPF_JSET, 2, 1, 0), RETURN_0 },
      1, "comparison of a pointer" },
    { "leak/low-half", { MOV32R(0, 1), EXIT }, 0, "arithmetic on a pointer" },
    { "leak/add-32", { ALU32(BPF_ADD, 1, 8), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/mask", { ALU(BPF_AND, 1, -8), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/shift", { ALU(BPF_RSH, 1, 32), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/negate", { I(BPF_ALU64 | BPF_NEG, 1, 0, 0, 0), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/swap", { ALU32(BPF_END, 1, 64), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/difference", { MOVR(0, 1), ALUR(BPF_SUB, 0, 1), EXIT },
      1, "arithmetic on a pointer" },
    { "leak/difference-of-two", { MOVR(0, 1), ALUR(BPF_SUB, 0, 10), EXIT },
      1, "arithmetic on a pointer" },
    { "leak/number-minus-pointer", { MOV(0, 0), ALUR(BPF_SUB, 0, 1), EXIT },
      1, "arithmetic on a pointer" },
    { "leak/sum-of-two", { ALUR(BPF_ADD, 1, 1), RETURN_0 },
      0, "arithmetic on a pointer" },
    { "leak/half-from-stack", { ST(DW, 10, -8, 1), LD(W, 0, 10, -8), EXIT },
      1, "read of a part of a pointer" },
    { "leak/half-to-stack", { ST(W, 10, -8, 1), RETURN_0 },
      0, "write of a part of a pointer" },
    { "leak/rest-on-stack", { ST(DW, 10, -8, 1), STI(W, 10, -8, 0),
                              LD(DW, 0, 10, -8), EXIT },
      2, "read of the stack before it was written" },
    { "leak/other-half-on-stack", { ST(DW, 10, -8, 1), STI(W, 10, -8, 0),
                                    LD(W, 0, 10, -4), EXIT },
      2, "read of the stack before it was written" },
    { "leak/stack-on-one-way",
      { ST(DW, 10, -8, 1), LD(W, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 1),
        STI(DW, 10, -8, 0), LD(DW, 0, 10, -8), EXIT },
      4, "read of the stack before it was written" },
    { "leak/stack-on-the-other-way",
      { STI(DW, 10, -8, 0), STI(W, 10, -4, 0), LD(W, 2, 1, 0),
        JMP(BPF_JEQ, 2, 0, 1), ST(DW, 10, -8, 1), LD(DW, 0, 10, -8), EXIT },
      5, "read of the stack before it was written" },
    { "leak/register-on-one-way",
      { MOV(0, 0), LD(W, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 1), MOVR(0, 1), EXIT },
      4, "no value to return" },

    /* Numbers that would become pointers */
    { "forge/constant", { MOV(2, 4096), LD(W, 0, 2, 0), EXIT },
      1, "access by a number that is no pointer" },
    { "forge/from-context", { LD(DW, 2, 1, PRIV), LD(W, 0, 2, 0), EXIT },
      1, "access by a number that is no pointer" },
    { "forge/store", { LD(DW, 2, 1, PRIV), STI(W, 2, 0, 0), RETURN_0 },
      1, "access by a number that is no pointer" },
    { "forge/which-pointer",
      { MOVR(3, 1), LD(W, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 1), MOVR(3, 10),
        LD(W, 0, 3, -8), EXIT },
      4, "register not set" },

    /* The context's bounds */
    { "ctx/behind", { LD(W, 0, 1, CTX_SIZE), EXIT },
      0, "access outside of the context" },
    { "ctx/before", { LD(DW, 0, 1, -8), EXIT },
      0, "access outside of the context" },
    { "ctx/over-the-end", { ALU(BPF_ADD, 1, CTX_SIZE - 4), LD(DW, 0, 1, 0),
                            EXIT },
      1, "access outside of the context" },
    { "ctx/far-away", { MOV(2, 0x7fffffff), ALUR(BPF_ADD, 1, 2),
                        LD(BPF_B, 0, 1, 0), EXIT },
      2, "access outside of the context" },
    { "ctx/any-index", { LD(W, 2, 1, 0), ALUR(BPF_ADD, 1, 2),
                         LD(BPF_B, 0, 1, 0), EXIT },
      2, "access outside of the context" },
    { "ctx/negative-index", { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 7),
                              ALUR(BPF_SUB, 1, 2), LD(BPF_B, 0, 1, 0), EXIT },
      3, "access outside of the context" },
    { "ctx/one-too-many",
      { LD(W, 2, 1, 0), JMP(BPF_JGT, 2, 64, 4), ALU(BPF_LSH, 2, 5),
        ALUR(BPF_ADD, 1, 2), LD(W, 0, 1, PRIV - 32 + 64), EXIT, RETURN_0 },
      4, "access outside of the context" },
    { "ctx/signed-comparison",
      { LD(DW, 2, 1, 0), JMP(BPF_JSGT, 2, 8, 3), ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, 0), EXIT, RETURN_0 },
      3, "access outside of the context" },
    { "ctx/comparison-of-32-bits",
      { LD(DW, 2, 1, 0), JMP32(BPF_JGT, 2, 8, 3), ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, 0), EXIT, RETURN_0 },
      3, "access outside of the context" },
    { "ctx/wrong-side",
      { LD(W, 2, 1, 0), JMP(BPF_JLT, 2, 8, 3), ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, 0), EXIT, RETURN_0 },
      3, "access outside of the context" },
    { "ctx/wrong-side-by-jump",
      { LD(W, 2, 1, 0), JMP(BPF_JGT, 2, 8, 2), RETURN_0, ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, 0), EXIT },
      5, "access outside of the context" },
    { "ctx/wrong-side-of-the-source",
      { LD(W, 2, 1, 0), MOV(3, 8), JMPR(BPF_JGT, 3, 2, 3), ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, 0), EXIT, RETURN_0 },
      4, "access outside of the context" },
    { "ctx/checked-then-read-again",
      { LD(W, 2, 1, 0), JMP(BPF_JGT, 2, 8, 4), LD(W, 2, 1, 0),
        ALUR(BPF_ADD, 1, 2), LD(BPF_B, 0, 1, 0), EXIT, RETURN_0 },
      4, "access outside of the context" },
    { "ctx/product-wraps",
      { LD(DW, 2, 1, 0), ALU(BPF_MUL, 2, 8), ALU(BPF_RSH, 2, 60),
        ALUR(BPF_ADD, 1, 2), ALU(BPF_SUB, 1, 8), LD(BPF_B, 0, 1, 0), EXIT },
      5, "access outside of the context" },
    { "ctx/pointer-walks",
      { MOV(0, 0), MOV(2, 0), LD(W, 3, 1, 0), ALU(BPF_ADD, 1, 8),
        ALU(BPF_ADD, 2, 1), JMP(BPF_JLT, 2, 4, -4), EXIT },
      2, "access outside of the context" },
    { "ctx/loop-of-64-bits",
      { MOV(2, 0), MOVR(3, 1), ALUR(BPF_ADD, 3, 2), STI(BPF_B, 3, PRIV, 0),
        ALU(BPF_ADD, 2, 1), LD(W, 4, 1, 0), JMPR(BPF_JLT, 2, 4, -6),
        RETURN_0 },
      3, "access outside of the context" },
    { "ctx/odd", { LD(W, 0, 1, 2), EXIT }, 0, "access is not aligned" },
    { "ctx/odd-index",
      { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 7), ALU(BPF_LSH, 2, 1),
        ALUR(BPF_ADD, 1, 2), LD(W, 0, 1, 0), EXIT },
      4, "access is not aligned" },
    { "ctx/odd-mask",
      { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 14), ALUR(BPF_ADD, 1, 2),
        LD(W, 0, 1, 0), EXIT },
      3, "access is not aligned" },

    /* What is read-only */
    { "read-only/count", { STI(W, 1, 0, 0), RETURN_0 },
      0, "write to a part of the context that is read-only" },
    { "read-only/buffer", { STI(DW, 1, BUFS, 0), RETURN_0 },
      0, "write to a part of the context that is read-only" },
    { "read-only/last-buffer", { STI(W, 1, PRIV - 4, 0), RETURN_0 },
      0, "write to a part of the context that is read-only" },
    { "read-only/beside-out", { STI(DW, 1, 0, 0), RETURN_0 },
      0, "write to a part of the context that is read-only" },
    { "read-only/exchange", { MOV(2, 0), ATOMIC(W, 1, 0, 2, BPF_XCHG),
                              RETURN_0 },
      1, "write to a part of the context that is read-only" },
    { "read-only/any-index",
      { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 63), ALUR(BPF_ADD, 1, 2),
        STI(BPF_B, 1, PRIV - 1, 0), RETURN_0 },
      3, "write to a part of the context that is read-only" },

    /* The barrier */
    { "exchange/index",
      { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 4), ALUR(BPF_ADD, 1, 2),
        ATOMIC(W, 1, PRIV, 2, BPF_XCHG), RETURN_0 },
      3, "exchange not at a constant offset of the context" },
    { "exchange/odd", { MOV(2, 0), ATOMIC(W, 1, PRIV + 2, 2, BPF_XCHG),
                        RETURN_0 },
      1, "access is not aligned" },
    { "exchange/stack", { STI(DW, 10, -8, 0), MOV(2, 0),
                          ATOMIC(DW, 10, -8, 2, BPF_XCHG), RETURN_0 },
      2, "exchange not at a constant offset of the context" },

    /* The stack */
    { "stack/above", { STI(DW, 10, 0, 0), RETURN_0 },
      0, "access outside of the stack" },
    { "stack/further-above", { STI(W, 10, 4, 0), RETURN_0 },
      0, "access outside of the stack" },
    { "stack/fuel", { STI(DW, 10, STACK_LOW - 8, 0x7fffffff), RETURN_0 },
      0, "access outside of the stack" },
    { "stack/fuel-read", { LD(DW, 0, 10, STACK_LOW - 8), EXIT },
      0, "access outside of the stack" },
    { "stack/far-below", { STI(DW, 10, -512, 0), RETURN_0 },
      0, "access outside of the stack" },
    { "stack/index",
      { STI(DW, 10, -8, 0), LD(W, 2, 1, 0), ALU(BPF_AND, 2, 7), MOVR(3, 10),
        ALUR(BPF_SUB, 3, 2), LD(BPF_B, 0, 3, -1), EXIT },
      5, "access to the stack at an offset that is not constant" },
    { "stack/odd", { STI(W, 10, -6, 0), RETURN_0 },
      0, "access is not aligned" },

    /* What is allowed */
    { "good/return", { MOV(0, -7), EXIT }, .result = -7 },
    { "good/constant", { I(BPF_LD | BPF_IMM | DW, 0, 0, 0, 42),
                         I(0, 0, 0, 0, 1), EXIT }, .result = 42 },
    { "good/last-bytes", { ALU(BPF_ADD, 1, CTX_SIZE - 8), STI(DW, 1, 0, 9),
                           LD(DW, 0, 1, 0), EXIT }, .result = 9 },
    { "good/out", { STI(W, 1, OUT, 5), LD(W, 0, 1, OUT), EXIT },
      .result = 5 },
    { "good/forth-and-back", { ALU(BPF_ADD, 1, -64), STI(W, 1, PRIV + 64, 6),
                               LD(W, 0, 1, PRIV + 64), EXIT }, .result = 6 },
    { "good/index-masked",
      { LD(W, 2, 1, 0), ALU32(BPF_AND, 2, 63), ALU(BPF_LSH, 2, 5),
        ALUR(BPF_ADD, 2, 1), LD(DW, 0, 2, BUFS), EXIT } },
    { "good/index-compared",
      { LD(DW, 2, 1, 0), JMP(BPF_JGT, 2, 63, 4), ALU(BPF_LSH, 2, 5),
        ALUR(BPF_ADD, 1, 2), LD(DW, 0, 1, BUFS), EXIT, RETURN_0 } },
    { "good/index-compared-by-jump",
      { LD(W, 2, 1, 0), JMP(BPF_JLT, 2, 8, 2), RETURN_0, ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, CTX_SIZE - 8), EXIT } },
    { "good/index-as-the-source",
      { LD(W, 2, 1, 0), MOV(3, 8), JMPR(BPF_JLE, 3, 2, 3), ALUR(BPF_ADD, 1, 2),
        LD(BPF_B, 0, 1, CTX_SIZE - 8), EXIT, RETURN_0 } },
    { "good/pointer-on-stack",
      { ST(DW, 10, -256, 1), MOV(1, 0), LD(DW, 3, 10, -256),
        STI(W, 3, PRIV, 3), LD(W, 0, 3, PRIV), EXIT }, .result = 3 },
    { "good/number-on-stack",
      { LD(W, 2, 1, 0), ALU(BPF_AND, 2, 7), ST(W, 10, -4, 2),
        LD(W, 3, 10, -4), ALUR(BPF_ADD, 1, 3), LD(BPF_B, 0, 1, CTX_SIZE - 8),
        EXIT } },
    { "good/stack-by-a-copy", { MOVR(2, 10), ALU(BPF_ADD, 2, -16),
                                STI(W, 2, 4, 11), LD(W, 0, 10, -12), EXIT },
      .result = 11 },
    { "good/exchange", { MOV(0, 3), ATOMIC(W, 1, PRIV + 4, 0, BPF_XCHG),
                         LD(W, 2, 1, PRIV + 4), ALUR(BPF_ADD, 0, 2), EXIT },
      .result = 3 },
    { "good/swap", { MOV(0, 0x1234),
                     I(BPF_ALU | BPF_END | BPF_TO_BE, 0, 0, 0, 16), EXIT },
      .result = 0x3412 },
    { "good/divide-by-0", { MOV(0, 9), LD(W, 2, 1, 0), ALUR(BPF_DIV, 0, 2),
                            EXIT }, .result = 0 },
    { "good/modulo-0", { MOV(0, 9), LD(W, 2, 1, 0), ALUR(BPF_MOD, 0, 2), EXIT },
      .result = 9 },
    { "good/divide-by-low-0",
      { MOV(0, 9), MOV(2, 1), ALU(BPF_LSH, 2, 32), ALU32R(BPF_DIV, 0, 2),
        EXIT }, .result = 0 },
    { "good/modulo-low-0",
      { MOV(0, -1), MOV(2, 1), ALU(BPF_LSH, 2, 32), ALU32R(BPF_MOD, 0, 2),
        ALU(BPF_RSH, 0, 31), EXIT }, .result = 1 },
    { "good/shift-far", { MOV(0, 1), LD(W, 2, 1, 0), ALU(BPF_ADD, 2, 65),
                          ALUR(BPF_LSH, 0, 2), EXIT }, .result = 2 },
    { "good/shift-far-32", { MOV(0, 4), MOV(2, 33), ALU32R(BPF_RSH, 0, 2),
                             EXIT }, .result = 2 },
    { "good/loop", { MOV(0, 0), ALU(BPF_ADD, 0, 1), JMP(BPF_JLT, 0, 100, -2),
                     EXIT }, .result = 100 },
    { "good/loop-by-memory",
      { MOV(0, 0), MOVR(2, 0), ALU(BPF_AND, 2, 63), MOVR(3, 1),
        ALUR(BPF_ADD, 3, 2), STI(BPF_B, 3, PRIV, 1), ALU(BPF_ADD, 0, 1),
        LD(W, 4, 1, 0), ALU(BPF_ADD, 4, 80), JMPR(BPF_JLT, 0, 4, -9), EXIT },
      .result = 80 },
    { "good/back-to-the-begin",
      { LD(W, 0, 1, PRIV), ALU(BPF_ADD, 0, 1), ST(W, 1, PRIV, 0),
        JMP(BPF_JLT, 0, 5, -4), EXIT }, .result = 5 },

    /* No end but for the fuel */
    { "endless/itself", { MOV(0, 0), JMP(BPF_JEQ, 0, 0, -1), EXIT },
      .result = BPFHV_OUT_OF_FUEL },
    { "endless/goto", { GOTO(-1) }, .result = BPFHV_OUT_OF_FUEL },
    { "endless/two-loops",
      { MOV(0, 0), ALU(BPF_ADD, 0, 1), JMP(BPF_JGT, 0, 0, 1), GOTO(-3),
        JMP(BPF_JGT, 0, 3, -4), GOTO(-2) }, .result = BPFHV_OUT_OF_FUEL },
    { "endless/host-says-when",
      { LD(W, 0, 1, 0), JMP(BPF_JEQ, 0, 0, -2), EXIT },
      .result = BPFHV_OUT_OF_FUEL },
};

static const struct bpfhv_rules rules = {
    .ctx_size = CTX_SIZE, .fuel = FUEL,
    .writable = { { OUT, OUT + 4 }, { PRIV, CTX_SIZE } },
};

static uint32_t length(const struct bpf_insn *insns, uint32_t max)
{
    static const struct bpf_insn nothing;

    while (max && !memcmp(&insns[max - 1], &nothing, sizeof(nothing))) {
        max--;
    }
    return max;
}

static void check_run(const Row *row, const struct bpf_insn *insns, int count)
{
    uint8_t ctx[CTX_SIZE] = { 0 };
    BpfhvRun run = {
        .insns = insns, .count = count, .rules = &rules, .ctx = ctx,
        .source_count = length(row->insns, MAX_INSNS),
    };

    bpfhv_run(&run);
    g_assert_cmpstr(run.fault, ==, NULL);
    g_assert_cmpint(run.result, ==, row->result);
}

static void test_row(const void *data)
{
    const Row *row = data;
    uint32_t count = length(row->insns, MAX_INSNS);
    struct bpf_insn out[BPFHV_VERIFIED_INSNS(MAX_INSNS)];
    struct bpfhv_refusal refusal = { 0 };
    int ret = bpfhv_verify(row->insns, count, &rules, out, &refusal);

    g_assert_cmpstr(refusal.reason, ==, row->reason);
    if (row->reason) {
        g_assert_cmpint(ret, ==, -EACCES);
        g_assert_cmpuint(refusal.insn, ==, row->insn);
    } else {
        check_run(row, out, ret);
    }
}

/* @count times @body, then the end. */
static int verify_many(struct bpf_insn body, uint32_t count,
                       struct bpfhv_refusal *refusal)
{
    static const struct bpf_insn end[] = { RETURN_0 };
    g_autofree struct bpf_insn *insns = g_new(struct bpf_insn, count + 2);
    g_autofree struct bpf_insn *out =
        g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(count + 2));

    for (uint32_t i = 0; i < count; i++) {
        insns[i] = body;
    }
    memcpy(&insns[count], end, sizeof(end));
    return bpfhv_verify(insns, count + 2, &rules, out, refusal);
}

static void test_length(void)
{
    struct bpf_insn load = LD(W, 2, 1, 0);
    struct bpfhv_refusal refusal;

    g_assert_cmpint(verify_many(load, BPFHV_MAX_INSNS - 2, &refusal), >, 0);
    g_assert_cmpint(verify_many(load, BPFHV_MAX_INSNS - 1, &refusal), ==,
                    -EACCES);
    g_assert_cmpstr(refusal.reason, ==, "no instructions, or too many");
}

/* Each instruction is another one's target; the first is one anyway. */
static void test_targets(void)
{
    struct bpf_insn jump = GOTO(0);
    struct bpfhv_refusal refusal;

    g_assert_cmpint(verify_many(jump, 1023, &refusal), >, 0);
    g_assert_cmpint(verify_many(jump, 1024, &refusal), ==, -EACCES);
    g_assert_cmpstr(refusal.reason, ==, "too many jump targets");
}

/* The longest result: four instructions before each. */
static void test_longest(void)
{
    struct bpf_insn jump = JMP(BPF_JEQ, 0, 0, -1);
    struct bpfhv_refusal refusal;
    g_autofree struct bpf_insn *insns = g_new(struct bpf_insn, BPFHV_MAX_INSNS);
    g_autofree struct bpf_insn *out =
        g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(BPFHV_MAX_INSNS));
    struct bpf_insn zero = MOV(0, 0), leave = EXIT;
    int count;

    insns[0] = zero;
    for (int i = 1; i < BPFHV_MAX_INSNS - 1; i++) {
        insns[i] = jump;
        insns[i].off = -MIN(i, 1000);
    }
    insns[BPFHV_MAX_INSNS - 1] = leave;
    count = bpfhv_verify(insns, BPFHV_MAX_INSNS, &rules, out, &refusal);
    g_assert_cmpint(count, ==, -EACCES);
    g_assert_cmpstr(refusal.reason, ==, "too many jump targets");
    for (int i = 1; i < BPFHV_MAX_INSNS - 1; i++) {
        insns[i].off = -i;
    }
    count = bpfhv_verify(insns, BPFHV_MAX_INSNS, &rules, out, &refusal);
    g_assert_cmpint(count, ==, 1 + 5 * (BPFHV_MAX_INSNS - 2) + 2 + 2);
}

/* Loops in loops, whose numbers all grow: the verifier comes to an end. */
static void test_work(void)
{
    enum { DEPTH = 300 };
    struct bpf_insn zero = MOV(0, 0), leave = EXIT;
    struct bpfhv_refusal refusal = { 0 };
    g_autofree struct bpf_insn *insns = g_new(struct bpf_insn, 3 * DEPTH + 2);
    g_autofree struct bpf_insn *out =
        g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(3 * DEPTH + 2));
    int n = 0, ret;

    insns[n++] = zero;
    for (int i = 0; i < DEPTH; i++) {
        struct bpf_insn load = LD(W, 2, 1, 0), add = ALU(BPF_ADD, 0, 1 + i);
        struct bpf_insn jump = JMP(BPF_JLT, 2, 1000, 0);

        insns[n++] = load;
        insns[n++] = add;
        insns[n++] = jump;
        insns[n - 1].off = -3 * (i % 20) - 3;
        if (n + insns[n - 1].off < 0) {
            insns[n - 1].off = -n;
        }
    }
    insns[n++] = leave;
    ret = bpfhv_verify(insns, n, &rules, out, &refusal);
    g_assert_cmpint(ret, >, 0);
}

static void test_rules(void)
{
    struct bpfhv_rules r;

    g_assert_cmpint(bpfhv_rules_for(BPFHV_RX_PUBLISH, CTX_SIZE, &r), ==, 0);
    g_assert_cmpuint(r.ctx_size, ==, CTX_SIZE);
    g_assert_cmpint(bpfhv_rules_for(0, CTX_SIZE, &r), ==, -EINVAL);
    g_assert_cmpint(bpfhv_rules_for(4, CTX_SIZE, &r), ==, -EINVAL);
    g_assert_cmpint(bpfhv_rules_for(BPFHV_NUM_PROGRAMS, CTX_SIZE, &r), ==,
                    -EINVAL);
    g_assert_cmpint(bpfhv_rules_for(BPFHV_RX_PUBLISH, PRIV, &r), ==, 0);
    g_assert_cmpint(bpfhv_rules_for(BPFHV_RX_PUBLISH, PRIV - 8, &r), ==,
                    -EINVAL);
    g_assert_cmpint(bpfhv_rules_for(BPFHV_RX_PUBLISH, PRIV + 4, &r), ==,
                    -EINVAL);
    g_assert_cmpint(bpfhv_rules_for(BPFHV_TX_COMPLETE, BPFHV_MAX_CTX_SIZE + 8,
                                    &r), ==, -EINVAL);
}

/* Each kind of program writes its own part of the common one. */
static void test_writable(void)
{
    static const struct {
        unsigned program;
        int offset;
        bool good;
    } writes[] = {
        { BPFHV_TX_PUBLISH, offsetof(struct bpfhv_ctx, out), true },
        { BPFHV_TX_PUBLISH, offsetof(struct bpfhv_ctx, num_bufs), false },
        { BPFHV_TX_PUBLISH, BUFS, false },
        { BPFHV_TX_PUBLISH, PRIV, true },
        { BPFHV_RX_COMPLETE, offsetof(struct bpfhv_ctx, out), false },
        { BPFHV_RX_COMPLETE, offsetof(struct bpfhv_ctx, num_bufs), true },
        { BPFHV_RX_COMPLETE, BUFS, true },
        { BPFHV_RX_COMPLETE, PRIV - 4, true },
        { BPFHV_RX_COMPLETE, BUFS - 4, false },
        { BPFHV_RX_INTERRUPTS, offsetof(struct bpfhv_ctx, out), false },
        { BPFHV_RX_INTERRUPTS,
          offsetof(struct bpfhv_ctx, min_completed_bufs), false },
        { BPFHV_RX_INTERRUPTS, CTX_SIZE - 4, true },
    };

    for (int i = 0; i < G_N_ELEMENTS(writes); i++) {
        struct bpf_insn insns[] = { STI(W, 1, 0, 0), RETURN_0 };
        struct bpf_insn out[BPFHV_VERIFIED_INSNS(3)];
        struct bpfhv_refusal refusal;
        struct bpfhv_rules r;

        insns[0].off = writes[i].offset;
        g_assert_cmpint(bpfhv_rules_for(writes[i].program, CTX_SIZE, &r), ==,
                        0);
        g_assert_cmpint(bpfhv_verify(insns, 3, &r, out, &refusal) > 0, ==,
                        writes[i].good);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strconcat("/bpfhv/verify/", rows[i].name,
                                            NULL);

        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/bpfhv/verify/limit/length", test_length);
    g_test_add_func("/bpfhv/verify/limit/targets", test_targets);
    g_test_add_func("/bpfhv/verify/limit/longest", test_longest);
    g_test_add_func("/bpfhv/verify/limit/work", test_work);
    g_test_add_func("/bpfhv/verify/rules", test_rules);
    g_test_add_func("/bpfhv/verify/writable", test_writable);
    return g_test_run();
}
