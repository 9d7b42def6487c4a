/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net's receive-side scaling
 *
 * The guest configures RSS through the control queue. A command is copied from
 * guest memory once, checked whole by the library, and only then applied; a
 * refused command changes nothing. Steering is done by
 *
 *  - the eBPF program in the tap, for vhost=on and vhost=off, unless hashes
 *    are to be reported with vhost=off, which a tap cannot do;
 *  - the software engine in the receive path, without vhost.
 *
 * Who steers hashes, too, but for one case: with vhost=on a second program, in
 * vhost, reports them, by the same configuration. Without RSS it is alone.
 *
 * Which engines there are is found out when the device is realized, in
 * virtio-net-rss-load.c. Which of them works is decided here, in
 * virtio_net_rss_set() and nowhere else. All of it runs under the BQL.
 *
 * A table may name more queues than are active: then the queue is taken modulo
 * the number of active ones, as the tap does.
 */
#include "qemu/osdep.h"
#include "hw/virtio/virtio-access.h"
#include "net/tap.h"
#include "net/tap_steering.h"
#include "net/vhost_net.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
#include "virtio-net-rss-compat.h"
#include "virtio-net-rss-internal.h"

QEMU_BUILD_BUG_ON(RSS_TYPE_IPV4 != VIRTIO_NET_RSS_HASH_TYPE_IPv4);
QEMU_BUILD_BUG_ON(RSS_TYPE_TCPV6 != VIRTIO_NET_RSS_HASH_TYPE_TCPv6);
QEMU_BUILD_BUG_ON(RSS_TYPE_UDP_EX != VIRTIO_NET_RSS_HASH_TYPE_UDP_EX);
QEMU_BUILD_BUG_ON(RSS_KEY_SIZE != VIRTIO_NET_RSS_MAX_KEY_SIZE);
QEMU_BUILD_BUG_ON(RSS_TABLE_MAX != VIRTIO_NET_RSS_MAX_TABLE_LEN);

NetClientState *virtio_net_rss_peer(VirtIONet *n)
{
    return n->nic ? qemu_get_queue(n->nic)->peer : n->nic_conf.peers.ncs[0];
}

bool virtio_net_rss_has_vhost(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer && get_vhost_net(peer);
}

bool virtio_net_rss_has_vdpa(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer && peer->info->type == NET_CLIENT_DRIVER_VHOST_VDPA;
}

bool virtio_net_rss_peer_deleted(VirtIONet *n)
{
    return n->nic && n->nic->peer_deleted;
}

bool virtio_net_rss_tap_shared(void)
{
    return runstate_check(RUN_STATE_INMIGRATE) ||
           runstate_check(RUN_STATE_FINISH_MIGRATE) ||
           runstate_check(RUN_STATE_POSTMIGRATE);
}

int virtio_net_rss_tap_fd(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer && peer->info->type == NET_CLIENT_DRIVER_TAP
           ? tap_get_fd(peer) : -1;
}

void virtio_net_rss_poll_tap(VirtIONet *n, bool on)
{
    NetClientState **ncs = n->nic_conf.peers.ncs;
    int i;

    for (i = 0; i < n->nic_conf.peers.queues; i++) {
        if (ncs[i]->info->poll) {
            ncs[i]->info->poll(ncs[i], on);
        }
    }
}

bool virtio_net_rss_lend_tap(VirtIONet *n)
{
    if (!virtio_net_rss_tap_shared() || virtio_net_rss_tap_fd(n) < 0) {
        return false;
    }
    n->rss.tap_lent = true;
    virtio_net_rss_poll_tap(n, false);
    return true;
}

bool virtio_net_rss_attach(VirtIONet *n, GError **error)
{
    bool done = tap_steering_attach(virtio_net_rss_tap_fd(n),
                                    ebpf_rss_program_fd(n->rss.ebpf), error);

    if (done) {
        g_clear_pointer(&n->rss.no_ebpf, g_free);
    }
    trace_virtio_net_rss_attach(n, done);
    return done;
}

