// SPDX-License-Identifier: GPL-2.0-or-later
//
// vdpa: take the RSS that is restored from where it is kept now
//
// When a vDPA device starts, it is told what the guest has configured: RSS where
// the guest has turned that on, with or without hash types; else, where it has
// negotiated RSS but configured hash reports alone, those, so that the device goes
// on choosing queues by itself.
//
// bases: 10.0+
// file: net/vhost-vdpa.c

@fields@
expression E;
position p;
@@
(
- !n->rss_data.enabled@p || E
+ do_rss ? !n->rss.guest.steering : !n->rss.guest.config.hash_types
|
- virtio_vdev_has_feature@p(&n->parent_obj, VIRTIO_NET_F_RSS)
+ n->rss.guest.steering
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
