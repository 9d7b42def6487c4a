/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a 32-bit word of the input adds to the Toeplitz hash is part of the
 * product, without carries, of the reverse of the word and the 64 bits of the
 * key that begin where the word does. The product of reverses is the reverse
 * of the product, so the key is reversed once, when it is set, and the hash at
 * the end; the words of the input only have to be in host order. That takes 9
 * multiplications for IPv6, in place of 72 look-ups.
 */
#include <assert.h>
#include <string.h>

#include "rss_clmul.h"

#ifdef __x86_64__

#include <immintrin.h>

#define CLMUL __attribute__((target("pclmul,ssse3")))

bool rss_clmul_supported(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("ssse3");
}

void rss_clmul_init(uint64_t reversed[RSS_CLMUL_WORDS],
                    const uint8_t key[RSS_KEY_SIZE])
{
    unsigned word, bit;

    memset(reversed, 0, RSS_CLMUL_WORDS * sizeof(reversed[0]));
    for (word = 0; word < RSS_INPUT_MAX / 4; word++) {
        for (bit = 0; bit < 64; bit++) {
            unsigned pos = 32 * word + bit;     /* of the key, from its start */
            uint64_t set = key[pos / 8] >> (7 - pos % 8) & 1;

            reversed[word] |= set << bit;
        }
    }
}

static uint32_t reverse32(uint32_t x)
{
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}

static uint32_t load_be32(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof(word));
    return __builtin_bswap32(word);
}

/* The products of two words, each in host order in a half of @words. */
CLMUL static inline __m128i multiply_pair(__m128i words, __m128i key)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(words, key, 0x00),
                         _mm_clmulepi64_si128(words, key, 0x11));
}

/* The products of four words, 16 bytes of the input. */
CLMUL static inline __m128i multiply_four(const uint8_t *p, const __m128i *key)
{
    const __m128i low = _mm_setr_epi8(3, 2, 1, 0, -1, -1, -1, -1,
                                      7, 6, 5, 4, -1, -1, -1, -1);
    const __m128i high = _mm_setr_epi8(11, 10, 9, 8, -1, -1, -1, -1,
                                       15, 14, 13, 12, -1, -1, -1, -1);
    __m128i all = _mm_loadu_si128((const __m128i *)p);

    return _mm_xor_si128(multiply_pair(_mm_shuffle_epi8(all, low), key[0]),
                         multiply_pair(_mm_shuffle_epi8(all, high), key[1]));
}

CLMUL uint32_t rss_clmul_hash(const uint64_t reversed[RSS_CLMUL_WORDS],
                              const uint8_t *input, size_t len)
{
    const __m128i *key = (const __m128i *)reversed;
    __m128i sum = _mm_setzero_si128(), words;
    size_t at = 0;

    for (; at + 16 <= len; at += 16) {
        sum = _mm_xor_si128(sum, multiply_four(input + at, key + at / 8));
    }
    for (; at + 8 <= len; at += 8) {
        words = _mm_set_epi64x(load_be32(input + at + 4),
                               load_be32(input + at));
        sum = _mm_xor_si128(sum, multiply_pair(words, key[at / 8]));
    }
    if (at < len) {
        words = _mm_cvtsi32_si128(load_be32(input + at));
        sum = _mm_xor_si128(sum, _mm_clmulepi64_si128(words, key[at / 8],
                                                      0x00));
    }
    return reverse32((uint64_t)_mm_cvtsi128_si64(sum) >> 31);
}

#else

bool rss_clmul_supported(void)
{
    return false;
}

void rss_clmul_init(uint64_t reversed[RSS_CLMUL_WORDS],
                    const uint8_t key[RSS_KEY_SIZE])
{
    assert(0);
}

uint32_t rss_clmul_hash(const uint64_t reversed[RSS_CLMUL_WORDS],
                        const uint8_t *input, size_t len)
{
    assert(0);
}

#endif
