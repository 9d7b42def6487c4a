// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The driver's verifier. A device hands its driver programs, and the guest
 * need not trust the device.
 *
 * How it works
 *
 * First each instruction is looked at for itself: is it one that we know, with
 * nothing in the fields that it does not use, and does it jump to a place where
 * an instruction begins. Then the program is executed with sets in place of
 * values: a register or a slot of the stack is unset, a number in a range
 * (bpfhv_range.h), or a pointer into the context or the stack, its offset in a
 * range. Each target of a jump has an entry, the union of the states from
 * which it is reached. When one grows, it is executed again from there; sets
 * that grow again and again grow in great strides (widening), so it ends soon.
 * What holds then for every instruction, holds for every run.
 *
 * What is read from the context is any number: nothing is remembered of it, so
 * it does not matter who writes to it meanwhile.
 *
 * That a program ends is not proven but arranged. A number on the stack, below
 * what the program can reach, is its fuel. Before each backward jump we put
 * four instructions, which take the way back, in instructions, from the fuel,
 * and return if there is none left. Since all the ways forward are together
 * not longer than those back and the program itself, this limits the run.
 *
 * Invariants
 *
 *  - Each instruction has been executed with every state that was ever joined
 *    into the entry before it; one that is not reached is refused.
 *  - A refused smaller state is refused as a larger one, too; so the first
 *    refusal counts.
 *  - A branch that cannot be taken is looked at all the same.
 *
 * Limits
 *
 *  - BPFHV_MAX_INSNS; MAX_TARGETS jump targets, which limits memory to 2 MiB;
 *    MAX_STEPS, which limits time (those of ebpf/bpfhv take some hundreds).
 *  - No relation between two registers: an index is masked, or compared with a
 *    constant, in the register that is then used.
 *  - The stack is accessed at constant offsets.
 *  - A number of fewer than 8 bytes in the stack is remembered only if it was
 *    the last to be written to its 8 bytes.
 */
#include "bpfhv_env.h"

#include "bpfhv_range.h"
#include "bpfhv_verify.h"

enum {
    NUM_REGS = 11,
    SLOT = 8,                           /* bytes of the stack in one slot */
    NUM_SLOTS = BPFHV_MAX_STACK / SLOT,
    MAX_TARGETS = 1024,
    MAX_STEPS = 200000,
    JOINS_BEFORE_WIDENING = 4,
    FUEL_OFFSET = -BPFHV_VERIFIED_STACK,
};

_Static_assert(BPFHV_VERIFIED_INSNS(BPFHV_MAX_INSNS) < 32768,
               "a jump over the whole result fits into its 16 bits");

enum kind {
    UNSET = 0,
    NUMBER,
    CONTEXT,    /* a pointer; 0 is the context's begin */
    STACK,      /* a pointer; 0 is the stack's lowest byte */
};

/**
 * struct value: what a register or a slot may hold
 * @range: the number, or the pointer's offset
 * @kind: enum kind
 */
struct value {
    struct bpfhv_range range;
    __u8 kind;
};

/**
 * struct slot: 8 bytes of the stack
 * @value: what the bytes @holds are
 * @holds: which bytes @value describes, a bit for each
 * @set: which bytes have been written
 */
struct slot {
    struct value value;
    __u8 holds, set;
};

struct state {
    struct value reg[NUM_REGS];
    struct slot slot[NUM_SLOTS];
};

/**
 * struct target: where a jump may lead
 * @state: the union of what was so far when it was reached
 * @insn: its place
 * @joins: how often @state has grown; 0: not reached yet
 * @grown: since it was executed
 */
struct target {
    struct state state;
    __u16 insn;
    __u16 joins;
    __u8 grown;
};

enum insn_flag {
    IS_TARGET = 1 << 0,
    IS_SECOND_HALF = 1 << 1,    /* of a constant of 64 bits */
    IS_REACHED = 1 << 2,
    MAY_DIVIDE_BY_0 = 1 << 3,
    MAY_SHIFT_FAR = 1 << 4,
};