void virtio_net_rss_detach(VirtIONet *n)
{
    if (!virtio_net_rss_lend_tap(n)) {
        tap_steering_detach(virtio_net_rss_tap_fd(n), NULL);
        trace_virtio_net_rss_detach(n);
    }
}

/* Where the programs belong; nowhere if they cannot do what @policy says. */
static VirtIONetRssPlaces
virtio_net_rss_places(VirtIONet *n, const VirtIONetRssPolicy *policy)
{
    VirtIONetRss *rss = &n->rss;
    VirtIONetRssPlaces places = VIRTIO_NET_RSS_NOWHERE;

    if (!rss->ebpf || virtio_net_rss_peer_deleted(n) ||
        (rss->populate_hash && !rss->reports)) {
        return places;
    }
    if (policy->steering) {
        places |= VIRTIO_NET_RSS_TAP;
    }
    if (policy->config.hash_types && rss->populate_hash) {
        places |= VIRTIO_NET_RSS_VHOST;
    }
    return places;
}

/* To @places, too; or, with @error set, to none that was not there before. */
static bool virtio_net_rss_attach_to(VirtIONet *n, VirtIONetRssPlaces places,
                                     GError **error)
{
    VirtIONetRssPlaces missing = places & ~n->rss.attached;

    if (missing & VIRTIO_NET_RSS_VHOST && !virtio_net_rss_report(n, error)) {
        return false;
    }
    if (missing & VIRTIO_NET_RSS_TAP && !virtio_net_rss_attach(n, error)) {
        if (missing & VIRTIO_NET_RSS_VHOST) {
            virtio_net_rss_stop_report(n);
        }
        return false;
    }
    n->rss.attached |= places;
    return true;
}

/*
 * What steered until now ends, and what @state says begins: the programs are
 * in @places already, or are going to be; or @software is an engine for it.
 */
static void virtio_net_rss_enter(VirtIONet *n, VirtIONetRssState state,
                                 VirtIONetRssPlaces places,
                                 RssEngine *software)
{
    VirtIONetRssPlaces surplus = n->rss.attached & ~places;

    rss_engine_free(n->rss.software);
    n->rss.software = software;
    n->rss.state = state;
    n->rss.attached &= places;
    if (surplus & VIRTIO_NET_RSS_TAP) {
        virtio_net_rss_detach(n);
    }
    if (surplus & VIRTIO_NET_RSS_VHOST) {
        virtio_net_rss_stop_report(n);
    }
}

/*
 * Whatever changes where packets belong ends here: those that wait in QEMU may
 * belong to other queues now, whose buffers no one announces.
 */
static void virtio_net_rss_flush_all(VirtIONet *n)
{
    int i;

    if (!VIRTIO_DEVICE(n)->vm_running || n->vhost_started) {
        return;
    }
    for (i = 0; i < n->max_queue_pairs; i++) {
        qemu_flush_queued_packets(qemu_get_subqueue(n->nic, i));
    }
}

RssCounters virtio_net_rss_counters(VirtIONet *n)
{
    RssCounters sum = n->rss.counters, ebpf;
    int i;

    if (n->rss.ebpf) {
        ebpf = ebpf_rss_get_counters(n->rss.ebpf);
        for (i = 0; i < RSS_COUNTED_TYPES; i++) {
            sum.type[i] += ebpf.type[i];
        }
        for (i = 0; i < RSS_COUNTED_QUEUES; i++) {
            sum.queue[i] += ebpf.queue[i];
        }
    }
    return sum;
}

/* What could not be foreseen when the device was realized; said once. */
static void virtio_net_rss_warn(VirtIONet *n, const GError *reason,
                                const char *outcome)
{
    if (!n->rss.no_ebpf) {
        n->rss.no_ebpf = g_strdup(reason->message);
        warn_report("%s: %s; %s", virtio_net_rss_peer(n)->name,
                    reason->message, outcome);
    }
}

