// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The driver's life: from a PCI device to a network device whose queues run
 * programs of the device's, and to others while the guest runs.
 *
 * load     ask the device what it is: features, numbers, programs. Nothing of
 *          it is used before all is checked.
 * start    give it contexts, enable it, and publish receive buffers
 * stop     disable it, take back what it has
 *
 * An upgrade is stop, load and start, while packets to be sent wait above the
 * driver; so are other features, another MTU and what the watchdog does. All of
 * it is done under RTNL, by the calls of the network stack or by the work, that
 * the last vector schedules.
 *
 * A device that does what must not be is broken: its queues are stopped, the
 * link is down. It is tried again when it is set up again, or wants an upgrade.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "bpfhv.h"

enum {
    MIN_REGISTERS = BPFHV_REG_DUMP_OFS + 4,
    MIN_WINDOW = BPFHV_MAX_INSNS * 8,
    ALL_LRO = BPFHV_F_LRO4 | BPFHV_F_LRO6,
    ALL_TSO = BPFHV_F_TSO4 | BPFHV_F_TSO6,
    KNOWN_FEATURES = BPFHV_F_SG | BPFHV_F_TX_CSUM | BPFHV_F_RX_CSUM | ALL_TSO |
                     ALL_LRO,
};

#define OFFLOADS (NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | \
                  NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_GRO_HW)
#define WATCHDOG (5 * HZ)
#define UPGRADE_AGAIN (HZ / 10)         /* if it wants the next one at once */

static u32 num_queues(const struct bpfhv_card *card)
{
    return card->num_rx + card->num_tx;
}

void bpfhv_break(struct bpfhv_card *card, const char *format, ...)
{
    struct va_format text = { .fmt = format };
    va_list arguments;

    if (test_and_set_bit(BPFHV_IS_BROKEN, &card->events)) {
        return;
    }
    va_start(arguments, format);
    text.va = &arguments;
    bpfhv_error(card, "the device is broken: %pV; "
                "it is stopped until it is set up again\n", &text);
    va_end(arguments);
    schedule_delayed_work(&card->work, 0);
}

/* Interrupts */

static irqreturn_t queue_irq(int irq, void *opaque)
{
    struct bpfhv_queue *q = opaque;

    bpfhv_count(&q->counters.interrupts, 1);
    napi_schedule(&q->napi);
    return IRQ_HANDLED;
}

static irqreturn_t status_irq(int irq, void *opaque)
{
    struct bpfhv_card *card = opaque;

    schedule_delayed_work(&card->work, 0);
    return IRQ_HANDLED;
}

static void put_vectors(struct bpfhv_card *card)
{
    if (card->num_vectors) {
        free_irq(pci_irq_vector(card->pdev, card->num_vectors - 1), card);
        pci_free_irq_vectors(card->pdev);
        card->num_vectors = 0;
    }
}

/* Have a vector for each queue and one for STATUS. */
static int get_vectors(struct bpfhv_card *card)
{
    u32 count = num_queues(card) + 1;
    int ret;

    if (card->num_vectors == count) {
        return 0;
    }
    put_vectors(card);
    ret = pci_alloc_irq_vectors(card->pdev, count, count, PCI_IRQ_MSIX);
    if (ret < 0) {
        bpfhv_error(card, "%u MSI-X vectors are unavailable (%d)\n", count,
                    ret);
        return ret;
    }
    ret = request_irq(pci_irq_vector(card->pdev, count - 1), status_irq, 0,
                      pci_name(card->pdev), card);
    if (ret) {
        pci_free_irq_vectors(card->pdev);
        return ret;
    }
    card->num_vectors = count;
    return 0;
}

/* Load */

/* 0: the device is gone. */
static u32 read_status(const struct bpfhv_card *card)
{
    u32 status = bpfhv_read(card, BPFHV_REG_STATUS);

    return PCI_POSSIBLE_ERROR(status) ? 0 : status;
}