struct verifier {
    const struct bpf_insn *insns;
    __u32 count;
    const struct bpfhv_rules *rules;
    struct bpfhv_refusal *refusal;

    __u8 flags[BPFHV_MAX_INSNS];        /* insn_flag */
    __u16 target_of[BPFHV_MAX_INSNS];   /* index, where IS_TARGET */
    __u16 place[BPFHV_MAX_INSNS];       /* in @out */
    struct target *targets;             /* by place */
    __u32 num_targets;
    __u32 steps;

    struct state now;
    struct bpf_insn *out;
    __u32 out_count;
};

static int refuse(struct verifier *v, __u32 insn, const char *reason)
{
    v->refusal->insn = insn;
    v->refusal->reason = reason;
    return -EACCES;
}

/* Each instruction for itself */

static unsigned int class_of(const struct bpf_insn *insn)
{
    return BPF_CLASS(insn->code);
}

static int is_jump_class(const struct bpf_insn *insn)
{
    return class_of(insn) == BPF_JMP || class_of(insn) == BPF_JMP32;
}

static int is_exit(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_EXIT);
}

static int is_goto(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_JA);
}

static int is_jump(const struct bpf_insn *insn)
{
    return is_jump_class(insn) && !is_exit(insn);
}

static int uses_source(const struct bpf_insn *insn)
{
    return BPF_SRC(insn->code) == BPF_X;
}

static __u32 size_of(const struct bpf_insn *insn)
{
    switch (BPF_SIZE(insn->code)) {
    case BPF_B:
        return 1;
    case BPF_H:
        return 2;
    case BPF_W:
        return 4;
    default:
        return 8;
    }
}

static const char *check_alu(const struct bpf_insn *insn)
{
    unsigned int op = BPF_OP(insn->code);
    int bits = class_of(insn) == BPF_ALU64 ? 64 : 32;

    if (op > BPF_END || insn->off) {
        return "unknown arithmetic";
    }
    if (op == BPF_END) {
        return bits == 32 && !insn->src_reg &&
               (insn->imm == 16 || insn->imm == 32 || insn->imm == 64) ?
               NULL : "unknown byte swap";
    }
    if (op == BPF_NEG) {
        return uses_source(insn) || insn->src_reg || insn->imm ?
               "field not 0" : NULL;
    }
    if (uses_source(insn)) {
        return insn->imm ? "field not 0" : NULL;
    }
    if (insn->src_reg) {
        return "field not 0";
    }
    if ((op == BPF_DIV || op == BPF_MOD) && !insn->imm) {
        return "division by zero";
    }
    if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) &&
        (insn->imm < 0 || insn->imm >= bits)) {
        return "shift by too many places";
    }
    return NULL;
}

static const char *check_jump(const struct bpf_insn *insn)
{
    unsigned int op = BPF_OP(insn->code);

    if (op == BPF_CALL) {
        return "calls are not allowed";
    }
    if (op == BPF_JA || op == BPF_EXIT) {
        if (class_of(insn) == BPF_JMP32 || uses_source(insn)) {
            return "unknown jump";
        }
        return insn->dst_reg || insn->src_reg || insn->imm ||
               (op == BPF_EXIT && insn->off) ? "field not 0" : NULL;
    }
    if (op > BPF_JSLE) {
        return "unknown jump";
    }
    return (uses_source(insn) ? insn->imm : insn->src_reg) ?
           "field not 0" : NULL;
}

static const char *check_memory(const struct bpf_insn *insn)
{
    unsigned int mode = BPF_MODE(insn->code);

    if (class_of(insn) == BPF_STX && mode == BPF_ATOMIC) {
        return insn->imm == BPF_XCHG && size_of(insn) >= 4 ?
               NULL : "no atomic operation but the exchange is allowed";
    }
    if (mode != BPF_MEM) {
        return "unknown access to memory";
    }
    return (class_of(insn) == BPF_ST ? insn->src_reg : insn->imm) ?
           "field not 0" : NULL;
}

