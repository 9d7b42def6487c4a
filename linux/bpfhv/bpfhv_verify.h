/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Proves that a program from the device can do no harm. */
#ifndef LINUX_BPFHV_VERIFY_H
#define LINUX_BPFHV_VERIFY_H

#include <linux/types.h>

#include "bpfhv_abi.h"

struct bpf_insn;

enum {
    /*
     * The stack that a verified program has, in bytes: its own and, below, a
     * number that counts down. To be told to the kernel (aux->stack_depth).
     */
    BPFHV_VERIFIED_STACK = BPFHV_MAX_STACK + 8,

    /* What a program returns that has used up its fuel; others may, too. */
    BPFHV_OUT_OF_FUEL = -0x7fffffff - 1,

    BPFHV_MAX_WRITABLE = 3,
};

/* How long the result of @count instructions can be. */
#define BPFHV_VERIFIED_INSNS(count) (5 * (count) + 3)

/**
 * struct bpfhv_area: bytes of the context
 * @begin: the first
 * @end: behind the last
 */
struct bpfhv_area {
    __u32 begin, end;
};

/**
 * struct bpfhv_rules: what a program may do
 * @ctx_size: bytes of the context, all of which may be read
 * @fuel: instructions, see bpfhv_verify(); at most BPFHV_MAX_FUEL
 * @writable: what may be written; empty areas behind the last
 */
struct bpfhv_rules {
    __u32 ctx_size;
    __u32 fuel;
    struct bpfhv_area writable[BPFHV_MAX_WRITABLE];
};

/**
 * bpfhv_rules_for: the rules of the ABI
 * @program: bpfhv_program
 * @ctx_size: what the device says of the queue's contexts, in bytes
 * @rules: where they go
 *
 * Return: 0, or -EINVAL: there is no such program or context.
 */
int bpfhv_rules_for(unsigned int program, __u32 ctx_size,
                    struct bpfhv_rules *rules);

/**
 * struct bpfhv_refusal: why a program was not accepted
 * @insn: number of the instruction, from 0 on
 * @reason: a text that is never freed
 */
struct bpfhv_refusal {
    __u32 insn;
    const char *reason;
};

/**
 * bpfhv_verify: prove a program, and add what the proof needs
 * @insns: the program; a copy that nobody else can write to
 * @count: its instructions
 * @rules: what it may do
 * @out: room for BPFHV_VERIFIED_INSNS(@count) instructions
 * @refusal: written if it is refused
 *
 * An accepted program, given a context that is aligned to 8 bytes,
 *
 * - reads and writes nothing but the context and its own stack, aligned, and
 *   in the context writes only where @rules allow it,
 * - reads no register and no byte of the stack before writing it,
 * - writes no pointer to the context, returns none, and makes no number of one,
 * - calls nothing,
 * - ends, after at most @count + @rules->fuel instructions of its own and at
 *   most four of ours for each,
 *
 * whatever the context holds and whoever writes to it at the same time. The
 * result has a stack of BPFHV_VERIFIED_STACK bytes and uses BPF_REG_AX. It
 * expects a kernel of 64 bits, and that what runs it clears the high half of a
 * register when it writes the low one (not bpf_jit_needs_zext()). Side channels
 * of processors that execute ahead are not looked at.
 *
 * May sleep; takes up to 2 MiB of memory for the time of the call.
 *
 * Return: the number of instructions in @out; -EACCES: refused; -ENOMEM.
 */
int bpfhv_verify(const struct bpf_insn *insns, __u32 count,
                 const struct bpfhv_rules *rules, struct bpf_insn *out,
                 struct bpfhv_refusal *refusal);

#endif
