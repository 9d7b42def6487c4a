/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways to compute the low 7 bits of the hash, or all, in a BPF program. @input
 * is in the packet's order; @len is 12 or 36 and known to the compiler.
 */
#ifndef BENCH_VARIANTS_HASH_H
#define BENCH_VARIANTS_HASH_H

#include "variants_abi.h"

#define HASH_INLINE static __always_inline

/*
 * Between the steps of a hash: clang must not load all of the input first,
 * for it would run out of registers, and then out of stack.
 */
HASH_INLINE void in_order(void)
{
    asm volatile("" ::: "memory");
}

/* A word of @len bytes, 4 or 8, at a multiple of its length. */
HASH_INLINE __u64 word_at(const __u8 *p, int len)
{
    __u32 half;
    __u64 word;

    if (len == 4) {
        __builtin_memcpy(&half, __builtin_assume_aligned(p, 4), 4);
        return half;
    }
    __builtin_memcpy(&word, __builtin_assume_aligned(p, 8), 8);
    return word;
}

/* --- one lookup for each byte or half byte ------------------------------ */

HASH_INLINE __u32 hash_byte32(const struct variant_tables *t,
                              const __u8 *input, const int len)
{
    __u32 hash = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len; i++) {
        hash ^= t->byte32[i][input[i]];
        in_order();
    }
    return hash;
}

HASH_INLINE __u32 hash_byte8(const struct variant_tables *t,
                             const __u8 *input, const int len)
{
    __u32 hash = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len; i++) {
        hash ^= t->byte8[i][input[i]];
        in_order();
    }
    return hash;
}

HASH_INLINE __u32 hash_nibble32(const struct variant_tables *t,
                                const __u8 *input, const int len)
{
    __u32 hash = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len; i++) {
        hash ^= t->nibble32[2 * i][input[i] >> 4];
        hash ^= t->nibble32[2 * i + 1][input[i] & 15];
        in_order();
    }
    return hash;
}

HASH_INLINE __u32 hash_nibble8(const struct variant_tables *t,
                               const __u8 *input, const int len)
{
    __u32 hash = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len; i++) {
        hash ^= t->nibble8[2 * i][input[i] >> 4];
        hash ^= t->nibble8[2 * i + 1][input[i] & 15];
        in_order();
    }
    return hash;
}

/* --- masks, and the parity of what is left ------------------------------ */

/*
 * Folds the lanes of two words, each lane's upper half on its lower, and puts
 * the results side by side: those of @a in the lower halves, of @b in the
 * upper ones. @low is the lower halves of all lanes, @shift half a lane.
 */
HASH_INLINE __u64 fold_lanes(__u64 a, __u64 b, int shift, __u64 low)
{
    __u64 crossed = (a >> shift ^ b) & low;

    return a ^ b ^ crossed ^ crossed << shift;
}

/* The parity of each byte; byte n's to bit n. */
HASH_INLINE __u32 byte_parities(__u64 x)
{
    x ^= x >> 4;
    x ^= x >> 2;
    x ^= x >> 1;
    x &= 0x0101010101010101ULL;
    return x * 0x0102040810204080ULL >> 56;
}

HASH_INLINE __u32 parities16(__u64 even, __u64 odd)
{
    return byte_parities(fold_lanes(even, odd, 8, 0x00ff00ff00ff00ffULL));
}

HASH_INLINE __u32 parities32(__u64 b04, __u64 b15, __u64 b26, __u64 b3)
{
    const __u64 low = 0x0000ffff0000ffffULL;

    return parities16(fold_lanes(b04, b26, 16, low),
                      fold_lanes(b15, b3, 16, low));
}

HASH_INLINE __u32 parities64(const __u64 *bit)
{
    const __u64 low = 0xffffffffULL;

    return parities32(fold_lanes(bit[0], bit[4], 32, low),
                      fold_lanes(bit[1], bit[5], 32, low),
                      fold_lanes(bit[2], bit[6], 32, low),
                      fold_lanes(bit[3], 0, 32, low));
}

HASH_INLINE __u32 hash_mask64(const struct variant_tables *t,
                              const __u8 *input, const int len)
{
    __u64 bit[RSS_TABLE_BITS];
    int i;

    if (len == 12) {
        __u64 a = word_at(input, 4), b = word_at(input + 4, 8);

        for (i = 0; i < RSS_TABLE_BITS; i++) {
            bit[i] = (t->mask4[0][i] & a) ^ (t->mask4[1][i] & b);
        }
    } else {
        __u64 a = word_at(input, 8), b = word_at(input + 8, 8);
        __u64 c = word_at(input + 16, 8), d = word_at(input + 24, 8);
        __u64 e = word_at(input + 32, 4);

        for (i = 0; i < RSS_TABLE_BITS; i++) {
            bit[i] = (t->mask6[0][i] & a) ^ (t->mask6[1][i] & b) ^
                     (t->mask6[2][i] & c) ^ (t->mask6[3][i] & d) ^
                     (t->mask6[4][i] & e);
        }
    }
    return parities64(bit);
}

HASH_INLINE __u32 hash_lanes32(const __u64 mask[][4], const __u8 *input,
                               const int len)
{
    __u64 acc[4] = { 0 }, x;
    int i, k;

#pragma clang loop unroll(full)
    for (i = 0; i < len / 4; i++) {
        x = word_at(input + 4 * i, 4) * 0x0000000100000001ULL;
#pragma clang loop unroll(full)
        for (k = 0; k < 4; k++) {
            acc[k] ^= mask[i][k] & x;
        }
        asm volatile("" : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]),
                     "+r"(acc[3]));
    }
    return parities32(acc[0], acc[1], acc[2], acc[3]);
}

HASH_INLINE __u32 hash_lane32(const struct variant_tables *t,
                              const __u8 *input, const int len)
{
    return hash_lanes32(t->lane32, input, len);
}

/* All bits: byte by byte, each as above. */
HASH_INLINE __u32 hash_whole32(const struct variant_tables *t,
                               const __u8 *input, const int len)
{
    __u32 hash = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < VARIANT_HASH_BYTES; i++) {
        hash |= hash_lanes32(t->whole32[i], input, len) << 8 * i;
    }
    return hash;
}

HASH_INLINE __u32 hash_lane16(const struct variant_tables *t,
                              const __u8 *input, const int len)
{
    __u64 even = 0, odd = 0, x;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len / 2; i++) {
        x = *(const __u16 *)(input + 2 * i) * 0x0001000100010001ULL;
        even ^= t->lane16[i][0] & x;
        odd ^= t->lane16[i][1] & x;
        asm volatile("" : "+r"(even), "+r"(odd));
    }
    return parities16(even, odd);
}

HASH_INLINE __u32 hash_lane8(const struct variant_tables *t,
                             const __u8 *input, const int len)
{
    __u64 lanes = 0;
    int i;

#pragma clang loop unroll(full)
    for (i = 0; i < len; i++) {
        lanes ^= t->lane8[i] & input[i] * 0x0101010101010101ULL;
        in_order();
    }
    return byte_parities(lanes);
}

#endif
