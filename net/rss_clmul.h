/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Toeplitz hash by carry-less multiplication, where the processor has it. */
#ifndef NET_RSS_CLMUL_H
#define NET_RSS_CLMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/rss_defs.h"

enum {
    RSS_CLMUL_WORDS = 10,       /* 9 for the longest input, and one of zeros */
};

/* Whether this processor can; if not, the functions below must not be used. */
bool rss_clmul_supported(void);

/**
 * rss_clmul_init:
 * @reversed: receives the key, prepared; aligned to 16 bytes
 */
void rss_clmul_init(uint64_t reversed[RSS_CLMUL_WORDS],
                    const uint8_t key[RSS_KEY_SIZE]);

/**
 * rss_clmul_reversed:
 * @reversed: as rss_clmul_init() left it
 * @input: addresses and ports as they are on the wire
 * @len: bytes at @input, a multiple of 4 up to RSS_INPUT_MAX
 *
 * Returns: the hash with its bits in reverse order
 */
uint32_t rss_clmul_reversed(const uint64_t reversed[RSS_CLMUL_WORDS],
                            const uint8_t *input, size_t len);

/* The bits of @x in reverse order. */
static inline uint32_t rss_reverse_bits(uint32_t x)
{
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}

#endif
