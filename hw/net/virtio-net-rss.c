/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net's receive-side scaling
 *
 * The guest configures RSS through the control queue. A command is copied from
 * guest memory once, checked whole by the library, and only then applied; a
 * refused command changes nothing. Steering is done by
 *
 *  - the eBPF program in the tap, for vhost=on and vhost=off, unless hashes
 *    are to be reported, which a tap cannot do;
 *  - the software engine in the receive path, without vhost.
 *
 * Which engines there are is found out when the device is realized, in
 * virtio-net-rss-load.c. Which of them works is decided here, in
 * virtio_net_rss_apply() and nowhere else. All of it runs under the BQL.
 *
 * A table may name more queues than are active: then the queue is taken modulo
 * the number of active ones, as the tap does.
 */
#include "qemu/osdep.h"
#include "net/vhost_net.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
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

bool virtio_net_rss_peer_deleted(VirtIONet *n)
{
    return n->nic && n->nic->peer_deleted;
}

static bool virtio_net_rss_set_program(VirtIONet *n, int prog_fd)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer && !virtio_net_rss_peer_deleted(n) &&
           peer->info->set_steering_ebpf &&
           peer->info->set_steering_ebpf(peer, prog_fd);
}

bool virtio_net_rss_attach(VirtIONet *n)
{
    n->rss.attached =
        virtio_net_rss_set_program(n, ebpf_rss_program_fd(n->rss.ebpf));
    if (n->rss.attached) {
        g_clear_pointer(&n->rss.no_ebpf, g_free);
    }
    trace_virtio_net_rss_attach(n, n->rss.attached);
    return n->rss.attached;
}

void virtio_net_rss_detach(VirtIONet *n)
{
    n->rss.attach_waits = false;
    if (n->rss.attached) {
        n->rss.attached = false;
        virtio_net_rss_set_program(n, -1);
        trace_virtio_net_rss_detach(n);
    }
}

static void virtio_net_rss_set_software(VirtIONet *n, RssEngine *engine)
{
    rss_engine_free(n->rss.software);
    n->rss.software = engine;
}

/*
 * Puts n->rss.config in force in the program, and the program in the tap. A
 * program that is attached already steers without a gap. Returns false if the
 * tap does not take it; then it steers no packet.
 */
