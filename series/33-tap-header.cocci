// SPDX-License-Identifier: GPL-2.0-or-later
//
// tap: a header for all that a hash report makes of it
//
// A packet of QEMU's own, such as an announcement after a migration, goes to
// the tap behind a header of zeros. With hash reports that has 20 bytes, of
// which these functions had 12: QEMU's stack followed. Found by the address
// sanitizer in test_migration.py, "Migration/hash report".
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

// expect: whole_header = 2, 10.0: 0, 10.2: 0