static void disable(struct bpfhv_card *card)
{
    bpfhv_write(card, BPFHV_REG_CTRL, BPFHV_CTRL_RX_DISABLE);
    bpfhv_write(card, BPFHV_REG_CTRL, BPFHV_CTRL_TX_DISABLE);
}

/* Of what the device offers, nothing that needs what it does not. */
static u32 usable_features(u32 offered)
{
    u32 usable = offered & KNOWN_FEATURES;

    if (!(usable & BPFHV_F_SG) || !(usable & BPFHV_F_TX_CSUM)) {
        usable &= ~ALL_TSO;
    }
    if (!(usable & BPFHV_F_SG) || !(usable & BPFHV_F_RX_CSUM)) {
        usable &= ~ALL_LRO;
    }
    return usable;
}

/* Of them, those that are wanted: it only matters for what is received. */
static u32 choose(const struct bpfhv_card *card)
{
    netdev_features_t wanted = card->netdev->wanted_features;

    if (!(wanted & NETIF_F_GRO_HW) || !(wanted & NETIF_F_RXCSUM)) {
        return card->usable & ~ALL_LRO;
    }
    return card->usable;
}

/* Read a register that must be from @min to @max, or say so. */
static int read_number(struct bpfhv_card *card, enum bpfhv_register reg,
                       const char *name, u32 min, u32 max, u32 *number)
{
    u32 value = bpfhv_read(card, reg);

    if (value < min || value > max) {
        bpfhv_error(card, "the device has %u %s, not %u to %u\n", value, name,
                    min, max);
        return -EINVAL;
    }
    *number = value;
    return 0;
}

static int read_numbers(struct bpfhv_card *card)
{
    u64 doorbells = pci_resource_len(card->pdev, BPFHV_BAR_DOORBELLS);
    const struct {
        enum bpfhv_register reg;
        const char *name;
        u32 min, max;
        u32 *number;
    } numbers[] = {
        { BPFHV_REG_NUM_RX_QUEUES, "receive queues", 1, BPFHV_MAX_QUEUE_PAIRS,
          &card->num_rx },
        { BPFHV_REG_NUM_TX_QUEUES, "transmit queues", 1, BPFHV_MAX_QUEUE_PAIRS,
          &card->num_tx },
        { BPFHV_REG_NUM_RX_BUFS, "receive buffers", 1, BPFHV_MAX_QUEUE_BUFS,
          &card->rx_slots },
        { BPFHV_REG_NUM_TX_BUFS, "transmit buffers", 1, BPFHV_MAX_QUEUE_BUFS,
          &card->tx_slots },
        { BPFHV_REG_RX_CTX_SIZE, "bytes in a receive context",
          sizeof(struct bpfhv_ctx), BPFHV_MAX_CTX_SIZE, &card->rx_ctx_size },
        { BPFHV_REG_TX_CTX_SIZE, "bytes in a transmit context",
          sizeof(struct bpfhv_ctx), BPFHV_MAX_CTX_SIZE, &card->tx_ctx_size },
        { BPFHV_REG_DOORBELL_SIZE, "bytes for a doorbell", 4, 1 << 20,
          &card->doorbell_size },
    };

    for (int i = 0; i < ARRAY_SIZE(numbers); i++) {
        int ret = read_number(card, numbers[i].reg, numbers[i].name,
                              numbers[i].min, numbers[i].max,
                              numbers[i].number);
        if (ret) {
            return ret;
        }
    }
    if (card->doorbell_size % 4 ||
        (u64)num_queues(card) * card->doorbell_size > doorbells) {
        bpfhv_error(card, "the device has no room for %u doorbells\n",
                    num_queues(card));
        return -EINVAL;
    }
    card->rx_slots = min_t(u32, card->rx_slots, BPFHV_MAX_SLOTS);
    card->tx_slots = min_t(u32, card->tx_slots, BPFHV_MAX_SLOTS);
    /* Half a table of large packets is none that one can work with. */
    card->tx_parts = card->features & BPFHV_F_SG &&
                     card->tx_slots >= 2 * BPFHV_MAX_PARTS ?
                     BPFHV_MAX_PARTS : 1;
    return 0;
}

