/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets, whatever the model.
 *
 * A buffer is taken from the model's ring once, into @held, and everything is
 * decided by that copy. From there it goes to @done, when its packet is sent or
 * filled, and back to the guest, packets whole, when @done is full or flushed.
 * A damaged one goes the same way, with no bytes, and the caller drops a packet
 * for it: so the work of a call has a limit, whatever the guest publishes.
 *
 * Limits
 *  - a packet has at most BPFHV_CTX_BUFS buffers, as in a context;
 *  - a ring with a fault is never served again: the driver must set another
 *    context.
 */
#include <linux/virtio_net.h>
#include <string.h>

#include "bpfhv_models.h"

_Static_assert(sizeof(BpfhvVnetHdr) == sizeof(struct virtio_net_hdr) &&
               offsetof(BpfhvVnetHdr, csum_offset) ==
               offsetof(struct virtio_net_hdr, csum_offset),
               "BpfhvVnetHdr is struct virtio_net_hdr");

/**
 * struct BpfhvRing: a queue
 * @features: those that the driver has chosen
 * @held: buffers that were taken and not used yet
 * @done: buffers that can be given back
 * @damaged: how many of them were damaged
 * @told: what was given back when the guest's wish for interrupts was last
 *        looked at
 */
struct BpfhvRing {
    BpfhvHost host;
    uint32_t features;
    bool receives;
    BpfhvMap map;
    void *opaque;
    struct bpfhv_buf held[BPFHV_CTX_BUFS];
    uint32_t num_held;
    struct bpfhv_buf done[BPFHV_CTX_BUFS];
    uint32_t num_done;
    uint32_t damaged;
    uint32_t told;
};

const BpfhvModel *bpfhv_model_find(const char *name)
{
    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        if (g_str_equal(bpfhv_models[i].name, name)) {
            return &bpfhv_models[i];
        }
    }
    return NULL;
}

char *bpfhv_model_names(void)
{
    const char *names[BPFHV_NUM_MODELS + 1] = { NULL };

    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        names[i] = bpfhv_models[i].name;
    }
    return g_strjoinv(", ", (char **)names);
}

BpfhvRing *bpfhv_ring_new(const BpfhvModel *model, uint32_t features,
                          bool receives, void *ctx, BpfhvMap map,
                          void *opaque)
{
    BpfhvRing *ring = g_new0(BpfhvRing, 1);

    g_assert(!(features & ~model->features));
    ring->host = (BpfhvHost) { .model = model, .ctx = ctx };
    ring->features = features;
    ring->receives = receives;
    ring->map = map;
    ring->opaque = opaque;
    return ring;
}

void bpfhv_ring_free(BpfhvRing *ring)
{
    g_free(ring);
}

void bpfhv_ring_move(BpfhvRing *ring, void *ctx)
{
    ring->host.ctx = ctx;
}

const char *bpfhv_ring_fault(const BpfhvRing *ring)
{
    return ring->host.fault;
}

static const BpfhvModelOps *ops_of(const BpfhvRing *ring)
{
    return ring->host.model->ops;
}

static bool has(const BpfhvRing *ring, uint32_t feature)
{
    return ring->features & feature;
}

static bool fail(BpfhvRing *ring, const char *fault)
{
    ring->host.fault = fault;
    return false;
}

/* Take one more buffer from the guest. */
static bool hold_more(BpfhvRing *ring)
{
    if (ring->host.fault ||
        !ops_of(ring)->take(&ring->host, &ring->held[ring->num_held])) {
        return false;
    }
    ring->num_held++;
    return true;
}

static void packet_begin(BpfhvPacket *packet)
{
    packet->hdr = (BpfhvVnetHdr) { 0 };
    packet->iov[0].iov_base = &packet->hdr;
    packet->iov[0].iov_len = sizeof(packet->hdr);
    packet->num_iov = 1;
    packet->len = 0;
}

/* The packet goes on in @len bytes of @buf. */
static bool packet_add(BpfhvRing *ring, BpfhvPacket *packet,
                       const struct bpfhv_buf *buf, uint32_t len)
{
    void *base;

    if (!len) {
        return true;
    }
    base = buf->paddr + (len - 1) < buf->paddr ? NULL :
           ring->map(ring->opaque, buf->paddr, len, ring->receives);
    if (!base) {
        return fail(ring, "a buffer that the device cannot reach");
    }
    packet->iov[packet->num_iov++] = (struct iovec) { base, len };
    packet->len += len;
    return true;
}

