/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An XDP program behind a byte that says what it is translated for. What comes
 * out has to be a program: each jump and each call ends at an instruction, and
 * there is nothing in it that the translator does not know.
 */
#include <stdlib.h>
#include <string.h>

#include "ebpf/insn.h"
#include "ebpf/xdp_translate.h"

enum {
    FIRST_FD = 100,     /* of the maps; no instruction has such a number */
};

static const XdpMap maps[] = {
    { BPF_MAP_TYPE_ARRAY, 4, 64, FIRST_FD },
    { BPF_MAP_TYPE_HASH, 16, 8, FIRST_FD + 1 },
    { BPF_MAP_TYPE_ARRAY, 4, 8, FIRST_FD + 2 },
};

static void check_insn(const XdpCode *whole, unsigned at, const bool *first)
{
    const struct bpf_insn *insn = &whole->insns[at];
    int64_t to = (int64_t)at + 1 + insn->off;

    if (insn->dst_reg > BPF_REG_10 || insn->src_reg > BPF_REG_10) {
        abort();
    }
    if (insn->code == INSN_LOAD_CONST && insn->src_reg &&
        (insn->imm < FIRST_FD ||
         insn->imm >= FIRST_FD + (int)G_N_ELEMENTS(maps))) {
        abort();        /* the guest's number is taken for a descriptor */
    }
    if (xdp_is_call(insn)) {
        to = (int64_t)at + 1 + insn->imm;
    } else if (!xdp_is_jump(insn)) {
        return;
    }
    if (to < 0 || to >= whole->count || !first[to]) {
        abort();
    }
}

static void check(const GArray *insns)
{
    const XdpCode whole = {
        .insns = (const struct bpf_insn *)(const void *)insns->data,
        .count = insns->len,
    };
    g_autofree bool *first = g_new0(bool, whole.count);
    unsigned at;

    for (at = 0; at < whole.count; at += xdp_insn_len(&whole.insns[at])) {
        first[at] = true;
    }
    if (at != whole.count || whole.insns[at - 1].code != INSN_EXIT) {
        abort();
    }
    for (at = 0; at < whole.count; at += xdp_insn_len(&whole.insns[at])) {
        check_insn(&whole, at, first);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = size ? (size - 1) / sizeof(struct bpf_insn) : 0;
    g_autofree struct bpf_insn *insns = NULL;
    GError *error = NULL;
    GArray *answer;

    if (!count) {
        return 0;
    }
    const XdpTarget target = {
        .hook = data[0] & 1 ? XDP_HOOK_DEVMAP : XDP_HOOK_TC,
        .rewrite = data[0] & 2,
        .trusted = data[0] & 4,
        .gso_pass = data[0] & 8,
        .budget_fd = data[0] & 16 ? FIRST_FD : 0,
        .counters_fd = data[0] & 32 ? FIRST_FD : 0,
        .maps = maps,
        .n_maps = G_N_ELEMENTS(maps),
        .budget = XDP_BUDGET,
    };
    insns = g_new(struct bpf_insn, count);
    memcpy(insns, data + 1, count * sizeof(*insns));
    answer = xdp_translate(insns, count, &target, &error);
    if (!answer == !error) {
        abort();
    }
    if (answer) {
        check(answer);
        g_array_free(answer, TRUE);
    }
    g_clear_error(&error);
    return 0;
}
