/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queues of a bpfhv device that QEMU itself serves: between the rings
 * (ebpf/bpfhv/bpfhv_ring.c) and a netdev.
 *
 * A transmit queue runs in a bottom half, which a doorbell schedules: at most
 * TX_BURST packets, then others get their turn. A receive queue runs when the
 * netdev has a packet; without room for it the netdev keeps it until the guest
 * kicks.
 *
 * Memory: buffers are reached only as RAM. A buffer that is a device's register
 * would make the guest's card write to another device, or to itself. A message
 * of MSI-X can go to a register, too; QEMU's guard, which is engaged while a
 * queue runs, keeps it from ours.
 */
#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"

#include "bpfhv-internal.h"

enum {
    TX_BURST = 256,
};

static bool is_served(const BpfhvQueue *q)
{
    return q->s->enabled & bpfhv_enable_bit(q) && q->ring && q->ctx.ptr;
}

/* Tell of what the guest did wrong, once. */
static void tell_fault(BpfhvQueue *q)
{
    if (bpfhv_ring_fault(q->ring) && !q->told) {
        q->told = true;
        qemu_log_mask(LOG_GUEST_ERROR, "%s: queue %u is stopped: %s\n",
                      q->nc->name, q->index, bpfhv_ring_fault(q->ring));
    }
}

static void flush(BpfhvQueue *q)
{
    bool interrupt = bpfhv_ring_flush(q->ring);

    tell_fault(q);
    if (interrupt) {
        msix_notify(PCI_DEVICE(q->s), q->index);
    }
}

/* Guest memory */

static bool is_ram(BpfhvQueue *q, uint64_t address, uint32_t len, bool write)
{
    hwaddr xlat, plen = len;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(pci_get_address_space(PCI_DEVICE(q->s)),
                                 address, &xlat, &plen, write,
                                 MEMTXATTRS_UNSPECIFIED);
    return plen == len && memory_region_is_ram(mr) &&
           !memory_region_is_ram_device(mr) &&
           !(write && memory_region_is_rom(mr));
}

static DMADirection direction_of(const BpfhvQueue *q)
{
    return q->receives ? DMA_DIRECTION_FROM_DEVICE : DMA_DIRECTION_TO_DEVICE;
}

/* A BpfhvMap */
static void *map_buffer(void *opaque, uint64_t address, uint32_t len,
                        bool write)
{
    BpfhvQueue *q = opaque;
    dma_addr_t got = len;
    void *base;

    if (!is_ram(q, address, len, write)) {
        return NULL;
    }
    base = pci_dma_map(PCI_DEVICE(q->s), address, &got, direction_of(q));
    if (!base || got != len) {
        if (base) {
            pci_dma_unmap(PCI_DEVICE(q->s), base, got, direction_of(q), 0);
        }
        return NULL;
    }
    q->maps[q->num_maps++] = (BpfhvMapping) { base, len };
    return base;
}

static void unmap_buffers(BpfhvQueue *q)
{
    for (uint32_t i = 0; i < q->num_maps; i++) {
        const BpfhvMapping *map = &q->maps[i];

        pci_dma_unmap(PCI_DEVICE(q->s), map->base, map->len, direction_of(q),
                      q->receives ? map->len : 0);
    }
    q->num_maps = 0;
}

static uint32_t ctx_size(const BpfhvQueue *q)
{
    return q->receives ? q->s->sizes.rx_ctx : q->s->sizes.tx_ctx;
}

/* Map all of a context, or nothing. */
static bool map_ctx(BpfhvQueue *q, MemoryRegionCache *cache, uint64_t address)
{
    uint32_t size = ctx_size(q);
    int64_t got = address_space_cache_init(
        cache, pci_get_address_space(PCI_DEVICE(q->s)), address, size, true);

    if (got == size && cache->ptr) {
        return true;
    }
    address_space_cache_destroy(cache);
    memset(cache, 0, sizeof(*cache));
    return false;
}

