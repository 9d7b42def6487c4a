/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's own receive path, as far as it concerns RSS: the analysis of a packet
 * and its hash, by the functions of QEMU's source files, which are compiled
 * with this one (see harness/bench/peers.py). This file makes the calls that
 * virtio-net makes for a packet. It is only ever compiled at bench time.
 */
#include "qemu/osdep.h"
#include "net_rx_pkt.h"

#include "peer.h"

static struct NetRxPkt *pkt;
static uint8_t rss_key[40];

/* What the other files refer to, but never use here. */
int qemu_loglevel;
void qemu_log(const char *format, ...);
void qemu_hexdump(FILE *file, const char *prefix, const void *data,
                  size_t size);

void qemu_log(const char *format, ...)
{
    abort();
}

void qemu_hexdump(FILE *file, const char *prefix, const void *data,
                  size_t size)
{
    abort();
}

bool buffer_is_zero(const void *data, size_t len)
{
    abort();
}

static bool init(const uint8_t *key)
{
    memcpy(rss_key, key, sizeof(rss_key));
    net_rx_pkt_init(&pkt, false);
    return true;
}

static int hash_type(bool ip4, bool ip6, bool udp, bool tcp)
{
    if (ip4) {
        return tcp ? NetPktRssIpV4Tcp : udp ? NetPktRssIpV4Udp : NetPktRssIpV4;
    }
    if (ip6) {
        return tcp ? NetPktRssIpV6Tcp : udp ? NetPktRssIpV6Udp : NetPktRssIpV6;
    }
    return -1;
}

static uint32_t hash_frame(const uint8_t *frame, size_t len)
{
    bool ip4, ip6, udp, tcp;
    int type;

    net_rx_pkt_set_protocols(pkt, frame, len);
    net_rx_pkt_get_protocols(pkt, &ip4, &ip6, &udp, &tcp);
    if ((ip4 && net_rx_pkt_get_ip4_info(pkt)->fragment) ||
        (ip6 && net_rx_pkt_get_ip6_info(pkt)->fragment)) {
        udp = tcp = false;
    }
    type = hash_type(ip4, ip6, udp, tcp);
    return type < 0 ? 0 : net_rx_pkt_calc_rss_hash(pkt, type, rss_key);
}

const BenchPeer bench_peers[] = {
    { .name = "stock", .init = init, .frame = hash_frame },
    { .name = NULL },
};
