// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs: copied from the device's window, verified, handed to the kernel.
 *
 * The kernel does not look at them again (bpf_check() is for programs that come
 * by the system call), so what makes them safe to run is bpfhv_verify() alone.
 */
#include <linux/filter.h>
#include <linux/slab.h>

#include "bpfhv.h"
#include "bpfhv_verify.h"

/**
 * struct program: one that a device has
 * @number: bpfhv_program
 * @name: its section
 */
static const struct program {
    u32 number;
    const char *name;
} programs[2][BPFHV_NUM_STEPS] = {
    {
        [BPFHV_PUBLISH] = { BPFHV_RX_PUBLISH, "rxp" },
        [BPFHV_COMPLETE] = { BPFHV_RX_COMPLETE, "rxc" },
        [BPFHV_INTERRUPTS] = { BPFHV_RX_INTERRUPTS, "rxi" },
    },
    {
        [BPFHV_PUBLISH] = { BPFHV_TX_PUBLISH, "txp" },
        [BPFHV_COMPLETE] = { BPFHV_TX_COMPLETE, "txc" },
        [BPFHV_INTERRUPTS] = { BPFHV_TX_INTERRUPTS, "txi" },
    },
};

/* Copy a program of @count instructions; each word is read once. */
static struct bpf_insn *fetch(struct bpfhv_card *card, u32 count)
{
    u32 *words = kvmalloc_array(count, sizeof(struct bpf_insn), GFP_KERNEL);

    if (!words) {
        return NULL;
    }
    for (u32 i = 0; i < count * sizeof(struct bpf_insn) / sizeof(*words); i++) {
        words[i] = ioread32(card->window + i * sizeof(*words));
    }
    return (struct bpf_insn *)words;
}

/* Have the kernel make machine code, or what its interpreter takes. */
static struct bpf_prog *make_runnable(const struct bpf_insn *insns, u32 count)
{
    struct bpf_prog *prog = bpf_prog_alloc(bpf_prog_size(count), 0);
    int error = 0;

    if (!prog) {
        return ERR_PTR(-ENOMEM);
    }
    memcpy(prog->insnsi, insns, count * sizeof(*insns));
    prog->len = count;
    prog->type = BPF_PROG_TYPE_SOCKET_FILTER;
    prog->aux->stack_depth = BPFHV_VERIFIED_STACK;
    prog = bpf_prog_select_runtime(prog, &error);
    if (error) {
        bpf_prog_free(prog);
        return ERR_PTR(error);
    }
    return prog;
}

/* Verify a copy, and make of it what the kernel runs. */
static struct bpf_prog *prove(struct bpfhv_card *card,
                              const struct program *program,
                              const struct bpf_insn *insns, u32 count,
                              u32 ctx_size)
{
    struct bpfhv_refusal refusal;
    struct bpfhv_rules rules;
    struct bpf_prog *prog;
    struct bpf_insn *out;
    int ret = bpfhv_rules_for(program->number, ctx_size, &rules);

    if (ret) {
        bpfhv_error(card, "the device's contexts have %u bytes, "
                    "which is not supported\n", ctx_size);
        return ERR_PTR(ret);
    }
    out = kvmalloc_array(BPFHV_VERIFIED_INSNS(count), sizeof(*out), GFP_KERNEL);
    if (!out) {
        return ERR_PTR(-ENOMEM);
    }
    ret = bpfhv_verify(insns, count, &rules, out, &refusal);
    if (ret == -EACCES) {
        bpfhv_error(card, "the device's program %s is refused "
                    "at instruction %u: %s\n", program->name, refusal.insn,
                    refusal.reason);
    }
    prog = ret < 0 ? ERR_PTR(ret) : make_runnable(out, ret);
    if (ret >= 0 && IS_ERR(prog)) {
        bpfhv_error(card, "the kernel cannot run the device's program %s "
                    "(%ld)\n", program->name, PTR_ERR(prog));
    }
    kvfree(out);
    return prog;
}

static struct bpf_prog *load(struct bpfhv_card *card,
                             const struct program *program, u32 ctx_size)
{
    struct bpf_insn *insns;
    struct bpf_prog *prog;
    u32 count;

    bpfhv_write(card, BPFHV_REG_PROG_SELECT, program->number);
    count = bpfhv_read(card, BPFHV_REG_PROG_SIZE);
    if (!count || count > BPFHV_MAX_INSNS) {
        bpfhv_error(card, "the device's program %s has %u instructions, "
                    "not 1 to %u\n", program->name, count, BPFHV_MAX_INSNS);
        return ERR_PTR(-EINVAL);
    }
    insns = fetch(card, count);
    if (!insns) {
        return ERR_PTR(-ENOMEM);
    }
    prog = prove(card, program, insns, count, ctx_size);
    kvfree(insns);
    return prog;
}

int bpfhv_load_programs(struct bpfhv_card *card)
{
    for (int tx = 0; tx < 2; tx++) {
        u32 ctx_size = tx ? card->tx_ctx_size : card->rx_ctx_size;

        for (int step = 0; step < BPFHV_NUM_STEPS; step++) {
            struct bpf_prog *prog = load(card, &programs[tx][step], ctx_size);

            if (IS_ERR(prog)) {
                bpfhv_unload_programs(card);
                return PTR_ERR(prog);
            }
            card->programs[tx][step] = prog;
        }
    }
    if (!card->programs[0][0]->jited) {
        dev_warn_once(&card->pdev->dev, "the kernel interprets the device's "
                      "programs, which is slow: see net.core.bpf_jit_enable\n");
    }
    return 0;
}

void bpfhv_unload_programs(struct bpfhv_card *card)
{
    for (int tx = 0; tx < 2; tx++) {
        for (int step = 0; step < BPFHV_NUM_STEPS; step++) {
            if (card->programs[tx][step]) {
                bpf_prog_free(card->programs[tx][step]);
                card->programs[tx][step] = NULL;
            }
        }
    }
}