/* The first half of a constant of 64 bits; nothing else is of class BPF_LD. */
static const char *check_constant(const struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];

    if (insn->code != (BPF_LD | BPF_IMM | BPF_DW)) {
        return "unknown access to memory";
    }
    if (insn->src_reg) {
        return "maps and functions are not allowed";
    }
    if (insn->off || i + 1 == v->count || insn[1].code || insn[1].dst_reg ||
        insn[1].src_reg || insn[1].off) {
        return "a constant of 64 bits without its second half";
    }
    return NULL;
}

static const char *check_insn(const struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];

    if (insn->dst_reg >= NUM_REGS || insn->src_reg >= NUM_REGS) {
        return "unknown register";
    }
    switch (class_of(insn)) {
    case BPF_ALU:
    case BPF_ALU64:
        return check_alu(insn);
    case BPF_JMP:
    case BPF_JMP32:
        return check_jump(insn);
    case BPF_LD:
        return check_constant(v, i);
    default:
        return check_memory(insn);
    }
}

static int check_form(struct verifier *v)
{
    for (__u32 i = 0; i < v->count; i++) {
        const char *reason = check_insn(v, i);

        if (reason) {
            return refuse(v, i, reason);
        }
        if (class_of(&v->insns[i]) == BPF_LD) {
            v->flags[++i] |= IS_SECOND_HALF;
        }
    }
    return 0;
}

/* Find all targets, and make their entries, in the order of their places. */
static int find_targets(struct verifier *v)
{
    for (__u32 i = 0; i < v->count; i++) {
        __s64 to = (__s64)i + 1 + v->insns[i].off;

        if (v->flags[i] & IS_SECOND_HALF || !is_jump(&v->insns[i])) {
            continue;
        }
        if (to < 0 || to >= v->count || v->flags[to] & IS_SECOND_HALF) {
            return refuse(v, i, "jump to where no instruction begins");
        }
        v->flags[to] |= IS_TARGET;
    }
    v->flags[0] |= IS_TARGET;
    for (__u32 i = 0; i < v->count; i++) {
        if (v->flags[i] & IS_TARGET) {
            if (v->num_targets == MAX_TARGETS) {
                return refuse(v, i, "too many jump targets");
            }
            v->target_of[i] = v->num_targets++;
        }
    }
    v->targets = bpfhv_alloc(v->num_targets * sizeof(*v->targets));
    if (!v->targets) {
        return -ENOMEM;
    }
    for (__u32 i = 0; i < v->count; i++) {
        if (v->flags[i] & IS_TARGET) {
            v->targets[v->target_of[i]].insn = i;
        }
    }
    return 0;
}

/* Unions of states */

static int same_value(const struct value *a, const struct value *b)
{
    return a->kind == b->kind && bpfhv_range_same(a->range, b->range);
}

/* Add @new to @old; return whether @old has grown. */
static int join_value(struct value *old, const struct value *new, int widen)
{
    struct value was = *old;

    if (old->kind == UNSET) {
        return 0;
    }
    if (old->kind != new->kind) {
        memset(old, 0, sizeof(*old));
        return 1;
    }
    old->range = widen ? bpfhv_range_widen(old->range, new->range) :
                         bpfhv_range_join(old->range, new->range);
    return !same_value(&was, old);
}

static int holds_pointer(const struct slot *slot)
{
    return slot->holds && slot->value.kind != NUMBER;
}

static int join_slot(struct slot *old, const struct slot *new, int widen)
{
    struct slot was = *old;

    old->set &= new->set;
    if (old->holds && old->holds == new->holds &&
        old->value.kind == new->value.kind) {
        return join_value(&old->value, &new->value, widen) |
               (old->set != was.set);
    }
    if (holds_pointer(old) || holds_pointer(new)) {
        old->set = 0;       /* it must not be read as a number */
    }
    old->holds = 0;
    return old->set != was.set || was.holds;
}

