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

/*
 * Another QEMU may use the tap: one that migrates to here or from here. Until
 * the guest runs here, or again, the tap stays as it is.
 */
bool virtio_net_rss_tap_shared(void);

/* The descriptor of the tap's queue 0, or -1 if the backend is no tap. */
int virtio_net_rss_tap_fd(VirtIONet *n);

/* Puts the program in the tap; false with @error set if that is refused. */
bool virtio_net_rss_attach(VirtIONet *n, GError **error);

/* Takes it out again, unless another QEMU may have put its own there. */
void virtio_net_rss_detach(VirtIONet *n);

/* QEMU reads packets from the tap, or leaves them there. */
void virtio_net_rss_poll_tap(VirtIONet *n, bool on);

/**
 * virtio_net_rss_find_reporter:
 *
 * Finds out whether vhost can report hashes; where that is the kernel's own,
 * moves the queues to a node that can. Comes before vhost is started.
 *
 * Returns: false with @error set to why the guest has to do without
 */
bool virtio_net_rss_find_reporter(VirtIONet *n, GError **error);

/* Makes vhost report hashes; false with @error set if it refuses. */
bool virtio_net_rss_report(VirtIONet *n, GError **error);

/* From now on packets have no hash. */
void virtio_net_rss_stop_report(VirtIONet *n);

/* Drops from @policy what a guest with these features must not ask for. */
void virtio_net_rss_keep(VirtIONetRssPolicy *policy, uint64_t features);

/* Before new features: says why those of a stream are not to be had. */
void virtio_net_rss_say_missing(VirtIONet *n);

/* Delivers what came to the tap before the guest's state did. */
void virtio_net_rss_deliver_early(VirtIONet *n);

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
