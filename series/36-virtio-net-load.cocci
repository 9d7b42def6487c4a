// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: check what an incoming stream says of queues
//
// A stream from a card with more queue pairs made the card add virtqueues for
// which it has no room: QEMU's heap was overwritten. Active queue pairs that
// are none, or without the feature that allows several, led to a division by
// zero and to virtqueues that are not there.
//
// file: hw/net/virtio-net.c

@queue_count@
identifier fn = virtio_net_pre_load_queues;
expression E, num;
position p;
@@
fn(...) {
+ uint32_t all = VIRTIO_NET(vdev)->max_queue_pairs * 2 + 1;
+
+ if (n != 3 && n != all) {
+     error_report("%s: incoming state: %u virtqueues, the device has %u",
+                  vdev->name, n, all);
+     return -EINVAL;
+ }
virtio_net_change_num_queues@p(E, num);
...
}

@active_pairs@
identifier fn = virtio_net_tx_waiting_pre_load;
position p;
@@
fn(...) {
... when any
+ if (!tmp->parent->curr_queue_pairs) {
+     error_report("virtio-net: incoming state: no active queue pairs");
+     return -EINVAL;
+ }
return 0@p;
}

@one_pair@
identifier fn = virtio_net_set_multiqueue;
position p;
@@
fn(...) {
... when any
n->multiqueue@p = multiqueue;
+ while (!multiqueue && n->curr_queue_pairs > 1) {
+     n->vqs[--n->curr_queue_pairs].tx_waiting = 0;
+ }
...
}