static void join(struct verifier *v, __u32 insn)
{
    struct target *target = &v->targets[v->target_of[insn]];
    int widen = target->joins > JOINS_BEFORE_WIDENING;
    int grown = 0;

    if (!target->joins) {
        target->state = v->now;
        target->joins = 1;
        target->grown = 1;
        return;
    }
    for (int i = 0; i < NUM_REGS; i++) {
        grown |= join_value(&target->state.reg[i], &v->now.reg[i], widen);
    }
    for (int i = 0; i < NUM_SLOTS; i++) {
        grown |= join_slot(&target->state.slot[i], &v->now.slot[i], widen);
    }
    if (grown) {
        target->joins += target->joins <= JOINS_BEFORE_WIDENING;
        target->grown = 1;
    }
}

/* Execution. These return NULL, or the reason to refuse. */

static struct value number(struct bpfhv_range range)
{
    struct value value = { range, NUMBER };

    return value;
}

static struct value immediate(const struct bpf_insn *insn)
{
    return number(bpfhv_range_const((__u64)(__s64)insn->imm));
}

/* The second operand, which may be unset. */
static struct value source(struct verifier *v, const struct bpf_insn *insn)
{
    return uses_source(insn) ? v->now.reg[insn->src_reg] : immediate(insn);
}

static int is_pointer(const struct value *value)
{
    return value->kind == CONTEXT || value->kind == STACK;
}

static const char *add_to_pointer(const struct bpf_insn *insn,
                                  struct value *dst, const struct value *src)
{
    unsigned int op = BPF_OP(insn->code);
    __u8 kind = is_pointer(dst) ? dst->kind : src->kind;

    if (class_of(insn) != BPF_ALU64 || (op != BPF_ADD && op != BPF_SUB) ||
        is_pointer(src) == is_pointer(dst) ||
        (op == BPF_SUB && is_pointer(src))) {
        return "arithmetic on a pointer";
    }
    dst->range = bpfhv_range_alu(op, dst->range, src->range, 1);
    dst->kind = kind;
    return NULL;
}

static const char *run_alu(struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];
    struct value *dst = &v->now.reg[insn->dst_reg];
    unsigned int op = BPF_OP(insn->code);
    int is64 = class_of(insn) == BPF_ALU64;
    struct value src = op == BPF_END ? number(bpfhv_range_bits(64)) :
                       op == BPF_NEG ? *dst : source(v, insn);

    if (insn->dst_reg == BPF_REG_10) {
        return "write to the frame pointer";
    }
    if (src.kind == UNSET || (op != BPF_MOV && dst->kind == UNSET)) {
        return "register not set";
    }
    if (op == BPF_MOV && is64) {
        *dst = src;
        return NULL;
    }
    if (is_pointer(&src) || (op != BPF_MOV && is_pointer(dst))) {
        return add_to_pointer(insn, dst, &src);
    }
    if (op == BPF_END) {
        *dst = number(bpfhv_range_bits(insn->imm));
        return NULL;
    }
    if (uses_source(insn)) {
        struct bpfhv_range used = is64 ? src.range :
                                  bpfhv_range_low32(src.range);

        if ((op == BPF_DIV || op == BPF_MOD) && !used.lo) {
            v->flags[i] |= MAY_DIVIDE_BY_0;
        }
        if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) &&
            used.hi >= (is64 ? 64 : 32)) {
            v->flags[i] |= MAY_SHIFT_FAR;
        }
    }
    *dst = number(bpfhv_range_alu(op, dst->range, src.range, is64));
    return NULL;
}

