/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control commands: what is accepted, and that a refusal writes nothing. */
#include <string.h>

#include "configs.h"
#include "guard.h"

/**
 * Command: what a guest sends
 * @hash_config: HASH_CONFIG; else RSS_CONFIG
 * @entry: the last entry of the table; the others are 0
 * @good: it must be accepted
 */
typedef struct Command {
    const char *name;
    bool hash_config;
    uint32_t hash_types;
    unsigned table_mask, unclassified, entry, max_tx_vq, key_len;
    bool good;
} Command;

enum {
    QUEUE_PAIRS = 4,    /* that the device has */
};

static const Command commands[] = {
    /* RSS_CONFIG: types, mask, unclassified, entry, max_tx_vq, key length */
    { "rss/usual", false, 0x3f, 127, 0, 3, 4, 40, true },
    { "rss/no-types", false, 0, 127, 0, 3, 4, 40, true },
    { "rss/all-types", false, 0x1ff, 127, 0, 3, 4, 40, true },
    { "rss/type-bit-9", false, 0x200, 127, 0, 3, 4, 40, false },
    { "rss/type-bit-31", false, 0x8000003f, 127, 0, 3, 4, 40, false },
    { "rss/mask-0", false, 0x3f, 0, 0, 3, 4, 40, true },
    { "rss/mask-1", false, 0x3f, 1, 0, 3, 4, 40, true },
    { "rss/mask-2", false, 0x3f, 2, 0, 3, 4, 40, false },
    { "rss/mask-3", false, 0x3f, 3, 0, 3, 4, 40, true },
    { "rss/mask-63", false, 0x3f, 63, 0, 3, 4, 40, true },
    { "rss/mask-126", false, 0x3f, 126, 0, 3, 4, 40, false },
    { "rss/mask-128", false, 0x3f, 128, 0, 3, 4, 40, false },
    { "rss/mask-255", false, 0x3f, 255, 0, 3, 4, 40, false },
    { "rss/mask-32767", false, 0x3f, 32767, 0, 3, 4, 40, false },
    { "rss/mask-65535", false, 0x3f, 65535, 0, 3, 4, 40, false },
    { "rss/unclassified-3", false, 0x3f, 127, 3, 3, 4, 40, true },
    { "rss/unclassified-4", false, 0x3f, 127, 4, 3, 4, 40, false },
    { "rss/unclassified-65535", false, 0x3f, 127, 65535, 3, 4, 40, false },
    { "rss/entry-0", false, 0x3f, 127, 0, 0, 4, 40, true },
    { "rss/entry-4", false, 0x3f, 127, 0, 4, 4, 40, false },
    { "rss/entry-65535", false, 0x3f, 127, 0, 65535, 4, 40, false },
    { "rss/max-tx-0", false, 0x3f, 127, 0, 3, 0, 40, false },
    { "rss/max-tx-1", false, 0x3f, 127, 0, 0, 1, 40, true },
    { "rss/max-tx-5", false, 0x3f, 127, 0, 3, 5, 40, false },
    { "rss/max-tx-65535", false, 0x3f, 127, 0, 3, 65535, 40, false },
    { "rss/key-0", false, 0x3f, 127, 0, 3, 4, 0, false },
    { "rss/key-1", false, 0x3f, 127, 0, 3, 4, 1, true },
    { "rss/key-39", false, 0x3f, 127, 0, 3, 4, 39, true },
    { "rss/key-41", false, 0x3f, 127, 0, 3, 4, 41, false },
    { "rss/key-255", false, 0x3f, 127, 0, 3, 4, 255, false },
    /* Windows turns RSS off like this. */
    { "rss/off-windows", false, 0, 0, 0, 0, 4, 0, true },
    { "rss/off-one-queue", false, 0, 0, 0, 0, 1, 0, true },
    { "rss/off-full-table", false, 0, 127, 3, 3, 4, 0, true },
    { "rss/off-but-entry-4", false, 0, 0, 0, 4, 4, 0, false },
    { "rss/off-but-max-tx-0", false, 0, 0, 0, 0, 0, 0, false },
    { "rss/off-but-max-tx-5", false, 0, 0, 0, 0, 5, 0, false },

    /* HASH_CONFIG */
    { "hash/usual", true, 0x3f, .key_len = 40, .good = true },
    { "hash/all-types", true, 0x1ff, .key_len = 40, .good = true },
    { "hash/no-types", true, 0, .key_len = 40, .good = true },
    { "hash/off", true, 0, .key_len = 0, .good = true },
    { "hash/type-bit-9", true, 0x200, .key_len = 40, .good = false },
    { "hash/type-bit-31", true, 0x80000000, .key_len = 40, .good = false },
    { "hash/key-0", true, 1, .key_len = 0, .good = false },
    { "hash/key-1", true, 1, .key_len = 1, .good = true },
    { "hash/key-39", true, 1, .key_len = 39, .good = true },
    { "hash/key-41", true, 1, .key_len = 41, .good = false },
    { "hash/key-255", true, 1, .key_len = 255, .good = false },
};

