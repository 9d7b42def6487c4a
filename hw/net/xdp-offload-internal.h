/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the chardev xdp-offload share. */
#ifndef HW_NET_XDP_OFFLOAD_INTERNAL_H
#define HW_NET_XDP_OFFLOAD_INTERNAL_H

#include <net/if.h>
#include "chardev/char.h"
#include "ebpf/xdp_helper_wire.h"
#include "ebpf/xdp_limits.h"
#include "ebpf/xdp_wire.h"
#include "hw/qdev-core.h"
#include "net/net.h"
#include "qapi/qapi-types-xdp-offload.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "xdp-offload-compat.h"

#define TYPE_CHARDEV_XDP_OFFLOAD "chardev-xdp-offload"
OBJECT_DECLARE_SIMPLE_TYPE(XdpOffload, CHARDEV_XDP_OFFLOAD)

/**
 * XdpOffload:
 * @opened: the guest has the port open
 * @arrives: what the port says next is how it was elsewhere, or before
 * @migrates: the VM does, to another QEMU or into a file; it may come back
 * @socket: to the helper, or -1
 * @cards: tells when a card goes; from the first connection on
 * @tap: of the card, while @socket is open
 * @ifname: its name, or empty
 * @paid_ms: until when the connections that were made are paid for
 * @in, @in_len: the request that comes, or is being answered
 * @out, @out_len, @out_at: the answer, and how much of it the guest has
 * @request: decoded, while ASKS
 * @examines: there is a program in the host
 * @redirected: what becomes of packets that are redirected to the tap, as the
 *              helper says, while @socket is open; or NULL
 * @memory: bytes that the maps took when the guest asked last, or 0
 * @counters, @n_counters: the helper's, or NULL
 * @reason: why something was refused last, or NULL
 */
struct XdpOffload {
    Chardev parent;
    char *nic, *helper;
    XdpHelperRequest limits;

    XdpOffloadState state;
    bool opened, arrives, migrates;
    int socket;
    DeviceListener cards;
    NetClientState *tap;
    char ifname[IFNAMSIZ];
    QEMUTimer *deadline, *look;
    VMChangeStateEntry *runs;
    XdpOffloadMigration migration;
    int64_t paid_ms;
    uint8_t in[XDP_WIRE_MAX], out[XDP_WIRE_MAX];
    size_t in_len, out_len, out_at;
    XdpWireMessage request;

    bool examines;
    char program[XDP_WIRE_NAME];
    char *redirected;
    int64_t since_ms;
    uint64_t memory;
    const uint64_t *counters;
    size_t n_counters;
    char *reason;
    QTAILQ_ENTRY(XdpOffload) next;
};

/* All chardevs of this kind, the oldest first; with the BQL held. */
typedef QTAILQ_HEAD(XdpOffloads, XdpOffload) XdpOffloads;
extern XdpOffloads xdp_offloads;

#endif
