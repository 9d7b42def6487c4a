// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Intervals with a step. A step tells of alignment, which an interval alone
 * does not: 128 + 32 * i, with i from 0 to 63, is {128, 2144, 5}.
 *
 * Everything is modulo 2^64, and an interval does not wrap: where a result
 * would, it becomes all numbers that have its low bits.
 */
#include <linux/bpf.h>

#include "bpfhv_range.h"

#define ALL_BITS (~(__u64)0)
#define LOW32 ((__u64)0xffffffff)

/* 2^@bits - 1 */
static __u64 low_bits(unsigned int bits)
{
    return bits < 64 ? ((__u64)1 << bits) - 1 : ALL_BITS;
}

static unsigned int min_step(unsigned int a, unsigned int b)
{
    return a < b ? a : b;
}

/* How many of the low bits are 0; 64 for 0. */
static unsigned int trailing_zeros(__u64 value)
{
    return value ? __builtin_ctzll(value) : 64;
}

/* The least 2^n - 1 that is not less than @value. */
static __u64 fill(__u64 value)
{
    return value ? low_bits(64 - __builtin_clzll(value)) : 0;
}

static struct bpfhv_range make(__u64 lo, __u64 hi, unsigned int step)
{
    struct bpfhv_range range = { lo, hi, lo == hi ? 64 : step };

    return range;
}

/* All numbers up to @max whose low @step bits are those of @like. */
static struct bpfhv_range up_to(__u64 max, __u64 like, unsigned int step)
{
    __u64 low = like & low_bits(step);

    return make(low, low + ((max - low) & ~low_bits(step)), step);
}

/* The same in so many @bits. */
static struct bpfhv_range any(unsigned int bits, __u64 like, unsigned int step)
{
    return up_to(low_bits(bits), like, min_step(step, bits));
}

static int is_const(struct bpfhv_range a)
{
    return a.lo == a.hi;
}

struct bpfhv_range bpfhv_range_const(__u64 value)
{
    return make(value, value, 64);
}

struct bpfhv_range bpfhv_range_bits(unsigned int bits)
{
    return any(bits, 0, 0);
}

struct bpfhv_range bpfhv_range_low32(struct bpfhv_range a)
{
    if (a.lo >> 32 == a.hi >> 32) {
        return make(a.lo & LOW32, a.hi & LOW32, a.step);
    }
    return any(32, a.lo, a.step);
}

/* From @lo on, as wide as @a and @b together. */
static struct bpfhv_range sum(__u64 lo, struct bpfhv_range a,
                              struct bpfhv_range b)
{
    __u64 width = (a.hi - a.lo) + (b.hi - b.lo);
    unsigned int step = min_step(a.step, b.step);

    if (width < a.hi - a.lo || lo + width < lo) {
        return any(64, lo, step);
    }
    return make(lo, lo + width, step);
}

static struct bpfhv_range product(struct bpfhv_range a, struct bpfhv_range b)
{
    unsigned int step = 0;
    __u64 hi;

    if (is_const(a)) {
        struct bpfhv_range swap = a;

        a = b;
        b = swap;
    }
    if (is_const(b)) {
        step = min_step(a.step + trailing_zeros(b.lo), 64);
    }
    if (__builtin_mul_overflow(a.hi, b.hi, &hi)) {
        return any(64, a.lo * b.lo, step);
    }
    return make(a.lo * b.lo, hi, step);
}

static struct bpfhv_range and(struct bpfhv_range a, struct bpfhv_range b)
{
    unsigned int step = min_step(a.step, b.step);
    __u64 max = a.hi < b.hi ? a.hi : b.hi;

    if (is_const(a)) {
        struct bpfhv_range swap = a;

        a = b;
        b = swap;
    }
    if (is_const(b)) {
        unsigned int zeros = trailing_zeros(b.lo);

        if (b.lo == fill(b.lo) && a.hi <= b.lo) {
            return a;       /* a mask that takes nothing away */
        }
        step = a.step > zeros ? a.step : zeros;
    }
    return up_to(max, a.lo & b.lo, step);
}

static struct bpfhv_range or(struct bpfhv_range a, struct bpfhv_range b)
{
    return up_to(fill(a.hi | b.hi), a.lo | b.lo, min_step(a.step, b.step));
}

static struct bpfhv_range xor(struct bpfhv_range a, struct bpfhv_range b)
{
    return up_to(fill(a.hi | b.hi), a.lo ^ b.lo, min_step(a.step, b.step));
}

static struct bpfhv_range left(struct bpfhv_range a, unsigned int places)
{
    unsigned int step = min_step(a.step + places, 64);

    if (a.hi > ALL_BITS >> places) {
        return any(64, a.lo << places, step);
    }
    return make(a.lo << places, a.hi << places, step);
}

static struct bpfhv_range right(struct bpfhv_range a, unsigned int places)
{
    return make(a.lo >> places, a.hi >> places,
                a.step > places ? a.step - places : 0);
}

static struct bpfhv_range shift(unsigned int op, struct bpfhv_range a,
                                struct bpfhv_range b, unsigned int bits)
{
    int negative = a.hi > low_bits(bits - 1);
    unsigned int places = b.lo & (bits - 1);

    if (op == BPF_ARSH && negative) {
        return bpfhv_range_bits(bits);
    }
    if (!is_const(b)) {
        return op == BPF_LSH ? bpfhv_range_bits(64) : up_to(a.hi, 0, 0);
    }
    return op == BPF_LSH ? left(a, places) : right(a, places);
}

