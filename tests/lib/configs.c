/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "configs.h"

G_STATIC_ASSERT((int)ORACLE_KEY_LEN == (int)RSS_KEY_SIZE);
G_STATIC_ASSERT((int)ORACLE_TABLE_MAX == (int)RSS_TABLE_MAX);

const uint8_t suite_key[RSS_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

RssConfig config_plain(uint32_t hash_types, unsigned table_len)
{
    RssConfig config = {
        .hash_types = hash_types,
        .unclassified_queue = 999,
        .table_len = table_len,
    };
    unsigned i;

    for (i = 0; i < table_len; i++) {
        config.table[i] = 1000 + i;
    }
    memcpy(config.key, suite_key, sizeof(config.key));
    return config;
}

RssConfig config_random(GRand *rand, unsigned queues)
{
    RssConfig config = {
        .hash_types = g_rand_int_range(rand, 0, RSS_TYPES_ALL + 1),
        .unclassified_queue = g_rand_int_range(rand, 0, queues),
        .table_len = 1 << g_rand_int_range(rand, 0, RSS_TABLE_BITS + 1),
    };
    unsigned i;

    for (i = 0; i < config.table_len; i++) {
        config.table[i] = g_rand_int_range(rand, 0, queues);
    }
    for (i = 0; i < RSS_KEY_SIZE; i++) {
        config.key[i] = g_rand_int(rand);
    }
    return config;
}

OracleConfig config_for_oracle(const RssConfig *config)
{
    OracleConfig o = {
        .hash_types = config->hash_types,
        .unclassified_queue = config->unclassified_queue,
        .table_len = config->table_len,
    };

    memcpy(o.table, config->table, sizeof(o.table));
    memcpy(o.key, config->key, sizeof(o.key));
    return o;
}

GRand *config_seeded_rand(void)
{
    const char *text = g_getenv("RSS_TEST_SEED");
    guint32 seed = text ? g_ascii_strtoull(text, NULL, 0) : g_random_int();

    fprintf(stderr, "# RSS_TEST_SEED=%u repeats this run\n", seed);
    return g_rand_new_with_seed(seed);
}
