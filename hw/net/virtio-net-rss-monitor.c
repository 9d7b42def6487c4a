/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeing receive-side scaling from outside: x-query-rss, info rss. */
#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/vhost-vdpa.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "net/vhost_net.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-ebpf.h"
#include "qapi/qapi-commands-rss.h"
#include "standard-headers/linux/virtio_net.h"
#include "virtio-net-rss-compat.h"
#include "virtio-net-rss-internal.h"

#define UNSEEN "the guest's commands go to the vDPA device past QEMU"

/* With a feature that the guest has negotiated it may have asked for it. */
static bool virtio_net_rss_unseen(VirtIONet *n, unsigned feature)
{
    NetClientState *control;
    struct vhost_vdpa *vdpa;

    if (!n->vhost_started || virtio_net_rss_peer_deleted(n) ||
        !virtio_net_rss_has_vdpa(n) || n->max_ncs == n->max_queue_pairs ||
        !virtio_vdev_has_feature(VIRTIO_DEVICE(n), feature)) {
        return false;
    }
    control = qemu_get_subqueue(n->nic, n->max_queue_pairs)->peer;
    vdpa = get_vhost_net(control)->dev.opaque;
    return !vdpa->shadow_vqs_enabled;
}

static RssEngineKind virtio_net_rss_engine(VirtIONet *n)
{
    if (virtio_net_rss_unseen(n, VIRTIO_NET_F_RSS)) {
        return RSS_ENGINE_KIND_DEVICE;
    }
    if (!n->rss.guest.steering || virtio_net_rss_peer_deleted(n)) {
        return RSS_ENGINE_KIND_AUTOMATIC;
    }
    if (n->rss.peer_hashes) {
        return RSS_ENGINE_KIND_DEVICE;
    }
    if (n->rss.attached & VIRTIO_NET_RSS_TAP) {
        return RSS_ENGINE_KIND_EBPF;
    }
    return n->rss.state == VIRTIO_NET_RSS_SOFTWARE ? RSS_ENGINE_KIND_SOFTWARE
                                                   : RSS_ENGINE_KIND_AUTOMATIC;
}

/* A program does what the guest has asked for, or is going to. */
static bool virtio_net_rss_by_ebpf(VirtIONet *n)
{
    return n->rss.state == VIRTIO_NET_RSS_EBPF ||
           n->rss.state == VIRTIO_NET_RSS_EBPF_CHANGES ||
           n->rss.state == VIRTIO_NET_RSS_EBPF_WAITS;
}

static const char *virtio_net_rss_reason(VirtIONet *n)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(n);

    if (virtio_net_rss_peer_deleted(n)) {
        return "the netdev was deleted";
    }
    if (virtio_net_rss_tap_shared() && n->rss.guest.steering &&
        virtio_net_rss_tap_fd(n) >= 0) {
        return "the VM was migrated: another QEMU may use the tap";
    }
    if (n->rss.guest.steering && !(n->rss.attached & VIRTIO_NET_RSS_TAP) &&
        virtio_net_rss_by_ebpf(n)) {
        return "the program waits for its configuration to be in force";
    }
    if (n->rss.guest.steering && n->rss.state == VIRTIO_NET_RSS_EBPF) {
        return "the program is attached to the tap";
    }
    if (n->rss.guest.steering && n->rss.state == VIRTIO_NET_RSS_EBPF_CHANGES) {
        return "the program is attached to the tap; until the new"
               " configuration is in force it steers by the one before";
    }
    if (virtio_net_rss_unseen(n, VIRTIO_NET_F_RSS)) {
        return UNSEEN;
    }
    if (n->rss.guest.steering && n->rss.peer_hashes) {
        return "the vDPA device steers by itself";
    }
    if (n->rss.guest.steering) {
        return n->rss.populate_hash ? "hash reports need the software engine"
             : n->rss.no_ebpf ?: "the backend does not support steering"
                                 " programs (a tap does)";
    }
    if (!virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
        return "rss=off";
    }
    if (n->rss.not_offered) {
        return n->rss.not_offered;
    }
    if (virtio_net_rss_has_vhost(n) && !n->rss.peer_hashes &&
        n->rss.no_ebpf) {
        return n->rss.no_ebpf;
    }
    if (!virtio_vdev_has_feature(vdev, VIRTIO_NET_F_RSS)) {
        return "the guest's driver has not negotiated RSS";
    }
    return "the guest has not enabled RSS";
}

static RssReporter virtio_net_rss_reporter(VirtIONet *n)
{
    if (virtio_net_rss_unseen(n, VIRTIO_NET_F_HASH_REPORT)) {
        return RSS_REPORTER_DEVICE;
    }
    if (!n->rss.populate_hash || !n->rss.guest.config.hash_types ||
        virtio_net_rss_peer_deleted(n)) {
        return RSS_REPORTER_NONE;
    }
    if (n->rss.peer_hashes) {
        return RSS_REPORTER_DEVICE;
    }
    if (n->rss.attached & VIRTIO_NET_RSS_VHOST) {
        return RSS_REPORTER_VHOST;
    }
    return n->rss.state == VIRTIO_NET_RSS_SOFTWARE ? RSS_REPORTER_SOFTWARE
                                                   : RSS_REPORTER_NONE;
}

