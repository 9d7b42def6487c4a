// SPDX-License-Identifier: GPL-2.0-or-later
/* The PCI device, which becomes a network device. */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "bpfhv.h"

enum {
    MIN_REGISTERS = BPFHV_REG_DUMP_OFS + 4,
    MIN_WINDOW = BPFHV_MAX_INSNS * 8,
};

#define OFFLOADS (NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | \
                  NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_GRO_HW)
#define WATCHDOG (5 * HZ)

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
    INIT_DELAYED_WORK(&card->work, bpfhv_card_work);
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
    ret = bpfhv_card_load(card);
    if (ret) {
        goto end;
    }
    set_address(card);
    ret = register_netdev(netdev);
    if (ret) {
        goto end;
    }
    schedule_delayed_work(&card->work, 0);      /* for what was told before */
    return 0;

end:
    bpfhv_card_end(card);
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
    bpfhv_card_end(card);
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
        bpfhv_card_stop(card);
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
    ret = bpfhv_card_restart(card);
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