static void virtio_net_rss_unavailable(GError **error)
{
    g_set_error_literal(error, RSS_ERROR, RSS_ERROR_KERNEL,
                        "cannot change the steering program's configuration"
                        " any more");
}

/* With vhost: what was accepted ends, as nothing else can do it. */
static void virtio_net_rss_give_up(VirtIONet *n, const GError *reason)
{
    virtio_net_rss_warn(n, reason, n->rss.populate_hash
                        ? "RSS and hash reports are off" : "RSS is off");
    virtio_net_rss_off(n);
}

/*
 * With vhost: what is attached, or waits for that, goes on by the configuration
 * that the guest has. A bottom half that was to come still comes.
 */
static void virtio_net_rss_restore(VirtIONet *n)
{
    g_autoptr(GError) err = NULL;

    switch (ebpf_rss_set_all(n->rss.ebpf, &n->rss.guest.config)) {
    case EBPF_RSS_IN_FORCE:
        break;
    case EBPF_RSS_DEFERRED:
        if (n->rss.state == VIRTIO_NET_RSS_EBPF) {
            n->rss.state = VIRTIO_NET_RSS_EBPF_CHANGES;
        }
        break;
    case EBPF_RSS_UNAVAILABLE:
        virtio_net_rss_unavailable(&err);
        virtio_net_rss_give_up(n, err);
        break;
    }
}

/*
 * Puts @config in force in the programs, and those in @places. One that is
 * there already goes on without a gap.
 *
 * Returns: the state that this leads to; or VIRTIO_NET_RSS_OFF with @error
 * set, and then nothing is done by @config: with vhost all goes on as it was,
 * and without it the caller has another engine
 */
static VirtIONetRssState virtio_net_rss_try_ebpf(VirtIONet *n,
                                                 const RssConfig *config,
                                                 VirtIONetRssPlaces places,
                                                 GError **error)
{
    switch (ebpf_rss_set_all(n->rss.ebpf, config)) {
    case EBPF_RSS_IN_FORCE:
        if (virtio_net_rss_attach_to(n, places, error)) {
            return VIRTIO_NET_RSS_EBPF;
        }
        if (virtio_net_rss_has_vhost(n) &&
            (n->rss.attached || n->rss.state == VIRTIO_NET_RSS_EBPF_WAITS)) {
            virtio_net_rss_restore(n);
        }
        return VIRTIO_NET_RSS_OFF;
    case EBPF_RSS_DEFERRED:
        if (n->rss.attached & places) {
            return VIRTIO_NET_RSS_EBPF_CHANGES;
        }
        trace_virtio_net_rss_attach_waits(n);
        return VIRTIO_NET_RSS_EBPF_WAITS;
    default:
        virtio_net_rss_unavailable(error);
        return VIRTIO_NET_RSS_OFF;
    }
}

/* The software engine takes over, from @failed on for good. */
static void virtio_net_rss_set_software(VirtIONet *n,
                                        const VirtIONetRssPolicy *policy,
                                        const GError *failed)
{
    virtio_net_rss_enter(n, VIRTIO_NET_RSS_SOFTWARE, VIRTIO_NET_RSS_NOWHERE,
                         rss_engine_new(&policy->config));
    if (failed) {
        virtio_net_rss_warn(n, failed, "RSS falls back to QEMU");
        trace_virtio_net_rss_fallback(n, n->rss.no_ebpf);
        n->rss.counters = virtio_net_rss_counters(n);
        ebpf_rss_unload(n->rss.ebpf);
        n->rss.ebpf = NULL;
    } else if (policy->steering && n->rss.ebpf) {
        trace_virtio_net_rss_fallback(n, "hash reports need the software"
                                         " engine");
    }
    trace_virtio_net_rss_engine(n, "software", policy->config.hash_types,
                                policy->config.table_len);
}

