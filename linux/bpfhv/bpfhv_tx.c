// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit queues.
 *
 * Packets that the kernel sends together are published together. All is done
 * under the lock of the kernel's queue, so programs never meet.
 *
 * Invariant: while a buffer is outstanding, an interrupt is asked for, or the
 * poll is scheduled. So a stopped queue is woken.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/tcp.h>

#include "bpfhv.h"

/*
 * How many completions to wait for: most of what is outstanding, all of which
 * will be completed some time.
 */
static u32 completions_to_wait_for(const struct bpfhv_queue *q)
{
    return max_t(u32, q->num_outstanding * 3 / 4, 1);
}

static bool arm(struct bpfhv_queue *q)
{
    q->is_armed = q->num_outstanding > 0;
    return q->is_armed && bpfhv_queue_arm(q, completions_to_wait_for(q));
}

/* Publish what is in the context. */
static void flush(struct bpfhv_queue *q)
{
    u32 count = q->num_pending;

    q->num_pending = 0;
    if (!count || bpfhv_queue_publish(q, count)) {
        return;
    }
    if (!q->is_armed && arm(q)) {
        napi_schedule(&q->napi);
    }
}

static void unmap(struct bpfhv_queue *q, struct bpfhv_slot *slot)
{
    dma_unmap_page(&q->card->pdev->dev, slot->paddr, slot->len, DMA_TO_DEVICE);
}

/* Free the slots of a packet, none of which is mapped; return the packet. */
static struct sk_buff *release_packet(struct bpfhv_queue *q,
                                      struct bpfhv_slot *first)
{
    struct sk_buff *skb = first->skb;
    struct bpfhv_slot *slot = first;
    struct bpfhv_slot *next;

    do {
        next = &q->slots[slot->next];
        bpfhv_queue_release(q, slot);
        slot = next;
    } while (slot != first);
    return skb;
}

/*
 * A buffer is back. Return its packet if it was the last one of it; only then
 * its slots can be used again.
 */
static struct sk_buff *take_back(struct bpfhv_queue *q, struct bpfhv_slot *slot)
{
    struct bpfhv_slot *first = &q->slots[slot->first];

    unmap(q, slot);
    return --first->left ? NULL : release_packet(q, first);
}

/* Free the packets that are sent. */
static void clean(struct bpfhv_queue *q, struct netdev_queue *txq, int budget)
{
    u32 packets = 0, bytes = 0;
    u32 count;

    while ((count = bpfhv_queue_complete(q))) {
        for (u32 i = 0; i < count; i++) {
            struct bpfhv_slot *slot =
                bpfhv_queue_take(q, q->completed[i].cookie);
            struct sk_buff *skb = slot ? take_back(q, slot) : NULL;

            if (skb) {
                packets++;
                bytes += skb->len;
                napi_consume_skb(skb, budget);
            }
        }
        if (bpfhv_is_broken(q->card)) {
            break;
        }
    }
    bpfhv_count(&q->counters.packets, packets);
    bpfhv_count(&q->counters.bytes, bytes);
    netdev_tx_completed_queue(txq, packets, bytes);
}

static void wake(struct bpfhv_queue *q, struct netdev_queue *txq)
{
    if (netif_tx_queue_stopped(txq) && q->num_free >= q->card->tx_parts &&
        READ_ONCE(q->card->state) == BPFHV_RUNNING) {
        netif_tx_wake_queue(txq);
    }
}

/* The interrupt is asked for while this is scheduled: see bpfhv_rx_poll(). */
int bpfhv_tx_poll(struct napi_struct *napi, int budget)
{
    struct bpfhv_queue *q = container_of(napi, struct bpfhv_queue, napi);
    struct netdev_queue *txq = netdev_get_tx_queue(q->card->netdev, q->index);
    bool again = false;

    if (budget) {
        __netif_tx_lock(txq, smp_processor_id());
    } else if (!__netif_tx_trylock(txq)) {
        return 0;       /* netpoll, perhaps from below bpfhv_xmit() */
    }
    if (!bpfhv_is_broken(q->card)) {
        flush(q);
        clean(q, txq, budget);
        wake(q, txq);
    }
    if (budget && !bpfhv_is_broken(q->card)) {
        again = arm(q);
    }
    __netif_tx_unlock(txq);
    if (again) {
        return budget;
    }
    if (budget) {
        napi_complete(napi);
    }
    return 0;
}

/*
 * Make of a packet what the device can send. The kernel sees to that, but a
 * packet may have waited while the features changed.
 */
static bool make_simple(const struct bpfhv_card *card, struct sk_buff *skb)
{
    if (skb_is_gso(skb)) {
        u32 needed = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV4 ? BPFHV_F_TSO4 :
                     skb_shinfo(skb)->gso_type & SKB_GSO_TCPV6 ? BPFHV_F_TSO6 :
                     0;

        if (!(card->features & needed)) {
            return false;
        }
    }
    if (skb->ip_summed == CHECKSUM_PARTIAL &&
        !(card->features & BPFHV_F_TX_CSUM) && skb_checksum_help(skb)) {
        return false;
    }
    return skb_shinfo(skb)->nr_frags < card->tx_parts || !skb_linearize(skb);
}