static struct bpfhv_range quotient(struct bpfhv_range a, struct bpfhv_range b)
{
    if (!is_const(b)) {
        return up_to(a.hi, 0, 0);
    }
    return b.lo ? make(a.lo / b.lo, a.hi / b.lo, 0) : bpfhv_range_const(0);
}

static struct bpfhv_range modulo(struct bpfhv_range a, struct bpfhv_range b)
{
    if (!is_const(b)) {
        return up_to(a.hi, 0, 0);
    }
    if (!b.lo || a.hi < b.lo) {
        return a;
    }
    return up_to(b.lo - 1, 0, 0);
}

static struct bpfhv_range alu(unsigned int op, struct bpfhv_range a,
                              struct bpfhv_range b, unsigned int bits)
{
    switch (op) {
    case BPF_MOV:
        return b;
    case BPF_ADD:
        return sum(a.lo + b.lo, a, b);
    case BPF_SUB:
        return sum(a.lo - b.hi, a, b);
    case BPF_NEG:
        return sum(0 - b.hi, bpfhv_range_const(0), b);
    case BPF_MUL:
        return product(a, b);
    case BPF_AND:
        return and(a, b);
    case BPF_OR:
        return or(a, b);
    case BPF_XOR:
        return xor(a, b);
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH:
        return shift(op, a, b, bits);
    case BPF_DIV:
        return quotient(a, b);
    case BPF_MOD:
        return modulo(a, b);
    default:
        return bpfhv_range_bits(bits);
    }
}

struct bpfhv_range bpfhv_range_alu(unsigned int op, struct bpfhv_range a,
                                   struct bpfhv_range b, int is64)
{
    if (is64) {
        return alu(op, a, b, 64);
    }
    return bpfhv_range_low32(alu(op, bpfhv_range_low32(a),
                                 bpfhv_range_low32(b), 32));
}

struct bpfhv_range bpfhv_range_join(struct bpfhv_range a,
                                    struct bpfhv_range b)
{
    unsigned int step = min_step(a.step, b.step);

    step = min_step(step, trailing_zeros(a.lo ^ b.lo));
    return make(a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi, step);
}

struct bpfhv_range bpfhv_range_widen(struct bpfhv_range a,
                                     struct bpfhv_range b)
{
    struct bpfhv_range both = bpfhv_range_join(a, b);
    __u64 lo = both.lo, hi = both.hi;

    if (hi > a.hi) {
        __u64 max = hi <= 0xff ? 0xff : hi <= 0xffff ? 0xffff :
                    hi <= LOW32 ? LOW32 : ALL_BITS;

        hi += (max - hi) & ~low_bits(both.step);
    }
    if (lo < a.lo) {
        lo &= low_bits(both.step);
    }
    return make(lo, hi, both.step);
}

int bpfhv_range_same(struct bpfhv_range a, struct bpfhv_range b)
{
    return a.lo == b.lo && a.hi == b.hi && a.step == b.step;
}

static void cut_above(struct bpfhv_range *a, __u64 max)
{
    if (max >= a->lo && max < a->hi) {
        *a = make(a->lo, a->lo + ((max - a->lo) & ~low_bits(a->step)), a->step);
    }
}

static void cut_below(struct bpfhv_range *a, __u64 min)
{
    if (min > a->lo && min <= a->hi) {
        *a = make(a->hi - ((a->hi - min) & ~low_bits(a->step)), a->hi, a->step);
    }
}

/* *@a is less than *@b, by @by (0 or 1) at least. */
static void less(struct bpfhv_range *a, struct bpfhv_range *b, unsigned int by)
{
    __u64 min = a->lo;

    if (b->hi < by || min > ALL_BITS - by) {
        return;
    }
    cut_above(a, b->hi - by);
    cut_below(b, min + by);
}

static void equal(struct bpfhv_range *a, struct bpfhv_range *b)
{
    less(a, b, 0);
    less(b, a, 0);
}

static void without(struct bpfhv_range *a, __u64 value)
{
    if (is_const(*a)) {
        return;
    }
    if (a->lo == value) {
        cut_below(a, value + 1);
    } else if (a->hi == value) {
        cut_above(a, value - 1);
    }
}

static void unequal(struct bpfhv_range *a, struct bpfhv_range *b)
{
    if (is_const(*b)) {
        without(a, b->lo);
    } else if (is_const(*a)) {
        without(b, a->lo);
    }
}

void bpfhv_range_branch(unsigned int op, int is64, int taken,
                        struct bpfhv_range *a, struct bpfhv_range *b)
{
    int is_signed = op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT ||
                    op == BPF_JSLE;
    __u64 max = low_bits((is64 ? 64 : 32) - is_signed);

    /* Beyond @max the order is another. */
    if (a->hi > max || b->hi > max) {
        return;
    }
    switch (op) {
    case BPF_JEQ:
        taken ? equal(a, b) : unequal(a, b);
        break;
    case BPF_JNE:
        taken ? unequal(a, b) : equal(a, b);
        break;
    case BPF_JGT:
    case BPF_JSGT:
        taken ? less(b, a, 1) : less(a, b, 0);
        break;
    case BPF_JGE:
    case BPF_JSGE:
        taken ? less(b, a, 0) : less(a, b, 1);
        break;
    case BPF_JLT:
    case BPF_JSLT:
        taken ? less(a, b, 1) : less(b, a, 0);
        break;
    case BPF_JLE:
    case BPF_JSLE:
        taken ? less(a, b, 0) : less(b, a, 1);
        break;
    default:
        break;
    }
}