bool virtio_net_rss_set(VirtIONet *n, const VirtIONetRssPolicy *policy,
                        GError **error)
{
    VirtIONetRss *rss = &n->rss;
    bool report = policy->config.hash_types && rss->populate_hash;
    VirtIONetRssState state = VIRTIO_NET_RSS_OFF;
    VirtIONetRssPlaces places;
    g_autoptr(GError) failed = NULL;

    if (policy->steering && !rss->populate_hash) {
        virtio_net_rss_settle(n);
    }
    places = virtio_net_rss_places(n, policy);
    if (rss->peer_hashes) {
        rss->guest = *policy;
        return true;
    }
    if (places) {
        state = virtio_net_rss_try_ebpf(n, &policy->config, places, &failed);
    }
    if (state != VIRTIO_NET_RSS_OFF) {
        virtio_net_rss_enter(n, state, places, NULL);
        trace_virtio_net_rss_engine(n, "ebpf", policy->config.hash_types,
                                    policy->config.table_len);
    } else if (virtio_net_rss_peer_deleted(n) ||
               (!policy->steering && !report)) {
        virtio_net_rss_enter(n, VIRTIO_NET_RSS_OFF, VIRTIO_NET_RSS_NOWHERE,
                             NULL);
        trace_virtio_net_rss_off(n);
    } else if (virtio_net_rss_has_vhost(n)) {
        if (failed) {
            virtio_net_rss_warn(n, failed, rss->populate_hash
                                ? "RSS and hash reports are unchanged"
                                : "RSS is unchanged");
        }
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL, "%s",
                    rss->no_ebpf ?: "there is no steering program");
        return false;
    } else {
        virtio_net_rss_set_software(n, policy, failed);
    }
    rss->guest = *policy;
    return true;
}

void virtio_net_rss_off(VirtIONet *n)
{
    const VirtIONetRssPolicy off = { .config.table_len = 1 };

    virtio_net_rss_set(n, &off, NULL);
}

/* What the program cannot do any more after it was accepted. */
static void virtio_net_rss_failed(VirtIONet *n, const GError *reason)
{
    if (virtio_net_rss_has_vhost(n)) {
        virtio_net_rss_give_up(n, reason);
    } else {
        virtio_net_rss_set_software(n, &n->rss.guest, reason);
    }
    virtio_net_rss_flush_all(n);
}

/*
 * The notification may be late: what it is about may be dropped, and another
 * configuration may wait. So the handle is asked.
 */
void virtio_net_rss_notified_bh(void *opaque)
{
    VirtIONet *n = opaque;
    VirtIONetRssState state = n->rss.state;
    VirtIONetRssPlaces places;
    g_autoptr(GError) err = NULL;

    if (state != VIRTIO_NET_RSS_EBPF_WAITS &&
        state != VIRTIO_NET_RSS_EBPF_CHANGES) {
        return;
    }
    switch (ebpf_rss_state(n->rss.ebpf)) {
    case EBPF_RSS_DEFERRED:
        break;
    case EBPF_RSS_IN_FORCE:
        places = virtio_net_rss_places(n, &n->rss.guest);
        if (virtio_net_rss_attach_to(n, places, &err)) {
            virtio_net_rss_enter(n, VIRTIO_NET_RSS_EBPF, places, NULL);
        } else {
            virtio_net_rss_failed(n, err);
        }
        break;
    case EBPF_RSS_UNAVAILABLE:
        virtio_net_rss_unavailable(&err);
        virtio_net_rss_failed(n, err);
        break;
    }
}

void virtio_net_rss_reset(VirtIONet *n)
{
    n->rss.ctrl_waits = false;
    virtio_net_rss_off(n);
    virtio_net_rss_flush_all(n);
}

/* All of it comes by the control queue. */
static bool may(uint64_t features, unsigned feature)
{
    return virtio_has_feature(features, VIRTIO_NET_F_CTRL_VQ) &&
           virtio_has_feature(features, feature);
}

