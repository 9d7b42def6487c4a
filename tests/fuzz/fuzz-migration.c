/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSS in a migration stream, behind a byte with the device's queues; behind
 * it, a frame. A state that is accepted must steer the frame as the oracle
 * says, and one that is refused must leave nothing of it.
 */
#include <string.h>

#include "steer.h"

enum {
    QUEUE_PAIRS_MAX = 16,
};

/* Reads the stream, whose numbers have the most significant byte first. */
typedef struct Stream {
    const uint8_t *data;
    size_t left;
} Stream;

static uint32_t take(Stream *s, unsigned bytes)
{
    uint32_t value = 0;

    for (; bytes && s->left; bytes--, s->left--) {
        value = value << 8 | *s->data++;
    }
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const RssConfig nothing = { .table_len = 1 };
    Stream s = { .data = data, .left = size };
    const unsigned queue_pairs = 1 + take(&s, 1) % QUEUE_PAIRS_MAX;
    RssConfig config = {
        .hash_types = take(&s, 4),
        .table_len = take(&s, 2),
        .unclassified_queue = take(&s, 2),
    };
    g_autofree uint16_t *table = g_new0(uint16_t, config.table_len);
    unsigned i;

    for (i = 0; i < RSS_KEY_SIZE; i++) {
        config.key[i] = take(&s, 1);
    }
    for (i = 0; i < config.table_len && s.left; i++) {
        table[i] = take(&s, 2);
    }
    if (!rss_config_restore(&config, table, queue_pairs, NULL)) {
        if (memcmp(&config, &nothing, sizeof(config))) {
            abort();
        }
        return 0;
    }
    if (steer_as_the_oracle(&config, s.data, s.left) >= queue_pairs) {
        abort();
    }
    return 0;
}