static void unmap_ctx(BpfhvQueue *q)
{
    if (q->ctx.ptr) {
        address_space_cache_invalidate(&q->ctx, 0, ctx_size(q));
        address_space_cache_destroy(&q->ctx);
        memset(&q->ctx, 0, sizeof(q->ctx));
    }
}

bool bpfhv_queue_reaches(BpfhvQueue *q, uint64_t address)
{
    MemoryRegionCache cache = { 0 };

    if (address % 128 || address > UINT64_MAX - ctx_size(q) ||
        !map_ctx(q, &cache, address)) {
        return false;
    }
    address_space_cache_destroy(&cache);
    return !q->s->remote ||
           bpfhv_remote_reaches(q->s->remote, address, ctx_size(q));
}

bool bpfhv_queue_set_ctx(BpfhvQueue *q, uint64_t address)
{
    const BpfhvState *s = q->s;
    MemoryRegionCache cache = { 0 };

    if (address && !bpfhv_queue_reaches(q, address)) {
        return false;
    }
    if (s->remote) {
        q->ctx_address = address;
        return true;
    }
    if (address && !map_ctx(q, &cache, address)) {
        return false;
    }
    unmap_ctx(q);
    bpfhv_ring_free(q->ring);
    q->ring = NULL;
    q->told = false;
    q->ctx_address = address;
    q->ctx = cache;
    if (address) {
        q->ring = bpfhv_ring_new(s->model, s->features, q->receives,
                                 q->ctx.ptr, map_buffer, q);
    }
    return true;
}

void bpfhv_queue_remap(BpfhvQueue *q)
{
    MemoryRegionCache cache = { 0 };

    if (q->ctx_address) {
        map_ctx(q, &cache, q->ctx_address);
        unmap_ctx(q);
        q->ctx = cache;
        bpfhv_ring_move(q->ring, q->ctx.ptr);
    }
}

/* The guest transmits */

static void tx_complete(NetClientState *nc, ssize_t len)
{
    BpfhvState *s = qemu_get_nic_opaque(nc);
    BpfhvQueue *q = &s->queues[s->num_pairs + nc->queue_index];

    q->waits = false;
    qemu_bh_schedule(q->bh);
}

/* Send the next packet; false: there is none. */
static bool tx_one(BpfhvQueue *q)
{
    bool hdr = q->s->has_vnet_hdr;
    BpfhvPacket packet;

    if (!bpfhv_ring_next_to_send(q->ring, &packet)) {
        unmap_buffers(q);
        return false;
    }
    /* 0: the netdev has a copy, and is busy. */
    q->waits = packet.len &&
               qemu_sendv_packet_async(q->nc, packet.iov + !hdr,
                                       packet.num_iov - !hdr,
                                       tx_complete) == 0;
    unmap_buffers(q);
    bpfhv_ring_sent(q->ring);
    return true;
}

static void tx_run(void *opaque)
{
    BpfhvQueue *q = opaque;
    int left = TX_BURST;

    if (!is_served(q) || q->waits) {
        return;
    }
    bpfhv_ring_kicks_off(q->ring);
    while (left && !q->waits && tx_one(q)) {
        left--;
    }
    flush(q);
    if (!q->waits && (!left || bpfhv_ring_kicks_on(q->ring))) {
        qemu_bh_schedule(q->bh);
    }
}

/* The guest receives */

static BpfhvQueue *rx_queue_of(NetClientState *nc)
{
    BpfhvState *s = qemu_get_nic_opaque(nc);

    return &s->queues[nc->queue_index];
}

static bool rx_can(NetClientState *nc)
{
    return is_served(rx_queue_of(nc));
}

/*
 * Find room, or have the guest kick when there is more. What it publishes
 * before it sees that it has to is there at the second look; after that it
 * kicks, so there is no third, whatever it does.
 */