void virtio_net_rss_keep(VirtIONetRssPolicy *policy, uint64_t features)
{
    if (!may(features, VIRTIO_NET_F_RSS)) {
        policy->steering = false;
        policy->config.unclassified_queue = 0;
        policy->config.table_len = 1;
        policy->config.table[0] = 0;
    }
    if (!policy->steering && !may(features, VIRTIO_NET_F_HASH_REPORT)) {
        *policy = (VirtIONetRssPolicy) { .config.table_len = 1 };
    }
}

void virtio_net_rss_set_features(VirtIONet *n, uint64_t features)
{
    VirtIONetRssPolicy policy = n->rss.guest;

    virtio_net_rss_say_missing(n);
    if (!virtio_has_feature(features, VIRTIO_NET_F_CTRL_VQ)) {
        n->rss.ctrl_waits = false;
    }
    virtio_net_rss_keep(&policy, features);
    if (!virtio_net_rss_set(n, &policy, NULL)) {
        virtio_net_rss_off(n);
    }
    if (!may(features, VIRTIO_NET_F_RSS) && !may(features, VIRTIO_NET_F_MQ) &&
        n->curr_queue_pairs > 1) {
        n->curr_queue_pairs = 1;
        virtio_net_set_queue_pairs(n);
    }
    virtio_net_rss_flush_all(n);
}

/* The guest runs here, or runs here again: the tap is ours. */
static void virtio_net_rss_start(VirtIONet *n)
{
    bool lent = n->rss.tap_lent;
    g_autoptr(GError) err = NULL;

    n->rss.tap_lent = false;
    if (!(n->rss.attached & VIRTIO_NET_RSS_TAP)) {
        if (lent) {
            tap_steering_detach(virtio_net_rss_tap_fd(n), NULL);
        }
    } else if (!virtio_net_rss_attach(n, &err)) {
        virtio_net_rss_failed(n, err);
    } else if (lent) {
        virtio_net_rss_deliver_early(n);
    }
    if (lent) {
        virtio_net_set_queue_pairs(n);
        virtio_net_rss_poll_tap(n, true);
    }
}

void virtio_net_rss_set_status(VirtIONet *n, uint8_t status)
{
    bool running = VIRTIO_DEVICE(n)->vm_running;

    if (virtio_net_rss_peer_deleted(n)) {
        if (n->rss.attached) {
            virtio_net_rss_enter(n, VIRTIO_NET_RSS_OFF,
                                 VIRTIO_NET_RSS_NOWHERE, NULL);
        }
    } else if (running && !n->rss.vm_running) {
        virtio_net_rss_start(n);
    } else if (!running) {
        virtio_net_rss_lend_tap(n);
    }
    n->rss.vm_running = running;
    if (running && status & VIRTIO_CONFIG_S_DRIVER_OK) {
        virtio_net_rss_flush_all(n);
    }
}

/*
 * A command that was checked: what the device has to become. It begins as
 * what the device is.
 */
typedef struct Change {
    uint16_t queue_pairs;
    VirtIONetRssPolicy policy;
} Change;

static bool refuse(GError **error, const char *reason)
{
    g_set_error_literal(error, RSS_ERROR, RSS_ERROR_COMMAND, reason);
    return false;
}

static void turn_off(Change *change)
{
    change->policy = (VirtIONetRssPolicy) { .config.table_len = 1 };
}

static bool parse_vq_pairs_set(VirtIONet *n, const uint8_t *data, size_t len,
                               Change *change, GError **error)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(n);
    struct virtio_net_ctrl_mq mq;

    if (!may(vdev->guest_features, VIRTIO_NET_F_MQ)) {
        return refuse(error, "multiqueue is not negotiated");
    }
    if (len < sizeof(mq)) {
        return refuse(error, "VQ_PAIRS_SET is truncated");
    }
    memcpy(&mq, data, sizeof(mq));
    change->queue_pairs = virtio_lduw_p(vdev, &mq.virtqueue_pairs);
    if (!change->queue_pairs || change->queue_pairs > n->max_queue_pairs) {
        return refuse(error, "VQ_PAIRS_SET is out of range");
    }
    if (may(vdev->guest_features, VIRTIO_NET_F_RSS)) {
        turn_off(change);
    }                   /* else what HASH_CONFIG has set stays */
    return true;
}

