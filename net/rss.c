/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSS configurations, and the engine that steers in this process. The latter
 * runs the very functions that the steering program is compiled from.
 */
#include <string.h>

#include "net/rss.h"
#include "rss_compile.h"
#include "rss_toeplitz.h"

struct RssEngine {
    struct rss_policy policy;
    RssToeplitz toeplitz;
};

GQuark rss_error_quark(void)
{
    return g_quark_from_static_string("rss-error-quark");
}

static bool is_power_of_2(unsigned n)
{
    return n && !(n & (n - 1));
}

bool rss_config_check(const RssConfig *config, uint16_t queue_pairs,
                      GError **error)
{
    unsigned i;

    if (config->hash_types & ~RSS_TYPES_ALL) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "unknown hash types 0x%x",
                    config->hash_types & ~RSS_TYPES_ALL);
        return false;
    }
    if (!is_power_of_2(config->table_len) ||
        config->table_len > RSS_TABLE_MAX) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "indirection table of %u entries, not a power of two"
                    " up to %d", config->table_len, RSS_TABLE_MAX);
        return false;
    }
    if (config->unclassified_queue >= queue_pairs) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "unclassified queue %u, the device has %u queue pairs",
                    config->unclassified_queue, queue_pairs);
        return false;
    }
    for (i = 0; i < config->table_len; i++) {
        if (config->table[i] >= queue_pairs) {
            g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                        "queue %u in entry %u of the indirection table,"
                        " the device has %u queue pairs",
                        config->table[i], i, queue_pairs);
            return false;
        }
    }
    return true;
}

void rss_compile(const RssConfig *config, struct rss_policy *policy)
{
    static const uint8_t word_of_bit[8] = { 0, 2, 1, 3, 0, 2, 1, 3 };
    uint8_t mask[RSS_INPUT_MAX];
    uint32_t bytes;
    unsigned bit, i;

    memset(policy, 0, sizeof(*policy));
    policy->hash_types = config->hash_types;
    policy->table_mask = config->table_len - 1;
    policy->unclassified_queue = config->unclassified_queue;
    memcpy(policy->table, config->table,
           config->table_len * sizeof(config->table[0]));

    for (bit = 0; bit < RSS_TABLE_BITS; bit++) {
        rss_toeplitz_mask(config->key, bit, mask);
        for (i = 0; i < RSS_INPUT_MAX / 4; i++) {
            memcpy(&bytes, mask + 4 * i, sizeof(bytes));
            policy->mask[i][word_of_bit[bit]] |= (uint64_t)bytes
                                                 << (bit < 4 ? 0 : 32);
        }
    }
}

RssEngine *rss_engine_new(const RssConfig *config)
{
    RssEngine *engine = g_new(RssEngine, 1);

    rss_compile(config, &engine->policy);
    rss_toeplitz_init(&engine->toeplitz, config->key);
    return engine;
}

void rss_engine_free(RssEngine *engine)
{
    g_free(engine);
}

static RssPacket rss_packet(const void *frame, size_t len)
{
    return (RssPacket) { .data = frame, .len = MIN(len, G_MAXINT32) };
}

/* The hash of a flow that has a type. */
static uint32_t rss_engine_hash(const RssEngine *engine,
                                const struct rss_flow *flow, uint32_t type)
{
    if (type & RSS_TYPES_IPV4) {
        return rss_toeplitz_hash(&engine->toeplitz,
                                 flow->head + RSS_OFF_IPV4_INPUT, 12);
    }
    return rss_toeplitz_hash(&engine->toeplitz,
                             flow->head + RSS_OFF_IPV6_INPUT, 36);
}

uint16_t rss_engine_steer(const RssEngine *engine,
                          const void *frame, size_t len)
{
    const struct rss_policy *policy = &engine->policy;
    const RssPacket pkt = rss_packet(frame, len);
    struct rss_flow flow;
    uint32_t type = rss_find_input(policy, &pkt, &flow);

    if (type && engine->toeplitz.clmul) {
        return rss_queue(policy, rss_engine_hash(engine, &flow, type));
    }
    /* A few bits of the hash cost less than all of them from tables. */
    return rss_steer(policy, &flow);
}

RssResult rss_engine_classify(const RssEngine *engine,
                              const void *frame, size_t len)
{
    const struct rss_policy *policy = &engine->policy;
    const RssPacket pkt = rss_packet(frame, len);
    struct rss_flow flow;
    RssResult result = { .queue = policy->unclassified_queue };

    result.type = rss_find_input(policy, &pkt, &flow);
    if (result.type) {
        result.hash = rss_engine_hash(engine, &flow, result.type);
        result.queue = rss_queue(policy, result.hash);
    }
    return result;
}
