/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net's receive-side scaling: what the guest may say, and when which
 * engine steers. virtio-net.c calls this and knows no more of it.
 */
#ifndef HW_VIRTIO_NET_RSS_H
#define HW_VIRTIO_NET_RSS_H

#include "ebpf/ebpf_rss.h"
#include "hw/qdev-properties.h"
#include "net/net.h"
#include "net/rss.h"
#include "qemu/iov.h"

struct VirtIONet;

/**
 * VirtIONetRss: RSS and hash reports of one device
 * @steering: the last command of its kind was an RSS_CONFIG that turned RSS on
 * @hashing: the guest has configured hash types and a key
 * @populate_hash: VIRTIO_NET_F_HASH_REPORT is negotiated; packets carry a hash
 * @config: what the guest configured; while not @steering, its table has the
 *          one entry 0
 * @next: command that was checked and not yet applied
 * @next_waits: it is applied once there are as many queues as it asks for
 * @old_queue_pairs: how many were active before
 * @queue_failed: the backend has not enabled all that were to be active
 * @software: the software engine, if it works now
 * @result: what it said of the packet that is being received
 * @ebpf: the loaded program, or NULL
 * @no_ebpf: why there is none, or why the tap does not take it any more
 * @attached: it is in the tap
 * @attach_waits: it goes there once its configuration is in force
 * @attach_bh: the bottom half that does so
 * @counting: packets are counted
 * @counters: those that the software engine has steered, and a program that
 *            is not there any more
 * @ctrl_waits: commands may be waiting in the control queue
 * @ctrl_bh: the bottom half that goes on with them; see virtio-net-ctrl.c
 * @engine, @ebpf_fds, @ebpf_helper: properties, see virtio-net-rss-load.c
 * @migrated_*: fields as they are in the migration stream
 */
typedef struct VirtIONetRss {
    bool steering;
    bool hashing;
    bool populate_hash;
    RssConfig config;

    RssCommand next;
    bool next_waits;
    uint16_t old_queue_pairs;
    bool queue_failed;

    RssEngine *software;
    RssResult result;

    EBPFRSS *ebpf;
    char *no_ebpf;
    bool attached;
    bool attach_waits;
    QEMUBH *attach_bh;

    bool counting;
    RssCounters counters;

    bool ctrl_waits;
    QEMUBH *ctrl_bh;

    char *engine;
    char *ebpf_fds;
    char *ebpf_helper;

    bool migrated_enabled;
    uint16_t *migrated_table;
} VirtIONetRss;

extern const PropertyInfo qdev_prop_virtio_net_rss_counters;
extern const PropertyInfo qdev_prop_virtio_net_rss_fds;
extern const VMStateDescription vmstate_virtio_net_rss;

/* Properties of the device @type, which has a VirtIONetRss named rss. */
#define DEFINE_VIRTIO_NET_RSS_PROPERTIES(type)                                \
    DEFINE_PROP_STRING("rss-engine", type, rss.engine),                       \
    DEFINE_PROP("ebpf-rss-fds", type, rss.ebpf_fds,                           \
                qdev_prop_virtio_net_rss_fds, char *),                        \
    DEFINE_PROP_STRING("ebpf-rss-helper", type, rss.ebpf_helper),             \
    DEFINE_PROP("rss-counters", type, rss.counting,                           \
                qdev_prop_virtio_net_rss_counters, bool)

/**
 * virtio_net_rss_realize:
 *
 * Looks for an engine for what the device's properties ask for. Comes before
 * the device has a NIC. Says aloud what cannot be had.
 *
 * Returns: false with @errp set if the user insists on it
 */
bool virtio_net_rss_realize(struct VirtIONet *n, Error **errp);

/* May be called for a device that was not realized, and twice. */
void virtio_net_rss_unrealize(struct VirtIONet *n);

/* Returns @features without those that no engine can provide. */
uint64_t virtio_net_rss_get_features(struct VirtIONet *n, uint64_t features);

/**
 * virtio_net_rss_set_features:
 *
 * Called before the device takes new features. Where they come from a
 * migration stream, QEMU complains of those that are missing here by number
 * only; this says before it why RSS is.
 */
void virtio_net_rss_set_features(struct VirtIONet *n);

/* After a reset all packets go to queue 0 and carry no hash. */
void virtio_net_rss_reset(struct VirtIONet *n);

/**
 * virtio_net_rss_parse:
 *
 * Checks an RSS_CONFIG and keeps it for virtio_net_rss_begin().
 *
 * Returns: the queue pairs it asks for, or 0 if it must be refused
 */
uint16_t virtio_net_rss_parse(struct VirtIONet *n,
                              const struct iovec *iov, unsigned iov_cnt);

/* A command was refused before it came to virtio_net_rss_begin(). */
void virtio_net_rss_refused(struct VirtIONet *n, uint8_t cmd);

/**
 * virtio_net_rss_begin:
 * @cmd: VIRTIO_NET_CTRL_MQ_RSS_CONFIG or VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET
 *
 * The device is going to have @queue_pairs active queue pairs. The last
 * command wins: an RSS_CONFIG sets RSS, a VQ_PAIRS_SET turns it off.
 *
 * Returns: false if the command must be refused; nothing has changed then
 */
bool virtio_net_rss_begin(struct VirtIONet *n, uint8_t cmd,
                          uint16_t queue_pairs);

/**
 * virtio_net_rss_end:
 *
 * The device has the queue pairs that virtio_net_rss_begin() spoke of, unless
 * queue_failed has been set since.
 *
 * Returns: false if the command must be refused after all; then the number of
 * active queue pairs is the old one again, and the caller must see to that
 */
bool virtio_net_rss_end(struct VirtIONet *n);

/* Applies a HASH_CONFIG. Returns VIRTIO_NET_OK or VIRTIO_NET_ERR. */
uint8_t virtio_net_rss_hash_config(struct VirtIONet *n,
                                   const struct iovec *iov, unsigned iov_cnt);

/**
 * virtio_net_rss_receive:
 * @buf: a packet from @nc's backend, with the header that it sends
 *
 * Returns: the queue that the software engine wants it on, or -1 if that
 * is @nc's or the engine does not work
 */
int virtio_net_rss_receive(NetClientState *nc, const uint8_t *buf,
                           size_t size);

/*
 * The packet that virtio_net_rss_receive() was asked about goes to the guest's
 * buffers @sg, which hold its header: adds the hash, and counts the packet.
 * One that must wait for buffers is asked about again.
 */
void virtio_net_rss_deliver(struct VirtIONet *n, const struct iovec *sg,
                            unsigned sg_cnt);

/*
 * The guest has added buffers to receive queue @queue: delivers the packets
 * that waited for them.
 */
void virtio_net_rss_flush(struct VirtIONet *n, int queue);

/* Commands of one kick that are handled before the main loop has its turn. */
enum {
    VIRTIO_NET_CTRL_BATCH = 16,
};

/* The control queue's batch is over: goes on with the rest a little later. */
void virtio_net_ctrl_yield(struct VirtIONet *n);

/* The device's status or the VM's changes: goes on with what had to wait. */
void virtio_net_ctrl_resume(struct VirtIONet *n, uint8_t status);

/* Returns 0, or -EINVAL if the incoming state cannot be served here. */
int virtio_net_rss_post_load(struct VirtIONet *n);

#endif
