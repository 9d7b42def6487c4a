/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translating XDP programs: what is accepted and what becomes of it, what is
 * refused and with which words. tests/bpf/test-bpf-xdp.c has the kernel run
 * what comes out.
 */
#include <string.h>

#include "ebpf/insn.h"
#include "ebpf/xdp_translate.h"
#include "guard.h"

/* Each is a row of an instruction's fields. */
#define MOVE(dst, src)          { INSN_MOVE, dst, src, 0, 0 }
#define SET(dst, imm)           { INSN_SET, dst, 0, 0, imm }
#define ADD(dst, imm)           { INSN_ADD_CONST, dst, 0, 0, imm }
#define ADD_REG(dst, src)       { INSN_ADD, dst, src, 0, 0 }
#define LOAD(dst, src, off)     { INSN_LOAD32, dst, src, off, 0 }
#define LOAD8(dst, src, off)    { BPF_LDX | BPF_MEM | BPF_DW, dst, src, off, 0 }
#define STORE(dst, off, src)    { INSN_STORE32, dst, src, off, 0 }
#define STORE8(dst, off, src)   { INSN_STORE64, dst, src, off, 0 }
#define JUMP(off)               { INSN_JUMP, 0, 0, off, 0 }
#define IF_EQUAL(dst, imm, off) { INSN_IF_EQUAL, dst, 0, off, imm }
#define HELPER(name)            { INSN_CALL, 0, 0, 0, BPF_FUNC_##name }
#define CALL(off)               { INSN_CALL, 0, BPF_PSEUDO_CALL, 0, off }
#define MAP(dst, number)        { INSN_LOAD_CONST, dst, 1, 0, number }, { 0 }
#define VALUE(dst, number, off) { INSN_LOAD_CONST, dst, 2, 0, number }, \
                                { 0, 0, 0, 0, off }
#define EXIT                    { INSN_EXIT }
#define PASS                    SET(0, XDP_PASS), EXIT

enum {
    ROW_INSNS = 24,
    ARRAY_FD = 41, HASH_FD = 42, BUDGET_FD = 43,    /* any numbers */
    VALUE_SIZE = 16,
    TAP = 7, GUEST = 3,             /* interfaces */
};

static const XdpMap maps[] = {
    { BPF_MAP_TYPE_ARRAY, 4, VALUE_SIZE, ARRAY_FD },
    { BPF_MAP_TYPE_HASH, 4, VALUE_SIZE, HASH_FD },
};

/**
 * Row: a program
 * @rewrite, @devmap: what it is translated for; else tc, without rewriting
 * @words: in the message that refuses it; NULL if it is accepted
 * @becomes: stands in the translation, if it has a code
 */
typedef struct Row {
    const char *name;
    bool rewrite, devmap;
    struct bpf_insn insns[ROW_INSNS];
    const char *words;
    struct bpf_insn becomes;
} Row;

