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
#include "qapi/qapi-types-rss.h"
#include "qemu/iov.h"

struct VirtIONet;

/**
 * VirtIONetRssPolicy: what a guest has asked for
 * @steering: the last command of its kind was an RSS_CONFIG that turned RSS on
 * @config: where packets belong; while not @steering, its table has the one
 *          entry 0
 */
typedef struct VirtIONetRssPolicy {
    bool steering;
    RssConfig config;
} VirtIONetRssPolicy;

/**
 * VirtIONetRssStream: the part about RSS of a migration stream
 * @enabled: the guest has configured RSS, or hash reports
 * @redirect: it is RSS
 * @populate_hash: packets carry a hash; said by the features, too
 * @supported_hash_types: those that the guest was offered
 * @config: of this the key, numbers, and the length of @table
 * @table: while the state is saved the table of @config's origin, and while
 *         it is loaded what QEMU allocates for it
 */
typedef struct VirtIONetRssStream {
    bool enabled;
    bool redirect;
    bool populate_hash;
    uint32_t supported_hash_types;
    RssConfig config;
    uint16_t *table;
} VirtIONetRssStream;

/**
 * VirtIONetRssPlaces: where programs are attached, or are to be
 * @VIRTIO_NET_RSS_TAP: the one that steers, in the tap
 * @VIRTIO_NET_RSS_VHOST: the one that reports hashes, in vhost
 */
typedef enum VirtIONetRssPlaces {
    VIRTIO_NET_RSS_NOWHERE = 0,
    VIRTIO_NET_RSS_TAP = 1 << 0,
    VIRTIO_NET_RSS_VHOST = 1 << 1,
} VirtIONetRssPlaces;

/**
 * VirtIONetRssState: what steers, or hashes
 *
 *      ┌────────────────── no program, or none ──────────────▶ SOFTWARE
 *      │                   that reports hashes                     ▲
 *      │                                                           │ refused
 *     OFF ── all slots ──▶ EBPF_WAITS ── a slot is free ──┐        │ by the
 *      │     are in use                                   ▼        │ kernel
 *      └── a slot is free ──────────────────────────────▶ EBPF ────┤
 *                                                         │  ▲     │
 *                   a new configuration, all slots in use │  │ a slot
 *                                                         ▼  │ is free
 *                                                  EBPF_CHANGES ───┘
 *
 * From each to OFF when the guest turns RSS off, when it is reset, and when it
 * does not negotiate the features any more. With vhost there is no SOFTWARE:
 * a command that would lead there is refused, else it is OFF.
 *
 * @VIRTIO_NET_RSS_OFF: the backend's own choice, and no hashes
 * @VIRTIO_NET_RSS_SOFTWARE: the engine in the receive path
 * @VIRTIO_NET_RSS_EBPF_WAITS: still the backend's choice, and no hashes; the
 *      programs are attached once the guest's configuration is in force
 * @VIRTIO_NET_RSS_EBPF: the program in the tap, the one in vhost, or both
 * @VIRTIO_NET_RSS_EBPF_CHANGES: the same, by the configuration before; what
 *      that had no need of is not attached yet
 */
typedef enum VirtIONetRssState {
    VIRTIO_NET_RSS_OFF,
    VIRTIO_NET_RSS_SOFTWARE,
    VIRTIO_NET_RSS_EBPF_WAITS,
    VIRTIO_NET_RSS_EBPF,
    VIRTIO_NET_RSS_EBPF_CHANGES,
} VirtIONetRssState;