/*
 * Whatever was before, another kernel perhaps: features can be chosen once
 * there are no contexts. If an upgrade is wanted, it is done when this returns,
 * and the work tells the kernel of other features.
 */
static void begin_anew(struct bpfhv_card *card)
{
    disable(card);
    for (u32 i = 0; i < BPFHV_MAX_QUEUES; i++) {
        bpfhv_set_context(card, i, 0);
    }
    if (read_status(card) & BPFHV_STATUS_UPGRADE) {
        bpfhv_count(&card->upgrades, 1);
        bpfhv_write(card, BPFHV_REG_CTRL, BPFHV_CTRL_UPGRADE_READY);
        schedule_delayed_work(&card->work, 0);
    }
}

static int read_device(struct bpfhv_card *card)
{
    u32 version = bpfhv_read(card, BPFHV_REG_VERSION);

    if (version != BPFHV_ABI_VERSION) {
        bpfhv_error(card, "the device has version %u of the ABI, "
                    "which is not supported\n", version);
        return -ENODEV;
    }
    begin_anew(card);
    card->usable = usable_features(bpfhv_read(card, BPFHV_REG_FEATURES));
    card->features = choose(card);
    bpfhv_write(card, BPFHV_REG_FEATURES, card->features);
    return read_numbers(card);
}

static void unload(struct bpfhv_card *card)
{
    bpfhv_unload_programs(card);
    card->state = BPFHV_UNLOADED;
}

/* There are no queues. After an error, which is told, there are no programs. */
static int load(struct bpfhv_card *card)
{
    int ret;

    unload(card);
    ret = read_device(card);
    if (ret) {
        return ret;
    }
    ret = get_vectors(card);
    if (ret) {
        return ret;
    }
    ret = netif_set_real_num_queues(card->netdev, card->num_tx, card->num_rx);
    if (ret) {
        return ret;
    }
    ret = bpfhv_load_programs(card);
    if (ret) {
        return ret;
    }
    card->state = BPFHV_LOADED;
    return 0;
}

/* Start and stop */

static void destroy_queues(struct bpfhv_card *card, u32 count)
{
    while (count--) {
        bpfhv_queue_destroy(&card->queues[count]);
    }
}

static int create_queues(struct bpfhv_card *card)
{
    for (u32 i = 0; i < num_queues(card); i++) {
        int ret = bpfhv_queue_create(card, &card->queues[i], i);

        if (ret) {
            destroy_queues(card, i);
            return ret;
        }
    }
    return 0;
}

static void put_irqs(struct bpfhv_card *card, u32 count)
{
    while (count--) {
        free_irq(pci_irq_vector(card->pdev, count), &card->queues[count]);
    }
}

static int get_irqs(struct bpfhv_card *card)
{
    for (u32 i = 0; i < num_queues(card); i++) {
        struct bpfhv_queue *q = &card->queues[i];
        int ret;

        snprintf(q->name, sizeof(q->name), "%s-%s-%u",
                 netdev_name(card->netdev), q->is_tx ? "tx" : "rx", q->index);
        ret = request_irq(pci_irq_vector(card->pdev, i), queue_irq, 0, q->name,
                          q);
        if (ret) {
            put_irqs(card, i);
            return ret;
        }
    }
    return 0;
}

static void begin_polls(struct bpfhv_card *card)
{
    for (u32 i = 0; i < num_queues(card); i++) {
        struct bpfhv_queue *q = &card->queues[i];

        if (q->is_tx) {
            netif_napi_add_tx(card->netdev, &q->napi, bpfhv_tx_poll);
        } else {
            netif_napi_add(card->netdev, &q->napi, bpfhv_rx_poll);
        }
        napi_enable(&q->napi);
    }
}