static const char *virtio_net_rss_hash_reason(VirtIONet *n)
{
    static const char *const by[] = {
        [RSS_REPORTER_VHOST] = "the program is attached to vhost-net",
        [RSS_REPORTER_SOFTWARE] = "QEMU sees each packet",
        [RSS_REPORTER_DEVICE] = "the vDPA device hashes by itself",
    };
    RssReporter reporter = virtio_net_rss_reporter(n);

    if (virtio_net_rss_unseen(n, VIRTIO_NET_F_HASH_REPORT)) {
        return UNSEEN;
    }
    if (n->rss.state == VIRTIO_NET_RSS_EBPF_CHANGES &&
        reporter == RSS_REPORTER_VHOST) {
        return "the program is attached to vhost-net; until the new"
               " configuration is in force it reports by the one before";
    }
    if (reporter != RSS_REPORTER_NONE) {
        return by[reporter];
    }
    if (virtio_net_rss_peer_deleted(n)) {
        return "the netdev was deleted";
    }
    if (!virtio_has_feature(n->host_features, VIRTIO_NET_F_HASH_REPORT)) {
        return "hash=off";
    }
    if (n->rss.no_reports) {
        return n->rss.no_reports;
    }
    if (!n->rss.populate_hash) {
        return "the guest's driver has not negotiated hash reports";
    }
    if (!n->rss.guest.config.hash_types) {
        return "the guest has enabled no hash type";
    }
    return "the program waits for its configuration to be in force";
}

/* Why the packets of this moment are not in the counters, or NULL. */
static const char *virtio_net_rss_not_counted(VirtIONet *n,
                                              RssEngineKind engine)
{
    if (!n->rss.counting) {
        return NULL;
    }
    if (engine == RSS_ENGINE_KIND_AUTOMATIC) {
        return "RSS is not in force";
    }
    if (engine == RSS_ENGINE_KIND_DEVICE) {
        return "the vDPA device does not tell";
    }
    if (engine == RSS_ENGINE_KIND_EBPF && n->curr_queue_pairs == 1) {
        return "with one active queue the kernel does not run the program";
    }
    return NULL;
}

static RssPacketCounters *virtio_net_rss_packets(VirtIONet *n)
{
    RssPacketCounters *info = g_new0(RssPacketCounters, 1);
    RssCounters sum = virtio_net_rss_counters(n);
    RssHashTypeCountList **types = &info->hash_types;
    uint64List **queues = &info->queues;
    int i;

    for (i = 0; i < MIN(n->max_queue_pairs, RSS_COUNTED_QUEUES); i++) {
        QAPI_LIST_APPEND(queues, sum.queue[i]);
    }
    for (i = 0; i < RSS_HASH_TYPE__MAX; i++) {
        RssHashTypeCount *count = g_new0(RssHashTypeCount, 1);

        count->type = i;
        count->packets = sum.type[i + 1];
        QAPI_LIST_APPEND(types, count);
    }
    info->unclassified = sum.type[0];
    return info;
}

/* The id may be that of the transport, such as a virtio-net-pci. */
static char *virtio_net_rss_device(VirtIONet *n)
{
    DeviceState *device = DEVICE(n);
    DeviceState *transport = device->parent_bus->parent;
    const char *id = device->id ?: transport->id;

    return id ? g_strdup(id) : object_get_canonical_path(OBJECT(transport));
}

static RssInfo *virtio_net_rss_info(VirtIONet *n)
{
    RssInfo *info = g_new0(RssInfo, 1);
    NetClientState *peer = virtio_net_rss_peer(n);
    VirtIODevice *vdev = VIRTIO_DEVICE(n);
    RssHashTypeList **types = &info->hash_types;
    uint16List **table = &info->table;
    GString *key = g_string_new(NULL);
    int i;

    for (i = 0; i < RSS_KEY_SIZE; i++) {
        g_string_append_printf(key, "%02x", n->rss.guest.config.key[i]);
    }
    info->key = g_string_free(key, false);
    info->device = virtio_net_rss_device(n);
    info->netdev = peer ? g_strdup(peer->name) : NULL;
    SET_HAS(info, netdev);
    info->offered = virtio_host_has_feature(vdev, VIRTIO_NET_F_RSS);
    info->negotiated = virtio_vdev_has_feature(vdev, VIRTIO_NET_F_RSS);
    info->engine = virtio_net_rss_engine(n);
    info->reason = g_strdup(virtio_net_rss_reason(n));
    info->queue_pairs = n->curr_queue_pairs;
    info->hash_report = virtio_vdev_has_feature(vdev,
                                                VIRTIO_NET_F_HASH_REPORT);
    info->hash_reporter = virtio_net_rss_reporter(n);
    info->hash_reason = g_strdup(virtio_net_rss_hash_reason(n));
    for (i = 0; i < RSS_HASH_TYPE__MAX; i++) {
        if (n->rss.guest.config.hash_types & 1 << i) {
            QAPI_LIST_APPEND(types, i);
        }
    }
    for (i = 0; n->rss.guest.steering &&
                i < n->rss.guest.config.table_len; i++) {
        QAPI_LIST_APPEND(table, n->rss.guest.config.table[i]);
    }
    info->unclassified_queue = n->rss.guest.config.unclassified_queue;
    info->counting = n->rss.counting;
    info->not_counted = g_strdup(virtio_net_rss_not_counted(n, info->engine));
    SET_HAS(info, not_counted);
    info->counters = virtio_net_rss_packets(n);
    return info;
}

