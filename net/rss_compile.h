/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a guest's configuration to what the engines work with. */
#ifndef NET_RSS_COMPILE_H
#define NET_RSS_COMPILE_H

#include "net/rss.h"
#include "rss_hash.h"

/**
 * rss_compile:
 * @config: one that rss_config_check() accepts
 * @policy: receives the compiled policy; every byte is written
 */
void rss_compile(const RssConfig *config, struct rss_policy *policy);

/**
 * rss_compile_hash:
 * @table: receives the key's table; every byte is written
 */
void rss_compile_hash(const uint8_t key[RSS_KEY_SIZE],
                      struct rss_hash_table *table);

#endif
