/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier's sets of numbers: whatever is done to members of a range, the
 * result is a member of the range that the same was done to.
 */
#include <glib.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpfhv_run.h"
#include "linux/bpfhv/bpfhv_range.h"

enum { ROUNDS = 200000, MEMBERS = 6 };

typedef struct bpfhv_range Range;

static const unsigned ops[] = {
    BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH,
    BPF_NEG, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH,
};

static const unsigned jumps[] = {
    BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT,
    BPF_JLE, BPF_JSLT, BPF_JSLE,
};

static uint64_t random64(void)
{
    uint64_t value = (uint64_t)g_test_rand_int() << 32 |
                     (uint32_t)g_test_rand_int();

    /* All magnitudes, and the ends of the intervals of 32 and 64 bits. */
    value >>= g_test_rand_int_range(0, 64);
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return -(value & 0xff);
    case 1:
        return UINT32_MAX - (value & 0xff);
    case 2:
        return INT32_MAX + (value & 3);
    default:
        return value;
    }
}

/* By what the functions make: it has all kinds of steps and widths. */
static Range random_range(void)
{
    Range a = bpfhv_range_const(random64());

    if (g_test_rand_int_range(0, 4) == 0) {
        a = bpfhv_range_bits(8 << g_test_rand_int_range(0, 4));
    }
    for (int i = g_test_rand_int_range(0, 4); i; i--) {
        Range b = bpfhv_range_const(random64());

        a = g_test_rand_int_range(0, 2) ? bpfhv_range_join(a, b) :
            bpfhv_range_alu(ops[g_test_rand_int_range(0, G_N_ELEMENTS(ops))],
                            a, b, g_test_rand_int_range(0, 2));
    }
    return a;
}

static bool has(Range a, uint64_t value)
{
    return value >= a.lo && value <= a.hi &&
           (a.step == 64 || (value - a.lo) % (1ull << a.step) == 0);
}

static uint64_t member(Range a)
{
    uint64_t steps;

    if (a.step == 64) {
        return a.lo;
    }
    steps = (a.hi - a.lo) >> a.step;
    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        return a.lo;
    case 1:
        return a.hi;
    default:
        return a.lo + ((steps == UINT64_MAX ? random64() :
                        random64() % (steps + 1)) << a.step);
    }
}

static uint64_t compute(unsigned op, bool is64, uint64_t a, uint64_t b)
{
    unsigned places;

    if (!is64) {
        a = (uint32_t)a;
        b = (uint32_t)b;
    }
    places = b & (is64 ? 63 : 31);
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return b ? a / b : 0;
    case BPF_MOD: return b ? a % b : a;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << places;
    case BPF_RSH: return a >> places;
    case BPF_NEG: return -b;
    case BPF_MOV: return b;
    default:
        return is64 ? (int64_t)a >> places : (int32_t)a >> places;
    }
}

static void check(Range a, uint64_t value, const char *what, unsigned op,
                  Range x, Range y)
{
    if (!has(a, value) || (a.lo == a.hi) != (a.step == 64) || !has(a, a.hi)) {
        g_error("%s 0x%x of {%#" PRIx64 ", %#" PRIx64 ", %u} and "
                "{%#" PRIx64 ", %#" PRIx64 ", %u} is "
                "{%#" PRIx64 ", %#" PRIx64 ", %u} without %#" PRIx64,
                what, op, (uint64_t)x.lo, (uint64_t)x.hi, x.step,
                (uint64_t)y.lo, (uint64_t)y.hi, y.step,
                (uint64_t)a.lo, (uint64_t)a.hi, a.step, value);
    }
}

static void test_alu(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        Range a = random_range(), b = random_range();
        unsigned op = ops[round % G_N_ELEMENTS(ops)];
        bool is64 = g_test_rand_int_range(0, 2);
        Range result = bpfhv_range_alu(op, a, b, is64);

        for (int i = 0; i < MEMBERS; i++) {
            uint64_t value = compute(op, is64, member(a), member(b));

            check(result, is64 ? value : (uint32_t)value,
                  is64 ? "alu64" : "alu32", op, a, b);
        }
    }
}

static void test_union(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        Range a = random_range(), b = random_range();

        check(bpfhv_range_join(a, b), member(a), "join", 0, a, b);
        check(bpfhv_range_join(a, b), member(b), "join", 0, a, b);
        check(bpfhv_range_widen(a, b), member(a), "widen", 0, a, b);
        check(bpfhv_range_widen(a, b), member(b), "widen", 0, a, b);
    }
}

/* However much comes, a range that is widened soon stays as it is. */
static void test_widening_ends(void)
{
    for (int round = 0; round < 2000; round++) {
        Range a = random_range();
        int changes = 0;

        for (int i = 0; i < 2000; i++) {
            Range wide = bpfhv_range_widen(a, random_range());

            changes += !bpfhv_range_same(a, wide);
            a = wide;
        }
        g_assert_cmpint(changes, <=, 72);
    }
}

static void test_branch(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        Range a = random_range(), b = random_range();
        unsigned op = jumps[round % G_N_ELEMENTS(jumps)];
        bool is64 = g_test_rand_int_range(0, 2);

        for (int i = 0; i < MEMBERS; i++) {
            uint64_t x = member(a), y = member(b);
            Range narrow_a = a, narrow_b = b;

            bpfhv_range_branch(op, is64, bpfhv_compare(op, is64, x, y),
                               &narrow_a, &narrow_b);
            check(narrow_a, x, "branch, left,", op, a, b);
            check(narrow_b, y, "branch, right,", op, a, b);
        }
    }
}

/* What proofs rest on: an index that is masked, shifted, added. */
static void test_index(void)
{
    Range a = bpfhv_range_alu(BPF_AND, bpfhv_range_bits(32),
                              bpfhv_range_const(63), 0);

    a = bpfhv_range_alu(BPF_LSH, a, bpfhv_range_const(5), 1);
    a = bpfhv_range_alu(BPF_ADD, a, bpfhv_range_const(128), 1);
    g_assert_cmpuint(a.lo, ==, 128);
    g_assert_cmpuint(a.hi, ==, 128 + 63 * 32);
    g_assert_cmpuint(a.step, ==, 5);
}

/* A comparison with a constant. */
static void test_bound(void)
{
    Range limit = bpfhv_range_const(64);
    Range a = bpfhv_range_bits(64);

    bpfhv_range_branch(BPF_JLT, 1, 1, &a, &limit);
    g_assert_cmpuint(a.hi, ==, 63);
    bpfhv_range_branch(BPF_JGT, 1, 0, &limit, &a);
    g_assert_cmpuint(a.lo, ==, 0);
    a = bpfhv_range_bits(64);
    bpfhv_range_branch(BPF_JSLT, 1, 1, &a, &limit);
    g_assert_cmpuint(a.hi, ==, UINT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bpfhv/range/alu", test_alu);
    g_test_add_func("/bpfhv/range/union", test_union);
    g_test_add_func("/bpfhv/range/widening-ends", test_widening_ends);
    g_test_add_func("/bpfhv/range/branch", test_branch);
    g_test_add_func("/bpfhv/range/index", test_index);
    g_test_add_func("/bpfhv/range/bound", test_bound);
    return g_test_run();
}
