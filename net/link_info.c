/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/gen_stats.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/link_info.h"
#include "net/rss.h"

enum {
    MAX_QUEUES = 4096,          /* of which mq's counters are read */
};

static uint32_t get_u32(const struct nlattr *attr)
{
    return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint8_t get_u8(const struct nlattr *attr)
{
    return attr ? mnl_attr_get_u8(attr) : 0;
}

static void read_tun(LinkInfo *info, const struct nlattr *data)
{
    uint8_t type = get_u8(netlink_nested(data, IFLA_TUN_TYPE, 1));

    info->is_tun = true;
    info->is_tap = type == IFF_TAP;
    info->pi = get_u8(netlink_nested(data, IFLA_TUN_PI, 1));
    info->vnet_hdr = get_u8(netlink_nested(data, IFLA_TUN_VNET_HDR, 1));
    info->multi_queue = get_u8(netlink_nested(data, IFLA_TUN_MULTI_QUEUE, 1));
    info->persist = get_u8(netlink_nested(data, IFLA_TUN_PERSIST, 1));
    if (info->multi_queue) {
        info->attached =
            get_u32(netlink_nested(data, IFLA_TUN_NUM_QUEUES, 4));
        info->detached =
            get_u32(netlink_nested(data, IFLA_TUN_NUM_DISABLED_QUEUES, 4));
    }
}

/* Queues that are on; rtnetlink tells only how many there can be. */
static uint32_t ask_ethtool(const char *name)
{
    struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
    struct ifreq request = { .ifr_data = (void *)&channels };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint32_t queues = 0;

    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    if (fd >= 0) {
        if (ioctl(fd, SIOCETHTOOL, &request) == 0) {
            queues = channels.tx_count + channels.combined_count;
        }
        close(fd);
    }
    return queues;
}

static bool read_link(const struct nlmsghdr *message, LinkInfo *info)
{
    const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
    const size_t skip = sizeof(*header);
    const struct nlattr *link;

    if (message->nlmsg_type != RTM_NEWLINK ||
        message->nlmsg_len < mnl_nlmsg_size(skip)) {
        return false;
    }
    memset(info, 0, sizeof(*info));
    info->ifindex = header->ifi_index;
    info->up = header->ifi_flags & IFF_UP;
    netlink_copy_text(info->name, sizeof(info->name),
                      netlink_attr(message, skip, IFLA_IFNAME, 1));
    info->queues = get_u32(netlink_attr(message, skip, IFLA_NUM_TX_QUEUES, 4));
    link = netlink_attr(message, skip, IFLA_LINKINFO, 0);
    netlink_copy_text(info->kind, sizeof(info->kind),
                      netlink_nested(link, IFLA_INFO_KIND, 1));
    if (!strcmp(info->kind, "tun")) {
        read_tun(info, netlink_nested(link, IFLA_INFO_DATA, 0));
    }
    return true;
}

/* By another socket, so not while an answer is read. */
static void find_queues(LinkInfo *info)
{
    uint32_t queues = info->multi_queue ? info->attached
                                        : ask_ethtool(info->name);

    if (info->is_tun && !info->multi_queue) {
        info->queues = 1;
    } else if (queues || info->is_tun) {
        info->queues = queues;
    }
}

static void one_link(const struct nlmsghdr *message, void *opaque)
{
    LinkInfo *info = opaque, read;

    if (read_link(message, &read)) {
        *info = read;
    }
}

bool link_info_get(Netlink *nl, const char *name, LinkInfo *info,
                   GError **error)
{
    struct nlmsghdr *request;
    void *extra;
    int err;

    if (!*name || strlen(name) >= IFNAMSIZ) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "\"%s\" is not the name of a device", name);
        return false;
    }
    memset(info, 0, sizeof(*info));
    request = netlink_request(nl, RTM_GETLINK, 0, &extra,
                              sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    err = netlink_talk(nl, one_link, info);
    if (!err && !info->ifindex) {
        err = ENODEV;
    }
    if (err == ENODEV) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: no such device in this network namespace (see"
                    " --netns)", name);
        return false;
    }
    if (err) {
        return netlink_fail(nl, err, "read the device", error);
    }
    find_queues(info);
    return true;
}

static void add_link(const struct nlmsghdr *message, void *opaque)
{
    LinkInfo info;

    if (read_link(message, &info)) {
        g_array_append_val((GArray *)opaque, info);
    }
}

GArray *link_info_list(Netlink *nl, GError **error)
{
    g_autoptr(GArray) links = g_array_new(FALSE, FALSE, sizeof(LinkInfo));
    void *extra;
    guint i;
    int err;

    netlink_request(nl, RTM_GETLINK, NLM_F_DUMP, &extra,
                    sizeof(struct ifinfomsg));
    err = netlink_talk(nl, add_link, links);
    if (err) {
        netlink_fail(nl, err, "list the devices", error);
        return NULL;
    }
    for (i = 0; i < links->len; i++) {
        find_queues(&g_array_index(links, LinkInfo, i));
    }
    return g_steal_pointer(&links);
}

/* The 64-bit counter comes only where 32 bits were too few. */
static uint64_t read_packets(const struct nlattr *stats)
{
    const size_t size = offsetof(struct gnet_stats_basic, packets) + 4;
    const struct nlattr *wide = netlink_nested(stats, TCA_STATS_PKT64, 8);
    const struct nlattr *basic = netlink_nested(stats, TCA_STATS_BASIC, size);
    uint32_t packets = 0;

    if (wide) {
        return mnl_attr_get_u64(wide);
    }
    if (basic) {
        memcpy(&packets, (char *)mnl_attr_get_payload(basic) + size - 4, 4);
    }
    return packets;
}

/* A class of mq is a queue; its number counts from 1. */
static void add_class(const struct nlmsghdr *message, void *opaque)
{
    const struct tcmsg *header = mnl_nlmsg_get_payload(message);
    const size_t skip = sizeof(*header);
    GArray *packets = opaque;
    uint32_t queue;
    char kind[IFNAMSIZ];

    if (message->nlmsg_type != RTM_NEWTCLASS ||
        message->nlmsg_len < mnl_nlmsg_size(skip)) {
        return;
    }
    queue = TC_H_MIN(header->tcm_handle) - 1;
    netlink_copy_text(kind, sizeof(kind),
                      netlink_attr(message, skip, TCA_KIND, 1));
    if (strcmp(kind, "mq") || queue >= MAX_QUEUES) {
        return;
    }
    if (packets->len <= queue) {
        g_array_set_size(packets, queue + 1);
    }
    g_array_index(packets, uint64_t, queue) =
        read_packets(netlink_attr(message, skip, TCA_STATS2, 0));
}

GArray *link_queue_packets(Netlink *nl, const LinkInfo *info)
{
    g_autoptr(GArray) packets = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    struct tcmsg *header;

    netlink_request(nl, RTM_GETTCLASS, NLM_F_DUMP, (void **)&header,
                    sizeof(*header));
    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = info->ifindex;
    if (netlink_talk(nl, add_class, packets) || !packets->len) {
        return NULL;
    }
    g_array_set_size(packets, MAX(info->queues, 1));
    return g_steal_pointer(&packets);
}
