/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which hash type applies, which queue follows, which configuration is good. */
#include <string.h>

#include "configs.h"
#include "flow_cases.h"
#include "guard.h"
#include "net/rss_compile.h"
#include "packet.h"
#include "random_packet.h"

enum {
    RANDOM_PACKETS = 100000,
    PACKETS_PER_CONFIG = 50,
    MAX_FRAME = 4096,
};

/* Frames, and the types that apply to them: the first one enabled does. */
static const struct {
    const char *name, *recipe;
    uint32_t order[5];
} preferences[] = {
    { "ipv4/tcp", "eth ip4 tcp", { TCP4, V4 } },
    { "ipv4/udp", "eth ip4 udp", { UDP4, V4 } },
    { "ipv4/other", "eth ip4:proto=1 raw:8", { V4 } },
    { "ipv4/fragment", "eth ip4:mf tcp", { V4 } },
    { "ipv6/tcp", "eth ip6 tcp", { TCP6, V6 } },
    { "ipv6/udp", "eth ip6 udp", { UDP6, V6 } },
    { "ipv6/other", "eth ip6 icmp6", { V6 } },
    { "ipv6/ext-tcp", "eth ip6 hop tcp", { XTCP, XIP, TCP6, V6 } },
    { "ipv6/ext-udp", "eth ip6 hop udp", { XUDP, XIP, UDP6, V6 } },
    { "ipv6/ext-other", "eth ip6 hop icmp6", { XIP, V6 } },
    { "ipv6/ext-fragment", "eth ip6 frag:m tcp", { XIP, V6 } },
    { "other/arp", "eth type:0x0806 raw:60", { 0 } },
};

static uint32_t preferred(const uint32_t *order, uint32_t enabled)
{
    while (*order && !(*order & enabled)) {
        order++;
    }
    return *order;
}

static void test_all_masks(gconstpointer data)
{
    size_t row = GPOINTER_TO_SIZE(data);
    g_autoptr(GByteArray) frame = packet_build(preferences[row].recipe,
                                               &packet_flow);
    uint32_t enabled;

    for (enabled = 0; enabled <= RSS_TYPES_ALL; enabled++) {
        RssConfig config = config_plain(enabled, RSS_TABLE_MAX);
        OracleConfig oracle = config_for_oracle(&config);
        g_autoptr(RssEngine) engine = rss_engine_new(&config);
        RssResult result = rss_engine_classify(engine, frame->data,
                                               frame->len);
        uint32_t expected = preferred(preferences[row].order, enabled);

        if (result.type != expected) {
            g_error("types 0x%x enabled: type 0x%x, expected 0x%x",
                    enabled, result.type, expected);
        }
        g_assert_cmphex(oracle_classify(&oracle, frame->data,
                                        frame->len).type, ==, expected);
        g_assert_cmpuint(result.queue, ==,
                         expected ? 1000 + (result.hash & 127) : 999);
    }
}

static void test_table_length(gconstpointer data)
{
    unsigned table_len = GPOINTER_TO_UINT(data), seen = 0, i;
    RssConfig config = config_plain(RSS_TYPES_ALL, table_len);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    g_autoptr(GHashTable) queues = g_hash_table_new(NULL, NULL);
    PacketFlow flow = packet_flow;

    /* What lies behind the table's end must not matter. */
    memset(config.table + table_len, 0xff,
           sizeof(config.table) - table_len * sizeof(config.table[0]));
    for (i = 0; i < 4096; i++) {
        g_autoptr(GByteArray) frame = NULL;
        RssResult result;

        flow.ports[0] = i >> 8;
        flow.ports[1] = i;
        frame = packet_build("eth ip4 udp", &flow);
        result = rss_engine_classify(engine, frame->data, frame->len);
        g_assert_cmpuint(result.queue, ==,
                         1000 + (result.hash & (table_len - 1)));
        g_assert_cmpuint(rss_engine_steer(engine, frame->data, frame->len),
                         ==, result.queue);
        seen += g_hash_table_add(queues, GUINT_TO_POINTER(result.queue));
    }
    g_assert_cmpuint(seen, ==, table_len);
}

