/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSS configurations, and the engine that steers in this process. The latter
 * runs the very functions that the steering program is compiled from.
 */
#include <string.h>

#include "net/rss.h"
#include "rss_compile.h"
#include "rss_toeplitz.h"

/*
 * @by_reversed is the policy's table by the reverse of the hash's low bits.
 * With it a packet is steered without reversing what rss_clmul_reversed()
 * returns.
 */
struct RssEngine {
    struct rss_policy policy;
    RssToeplitz toeplitz;
    uint16_t by_reversed[RSS_TABLE_MAX];
};

/* Where the low RSS_TABLE_BITS bits of a hash are in its reverse. */
static unsigned reversed_index(uint32_t reversed)
{
    return reversed >> (32 - RSS_TABLE_BITS);
}

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

bool rss_config_restore(RssConfig *config, const uint16_t *table,
                        uint16_t queue_pairs, GError **error)
{
    memset(config->table, 0, sizeof(config->table));
    if (table && config->table_len <= RSS_TABLE_MAX) {
        memcpy(config->table, table, config->table_len * sizeof(*table));
    }
    if (!rss_config_check(config, queue_pairs, error)) {
        *config = (RssConfig) { .table_len = 1 };
        return false;
    }
    return true;
}

/* The word of RssMasks that has the mask for a bit, and in which half. */
static const uint8_t word_of_bit[8] = { 0, 2, 1, 3, 0, 2, 1, 3 };

static bool in_high_half(unsigned bit)
{
    return bit >= 4;
}

static void compile_4(RssMasks masks, const uint8_t *mask, unsigned bit)
{
    uint32_t bytes;

    memcpy(&bytes, mask, sizeof(bytes));
    masks[word_of_bit[bit]] |= (uint64_t)bytes << (in_high_half(bit) ? 32 : 0);
}

static void compile_8(RssMasks masks[2], const uint8_t *mask, unsigned bit)
{
    const uint64_t low = 0xffffffff, half = in_high_half(bit) ? ~low : low;
    uint64_t bytes;

    memcpy(&bytes, mask, sizeof(bytes));
    masks[0][word_of_bit[bit]] |= bytes & half;
    masks[1][word_of_bit[bit]] |= __builtin_bswap64(bytes & ~half);
}

void rss_compile(const RssConfig *config, struct rss_policy *policy)
{
    uint8_t mask[RSS_INPUT_MAX];
    unsigned bit, i;

    memset(policy, 0, sizeof(*policy));
    policy->unclassified_queue = config->unclassified_queue;
    for (i = 0; i < RSS_TABLE_MAX; i++) {
        policy->table[i] = config->table[i % config->table_len];
    }
    for (i = 0; i <= RSS_FOUND_ALL; i++) {
        policy->type[i] =
            rss_type_report(rss_select_type(i, config->hash_types));
    }

    for (bit = 0; bit < RSS_TABLE_BITS; bit++) {
        rss_toeplitz_mask(config->key, bit, mask);
        for (i = 0; i < G_N_ELEMENTS(policy->ipv4); i++) {
            compile_4(policy->ipv4[i], mask + 4 * i, bit);
        }
        for (i = 0; i < G_N_ELEMENTS(policy->ipv6); i++) {
            compile_8(policy->ipv6[i], mask + 8 * i, bit);
        }
        compile_4(policy->ipv6_ports, mask + 32, bit);
    }
}

/* The 32 bits of the key from its bit @bit on, one of the input's. */
static uint32_t key_window(const uint8_t key[RSS_KEY_SIZE], unsigned bit)
{
    uint64_t bytes = 0;
    unsigned i;

    for (i = bit / 8; i <= bit / 8 + 4; i++) {
        bytes = bytes << 8 | key[i];
    }
    return bytes >> (8 - bit % 8);
}

void rss_compile_hash(const uint8_t key[RSS_KEY_SIZE],
                      struct rss_hash_table *table)
{
    uint32_t *nibble;
    unsigned place, value;

    for (place = 0; place < RSS_NIBBLES; place++) {
        nibble = table->nibble[place];
        nibble[0] = 0;
        for (value = 1; value < 16; value++) {
            unsigned rest = value & (value - 1), bit = value ^ rest;

            nibble[value] = rest ? nibble[rest] ^ nibble[bit]
                : key_window(key, 4 * place + 3 - __builtin_ctz(bit));
        }
    }
}

RssEngine *rss_engine_new(const RssConfig *config)
{
    RssEngine *engine = g_new(RssEngine, 1);
    unsigned i;

    rss_compile(config, &engine->policy);
    for (i = 0; i < RSS_TABLE_MAX; i++) {
        engine->by_reversed[reversed_index(rss_reverse_bits(i))] =
            engine->policy.table[i];
    }
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

/* What is hashed of a flow that has a type: @len bytes. */
static const uint8_t *hash_input(const struct rss_flow *flow, uint32_t type,
                                 size_t *len)
{
    size_t ports = type & RSS_TYPES_PORTS ? 4 : 0;

    if (type & RSS_TYPES_IPV4) {
        *len = 8 + ports;
        return flow->head + RSS_OFF_IPV4_INPUT;
    }
    *len = 32 + ports;
    return flow->head + RSS_OFF_IPV6_INPUT;
}

/* Not in line: it would take the other way's registers. */
static __attribute__((noinline)) uint16_t
steer_by_masks(const struct rss_policy *policy, const struct rss_flow *flow,
               uint32_t type)
{
    return rss_steer(policy, flow, type);
}

uint16_t rss_engine_steer(const RssEngine *engine,
                          const void *frame, size_t len)
{
    const struct rss_policy *policy = &engine->policy;
    const RssPacket pkt = rss_packet(frame, len);
    struct rss_flow flow;
    uint32_t type = rss_find_input(policy, &pkt, &flow);
    const uint8_t *input;
    uint32_t reversed;
    size_t input_len;

    if (!type || !engine->toeplitz.clmul) {
        /* A few bits of the hash cost less than all of them bit by bit. */
        return steer_by_masks(policy, &flow, type);
    }
    input = hash_input(&flow, type, &input_len);
    reversed = rss_clmul_reversed(engine->toeplitz.reversed, input,
                                  input_len);
    return engine->by_reversed[reversed_index(reversed)];
}

RssResult rss_engine_classify(const RssEngine *engine,
                              const void *frame, size_t len)
{
    const struct rss_policy *policy = &engine->policy;
    const RssPacket pkt = rss_packet(frame, len);
    struct rss_flow flow;
    RssResult result = { .queue = policy->unclassified_queue };
    const uint8_t *input;
    size_t input_len;

    result.type = rss_find_input(policy, &pkt, &flow);
    if (result.type) {
        input = hash_input(&flow, result.type, &input_len);
        result.hash = rss_toeplitz_hash(&engine->toeplitz, input,
                                        input_len);
        result.queue = rss_queue(policy, result.hash);
    }
    return result;
}