/* Is an access of @size bytes at @offset of the context aligned and inside? */
static const char *check_context(const struct verifier *v,
                                 struct bpfhv_range offset, __u32 size)
{
    if (offset.hi >= v->rules->ctx_size ||
        v->rules->ctx_size - offset.hi < size) {
        return "access outside of the context";
    }
    return offset.lo & (size - 1) || offset.step < __builtin_ctz(size) ?
           "access is not aligned" : NULL;
}

static const char *check_writable(const struct verifier *v,
                                  struct bpfhv_range offset, __u32 size)
{
    for (int i = 0; i < BPFHV_MAX_WRITABLE; i++) {
        const struct bpfhv_area *area = &v->rules->writable[i];

        if (offset.lo >= area->begin && offset.hi < area->end &&
            area->end - offset.hi >= size) {
            return NULL;
        }
    }
    return "write to a part of the context that is read-only";
}

/* Where on the stack: the slot, and a bit for each of its bytes. */
static const char *find_slot(struct verifier *v, struct bpfhv_range offset,
                             __u32 size, struct slot **slot, __u8 *bytes)
{
    if (offset.lo != offset.hi) {
        return "access to the stack at an offset that is not constant";
    }
    if (offset.lo >= BPFHV_MAX_STACK || BPFHV_MAX_STACK - offset.lo < size) {
        return "access outside of the stack";
    }
    if (offset.lo & (size - 1)) {
        return "access is not aligned";
    }
    *slot = &v->now.slot[offset.lo / SLOT];
    *bytes = ((1u << size) - 1) << (offset.lo % SLOT);
    return NULL;
}

static const char *load_stack(struct verifier *v, struct bpfhv_range offset,
                              __u32 size, struct value *value)
{
    struct slot *slot;
    __u8 bytes;
    const char *reason = find_slot(v, offset, size, &slot, &bytes);

    if (reason) {
        return reason;
    }
    if (bytes & ~slot->set) {
        return "read of the stack before it was written";
    }
    if (slot->holds == bytes) {
        *value = slot->value;
        return NULL;
    }
    if (holds_pointer(slot)) {
        return "read of a part of a pointer";
    }
    *value = number(bpfhv_range_bits(size * 8));
    return NULL;
}

static const char *store_stack(struct verifier *v, struct bpfhv_range offset,
                               __u32 size, const struct value *value)
{
    struct slot *slot;
    __u8 bytes;
    const char *reason = find_slot(v, offset, size, &slot, &bytes);

    if (reason) {
        return reason;
    }
    if (is_pointer(value) && size < SLOT) {
        return "write of a part of a pointer";
    }
    if (holds_pointer(slot)) {
        slot->set = 0;      /* what is left of it is no number */
    }
    slot->set |= bytes;
    slot->holds = bytes;
    slot->value = *value;
    if (value->kind == NUMBER && size < SLOT) {
        struct bpfhv_range all = bpfhv_range_bits(size * 8);

        if (value->range.hi > all.hi) {
            slot->value.range = all;
        }
    }
    return NULL;
}

/* The offset that an access has, by @reg. */
static const char *find_offset(struct verifier *v, const struct bpf_insn *insn,
                               unsigned int reg, struct value *pointer)
{
    *pointer = v->now.reg[reg];
    if (pointer->kind == UNSET) {
        return "register not set";
    }
    if (pointer->kind == NUMBER) {
        return "access by a number that is no pointer";
    }
    pointer->range = bpfhv_range_alu(
        BPF_ADD, pointer->range,
        bpfhv_range_const((__u64)(__s64)insn->off), 1);
    return NULL;
}

static const char *run_load(struct verifier *v, const struct bpf_insn *insn)
{
    struct value *dst = &v->now.reg[insn->dst_reg];
    __u32 size = size_of(insn);
    struct value pointer;
    const char *reason = find_offset(v, insn, insn->src_reg, &pointer);

    if (reason) {
        return reason;
    }
    if (insn->dst_reg == BPF_REG_10) {
        return "write to the frame pointer";
    }
    if (pointer.kind == STACK) {
        return load_stack(v, pointer.range, size, dst);
    }
    reason = check_context(v, pointer.range, size);
    *dst = number(bpfhv_range_bits(size * 8));
    return reason;
}

