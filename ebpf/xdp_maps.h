/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps of a guest's card: its own table, its own count of memory. */
#ifndef EBPF_XDP_MAPS_H
#define EBPF_XDP_MAPS_H

#include "xdp_code.h"
#include "ebpf/xdp_wire.h"

/**
 * XdpMapSizes: of a map, in bytes
 * @value: on the wire, see xdp_wire_entry_len()
 */
typedef struct XdpMapSizes {
    uint32_t key, value;
} XdpMapSizes;

/**
 * XdpMaps: by their numbers, which are what a guest names
 * @map: for xdp_translate()
 * @freezes: the next program will have it frozen (BPF_F_RDONLY_PROG)
 * @memory: bytes that the kernel will take for all of them
 */
typedef struct XdpMaps {
    unsigned count;
    XdpMap map[XDP_MAX_MAPS];
    XdpMapSizes sizes[XDP_MAX_MAPS];
    bool freezes[XDP_MAX_MAPS];
    uint64_t memory;
} XdpMaps;

/**
 * xdp_map_memory:
 * @cpus: possible processors
 *
 * Pure. Returns: bytes that the kernel takes for such a map once it is full, a
 * little too many rather than too few; no overflow for any number from a
 * guest, as long as its key and value are within XDP_MAX_KEY and
 * XDP_MAX_VALUE
 */
uint64_t xdp_map_memory(uint32_t type, uint32_t key_size, uint32_t value_size,
                        uint32_t max_entries, unsigned cpus);

/**
 * xdp_maps_create:
 * @request: MAP_CREATE or MAP_TYPED
 * @max_maps: at most XDP_MAX_MAPS
 * @max_memory: bytes, of all maps
 * @why: receives the reason where there is one
 *
 * Returns: 0, and the new map's number is @maps->count - 1; or an errno, and
 * there is no new map
 */
int xdp_maps_create(XdpMaps *maps, const XdpWireMessage *request,
                    uint32_t max_maps, uint64_t max_memory, GString *why);

/**
 * xdp_maps_entries:
 * @request: LOOKUP, UPDATE, DELETE or NEXT
 * @data: receives what the answer has
 * @count: receives how many entries were done
 *
 * Returns: 0; or an errno, and nothing was done
 */
int xdp_maps_entries(const XdpMaps *maps, const XdpWireMessage *request,
                     GByteArray *data, uint32_t *count, GString *why);

/*
 * Freezes those that are to be frozen, before a program is loaded that uses
 * them. Returns 0, or an errno.
 */
int xdp_maps_freeze(XdpMaps *maps);

/* Closes all of them; @maps is empty then. */
void xdp_maps_clear(XdpMaps *maps);

#endif