static bool rx_room(BpfhvQueue *q, uint32_t len, BpfhvPacket *packet)
{
    bpfhv_ring_kicks_off(q->ring);
    if (bpfhv_ring_next_room(q->ring, len, packet)) {
        return true;
    }
    unmap_buffers(q);
    return bpfhv_ring_kicks_on(q->ring) &&
           bpfhv_ring_next_room(q->ring, len, packet);
}

static void rx_fill(BpfhvPacket *packet, const struct iovec *iov, int count,
                    size_t hdr_len)
{
    size_t at = hdr_len;

    iov_to_buf(iov, count, 0, &packet->hdr, hdr_len);
    for (uint32_t i = 1; i < packet->num_iov; i++) {
        const struct iovec *part = &packet->iov[i];

        at += iov_to_buf(iov, count, at, part->iov_base, part->iov_len);
    }
}

/* Return: bytes taken; 0: later. */
static ssize_t rx_packet(NetClientState *nc, const struct iovec *iov,
                         int count)
{
    BpfhvQueue *q = rx_queue_of(nc);
    size_t hdr_len = q->s->has_vnet_hdr ? sizeof(BpfhvVnetHdr) : 0;
    size_t size = iov_size(iov, count);
    BpfhvPacket packet;
    bool room;

    if (!is_served(q)) {
        return 0;
    }
    if (size <= hdr_len || size - hdr_len > BPFHV_MAX_PACKET) {
        return size;
    }
    room = rx_room(q, size - hdr_len, &packet);
    if (room && packet.len == size - hdr_len) {
        rx_fill(&packet, iov, count, hdr_len);
        bpfhv_ring_received(q->ring, &packet, packet.len);
    }
    unmap_buffers(q);
    flush(q);
    return room || bpfhv_ring_fault(q->ring) ? size : 0;
}

static void link_changed(NetClientState *nc)
{
    BpfhvState *s = qemu_get_nic_opaque(nc);

    if (s->remote) {
        bpfhv_remote_enable(s->remote);
        if (s->nic->peer_deleted) {
            bpfhv_remote_netdev_gone(s->remote);
        }
    }
    bpfhv_tell_status(s);
}

/* Both ways */

void bpfhv_queue_kick(BpfhvQueue *q)
{
    if (q->s->remote) {
        event_notifier_set(&q->kick);
        return;
    }
    if (!is_served(q)) {
        return;
    }
    if (q->receives) {
        qemu_flush_queued_packets(q->nc);
    } else {
        qemu_bh_schedule(q->bh);
    }
}

static void on_kick(EventNotifier *kick)
{
    BpfhvQueue *q = container_of(kick, BpfhvQueue, kick);

    if (event_notifier_test_and_clear(kick)) {
        bpfhv_queue_kick(q);
    }
}

void bpfhv_queues_start(BpfhvState *s, bool receive)
{
    uint32_t first = receive ? 0 : s->num_pairs;

    for (uint32_t i = 0; i < s->num_pairs; i++) {
        bpfhv_queue_kick(&s->queues[first + i]);
    }
}

/* Each call ends with its buffers unmapped, so nothing goes on behind it. */
void bpfhv_queues_stop(BpfhvState *s, bool receive)
{
    for (uint32_t i = 0; i < s->num_pairs && !receive; i++) {
        BpfhvQueue *q = &s->queues[s->num_pairs + i];

        /* What the netdev keeps is a copy; it calls tx_complete(). */
        if (q->nc->peer) {
            qemu_flush_or_purge_queued_packets(q->nc->peer, true);
        }
        qemu_bh_cancel(q->bh);
    }
}

static NetClientInfo client_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .can_receive = rx_can,
    .receive_iov = rx_packet,
    .link_status_changed = link_changed,
};

static void add_doorbell(BpfhvQueue *q)
{
    memory_region_add_eventfd(&q->s->doorbells,
                              q->index * BPFHV_DOORBELL_SIZE, 4, false, 0,
                              &q->kick);
}