static const Row rows[] = {
    /* The context's fields */
    { "context/data", 0, 0, { LOAD(2, 1, 0), PASS }, NULL,
      LOAD(2, 1, offsetof(struct __sk_buff, data)) },
    { "context/data-end", 0, 0, { LOAD(3, 1, 4), PASS }, NULL,
      LOAD(3, 1, offsetof(struct __sk_buff, data_end)) },
    { "context/data-meta", 0, 0, { LOAD(4, 1, 8), PASS }, NULL,
      LOAD(4, 1, offsetof(struct __sk_buff, data_meta)) },
    { "context/ifindex", 0, 0, { LOAD(5, 1, 12), PASS }, NULL,
      { INSN_SET32, 5, 0, 0, GUEST } },
    { "context/queue", 0, 0, { LOAD(5, 1, 16), PASS }, NULL,
      { INSN_SET32, 5, 0, 0, 0 } },
    { "context/egress", 0, 0, { LOAD(5, 1, 20), PASS },
      "instruction 0: the context has no field at 20" },
    { "context/cb", 0, 0,
      { LOAD(5, 1, offsetof(struct __sk_buff, cb)), PASS }, "no field at 48" },
    { "context/negative", 0, 0, { LOAD(5, 1, -4), PASS }, "no field at -4" },
    { "context/between", 0, 0, { LOAD(5, 1, 2), PASS }, "no field at 2" },
    { "context/eight-bytes", 0, 0, { LOAD8(5, 1, 0), PASS },
      "instruction 0: the context has fields of four bytes" },
    { "context/write", 0, 0, { SET(2, 0), STORE(1, 16, 2), PASS },
      "instruction 1: it writes to what may be the context" },
    { "context/write-cb", 0, 0, { SET(2, 9), STORE(1, 48, 2), PASS },
      "writes to what may be" },
    { "context/arithmetic", 0, 0, { ADD(1, 4), PASS },
      "instruction 0: arithmetic with what may be the context" },
    { "context/arithmetic-as-source", 0, 0,
      { SET(2, 0), ADD_REG(2, 1), PASS }, "instruction 1: arithmetic" },
    { "context/half", 0, 0, { { INSN_MOVE32, 2, 1, 0, 0 }, PASS },
      "instruction 0: arithmetic" },

    /* Where the context goes */
    { "moves/registers", 0, 0,
      { MOVE(6, 1), MOVE(3, 6), LOAD(2, 3, 0), PASS }, NULL,
      LOAD(2, 3, offsetof(struct __sk_buff, data)) },
    { "moves/stack", 0, 0,
      { STORE8(10, -16, 1), LOAD8(3, 10, -16), LOAD(2, 3, 0), PASS }, NULL,
      LOAD(2, 3, offsetof(struct __sk_buff, data)) },
    { "moves/stack-by-pointer", 0, 0,
      { MOVE(2, 10), ADD(2, -24), STORE8(2, 8, 1), LOAD8(3, 10, -16),
        LOAD(2, 3, 4), PASS }, NULL,
      LOAD(2, 3, offsetof(struct __sk_buff, data_end)) },
    { "moves/overwritten", 0, 0,
      { STORE8(10, -8, 1), SET(2, 0), STORE8(10, -8, 2), LOAD8(3, 10, -8),
        ADD(3, 1), PASS }, NULL },
    { "moves/into-map", 0, 0, { VALUE(2, 0, 0), STORE8(2, 0, 1), PASS },
      "instruction 2: the context is stored where it cannot be followed" },
    { "moves/half-of-it", 0, 0, { STORE(10, -8, 1), PASS },
      "instruction 0: the context is stored where" },
    { "moves/anywhere-in-stack", 0, 0,
      { LOAD(2, 1, 16), MOVE(3, 10), ADD_REG(3, 2), STORE8(3, -8, 1), PASS },
      "instruction 3: the context is stored where" },
    { "moves/pointer-anywhere-in-stack", 0, 0,
      { VALUE(2, 0, 0), MOVE(3, 10), SET(4, -8), ADD_REG(3, 4),
        STORE8(3, 0, 2), PASS },
      "instruction 5: it stores eight bytes at an unknown place" },
    { "moves/number-anywhere-in-stack", 0, 0,
      { LOAD(2, 1, 16), MOVE(3, 10), ADD_REG(3, 2), STORE(3, -8, 2),
        { BPF_ST | BPF_MEM | BPF_DW, 3, 0, -8, 0 }, PASS }, NULL },
    { "moves/from-anywhere", 0, 0,
      { LOAD(2, 1, 16), MOVE(3, 10), ADD_REG(3, 2), LOAD8(4, 3, -8), PASS },
      "instruction 3: it loads eight bytes from an unknown place" },
    { "moves/on-one-way", 0, 0,
      { MOVE(6, 1), LOAD(2, 1, 16), IF_EQUAL(2, 0, 1), MOVE(6, 10),
        LOAD(3, 6, 0), PASS },
      "instruction 4: it loads from what may be the context or not" },
    { "moves/on-one-way-unused", 0, 0,
      { MOVE(6, 1), LOAD(2, 1, 16), IF_EQUAL(2, 0, 1), MOVE(6, 10), PASS },
      NULL },
    { "moves/in-a-loop", 0, 0,
      { MOVE(6, 1), MOVE(7, 10), SET(8, 5), LOAD(2, 7, -8), MOVE(7, 6),
        ADD(8, -1), { INSN_IF_NOT_EQUAL, 8, 0, -4, 0 }, PASS },
      "instruction 3: it loads from what may be" },

    /* Registers that were not written */
    { "unset/source", 0, 0, { MOVE(0, 6), EXIT },
      "instruction 0: r6 is read, which is not written" },
    { "unset/verdict", 0, 0, { EXIT }, "instruction 0: r0 is read" },
    { "unset/after-call", 0, 0, { HELPER(ktime_get_ns), MOVE(0, 1), EXIT },
      "instruction 1: r1 is read" },
    { "unset/on-one-way", 0, 0,
      { LOAD(2, 1, 16), IF_EQUAL(2, 0, 1), SET(3, 1), MOVE(0, 3), EXIT },
      "instruction 3: r3 is read" },

    /* Packets */
    { "packet/address", 0, 0,
      { LOAD(2, 1, 0), SET(3, 0), STORE(2, 8, 3), PASS }, NULL },
    { "packet/behind-addresses", 0, 0,
      { LOAD(2, 1, 0), SET(3, 0), STORE(2, 9, 3), PASS },
      "instruction 2: it changes the packet behind its two" },
    { "packet/before-addresses", 0, 0,
      { LOAD(2, 1, 0), SET(3, 0), STORE(2, -1, 3), PASS }, "rewrite=on" },
    { "packet/address-by-arithmetic", 0, 0,
      { LOAD(2, 1, 0), ADD(2, 20), ADD(2, -12), SET(3, 0), STORE(2, 0, 3),
        PASS }, NULL },
    { "packet/far", 0, 0,
      { LOAD(2, 1, 0), ADD(2, 300), ADD(2, -300), SET(3, 0), STORE(2, 0, 3),
        PASS }, "rewrite=on" },
    { "packet/variable", 0, 0,
      { LOAD(2, 1, 0), LOAD(3, 1, 16), ADD_REG(2, 3), STORE(2, 0, 3), PASS },
      "rewrite=on" },
    { "packet/from-a-number", 0, 0,
      { LOAD(2, 1, 0), SET(3, 20), ADD_REG(3, 2), STORE(3, 0, 3), PASS },
      "rewrite=on" },
    { "packet/by-the-stack", 0, 0,
      { LOAD(2, 1, 0), STORE8(10, -8, 2), LOAD8(4, 10, -8), STORE(4, 20, 4),
        PASS }, "rewrite=on" },
    { "packet/rewrite", true, 0,
      { LOAD(2, 1, 0), SET(3, 0), STORE(2, 20, 3), PASS }, NULL },
    { "packet/devmap", true, true,
      { LOAD(2, 1, 0), SET(3, 0), STORE(2, 0, 3), PASS },
      "instruction 2: it changes the packet" },

    /* Helpers */
    { "helper/len", 0, 0, { HELPER(xdp_get_buff_len), PASS }, NULL,
      LOAD(0, 1, offsetof(struct __sk_buff, len)) },
    { "helper/len-devmap", 0, true, { HELPER(xdp_get_buff_len), PASS }, NULL,
      HELPER(xdp_get_buff_len) },
    { "helper/meta", 0, 0, { SET(2, -4), HELPER(xdp_adjust_meta), PASS },
      NULL, SET(0, -524) },
    { "helper/load", 0, 0,
      { SET(2, 0), MOVE(3, 10), ADD(3, -8), SET(4, 8),
        HELPER(xdp_load_bytes), PASS }, NULL, HELPER(skb_load_bytes) },
    { "helper/store", true, 0,
      { SET(2, 0), MOVE(3, 10), ADD(3, -8), SET(4, 8),
        HELPER(xdp_store_bytes), PASS }, NULL, HELPER(skb_store_bytes) },
    { "helper/store-refused", 0, 0,
      { SET(2, 0), MOVE(3, 10), ADD(3, -8), SET(4, 8),
        HELPER(xdp_store_bytes), PASS },
      "instruction 4: helper 190 changes the packet; that needs rewrite=on" },
    { "helper/head", true, 0, { SET(2, -8), HELPER(xdp_adjust_head), PASS },
      NULL, HELPER(skb_change_head) },
    { "helper/head-refused", 0, 0,
      { SET(2, -8), HELPER(xdp_adjust_head), PASS }, "rewrite=on" },
    { "helper/tail", true, 0, { SET(2, -8), HELPER(xdp_adjust_tail), PASS },
      NULL, HELPER(skb_change_tail) },
    { "helper/kept", 0, 0, { HELPER(get_prandom_u32), PASS }, NULL,
      HELPER(get_prandom_u32) },
    { "helper/no-context", 0, 0,
      { SET(1, 0), HELPER(xdp_get_buff_len), PASS },
      "instruction 1: helper 188 takes the context, and r1 is not surely" },
    { "helper/context-as-key", 0, 0,
      { MOVE(2, 1), MAP(1, 1), HELPER(map_lookup_elem), PASS },
      "instruction 3: helper 1 gets the context in r2" },
    { "helper/redirect", 0, 0,
      { SET(1, 1), SET(2, 0), HELPER(redirect), PASS },
      "instruction 2: helper 23 is not supported" },
    { "helper/tail-call", 0, 0, { HELPER(tail_call), PASS }, "helper 12" },
    { "helper/loop", 0, 0, { HELPER(loop), PASS }, "helper 181" },
    { "helper/printk", 0, 0, { HELPER(trace_printk), PASS }, "helper 6" },
    { "helper/negative", 0, 0, { { INSN_CALL, 0, 0, 0, -1 }, PASS },
      "helper -1" },
    { "helper/kfunc", 0, 0, { { INSN_CALL, 0, 2, 0, 1 }, PASS },
      "instruction 0: functions of the kernel" },

    /* Maps */
    { "map/number", 0, 0,
      { MAP(1, 1), SET(2, 0), STORE8(10, -8, 2), MOVE(2, 10), ADD(2, -8),
        HELPER(map_lookup_elem), PASS }, NULL,
      { INSN_LOAD_CONST, 1, 1, 0, HASH_FD } },
    { "map/value", 0, 0, { VALUE(1, 0, VALUE_SIZE - 1), PASS }, NULL,
      { INSN_LOAD_CONST, 1, 2, 0, ARRAY_FD } },
    { "map/behind-value", 0, 0, { VALUE(1, 0, VALUE_SIZE), PASS },
      "offset 16 is outside of map 0, whose value has 16" },
    { "map/value-of-hash", 0, 0, { VALUE(1, 1, 0), PASS },
      "map 1 is not an array" },
    { "map/none", 0, 0, { MAP(1, 2), PASS },
      "instruction 0: there is no map 2; the card has 2" },
    { "map/descriptor", 0, 0, { MAP(1, -1), PASS }, "there is no map" },
    { "map/number-with-offset", 0, 0,
      { { INSN_LOAD_CONST, 1, 1, 0, 0 }, { 0, 0, 0, 0, 1 }, PASS },
      "a map has no offset" },
    { "map/by-index", 0, 0,
      { { INSN_LOAD_CONST, 1, 5, 0, 0 }, { 0 }, PASS },
      "a constant of kind 5 is not supported" },
    { "map/function", 0, 0, { { INSN_LOAD_CONST, 1, 4, 0, 0 }, { 0 }, PASS },
      "a constant of kind 4" },
    { "map/atomic", 0, 0,
      { VALUE(1, 0, 0), SET(2, 1),
        { BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, BPF_ADD | BPF_FETCH },
        PASS }, NULL },
    { "map/atomic-on-stack", 0, 0,
      { STORE8(10, -8, 1), SET(2, 1),
        { BPF_STX | BPF_ATOMIC | BPF_DW, 10, 2, -8, BPF_XCHG }, LOAD(3, 2, 0),
        PASS }, "instruction 2: an atomic operation" },

    /* Functions and loops */
    { "function/context", 0, 0,
      { CALL(2), PASS, LOAD(0, 1, 0), EXIT }, NULL,
      LOAD(0, 1, offsetof(struct __sk_buff, data)) },
    { "function/context-of-one-caller", 0, 0,
      { MOVE(6, 1), CALL(4), MOVE(1, 10), CALL(2), PASS, LOAD(0, 1, -4),
        EXIT }, "instruction 6: the context has no field at -4" },
    { "function/two-kinds", 0, 0,
      { MOVE(6, 1), MOVE(1, 10), ADD(1, -8), CALL(4), MOVE(1, 6), CALL(2),
        PASS, LOAD(0, 1, 0), EXIT },
      "instruction 8: it loads from what may be the context or not" },
    { "function/structure", 0, 0,
      { STORE8(10, -16, 1), MOVE(1, 10), ADD(1, -16), CALL(2), PASS,
        LOAD8(2, 1, 0), LOAD(0, 2, 4), EXIT }, NULL,
      LOAD(0, 2, offsetof(struct __sk_buff, data_end)) },
    { "function/stores-context-above", 0, 0,
      { MOVE(2, 1), MOVE(1, 10), ADD(1, -8), CALL(4), LOAD8(3, 10, -8),
        LOAD(4, 3, 0), PASS, STORE8(1, 0, 2), SET(0, 0), EXIT }, NULL,
      LOAD(4, 3, offsetof(struct __sk_buff, data)) },
    { "function/returns-context", 0, 0,
      { CALL(2), PASS, MOVE(0, 1), EXIT },
      "instruction 0: the function returns the context" },
    { "function/argument-unset", 0, 0,
      { CALL(2), PASS, MOVE(0, 2), EXIT }, "instruction 3: r2 is read" },
    { "function/callers-register", 0, 0,
      { MOVE(6, 1), CALL(2), PASS, LOAD(0, 6, 0), EXIT },
      "instruction 4: r6 is read" },
    { "function/itself", 0, 0, { CALL(2), PASS, CALL(-1), SET(0, 0), EXIT },
      "calls within calls: more than 8" },
    { "function/into-constant", 0, 0, { CALL(3), PASS, MAP(1, 0), PASS },
      "instruction 0: there is no function to call" },
    { "function/outside", 0, 0, { CALL(100), PASS }, "no function to call" },
    { "function/before", 0, 0, { CALL(-2), PASS }, "no function to call" },
    { "function/jump-out", 0, 0, { CALL(2), PASS, JUMP(-4), PASS },
      "instruction 3: it jumps out of its function" },
    { "function/devmap", 0, true, { CALL(2), PASS, SET(0, 0), EXIT }, NULL,
      { INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, BUDGET_FD } },
    { "function/five-arguments-and-loop", 0, 0,
      { SET(2, 0), SET(3, 0), SET(4, 0), SET(5, 0), CALL(2), PASS,
        ADD_REG(3, 1), ADD_REG(4, 2), ADD_REG(5, 3), EXIT },
      "instruction 7: arithmetic" },
    { "function/five-arguments-that-loops", 0, 0,
      { SET(1, 0), SET(2, 0), SET(3, 0), SET(4, 0), SET(5, 0), CALL(2), PASS,
        MOVE(0, 1), ADD_REG(0, 2), ADD_REG(0, 3), ADD_REG(0, 4),
        ADD_REG(0, 5), IF_EQUAL(0, 1, -2), EXIT },
      "instruction 5: a function with five arguments" },
    { "loop/budget", 0, 0,
      { SET(6, 9), ADD(6, -1), { INSN_IF_NOT_EQUAL, 6, 0, -2, 0 }, PASS },
      NULL, { INSN_SUBTRACT32, 2, 0, 0, 2 } },
    { "loop/itself", 0, 0, { JUMP(-1) }, NULL,
      { INSN_SUBTRACT32, 2, 0, 0, 1 } },
    { "loop/helper", 0, 0,
      { SET(6, 9), HELPER(ktime_get_ns), ADD(6, -1),
        { INSN_IF_NOT_EQUAL, 6, 0, -3, 0 }, PASS },
      NULL, { INSN_SUBTRACT32, 2, 0, 0, XDP_HELPER_COST + 2 } },
    { "loop/devmap", 0, true,
      { SET(6, 9), ADD(6, -1), { INSN_IF_NOT_EQUAL, 6, 0, -2, 0 }, PASS },
      NULL, { INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, BUDGET_FD } },

    /* What is no program */
    { "form/falls-off", 0, 0, { SET(0, 0), SET(0, 1) },
      "instruction 1: a function does not end here" },
    { "form/jump-behind-end", 0, 0, { JUMP(2), PASS },
      "instruction 0: it jumps out of its function" },
    { "form/jump-before-start", 0, 0, { JUMP(-2), PASS }, "it jumps out" },
    { "form/jump-into-constant", 0, 0, { JUMP(1), MAP(1, 0), PASS },
      "or into an instruction" },
    { "form/half-constant", 0, 0, { PASS, { INSN_LOAD_CONST, 1, 0, 0, 5 } },
      "instruction 2: the program ends within it" },
    { "form/second-half", 0, 0,
      { { INSN_LOAD_CONST, 1 }, { INSN_EXIT }, PASS }, "the second half" },
    { "form/unreached", 0, 0, { PASS, SET(0, 0), EXIT },
      "instruction 2: it is never reached" },
    { "form/frame-pointer", 0, 0, { MOVE(10, 1), PASS },
      "instruction 0: the frame pointer" },
    { "form/register-11", 0, 0, { MOVE(11, 1), PASS }, "no such register" },
    { "form/register-15", 0, 0, { MOVE(2, 15), PASS }, "no such register" },
    { "form/code-0", 0, 0, { { 0, 0, 0, 0, 1 }, PASS }, "code 0x00" },
    { "form/code-ff", 0, 0, { { 0xff }, PASS }, "code 0xff" },
    { "form/load-packet", 0, 0,
      { MOVE(6, 1), { BPF_LD | BPF_ABS | BPF_W }, PASS }, "code 0x20" },
    { "form/may-goto", 0, 0, { { BPF_JMP | 0xe0 }, PASS }, "code 0xe5" },
    { "form/long-jump", 0, 0, { { BPF_JMP32 | BPF_JA }, PASS }, "code 0x06" },
    { "form/call-register", 0, 0,
      { { BPF_JMP | BPF_CALL | BPF_X, 1 }, PASS }, "code 0x8d" },
    { "form/address-space", 0, 0, { { INSN_MOVE, 2, 1, 1, 1 }, PASS },
      "code 0xbf" },
    { "form/acquire", 0, 0,
      { VALUE(1, 0, 0),
        { BPF_STX | BPF_ATOMIC | BPF_W, 1, 1, 0, 0x100 }, PASS },
      "code 0xc3" },
};