/* An engine keeps what it was made from. */
static void test_engine_copies(void)
{
    RssConfig config = config_plain(RSS_TYPES_ALL, RSS_TABLE_MAX);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    g_autoptr(GByteArray) frame = packet_build("eth ip6 tcp", &packet_flow);
    RssResult before = rss_engine_classify(engine, frame->data, frame->len);
    RssResult after;

    memset(&config, 0xff, sizeof(config));
    after = rss_engine_classify(engine, frame->data, frame->len);
    g_assert_cmphex(after.hash, ==, before.hash);
    g_assert_cmpuint(after.queue, ==, before.queue);
    rss_engine_free(NULL);
}

/* As the steering program does it, whatever this processor's engine does. */
static uint16_t steer_by_masks(const struct rss_policy *policy,
                               const uint8_t *frame, size_t len)
{
    const RssPacket pkt = { .data = frame, .len = len };
    struct rss_flow flow;
    uint32_t type = rss_find_input(policy, &pkt, &flow);

    return rss_steer(policy, &flow, type);
}

static void check_packet(const RssEngine *engine,
                         const struct rss_policy *policy,
                         const OracleConfig *oracle,
                         const RandomPacket *packet, Guard *guard)
{
    size_t len = packet->frame->len;
    const uint8_t *frame = guard_copy(guard, packet->frame->data, len);
    OracleAnswer expected = oracle_classify(oracle, frame, len);
    RssResult seen = rss_engine_classify(engine, frame, len);
    uint16_t steered = rss_engine_steer(engine, frame, len);
    uint16_t masked = steer_by_masks(policy, frame, len);

    if (seen.type != expected.type || seen.hash != expected.hash ||
        seen.queue != expected.queue || steered != expected.queue ||
        masked != expected.queue) {
        g_autofree char *hex = packet_hex(frame, len);

        g_error("%s\n%s\ntypes 0x%x: type 0x%x hash 0x%08x queue %u,"
                " steered to %u, by masks to %u; expected type 0x%x"
                " hash 0x%08x queue %u",
                packet->recipe, hex, oracle->hash_types, seen.type,
                seen.hash, seen.queue, steered, masked, expected.type,
                expected.hash, expected.queue);
    }
}

/* Both functions of the engine, and the masks, against the oracle. */
static void test_random(void)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    Guard *guard = guard_new(MAX_FRAME);
    int i, j;

    for (i = 0; i < RANDOM_PACKETS / PACKETS_PER_CONFIG; i++) {
        RssConfig config = config_random(rand, 65535);
        OracleConfig oracle = config_for_oracle(&config);
        g_autoptr(RssEngine) engine = rss_engine_new(&config);
        struct rss_policy policy;

        rss_compile(&config, &policy);
        for (j = 0; j < PACKETS_PER_CONFIG; j++) {
            g_autoptr(RandomPacket) packet = random_packet(rand, MAX_FRAME);

            check_packet(engine, &policy, &oracle, packet, guard);
        }
    }
    guard_free(guard);
}

/* Configurations with one field changed, and whether they are good. */
static const struct {
    const char *name;
    uint32_t hash_types;
    unsigned table_len;
    unsigned unclassified, first_entry, last_entry, queue_pairs;
    bool good;
} checks[] = {
    { "all-types", 0x1ff, 128, 0, 0, 0, 1, true },
    { "no-types", 0, 128, 0, 0, 0, 1, true },
    { "type-bit-8", 0x100, 128, 0, 0, 0, 1, true },
    { "type-bit-9", 0x200, 128, 0, 0, 0, 1, false },
    { "type-bit-31", 0x80000001, 128, 0, 0, 0, 1, false },
    { "length-0", 0x1ff, 0, 0, 0, 0, 1, false },
    { "length-1", 0x1ff, 1, 0, 0, 0, 1, true },
    { "length-2", 0x1ff, 2, 0, 0, 0, 1, true },
    { "length-3", 0x1ff, 3, 0, 0, 0, 1, false },
    { "length-64", 0x1ff, 64, 0, 0, 0, 1, true },
    { "length-127", 0x1ff, 127, 0, 0, 0, 1, false },
    { "length-129", 0x1ff, 129, 0, 0, 0, 1, false },
    { "length-256", 0x1ff, 256, 0, 0, 0, 1, false },
    { "length-32768", 0x1ff, 32768, 0, 0, 0, 1, false },
    { "unclassified-last", 0x1ff, 128, 3, 0, 0, 4, true },
    { "unclassified-beyond", 0x1ff, 128, 4, 0, 0, 4, false },
    { "unclassified-65535", 0x1ff, 128, 65535, 0, 0, 4, false },
    { "entry-last-queue", 0x1ff, 128, 0, 3, 3, 4, true },
    { "first-entry-beyond", 0x1ff, 128, 0, 4, 0, 4, false },
    { "last-entry-beyond", 0x1ff, 128, 0, 0, 4, 4, false },
    { "entry-65535", 0x1ff, 128, 0, 0, 65535, 4, false },
    { "one-entry", 0x1ff, 1, 0, 0, 0, 1, true },
    { "one-entry-beyond", 0x1ff, 1, 0, 1, 1, 1, false },
};

