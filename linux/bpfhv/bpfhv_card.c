// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The driver's life: from a device to queues that run programs of the device's,
 * and to others while the guest runs.
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
#include <linux/interrupt.h>
#include <linux/rtnetlink.h>

#include "bpfhv.h"

enum {
    KNOWN_FEATURES = BPFHV_F_SG | BPFHV_F_TX_CSUM | BPFHV_F_RX_CSUM |
                     BPFHV_ALL_TSO | BPFHV_ALL_LRO,
};

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
        usable &= ~BPFHV_ALL_TSO;
    }
    if (!(usable & BPFHV_F_SG) || !(usable & BPFHV_F_RX_CSUM)) {
        usable &= ~BPFHV_ALL_LRO;
    }
    return usable;
}

/* Of them, those that are wanted: it only matters for what is received. */
static u32 choose(const struct bpfhv_card *card)
{
    netdev_features_t wanted = card->netdev->wanted_features;

    if (!(wanted & NETIF_F_GRO_HW) || !(wanted & NETIF_F_RXCSUM)) {
        return card->usable & ~BPFHV_ALL_LRO;
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

int bpfhv_card_load(struct bpfhv_card *card)
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

void bpfhv_card_stop(struct bpfhv_card *card)
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

int bpfhv_card_start(struct bpfhv_card *card)
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
        drain(card);        /* a first interrupt may have had them filled */
        destroy_queues(card, num_queues(card));
        return ret;
    }
    WRITE_ONCE(card->state, BPFHV_RUNNING);
    if (!enable(card)) {
        bpfhv_error(card, "the device cannot be enabled\n");
        bpfhv_card_stop(card);
        return -EIO;
    }
    poll_all(card);
    update_link(card);
    return 0;
}

int bpfhv_card_restart(struct bpfhv_card *card)
{
    struct net_device *netdev = card->netdev;
    int ret;

    netif_device_detach(netdev);        /* the watchdog looks elsewhere */
    netif_tx_disable(netdev);           /* nobody is in bpfhv_xmit() */
    if (card->state == BPFHV_RUNNING) {
        bpfhv_card_stop(card);
    }
    ret = bpfhv_card_load(card);
    if (!ret && netif_running(netdev)) {
        ret = bpfhv_card_start(card);
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

int bpfhv_card_update_features(struct bpfhv_card *card)
{
    if (card->state == BPFHV_UNLOADED || choose(card) == card->features) {
        return 0;
    }
    return bpfhv_card_restart(card);
}

static void upgrade(struct bpfhv_card *card)
{
    bpfhv_card_restart(card);
    if (read_status(card) & BPFHV_STATUS_UPGRADE) {
        schedule_delayed_work(&card->work, UPGRADE_AGAIN);
    }
}

void bpfhv_card_work(struct work_struct *work)
{
    struct bpfhv_card *card = container_of(to_delayed_work(work),
                                           struct bpfhv_card, work);

    rtnl_lock();
    if (card->netdev->reg_state != NETREG_REGISTERED ||
        !netif_device_present(card->netdev)) {
        goto unlock;
    }
    if (bpfhv_is_broken(card) && card->state == BPFHV_RUNNING) {
        bpfhv_card_stop(card);
    }
    if (read_status(card) & BPFHV_STATUS_UPGRADE) {
        upgrade(card);
    } else if (test_and_clear_bit(BPFHV_WANTS_RESET, &card->events) &&
               card->state == BPFHV_RUNNING) {
        bpfhv_count(&card->resets, 1);
        bpfhv_card_restart(card);
    }
    netdev_update_features(card->netdev);
    update_link(card);
unlock:
    rtnl_unlock();
}

void bpfhv_card_end(struct bpfhv_card *card)
{
    put_vectors(card);
    cancel_delayed_work_sync(&card->work);
    unload(card);
}
