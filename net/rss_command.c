/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control commands that configure RSS and hash reports.
 *
 * A guest may send anything. A command is checked whole before any of it is
 * handed on, and the caller's structure is written only if all of it is good.
 */
#include <string.h>

#include "net/rss.h"

/* Layout of the commands, offsets and lengths in bytes. */
enum {
    OFF_HASH_TYPES = 0,         /* le32 */
    OFF_TABLE_MASK = 4,         /* le16 */
    OFF_UNCLASSIFIED = 6,       /* le16 */
    OFF_TABLE = 8,              /* le16 each */
    OFF_HASH_KEY_LEN = 12,      /* HASH_CONFIG: behind four reserved le16 */
};

static uint16_t get_le16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static uint32_t get_le32(const uint8_t *p)
{
    return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static bool too_short(size_t len, size_t needed, const char *what,
                      GError **error)
{
    if (len >= needed) {
        return false;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                "%zu bytes, %s needs %zu", len, what, needed);
    return true;
}

/* The key length at @offset and the key behind it, which end the command. */
static bool parse_key(const uint8_t *data, size_t len, size_t offset,
                      RssCommand *command, GError **error)
{
    uint8_t key_len;

    if (too_short(len, offset + 1, "the key length", error)) {
        return false;
    }
    key_len = data[offset];
    if (key_len > RSS_KEY_SIZE) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "key of %u bytes, more than %d", key_len, RSS_KEY_SIZE);
        return false;
    }
    if (!key_len && command->config.hash_types) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "hash types 0x%x without a key",
                    command->config.hash_types);
        return false;
    }
    if (too_short(len, offset + 1 + key_len, "the key", error)) {
        return false;
    }
    command->key_len = key_len;
    memcpy(command->config.key, data + offset + 1, key_len);
    return true;
}

bool rss_parse_rss_config(const void *data, size_t len, uint16_t queue_pairs,
                          RssCommand *command, GError **error)
{
    const uint8_t *p = data;
    RssCommand c = { 0 };
    size_t table_end;
    unsigned i, table_len;

    if (too_short(len, OFF_TABLE, "the fixed part", error)) {
        return false;
    }
    c.config.hash_types = get_le32(p + OFF_HASH_TYPES);
    c.config.unclassified_queue = get_le16(p + OFF_UNCLASSIFIED);

    table_len = get_le16(p + OFF_TABLE_MASK) + 1;
    if (table_len > RSS_TABLE_MAX) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "indirection table of %u entries, more than %d",
                    table_len, RSS_TABLE_MAX);
        return false;
    }
    c.config.table_len = table_len;
    table_end = OFF_TABLE + 2 * table_len;
    if (too_short(len, table_end + 2, "the indirection table", error)) {
        return false;
    }
    for (i = 0; i < table_len; i++) {
        c.config.table[i] = get_le16(p + OFF_TABLE + 2 * i);
    }

    c.queue_pairs = get_le16(p + table_end);
    if (c.queue_pairs < 1 || c.queue_pairs > queue_pairs) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "max_tx_vq %u, the device has %u queue pairs",
                    c.queue_pairs, queue_pairs);
        return false;
    }
    if (!parse_key(p, len, table_end + 2, &c, error) ||
        !rss_config_check(&c.config, queue_pairs, error)) {
        return false;
    }
    if (!c.key_len) {
        c.off = true;
        memset(&c.config, 0, sizeof(c.config));
    }
    *command = c;
    return true;
}

bool rss_parse_hash_config(const void *data, size_t len,
                           RssCommand *command, GError **error)
{
    RssCommand c = { 0 };

    if (too_short(len, OFF_HASH_KEY_LEN, "the fixed part", error)) {
        return false;
    }
    c.config.hash_types = get_le32(data);
    if (c.config.hash_types & ~RSS_TYPES_ALL) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "unknown hash types 0x%x",
                    c.config.hash_types & ~RSS_TYPES_ALL);
        return false;
    }
    if (!parse_key(data, len, OFF_HASH_KEY_LEN, &c, error)) {
        return false;
    }
    *command = c;
    return true;
}