static RssConfig config_of_check(size_t row)
{
    RssConfig config = config_plain(checks[row].hash_types, 0);
    unsigned last = MIN(MAX(checks[row].table_len, 1), RSS_TABLE_MAX) - 1;

    config.table_len = checks[row].table_len;
    config.unclassified_queue = checks[row].unclassified;
    config.table[last] = checks[row].last_entry;
    config.table[0] = checks[row].first_entry;
    return config;
}

static void test_check(gconstpointer data)
{
    size_t row = GPOINTER_TO_SIZE(data);
    RssConfig config = config_of_check(row);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(rss_config_check(&config, checks[row].queue_pairs,
                                     &error), ==, checks[row].good);
    if (checks[row].good) {
        g_assert_no_error(error);
    } else {
        g_assert_error(error, RSS_ERROR, RSS_ERROR_COMMAND);
        g_assert_false(rss_config_check(&config, checks[row].queue_pairs,
                                        NULL));
    }
}

/* An entry behind the table's end is not looked at. */
static void test_check_behind_table(void)
{
    RssConfig config = config_plain(RSS_TYPES_ALL, 0);

    config.table_len = 4;
    config.unclassified_queue = 0;
    config.table[4] = 9;
    g_assert_true(rss_config_check(&config, 1, NULL));
}

/* The same rows, from a migration stream. */
static void test_restore(gconstpointer data)
{
    size_t row = GPOINTER_TO_SIZE(data);
    RssConfig nothing = { .table_len = 1 };
    RssConfig config = config_of_check(row), restored = config;
    g_autofree uint16_t *table = g_new0(uint16_t, config.table_len);

    if (table) {
        memcpy(table, config.table, sizeof(*table) *
               MIN(config.table_len, RSS_TABLE_MAX));
    }
    memset(restored.table, 0xff, sizeof(restored.table));
    g_assert_cmpint(rss_config_restore(&restored, table,
                                       checks[row].queue_pairs, NULL),
                    ==, checks[row].good);
    if (checks[row].good) {
        g_assert_cmpmem(&restored, sizeof(restored), &config, sizeof(config));
    } else {
        g_assert_cmpmem(&restored, sizeof(restored), &nothing,
                        sizeof(nothing));
    }
}

static void test_report(void)
{
    static const uint32_t types[] = {
        0, V4, TCP4, UDP4, V6, TCP6, UDP6, XIP, XTCP, XUDP
    };
    size_t code;

    for (code = 0; code < G_N_ELEMENTS(types); code++) {
        g_assert_cmpuint(rss_type_report(types[code]), ==, code);
    }
}

static void add(const char *kind, const char *name, size_t row,
                GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/policy/%s/%s", kind, name);

    g_test_add_data_func(path, GSIZE_TO_POINTER(row), test);
}

int main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(preferences); i++) {
        add("all-masks", preferences[i].name, i, test_all_masks);
    }
    for (i = 1; i <= RSS_TABLE_MAX; i *= 2) {
        g_autofree char *len = g_strdup_printf("%zu", i);

        add("table-length", len, i, test_table_length);
    }
    for (i = 0; i < G_N_ELEMENTS(checks); i++) {
        add("check", checks[i].name, i, test_check);
        add("restore", checks[i].name, i, test_restore);
    }
    g_test_add_func("/policy/check/behind-table", test_check_behind_table);
    g_test_add_func("/policy/engine-copies", test_engine_copies);
    g_test_add_func("/policy/report", test_report);
    g_test_add_func("/policy/random", test_random);
    return g_test_run();
}
