/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine finds in a frame: the rows of flow_cases.c, each whole and
 * cut off at every length.
 */
#include "configs.h"
#include "flow_cases.h"
#include "guard.h"
#include "packet.h"

enum {
    MAX_FRAME = 256 * 1024,
};

static Guard *guard;

/* The row itself: what is hashed, and where the packet goes. */
static void test_case(gconstpointer data)
{
    const FlowCase *c = data;
    RssConfig config = config_plain(c->enabled, RSS_TABLE_MAX);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    g_autoptr(GByteArray) frame = flow_case_frame(c);
    const uint8_t *copy = guard_copy(guard, frame->data, frame->len);
    uint32_t hash = c->type ? flow_case_hash(c, config.key) : 0;
    uint16_t queue = c->type ? 1000 + (hash & 127) : 999;
    RssResult result = rss_engine_classify(engine, copy, frame->len);

    g_assert_cmphex(result.type, ==, c->type);
    g_assert_cmphex(result.hash, ==, hash);
    g_assert_cmpuint(result.queue, ==, queue);
    g_assert_cmpuint(rss_engine_steer(engine, copy, frame->len), ==, queue);
}

/* The oracle is held to the rows, too. */
static void test_oracle(gconstpointer data)
{
    const FlowCase *c = data;
    RssConfig config = config_plain(c->enabled, RSS_TABLE_MAX);
    OracleConfig oracle = config_for_oracle(&config);
    g_autoptr(GByteArray) frame = flow_case_frame(c);
    OracleAnswer answer = oracle_classify(&oracle, frame->data, frame->len);

    g_assert_cmphex(answer.type, ==, c->type);
    g_assert_cmphex(answer.hash, ==,
                    c->type ? flow_case_hash(c, config.key) : 0);
}

static void check_length(const RssEngine *engine, const OracleConfig *oracle,
                         const GByteArray *frame, size_t len)
{
    const uint8_t *copy = guard_copy(guard, frame->data, len);
    OracleAnswer expected = oracle_classify(oracle, copy, len);
    RssResult seen = rss_engine_classify(engine, copy, len);

    if (seen.type != expected.type || seen.hash != expected.hash ||
        seen.queue != expected.queue ||
        rss_engine_steer(engine, copy, len) != expected.queue) {
        g_error("cut off at %zu of %u bytes: type 0x%x hash 0x%08x queue %u,"
                " expected type 0x%x hash 0x%08x queue %u", len, frame->len,
                seen.type, seen.hash, seen.queue,
                expected.type, expected.hash, expected.queue);
    }
}

/* Every length up to a few kilobytes; in larger frames there is only data. */
static void test_truncated(gconstpointer data)
{
    const FlowCase *c = data;
    RssConfig config = config_plain(c->enabled, RSS_TABLE_MAX);
    OracleConfig oracle = config_for_oracle(&config);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    g_autoptr(GByteArray) frame = flow_case_frame(c);
    size_t len;

    for (len = 0; len <= MIN(frame->len, 3000); len++) {
        check_length(engine, &oracle, frame, len);
    }
}

static void add(const char *kind, const FlowCase *c, GTestDataFunc test)
{
    g_autofree char *name = g_strdup_printf("/flow/%s/%s", kind, c->name);

    g_test_add_data_func(name, c, test);
}

int main(int argc, char **argv)
{
    size_t i;
    int status;

    g_test_init(&argc, &argv, NULL);
    guard = guard_new(MAX_FRAME);
    for (i = 0; i < n_flow_cases; i++) {
        add("case", &flow_cases[i], test_case);
        add("oracle", &flow_cases[i], test_oracle);
        add("truncated", &flow_cases[i], test_truncated);
    }
    status = g_test_run();
    guard_free(guard);
    return status;
}
