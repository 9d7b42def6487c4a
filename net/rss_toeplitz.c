/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Toeplitz hash. Bit n of the input, counted from the first byte's highest
 * bit, adds the 32 bits of the key that begin at its bit n.
 */
#include <assert.h>
#include <string.h>

#include "rss_toeplitz.h"

void rss_toeplitz_init(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE])
{
    if (!rss_clmul_supported()) {
        rss_toeplitz_init_plain(t, key);
        return;
    }
    t->clmul = true;
    rss_clmul_init(t->reversed, key);
}

void rss_toeplitz_init_plain(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE])
{
    t->clmul = false;
    memcpy(t->key, key, RSS_KEY_SIZE);
}

static uint64_t load_be(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;

    while (len--) {
        value = value << 8 | *bytes++;
    }
    return value;
}

/* Each word of the input adds what 64 bits of the key say: see rss_clmul.c. */
static uint32_t hash_plain(const uint8_t key[RSS_KEY_SIZE],
                           const uint8_t *input, size_t len)
{
    uint64_t window;
    uint32_t hash = 0, word;

    for (; len; len -= 4, input += 4, key += 4) {
        window = load_be(key, 8);
        for (word = load_be(input, 4); word; word <<= 1, window <<= 1) {
            hash ^= window >> 32 & -(uint64_t)(word >> 31);
        }
    }
    return hash;
}

uint32_t rss_toeplitz_hash(const RssToeplitz *t,
                           const uint8_t *input, size_t len)
{
    assert(len <= RSS_INPUT_MAX && len % 4 == 0);
    if (t->clmul) {
        return rss_reverse_bits(rss_clmul_reversed(t->reversed, input, len));
    }
    return hash_plain(t->key, input, len);
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