static int by_serial(const void *a, const void *b)
{
    const VirtIONet *x = a, *y = b;

    return x->rss.serial < y->rss.serial ? -1 : 1;
}

static int virtio_net_rss_collect(Object *obj, void *opaque)
{
    GSList **devices = opaque;
    VirtIONet *n = (VirtIONet *)object_dynamic_cast(obj, TYPE_VIRTIO_NET);

    if (n && DEVICE(n)->realized) {
        *devices = g_slist_insert_sorted(*devices, n, by_serial);
    }
    return 0;
}

RssInfoList *qmp_x_query_rss(Error **errp)
{
    g_autoptr(GSList) devices = NULL;
    RssInfoList *list = NULL, **tail = &list;
    GSList *device;

    object_child_foreach_recursive(object_get_root(), virtio_net_rss_collect,
                                   &devices);
    for (device = devices; device; device = device->next) {
        virtio_net_rss_settle(device->data);
        QAPI_LIST_APPEND(tail, virtio_net_rss_info(device->data));
    }
    return list;
}

#ifdef CONFIG_EBPF
EbpfObject *qmp_request_ebpf(EbpfProgramID id, Error **errp)
{
    EbpfObject *object = g_new0(EbpfObject, 1);
    size_t size;
    const void *data = ebpf_rss_object(&size);

    object->object = g_base64_encode(data, size);
    return object;
}
#endif

/* The table as runs of entries of the same queue: "0-31:0 32:1". */
static void print_table(Monitor *mon, uint16List *table)
{
    int i = 0, start = 0;

    monitor_printf(mon, "  table:");
    for (; table; table = table->next, i++) {
        if (!table->next || table->next->value != table->value) {
            monitor_printf(mon, " %d", start);
            if (start < i) {
                monitor_printf(mon, "-%d", i);
            }
            monitor_printf(mon, ":%u", table->value);
            start = i + 1;
        }
    }
    monitor_printf(mon, "\n");
}

static void print_types(Monitor *mon, RssInfo *info)
{
    RssHashTypeList *type;

    monitor_printf(mon, "  hash types:%s", info->hash_types ? "" : " none");
    for (type = info->hash_types; type; type = type->next) {
        monitor_printf(mon, " %s", RssHashType_str(type->value));
    }
    if (info->table) {
        monitor_printf(mon, "; unclassified queue %u",
                       info->unclassified_queue);
    }
    monitor_printf(mon, "\n");
}

static void print_counters(Monitor *mon, RssInfo *info)
{
    RssPacketCounters *counters = info->counters;
    RssHashTypeCountList *type;
    uint64List *queue;
    int i = 0;

    monitor_printf(mon, "  packets:");
    for (queue = counters->queues; queue; queue = queue->next) {
        monitor_printf(mon, " queue %d %" PRIu64, i++, queue->value);
    }
    for (type = counters->hash_types; type; type = type->next) {
        if (type->value->packets) {
            monitor_printf(mon, ", %s %" PRIu64,
                           RssHashType_str(type->value->type),
                           type->value->packets);
        }
    }
    monitor_printf(mon, ", unclassified %" PRIu64 "\n",
                   counters->unclassified);
    if (info->not_counted) {
        monitor_printf(mon, "  not counted now: %s\n", info->not_counted);
    }
}

static void print_info(Monitor *mon, RssInfo *info)
{
    monitor_printf(mon, "%s: engine %s (%s)\n", info->device,
                   RssEngineKind_str(info->engine), info->reason);
    monitor_printf(mon, "  RSS %soffered, %snegotiated, hash report %s,"
                   " %u queue pair%s active\n", info->offered ? "" : "not ",
                   info->negotiated ? "" : "not ",
                   info->hash_report ? "on" : "off", info->queue_pairs,
                   info->queue_pairs == 1 ? "" : "s");
    if (info->hash_report) {
        monitor_printf(mon, "  hash reporter %s (%s)\n",
                       RssReporter_str(info->hash_reporter),
                       info->hash_reason);
    }
    if (info->hash_types || info->table) {
        print_types(mon, info);
    }
    if (info->table) {
        print_table(mon, info->table);
    }
    if (info->counting) {
        print_counters(mon, info);
    }
}

static void hmp_info_rss(Monitor *mon, const QDict *qdict)
{
    RssInfoList *list = qmp_x_query_rss(&error_abort), *p;

    for (p = list; p; p = p->next) {
        print_info(mon, p->value);
    }
    qapi_free_RssInfoList(list);
}

static void virtio_net_rss_register_hmp(void)
{
    monitor_register_hmp("rss", true, hmp_info_rss);
}

type_init(virtio_net_rss_register_hmp)
