// SPDX-License-Identifier: GPL-2.0-or-later
//
// vdpa: take the RSS that is restored from where it is kept now
//
// When a vDPA device starts, it is told what the guest has configured.
//
// bases: 10.0+
// file: net/vhost-vdpa.c

@fields@
position p;
@@
(
- n->rss_data.enabled@p
+ (n->rss.guest.steering || n->rss.guest.config.hash_types)
|
- n->rss_data.hash_types@p
+ n->rss.guest.config.hash_types
|
- n->rss_data.runtime_hash_types@p
+ n->rss.guest.config.hash_types
|
- n->rss_data.default_queue@p
+ n->rss.guest.config.unclassified_queue
|
- n->rss_data.indirections_len@p
+ n->rss.guest.config.table_len
|
- n->rss_data.indirections_table@p
+ n->rss.guest.config.table
|
- n->rss_data.key@p
+ n->rss.guest.config.key
)

// expect: fields = 14
