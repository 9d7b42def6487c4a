/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A register has, beside its value, what it is; so has each byte of the stack.
 * Addresses are made up: nothing is accessed but by an offset that was checked.
 */
#include <stdbool.h>
#include <string.h>

#include "bpfhv_run.h"

#define CTX_BASE 0xffff888012345000ull
#define STACK_BASE 0xffffc9000000cef8ull    /* aligned to 8 only */

enum { AX = 11, NUM_REGS = 12 };

typedef enum What { UNSET, NUMBER, IN_CTX, IN_STACK } What;

typedef struct Machine {
    BpfhvRun *run;
    uint64_t reg[NUM_REGS];
    What what[NUM_REGS];
    uint8_t stack[BPFHV_VERIFIED_STACK];
    What stack_what[BPFHV_VERIFIED_STACK];
} Machine;

static bool fault(Machine *m, const char *what)
{
    if (!m->run->fault) {
        m->run->fault = what;
    }
    return false;
}

static bool is_pointer(What what)
{
    return what == IN_CTX || what == IN_STACK;
}

/* The result of @op, of 64 or 32 bits; false: it has none everywhere. */
static bool compute(unsigned op, bool is64, uint64_t a, uint64_t b,
                    uint64_t *result)
{
    unsigned bits = is64 ? 64 : 32;

    if (!is64) {
        a = (uint32_t)a;
        b = (uint32_t)b;
    }
    if (((op == BPF_DIV || op == BPF_MOD) && !b) ||
        ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) && b >= bits)) {
        return false;
    }
    switch (op) {
    case BPF_ADD: *result = a + b; break;
    case BPF_SUB: *result = a - b; break;
    case BPF_MUL: *result = a * b; break;
    case BPF_DIV: *result = a / b; break;
    case BPF_MOD: *result = a % b; break;
    case BPF_OR: *result = a | b; break;
    case BPF_AND: *result = a & b; break;
    case BPF_XOR: *result = a ^ b; break;
    case BPF_LSH: *result = a << b; break;
    case BPF_RSH: *result = a >> b; break;
    case BPF_NEG: *result = -a; break;
    case BPF_MOV: *result = b; break;
    case BPF_ARSH:
        *result = is64 ? (int64_t)a >> b : (int32_t)a >> b;
        break;
    default:
        return false;
    }
    if (!is64) {
        *result = (uint32_t)*result;
    }
    return true;
}

static uint64_t swapped(const struct bpf_insn *insn, uint64_t value)
{
    bool big = BPF_SRC(insn->code) == BPF_TO_BE;

    switch (insn->imm) {
    case 16:
        return big ? GUINT16_TO_BE((uint16_t)value) : (uint16_t)value;
    case 32:
        return big ? GUINT32_TO_BE((uint32_t)value) : (uint32_t)value;
    default:
        return big ? GUINT64_TO_BE(value) : value;
    }
}

static bool run_alu(Machine *m, const struct bpf_insn *insn)
{
    unsigned op = BPF_OP(insn->code), dst = insn->dst_reg;
    bool is64 = BPF_CLASS(insn->code) == BPF_ALU64;
    bool by_reg = BPF_SRC(insn->code) == BPF_X && op != BPF_END;
    uint64_t b = by_reg ? m->reg[insn->src_reg] : (uint64_t)(int64_t)insn->imm;
    What what = by_reg ? m->what[insn->src_reg] : NUMBER;

    if (dst == BPF_REG_10) {
        return fault(m, "frame pointer written");
    }
    if (what == UNSET || (op != BPF_MOV && m->what[dst] == UNSET)) {
        return fault(m, "register not set");
    }
    if (op == BPF_MOV && is64) {
        m->reg[dst] = b;
        m->what[dst] = what;
        return true;
    }
    if (is_pointer(what) || (op != BPF_MOV && is_pointer(m->what[dst]))) {
        if (!is64 || (op != BPF_ADD && op != BPF_SUB) ||
            is_pointer(what) == is_pointer(m->what[dst]) ||
            (op == BPF_SUB && is_pointer(what))) {
            return fault(m, "pointer as a number");
        }
        what = is_pointer(what) ? what : m->what[dst];
    }
    if (op == BPF_END) {
        m->reg[dst] = swapped(insn, m->reg[dst]);
        return true;
    }
    m->what[dst] = what;
    return compute(op, is64, m->reg[dst], b, &m->reg[dst]) ||
           fault(m, "division by zero, or too wide a shift");
}

