/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's verifier on programs that nobody wrote: those of ebpf/bpfhv
 * with some instructions changed at random. Whichever is accepted runs on
 * contexts of random content, a part of which changes while it runs, and must
 * do nothing that the verifier promises it does not.
 *
 *     test-bpfhv-mutants OBJECT... [MUTANTS SECONDS]
 */
#include <stdbool.h>
#include <string.h>

#include "bpfhv_programs.h"
#include "bpfhv_run.h"
#include "ebpf/bpfhv_ring.h"
#include "limit.h"

enum {
    MAX_CHANGES = 4,
    RUNS = 3,               /* of a mutant that was accepted */
    FUEL = 3000,
    MAX_BASES = BPFHV_NUM_MODELS * BPFHV_NUM_PROGRAMS,
    ENOUGH = 2000,          /* mutants, of which so many percent are accepted */
    MIN_ACCEPTED = 2,
};

typedef struct Mutant {
    struct bpf_insn insns[BPFHV_MAX_INSNS];
    uint32_t count;
    const struct bpfhv_rules *rules;
} Mutant;

static const BpfhvProgram *bases[MAX_BASES];
static int num_bases;
static Limit limit = { 10000000, 8 };

static int below(int end)
{
    return g_test_rand_int_range(0, end);
}

static int interesting(void)
{
    static const int numbers[] = {
        0, 1, -1, 2, 3, 4, 7, 8, -8, 16, 31, 32, 63, 64, 127, 128, 255, 256,
        -256, -264, 2175, 2176, 2180, 2304, 2432, 2560, 4095, 65535,
        0x7fffffff, -0x7fffffff - 1,
    };

    switch (below(4)) {
    case 0:
        return g_test_rand_int() >> below(32);
    case 1:
        return below(64);
    default:
        return numbers[below(G_N_ELEMENTS(numbers))];
    }
}

static uint8_t some_code(void)
{
    static const uint8_t classes[] = {
        BPF_ALU, BPF_ALU64, BPF_ALU64, BPF_JMP, BPF_JMP32, BPF_LDX, BPF_ST,
        BPF_STX,
    };
    uint8_t code = classes[below(G_N_ELEMENTS(classes))];

    switch (code) {
    case BPF_ALU:
    case BPF_ALU64:
    case BPF_JMP:
    case BPF_JMP32:
        return code | below(14) << 4 | below(2) << 3;
    default:
        return code | below(4) << 3 | (below(16) ? BPF_MEM : BPF_ATOMIC);
    }
}

static void remove_insn(Mutant *m, int at)
{
    m->count--;
    memmove(&m->insns[at], &m->insns[at + 1],
            (m->count - at) * sizeof(*m->insns));
}

static void insert(Mutant *m, int at, struct bpf_insn insn)
{
    memmove(&m->insns[at + 1], &m->insns[at],
            (m->count - at) * sizeof(*m->insns));
    m->insns[at] = insn;
    m->count++;
}

static struct bpf_insn some_insn(void)
{
    const BpfhvProgram *base = bases[below(num_bases)];

    return base->insns[below(base->count)];
}

static void change(Mutant *m)
{
    int at = below(m->count);
    struct bpf_insn *insn = &m->insns[at];
    bool by_reg = BPF_SRC(insn->code) == BPF_X;

    switch (below(12)) {
    case 0:
        insn->code = some_code();
        insn->src_reg = by_reg ? below(11) : 0;
        insn->imm = by_reg ? 0 : interesting();
        break;
    case 1:
        insn->code ^= 1 << below(8);
        break;
    case 2:
    case 3:
        insn->dst_reg = below(11);
        break;
    case 4:
    case 5:
        insn->src_reg = below(11);
        break;
    case 6:
        insn->off += below(33) - 16;
        break;
    case 7:
        insn->off = interesting();
        break;
    case 8:
        insn->imm = interesting();
        break;
    case 9:
        if (m->count > 2) {
            remove_insn(m, at);
        }
        break;
    default:
        insert(m, at, some_insn());
        break;
    }
}

