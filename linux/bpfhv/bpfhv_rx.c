// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Receive queues.
 *
 * A buffer is memory in which a packet is built where it lies: room before it,
 * and behind it what the kernel keeps of each packet, of which the device knows
 * nothing. A packet of several buffers has the others as fragments.
 *
 *     data  ├ headroom ┼──────── rx_room, the device's ────────┼ shared info ┤
 *           ├────────────────────────── rx_size ───────────────────────────┤
 *
 * Limits
 *  - 65,535 bytes in one packet take 18 buffers of a page, which is just what a
 *    packet of the kernel's holds; one of more buffers is dropped.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/virtio_net.h>

#include "bpfhv.h"

/* Not constants in the eyes of every kernel's compiler */
#define HEADROOM ((u32)(NET_SKB_PAD + NET_IP_ALIGN))
#define TAILROOM ((u32)SKB_DATA_ALIGN(sizeof(struct skb_shared_info)))

enum {
    LRO = BPFHV_F_LRO4 | BPFHV_F_LRO6,
};

void bpfhv_rx_set_size(struct bpfhv_card *card)
{
    u32 frame = ETH_HLEN + 2 * VLAN_HLEN + card->netdev->mtu;
    u32 size = SKB_DATA_ALIGN(HEADROOM + frame) + TAILROOM;

    if (card->features & LRO || (card->features & BPFHV_F_SG &&
                                 size > PAGE_SIZE)) {
        size = PAGE_SIZE;
    }
    if (size > PAGE_SIZE) {
        size = PAGE_SIZE << get_order(size);
    }
    card->rx_size = size;
    card->rx_room = size - HEADROOM - TAILROOM;
}

static void *alloc_data(u32 size)
{
    struct page *page;

    if (size <= PAGE_SIZE) {
        return netdev_alloc_frag_align(size, SMP_CACHE_BYTES);
    }
    page = alloc_pages(GFP_ATOMIC | __GFP_COMP | __GFP_NOWARN, get_order(size));
    return page ? page_address(page) : NULL;
}

/* Put a buffer into the context, at @at; return whether there was memory. */
static bool put_buffer(struct bpfhv_queue *q, u32 at)
{
    struct bpfhv_card *card = q->card;
    struct device *dev = &card->pdev->dev;
    void *data = alloc_data(card->rx_size);
    struct bpfhv_buf buf = { .len = card->rx_room };
    struct bpfhv_slot *slot;
    dma_addr_t paddr;

    if (!data) {
        return false;
    }
    paddr = dma_map_page(dev, virt_to_page(data),
                         offset_in_page(data) + HEADROOM, card->rx_room,
                         DMA_FROM_DEVICE);
    if (dma_mapping_error(dev, paddr)) {
        skb_free_frag(data);
        return false;
    }
    slot = bpfhv_queue_give(q, &buf.cookie);
    slot->data = data;
    slot->paddr = paddr;
    slot->len = card->rx_room;
    buf.paddr = paddr;
    q->ctx->bufs[at] = buf;
    return true;
}

bool bpfhv_rx_fill(struct bpfhv_queue *q)
{
    bool has_memory = true;

    while (q->num_free && has_memory) {
        u32 wanted = min_t(u32, q->num_free, BPFHV_CTX_BUFS);
        u32 count = 0;

        while (count < wanted && has_memory) {
            has_memory = put_buffer(q, count);
            count += has_memory;
        }
        if (count && bpfhv_queue_publish(q, count)) {
            break;
        }
    }
    return q->num_outstanding > 0;
}

/* Take a buffer back from the device; return its memory, the slot is free. */
static void *take_data(struct bpfhv_queue *q, struct bpfhv_slot *slot)
{
    void *data = slot->data;

    dma_unmap_page(&q->card->pdev->dev, slot->paddr, slot->len,
                   DMA_FROM_DEVICE);
    bpfhv_queue_release(q, slot);
    return data;
}

/* Begin a packet, or make one longer; return false if it must be dropped. */
static bool add_data(const struct bpfhv_card *card, struct sk_buff **skb,
                     void *data, u32 len)
{
    struct page *page = virt_to_head_page(data);

    if (!*skb) {
        *skb = napi_build_skb(data, card->rx_size);
        if (!*skb) {
            skb_free_frag(data);
            return false;
        }
        skb_reserve(*skb, HEADROOM);
        skb_put(*skb, len);
        return true;
    }
    if (!len || skb_shinfo(*skb)->nr_frags == MAX_SKB_FRAGS) {
        skb_free_frag(data);
        return !len;
    }
    skb_add_rx_frag(*skb, skb_shinfo(*skb)->nr_frags, page,
                    data + HEADROOM - page_address(page), len, card->rx_size);
    return true;
}

