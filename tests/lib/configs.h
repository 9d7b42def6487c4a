/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configurations for tests, and the oracle's view of them. */
#ifndef TESTS_CONFIGS_H
#define TESTS_CONFIGS_H

#include "net/rss.h"
#include "rss_oracle.h"

/* The key of the RSS verification suite. */
extern const uint8_t suite_key[RSS_KEY_SIZE];

/*
 * @table_len entries that all differ (queue 1000 + n), unclassified queue 999,
 * and the suite's key: a queue tells the entry.
 */
RssConfig config_plain(uint32_t hash_types, unsigned table_len);

/* Everything random: types, table of any length, key; queues below @queues. */
RssConfig config_random(GRand *rand, unsigned queues);

OracleConfig config_for_oracle(const RssConfig *config);

/*
 * A source of random numbers whose seed is printed. The environment variable
 * RSS_TEST_SEED repeats a run.
 */
GRand *config_seeded_rand(void);

#endif
