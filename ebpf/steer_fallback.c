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
#include "insn.h"
#include "steer_fallback.h"

GArray *steer_fallback_compose(const struct bpf_insn *user, size_t count,
                               uint16_t limit)
{
    const struct bpf_insn head[] = {
        insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0),
        insn(INSN_CALL, 0, BPF_PSEUDO_CALL, 0, 14),     /* behind the head */
        insn(INSN_MOVE32, BPF_REG_7, BPF_REG_0, 0, 0),
        insn(INSN_IF_LESS32, BPF_REG_7, 0, 2, limit),
        insn(INSN_SET32, BPF_REG_0, 0, 0, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_get_hash_recalc),
        insn(INSN_SHIFT_RIGHT32, BPF_REG_0, 0, 0, 16),
        insn(INSN_MULTIPLY32, BPF_REG_0, 0, 0, STEER_FALLBACK_QUEUES),
        insn(INSN_ADD32, BPF_REG_0, BPF_REG_7, 0, 0),
        insn(INSN_MOVE32, BPF_REG_2, BPF_REG_0, 0, 0),
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_set_hash),
        insn(INSN_SET32, BPF_REG_0, 0, 0, -1),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    GArray *program = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));

    G_STATIC_ASSERT(G_N_ELEMENTS(head) == 2 + 14);
    g_array_append_vals(program, head, G_N_ELEMENTS(head));
    g_array_append_vals(program, user, count);
    return program;
}
