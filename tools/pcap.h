/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading captures, in the classic format of libpcap. */
#ifndef TOOLS_PCAP_H
#define TOOLS_PCAP_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A capture in memory. */
typedef struct Pcap Pcap;

/**
 * pcap_read:
 *
 * Returns: NULL with @error set if the file is not a capture of Ethernet
 * frames or of IP packets
 */
Pcap *pcap_read(const char *file, GError **error);

void pcap_free(Pcap *pcap);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pcap, pcap_free)

/* Are they IP packets, as a tun device has them, without Ethernet? */
bool pcap_is_ip(const Pcap *pcap);

/**
 * pcap_next:
 * @data: receives where the packet is, in memory of @pcap's
 * @len: receives how many bytes of it were captured
 *
 * Returns: false at the end, or with @error set where the file is damaged
 */
bool pcap_next(Pcap *pcap, const uint8_t **data, size_t *len, GError **error);

#endif