/**
 * VirtIONetRss: RSS and hash reports of one device
 * @serial: tells which of two devices was realized first
 * @guest: what its driver has asked for
 * @stream: used only while the state is saved or loaded
 * @incoming: what a migration stream says of that; NULL but while it is loaded
 * @state: what is done about it
 * @attached: where programs are by now
 * @populate_hash: VIRTIO_NET_F_HASH_REPORT is negotiated; packets carry a hash
 * @supported_hash_types: those that the guest may enable
 * @peer_hashes: the backend's device hashes by itself, as a vDPA device may,
 *               and steers, from QEMU 10.2 on
 * @software: the software engine, in this state
 * @result: what it said of the packet that is being received
 * @ebpf: the loaded program, or NULL
 * @ask: what a helper was asked for, while @ebpf is still to come from it; NULL
 *       else. See virtio_net_rss_settle()
 * @asked_bh: the bottom half for the helper's answer
 * @no_ebpf: why there is none, or why the tap does not take it any more
 * @not_offered: why the guest is not offered RSS although rss=on, or NULL
 * @reports: vhost can report hashes, and @ebpf has the program for it
 * @no_reports: why the guest is not offered hash reports although hash=on, or
 *              NULL
 * @notified_bh: the bottom half that ends VIRTIO_NET_RSS_EBPF_WAITS and
 *               VIRTIO_NET_RSS_EBPF_CHANGES
 * @counting: packets are counted
 * @counters: those that the software engine has steered, and a program that
 *            is not there any more
 * @vhost_said: that vhost does not start, or a queue of it, was said
 * @queue_failed: the backend has not enabled a queue when it was asked last
 * @vm_running: the VM ran when the device's status was set last
 * @tap_lent: another QEMU may have used the tap since the guest ran here
 * @ctrl_waits: commands may be waiting in the control queue
 * @ctrl_bh: the bottom half that goes on with them; see virtio-net-ctrl.c
 * @engine, @ebpf_fds, @ebpf_helper, @hash_node: properties, see
 *         virtio-net-rss-load.c
 */
typedef struct VirtIONetRss {
    uint64_t serial;

    VirtIONetRssPolicy guest;
    VirtIONetRssStream stream;
    VirtIONetRssPolicy *incoming;
    VirtIONetRssState state;
    VirtIONetRssPlaces attached;
    bool populate_hash;
    uint32_t supported_hash_types;
    bool peer_hashes;

    RssEngine *software;
    RssResult result;

    EBPFRSS *ebpf;
    struct VirtIONetRssAsk *ask;
    QEMUBH *asked_bh;
    char *no_ebpf;
    char *not_offered;
    bool reports;
    char *no_reports;
    QEMUBH *notified_bh;

    bool counting;
    RssCounters counters;

    bool vhost_said;
    bool queue_failed;
    bool vm_running;
    bool tap_lent;

    bool ctrl_waits;
    QEMUBH *ctrl_bh;

    RssEngineMode engine;
    char *ebpf_fds;
    char *ebpf_helper;
    char *hash_node;
} VirtIONetRss;

extern const PropertyInfo qdev_prop_virtio_net_rss_counters;
extern const PropertyInfo qdev_prop_virtio_net_rss_engine;
extern const VMStateDescription vmstate_virtio_net_rss;

/* Properties of the device @type, which has a VirtIONetRss named rss. */
#define DEFINE_VIRTIO_NET_RSS_PROPERTIES(type)                                \
    DEFINE_PROP_SIGNED("rss-engine", type, rss.engine, RSS_ENGINE_MODE_AUTO,  \
                       qdev_prop_virtio_net_rss_engine, RssEngineMode),       \
    DEFINE_PROP_STRING("ebpf-rss-helper", type, rss.ebpf_helper),             \
    DEFINE_PROP_STRING("hash-node", type, rss.hash_node),                     \
    DEFINE_PROP("rss-counters", type, rss.counting,                           \
                qdev_prop_virtio_net_rss_counters, bool)

/* Gives those properties their descriptions, which "-device" shows. */
void virtio_net_rss_describe(ObjectClass *klass);

/**
 * virtio_net_rss_realize:
 *
 * Looks for an engine for what the device's properties ask for. Comes before
 * the device has a NIC.
 *
 * Returns: false with @errp set if the properties contradict each other, or
 * the user insists on an engine that is unavailable
 */
