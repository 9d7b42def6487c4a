// SPDX-License-Identifier: GPL-2.0-or-later
//
// virtio: check what an incoming stream says of virtqueues
//
// More virtqueues than the device has, rings of no size or of any, indices
// behind the end of a packed ring: each was taken as it came, and QEMU ended by
// an assertion or wrote behind its memory. A length of the configuration space
// that no stream can fill kept it busy for minutes. Now such a stream is
// refused. What a ring needs in QEMU is allocated for the largest that a guest
// or a stream may ask for, not for the default.
//
// file: hw/virtio/virtio.c

@config_len@
type T;
position p;
@@
- T config_len@p;
+ uint32_t config_len;

@config_end@
statement S;
position p;
@@
- while (config_len@p > vdev->config_len) S
+ while (config_len > vdev->config_len) {
+     if (qemu_file_get_error(f)) {
+         return -1;
+     }
+     qemu_get_byte(f);
+     config_len--;
+ }

@queues@
position p;
@@
+ if (num > virtio_get_num_queues(vdev)) {
+     error_report("%s: incoming state: %u virtqueues, the device has %d",
+                  vdev->name, num, virtio_get_num_queues(vdev));
+     return -1;
+ }
for (i = 0; i < num; i++) {
vdev->vq[i].vring.num = qemu_get_be32@p(f);
+ if (!vdev->vq[i].vring.num ||
+     vdev->vq[i].vring.num > VIRTQUEUE_MAX_SIZE) {
+     error_report("%s: incoming state: virtqueue %d has the size %u",
+                  vdev->name, i, vdev->vq[i].vring.num);
+     return -1;
+ }
...
}

@rings@
statement S;
position p;
@@
+ for (i = 0; i < VIRTIO_QUEUE_MAX; i++) {
+     VirtQueue *vq = &vdev->vq[i];
+
+     if (vq->vring.num_default > VIRTQUEUE_MAX_SIZE ||
+         (i < num && !vq->vring.num_default) ||
+         (vq->vring.num_default && !vq->vring.num)) {
+         error_report("%s: incoming state: virtqueue %d has the size %u",
+                      vdev->name, i, vq->vring.num_default);
+         return -1;
+     }
+     if (i < num && virtio_vdev_has_feature(vdev, VIRTIO_F_RING_PACKED) &&
+         (vq->last_avail_idx >= vq->vring.num ||
+          vq->used_idx >= vq->vring.num || vq->inuse > vq->vring.num)) {
+         error_report("%s: incoming state: virtqueue %d of size %u is at %u",
+                      vdev->name, i, vq->vring.num, vq->last_avail_idx);
+         return -1;
+     }
+ }
if (vdev->device_endian == VIRTIO_DEVICE_ENDIAN_UNKNOWN@p) S

@deleted_queues@
statement S;
position p;
@@
for (i = 0; i < num; i++) {
...
- if (vdev->vq[i].vring.desc@p)
+ if (vdev->vq[i].vring.num && vdev->vq[i].vring.desc)
 S
...
}

@largest_ring@
identifier fn = virtio_add_queue;
type T;
position p;
@@
fn(...) {
<...
g_new0(T,
- queue_size@p
+ VIRTQUEUE_MAX_SIZE
 )
...>
}

// file: hw/virtio/virtio-pci.c

@vectors@
position p;
@@
if (vector != VIRTIO_NO_VECTOR && vector >= proxy->nvectors@p) {
+ error_report("%s: incoming state: MSI-X vector %u of %u", vdev->name,
+              vector, proxy->nvectors);
return -EINVAL;
}

// expect: vectors = 2