bool bpfhv_compare(unsigned op, bool is64, uint64_t a, uint64_t b)
{
    int64_t sa = is64 ? (int64_t)a : (int32_t)a;
    int64_t sb = is64 ? (int64_t)b : (int32_t)b;

    if (!is64) {
        a = (uint32_t)a;
        b = (uint32_t)b;
    }
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JNE: return a != b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    case BPF_JLT: return a < b;
    case BPF_JLE: return a <= b;
    case BPF_JSGT: return sa > sb;
    case BPF_JSGE: return sa >= sb;
    case BPF_JSLT: return sa < sb;
    case BPF_JSLE: return sa <= sb;
    default: return a & b;
    }
}

static bool run_jump(Machine *m, const struct bpf_insn *insn)
{
    bool by_reg = BPF_SRC(insn->code) == BPF_X;
    What what = by_reg ? m->what[insn->src_reg] : NUMBER;

    if (BPF_OP(insn->code) == BPF_CALL) {
        return fault(m, "call");
    }
    if (insn->code != (BPF_JMP | BPF_JA)) {
        if (what != NUMBER || m->what[insn->dst_reg] != NUMBER) {
            return fault(m, "comparison of what is no number");
        }
        if (!bpfhv_compare(BPF_OP(insn->code),
                           BPF_CLASS(insn->code) == BPF_JMP,
                           m->reg[insn->dst_reg],
                           by_reg ? m->reg[insn->src_reg] :
                                    (uint64_t)(int64_t)insn->imm)) {
            return true;
        }
    }
    m->run->insn += insn->off;
    return true;
}

static unsigned size_of(const struct bpf_insn *insn)
{
    static const unsigned sizes[] = { 4, 2, 1, 8 };     /* W, H, B, DW */

    return sizes[BPF_SIZE(insn->code) >> 3];
}

/* Find the memory of an access; NULL: fault. */
static uint8_t *find(Machine *m, const struct bpf_insn *insn, unsigned reg,
                     unsigned size)
{
    bool in_ctx = m->what[reg] == IN_CTX;
    uint64_t address = m->reg[reg] + insn->off;
    uint64_t offset = address - (in_ctx ? CTX_BASE : STACK_BASE);
    uint64_t room = in_ctx ? m->run->rules->ctx_size : sizeof(m->stack);

    if (!is_pointer(m->what[reg])) {
        fault(m, "access by what is no pointer");
    } else if (offset >= room || room - offset < size) {
        fault(m, in_ctx ? "access outside of the context" :
                          "access outside of the stack");
    } else if (address % size) {
        fault(m, "access not aligned");
    } else {
        if (in_ctx && m->run->tick) {
            m->run->tick(m->run->tick_data);
        }
        return (in_ctx ? m->run->ctx : m->stack) + offset;
    }
    return NULL;
}

/* Only what the verifier has put in may touch its number. */
static bool is_of_fuel(const Machine *m, const uint8_t *place)
{
    return place < m->stack + BPFHV_VERIFIED_STACK - BPFHV_MAX_STACK;
}

static bool run_load(Machine *m, const struct bpf_insn *insn)
{
    unsigned size = size_of(insn), dst = insn->dst_reg;
    bool in_ctx = m->what[insn->src_reg] == IN_CTX;
    uint8_t *place = find(m, insn, insn->src_reg, size);
    What what = NUMBER;
    uint64_t value = 0;

    if (!place) {
        return false;
    }
    memcpy(&value, place, size);
    if (in_ctx) {
        if (m->run->lies && g_rand_int(m->run->lies) % 8 == 0) {
            value = g_rand_int(m->run->lies) * 0x100000001ull >>
                    g_rand_int(m->run->lies) % 64;
            value &= ~0ull >> (64 - 8 * size);
        }
    } else {
        what = m->stack_what[place - m->stack];
        for (unsigned i = 0; i < size; i++) {
            if (m->stack_what[place - m->stack + i] != what) {
                return fault(m, "mixture read from the stack");
            }
        }
        if (what == UNSET || (is_pointer(what) && size < 8)) {
            return fault(m, "stack not set, or part of a pointer");
        }
        if (is_of_fuel(m, place) && dst != AX) {
            return fault(m, "fuel read");
        }
    }
    if (dst == BPF_REG_10) {
        return fault(m, "frame pointer written");
    }
    m->reg[dst] = value;
    m->what[dst] = what;
    return true;
}