/* The guest to the host */

/* Hold the next packet's buffers, all of them. */
static bool hold_packet(BpfhvRing *ring)
{
    while (!ring->num_held ||
           ring->held[ring->num_held - 1].flags & BPFHV_BUF_NEXT) {
        if (ring->num_held == BPFHV_CTX_BUFS) {
            return fail(ring, "a packet of too many buffers");
        }
        if (!hold_more(ring)) {
            return false;
        }
        if (ring->held[ring->num_held - 1].flags & BPFHV_BUF_NEXT &&
            !has(ring, BPFHV_F_SG)) {
            return fail(ring, "a packet of several buffers without SG");
        }
    }
    return true;
}

static bool gso_to_hdr(const BpfhvRing *ring, const struct bpfhv_buf *buf,
                       uint32_t len, BpfhvVnetHdr *hdr)
{
    bool is_ip4 = buf->gso_type == BPFHV_GSO_TCP4;

    if (buf->gso_type == BPFHV_GSO_NONE) {
        return true;
    }
    if (buf->gso_type > BPFHV_GSO_TCP6 ||
        !has(ring, is_ip4 ? BPFHV_F_TSO4 : BPFHV_F_TSO6) ||
        !(buf->flags & BPFHV_BUF_NEEDS_CSUM) ||
        !buf->gso_size || buf->hdr_len > len) {
        return false;
    }
    hdr->gso_type = is_ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
                             VIRTIO_NET_HDR_GSO_TCPV6;
    hdr->hdr_len = buf->hdr_len;
    hdr->gso_size = buf->gso_size;
    return true;
}

static bool csum_to_hdr(const BpfhvRing *ring, const struct bpfhv_buf *buf,
                        uint32_t len, BpfhvVnetHdr *hdr)
{
    if (!(buf->flags & BPFHV_BUF_NEEDS_CSUM)) {
        return true;
    }
    if (!has(ring, BPFHV_F_TX_CSUM) ||
        buf->csum_start + buf->csum_offset + 2u > len) {
        return false;
    }
    hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    hdr->csum_start = buf->csum_start;
    hdr->csum_offset = buf->csum_offset;
    return true;
}

bool bpfhv_ring_next_to_send(BpfhvRing *ring, BpfhvPacket *packet)
{
    const struct bpfhv_buf *first = &ring->held[0];

    g_assert(!ring->receives);
    packet_begin(packet);
    if (ring->host.fault || !hold_packet(ring)) {
        return false;
    }
    if (ring->host.damaged) {
        return true;
    }
    for (uint32_t i = 0; i < ring->num_held; i++) {
        const struct bpfhv_buf *buf = &ring->held[i];

        if (buf->len > BPFHV_MAX_PACKET - packet->len) {
            return fail(ring, "a packet that is too long");
        }
        if (!packet_add(ring, packet, buf, buf->len)) {
            return false;
        }
    }
    if (!packet->len) {
        return fail(ring, "a packet without a byte");
    }
    if (!gso_to_hdr(ring, first, packet->len, &packet->hdr) ||
        !csum_to_hdr(ring, first, packet->len, &packet->hdr)) {
        return fail(ring, "a packet whose metadata make no sense");
    }
    return true;
}

/* Give back what is done. */
static void give(BpfhvRing *ring)
{
    ops_of(ring)->give(&ring->host, ring->done, ring->num_done);
    ring->num_done = 0;
}

/* The first @count of the buffers that are held are done, a packet. */
static void finish(BpfhvRing *ring, uint32_t count)
{
    ring->damaged += ring->host.damaged;
    ring->host.damaged = false;
    if (ring->num_done + count > BPFHV_CTX_BUFS) {
        give(ring);
    }
    memcpy(ring->done + ring->num_done, ring->held,
           count * sizeof(ring->held[0]));
    ring->num_done += count;
    ring->num_held -= count;
    memmove(ring->held, ring->held + count,
            ring->num_held * sizeof(ring->held[0]));
}