static void make(Mutant *m)
{
    const BpfhvProgram *base = bases[below(num_bases)];

    m->count = base->count;
    m->rules = &base->rules;
    memcpy(m->insns, base->insns, base->count * sizeof(*base->insns));
    for (int i = 1 + below(MAX_CHANGES); i; i--) {
        change(m);
    }
}

static void fill(uint8_t *ctx, uint32_t size, GRand *random)
{
    uint32_t mask = g_rand_boolean(random) ? ~0u :
                    ~0u >> g_rand_int_range(random, 0, 32);

    for (uint32_t i = 0; i + 4 <= size; i += 4) {
        uint32_t value = g_rand_int(random) & mask;

        memcpy(&ctx[i], &value, 4);
    }
}

static void show(const Mutant *m, const BpfhvRun *run)
{
    g_test_message("%s, at %u of the result of:", run->fault, run->insn);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct bpf_insn *insn = &m->insns[i];

        g_test_message("%4u: code %02x dst %u src %u off %d imm %d", i,
                       insn->code, insn->dst_reg, insn->src_reg, insn->off,
                       insn->imm);
    }
}

static void check_runs(const Mutant *m, const struct bpf_insn *out, int count,
                       uint8_t *ctx, GRand *random)
{
    struct bpfhv_rules rules = *m->rules;
    BpfhvRun run = {
        .insns = out, .count = count, .source_count = m->count,
        .rules = &rules, .ctx = ctx, .lies = random,
    };

    rules.fuel = FUEL;
    for (int i = 0; i < RUNS; i++) {
        fill(ctx, rules.ctx_size, random);
        if (!bpfhv_run(&run)) {
            show(m, &run);
            g_assert_cmpstr(run.fault, ==, NULL);
        }
    }
}

static void test_mutants(void)
{
    Mutant *m = g_new(Mutant, 1);
    struct bpf_insn *out =
        g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(BPFHV_MAX_INSNS));
    g_autofree uint8_t *ctx = g_malloc(BPFHV_MAX_CTX_SIZE);
    GRand *random = g_rand_new_with_seed(g_test_rand_int());
    gint64 begin = g_get_monotonic_time();
    uint64_t mutants = 0, accepted = 0;

    while (!limit_is_over(&limit, mutants, begin)) {
        struct bpfhv_rules rules;
        struct bpfhv_refusal refusal;
        int count;

        make(m);
        rules = *m->rules;
        rules.fuel = FUEL;
        count = bpfhv_verify(m->insns, m->count, &rules, out, &refusal);
        mutants++;
        if (count > 0) {
            accepted++;
            check_runs(m, out, count, ctx, random);
        }
    }
    g_test_message("| %" G_GUINT64_FORMAT " mutants, %" G_GUINT64_FORMAT
                   " accepted, each run %d times", mutants, accepted, RUNS);
    if (mutants >= ENOUGH) {
        g_assert_cmpuint(accepted * 100, >=, mutants * MIN_ACCEPTED);
    }
    g_rand_free(random);
    g_free(out);
    g_free(m);
}

int main(int argc, char **argv)
{
    BpfhvPrograms *programs[BPFHV_NUM_MODELS];
    int ret;

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, >, BPFHV_NUM_MODELS);
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        programs[i] = bpfhv_programs_read(argv[1 + i],
                                          bpfhv_models[i].ctx_size);
        for (int k = 0; k < BPFHV_NUM_PROGRAMS; k++) {
            if (programs[i]->program[k].section) {
                bases[num_bases++] = &programs[i]->program[k];
            }
        }
    }
    limit = limit_from_args(argc - BPFHV_NUM_MODELS, argv + BPFHV_NUM_MODELS,
                            limit);
    g_test_add_func("/bpfhv/mutants", test_mutants);
    ret = g_test_run();
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        bpfhv_programs_free(programs[i]);
    }
    return ret;
}