bool virtio_net_rss_realize(struct VirtIONet *n, Error **errp);

/**
 * virtio_net_rss_limit_config:
 * @config: what a vDPA device says of itself; then what the guest may see
 *
 * Takes off what is not offered, or is more than QEMU keeps of a command.
 */
void virtio_net_rss_limit_config(struct VirtIONet *n,
                                 struct virtio_net_config *config);

/* May be called for a device that was not realized, and twice. */
void virtio_net_rss_unrealize(struct VirtIONet *n);

/**
 * virtio_net_rss_get_features:
 * @features: what transport and backend leave of the device's features
 *
 * Called once, when the realized device is plugged into its transport. Warns
 * of what was asked for and is unavailable.
 *
 * Returns: @features without those that cannot be negotiated or provided.
 * With @errp set if the user insists on one of them
 */
uint64_t virtio_net_rss_get_features(struct VirtIONet *n, uint64_t features,
                                     Error **errp);

/**
 * virtio_net_rss_set_features:
 * @features: what the guest's driver has accepted now
 *
 * What a feature allows ends with it: RSS, hash reports, more queue pairs than
 * one, commands that wait. Called when the device's header has the length that
 * belongs to @features.
 *
 * Where they come from a migration stream, QEMU complains of those that are
 * missing here by number only; this says before it why RSS and hash reports
 * are.
 */
void virtio_net_rss_set_features(struct VirtIONet *n, uint64_t features);

/**
 * virtio_net_rss_set_status:
 * @status: what the device's status is going to be
 *
 * Called also when the VM starts and stops, and when the netdev is deleted.
 */
void virtio_net_rss_set_status(struct VirtIONet *n, uint8_t status);

/* After a reset all packets go to queue 0 and carry no hash. */
void virtio_net_rss_reset(struct VirtIONet *n);

/**
 * virtio_net_rss_command:
 * @cmd: of class VIRTIO_NET_CTRL_MQ
 * @iov: what follows class and command byte
 *
 * Sets the number of queue pairs, and how packets are steered and hashed. The
 * last command wins: an RSS_CONFIG turns RSS on, a VQ_PAIRS_SET turns it off.
 *
 * Returns: VIRTIO_NET_OK; or VIRTIO_NET_ERR, and nothing has changed
 */
uint8_t virtio_net_rss_command(struct VirtIONet *n, uint8_t cmd,
                               const struct iovec *iov, unsigned iov_cnt);

/**
 * virtio_net_rss_queue_enabled:
 * @result: what the backend says of receive queue @queue; as errno if not 0
 *
 * Returns: false if it is not enabled, which is said once until more queues
 * can be had again
 */
bool virtio_net_rss_queue_enabled(struct VirtIONet *n, int queue, int result);

/**
 * virtio_net_rss_lend_tap:
 *
 * Returns: true if another QEMU may use the tap, because the guest migrates.
 * Then its queues stay as they are, and are not read, until the guest runs
 * here.
 */
bool virtio_net_rss_lend_tap(struct VirtIONet *n);

/**
 * virtio_net_set_queue_pairs: in virtio-net.c
 *
 * Enables as many of the backend's queues as are to be active, and disables
 * the others.
 *
 * Returns: false if one could not be enabled
 */
bool virtio_net_set_queue_pairs(struct VirtIONet *n);

/**
 * virtio_net_rss_receive:
 * @buf: a packet from @nc's backend, with the header that it sends
 *
 * Returns: the queue that the software engine wants it on; @nc if the engine
 * does not work
 */
NetClientState *virtio_net_rss_receive(NetClientState *nc, const uint8_t *buf,
                                       size_t size);

/*
 * Returns whether a packet that comes in by one queue may be for any other:
 * then the card takes it though that one is not ready.
 */
bool virtio_net_rss_any_queue(struct VirtIONet *n);

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
