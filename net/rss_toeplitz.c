/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Toeplitz hash. Bit n of the input, counted from the first byte's highest
 * bit, adds the 32 bits of the key that begin at its bit n.
 */
#include <assert.h>

#include "rss_toeplitz.h"

/* The 32 bits of the key that begin at bit @pos. */
static uint32_t key_window(const uint8_t *key, unsigned pos)
{
    uint64_t bits = 0;
    unsigned i;

    assert(pos + 32 <= 8 * RSS_KEY_SIZE);
    for (i = pos / 8; i < pos / 8 + 5; i++) {
        bits = bits << 8 | (i < RSS_KEY_SIZE ? key[i] : 0);
    }
    return bits >> (8 - pos % 8);
}

void rss_toeplitz_init(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE])
{
    if (!rss_clmul_supported()) {
        rss_toeplitz_init_tables(t, key);
        return;
    }
    t->clmul = true;
    rss_clmul_init(t->reversed, key);
}

void rss_toeplitz_init_tables(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE])
{
    unsigned pos, value, lowest;

    t->clmul = false;
    for (pos = 0; pos < 2 * RSS_INPUT_MAX; pos++) {
        uint32_t *nibble = t->nibble[pos];

        nibble[0] = 0;
        for (value = 1; value < 16; value++) {
            lowest = value & -value;
            nibble[value] = value == lowest
                ? key_window(key, 4 * pos + 3 - __builtin_ctz(value))
                : nibble[lowest] ^ nibble[value - lowest];
        }
    }
}

uint32_t rss_toeplitz_hash(const RssToeplitz *t,
                           const uint8_t *input, size_t len)
{
    uint32_t hash = 0;
    size_t i;

    assert(len <= RSS_INPUT_MAX && len % 4 == 0);
    if (t->clmul) {
        return rss_reverse_bits(rss_clmul_reversed(t->reversed, input, len));
    }
    for (i = 0; i < len; i++) {
        hash ^= t->nibble[2 * i][input[i] >> 4] ^
                t->nibble[2 * i + 1][input[i] & 0xf];
    }
    return hash;
}

void rss_toeplitz_mask(const uint8_t key[RSS_KEY_SIZE], unsigned bit,
                       uint8_t mask[RSS_INPUT_MAX])
{
    unsigned i;

    assert(bit < 32);
    for (i = 0; i < RSS_INPUT_MAX; i++) {
        /* Input bits 8i.. meet key bits 8i + 31 - bit.. in this hash bit. */
        unsigned pos = 8 * i + 31 - bit;
        unsigned pair = key[pos / 8] << 8;

        if (pos / 8 + 1 < RSS_KEY_SIZE) {
            pair |= key[pos / 8 + 1];
        }
        mask[i] = pair << pos % 8 >> 8;
    }
}
