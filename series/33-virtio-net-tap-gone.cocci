// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: outlive a tap that is deleted
//
// Once the tap's device is deleted (ip link del), its queues can neither be
// enabled nor disabled. QEMU ended by an assertion when the guest next changed
// their number or was reset. Now virtio-net-rss.c refuses a command that needs
// more queues than can be had; a queue that cannot be disabled stays.
//
// file: hw/net/virtio-net.c

@attach_may_fail@
identifier r;
expression n, i;
position p;
@@
r = peer_attach@p(n, i);
- assert(!r);
+ if (r) {
+     n->rss.queue_failed = true;
+ }

@detach_may_fail@
identifier r;
expression n, i;
position p;
@@
- r = peer_detach@p(n, i);
- assert(!r);
+ peer_detach(n, i);