static Guard *guard;

static void add_le16(GByteArray *out, uint16_t value)
{
    const uint8_t bytes[] = { value & 0xff, value >> 8 };

    g_byte_array_append(out, bytes, sizeof(bytes));
}

static void add_le32(GByteArray *out, uint32_t value)
{
    add_le16(out, value & 0xffff);
    add_le16(out, value >> 16);
}

static unsigned entry(const Command *c, unsigned n)
{
    return n == c->table_mask ? c->entry : 0;
}

/* Byte n of the key. */
static uint8_t key_byte(unsigned n)
{
    return 0xa0 + n;
}

static GByteArray *command_bytes(const Command *c)
{
    GByteArray *out = g_byte_array_new();
    uint8_t byte;
    unsigned i;

    add_le32(out, c->hash_types);
    if (c->hash_config) {
        for (i = 0; i < 4; i++) {
            add_le16(out, 0);
        }
    } else {
        add_le16(out, c->table_mask);
        add_le16(out, c->unclassified);
        for (i = 0; i <= c->table_mask; i++) {
            add_le16(out, entry(c, i));
        }
        add_le16(out, c->max_tx_vq);
    }
    byte = c->key_len;
    g_byte_array_append(out, &byte, 1);
    for (i = 0; i < c->key_len; i++) {
        byte = key_byte(i);
        g_byte_array_append(out, &byte, 1);
    }
    return out;
}

/* Parses @len bytes that are followed by nothing that can be read. */
static bool parse(const Command *c, const GByteArray *bytes, size_t len,
                  RssCommand *command, GError **error)
{
    const uint8_t *copy = guard_copy(guard, bytes->data, len);

    if (c->hash_config) {
        return rss_parse_hash_config(copy, len, command, error);
    }
    return rss_parse_rss_config(copy, len, QUEUE_PAIRS, command, error);
}

static void assert_refused(const Command *c, const GByteArray *bytes,
                           size_t len)
{
    RssCommand command, before;
    g_autoptr(GError) error = NULL;

    memset(&command, 0x5e, sizeof(command));
    memcpy(&before, &command, sizeof(before));
    if (parse(c, bytes, len, &command, &error)) {
        g_error("accepted %zu of %u bytes", len, bytes->len);
    }
    g_assert_error(error, RSS_ERROR, RSS_ERROR_COMMAND);
    g_assert_cmpmem(&command, sizeof(command), &before, sizeof(before));
    g_assert_false(parse(c, bytes, len, &command, NULL));
}

static void assert_key(const Command *c, const RssConfig *config)
{
    unsigned i;

    for (i = 0; i < RSS_KEY_SIZE; i++) {
        g_assert_cmphex(config->key[i], ==,
                        i < c->key_len ? key_byte(i) : 0);
    }
}

static void assert_table(const Command *c, const RssConfig *config)
{
    unsigned i;

    g_assert_cmpuint(config->table_len, ==, c->table_mask + 1);
    g_assert_cmpuint(config->unclassified_queue, ==, c->unclassified);
    for (i = 0; i < config->table_len; i++) {
        g_assert_cmpuint(config->table[i], ==, entry(c, i));
    }
}

