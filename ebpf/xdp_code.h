/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's XDP program as it came: where its functions begin and end, where
 * it jumps, what it may not contain at all.
 */
#ifndef EBPF_XDP_CODE_H
#define EBPF_XDP_CODE_H

#include <glib.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebpf/xdp_limits.h"

#define XDP_ERROR (xdp_error_quark())
GQuark xdp_error_quark(void);

typedef enum XdpError {
    XDP_ERROR_PROGRAM,      /* it breaks a rule, or is not understood */
    XDP_ERROR_HOST,         /* the host refuses */
} XdpError;

/* Sets an error that names the instruction. Returns false. */
G_GNUC_PRINTF(3, 4)
bool xdp_refuse(GError **error, size_t at, const char *format, ...);

/**
 * XdpMap: one of the card's maps
 * @type: BPF_MAP_TYPE_*
 * @key_size, @value_size: bytes
 * @fd: descriptor of the host
 */
typedef struct XdpMap {
    uint32_t type, key_size, value_size;
    int fd;
} XdpMap;

/* What becomes of a helper; see xdp_translate.c. */
typedef enum XdpHelperUse {
    XDP_HELPER_REFUSED,     /* the zero that a table begins with */
    XDP_HELPER_KEPT,        /* tc has the same */
    XDP_HELPER_CSUM_DIFF,
    XDP_HELPER_GET_LEN,     /* from here on they take the context */
    XDP_HELPER_LOAD_BYTES,
    XDP_HELPER_ADJUST_META,
    XDP_HELPER_STORE_BYTES, /* from here on they change the packet */
    XDP_HELPER_ADJUST_HEAD,
    XDP_HELPER_ADJUST_TAIL,
} XdpHelperUse;

/* @n_args: how many registers it reads, from r1 on */
typedef struct XdpHelper {
    XdpHelperUse use;
    uint8_t n_args;
} XdpHelper;

/* Of helper @number (BPF_FUNC_*); any number is allowed. */
XdpHelper xdp_helper(int32_t number);

/**
 * XdpFunction: a part of the program, from @start up to @end
 * @charged: it has a loop or calls a function, which cost of the budget
 */
typedef struct XdpFunction {
    unsigned start, end;
    bool charged;
} XdpFunction;

/**
 * XdpCode: a program that is well-formed
 * @insns, @count: the caller's
 * @functions: in their order; the first is where it begins
 * @target: per instruction, whether one jumps there
 * @cost: per instruction, of all that stand before it; @count + 1 of them
 */
typedef struct XdpCode {
    const struct bpf_insn *insns;
    unsigned count, n_functions;
    XdpFunction functions[XDP_MAX_FUNCTIONS];
    bool *target;
    uint32_t *cost;
} XdpCode;

/**
 * xdp_code_new:
 * @insns: stay the caller's, and must live as long as the answer
 * @maps: what the program's map numbers mean
 *
 * Accepts what is listed in xdp_code.c and nothing else. Each jump ends at an
 * instruction of the same function, each function with an exit or a jump.
 *
 * Returns: NULL with @error set, which names the instruction
 */
XdpCode *xdp_code_new(const struct bpf_insn *insns, size_t count,
                      const XdpMap *maps, size_t n_maps, GError **error);

void xdp_code_free(XdpCode *code);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(XdpCode, xdp_code_free)

/* The number of the function that instruction @at is in. */
unsigned xdp_code_function(const XdpCode *code, unsigned at);

static inline bool xdp_is_call(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_CALL) &&
           insn->src_reg == BPF_PSEUDO_CALL;
}

static inline bool xdp_is_exit(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_EXIT);
}

/* A jump, with a condition or without; no call and no exit. */
static inline bool xdp_is_jump(const struct bpf_insn *insn)
{
    uint8_t class = BPF_CLASS(insn->code);

    return (class == BPF_JMP || class == BPF_JMP32) &&
           BPF_OP(insn->code) != BPF_CALL && BPF_OP(insn->code) != BPF_EXIT;
}

/* Of a jump that goes back, or of one to itself: it makes a loop. */
static inline bool xdp_is_back(const struct bpf_insn *insn)
{
    return xdp_is_jump(insn) && insn->off < 0;
}

/* Instructions that this one takes up: 1, or 2. */
static inline unsigned xdp_insn_len(const struct bpf_insn *insn)
{
    return insn->code == (BPF_LD | BPF_IMM | BPF_DW) ? 2 : 1;
}

static inline bool xdp_takes_register(const struct bpf_insn *insn)
{
    return BPF_SRC(insn->code) == BPF_X;
}

/* Bytes that a load or a store moves. */
static inline unsigned xdp_access_size(const struct bpf_insn *insn)
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

#endif