static Guard *guard;

static XdpTarget target_of(const Row *row)
{
    return (XdpTarget) {
        .hook = row->devmap ? XDP_HOOK_DEVMAP : XDP_HOOK_TC,
        .maps = maps,
        .n_maps = G_N_ELEMENTS(maps),
        .tap_ifindex = TAP,
        .guest_ifindex = GUEST,
        .budget = XDP_BUDGET,
        .budget_fd = BUDGET_FD,
        .rewrite = row->rewrite,
    };
}

/* Instructions up to the last that is not all zeros. */
static size_t row_len(const Row *row)
{
    static const struct bpf_insn zero;
    size_t count = ROW_INSNS;

    while (!memcmp(&row->insns[count - 1], &zero, sizeof(zero))) {
        count--;
    }
    return count;
}

/* The first @count instructions; behind them nothing can be read. */
static const struct bpf_insn *guarded(const Row *row, size_t count)
{
    return (const void *)guard_copy(guard, row->insns,
                                    count * sizeof(struct bpf_insn));
}

static bool contains(const GArray *insns, const struct bpf_insn *wanted)
{
    unsigned i;

    for (i = 0; i < insns->len; i++) {
        if (!memcmp(&g_array_index(insns, struct bpf_insn, i), wanted,
                    sizeof(*wanted))) {
            return true;
        }
    }
    return false;
}

