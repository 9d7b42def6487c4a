/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bound on the work for one kick of the control queue.
 *
 * A guest can add commands as fast as they are handled. So that it cannot
 * keep QEMU's main loop from all else, the handler stops after a batch, and a
 * bottom half notifies the queue again. While the VM is stopped the rest
 * waits, and on the other side of a migration it is looked for, for the guest
 * has kicked once and will not do so again.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "virtio-net-rss-internal.h"

void virtio_net_ctrl_bh(void *opaque)
{
    VirtIONet *n = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(n);

    if (n->rss.ctrl_waits && vdev->vm_running) {
        n->rss.ctrl_waits = false;
        virtio_queue_notify(vdev, virtio_get_queue_index(n->ctrl_vq));
    }
}

void virtio_net_ctrl_yield(VirtIONet *n)
{
    n->rss.ctrl_waits = true;
    qemu_bh_schedule(n->rss.ctrl_bh);
}

void virtio_net_ctrl_resume(VirtIONet *n, uint8_t status)
{
    if (n->rss.ctrl_waits && status & VIRTIO_CONFIG_S_DRIVER_OK &&
        VIRTIO_DEVICE(n)->vm_running) {
        qemu_bh_schedule(n->rss.ctrl_bh);
    }
}