static bool virtio_net_rss_apply_ebpf(VirtIONet *n)
{
    EBPFRSSState state = ebpf_rss_set_all(n->rss.ebpf, &n->rss.config);

    if (state == EBPF_RSS_UNAVAILABLE) {
        return false;
    }
    if (n->rss.attached) {
        return true;
    }
    if (state == EBPF_RSS_DEFERRED) {
        /* Until then the program would steer by a configuration of old. */
        n->rss.attach_waits = true;
        trace_virtio_net_rss_attach_waits(n);
        return true;
    }
    return virtio_net_rss_attach(n);
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
static void virtio_net_rss_say_refused(VirtIONet *n, const char *outcome)
{
    if (n->rss.no_ebpf) {
        return;
    }
    n->rss.no_ebpf = g_strdup(virtio_net_rss_peer_deleted(n)
                              ? "the netdev is deleted"
                              : "the tap has refused the steering program");
    warn_report("%s: %s; %s", virtio_net_rss_peer(n)->name, n->rss.no_ebpf,
                outcome);
}

/* Does without the program from now on. */
static void virtio_net_rss_attach_failed(VirtIONet *n)
{
    virtio_net_rss_say_refused(n, virtio_net_rss_has_vhost(n)
                               ? "RSS is off" : "RSS in QEMU instead");
    trace_virtio_net_rss_fallback(n, n->rss.no_ebpf);
    n->rss.counters = virtio_net_rss_counters(n);
    ebpf_rss_unload(n->rss.ebpf);
    n->rss.ebpf = NULL;
}

bool virtio_net_rss_apply(VirtIONet *n)
{
    VirtIONetRss *rss = &n->rss;
    bool by_ebpf = rss->steering && !rss->populate_hash && rss->ebpf;

    if (!rss->steering && !(rss->hashing && rss->populate_hash)) {
        virtio_net_rss_detach(n);
        virtio_net_rss_set_software(n, NULL);
        trace_virtio_net_rss_off(n);
        return true;
    }
    if (by_ebpf && virtio_net_rss_apply_ebpf(n)) {
        virtio_net_rss_set_software(n, NULL);
        trace_virtio_net_rss_engine(n, "ebpf", rss->config.hash_types,
                                    rss->config.table_len);
        return true;
    }
    if (virtio_net_rss_has_vhost(n)) {
        return false;
    }
    if (rss->steering && rss->populate_hash && rss->ebpf) {
        trace_virtio_net_rss_fallback(n, "hashes are reported");
    }
    virtio_net_rss_set_software(n, rss_engine_new(&rss->config));
    virtio_net_rss_detach(n);
    if (by_ebpf) {
        virtio_net_rss_attach_failed(n);
    }
    trace_virtio_net_rss_engine(n, "software", rss->config.hash_types,
                                rss->config.table_len);
    return true;
}

/* Sets what the guest has configured, with the engine that it takes. */
static bool virtio_net_rss_set(VirtIONet *n, bool steering, bool hashing,
                               const RssConfig *config)
{
    bool old_steering = n->rss.steering, old_hashing = n->rss.hashing;
    RssConfig old_config = n->rss.config;

    n->rss.steering = steering;
    n->rss.hashing = hashing;
    n->rss.config = *config;
    if (!steering) {
        n->rss.config.table_len = 1;
        n->rss.config.table[0] = 0;
    }
    if (!virtio_net_rss_apply(n)) {
        n->rss.steering = old_steering;
        n->rss.hashing = old_hashing;
        n->rss.config = old_config;
        virtio_net_rss_say_refused(n, "RSS stays as it was");
        return false;
    }
    return true;
}

static void virtio_net_rss_off(VirtIONet *n)
{
    const RssConfig none = { .table_len = 1 };

    virtio_net_rss_set(n, false, false, &none);
}

void virtio_net_rss_attach_bh(void *opaque)
{
    VirtIONet *n = opaque;

    EBPFRSSState state = n->rss.ebpf ? ebpf_rss_state(n->rss.ebpf)
                                     : EBPF_RSS_IN_FORCE;

    /* What this is about may be dropped, and another one wait in its place. */
    if (state == EBPF_RSS_DEFERRED) {
        return;
    }
    if (state == EBPF_RSS_IN_FORCE && !n->rss.attach_waits) {
        return;
    }
    n->rss.attach_waits = false;
    if (state == EBPF_RSS_UNAVAILABLE || !virtio_net_rss_attach(n)) {
        virtio_net_rss_attach_failed(n);
        if (!virtio_net_rss_apply(n)) {
            virtio_net_rss_off(n);
        }
    }
}

void virtio_net_rss_reset(VirtIONet *n)
{
    n->rss.next_waits = false;
    n->rss.ctrl_waits = false;
    virtio_net_rss_off(n);
}

/* The command behind class and command byte; what is too much is left out. */
static size_t virtio_net_rss_copy(const struct iovec *iov, unsigned iov_cnt,
                                  uint8_t data[RSS_COMMAND_MAX])
{
    return iov_to_buf(iov, iov_cnt, 0, data, RSS_COMMAND_MAX);
}

uint16_t virtio_net_rss_parse(VirtIONet *n,
                              const struct iovec *iov, unsigned iov_cnt)
{
    uint8_t data[RSS_COMMAND_MAX];
    size_t len = virtio_net_rss_copy(iov, iov_cnt, data);
    g_autoptr(GError) err = NULL;

    if (!virtio_vdev_has_feature(VIRTIO_DEVICE(n), VIRTIO_NET_F_RSS)) {
        trace_virtio_net_rss_refuse(n, "RSS is not negotiated");
        return 0;
    }
    if (!rss_parse_rss_config(data, len, n->max_queue_pairs,
                              &n->rss.next, &err)) {
        trace_virtio_net_rss_refuse(n, err->message);
        return 0;
    }
    return n->rss.next.queue_pairs;
}

static bool virtio_net_rss_apply_next(VirtIONet *n)
{
    if (n->rss.next.off) {
        virtio_net_rss_off(n);
        return true;
    }
    if (!virtio_net_rss_set(n, true, n->rss.next.config.hash_types,
                            &n->rss.next.config)) {
        trace_virtio_net_rss_refuse(n, n->rss.no_ebpf);
        return false;
    }
    return true;
}

void virtio_net_rss_refused(VirtIONet *n, uint8_t cmd)
{
    if (cmd != VIRTIO_NET_CTRL_MQ_RSS_CONFIG) {
        trace_virtio_net_rss_refuse(n, cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET
                                    ? "VQ_PAIRS_SET is cut off, not negotiated"
                                      " or out of range"
                                    : "unknown command");
    }
}

bool virtio_net_rss_begin(VirtIONet *n, uint8_t cmd, uint16_t queue_pairs)
{
    n->rss.old_queue_pairs = n->curr_queue_pairs;
    n->rss.queue_failed = false;
    n->rss.next_waits = false;
    if (cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET) {
        if (!virtio_vdev_has_feature(VIRTIO_DEVICE(n), VIRTIO_NET_F_RSS)) {
            /* What HASH_CONFIG has set stays; it says nothing of queues. */
            return true;
        }
        n->rss.next.off = true;
    }
    /* A table must not name queues that are not there yet, or no more. */
    n->rss.next_waits = queue_pairs > n->curr_queue_pairs;
    return n->rss.next_waits || virtio_net_rss_apply_next(n);
}

/* Delivers the packets that waited for whichever queue they must go to. */
static void virtio_net_rss_flush_all(VirtIONet *n)
{
    int i;

    for (i = 0; i < n->curr_queue_pairs; i++) {
        qemu_flush_queued_packets(qemu_get_subqueue(n->nic, i));
    }
}

bool virtio_net_rss_end(VirtIONet *n)
{
    bool waited = n->rss.next_waits;

    n->rss.next_waits = false;
    if (n->rss.queue_failed) {
        trace_virtio_net_rss_refuse(n, "the backend does not enable a queue");
    }
    if (n->rss.queue_failed || (waited && !virtio_net_rss_apply_next(n))) {
        n->curr_queue_pairs = n->rss.old_queue_pairs;
        return false;
    }
    if (waited) {
        /* They may go to other queues now, whose buffers no one announces. */
        virtio_net_rss_flush_all(n);
    }
    return true;
}

uint8_t virtio_net_rss_hash_config(VirtIONet *n,
                                   const struct iovec *iov, unsigned iov_cnt)
{
    uint8_t data[RSS_COMMAND_MAX];
    size_t len = virtio_net_rss_copy(iov, iov_cnt, data);
    g_autoptr(GError) err = NULL;
    RssCommand command;
    RssConfig config = n->rss.config;

    if (!virtio_vdev_has_feature(VIRTIO_DEVICE(n), VIRTIO_NET_F_HASH_REPORT)) {
        trace_virtio_net_rss_refuse(n, "hash report is not negotiated");
        return VIRTIO_NET_ERR;
    }
    if (!rss_parse_hash_config(data, len, &command, &err)) {
        trace_virtio_net_rss_refuse(n, err->message);
        return VIRTIO_NET_ERR;
    }

    /* Where RSS is on, its table stays; there is one hash for both. */
    config.hash_types = command.config.hash_types;
    memcpy(config.key, command.config.key, sizeof(config.key));
    if (!virtio_net_rss_set(n, n->rss.steering, config.hash_types, &config)) {
        trace_virtio_net_rss_refuse(n, n->rss.no_ebpf);
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

int virtio_net_rss_receive(NetClientState *nc, const uint8_t *buf,
                           size_t size)
{
    VirtIONet *n = qemu_get_nic_opaque(nc);
    int queue;

    n->rss.result = (RssResult) { 0 };
    if (!n->rss.software || size < n->host_hdr_len) {
        return -1;
    }
    queue = virtio_net_rss_steer(n, buf + n->host_hdr_len,
                                 size - n->host_hdr_len);
    return n->rss.steering && queue != nc->queue_index ? queue : -1;
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
    if (rss->counting && rss->steering && rss->software) {
        rss->counters.type[rss_type_report(rss->result.type)]++;
        if (rss->result.queue < RSS_COUNTED_QUEUES) {
            rss->counters.queue[rss->result.queue]++;
        }
    }
}

void virtio_net_rss_flush(VirtIONet *n, int queue)
{
    if (n->rss.software && n->rss.steering) {
        /* What waits for this queue may have come in on any other. */
        virtio_net_rss_flush_all(n);
    } else {
        qemu_flush_queued_packets(qemu_get_subqueue(n->nic, queue));
    }
}
