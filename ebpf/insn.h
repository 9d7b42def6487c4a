/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions of BPF, for programs that are put together here. */
#ifndef EBPF_INSN_H
#define EBPF_INSN_H

#include <linux/bpf.h>
#include <stdint.h>

enum {
    INSN_MOVE = BPF_ALU64 | BPF_MOV | BPF_X,            /* all 64 bits */
    INSN_SET = BPF_ALU64 | BPF_MOV | BPF_K,
    INSN_ADD = BPF_ALU64 | BPF_ADD | BPF_X,
    INSN_ADD_CONST = BPF_ALU64 | BPF_ADD | BPF_K,
    INSN_MOVE32 = BPF_ALU | BPF_MOV | BPF_X,
    INSN_SET32 = BPF_ALU | BPF_MOV | BPF_K,
    INSN_SHIFT_RIGHT32 = BPF_ALU | BPF_RSH | BPF_K,
    INSN_MULTIPLY32 = BPF_ALU | BPF_MUL | BPF_K,
    INSN_ADD32 = BPF_ALU | BPF_ADD | BPF_X,
    INSN_NEGATE32 = BPF_ALU | BPF_NEG,
    INSN_SUBTRACT32 = BPF_ALU | BPF_SUB | BPF_K,
    INSN_TO_BE = BPF_ALU | BPF_END | BPF_TO_BE,         /* imm: bits */

    INSN_LOAD32 = BPF_LDX | BPF_MEM | BPF_W,
    INSN_LOAD64 = BPF_LDX | BPF_MEM | BPF_DW,
    INSN_STORE16 = BPF_STX | BPF_MEM | BPF_H,
    INSN_STORE32 = BPF_STX | BPF_MEM | BPF_W,
    INSN_STORE64 = BPF_STX | BPF_MEM | BPF_DW,
    INSN_LOAD_CONST = BPF_LD | BPF_IMM | BPF_DW,        /* takes two */

    INSN_JUMP = BPF_JMP | BPF_JA,
    INSN_IF_EQUAL = BPF_JMP | BPF_JEQ | BPF_K,
    INSN_IF_NOT_EQUAL = BPF_JMP | BPF_JNE | BPF_K,
    INSN_IF_ABOVE = BPF_JMP | BPF_JGT | BPF_K,
    INSN_IF_AT_MOST = BPF_JMP | BPF_JLE | BPF_K,
    INSN_IF_AT_MOST_REG = BPF_JMP | BPF_JLE | BPF_X,
    INSN_IF_EQUAL32 = BPF_JMP32 | BPF_JEQ | BPF_K,
    INSN_IF_LESS32 = BPF_JMP32 | BPF_JLT | BPF_K,
    INSN_IF_ABOVE_SIGNED32 = BPF_JMP32 | BPF_JSGT | BPF_K,
    INSN_CALL = BPF_JMP | BPF_CALL,
    INSN_EXIT = BPF_JMP | BPF_EXIT,
};

static inline struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src,
                                   int16_t off, int32_t imm)
{
    return (struct bpf_insn) {
        .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
    };
}

#endif