static void end_polls(struct bpfhv_card *card)
{
    for (u32 i = 0; i < num_queues(card); i++) {
        napi_disable(&card->queues[i].napi);
        netif_napi_del(&card->queues[i].napi);
    }
}

static void drain(struct bpfhv_card *card)
{
    for (u32 i = 0; i < num_queues(card); i++) {
        struct bpfhv_queue *q = &card->queues[i];

        if (q->is_tx) {
            bpfhv_tx_drain(q);
        } else {
            bpfhv_rx_drain(q);
        }
    }
}

/* Poll all once, which publishes receive buffers and asks for interrupts. */
static void poll_all(struct bpfhv_card *card)
{
    local_bh_disable();
    for (u32 i = 0; i < num_queues(card); i++) {
        napi_schedule(&card->queues[i].napi);
    }
    local_bh_enable();
}

static bool enable(struct bpfhv_card *card)
{
    u32 both = BPFHV_STATUS_RX_ENABLED | BPFHV_STATUS_TX_ENABLED;

    bpfhv_write(card, BPFHV_REG_CTRL, BPFHV_CTRL_RX_ENABLE);
    bpfhv_write(card, BPFHV_REG_CTRL, BPFHV_CTRL_TX_ENABLE);
    return (read_status(card) & both) == both;
}

static void update_link(struct bpfhv_card *card)
{
    if (card->state == BPFHV_RUNNING && !bpfhv_is_broken(card) &&
        read_status(card) & BPFHV_STATUS_LINK) {
        netif_carrier_on(card->netdev);
    } else {
        netif_carrier_off(card->netdev);
    }
}

/* From RUNNING to LOADED. Nothing is sent until the caller wakes the queues. */
static void stop(struct bpfhv_card *card)
{
    WRITE_ONCE(card->state, BPFHV_STOPPING);
    netif_tx_disable(card->netdev);
    disable(card);
    put_irqs(card, num_queues(card));
    end_polls(card);
    drain(card);
    destroy_queues(card, num_queues(card));
    card->state = BPFHV_LOADED;
}

/* From LOADED to RUNNING. */
static int start(struct bpfhv_card *card)
{
    int ret;

    clear_bit(BPFHV_IS_BROKEN, &card->events);
    bpfhv_rx_set_size(card);
    ret = create_queues(card);
    if (ret) {
        return ret;
    }
    begin_polls(card);
    ret = get_irqs(card);
    if (ret) {
        end_polls(card);
        destroy_queues(card, num_queues(card));
        return ret;
    }
    WRITE_ONCE(card->state, BPFHV_RUNNING);
    if (!enable(card)) {
        bpfhv_error(card, "the device cannot be enabled\n");
        stop(card);
        return -EIO;
    }
    poll_all(card);
    update_link(card);
    return 0;
}

/*
 * Stop, have what the device is now, and start again if it was set up. What is
 * to be sent waits meanwhile.
 */
static int restart(struct bpfhv_card *card)
{
    struct net_device *netdev = card->netdev;
    int ret;

    netif_device_detach(netdev);        /* the watchdog looks elsewhere */
    netif_tx_disable(netdev);           /* nobody is in bpfhv_xmit() */
    if (card->state == BPFHV_RUNNING) {
        stop(card);
    }
    ret = load(card);
    if (!ret && netif_running(netdev)) {
        ret = start(card);
    }
    if (ret) {
        bpfhv_error(card, "the device cannot be started again (%d): "
                    "it is stopped until it is set up again\n", ret);
        set_bit(BPFHV_IS_BROKEN, &card->events);
        netif_carrier_off(netdev);
    }
    netif_device_attach(netdev);
    return ret;
}

static void upgrade(struct bpfhv_card *card)
{
    restart(card);
    if (read_status(card) & BPFHV_STATUS_UPGRADE) {
        schedule_delayed_work(&card->work, UPGRADE_AGAIN);
    }
}