static bool parse_rss_config(VirtIONet *n, const uint8_t *data, size_t len,
                             Change *change, GError **error)
{
    RssCommand command;

    if (!may(VIRTIO_DEVICE(n)->guest_features, VIRTIO_NET_F_RSS)) {
        return refuse(error, "RSS is not negotiated");
    }
    if (!rss_parse_rss_config(data, len, n->max_queue_pairs, &command,
                              error)) {
        return false;
    }
    change->queue_pairs = command.queue_pairs;
    if (command.off) {
        turn_off(change);
    } else {
        change->policy.steering = true;
        change->policy.config = command.config;
    }
    return true;
}

static bool parse_hash_config(VirtIONet *n, const uint8_t *data, size_t len,
                              Change *change, GError **error)
{
    RssConfig *config = &change->policy.config;
    RssCommand command;

    if (!may(VIRTIO_DEVICE(n)->guest_features, VIRTIO_NET_F_HASH_REPORT)) {
        return refuse(error, "hash report is not negotiated");
    }
    if (!rss_parse_hash_config(data, len, &command, error)) {
        return false;
    }
    /* Where RSS is on, its table stays; there is one hash for both. */
    config->hash_types = command.config.hash_types;
    memcpy(config->key, command.config.key, sizeof(config->key));
    return true;
}

bool virtio_net_rss_queue_enabled(VirtIONet *n, int queue, int result)
{
    if (result && !n->rss.queue_failed) {
        n->rss.queue_failed = true;
        warn_report("%s: cannot enable queue %d: %s; the guest does not get"
                    " more queues", virtio_net_rss_peer(n)->name, queue,
                    strerror(errno));
    }
    return !result;
}

/* False if the backend does not enable so many; some may be enabled then. */
static bool virtio_net_rss_set_pairs(VirtIONet *n, uint16_t queue_pairs)
{
    n->curr_queue_pairs = queue_pairs;
    /* vDPA's backend sees the guest's command itself. */
    return virtio_net_rss_has_vdpa(n) || virtio_net_set_queue_pairs(n);
}

/* A table must not name queues that are not there yet, or no more. */
static bool virtio_net_rss_change(VirtIONet *n, const Change *change,
                                  GError **error)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(n);
    uint16_t old_pairs = n->curr_queue_pairs;
    bool more = change->queue_pairs > old_pairs;

    if (more && !virtio_net_rss_set_pairs(n, change->queue_pairs)) {
        virtio_net_rss_set_pairs(n, old_pairs);
        return refuse(error, "the backend cannot enable a queue");
    }
    if (more) {
        n->rss.queue_failed = false;
    }
    if (!virtio_net_rss_set(n, &change->policy, error)) {
        virtio_net_rss_set_pairs(n, old_pairs);
        return false;
    }
    n->curr_queue_pairs = change->queue_pairs;
    /* vDPA may be stopping: then a command that it left must not stop it. */
    if (change->queue_pairs != old_pairs && !virtio_net_rss_has_vdpa(n)) {
        /* Sending from a queue ends before the backend disables it. */
        VIRTIO_DEVICE_GET_CLASS(vdev)->set_status(vdev, vdev->status);
        virtio_net_rss_set_pairs(n, change->queue_pairs);
    }
    virtio_net_rss_flush_all(n);
    return true;
}

static bool virtio_net_rss_parse(VirtIONet *n, uint8_t cmd,
                                 const uint8_t *data, size_t len,
                                 Change *change, GError **error)
{
    switch (cmd) {
    case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
        return parse_vq_pairs_set(n, data, len, change, error);
    case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
        return parse_rss_config(n, data, len, change, error);
    case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
        return parse_hash_config(n, data, len, change, error);
    default:
        return refuse(error, "unknown command");
    }
}

