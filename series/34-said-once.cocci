// SPDX-License-Identifier: GPL-2.0-or-later
//
// net, virtio: a guest cannot fill the log
//
// Whatever failed once was said again with each command that tried it again: a
// guest whose tap was deleted wrote a line for each queue and VQ_PAIRS_SET, and
// one that breaks its device and resets it a line each time. Now a device says
// each of its complaints once. Who enables a tap's queues says what comes of
// it, as virtio-net-rss.c does. Nor does QEMU end any more if the tap's device
// is deleted while its header is set up.
//
// file: net/tap-linux.c

@queue_messages@
identifier fn = {tap_fd_enable, tap_fd_disable};
identifier r;
position p;
@@
fn(...) {
...
- if (r != 0) {
-     error_report@p(...);
- }
return r;
}

// expect: queue_messages = 2

@offload@
identifier fn = tap_fd_set_offload;
position p;
@@
fn(...) {
<...
- fprintf@p(stderr, ...);
+ error_report_once("cannot set the offloads of a tap: %s", strerror(errno));
...>
}

@header_length@
identifier fn = tap_fd_set_vnet_hdr_len;
position p;
@@
fn(...) {
<...
- fprintf@p(stderr, ...);
- abort();
+ error_report_once("cannot set the header's length of a tap: %s",
+                   strerror(errno));
...>
}

@probe@
identifier fn = tap_probe_vnet_hdr_len;
position p;
@@
fn(...) {
<...
- fprintf@p(stderr, ...);
- abort();
- return -errno;
+ return 0;
...>
}

// expect: probe = 1, 10.0+: 0

@byte_order@
identifier fn = {tap_fd_set_vnet_le, tap_fd_set_vnet_be};
position p;
@@
fn(...) {
<...
- error_report@p(...);
- abort();
+ return -errno;
...>
}

// expect: byte_order = 2

// file: hw/net/vhost_net.c

@vhost_stderr@
expression r;
position p;
@@
- fprintf@p(stderr, "vhost guest notifier cleanup failed: %d\n", r);
- fflush(stderr);
+ error_report_once("vhost guest notifier cleanup failed: %d", r);

// expect: vhost_stderr = 2

@vhost_messages@
identifier fn = {vhost_net_start, vhost_net_virtqueue_restart};
expression list es;
position p;
@@
fn@p(...) {
<+...
- error_report(es);
+ error_report_once(es);
...+>
}

// expect: vhost_messages = 2

// file: hw/net/virtio-net.c

@vhost_of_a_device@
identifier fn = {virtio_net_vhost_status, virtio_net_queue_enable};
expression list es;
position p;
@@
fn(...) {
<...
- error_report@p(es);
+ error_report_once_cond(&n->rss.vhost_said, es);
...>
}

// expect: vhost_of_a_device = 4

@failover@
identifier fn = virtio_net_set_features;
expression E;
position p;
@@
fn(...) {
<...
- warn_report_err@p(E);
+ warn_report_once("%s", error_get_pretty(E));
+ error_free(E);
...>
}

// file: hw/virtio/virtio.c

@each_error_once@
identifier fn = virtio_error;
expression fmt, ap;
position p;
@@
fn(...) {
<...
- error_vreport@p(fmt, ap);
+ if (!g_slist_find(vdev->said, fmt)) {
+     vdev->said = g_slist_prepend(vdev->said, (void *)fmt);
+     error_vreport(fmt, ap);
+ }
...>
}

@forget@
identifier fn = virtio_device_instance_finalize;
position p;
@@
fn(...) {
<...
+ g_slist_free(vdev->said);
g_free@p(vdev->config);
...>
}
