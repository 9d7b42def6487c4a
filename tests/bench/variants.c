/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "net/rss_compile.h"
#include "net/rss_toeplitz.h"
#include "variants.h"
#include "variants.skel.h"
#include "variants_abi.h"

struct Variants {
    struct variants_bpf *skel;
};

/* What each bit of the input adds to the hash; bit 0 is a byte's lowest. */
typedef uint32_t Bits[RSS_INPUT_MAX][8];

static void find_bits(const uint8_t *key, Bits bits)
{
    g_autofree RssToeplitz *t = g_new(RssToeplitz, 1);
    uint8_t input[RSS_INPUT_MAX] = { 0 };
    unsigned i, bit;

    rss_toeplitz_init(t, key);
    for (i = 0; i < RSS_INPUT_MAX; i++) {
        for (bit = 0; bit < 8; bit++) {
            input[i] = 1 << bit;
            bits[i][bit] = rss_toeplitz_hash(t, input, sizeof(input));
        }
        input[i] = 0;
    }
}

/* What the byte @value at position @i adds to the hash. */
static uint32_t hash_byte(Bits bits, unsigned i, uint8_t value)
{
    uint32_t hash = 0;
    unsigned bit;

    for (bit = 0; bit < 8; bit++) {
        hash ^= value & 1 << bit ? bits[i][bit] : 0;
    }
    return hash;
}

/* The bits of the byte at position @i that add to bit @hash_bit. */
static uint8_t mask_byte(Bits bits, unsigned i, unsigned hash_bit)
{
    uint8_t mask = 0;
    unsigned bit;

    for (bit = 0; bit < 8; bit++) {
        mask |= (bits[i][bit] >> hash_bit & 1) << bit;
    }
    return mask;
}

/* The same for the @n bytes from @i on, as a word that is loaded from them. */
static uint64_t mask_word(Bits bits, unsigned i, unsigned n, unsigned hash_bit)
{
    uint8_t bytes[8] = { 0 };
    uint64_t word;
    unsigned k;

    for (k = 0; k < n; k++) {
        bytes[k] = mask_byte(bits, i + k, hash_bit);
    }
    memcpy(&word, bytes, sizeof(word));
    return GUINT64_FROM_LE(word);       /* the first byte is the lowest */
}

/* 0 for bits that the indirection table has no use for. */
static uint64_t mask_bytes(Bits bits, unsigned i, unsigned n, unsigned hash_bit)
{
    return hash_bit < RSS_TABLE_BITS ? mask_word(bits, i, n, hash_bit) : 0;
}

static void fill_lookups(struct variant_tables *t, Bits bits)
{
    unsigned i, v;

    for (i = 0; i < RSS_INPUT_MAX; i++) {
        for (v = 0; v < 256; v++) {
            t->byte32[i][v] = hash_byte(bits, i, v);
            t->byte8[i][v] = t->byte32[i][v];
        }
        for (v = 0; v < 16; v++) {
            t->nibble32[2 * i][v] = hash_byte(bits, i, v << 4);
            t->nibble32[2 * i + 1][v] = hash_byte(bits, i, v);
            t->nibble8[2 * i][v] = t->nibble32[2 * i][v];
            t->nibble8[2 * i + 1][v] = t->nibble32[2 * i + 1][v];
        }
    }
}

static void fill_mask64(__u64 mask[RSS_TABLE_BITS], Bits bits, unsigned i,
                        unsigned n)
{
    unsigned bit;

    for (bit = 0; bit < RSS_TABLE_BITS; bit++) {
        mask[bit] = mask_bytes(bits, i, n, bit);
    }
}

static void fill_words(struct variant_tables *t, Bits bits)
{
    unsigned i;

    fill_mask64(t->mask4[0], bits, 0, 4);
    fill_mask64(t->mask4[1], bits, 4, 8);
    for (i = 0; i < VARIANT_IPV6_WORDS - 1; i++) {
        fill_mask64(t->mask6[i], bits, 8 * i, 8);
    }
    fill_mask64(t->mask6[i], bits, 8 * i, 4);
}

static void fill_whole(struct variant_tables *t, Bits bits)
{
    unsigned byte, i, lane;

    for (byte = 0; byte < VARIANT_HASH_BYTES; byte++) {
        for (i = 0; i < RSS_INPUT_MAX / 4; i++) {
            for (lane = 0; lane < 8; lane++) {
                t->whole32[byte][i][lane % 4] |=
                    mask_word(bits, 4 * i, 4, 8 * byte + lane)
                    << 32 * (lane / 4);
            }
        }
    }
}

static void fill_lanes(struct variant_tables *t, Bits bits)
{
    unsigned i, lane;

    for (i = 0; i < RSS_INPUT_MAX / 4; i++) {
        for (lane = 0; lane < 8; lane++) {
            t->lane32[i][lane % 4] |=
                mask_bytes(bits, 4 * i, 4, lane) << 32 * (lane / 4);
        }
    }
    for (i = 0; i < RSS_INPUT_MAX / 2; i++) {
        for (lane = 0; lane < 8; lane++) {
            t->lane16[i][lane % 2] |=
                mask_bytes(bits, 2 * i, 2, lane) << 16 * (lane / 2);
        }
    }
    for (i = 0; i < RSS_INPUT_MAX; i++) {
        for (lane = 0; lane < 8; lane++) {
            t->lane8[i] |= mask_bytes(bits, i, 1, lane) << 8 * lane;
        }
    }
}

Variants *variants_load(const RssConfig *config)
{
    Variants *variants = g_new0(Variants, 1);
    g_autofree struct variant_tables *t = g_new0(struct variant_tables, 1);
    const uint32_t zero = 0;
    Bits bits;

    variants->skel = variants_bpf__open_and_load();
    if (!variants->skel) {
        g_error("cannot load the variants: %s", g_strerror(errno));
    }
    find_bits(config->key, bits);
    rss_compile(config, &t->policy);
    fill_lookups(t, bits);
    fill_words(t, bits);
    fill_lanes(t, bits);
    fill_whole(t, bits);
    if (bpf_map_update_elem(bpf_map__fd(variants->skel->maps.tables), &zero,
                            t, BPF_ANY) < 0) {
        g_error("cannot fill the variants' tables: %s", g_strerror(errno));
    }
    return variants;
}

const char *variants_program(const Variants *variants, unsigned i, int *fd)
{
    struct bpf_program *program = NULL;
    unsigned n = 0;

    bpf_object__for_each_program(program, variants->skel->obj) {
        if (n++ == i) {
            *fd = bpf_program__fd(program);
            return bpf_program__name(program);
        }
    }
    return NULL;
}

void variants_free(Variants *variants)
{
    if (!variants) {
        return;
    }
    variants_bpf__destroy(variants->skel);
    g_free(variants);
}
