// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: listen for failover once nothing can fail any more
//
// A card with failover=on that could not be realized, as for its queue size,
// left its listeners in QEMU's lists after it was freed. A second such
// device_add made a list into a circle, in which QEMU stayed.
//
// file: hw/net/virtio-net.c

@listen@
identifier fn = virtio_net_device_realize;
statement S;
position p;
@@
fn(...) {
<...
- if (n->failover@p) S
...>
}

@listen_late@
identifier fn = virtio_net_device_realize;
type T;
expression E;
statement listen.S;
position p;
@@
fn(...) {
<...
+ if (n->failover) S
n->vqs@p = g_new0(T, E);
...>
}
