// SPDX-License-Identifier: GPL-2.0-or-later
//
// net: room for the longest header before a packet of QEMU's own
//
// Such a packet, as an announcement after a migration, goes to the tap behind a
// header of zeros. With hash reports that has 20 bytes, of which QEMU 7.2 had
// 12: QEMU's stack followed. Found by the address sanitizer in
// test_migration.py, "Migration/hash report". With tunnels it has 24, of which
// QEMU 10.2 has 20.
//
// file: net/tap.c

@whole_header@
identifier fn = {tap_receive_raw, tap_receive_iov};
identifier hdr;
position p;
@@
fn(...) {
<...
- struct virtio_net_hdr_mrg_rxbuf hdr@p
+ struct virtio_net_hdr_v1_hash hdr
  = { };
...>
}

// expect: whole_header = 2, 10.0+: 0

// file: net/net.c

@header_with_tunnel@
identifier fn = qemu_deliver_packet_iov;
identifier hdr;
position p;
@@
fn(...) {
<...
- struct virtio_net_hdr_v1_hash hdr@p
+ struct virtio_net_hdr_v1_hash_tunnel hdr
  = { };
...>
}

// bases: header_with_tunnel = 10.2+