static void set_metadata(const struct sk_buff *skb, struct bpfhv_buf *buf)
{
    if (skb->ip_summed == CHECKSUM_PARTIAL) {
        buf->flags |= BPFHV_BUF_NEEDS_CSUM;
        buf->csum_start = skb_checksum_start_offset(skb);
        buf->csum_offset = skb->csum_offset;
    }
    if (skb_is_gso(skb)) {
        buf->gso_type = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV4 ?
                        BPFHV_GSO_TCP4 : BPFHV_GSO_TCP6;
        buf->gso_size = skb_shinfo(skb)->gso_size;
        buf->hdr_len = skb_tcp_all_headers(skb);
    }
}

/* Map the head of a packet (@part 0), or one of its fragments. */
static dma_addr_t map(struct device *dev, const struct sk_buff *skb, u32 part,
                      u32 *len)
{
    const skb_frag_t *frag;

    if (!part) {
        *len = skb_headlen(skb);
        return dma_map_page(dev, virt_to_page(skb->data),
                            offset_in_page(skb->data), *len, DMA_TO_DEVICE);
    }
    frag = &skb_shinfo(skb)->frags[part - 1];
    *len = skb_frag_size(frag);
    return skb_frag_dma_map(dev, frag, 0, *len, DMA_TO_DEVICE);
}

/* Take back the first @count parts of a packet that is not published. */
static void undo(struct bpfhv_queue *q, struct bpfhv_slot *first, u32 count)
{
    struct bpfhv_slot *slot = first;

    if (!count) {
        return;
    }
    for (u32 i = 0; i < count; i++) {
        bpfhv_queue_take(q, slot - q->slots);
        unmap(q, slot);
        slot = &q->slots[slot->next];
    }
    release_packet(q, first);
}

/*
 * Put a packet into the context, behind what is pending; return whether it
 * could be mapped. There is room for it.
 */
static bool put_packet(struct bpfhv_queue *q, struct sk_buff *skb)
{
    struct device *dev = &q->card->pdev->dev;
    u32 parts = skb_shinfo(skb)->nr_frags + 1;
    struct bpfhv_slot *first = NULL, *last = NULL;
    u16 first_cookie = 0;

    for (u32 part = 0; part < parts; part++) {
        struct bpfhv_buf buf = { 0 };
        struct bpfhv_slot *slot;

        buf.paddr = map(dev, skb, part, &buf.len);
        if (dma_mapping_error(dev, buf.paddr)) {
            undo(q, first, part);
            return false;
        }
        slot = bpfhv_queue_give(q, &buf.cookie);
        slot->paddr = buf.paddr;
        slot->len = buf.len;
        if (!part) {
            first = slot;
            first_cookie = buf.cookie;
            set_metadata(skb, &buf);
        } else {
            last->next = buf.cookie;
        }
        slot->first = first_cookie;
        slot->next = first_cookie;
        last = slot;
        if (part + 1 < parts) {
            buf.flags |= BPFHV_BUF_NEXT;
        }
        q->ctx->bufs[q->num_pending + part] = buf;
    }
    first->skb = skb;
    first->left = parts;
    q->num_pending += parts;
    return true;
}

static netdev_tx_t drop(struct bpfhv_queue *q, struct sk_buff *skb)
{
    bpfhv_count(&q->counters.dropped, 1);
    dev_kfree_skb_any(skb);
    if (!netdev_xmit_more()) {
        flush(q);
    }
    return NETDEV_TX_OK;
}

netdev_tx_t bpfhv_xmit(struct sk_buff *skb, struct net_device *netdev)
{
    struct bpfhv_card *card = netdev_priv(netdev);
    u16 index = skb_get_queue_mapping(skb);
    struct netdev_queue *txq = netdev_get_tx_queue(netdev, index);
    struct bpfhv_queue *q;

    if (index >= card->num_tx || bpfhv_is_broken(card)) {
        dev_kfree_skb_any(skb);
        return NETDEV_TX_OK;
    }
    q = &card->queues[card->num_rx + index];
    if (!make_simple(card, skb)) {
        return drop(q, skb);
    }
    if (q->num_free < skb_shinfo(skb)->nr_frags + 1) {
        netif_tx_stop_queue(txq);
        flush(q);
        return NETDEV_TX_BUSY;
    }
    if (q->num_pending + skb_shinfo(skb)->nr_frags + 1 > BPFHV_CTX_BUFS) {
        flush(q);
    }
    skb_tx_timestamp(skb);
    if (!put_packet(q, skb)) {
        return drop(q, skb);
    }
    if (q->num_free < card->tx_parts) {
        netif_tx_stop_queue(txq);
    }
    if (__netdev_tx_sent_queue(txq, skb->len, netdev_xmit_more())) {
        flush(q);
    }
    return NETDEV_TX_OK;
}

/* What is not completed may or may not be sent: it is not sent again. */
void bpfhv_tx_drain(struct bpfhv_queue *q)
{
    struct netdev_queue *txq = netdev_get_tx_queue(q->card->netdev, q->index);

    local_bh_disable();
    if (!bpfhv_is_broken(q->card)) {
        clean(q, txq, 0);
    }
    local_bh_enable();
    for (u32 i = 0; i < q->num_slots; i++) {
        struct sk_buff *skb = NULL;

        if (q->slots[i].is_outstanding) {
            skb = take_back(q, bpfhv_queue_take(q, i));
        }
        if (skb) {
            bpfhv_count(&q->counters.dropped, 1);
            dev_kfree_skb_any(skb);
        }
    }
    netdev_tx_reset_queue(txq);
}
