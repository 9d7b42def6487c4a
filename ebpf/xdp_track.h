/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a program has its context, instruction by instruction. */
#ifndef EBPF_XDP_TRACK_H
#define EBPF_XDP_TRACK_H

#include "xdp_code.h"

/* What may be changed in a packet. */
typedef enum XdpMayChange {
    XDP_CHANGE_NOTHING,
    XDP_CHANGE_ADDRESSES,       /* of Ethernet: the first 12 bytes */
    XDP_CHANGE_ALL,
} XdpMayChange;

/**
 * XdpTrack: what is known of each instruction
 * @on_context: per instruction: it loads from the context, or it is a helper
 *              that gets it
 * @set: per instruction: which registers hold something that may be read, as
 *       bits; the others are free
 * @args: per function: which registers it reads that its caller has set
 * @depth: per function: how far its stack goes down, in bytes, up to 512
 * @changes: the program may change packets
 */
typedef struct XdpTrack {
    bool *on_context;
    uint16_t *set;
    uint8_t args[XDP_MAX_FUNCTIONS];
    uint16_t depth[XDP_MAX_FUNCTIONS];
    bool changes;
} XdpTrack;

/**
 * xdp_track_new:
 * @may_change: what the program may change in packets
 *
 * Returns: NULL with @error set, if it cannot be said of each access whether
 * it is one to the context, if the context gets where it cannot be followed,
 * if a packet is changed that may not be, or if code is never reached
 */
XdpTrack *xdp_track_new(const XdpCode *code, XdpMayChange may_change,
                        GError **error);

void xdp_track_free(XdpTrack *track);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(XdpTrack, xdp_track_free)

#endif
