/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rtnetlink and ethtool tell of a network device. */
#ifndef NET_LINK_INFO_H
#define NET_LINK_INFO_H

#include <linux/if.h>

#include "net/netlink.h"

/**
 * LinkInfo: a device
 * @queues: transmit queues that are on
 * @is_tun: of the tun driver; only then the following ones say something
 * @is_tap: it carries Ethernet frames, not IP packets
 * @attached: queues that somebody has open
 * @detached: queues that somebody has open and turned off
 */
typedef struct LinkInfo {
    int ifindex;
    char name[IFNAMSIZ];
    char kind[IFNAMSIZ];        /* "tun", "veth" …; empty for hardware */
    bool up;
    uint32_t queues;
    bool is_tun;
    bool is_tap, pi, vnet_hdr, multi_queue, persist;
    uint32_t attached, detached;
} LinkInfo;

/**
 * link_info_get:
 *
 * Returns: false with @error set if the namespace of @nl has no such device
 */
bool link_info_get(Netlink *nl, const char *name, LinkInfo *info,
                   GError **error);

/* LinkInfo of all devices of the namespace; g_array_unref() it. */
GArray *link_info_list(Netlink *nl, GError **error);

/**
 * link_queue_packets:
 *
 * Returns: packets that the device's queueing discipline "mq" has sent into
 * each queue, as uint64_t; g_array_unref() it. NULL if it has no such
 * discipline, or the kernel does not tell.
 */
GArray *link_queue_packets(Netlink *nl, const LinkInfo *info);

#endif
