/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSS in the migration stream.
 *
 * The format is stock QEMU's. There "enabled" says that the guest has
 * configured hashing, and "redirect" that it also steers.
 */
#include "qemu/osdep.h"
#include "migration/vmstate.h"
#include "net/tap.h"
#include "qemu/error-report.h"
#include "virtio-net-rss-compat.h"
#include "virtio-net-rss-internal.h"

static bool virtio_net_rss_needed(void *opaque)
{
    VirtIONet *n = opaque;

    return n->rss.guest.steering || n->rss.guest.config.hash_types;
}

static int virtio_net_rss_pre_save(void *opaque)
{
    VirtIONetRss *rss = &((VirtIONet *)opaque)->rss;

    rss->stream = (VirtIONetRssStream) {
        .enabled = true,
        .redirect = rss->guest.steering,
        .populate_hash = rss->populate_hash,
        .supported_hash_types = rss->supported_hash_types,
        .config = rss->guest.config,
        .table = rss->guest.config.table,
    };
    return 0;
}

static int virtio_net_rss_pre_load(void *opaque)
{
    VirtIONet *n = opaque;

    n->rss.stream = (VirtIONetRssStream) {
        .supported_hash_types = RSS_TYPES_ALL,      /* in version 1 */
    };
    return 0;
}

/* The stream may hold anything: what it says is checked like a guest's. */
static int virtio_net_rss_check_stream(void *opaque, int version_id)
{
    VirtIONet *n = opaque;
    VirtIONetRssStream *stream = &n->rss.stream;
    g_autofree uint16_t *table = g_steal_pointer(&stream->table);
    g_autoptr(GError) err = NULL;

    if (stream->supported_hash_types & ~RSS_TYPES_ALL) {
        error_report("virtio-net: invalid RSS state: unknown hash types 0x%x"
                     " are offered", stream->supported_hash_types);
        return -EINVAL;
    }
    if (!rss_config_restore(&stream->config, table, n->max_queue_pairs,
                            &err)) {
        error_report("virtio-net: invalid RSS state: %s", err->message);
        return -EINVAL;
    }
    n->rss.supported_hash_types = stream->supported_hash_types;
    if (stream->enabled) {
        g_free(n->rss.incoming);
        n->rss.incoming = g_new0(VirtIONetRssPolicy, 1);
        n->rss.incoming->steering = stream->redirect;
        n->rss.incoming->config = stream->config;
    }
    return 0;
}

const VMStateDescription vmstate_virtio_net_rss = {
    .name = "virtio-net-device/rss",
    .version_id = RSS_STREAM_VERSION,
    .minimum_version_id = 1,
    .needed = virtio_net_rss_needed,
    .pre_save = virtio_net_rss_pre_save,
    .pre_load = virtio_net_rss_pre_load,
    .post_load = virtio_net_rss_check_stream,
    .fields = (VMStateField[]) {
        VMSTATE_BOOL(rss.stream.enabled, VirtIONet),
        VMSTATE_BOOL(rss.stream.redirect, VirtIONet),
        VMSTATE_BOOL(rss.stream.populate_hash, VirtIONet),
        VMSTATE_UINT32(rss.stream.config.hash_types, VirtIONet),
        VMSTATE_UINT32_V(rss.stream.supported_hash_types, VirtIONet, 2),
        VMSTATE_UINT16(rss.stream.config.table_len, VirtIONet),
        VMSTATE_UINT16(rss.stream.config.unclassified_queue, VirtIONet),
        VMSTATE_UINT8_ARRAY(rss.stream.config.key, VirtIONet, RSS_KEY_SIZE),
        VMSTATE_VARRAY_UINT16_ALLOC(rss.stream.table, VirtIONet,
                                    rss.stream.config.table_len, 0,
                                    vmstate_info_uint16, uint16_t),
        VMSTATE_END_OF_LIST()
    },
};

/* @not_offered: NULL where it was the backend that took the feature away */
static void say_missing(VirtIONet *n, unsigned feature, const char *what,
                        const char *property, const char *not_offered)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(n);

    if (!virtio_vdev_has_feature(vdev, feature) ||
        virtio_host_has_feature(vdev, feature)) {
        return;
    }
    if (!virtio_has_feature(n->host_features, feature)) {
        error_report("virtio-net: the guest uses %s, but here the device has"
                     " %s=off", what, property);
    } else {
        error_report("virtio-net: the guest uses %s, which is unavailable"
                     " here: %s", what,
                     not_offered ?: "the backend does not support it");
    }
}

void virtio_net_rss_say_missing(VirtIONet *n)
{
    say_missing(n, VIRTIO_NET_F_RSS, "RSS", "rss", n->rss.not_offered);
    say_missing(n, VIRTIO_NET_F_HASH_REPORT, "hash reporting", "hash",
                n->rss.no_reports);
}

enum {
    EARLY_PACKETS_MAX = 4096,   /* of a queue; more than it holds by default */
    EARLY_TIME_US = 50000,      /* for all, under the BQL: 50,000 packets */
};

/* Returns what this thread has run, in microseconds: not while others did. */
static int64_t thread_time_us(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* Gives a packet to the queue it belongs to; there it may wait for buffers. */
static void virtio_net_rss_deliver_one(VirtIONet *n, const RssEngine *engine,
                                       const uint8_t *packet, size_t size)
{
    int queue;

    if (size >= n->host_hdr_len) {
        queue = rss_engine_steer(engine, packet + n->host_hdr_len,
                                 size - n->host_hdr_len) %
                n->curr_queue_pairs;
        qemu_send_packet(qemu_get_subqueue(n->nic, queue)->peer, packet, size);
    }
}

/*
 * While the guest was on its way a switch may have sent its packets here, and
 * the tap put them on queues of its own choice. They are steered by the
 * restored configuration, before vhost begins to take them from there. What is
 * left when the time is over, which a busy host takes nothing of, stays on the
 * queue where it is.
 */
void virtio_net_rss_deliver_early(VirtIONet *n)
{
    g_autoptr(RssEngine) engine = rss_engine_new(&n->rss.guest.config);
    g_autofree uint8_t *packet = g_malloc(VIRTIO_NET_MAX_BUFSIZE);
    int64_t end = thread_time_us() + EARLY_TIME_US;
    int i, left;

    for (i = 0; i < n->max_queue_pairs; i++) {
        int fd = tap_get_fd(qemu_get_subqueue(n->nic, i)->peer);

        for (left = EARLY_PACKETS_MAX; left; left--) {
            ssize_t size;

            if (thread_time_us() > end) {
                return;
            }
            size = read(fd, packet, VIRTIO_NET_MAX_BUFSIZE);
            if (size <= 0) {
                break;
            }
            virtio_net_rss_deliver_one(n, engine, packet, size);
        }
    }
}

/* Comes after the features; until then no one knows whether hashes go along. */
int virtio_net_rss_post_load(VirtIONet *n)
{
    uint64_t features = VIRTIO_DEVICE(n)->guest_features;
    g_autofree VirtIONetRssPolicy *policy = g_steal_pointer(&n->rss.incoming);
    g_autoptr(GError) err = NULL;

    n->rss.ctrl_waits = virtio_has_feature(features, VIRTIO_NET_F_CTRL_VQ);
    if (!policy) {
        return 0;
    }
    virtio_net_rss_keep(policy, features);
    if (!virtio_net_rss_set(n, policy, &err)) {
        error_report("virtio-net: the guest uses RSS, which is unavailable"
                     " here: %s", err->message);
        return -EINVAL;
    }
    return 0;
}