static void assert_accepted(const Command *c, const GByteArray *bytes)
{
    static const RssConfig zeros;
    g_autoptr(GError) error = NULL;
    RssCommand command;

    memset(&command, 0x5e, sizeof(command));
    g_assert_true(parse(c, bytes, bytes->len, &command, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(command.queue_pairs, ==,
                     c->hash_config ? 0 : c->max_tx_vq);
    g_assert_cmpuint(command.key_len, ==, c->key_len);
    if (c->hash_config) {
        g_assert_false(command.off);
        g_assert_cmphex(command.config.hash_types, ==, c->hash_types);
        assert_key(c, &command.config);
        return;
    }
    g_assert_cmpint(command.off, ==, c->key_len == 0);
    if (command.off) {
        g_assert_cmpmem(&command.config, sizeof(command.config),
                        &zeros, sizeof(zeros));
        return;
    }
    g_assert_cmphex(command.config.hash_types, ==, c->hash_types);
    assert_table(c, &command.config);
    assert_key(c, &command.config);
    g_assert_true(rss_config_check(&command.config, QUEUE_PAIRS, NULL));
}

static void test_command(gconstpointer data)
{
    const Command *c = data;
    g_autoptr(GByteArray) bytes = command_bytes(c);

    if (c->good) {
        assert_accepted(c, bytes);
    } else {
        assert_refused(c, bytes, bytes->len);
    }
}

/* A command that ends too early is refused, wherever it ends. */
static void test_truncated(gconstpointer data)
{
    const Command *c = data;
    g_autoptr(GByteArray) bytes = command_bytes(c);
    size_t len;

    for (len = 0; len < MIN(bytes->len, RSS_COMMAND_MAX + 300); len++) {
        assert_refused(c, bytes, len);
    }
}

/* What follows a command is ignored. */
static void test_trailing(gconstpointer data)
{
    const Command *c = data;
    g_autoptr(GByteArray) bytes = command_bytes(c);
    static const uint8_t more[64] = { 1, 2, 3, 0xff };

    g_byte_array_append(bytes, more, 1);
    if (c->good) {
        assert_accepted(c, bytes);
        g_byte_array_append(bytes, more, sizeof(more));
        assert_accepted(c, bytes);
    } else {
        assert_refused(c, bytes, bytes->len);
    }
}

/* The longest good command is as long as RSS_COMMAND_MAX says. */
static void test_longest(void)
{
    g_autoptr(GByteArray) bytes = command_bytes(&commands[0]);

    g_assert_cmpuint(bytes->len, ==, RSS_COMMAND_MAX);
}

/* Linux 6.1 sends what it happens to have in the reserved fields. */
static void test_hash_reserved(void)
{
    const Command c = { .hash_config = true, .hash_types = 0x3f,
                        .key_len = 40, .good = true };
    g_autoptr(GByteArray) bytes = command_bytes(&c);

    memset(bytes->data + 4, 0xff, 8);
    assert_accepted(&c, bytes);
}

/* Any queue number is good on a device that has it. */
static void test_many_queues(void)
{
    Command c = { .hash_types = 0x3f, .table_mask = 127, .entry = 65534,
                  .unclassified = 65534, .max_tx_vq = 65535, .key_len = 40 };
    g_autoptr(GByteArray) bytes = command_bytes(&c);
    RssCommand command;

    g_assert_true(rss_parse_rss_config(bytes->data, bytes->len, 65535,
                                       &command, NULL));
    g_assert_cmpuint(command.config.table[127], ==, 65534);
    g_assert_false(rss_parse_rss_config(bytes->data, bytes->len, 65534,
                                        &command, NULL));
}

static void add(const char *kind, const Command *c, GTestDataFunc test)
{
    g_autofree char *name = g_strdup_printf("/command/%s/%s", kind, c->name);

    g_test_add_data_func(name, c, test);
}

int main(int argc, char **argv)
{
    size_t i;
    int status;

    g_test_init(&argc, &argv, NULL);
    guard = guard_new(256 * 1024);
    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        add("whole", &commands[i], test_command);
        add("truncated", &commands[i], test_truncated);
        add("trailing", &commands[i], test_trailing);
    }
    g_test_add_func("/command/longest", test_longest);
    g_test_add_func("/command/hash-reserved", test_hash_reserved);
    g_test_add_func("/command/many-queues", test_many_queues);
    status = g_test_run();
    guard_free(guard);
    return status;
}
