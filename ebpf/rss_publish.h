/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving a running program one whole configuration after the other. */
#ifndef EBPF_RSS_PUBLISH_H
#define EBPF_RSS_PUBLISH_H

#include <glib.h>

#include "ebpf/ebpf_rss.h"
#include "rss_abi.h"
#include "rss_grace.h"

typedef struct RssPublisher RssPublisher;

/* @hashes: NULL if rss_publisher_set_hashes() was not called */
typedef void RssPublisherDestroy(struct rss_map *map,
                                 struct rss_hash_map *hashes,
                                 RssGrace *grace);

/**
 * rss_publisher_new:
 * @map: the map's memory
 * @grace: how to wait for who reads it
 * @destroy: called with them once they are not used any more; until then the
 *           caller must keep them
 * @notify, @opaque: as for ebpf_rss_load()
 */
RssPublisher *rss_publisher_new(struct rss_map *map, RssGrace *grace,
                                RssPublisherDestroy *destroy,
                                EBPFRSSNotify *notify, void *opaque);

/**
 * rss_publisher_set_hashes:
 * @hashes: the memory of the map of hash tables, kept as @map is
 *
 * From now on each configuration's table is written, too. The configuration in
 * force has none: nobody may report hashes before the next one is.
 */
void rss_publisher_set_hashes(RssPublisher *p, struct rss_hash_map *hashes);

/**
 * rss_publisher_publish: as ebpf_rss_set_all()
 */
EBPFRSSState rss_publisher_publish(RssPublisher *p, const RssConfig *config);

/**
 * rss_publisher_wait: as ebpf_rss_wait()
 */
EBPFRSSState rss_publisher_wait(RssPublisher *p, unsigned timeout_ms);

/**
 * rss_publisher_close:
 *
 * Forgets a configuration that is waiting. Does not block for a grace period.
 */
void rss_publisher_close(RssPublisher *p);

#endif
