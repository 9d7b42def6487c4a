/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of all models have in common. They are written so that the
 * guest's verifier proves them (linux/bpfhv/bpfhv_verify.c): each index is
 * masked by a constant right before it is used, and hidden from the compiler,
 * which would walk a pointer instead.
 */
#ifndef EBPF_BPFHV_PROG_H
#define EBPF_BPFHV_PROG_H

#include "linux/bpfhv/bpfhv_abi.h"

/*
 * The program @name, of which the ELF object has each once. The function's name
 * is another, or the section would not assemble.
 */
#define PROGRAM(name, ctx) \
    __attribute__((section(#name), used)) int name##_program(ctx)

#define INLINE static inline __attribute__((always_inline))

/* Memory that the other side writes or reads at the same time. */
#define READ(place) (*(const volatile __typeof__(place) *)&(place))
#define WRITE(place, value) (*(volatile __typeof__(place) *)&(place) = (value))

/*
 * Write @value, with a full barrier before and behind. @place is at a constant
 * offset of the context.
 */
INLINE void exchange(__u32 *place, __u32 value)
{
    __sync_lock_test_and_set(place, value);
}

/* Put before a short loop: half the ways back, which cost fuel. */
#define BY_TWO _Pragma("clang loop unroll_count(2)")

/* @index modulo @size, a power of two. */
INLINE __u64 masked(__u32 index, __u32 size)
{
    asm volatile("" : "+r"(index));
    return index & (size - 1);
}

/* The buffer @i of the call. */
INLINE struct bpfhv_buf *buf_at(struct bpfhv_ctx *ctx, __u32 i)
{
    return &ctx->bufs[masked(i, BPFHV_CTX_BUFS)];
}

#endif