static void test_row(gconstpointer data)
{
    const Row *row = data;
    XdpTarget target = target_of(row);
    size_t count = row_len(row);
    g_autoptr(GArray) insns = NULL;
    g_autoptr(GError) error = NULL;

    insns = xdp_translate(guarded(row, count), count, &target, &error);
    if (row->words) {
        g_assert_nonnull(error);
        g_assert_null(insns);
        g_assert_error(error, XDP_ERROR, XDP_ERROR_PROGRAM);
        if (!strstr(error->message, row->words)) {
            g_test_message("\"%s\" has not \"%s\"", error->message,
                           row->words);
            g_test_fail();
        }
        return;
    }
    g_assert_no_error(error);
    g_assert_true(!row->becomes.code || contains(insns, &row->becomes));
}

/* Cut off anywhere, nothing behind is read. */
static void test_truncated(void)
{
    size_t i, count;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        XdpTarget target = target_of(&rows[i]);

        for (count = 0; count < row_len(&rows[i]); count++) {
            GArray *insns = xdp_translate(guarded(&rows[i], count), count,
                                          &target, NULL);

            if (insns) {
                g_array_free(insns, TRUE);
            }
        }
    }
}

/* A program of @count instructions, of which @helpers are calls. */
static bool accepted(size_t count, size_t helpers)
{
    const XdpTarget target = { .budget = XDP_BUDGET };
    g_autofree struct bpf_insn *insns = g_new0(struct bpf_insn, count);
    GArray *answer;
    size_t i;

    for (i = 0; i < count; i++) {
        insns[i] = insn(INSN_SET, 0, 0, 0, XDP_DROP);
        if (i < helpers) {
            insns[i] = insn(INSN_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
        }
    }
    insns[count - 1] = insn(INSN_EXIT, 0, 0, 0, 0);
    answer = xdp_translate(insns, count, &target, NULL);
    if (answer) {
        g_array_free(answer, TRUE);
    }
    return answer != NULL;
}

static void test_limits(void)
{
    g_assert_true(accepted(XDP_MAX_INSNS, 0));
    g_assert_false(accepted(XDP_MAX_INSNS + 1, 0));
    g_assert_true(accepted(1000, XDP_MAX_SLOW / XDP_HELPER_COST));
    g_assert_false(accepted(1000, XDP_MAX_SLOW / XDP_HELPER_COST + 1));
}

/* How often a map's helper may be called. @moved: r1 is loaded by way of r6. */
static unsigned calls(const XdpMap *these, size_t n, int32_t helper,
                      bool moved)
{
    const XdpTarget target = {
        .budget = XDP_BUDGET, .maps = these, .n_maps = n,
    };
    g_autoptr(GArray) code = g_array_new(FALSE, FALSE,
                                         sizeof(struct bpf_insn));
    unsigned most = 0;

    for (;;) {
        const struct bpf_insn call[] = {
            insn(INSN_LOAD_CONST, moved ? 6 : 1, 1, 0, 0),
            insn(0, 0, 0, 0, 0),
            insn(INSN_MOVE, moved ? 1 : 7, moved ? 6 : 10, 0, 0),
            insn(INSN_MOVE, 2, 10, 0, 0),
            insn(INSN_MOVE, 3, 10, 0, 0),
            insn(INSN_SET, 4, 0, 0, BPF_ANY),
            insn(INSN_CALL, 0, 0, 0, helper),
        };
        const struct bpf_insn end[] = {
            insn(INSN_SET, 0, 0, 0, XDP_DROP), insn(INSN_EXIT, 0, 0, 0, 0),
        };
        GArray *answer;

        g_array_append_vals(code, call, G_N_ELEMENTS(call));
        g_array_append_vals(code, end, G_N_ELEMENTS(end));
        answer = xdp_translate((const void *)code->data, code->len, &target,
                               NULL);
        if (!answer) {
            return most;
        }
        g_array_free(answer, TRUE);
        g_array_set_size(code, code->len - G_N_ELEMENTS(end));
        most++;
    }
}

/* How often a program may do @slow. */
static unsigned times(struct bpf_insn slow)
{
    const XdpTarget target = { .budget = XDP_BUDGET };
    struct bpf_insn insns[XDP_MAX_INSNS];
    unsigned n;

    insns[0] = insn(INSN_SET, 0, 0, 0, XDP_DROP);
    insns[1] = insn(INSN_STORE64, 10, 0, -8, 0);
    for (n = 0; n < XDP_MAX_INSNS - 3; n++) {
        GArray *answer;

        insns[n + 2] = insn(INSN_EXIT, 0, 0, 0, 0);
        answer = xdp_translate(insns, n + 3, &target, NULL);
        if (!answer) {
            break;
        }
        g_array_free(answer, TRUE);
        insns[n + 2] = slow;
    }
    return n ? n - 1 : 0;
}

static void test_slow_instructions(void)
{
    unsigned of_add = times(insn(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 3));

    g_assert_cmpuint(of_add, >, XDP_MAX_INSNS - 10);
    g_assert_cmpuint(times(insn(BPF_ALU64 | BPF_DIV | BPF_K, 0, 0, 0, 3)), <,
                     of_add / 8);
    g_assert_cmpuint(times(insn(BPF_ALU | BPF_MOD | BPF_K, 0, 0, 0, 3)), <,
                     of_add / 8);
    g_assert_cmpuint(times(insn(BPF_STX | BPF_ATOMIC | BPF_DW, 10, 0, -8,
                                BPF_ADD)), <, of_add / 4);
}

/* A call costs what the map takes; where it is not known which, the dearest. */
static void test_map_costs(void)
{
    const XdpMap cheap = { BPF_MAP_TYPE_ARRAY, 4, 8, 1 };
    const XdpMap large = { BPF_MAP_TYPE_HASH, XDP_MAX_KEY, XDP_MAX_VALUE, 2 };
    const XdpMap deep = { BPF_MAP_TYPE_LPM_TRIE, XDP_MAX_LPM_KEY, 8, 3 };
    const XdpMap both[] = { cheap, deep };
    const int32_t lookup = BPF_FUNC_map_lookup_elem;
    const int32_t update = BPF_FUNC_map_update_elem;
    unsigned of_cheap = calls(&cheap, 1, lookup, false);

    g_assert_cmpuint(of_cheap, >, 200);
    g_assert_cmpuint(calls(&large, 1, lookup, false), <, of_cheap / 8);
    g_assert_cmpuint(calls(&large, 1, update, false), <, of_cheap / 16);
    g_assert_cmpuint(calls(&deep, 1, lookup, false), <, of_cheap / 30);
    g_assert_cmpuint(calls(&deep, 1, update, false), <, of_cheap / 60);
    g_assert_cmpuint(calls(both, 2, lookup, false), ==, of_cheap);
    g_assert_cmpuint(calls(both, 2, lookup, true), ==,
                     calls(&deep, 1, lookup, false));
}

int main(int argc, char **argv)
{
    size_t i;
    int status;

    g_test_init(&argc, &argv, NULL);
    guard = guard_new(ROW_INSNS * sizeof(struct bpf_insn));
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("/xdp/%s", rows[i].name);

        g_test_add_data_func(name, &rows[i], test_row);
    }
    g_test_add_func("/xdp/slow-instructions", test_slow_instructions);
    g_test_add_func("/xdp/map-costs", test_map_costs);
    g_test_add_func("/xdp/truncated", test_truncated);
    g_test_add_func("/xdp/limits", test_limits);
    status = g_test_run();
    guard_free(guard);
    return status;
}
