/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our part is a handful of instructions that call the user's program as a
 * subprogram behind them. So the user's program needs not know of filters, and
 * what it returns is judged where it cannot be forgotten.
 *
 * The action behind the filter, skbedit, takes the queue from the packet's
 * hash. The upper half of the hash stays: queueing disciplines that sort flows
 * by it still tell those of a queue apart.
 */
#include "steer_fallback.h"

static struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src,
                            int16_t off, int32_t imm)
{
    return (struct bpf_insn) {
        .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
    };
}

enum {
    MOVE = BPF_ALU64 | BPF_MOV | BPF_X,         /* all 64 bits */
    MOVE32 = BPF_ALU | BPF_MOV | BPF_X,
    SET32 = BPF_ALU | BPF_MOV | BPF_K,
    SHIFT_RIGHT32 = BPF_ALU | BPF_RSH | BPF_K,
    MULTIPLY32 = BPF_ALU | BPF_MUL | BPF_K,
    ADD32 = BPF_ALU | BPF_ADD | BPF_X,
    IF_LESS32 = BPF_JMP32 | BPF_JLT | BPF_K,
    CALL = BPF_JMP | BPF_CALL,
    EXIT = BPF_JMP | BPF_EXIT,
};

GArray *steer_fallback_compose(const struct bpf_insn *user, size_t count,
                               uint16_t limit)
{
    const struct bpf_insn head[] = {
        insn(MOVE, BPF_REG_6, BPF_REG_1, 0, 0),
        insn(CALL, 0, BPF_PSEUDO_CALL, 0, 14),          /* behind the head */
        insn(MOVE32, BPF_REG_7, BPF_REG_0, 0, 0),
        insn(IF_LESS32, BPF_REG_7, 0, 2, limit),
        insn(SET32, BPF_REG_0, 0, 0, 0),
        insn(EXIT, 0, 0, 0, 0),
        insn(MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(CALL, 0, 0, 0, BPF_FUNC_get_hash_recalc),
        insn(SHIFT_RIGHT32, BPF_REG_0, 0, 0, 16),
        insn(MULTIPLY32, BPF_REG_0, 0, 0, STEER_FALLBACK_QUEUES),
        insn(ADD32, BPF_REG_0, BPF_REG_7, 0, 0),
        insn(MOVE32, BPF_REG_2, BPF_REG_0, 0, 0),
        insn(MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(CALL, 0, 0, 0, BPF_FUNC_set_hash),
        insn(SET32, BPF_REG_0, 0, 0, -1),
        insn(EXIT, 0, 0, 0, 0),
    };
    GArray *program = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));

    G_STATIC_ASSERT(G_N_ELEMENTS(head) == 2 + 14);
    g_array_append_vals(program, head, G_N_ELEMENTS(head));
    g_array_append_vals(program, user, count);
    return program;
}