static bool virtio_net_rss_types_offered(VirtIONet *n, const Change *change,
                                         GError **error)
{
    return !(change->policy.config.hash_types & ~n->rss.supported_hash_types)
           || refuse(error, "hash types that are not offered");
}

uint8_t virtio_net_rss_command(VirtIONet *n, uint8_t cmd,
                               const struct iovec *iov, unsigned iov_cnt)
{
    uint8_t data[RSS_COMMAND_MAX];      /* what is more is left out */
    size_t len = iov_to_buf(iov, iov_cnt, 0, data, sizeof(data));
    Change change = { n->curr_queue_pairs, n->rss.guest };
    g_autoptr(GError) err = NULL;

    if (!virtio_net_rss_parse(n, cmd, data, len, &change, &err) ||
        !virtio_net_rss_types_offered(n, &change, &err) ||
        !virtio_net_rss_change(n, &change, &err)) {
        trace_virtio_net_rss_refuse(n, err->message);
        return VIRTIO_NET_ERR;
    }
    return VIRTIO_NET_OK;
}

/* The packet's queue; n->rss.result is set where someone asks for it. */
static int virtio_net_rss_steer(VirtIONet *n, const uint8_t *frame,
                                size_t size)
{
    VirtIONetRss *rss = &n->rss;

    if (!rss->populate_hash && !rss->counting) {
        return rss_engine_steer(rss->software, frame, size) %
               n->curr_queue_pairs;
    }
    rss->result = rss_engine_classify(rss->software, frame, size);
    rss->result.queue %= n->curr_queue_pairs;
    return rss->result.queue;
}

NetClientState *virtio_net_rss_receive(NetClientState *nc, const uint8_t *buf,
                                       size_t size)
{
    VirtIONet *n = qemu_get_nic_opaque(nc);
    int queue;

    n->rss.result = (RssResult) { 0 };
    if (!n->rss.software || size < n->host_hdr_len) {
        return nc;
    }
    queue = virtio_net_rss_steer(n, buf + n->host_hdr_len,
                                 size - n->host_hdr_len);
    return n->rss.guest.steering ? qemu_get_subqueue(n->nic, queue) : nc;
}

bool virtio_net_rss_any_queue(VirtIONet *n)
{
    return n->rss.software && n->rss.guest.steering;
}

static void virtio_net_rss_write_hash(VirtIONet *n, const struct iovec *sg,
                                      unsigned sg_cnt)
{
    struct virtio_net_hdr_v1_hash hdr = {
        .hash_value = cpu_to_le32(n->rss.result.hash),
        .hash_report = cpu_to_le16(rss_type_report(n->rss.result.type)),
    };
    size_t offset = offsetof(struct virtio_net_hdr_v1_hash, hash_value);

    iov_from_buf(sg, sg_cnt, offset, (uint8_t *)&hdr + offset,
                 sizeof(hdr) - offset);
}

void virtio_net_rss_deliver(VirtIONet *n, const struct iovec *sg,
                            unsigned sg_cnt)
{
    VirtIONetRss *rss = &n->rss;

    if (rss->populate_hash) {
        virtio_net_rss_write_hash(n, sg, sg_cnt);
    }
    if (rss->counting && rss->guest.steering && rss->software) {
        rss->counters.type[rss_type_report(rss->result.type)]++;
        if (rss->result.queue < RSS_COUNTED_QUEUES) {
            rss->counters.queue[rss->result.queue]++;
        }
    }
}

void virtio_net_rss_flush(VirtIONet *n, int queue)
{
    if (virtio_net_rss_any_queue(n)) {
        /* What waits for this queue may have come in on any other. */
        virtio_net_rss_flush_all(n);
    } else {
        qemu_flush_queued_packets(qemu_get_subqueue(n->nic, queue));
    }
}