/* What the device says of a packet's checksum and segments. */
static int set_metadata(const struct bpfhv_card *card, struct sk_buff *skb,
                        const struct bpfhv_buf *buf)
{
    struct virtio_net_hdr hdr = { 0 };

    if (card->features & BPFHV_F_RX_CSUM) {
        if (buf->flags & BPFHV_BUF_NEEDS_CSUM) {
            hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
            hdr.csum_start = cpu_to_le16(buf->csum_start);
            hdr.csum_offset = cpu_to_le16(buf->csum_offset);
        } else if (buf->flags & BPFHV_BUF_CSUM_VALID &&
                   card->netdev->features & NETIF_F_RXCSUM) {
            skb->ip_summed = CHECKSUM_UNNECESSARY;
        }
    }
    if (buf->gso_type == BPFHV_GSO_TCP4 && card->features & BPFHV_F_LRO4) {
        hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    } else if (buf->gso_type == BPFHV_GSO_TCP6 &&
               card->features & BPFHV_F_LRO6) {
        hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    }
    hdr.gso_size = cpu_to_le16(buf->gso_size);
    hdr.hdr_len = cpu_to_le16(buf->hdr_len);
    return virtio_net_hdr_to_skb(skb, &hdr, true);
}

/* Hand a packet to the kernel, unless it is none. */
static void deliver(struct bpfhv_queue *q, struct sk_buff *skb,
                    const struct bpfhv_buf *first)
{
    const struct bpfhv_card *card = q->card;

    if (!pskb_may_pull(skb, ETH_HLEN) || set_metadata(card, skb, first)) {
        bpfhv_count(&q->counters.dropped, 1);
        dev_kfree_skb_any(skb);
        return;
    }
    bpfhv_count(&q->counters.packets, 1);
    bpfhv_count(&q->counters.bytes, skb->len);
    skb_record_rx_queue(skb, q->index);
    skb->protocol = eth_type_trans(skb, card->netdev);
    if (READ_ONCE(card->state) == BPFHV_RUNNING) {
        napi_gro_receive(&q->napi, skb);
    } else {
        netif_receive_skb(skb);
    }
}

/*
 * Receive the packet that begins at @bufs, of which there are @count. Return
 * how many it takes; 0: the device is broken.
 */
static u32 receive_one(struct bpfhv_queue *q, const struct bpfhv_buf *bufs,
                       u32 count)
{
    struct sk_buff *skb = NULL;
    bool is_whole = true;
    u32 at = 0;

    for (;;) {
        struct bpfhv_slot *slot = bpfhv_queue_take(q, bufs[at].cookie);
        u32 len = bufs[at].len;
        u32 room;
        void *data;

        if (!slot) {
            break;
        }
        room = slot->len;
        data = take_data(q, slot);
        if (len > room) {
            bpfhv_break(q->card, "receive queue %u returned %u bytes in a "
                        "buffer of %u", q->index, len, room);
            skb_free_frag(data);
            break;
        }
        if (is_whole) {
            is_whole = add_data(q->card, &skb, data, len);
        } else {
            skb_free_frag(data);
        }
        if (!(bufs[at++].flags & BPFHV_BUF_NEXT)) {
            if (is_whole) {
                deliver(q, skb, &bufs[0]);
            } else {
                bpfhv_count(&q->counters.dropped, 1);
                kfree_skb(skb);
            }
            return at;
        }
        if (at == count || !(q->card->features & BPFHV_F_SG)) {
            bpfhv_break(q->card, "receive queue %u returned a packet without "
                        "end", q->index);
            break;
        }
    }
    kfree_skb(skb);
    return 0;
}

/*
 * Receive what is completed. It comes in batches, so it may be some packets
 * more than @budget. Return how many.
 */
static int receive(struct bpfhv_queue *q, int budget)
{
    int packets = 0;

    while (packets < budget) {
        u32 count = bpfhv_queue_complete(q);
        u32 at = 0;

        if (!count) {
            break;
        }
        while (at < count) {
            u32 used = receive_one(q, &q->completed[at], count - at);

            if (!used) {
                return packets;
            }
            at += used;
            packets++;
        }
    }
    return packets;
}

/*
 * The interrupt is asked for while this is still scheduled: if it comes at
 * once, napi_complete_done() sees that, and there is another poll.
 */
int bpfhv_rx_poll(struct napi_struct *napi, int budget)
{
    struct bpfhv_queue *q = container_of(napi, struct bpfhv_queue, napi);
    int packets;

    if (!budget) {
        return 0;       /* netpoll, which only sends */
    }
    packets = bpfhv_is_broken(q->card) ? 0 : receive(q, budget);
    if (bpfhv_is_broken(q->card)) {
        napi_complete(napi);
        return 0;
    }
    /* Without any memory there is no interrupt either: look again. */
    if (!bpfhv_rx_fill(q) || packets >= budget || bpfhv_queue_arm(q, 1)) {
        return budget;
    }
    napi_complete_done(napi, packets);
    return packets;
}

void bpfhv_rx_drain(struct bpfhv_queue *q)
{
    local_bh_disable();
    if (!bpfhv_is_broken(q->card)) {
        receive(q, INT_MAX);
    }
    local_bh_enable();
    for (u32 i = 0; i < q->num_slots; i++) {
        if (q->slots[i].is_outstanding) {
            skb_free_frag(take_data(q, bpfhv_queue_take(q, i)));
        }
    }
}
