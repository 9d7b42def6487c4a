// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/ethtool.h>

#include "bpfhv.h"

/* Of each queue; packets and bytes are those that the device has completed. */
static const struct {
    const char *name;
    size_t offset;
} counters[] = {
    { "packets", offsetof(struct bpfhv_counters, packets) },
    { "bytes", offsetof(struct bpfhv_counters, bytes) },
    { "dropped", offsetof(struct bpfhv_counters, dropped) },
    { "kicks", offsetof(struct bpfhv_counters, kicks) },
    { "interrupts", offsetof(struct bpfhv_counters, interrupts) },
};

enum {
    NUM_OWN = 2,        /* upgrades, resets */
};

static u32 num_queues(const struct bpfhv_card *card)
{
    return card->num_rx + card->num_tx;
}

static int get_sset_count(struct net_device *netdev, int set)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    if (set != ETH_SS_STATS) {
        return -EOPNOTSUPP;
    }
    return NUM_OWN + num_queues(card) * ARRAY_SIZE(counters);
}

static void get_strings(struct net_device *netdev, u32 set, u8 *data)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    if (set != ETH_SS_STATS) {
        return;
    }
    ethtool_sprintf(&data, "upgrades");
    ethtool_sprintf(&data, "resets");
    for (u32 i = 0; i < num_queues(card); i++) {
        bool is_tx = i >= card->num_rx;

        for (int n = 0; n < ARRAY_SIZE(counters); n++) {
            ethtool_sprintf(&data, "%s_queue_%u_%s", is_tx ? "tx" : "rx",
                            is_tx ? i - card->num_rx : i, counters[n].name);
        }
    }
}

static void get_stats(struct net_device *netdev, struct ethtool_stats *stats,
                      u64 *data)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    *data++ = card->upgrades;
    *data++ = card->resets;
    for (u32 i = 0; i < num_queues(card); i++) {
        const void *all = &card->queues[i].counters;

        for (int n = 0; n < ARRAY_SIZE(counters); n++) {
            *data++ = READ_ONCE(*(const u64 *)(all + counters[n].offset));
        }
    }
}

/* The device says how many there are, and the next model may have others. */
static void get_channels(struct net_device *netdev,
                         struct ethtool_channels *channels)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    channels->max_rx = channels->rx_count = card->num_rx;
    channels->max_tx = channels->tx_count = card->num_tx;
}

static void get_ringparam(struct net_device *netdev,
                          struct ethtool_ringparam *ring,
                          struct kernel_ethtool_ringparam *kernel_ring,
                          struct netlink_ext_ack *extack)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    ring->rx_max_pending = ring->rx_pending = card->rx_slots;
    ring->tx_max_pending = ring->tx_pending = card->tx_slots;
}

const struct ethtool_ops bpfhv_ethtool_ops = {
    .get_link = ethtool_op_get_link,
    .get_sset_count = get_sset_count,
    .get_strings = get_strings,
    .get_ethtool_stats = get_stats,
    .get_channels = get_channels,
    .get_ringparam = get_ringparam,
    .get_ts_info = ethtool_op_get_ts_info,
};
