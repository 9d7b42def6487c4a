/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Toeplitz hash of RSS, all 32 bits of it: by carry-less multiplication
 * where the processor has that, else bit by bit.
 *
 * Source: virtio 1.4, "Hash calculation for incoming packets"; its known
 * answers are the RSS verification suite's.
 */
#ifndef NET_RSS_TOEPLITZ_H
#define NET_RSS_TOEPLITZ_H

#include <stddef.h>
#include <stdint.h>

#include "net/rss_defs.h"
#include "rss_clmul.h"

/**
 * RssToeplitz: a key, prepared
 * @clmul: @reversed is in use, else @key
 * @reversed: see rss_clmul.h
 * @key: as it is
 */
typedef struct RssToeplitz {
    bool clmul;
    union {
        uint64_t reversed[RSS_CLMUL_WORDS] __attribute__((aligned(16)));
        uint8_t key[RSS_KEY_SIZE];
    };
} RssToeplitz;

/* Chooses the faster way that this processor has. */
void rss_toeplitz_init(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE]);

/* Takes the way that every processor has. */
void rss_toeplitz_init_plain(RssToeplitz *t, const uint8_t key[RSS_KEY_SIZE]);

/**
 * rss_toeplitz_hash:
 * @input: addresses and ports as they are on the wire
 * @len: bytes at @input, a multiple of 4 up to RSS_INPUT_MAX
 *
 * Returns: the hash, in host order
 */
uint32_t rss_toeplitz_hash(const RssToeplitz *t,
                           const uint8_t *input, size_t len);

/**
 * rss_toeplitz_mask:
 * @bit: bit of the hash, 0 the lowest
 * @mask: receives RSS_INPUT_MAX bytes: the bits of the input whose parity is
 *        that bit of the hash
 */
void rss_toeplitz_mask(const uint8_t key[RSS_KEY_SIZE], unsigned bit,
                       uint8_t mask[RSS_INPUT_MAX]);

#endif
