/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the virtio specification says of a frame: slow, written from the
 * specification, and sharing nothing with the code under test, not even a
 * header. Neither file may include anything from net/, ebpf/ or include/.
 */
#ifndef TESTS_RSS_ORACLE_H
#define TESTS_RSS_ORACLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    ORACLE_KEY_LEN = 40,
    ORACLE_TABLE_MAX = 128,
};

/* A configuration; numbers in host order. */
typedef struct OracleConfig {
    uint32_t hash_types;
    uint16_t unclassified_queue;
    uint16_t table_len;
    uint16_t table[ORACLE_TABLE_MAX];
    uint8_t key[ORACLE_KEY_LEN];
} OracleConfig;

/* @type is the bit of hash_types that applied, or 0; then @hash is 0 too. */
typedef struct OracleAnswer {
    uint16_t queue;
    uint32_t type;
    uint32_t hash;
} OracleAnswer;

/* The hash of @len bytes at @input, bit by bit. */
uint32_t oracle_toeplitz(const uint8_t key[ORACLE_KEY_LEN],
                         const uint8_t *input, size_t len);

/* What becomes of the @len bytes at @frame, a frame from its MAC address. */
OracleAnswer oracle_classify(const OracleConfig *config,
                             const uint8_t *frame, size_t len);

#endif
