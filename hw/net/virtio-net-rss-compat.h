/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the versions of QEMU differ in what virtio-net's RSS uses. */
#ifndef HW_NET_VIRTIO_NET_RSS_COMPAT_H
#define HW_NET_VIRTIO_NET_RSS_COMPAT_H

#include "hw/virtio/virtio-net.h"
#if QEMU_VERSION_MAJOR < 10
#include "sysemu/runstate.h"
#else
#include "system/runstate.h"
#endif

/*
 * From 9.0 on QEMU has the property ebpf-rss-fds itself, as a list, which
 * becomes "7:8:9:10" here. Before, it is a property of ours, and that string.
 */
static inline void virtio_net_rss_take_fds(VirtIONet *n)
{
#if QEMU_VERSION_MAJOR >= 9
    GString *joined = g_string_new(NULL);
    uint32_t i;

    for (i = 0; i < n->nr_ebpf_rss_fds; i++) {
        g_string_append_printf(joined, "%s%s", i ? ":" : "",
                               n->ebpf_rss_fds[i]);
    }
    g_free(n->rss.ebpf_fds);
    n->rss.ebpf_fds = g_string_free(joined, !n->ebpf_rss_fds);
#endif
}

/* An optional pointer of a QAPI structure had a flag of its own up to 7.2. */
#if QEMU_VERSION_MAJOR < 8
#define SET_HAS(info, field) ((info)->has_##field = (info)->field != NULL)
#else
#define SET_HAS(info, field) ((void)0)
#endif

/* The member of PropertyInfo that names the property's type. */
#if QEMU_VERSION_MAJOR < 10
#define PROPERTY_TYPE .name
#else
#define PROPERTY_TYPE .type
#endif

/*
 * From 10.2 on
 *  - a device's features are an array; all that concerns RSS is in its first;
 *  - there is a property for each hash type, "auto" by default;
 *  - a vDPA device tells which types it has; before, they are those that it
 *    tells the guest;
 *  - the types that the guest is offered are in the migration stream.
 */
#if QEMU_VERSION_MAJOR > 10 || \
    (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 2)
#define RSS_FEATURES(features) ((features)[0])
#define RSS_STREAM_VERSION 2
#define peer_hash_types qemu_get_vnet_hash_supported_types
#define OFFERED_HASH_TYPES(n, types)            \
    ((n)->specified_hash_types.on_bits |        \
     ((n)->specified_hash_types.auto_bits & (types)))
#else
#define RSS_FEATURES(features) (features)
#define RSS_STREAM_VERSION 1
#define peer_hash_types(peer, types) \
    ((peer)->info->type == NET_CLIENT_DRIVER_VHOST_VDPA)
#define OFFERED_HASH_TYPES(n, types) (types)
#endif

/* Before, a vDPA device that starts is not told of RSS. */
#define PEER_STEERS (QEMU_VERSION_MAJOR >= 10)

#endif
