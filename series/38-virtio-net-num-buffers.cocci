// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio-net: always say in how many buffers a packet is
//
// The header of a modern device has num_buffers also where buffers are not
// merged; it must be 1 then, and was what the guest's memory held.
//
// file: hw/net/virtio-net.c

@num_buffers@
position p;
@@
- if (n->mergeable_rx_bufs) {
+ if (n->guest_hdr_len > sizeof(struct virtio_net_hdr)) {
      mhdr_cnt = iov_copy@p(...);
- } else { ... }
+ }