static const char *run_store(struct verifier *v, const struct bpf_insn *insn)
{
    struct value value = class_of(insn) == BPF_ST ? immediate(insn) :
                         v->now.reg[insn->src_reg];
    __u32 size = size_of(insn);
    struct value pointer;
    const char *reason = find_offset(v, insn, insn->dst_reg, &pointer);

    if (reason) {
        return reason;
    }
    if (value.kind == UNSET) {
        return "register not set";
    }
    if (pointer.kind == STACK) {
        return store_stack(v, pointer.range, size, &value);
    }
    if (is_pointer(&value)) {
        return "write of a pointer to the context";
    }
    reason = check_context(v, pointer.range, size);
    return reason ? reason : check_writable(v, pointer.range, size);
}

/* A write that orders memory, and reads what was there. */
static const char *run_exchange(struct verifier *v, const struct bpf_insn *insn)
{
    struct value pointer;
    const char *reason = find_offset(v, insn, insn->dst_reg, &pointer);

    if (!reason) {
        reason = run_store(v, insn);
    }
    if (reason) {
        return reason;
    }
    if (pointer.kind != CONTEXT || pointer.range.lo != pointer.range.hi) {
        return "exchange not at a constant offset of the context";
    }
    v->now.reg[insn->src_reg] = number(bpfhv_range_bits(size_of(insn) * 8));
    return NULL;
}

/* One instruction that does not jump. */
static const char *run_insn(struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];

    switch (class_of(insn)) {
    case BPF_ALU:
    case BPF_ALU64:
        return run_alu(v, i);
    case BPF_LDX:
        return run_load(v, insn);
    case BPF_LD:
        if (insn->dst_reg == BPF_REG_10) {
            return "write to the frame pointer";
        }
        v->now.reg[insn->dst_reg] = number(bpfhv_range_const(
            (__u32)insn->imm | (__u64)(__u32)insn[1].imm << 32));
        return NULL;
    default:
        return BPF_MODE(insn->code) == BPF_ATOMIC ? run_exchange(v, insn) :
                                                    run_store(v, insn);
    }
}

/* Narrow what is compared, in @v->now, for the way that is @taken. */
static void narrow(struct verifier *v, const struct bpf_insn *insn, int taken)
{
    struct value src = source(v, insn);
    int is64 = class_of(insn) == BPF_JMP;

    if (!is64 && !uses_source(insn)) {
        src.range = bpfhv_range_low32(src.range);
    }
    bpfhv_range_branch(BPF_OP(insn->code), is64, taken,
                       &v->now.reg[insn->dst_reg].range, &src.range);
    if (uses_source(insn) && insn->src_reg != insn->dst_reg) {
        v->now.reg[insn->src_reg].range = src.range;
    }
}

static const char *run_branch(struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];
    struct value dst = v->now.reg[insn->dst_reg];
    struct value src = source(v, insn);

    if (dst.kind == UNSET || src.kind == UNSET) {
        return "register not set";
    }
    if (is_pointer(&dst) || is_pointer(&src)) {
        return "comparison of a pointer";
    }
    narrow(v, insn, 1);
    join(v, i + 1 + insn->off);
    v->now.reg[insn->dst_reg] = dst;
    if (uses_source(insn)) {
        v->now.reg[insn->src_reg] = src;
    }
    narrow(v, insn, 0);
    return NULL;
}

static const char *run_exit(const struct verifier *v)
{
    switch (v->now.reg[BPF_REG_0].kind) {
    case NUMBER:
        return NULL;
    case UNSET:
        return "no value to return";
    default:
        return "a pointer is returned";
    }
}

