/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive-side scaling: a guest's configuration, the control commands that
 * carry it, and the engine that applies it in the VMM's own process. Each
 * function may be called from any thread.
 */
#ifndef NET_RSS_H
#define NET_RSS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/rss_defs.h"

G_BEGIN_DECLS

#define RSS_ERROR (rss_error_quark())
GQuark rss_error_quark(void);

typedef enum RssError {
    RSS_ERROR_COMMAND,      /* a guest's command breaks a rule */
    RSS_ERROR_KERNEL,       /* the kernel refused */
    RSS_ERROR_PRIVILEGE,    /* the kernel refused for lack of privilege */
    RSS_ERROR_BUILD,        /* this build cannot do it */
    RSS_ERROR_NO_ANSWER,    /* a helper had its time, and did not answer */
} RssError;

/**
 * RssConfig: what a guest has configured
 * @hash_types: RSS_TYPE_* that are enabled
 * @unclassified_queue: receive queue for packets without a hash
 * @table_len: entries of @table in use, a power of two up to RSS_TABLE_MAX
 * @table: receive queues
 * @key: Toeplitz key; a shorter one is followed by zeros
 *
 * Numbers are in host order. Queues count receive queues from 0.
 */
typedef struct RssConfig {
    uint32_t hash_types;
    uint16_t unclassified_queue;
    uint16_t table_len;
    uint16_t table[RSS_TABLE_MAX];
    uint8_t key[RSS_KEY_SIZE];
} RssConfig;

/**
 * rss_config_check:
 * @queue_pairs: queue pairs that the device has, 1 or more
 *
 * Returns: true if @config is one that a guest may set: no unknown hash type,
 * a table length that is a power of two, no queue beyond the device's.
 */
bool rss_config_check(const RssConfig *config, uint16_t queue_pairs,
                      GError **error);

/**
 * rss_config_restore:
 * @config: what a migration stream says, but for the table
 * @table: @config->table_len entries from the stream; NULL if that is 0
 * @queue_pairs: queue pairs that the device has, 1 or more
 *
 * Puts @table into @config. A stream may say anything.
 *
 * Returns: false, with @error set, if no guest may set that; then @config puts
 * all packets on queue 0
 */
bool rss_config_restore(RssConfig *config, const uint16_t *table,
                        uint16_t queue_pairs, GError **error);

/**
 * RssCommand: a control command of class MQ, checked
 * @off: RSS_CONFIG with no hash types and no key: no RSS, @queue_pairs only.
 *       Sent by Windows. @config is all zeros then.
 * @queue_pairs: what max_tx_vq asks for, 1 or more; 0 in a HASH_CONFIG
 * @key_len: length of the key that came with it, in bytes
 * @config: of a HASH_CONFIG, only @hash_types and @key are set
 */
typedef struct RssCommand {
    bool off;
    uint16_t queue_pairs;
    uint8_t key_len;
    RssConfig config;
} RssCommand;

/* The longest command: two fixed parts, a full table, a full key. */
enum {
    RSS_COMMAND_MAX = 8 + 2 * RSS_TABLE_MAX + 3 + RSS_KEY_SIZE,
};

/**
 * rss_parse_rss_config:
 * @data: the command behind its class and command bytes, little endian
 * @len: bytes at @data; what is more than the command needs is ignored
 * @queue_pairs: queue pairs that the device has
 * @command: receives the command; not touched on failure
 *
 * VIRTIO_NET_CTRL_MQ_RSS_CONFIG: virtio 1.4, "Setting RSS parameters".
 *
 * Returns: false, with @error set, for a command that must be refused.
 */
bool rss_parse_rss_config(const void *data, size_t len, uint16_t queue_pairs,
                          RssCommand *command, GError **error);

/**
 * rss_parse_hash_config:
 *
 * VIRTIO_NET_CTRL_MQ_HASH_CONFIG: virtio 1.4, "Hash calculation".
 * Like rss_parse_rss_config(). The reserved fields are ignored: Linux 6.1
 * does not set all of them to zero.
 */
bool rss_parse_hash_config(const void *data, size_t len,
                           RssCommand *command, GError **error);

/**
 * RssEngine: steers and hashes frames in this process
 *
 * An engine never changes; for a new configuration make a new one. So several
 * threads may use it at once.
 */
typedef struct RssEngine RssEngine;

/**
 * RssResult: what an engine says of a frame
 * @queue: the receive queue
 * @type: the RSS_TYPE_* that applied, 0 if none did
 * @hash: the hash, host order; 0 without a @type
 */
typedef struct RssResult {
    uint16_t queue;
    uint32_t type;
    uint32_t hash;
} RssResult;

/**
 * rss_engine_new:
 * @config: one that rss_config_check() accepts
 *
 * Returns: an engine, to be freed with rss_engine_free()
 */
RssEngine *rss_engine_new(const RssConfig *config);

/* Accepts NULL. */
void rss_engine_free(RssEngine *engine);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RssEngine, rss_engine_free)

/**
 * rss_engine_steer:
 * @frame: from the destination MAC address on
 * @len: bytes at @frame
 *
 * Returns: the receive queue, as the table has it. Where fewer are active, it
 * is for the caller to take it modulo their number, as a tap does. Computes no
 * more of the hash than it takes.
 */
uint16_t rss_engine_steer(const RssEngine *engine,
                          const void *frame, size_t len);

/**
 * rss_engine_classify: like rss_engine_steer(), with the hash
 */
RssResult rss_engine_classify(const RssEngine *engine,
                              const void *frame, size_t len);

/**
 * RssCounters: packets that an engine has steered
 * @type: by VIRTIO_NET_HASH_REPORT_* code of their hash type; those without a
 *        hash at 0
 * @queue: by receive queue; those beyond the last are not counted
 */
typedef struct RssCounters {
    uint64_t type[RSS_COUNTED_TYPES];
    uint64_t queue[RSS_COUNTED_QUEUES];
} RssCounters;

/**
 * rss_type_report:
 * @type: one RSS_TYPE_*, or 0
 *
 * Returns: the VIRTIO_NET_HASH_REPORT_* code for it
 */
static inline uint8_t rss_type_report(uint32_t type)
{
    return type ? __builtin_ctz(type) + 1 : 0;
}

G_END_DECLS

#endif