static void remove_doorbell(BpfhvQueue *q)
{
    memory_region_del_eventfd(&q->s->doorbells,
                              q->index * BPFHV_DOORBELL_SIZE, 4, false, 0,
                              &q->kick);
}

int bpfhv_renew_notifier(EventNotifier *notifier)
{
    EventNotifier fresh = { 0 };
    int ret = event_notifier_init(&fresh, false);

    if (ret == 0) {
        event_notifier_cleanup(notifier);
        *notifier = fresh;
    }
    return ret;
}

static void set_doorbells(BpfhvState *s, bool on)
{
    memory_region_transaction_begin();
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        if (on) {
            add_doorbell(&s->queues[i]);
        } else {
            remove_doorbell(&s->queues[i]);
        }
    }
    memory_region_transaction_commit();
}

/*
 * KVM is told what differs from before, and two doorbells are the same where
 * their EventNotifier is: so they are removed before, in a transaction of their
 * own.
 */
int bpfhv_queues_renew_kicks(BpfhvState *s)
{
    int ret = 0;

    set_doorbells(s, false);
    for (uint32_t i = 0; ret == 0 && i < bpfhv_num_queues(s); i++) {
        ret = bpfhv_renew_notifier(&s->queues[i].kick);
    }
    set_doorbells(s, true);
    return ret;
}

static bool queue_init(BpfhvState *s, uint32_t index, Error **errp)
{
    BpfhvQueue *q = &s->queues[index];
    int ret = event_notifier_init(&q->kick, false);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot create the doorbell of queue %u",
                         index);
        return false;
    }
    q->s = s;
    q->index = index;
    q->receives = index < s->num_pairs;
    q->nc = qemu_get_subqueue(s->nic, index % s->num_pairs);
    if (!q->receives) {
        q->bh = qemu_bh_new_guarded(tx_run, q,
                                    &DEVICE(s)->mem_reentrancy_guard);
    }
    if (!s->remote) {
        event_notifier_set_handler(&q->kick, on_kick);
    }
    add_doorbell(q);
    return true;
}

static void queue_cleanup(BpfhvQueue *q)
{
    if (!q->s) {
        return;         /* it was never made */
    }
    remove_doorbell(q);
    event_notifier_set_handler(&q->kick, NULL);
    event_notifier_cleanup(&q->kick);
    bpfhv_queue_set_ctx(q, 0);
    if (q->bh) {
        qemu_bh_delete(q->bh);
    }
    memset(q, 0, sizeof(*q));
}

bool bpfhv_queues_init(BpfhvState *s, Error **errp)
{
    s->nic = qemu_new_nic(&client_info, &s->conf, TYPE_BPFHV, DEVICE(s)->id,
                          &DEVICE(s)->mem_reentrancy_guard, s);
    qemu_format_nic_info_str(qemu_get_queue(s->nic), s->conf.macaddr.a);
    s->has_vnet_hdr = true;
    for (uint32_t i = 0; i < s->num_pairs; i++) {
        NetClientState *peer = qemu_get_subqueue(s->nic, i)->peer;

        s->has_vnet_hdr &= peer && qemu_has_vnet_hdr(peer);
    }
    for (uint32_t i = 0; s->has_vnet_hdr && i < s->num_pairs; i++) {
        bpfhv_use_vnet_hdr(qemu_get_subqueue(s->nic, i)->peer,
                           sizeof(BpfhvVnetHdr));
    }
    memory_region_transaction_begin();
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        if (!queue_init(s, i, errp)) {
            memory_region_transaction_commit();
            bpfhv_queues_cleanup(s);
            return false;
        }
    }
    memory_region_transaction_commit();
    return true;
}

void bpfhv_queues_cleanup(BpfhvState *s)
{
    if (!s->nic) {
        return;
    }
    /* First, for packets that the netdev keeps end in tx_complete(). */
    qemu_del_nic(s->nic);
    s->nic = NULL;
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        queue_cleanup(&s->queues[i]);
    }
}
