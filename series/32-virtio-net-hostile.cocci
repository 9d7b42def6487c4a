// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: do not let a guest stop or hold up QEMU
//
// A receive buffer with less room than the packet's header ended QEMU by an
// assertion; now the device breaks, as for a buffer with no room at all. A
// guest that refilled its control queue kept the main loop for itself; now the
// handler has its turn after a batch again.
//
// file: hw/net/virtio-net.c

@header_fits@
identifier fn = virtio_net_receive_rcu;
expression E;
position p;
@@
fn(...) {
<...
+ if (i == 0 && iov_size(elem->in_sg, elem->in_num) < n->guest_hdr_len) {
+     virtio_error(vdev, "virtio-net receive buffer has no room for the header");
+     virtqueue_detach_element(q->rx_vq, elem, 0);
+     g_free(elem);
+     err = -1;
+     goto err;
+ }
E = elem->in_sg@p;
...>
}

@batch_counter@
identifier fn = virtio_net_handle_ctrl;
type T;
position p;
@@
fn(...) {
+ unsigned int left = VIRTIO_NET_CTRL_BATCH;
T elem@p;
...
}

@batch_end@
identifier fn = virtio_net_handle_ctrl;
position p;
@@
fn(...) {
<...
+ if (!left--) {
+     virtio_net_ctrl_yield(VIRTIO_NET(vdev));
+     break;
+ }
elem = virtqueue_pop@p(...);
...>
}

@resume@
identifier fn = virtio_net_set_status;
position p;
@@
fn(...) {
... when any
+ virtio_net_ctrl_resume(n, status);
virtio_net_vhost_status@p(...);
... when any
}
