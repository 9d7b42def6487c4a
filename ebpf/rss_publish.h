/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving a running program one whole configuration after the other. */
#ifndef EBPF_RSS_PUBLISH_H
#define EBPF_RSS_PUBLISH_H

#include <glib.h>

#include "ebpf/ebpf_rss.h"
#include "rss_abi.h"

typedef struct RssPublisher RssPublisher;

/**
 * rss_publisher_new:
 * @map: the map's memory; stays the caller's, who must keep it until
 *       @destroy_map is called
 * @destroy_map: called with @map once nothing writes to it any more
 * @notify, @opaque: as for ebpf_rss_load()
 */
RssPublisher *rss_publisher_new(struct rss_map *map,
                                void (*destroy_map)(struct rss_map *map),
                                EBPFRSSNotify *notify, void *opaque);

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