/* From @target's state on, up to where other states begin. */
static int run_from(struct verifier *v, struct target *target)
{
    __u32 i = target->insn;

    v->now = target->state;
    target->grown = 0;
    for (;;) {
        const struct bpf_insn *insn = &v->insns[i];
        const char *reason = NULL;

        v->flags[i] |= IS_REACHED;
        if (++v->steps > MAX_STEPS) {
            return refuse(v, i, "too complex");
        }
        if (is_goto(insn)) {
            join(v, i + 1 + insn->off);
            return 0;
        }
        if (is_exit(insn)) {
            reason = run_exit(v);
            return reason ? refuse(v, i, reason) : 0;
        }
        reason = is_jump(insn) ? run_branch(v, i) : run_insn(v, i);
        if (reason) {
            return refuse(v, i, reason);
        }
        i += class_of(insn) == BPF_LD ? 2 : 1;
        if (i >= v->count) {
            return refuse(v, v->count - 1, "the program runs over its end");
        }
        if (v->flags[i] & IS_TARGET) {
            join(v, i);
            return 0;
        }
    }
}

static int run(struct verifier *v)
{
    int ret = 0;

    v->now.reg[BPF_REG_1].kind = CONTEXT;
    v->now.reg[BPF_REG_1].range = bpfhv_range_const(0);
    v->now.reg[BPF_REG_10].kind = STACK;
    v->now.reg[BPF_REG_10].range = bpfhv_range_const(BPFHV_MAX_STACK);
    join(v, 0);
    for (__u32 i = 0; i < v->num_targets && !ret; i++) {
        if (v->targets[i].grown) {
            ret = run_from(v, &v->targets[i]);
            i = -1;         /* from the first again */
        }
    }
    for (__u32 i = 0; i < v->count && !ret; i++) {
        if (!(v->flags[i] & (IS_REACHED | IS_SECOND_HALF))) {
            ret = refuse(v, i, "instruction is never reached");
        }
    }
    return ret;
}

/* The result */

static void put(struct verifier *v, __u8 code, __u8 dst, __u8 src, __s16 off,
                __s32 imm)
{
    struct bpf_insn insn = {
        .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
    };

    v->out[v->out_count++] = insn;
}

static int is_backward(const struct bpf_insn *insn)
{
    return is_jump(insn) && insn->off < 0;
}

/* Take the way back from the fuel. set_jumps() sets the jump to the end. */
static void put_fuel(struct verifier *v, const struct bpf_insn *insn)
{
    put(v, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_AX, BPF_REG_10, FUEL_OFFSET, 0);
    put(v, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_AX, 0, 0, insn->off);
    put(v, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_AX, FUEL_OFFSET, 0);
    put(v, BPF_JMP | BPF_JSLT | BPF_K, BPF_REG_AX, 0, 0, 0);
}

