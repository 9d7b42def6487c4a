// SPDX-License-Identifier: GPL-2.0-or-later
/* What the network stack asks of the card. */
#include <linux/etherdevice.h>

#include "bpfhv.h"

static int bpfhv_open(struct net_device *netdev)
{
    struct bpfhv_card *card = netdev_priv(netdev);
    int ret = 0;

    if (card->state == BPFHV_UNLOADED || bpfhv_is_broken(card)) {
        ret = bpfhv_card_load(card);
    }
    if (!ret) {
        ret = bpfhv_card_start(card);
    }
    if (!ret) {
        netif_tx_start_all_queues(netdev);
    }
    return ret;
}

static int bpfhv_stop(struct net_device *netdev)
{
    struct bpfhv_card *card = netdev_priv(netdev);

    if (card->state == BPFHV_RUNNING) {
        bpfhv_card_stop(card);
    }
    netif_carrier_off(netdev);
    return 0;
}

static int bpfhv_change_mtu(struct net_device *netdev, int mtu)
{
    struct bpfhv_card *card = netdev_priv(netdev);
    int before = netdev->mtu;
    int ret;

    WRITE_ONCE(netdev->mtu, mtu);
    if (card->state != BPFHV_RUNNING) {
        return 0;
    }
    ret = bpfhv_card_restart(card);
    if (ret) {
        WRITE_ONCE(netdev->mtu, before);
        bpfhv_card_restart(card);
    }
    return ret;
}

/* What the kernel may leave to the device as it is now. */
static netdev_features_t bpfhv_fix_features(struct net_device *netdev,
                                            netdev_features_t features)
{
    static const struct {
        u32 device;
        netdev_features_t kernel;
    } pairs[] = {
        { BPFHV_F_SG, NETIF_F_SG },
        { BPFHV_F_TX_CSUM, NETIF_F_HW_CSUM },
        { BPFHV_F_RX_CSUM, NETIF_F_RXCSUM },
        { BPFHV_F_TSO4, NETIF_F_TSO },
        { BPFHV_F_TSO6, NETIF_F_TSO6 },
        { BPFHV_ALL_LRO, NETIF_F_GRO_HW },
    };
    const struct bpfhv_card *card = netdev_priv(netdev);

    for (int i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (!(card->usable & pairs[i].device)) {
            features &= ~pairs[i].kernel;
        }
    }
    return card->tx_parts > 1 ? features : features & ~NETIF_F_SG;
}

/* The device learns of one of them only: whether it may join segments. */
static int bpfhv_set_features(struct net_device *netdev,
                              netdev_features_t features)
{
    return bpfhv_card_update_features(netdev_priv(netdev));
}

static void add_up(const struct bpfhv_queue *q, struct rtnl_link_stats64 *total)
{
    u64 packets = READ_ONCE(q->counters.packets);
    u64 bytes = READ_ONCE(q->counters.bytes);
    u64 dropped = READ_ONCE(q->counters.dropped);

    if (q->is_tx) {
        total->tx_packets += packets;
        total->tx_bytes += bytes;
        total->tx_dropped += dropped;
    } else {
        total->rx_packets += packets;
        total->rx_bytes += bytes;
        total->rx_dropped += dropped;
    }
}

static void bpfhv_get_stats64(struct net_device *netdev,
                              struct rtnl_link_stats64 *total)
{
    const struct bpfhv_card *card = netdev_priv(netdev);

    for (u32 i = 0; i < BPFHV_MAX_QUEUES; i++) {
        add_up(&card->queues[i], total);
    }
}

static void bpfhv_tx_timeout(struct net_device *netdev, unsigned int index)
{
    struct bpfhv_card *card = netdev_priv(netdev);

    bpfhv_error(card, "transmit queue %u makes no progress: "
                "the device is started again\n", index);
    set_bit(BPFHV_WANTS_RESET, &card->events);
    schedule_delayed_work(&card->work, 0);
}

const struct net_device_ops bpfhv_netdev_ops = {
    .ndo_open = bpfhv_open,
    .ndo_stop = bpfhv_stop,
    .ndo_start_xmit = bpfhv_xmit,
    .ndo_change_mtu = bpfhv_change_mtu,
    .ndo_set_mac_address = eth_mac_addr,
    .ndo_validate_addr = eth_validate_addr,
    .ndo_fix_features = bpfhv_fix_features,
    .ndo_set_features = bpfhv_set_features,
    .ndo_get_stats64 = bpfhv_get_stats64,
    .ndo_tx_timeout = bpfhv_tx_timeout,
};
