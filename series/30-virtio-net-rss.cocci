// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: hand receive-side scaling to virtio-net-rss.c
//
// All that knows of RSS and hash reports moves to a file of its own, which
// has the control commands, both engines and the migrated state. What stays
// here are calls: when the device is realized, reset, configured, migrated,
// and when it receives a packet.
//
// file: include/hw/virtio/virtio-net.h

@drop_rss_data@
position p;
@@
- typedef struct VirtioNetRssData { ... } VirtioNetRssData@p;

@replace_state@
type T;
position p;
@@
struct VirtIONet {
...
- T rss_data@p;
+ VirtIONetRss rss;
...
};

@add_hash_types@
position p;
@@
struct VirtIONet {
...
VirtIONetRss rss@p;
+ OnOffAutoBit64 specified_hash_types;
...
};

// bases: add_hash_types = 10.2+

@drop_packet@
type T;
position p;
@@
struct VirtIONet {
...
- T rx_pkt@p;
...
};

@drop_context@
type T;
position p;
@@
struct VirtIONet {
...
- T ebpf_rss@p;
...
};

// file: hw/net/virtio-net.c

@drop_functions@
identifier f = {virtio_net_attach_ebpf_rss, virtio_net_attach_epbf_rss,
    virtio_net_detach_ebpf_rss, virtio_net_detach_epbf_rss,
    virtio_net_attach_ebpf_to_backend, virtio_net_commit_rss_config,
    virtio_net_disable_rss, rss_data_to_rss_config, virtio_net_load_ebpf,
    virtio_net_load_ebpf_fds, virtio_net_unload_ebpf, virtio_net_handle_mq,
    virtio_net_handle_rss, virtio_net_get_hash_type, virtio_set_packet_hash,
    virtio_net_process_rss, virtio_net_rss_needed, virtio_net_rss_post_load,
    virtio_net_rss_indirections_len_valid};
type T;
position p;
@@
- T f@p(...) { ... }

// expect: drop_functions = 13, 10.0+: 16, 10.2+: 15

@drop_vmstate@
identifier v = vmstate_virtio_net_rss;
initializer I;
position p;
@@
- const VMStateDescription v@p = I;

@realize@
identifier fn = virtio_net_device_realize;
statement S;
position p;
@@
fn(...) {
<...
+ /* Before the first step that would have to be undone. */
+ if (!virtio_net_rss_realize(n, errp)) {
+     return;
+ }
if (n->failover@p) S
...>
}

@realize_failed@
expression E;
position p;
@@
error_setg(...);
+ virtio_net_rss_unrealize(n);
virtio_cleanup@p(E);
return;

// expect: realize_failed = 3

@unrealize@
position p;
@@
- if (virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
-     virtio_net_unload_ebpf@p(n);
- }
+ virtio_net_rss_unrealize(n);

@drop_table@
position p;
@@
- g_free@p(n->rss_data.indirections_table);

@drop_packet_init@
identifier f = {net_rx_pkt_init, net_rx_pkt_uninit};
position p;
@@
- f@p(...);

// expect: drop_packet_init = 2

@drop_context_init@
position p;
@@
- ebpf_rss_init@p(...);

@get_features@
identifier fn = virtio_net_get_features;
statement S;
position p;
@@
fn(...) {
<...
+ RSS_FEATURES(features) =
+     virtio_net_rss_get_features(n, RSS_FEATURES(features), errp);
if (!get_vhost_net@p(nc->peer)) S
...>
}

@drop_features@
identifier fn = virtio_net_get_features;
identifier v = {supported_hash_types, peer_hash_types, use_own_hash,
    use_peer_hash};
type T;
expression E;
statement S1, S2;
position p;
@@
fn(...) {
<...
(
- if (!ebpf_rss_is_loaded@p(&n->ebpf_rss)) S1
|
- if (!use_own_hash@p) S1 else S2
|
- if (!use_peer_hash@p) S1
|
- T v@p = E;
)
...>
}

// expect: drop_features = 1, 10.2+: 6

@describe_properties@
expression dc, props;
position p;
@@
device_class_set_props@p(dc, props);
+ virtio_net_rss_describe(klass);

