// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The programs of tests/lib/bpfhv_attacks.c in a kernel: bpfhv_prog.c, which is
 * the driver's, takes or refuses them, and the kernel runs what it took. Prints
 * TAP to the kernel's log when it is loaded.
 *
 * A context is at the end of a page, behind which there is no memory.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "linux/bpfhv/bpfhv.h"

static char told[256];          /* by the driver, instead of to the log */

#undef bpfhv_error
#define bpfhv_error(card, ...) snprintf(told, sizeof(told), __VA_ARGS__)
#include "linux/bpfhv/bpfhv_prog.c"
#include "bpfhv_attacks.h"

enum {
    CTX_SIZE = BPFHV_ATTACKS_CTX_SIZE,
    PRIV = sizeof(struct bpfhv_ctx),
};

_Static_assert(CTX_SIZE <= PAGE_SIZE, "a context fits in a page");

static const struct program program = { BPFHV_ATTACKS_PROGRAM, "txp" };
static u8 *page;
static bool is_compiled;
static u32 number;

static void report(const char *name, bool is_good)
{
    pr_info("%s %u %s\n", is_good ? "ok" : "not ok", ++number, name);
}

static bool check_run(const struct bpf_prog *prog, s32 result)
{
    struct bpfhv_ctx *ctx = (void *)(page + PAGE_SIZE - CTX_SIZE);
    s32 got;

    memset(page, 0, PAGE_SIZE);
    got = bpf_prog_run_pin_on_cpu(prog, ctx);
    is_compiled = prog->jited;
    if (got != result) {
        pr_info("# returned %d, not %d\n", got, result);
        return false;
    }
    ctx->out = 0;
    memset((u8 *)ctx + PRIV, 0, CTX_SIZE - PRIV);
    if (memchr_inv(page, 0, PAGE_SIZE)) {
        pr_info("# wrote where it may not\n");
        return false;
    }
    return true;
}

/* The driver refuses it with this text, or, if that is empty, it is run. */
static bool check(const struct bpf_insn *insns, u32 count, const char *refusal,
                  s32 result)
{
    struct bpf_prog *prog;
    bool is_good = true;

    told[0] = 0;
    prog = prove(NULL, &program, insns, count, CTX_SIZE);
    if (strcmp(told, refusal)) {
        pr_info("# said '%s', not '%s'\n", told, refusal);
        is_good = false;
    }
    if (IS_ERR(prog)) {
        return is_good && PTR_ERR(prog) == -EACCES;
    }
    /* A program that should have been refused is not run. */
    is_good = is_good && check_run(prog, result);
    bpf_prog_free(prog);
    return is_good;
}

static void check_attack(const struct bpfhv_attack *attack)
{
    char refusal[sizeof(told)] = "";

    if (attack->reason) {
        snprintf(refusal, sizeof(refusal), "the device's program txp is "
                 "refused at instruction %u: %s\n", attack->insn,
                 attack->reason);
    }
    report(attack->name, check(attack->insns, bpfhv_attack_length(attack),
                               refusal, attack->result));
}

static bool check_longest(void)
{
    struct bpf_insn *insns = kvmalloc_array(BPFHV_MAX_INSNS, sizeof(*insns),
                                            GFP_KERNEL);
    bool is_good = false;

    if (insns) {
        bpfhv_longest(insns);
        is_good = check(insns, BPFHV_MAX_INSNS, "", BPFHV_OUT_OF_FUEL);
    }
    kvfree(insns);
    return is_good;
}

static int __init attacks_init(void)
{
    page = vmalloc(PAGE_SIZE);
    if (!page) {
        return -ENOMEM;
    }
    for (u32 i = 0; i < bpfhv_num_attacks; i++) {
        check_attack(&bpfhv_attacks[i]);
    }
    report("longest", check_longest());
    pr_info("1..%u\n", number);
    pr_info("# %s\n", is_compiled ? "compiled" : "interpreted");
    vfree(page);
    return 0;
}

/* So that it can be unloaded */
static void __exit attacks_exit(void)
{
}

module_init(attacks_init);
module_exit(attacks_exit);
MODULE_DESCRIPTION("Attacks on bpfhv's verifier");
MODULE_LICENSE("GPL");
