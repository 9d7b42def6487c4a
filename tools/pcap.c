/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source: draft-ietf-opsawg-pcap, "PCAP Capture File Format". A file has a
 * header of 24 bytes, and before each packet one of 16, in the byte order of
 * the machine that wrote it.
 */
#include <string.h>

#include "net/rss.h"
#include "pcap.h"

enum {
    HEADER = 24,
    LINK_TYPE = 20,             /* offset in the header; the low 16 bits */
    PACKET_HEADER = 16,
    CAPTURED = 8,               /* offset in a packet's header */
    MAGIC_MICRO = 0xa1b2c3d4,
    MAGIC_NANO = 0xa1b23c4d,
    LINK_ETHERNET = 1,
    LINK_RAW_BSD = 12,
    LINK_RAW = 101,
};

struct Pcap {
    char *bytes;
    gsize len, at;
    bool swapped, ip;
};

static uint32_t number(const Pcap *pcap, gsize at)
{
    uint32_t value;

    memcpy(&value, pcap->bytes + at, sizeof(value));
    return pcap->swapped ? GUINT32_SWAP_LE_BE(value) : value;
}

static bool has_magic(const Pcap *pcap)
{
    uint32_t magic = number(pcap, 0);

    return magic == MAGIC_MICRO || magic == (uint32_t)MAGIC_NANO;
}

Pcap *pcap_read(const char *file, GError **error)
{
    g_autoptr(Pcap) pcap = g_new0(Pcap, 1);
    uint32_t link = 0;
    bool good = false;

    if (!g_file_get_contents(file, &pcap->bytes, &pcap->len, error)) {
        return NULL;
    }
    if (pcap->len >= HEADER) {
        pcap->swapped = !has_magic(pcap);
        good = has_magic(pcap);
        link = number(pcap, LINK_TYPE) & 0xffff;
    }
    pcap->at = HEADER;
    pcap->ip = link == LINK_RAW || link == LINK_RAW_BSD;
    if (!good) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: not a capture in the format pcap (pcapng becomes one"
                    " by \"editcap -F pcap\")", file);
        return NULL;
    }
    if (link != LINK_ETHERNET && !pcap->ip) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: its packets have link type %u; Ethernet (1) and IP"
                    " (101) are supported", file, link);
        return NULL;
    }
    return g_steal_pointer(&pcap);
}

void pcap_free(Pcap *pcap)
{
    if (pcap) {
        g_free(pcap->bytes);
        g_free(pcap);
    }
}

bool pcap_is_ip(const Pcap *pcap)
{
    return pcap->ip;
}

bool pcap_next(Pcap *pcap, const uint8_t **data, size_t *len, GError **error)
{
    gsize rest = pcap->len - pcap->at;

    if (!rest) {
        return false;
    }
    if (rest < PACKET_HEADER ||
        number(pcap, pcap->at + CAPTURED) > rest - PACKET_HEADER) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "the capture is cut off at byte %" G_GSIZE_FORMAT,
                    pcap->at);
        return false;
    }
    *len = number(pcap, pcap->at + CAPTURED);
    *data = (uint8_t *)pcap->bytes + pcap->at + PACKET_HEADER;
    pcap->at += PACKET_HEADER + *len;
    return true;
}
