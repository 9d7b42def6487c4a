// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: outlive a tap that is deleted
//
// Once the tap's device is deleted (ip link del), its queues can neither be
// enabled nor disabled. QEMU ended by an assertion when the guest next changed
// their number or was reset. Now virtio-net-rss.c refuses a command that needs
// more queues than can be had; a queue that cannot be disabled stays. Nor can
// the size of the header be changed, which QEMU 10.0 tries at each reset.
//
// file: hw/net/virtio-net.c

@tell_the_result@
typedef VirtIONet, bool;
identifier fn = virtio_net_set_queue_pairs;
identifier n, i, r;
expression E;
statement S;
position p;
@@
- static void fn@p(VirtIONet *n)
+ bool fn(VirtIONet *n)
  {
      int i;
      int r;
+     bool done = true;
- if (E) {
-     return;
- }
+ if (E || virtio_net_rss_lend_tap(n)) {
+     return true;
+ }
  for (...; ...; ...) S
+ return done;
  }

@attach_may_fail@
identifier r;
expression n, i;
position p;
@@
r = peer_attach@p(n, i);
- assert(!r);
+ done = virtio_net_rss_queue_enabled(n, i, r) && done;

@detach_may_fail@
identifier r;
expression n, i;
position p;
@@
- r = peer_detach@p(n, i);
- assert(!r);
+ peer_detach(n, i);

// file: net/tap-linux.c

@header_may_stay@
identifier fn = tap_fd_set_vnet_hdr_len;
expression fd, len;
position p;
@@
fn(...) {
<...
- ioctl@p(fd, TUNSETVNETHDRSZ, len) == -1
+ ioctl(fd, TUNSETVNETHDRSZ, len) == -1 && errno != EBADFD
...>
}
