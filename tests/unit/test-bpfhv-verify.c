/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's verifier on programs that were written by hand, see
 * bpfhv_attacks.h, and on such as are too long to be written so.
 */
#include <stdbool.h>
#include <string.h>

#include "bpfhv_attacks.h"
#include "bpfhv_run.h"

enum {
    MAX_INSNS = BPFHV_ATTACKS_MAX_INSNS,
    CTX_SIZE = BPFHV_ATTACKS_CTX_SIZE,
    PRIV = sizeof(struct bpfhv_ctx),
    BUFS = offsetof(struct bpfhv_ctx, bufs),
};

static struct bpfhv_rules rules;

static void check_run(const struct bpfhv_attack *attack,
                      const struct bpf_insn *insns, int count)
{
    uint8_t ctx[CTX_SIZE] = { 0 };
    BpfhvRun run = {
        .insns = insns, .count = count, .rules = &rules, .ctx = ctx,
        .source_count = bpfhv_attack_length(attack),
    };

    bpfhv_run(&run);
    g_assert_cmpstr(run.fault, ==, NULL);
    g_assert_cmpint(run.result, ==, attack->result);
}

static void test_attack(const void *data)
{
    const struct bpfhv_attack *attack = data;
    uint32_t count = bpfhv_attack_length(attack);
    struct bpf_insn out[BPFHV_VERIFIED_INSNS(MAX_INSNS)];
    struct bpfhv_refusal refusal = { 0 };
    int ret = bpfhv_verify(attack->insns, count, &rules, out, &refusal);

    g_assert_cmpstr(refusal.reason, ==, attack->reason);
    if (attack->reason) {
        g_assert_cmpint(ret, ==, -EACCES);
        g_assert_cmpuint(refusal.insn, ==, attack->insn);
    } else {
        check_run(attack, out, ret);
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

/* The longest result; with other targets they are too many. */
static void test_longest(void)
{
    struct bpfhv_refusal refusal;
    g_autofree struct bpf_insn *insns = g_new(struct bpf_insn, BPFHV_MAX_INSNS);
    g_autofree struct bpf_insn *out =
        g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(BPFHV_MAX_INSNS));
    int count;

    bpfhv_longest(insns);
    count = bpfhv_verify(insns, BPFHV_MAX_INSNS, &rules, out, &refusal);
    g_assert_cmpint(count, ==, 1 + 5 * (BPFHV_MAX_INSNS - 2) + 2 + 2);
    for (int i = 1000; i < BPFHV_MAX_INSNS - 1; i++) {
        insns[i].off = -1000;
    }
    count = bpfhv_verify(insns, BPFHV_MAX_INSNS, &rules, out, &refusal);
    g_assert_cmpint(count, ==, -EACCES);
    g_assert_cmpstr(refusal.reason, ==, "too many jump targets");
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
    g_assert_cmpint(bpfhv_rules_for(BPFHV_ATTACKS_PROGRAM, CTX_SIZE, &rules),
                    ==, 0);
    for (int i = 0; i < bpfhv_num_attacks; i++) {
        g_autofree char *path = g_strconcat("/bpfhv/verify/",
                                            bpfhv_attacks[i].name, NULL);

        g_test_add_data_func(path, &bpfhv_attacks[i], test_attack);
    }
    g_test_add_func("/bpfhv/verify/limit/length", test_length);
    g_test_add_func("/bpfhv/verify/limit/targets", test_targets);
    g_test_add_func("/bpfhv/verify/limit/longest", test_longest);
    g_test_add_func("/bpfhv/verify/limit/work", test_work);
    g_test_add_func("/bpfhv/verify/rules", test_rules);
    g_test_add_func("/bpfhv/verify/writable", test_writable);
    return g_test_run();
}
