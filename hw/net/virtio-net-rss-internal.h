/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of virtio-net's receive-side scaling share. */
#ifndef HW_NET_VIRTIO_NET_RSS_INTERNAL_H
#define HW_NET_VIRTIO_NET_RSS_INTERNAL_H

#include "hw/virtio/virtio-net.h"

/* The backend of queue 0. Before the device has a NIC, the one it will have. */
NetClientState *virtio_net_rss_peer(VirtIONet *n);

/* It was deleted by netdev_del: it is still there, but brings no packet. */
bool virtio_net_rss_peer_deleted(VirtIONet *n);

bool virtio_net_rss_has_vhost(VirtIONet *n);

/**
 * virtio_net_rss_load:
 *
 * Gets a program from where the device's properties say, and tries whether
 * the backend takes it. In n->rss.ebpf it is attached to nothing.
 */
bool virtio_net_rss_load(VirtIONet *n, GError **error);

/* Puts the program in the tap, or takes it out again. */
bool virtio_net_rss_attach(VirtIONet *n);
void virtio_net_rss_detach(VirtIONet *n);

/* Nothing steers any more. */
void virtio_net_rss_off(VirtIONet *n);

/* The bottom half for a configuration that is not deferred any more. */
void virtio_net_rss_notified_bh(void *opaque);

/* The bottom half that goes on with the control queue. */
void virtio_net_ctrl_bh(void *opaque);

/**
 * virtio_net_rss_set:
 *
 * Makes @policy what the guest has asked for, with the engine that it takes.
 *
 * Returns: false with @error set, and all as it was, if there is none
 */
bool virtio_net_rss_set(VirtIONet *n, const VirtIONetRssPolicy *policy,
                        GError **error);

/* What both engines have counted. */
RssCounters virtio_net_rss_counters(VirtIONet *n);

#endif
