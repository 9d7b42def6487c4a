// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio: a ring that is in use keeps its size
//
// A guest that wrote another size to a queue whose ring it had set up ended
// QEMU by an assertion, as the memory was mapped for the size of before.
//
// file: hw/virtio/virtio.c

@ring_in_use@
identifier fn = virtio_queue_set_num;
expression E;
position p;
@@
fn(...) {
<...
- !!E != !!vdev->vq[n].vring.num@p
+ vdev->vq[n].vring.desc || !!E != !!vdev->vq[n].vring.num
...>
}