static void put_division(struct verifier *v, const struct bpf_insn *insn)
{
    int is64 = class_of(insn) == BPF_ALU64;
    __u8 jump = is64 ? BPF_JMP : BPF_JMP32;
    __u8 dst = insn->dst_reg;

    put(v, jump | BPF_JNE | BPF_K, insn->src_reg, 0, 2, 0);
    if (BPF_OP(insn->code) == BPF_DIV) {
        put(v, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, 0);
    } else {
        put(v, (is64 ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X, dst, dst, 0, 0);
    }
    put(v, BPF_JMP | BPF_JA, 0, 0, 1, 0);
    v->out[v->out_count++] = *insn;
}

static void put_shift(struct verifier *v, const struct bpf_insn *insn)
{
    int is64 = class_of(insn) == BPF_ALU64;

    put(v, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_AX, insn->src_reg, 0, 0);
    put(v, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_AX, 0, 0, is64 ? 63 : 31);
    put(v, insn->code, insn->dst_reg, BPF_REG_AX, 0, 0);
}

static void put_insn(struct verifier *v, __u32 i)
{
    const struct bpf_insn *insn = &v->insns[i];

    v->place[i] = v->out_count;
    if (v->flags[i] & MAY_DIVIDE_BY_0) {
        put_division(v, insn);
    } else if (v->flags[i] & MAY_SHIFT_FAR) {
        put_shift(v, insn);
    } else {
        if (!(v->flags[i] & IS_SECOND_HALF) && is_backward(insn)) {
            put_fuel(v, insn);
        }
        v->out[v->out_count++] = *insn;
    }
}

/* Set the jumps, now that all places are known; @end is where fuel is out. */
static void set_jumps(struct verifier *v, __u32 end)
{
    for (__u32 i = 0; i < v->count; i++) {
        const struct bpf_insn *insn = &v->insns[i];
        __u32 place = v->place[i];

        if (v->flags[i] & IS_SECOND_HALF || !is_jump(insn)) {
            continue;
        }
        if (is_backward(insn)) {
            place += 4;
            v->out[place - 1].off = end - place;
        }
        v->out[place].off = v->place[i + 1 + insn->off] - (place + 1);
    }
}

static void write_out(struct verifier *v)
{
    put(v, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, FUEL_OFFSET,
        v->rules->fuel);
    for (__u32 i = 0; i < v->count; i++) {
        put_insn(v, i);
    }
    put(v, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, BPFHV_OUT_OF_FUEL);
    put(v, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    set_jumps(v, v->out_count - 2);
}

int bpfhv_verify(const struct bpf_insn *insns, __u32 count,
                 const struct bpfhv_rules *rules, struct bpf_insn *out,
                 struct bpfhv_refusal *refusal)
{
    struct verifier *v = bpfhv_alloc(sizeof(*v));
    int ret;

    if (!v) {
        return -ENOMEM;
    }
    v->insns = insns;
    v->count = count;
    v->rules = rules;
    v->refusal = refusal;
    v->out = out;
    if (!count || count > BPFHV_MAX_INSNS) {
        ret = refuse(v, 0, "no instructions, or too many");
    } else {
        ret = check_form(v);
    }
    if (!ret) {
        ret = find_targets(v);
    }
    if (!ret) {
        ret = run(v);
    }
    if (!ret) {
        write_out(v);
        ret = v->out_count;
    }
    bpfhv_release(v->targets);
    bpfhv_release(v);
    return ret;
}

int bpfhv_rules_for(unsigned int program, __u32 ctx_size,
                    struct bpfhv_rules *rules)
{
    static const struct bpfhv_area out = {
        offsetof(struct bpfhv_ctx, out),
        offsetof(struct bpfhv_ctx, out) + sizeof(__u32),
    };
    static const struct bpfhv_area num_bufs = {
        offsetof(struct bpfhv_ctx, num_bufs),
        offsetof(struct bpfhv_ctx, num_bufs) + sizeof(__u32),
    };

    if (ctx_size < sizeof(struct bpfhv_ctx) || ctx_size > BPFHV_MAX_CTX_SIZE ||
        ctx_size % 8) {
        return -EINVAL;
    }
    memset(rules, 0, sizeof(*rules));
    rules->ctx_size = ctx_size;
    rules->fuel = BPFHV_MAX_FUEL;
    rules->writable[0].begin = sizeof(struct bpfhv_ctx);
    rules->writable[0].end = ctx_size;
    switch (program) {
    case BPFHV_RX_PUBLISH:
    case BPFHV_TX_PUBLISH:
        rules->writable[1] = out;
        return 0;
    case BPFHV_RX_COMPLETE:
    case BPFHV_TX_COMPLETE:
        rules->writable[0].begin = offsetof(struct bpfhv_ctx, bufs);
        rules->writable[1] = num_bufs;
        return 0;
    case BPFHV_RX_INTERRUPTS:
    case BPFHV_TX_INTERRUPTS:
        return 0;
    default:
        return -EINVAL;
    }
}
