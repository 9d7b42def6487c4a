// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: ask the queue that a packet belongs to whether it is ready
//
// With the software engine a packet comes in by any queue. Whether that one was
// set up by the guest was asked first, so a packet for a queue that is ready
// waited, or was lost. A packet for a queue that is not ready is dropped, and
// holds up no other.
//
// file: hw/net/virtio-net.c

@arrived@
identifier fn = virtio_net_can_receive;
position p;
@@
fn(...) {
<...
- !virtio_queue_ready@p(q->rx_vq)
+ (!virtio_net_rss_any_queue(n) && !virtio_queue_ready(q->rx_vq))
...>
}

@belongs@
identifier fn = virtio_net_receive_rcu;
statement S;
position p;
@@
fn(...) {
<...
+ if (!virtio_queue_ready(q->rx_vq)) {
+     return -1;
+ }
if (!virtio_net_has_buffers@p(...)) S
...>
}