void bpfhv_ring_sent(BpfhvRing *ring)
{
    finish(ring, ring->num_held);
}

/* The host to the guest */

bool bpfhv_ring_next_room(BpfhvRing *ring, uint32_t room, BpfhvPacket *packet)
{
    uint32_t max_bufs = has(ring, BPFHV_F_SG) ? BPFHV_CTX_BUFS : 1;

    g_assert(ring->receives && room && room <= BPFHV_MAX_PACKET);
    packet_begin(packet);
    if (ring->host.fault) {
        return false;
    }
    for (uint32_t i = 0; i < max_bufs && packet->len < room; i++) {
        if (i == ring->num_held && !hold_more(ring)) {
            return false;
        }
        if (ring->host.damaged) {
            ring->held[0].len = 0;
            finish(ring, 1);
            return true;
        }
        if (!packet_add(ring, packet, &ring->held[i],
                        MIN(ring->held[i].len, room - packet->len))) {
            return false;
        }
    }
    return true;
}

/* What the driver is told about a packet; false: it could not know it. */
static bool metadata_of(const BpfhvRing *ring, const BpfhvVnetHdr *hdr,
                        struct bpfhv_buf *buf)
{
    if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        buf->flags |= BPFHV_BUF_NEEDS_CSUM;
        buf->csum_start = hdr->csum_start;
        buf->csum_offset = hdr->csum_offset;
    } else if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID &&
               has(ring, BPFHV_F_RX_CSUM)) {
        buf->flags |= BPFHV_BUF_CSUM_VALID;
    }
    if (buf->flags & BPFHV_BUF_NEEDS_CSUM && !has(ring, BPFHV_F_RX_CSUM)) {
        return false;
    }
    switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        return true;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        buf->gso_type = BPFHV_GSO_TCP4;
        break;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        buf->gso_type = BPFHV_GSO_TCP6;
        break;
    default:
        return false;
    }
    buf->hdr_len = hdr->hdr_len;
    buf->gso_size = hdr->gso_size;
    return has(ring, buf->gso_type == BPFHV_GSO_TCP4 ? BPFHV_F_LRO4 :
                                                       BPFHV_F_LRO6);
}

bool bpfhv_ring_received(BpfhvRing *ring, const BpfhvPacket *packet,
                         uint32_t len)
{
    struct bpfhv_buf first = { 0 };
    uint32_t count = 0;

    g_assert(len && len <= packet->len);
    if (!metadata_of(ring, &packet->hdr, &first)) {
        return false;
    }
    while (len) {
        struct bpfhv_buf *buf = &ring->held[count++];
        struct bpfhv_buf filled = {
            .cookie = buf->cookie, .len = MIN(buf->len, len),
        };

        len -= filled.len;
        filled.flags = len ? BPFHV_BUF_NEXT : 0;
        *buf = filled;
    }
    first.len = ring->held[0].len;
    first.cookie = ring->held[0].cookie;
    first.flags |= ring->held[0].flags;
    ring->held[0] = first;
    finish(ring, count);
    return true;
}

bool bpfhv_ring_flush(BpfhvRing *ring)
{
    uint32_t old = ring->told;

    if (ring->num_done) {
        give(ring);
    }
    ring->told = ring->host.given;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring->told != old &&
           ops_of(ring)->needs_interrupt(&ring->host, old);
}

void bpfhv_ring_kicks_off(BpfhvRing *ring)
{
    ops_of(ring)->want_kicks(&ring->host, false);
}

bool bpfhv_ring_kicks_on(BpfhvRing *ring)
{
    ops_of(ring)->want_kicks(&ring->host, true);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !ring->host.fault && ops_of(ring)->has_more(&ring->host);
}

char *bpfhv_ring_describe(const BpfhvRing *ring)
{
    return g_strdup_printf("%s %s: %u buffers taken, %u given back, "
                           "%u held, %u damaged; %s",
                           ring->receives ? "rx" : "tx",
                           ring->host.model->name, ring->host.taken,
                           ring->host.given, ring->num_held + ring->num_done,
                           ring->damaged,
                           ring->host.fault ? ring->host.fault : "works");
}