static bool may_write(const Machine *m, uint64_t offset, unsigned size)
{
    for (int i = 0; i < BPFHV_MAX_WRITABLE; i++) {
        if (offset >= m->run->rules->writable[i].begin &&
            offset + size <= m->run->rules->writable[i].end) {
            return true;
        }
    }
    return false;
}

static bool run_store(Machine *m, const struct bpf_insn *insn)
{
    bool by_reg = BPF_CLASS(insn->code) == BPF_STX;
    unsigned size = size_of(insn);
    uint64_t value = by_reg ? m->reg[insn->src_reg] :
                              (uint64_t)(int64_t)insn->imm;
    What what = by_reg ? m->what[insn->src_reg] : NUMBER;
    bool in_ctx = m->what[insn->dst_reg] == IN_CTX;
    uint8_t *place = find(m, insn, insn->dst_reg, size);

    if (!place) {
        return false;
    }
    if (what == UNSET || (is_pointer(what) && (in_ctx || size < 8))) {
        return fault(m, "write of a pointer, or of nothing");
    }
    if (in_ctx && !may_write(m, place - m->run->ctx, size)) {
        return fault(m, "write to what is read-only");
    }
    if (!in_ctx) {
        if (is_of_fuel(m, place) && insn->src_reg != AX && m->run->insn != 0) {
            return fault(m, "fuel written");
        }
        for (unsigned i = 0; i < size; i++) {
            m->stack_what[place - m->stack + i] = what;
        }
    }
    if (BPF_MODE(insn->code) == BPF_ATOMIC) {
        if (!in_ctx || insn->imm != BPF_XCHG) {
            return fault(m, "atomic operation");
        }
        m->reg[insn->src_reg] = 0;
        memcpy(&m->reg[insn->src_reg], place, size);
    }
    memcpy(place, &value, size);
    return true;
}

static bool step(Machine *m)
{
    const struct bpf_insn *insn = &m->run->insns[m->run->insn];

    switch (BPF_CLASS(insn->code)) {
    case BPF_ALU:
    case BPF_ALU64:
        return run_alu(m, insn);
    case BPF_JMP:
    case BPF_JMP32:
        return run_jump(m, insn);
    case BPF_LDX:
        return run_load(m, insn);
    case BPF_LD:
        m->reg[insn->dst_reg] = (uint32_t)insn->imm |
                                (uint64_t)(uint32_t)insn[1].imm << 32;
        m->what[insn->dst_reg] = NUMBER;
        m->run->insn++;
        return insn->dst_reg != BPF_REG_10 || fault(m, "frame pointer written");
    default:
        return run_store(m, insn);
    }
}

gboolean bpfhv_run(BpfhvRun *run)
{
    uint64_t limit = 5ull * (run->source_count + run->rules->fuel) + 3;
    Machine m = { .run = run };

    m.reg[BPF_REG_1] = CTX_BASE;
    m.what[BPF_REG_1] = IN_CTX;
    m.reg[BPF_REG_10] = STACK_BASE + sizeof(m.stack);
    m.what[BPF_REG_10] = IN_STACK;
    run->fault = NULL;
    run->steps = 0;
    for (run->insn = 0; ; run->insn++) {
        run->steps++;
        if (run->insn >= run->count) {
            return fault(&m, "ran over the end");
        }
        if (!limit--) {
            return fault(&m, "does not end");
        }
        if (run->insns[run->insn].code == (BPF_JMP | BPF_EXIT)) {
            run->result = m.reg[BPF_REG_0];
            return m.what[BPF_REG_0] == NUMBER ||
                   fault(&m, "what is returned is no number");
        }
        if (!step(&m)) {
            return FALSE;
        }
    }
}