static void work(struct work_struct *work)
{
    struct bpfhv_card *card = container_of(to_delayed_work(work),
                                           struct bpfhv_card, work);

    rtnl_lock();
    if (card->netdev->reg_state != NETREG_REGISTERED ||
        !netif_device_present(card->netdev)) {
        goto unlock;
    }
    if (bpfhv_is_broken(card) && card->state == BPFHV_RUNNING) {
        stop(card);
    }
    if (read_status(card) & BPFHV_STATUS_UPGRADE) {
        upgrade(card);
    } else if (test_and_clear_bit(BPFHV_WANTS_RESET, &card->events) &&
               card->state == BPFHV_RUNNING) {
        bpfhv_count(&card->resets, 1);
        restart(card);
    }
    netdev_update_features(card->netdev);
    update_link(card);
unlock:
    rtnl_unlock();
}

/* The network device */

static int bpfhv_open(struct net_device *netdev)
{
    struct bpfhv_card *card = netdev_priv(netdev);
    int ret = 0;

    if (card->state == BPFHV_UNLOADED || bpfhv_is_broken(card)) {
        ret = load(card);
    }
    if (!ret) {
        ret = start(card);
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
        stop(card);
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
    ret = restart(card);
    if (ret) {
        WRITE_ONCE(netdev->mtu, before);
        restart(card);
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
        { ALL_LRO, NETIF_F_GRO_HW },
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
    struct bpfhv_card *card = netdev_priv(netdev);

    if (card->state == BPFHV_UNLOADED || choose(card) == card->features) {
        return 0;
    }
    return restart(card);
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

static const struct net_device_ops bpfhv_netdev_ops = {
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

/* The PCI device */

static void set_address(struct bpfhv_card *card)
{
    u8 mac[ETH_ALEN];

    put_unaligned_be16(bpfhv_read(card, BPFHV_REG_MAC_HI), mac);
    put_unaligned_be32(bpfhv_read(card, BPFHV_REG_MAC_LO), mac + 2);
    if (is_valid_ether_addr(mac)) {
        eth_hw_addr_set(card->netdev, mac);
    } else {
        eth_hw_addr_random(card->netdev);
    }
}

static void unmap_bars(struct bpfhv_card *card)
{
    void __iomem *const bars[] = { card->registers, card->doorbells,
                                   card->window };

    for (int i = 0; i < ARRAY_SIZE(bars); i++) {
        if (bars[i]) {
            pci_iounmap(card->pdev, bars[i]);
        }
    }
}

static int map_bars(struct bpfhv_card *card)
{
    struct pci_dev *pdev = card->pdev;

    if (pci_resource_len(pdev, BPFHV_BAR_REGISTERS) < MIN_REGISTERS ||
        pci_resource_len(pdev, BPFHV_BAR_PROGRAM) < MIN_WINDOW) {
        dev_err(&pdev->dev, "the device's memory regions are too small\n");
        return -ENODEV;
    }
    card->registers = pci_iomap(pdev, BPFHV_BAR_REGISTERS, 0);
    card->doorbells = pci_iomap(pdev, BPFHV_BAR_DOORBELLS, 0);
    card->window = pci_iomap(pdev, BPFHV_BAR_PROGRAM, 0);
    if (!card->registers || !card->doorbells || !card->window) {
        unmap_bars(card);
        return -ENOMEM;
    }
    return 0;
}

static void set_up_netdev(struct bpfhv_card *card)
{
    struct net_device *netdev = card->netdev;

    SET_NETDEV_DEV(netdev, &card->pdev->dev);
    netdev->netdev_ops = &bpfhv_netdev_ops;
    netdev->ethtool_ops = &bpfhv_ethtool_ops;
    netdev->watchdog_timeo = WATCHDOG;
    netdev->max_mtu = BPFHV_MAX_MTU;
    netdev->hw_features = OFFLOADS;
    netdev->vlan_features = OFFLOADS;
    netdev->features = OFFLOADS | NETIF_F_HIGHDMA;
    netdev->wanted_features = OFFLOADS;
    netif_carrier_off(netdev);
}

static int enable_pci(struct pci_dev *pdev)
{
    int ret = pci_enable_device_mem(pdev);

    if (ret) {
        return ret;
    }
    ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
    if (!ret) {
        ret = pci_request_mem_regions(pdev, KBUILD_MODNAME);
    }
    if (ret) {
        pci_disable_device(pdev);
        return ret;
    }
    pci_set_master(pdev);
    return 0;
}

static void disable_pci(struct pci_dev *pdev)
{
    pci_clear_master(pdev);
    pci_release_mem_regions(pdev);
    pci_disable_device(pdev);
}

static int bpfhv_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct net_device *netdev;
    struct bpfhv_card *card;
    int ret;

    netdev = alloc_etherdev_mq(sizeof(*card), BPFHV_MAX_QUEUE_PAIRS);
    if (!netdev) {
        return -ENOMEM;
    }
    card = netdev_priv(netdev);
    card->netdev = netdev;
    card->pdev = pdev;
    INIT_DELAYED_WORK(&card->work, work);
    set_up_netdev(card);
    ret = enable_pci(pdev);
    if (ret) {
        goto free;
    }
    ret = map_bars(card);
    if (ret) {
        goto disable;
    }
    pci_set_drvdata(pdev, card);
    ret = load(card);
    if (ret) {
        goto unload;
    }
    set_address(card);
    ret = register_netdev(netdev);
    if (ret) {
        goto unload;
    }
    schedule_delayed_work(&card->work, 0);      /* for what was told before */
    return 0;

unload:
    put_vectors(card);
    cancel_delayed_work_sync(&card->work);
    unload(card);
    unmap_bars(card);
disable:
    disable_pci(pdev);
free:
    free_netdev(netdev);
    return ret;
}

static void bpfhv_remove(struct pci_dev *pdev)
{
    struct bpfhv_card *card = pci_get_drvdata(pdev);

    unregister_netdev(card->netdev);    /* the work does nothing any more */
    put_vectors(card);
    cancel_delayed_work_sync(&card->work);
    unload(card);
    unmap_bars(card);
    disable_pci(pdev);
    free_netdev(card->netdev);
}

/* The device has no contexts, and reaches no memory, from here on. */
static void quiesce(struct bpfhv_card *card)
{
    rtnl_lock();
    netif_device_detach(card->netdev);
    if (card->state == BPFHV_RUNNING) {
        stop(card);
    }
    netif_carrier_off(card->netdev);
    rtnl_unlock();
}

static void bpfhv_shutdown(struct pci_dev *pdev)
{
    quiesce(pci_get_drvdata(pdev));
}

static int bpfhv_suspend(struct device *dev)
{
    quiesce(dev_get_drvdata(dev));
    return 0;
}

static int bpfhv_resume(struct device *dev)
{
    struct bpfhv_card *card = dev_get_drvdata(dev);
    int ret;

    rtnl_lock();
    ret = restart(card);
    rtnl_unlock();
    return ret;
}

static DEFINE_SIMPLE_DEV_PM_OPS(bpfhv_pm, bpfhv_suspend, bpfhv_resume);

/* The class besides: a bridge of QEMU's has the same two numbers. */
static const struct pci_device_id bpfhv_ids[] = {
    { .vendor = BPFHV_PCI_VENDOR, .device = BPFHV_PCI_DEVICE,
      .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID,
      .class = BPFHV_PCI_CLASS, .class_mask = 0xffffff },
    { }
};
MODULE_DEVICE_TABLE(pci, bpfhv_ids);

static struct pci_driver bpfhv_driver = {
    .name = KBUILD_MODNAME,
    .id_table = bpfhv_ids,
    .probe = bpfhv_probe,
    .remove = bpfhv_remove,
    .shutdown = bpfhv_shutdown,
    .driver.pm = pm_sleep_ptr(&bpfhv_pm),
};
module_pci_driver(bpfhv_driver);

MODULE_DESCRIPTION("bpfhv: a network card that brings its driver's ring code");
MODULE_LICENSE("GPL");
