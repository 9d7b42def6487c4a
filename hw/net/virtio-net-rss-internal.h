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

bool virtio_net_rss_has_vdpa(VirtIONet *n);

/**
 * VirtIONetRssAsk: what a helper is asked for, and what came of it
 * @path: of the helper's socket or program; NULL: there is none
 * @remedy: what the administrator may have forgotten, or ""
 * @own: why QEMU itself could not load it
 * @name: which backend it is for
 * @report: the program that reports hashes is wanted, too
 * @fds: what came, else -1
 * @error: why nothing came, if @path is not NULL
 * @no_report: why the program that reports hashes did not come, or NULL
 * @thread: the one that asks, or NULL; what came is its own meanwhile
 * @bh: scheduled when it has asked
 */
typedef struct VirtIONetRssAsk {
    char *path;
    const char *remedy;
    GError *own;
    char *name;
    bool report;

    int fds[EBPF_RSS_ALL_FDS];
    GError *error;
    char *no_report;

    GThread *thread;
    QEMUBH *bh;
} VirtIONetRssAsk;

/* Finds the helper of the device. @own becomes the structure's. */
VirtIONetRssAsk *virtio_net_rss_ask_new(VirtIONet *n, const char *name,
                                        bool report, GError *own);

/**
 * virtio_net_rss_ask_begin:
 *
 * Asks the service in a thread, and schedules @bh at the end.
 *
 * Returns: false if the helper is no service, or there is no thread to be had
 */
bool virtio_net_rss_ask_begin(VirtIONetRssAsk *ask, QEMUBH *bh);

/**
 * virtio_net_rss_ask_end:
 *
 * Waits for the answer; asks first, if that has not begun. Takes eleven seconds
 * at most.
 *
 * Returns: true if there is a program: the descriptors in ask->fds are the
 * caller's. Else false with @error set.
 */
bool virtio_net_rss_ask_end(VirtIONetRssAsk *ask, GError **error);

/* Waits for the answer, too, and drops it. */
void virtio_net_rss_ask_free(VirtIONetRssAsk *ask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtIONetRssAsk, virtio_net_rss_ask_free)

/* The bottom half for it, and for whoever needs to know what steers. */
void virtio_net_rss_asked_bh(void *opaque);
void virtio_net_rss_settle(VirtIONet *n);

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