@offer_hash_without_vnet_hdr@
expression f;
position p;
@@
(
- virtio_clear_feature@p(&f, VIRTIO_NET_F_HASH_REPORT);
|
- virtio_clear_feature_ex@p(f, VIRTIO_NET_F_HASH_REPORT);
)

@offered_hash_types@
identifier fn = virtio_net_get_config;
expression vdev, netcfg, E;
position p;
@@
fn(...) {
<...
virtio_stl_p(vdev, &netcfg.supported_hash_types@p,
- E
+ n->rss.supported_hash_types
 );
...>
}

@vdpa_config@
identifier fn = virtio_net_get_config;
statement S;
position p;
@@
fn(...) {
<...
+ virtio_net_rss_limit_config(n, &netcfg);
if (memcmp@p(&netcfg.mac, &zero, ...) == 0) S
...>
}

@realized@
identifier fn = virtio_net_device_realize;
statement S1, S2;
position p;
@@
fn(...) {
<...
(
- if (virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
-     virtio_net_load_ebpf@p(...);
- }
|
- if (qemu_get_vnet_hash_supported_types@p(...)) S1 else S2
)
...>
}

@drop_rest@
identifier fn = {virtio_net_set_mrg_rx_bufs, virtio_net_set_features,
    virtio_net_reset};
expression E;
position p;
@@
fn@p(...) {
<+...
(
- n->rss_data.populate_hash = E;
|
- n->rss_data.redirect = E;
|
- virtio_net_disable_rss(...);
)
...+>
}

// expect: drop_rest = 2, 10.0+: 3

@populate_hash@
identifier fn = virtio_net_set_mrg_rx_bufs;
expression E;
position p;
@@
fn(...) {
... when any
n->mergeable_rx_bufs@p = E;
+ /* Without VERSION_1 the header has no place for a hash. */
+ n->rss.populate_hash = version_1 && hash_report;
... when any
}

@set_features@
identifier fn = virtio_net_set_features;
expression E;
position p;
@@
fn(...) {
... when any
virtio_net_set_mrg_rx_bufs@p(...);
+ virtio_net_rss_set_features(n, RSS_FEATURES(features));
... when any
}

@reset@
identifier fn = virtio_net_reset;
position p;
@@
fn(...) {
... when any
+ virtio_net_rss_reset(n);
n->promisc@p = 1;
... when any
}

@set_status@
identifier fn = virtio_net_set_status;
position p;
@@
fn(...) {
... when any
+ virtio_net_rss_set_status(n, status);
virtio_net_vhost_status@p(...);
... when any
}

@mq_command@
expression E, iov, iov_cnt;
position p;
@@
- virtio_net_handle_mq@p(n, E, iov, iov_cnt)
+ virtio_net_rss_command(n, E, iov, iov_cnt)

@drop_steering@
identifier fn = virtio_net_receive_rcu;
expression E;
statement S;
position p;
@@
fn(...) {
<...
- if (E && n->rss_data.enabled_software_rss@p) S
...>
}

@receive@
identifier fn = virtio_net_do_receive;
expression nc, buf, size;
position p;
@@
fn(...) {
<...
+ nc = virtio_net_rss_receive(nc, buf, size);
return virtio_net_receive_rcu@p(nc, buf, size, ...);
...>
}

@deliver@
identifier fn = virtio_net_receive_rcu;
statement S;
position p;
@@
fn(...) {
<...
- if (n->rss_data.populate_hash@p) S
+ virtio_net_rss_deliver(n, sg, elem->in_num);
...>
}

@flush@
identifier fn = virtio_net_handle_rx;
expression i;
position p;
@@
fn(...) {
<...
- qemu_flush_queued_packets@p(qemu_get_subqueue(n->nic, i));
+ virtio_net_rss_flush(n, i);
...>
}

@post_load@
identifier fn = virtio_net_post_load_device;
statement S1, S2;
position p;
@@
fn(...) {
<...
(
- if (n->rss_data.enabled@p) S1 else S2
|
- virtio_net_commit_rss_config@p(n);
)
...>
}

@post_load_features@
identifier fn = virtio_net_post_load_virtio;
position p;
@@
fn(...) {
... when any
- return 0@p;
+ return virtio_net_rss_post_load(n);
}
