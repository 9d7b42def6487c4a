/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU and the privileged helper, tools/qemu-xdp-helper.c, say to each
 * other, over a connected AF_UNIX socket (SOCK_SEQPACKET).
 *
 * QEMU sends a XdpHelperRequest, with a descriptor of the tap. The helper sends
 * XDP_HELPER_READY, ", " and how many counters there are, and a descriptor of
 * their map (see XdpTarget.counters_fd), to be mapped and read; or a line of
 * text that says why not, and ends. From then on each of QEMU's messages is a
 * frame of a guest (xdp_wire.h), and the helper answers it with one. Before an
 * answer there may be a message for QEMU itself: XDP_HELPER_REDIRECTED and
 * text, what becomes from now on of packets that are redirected to the tap by
 * XDP; its first byte tells it from a frame. When either end is closed, what
 * the guest had in the host is gone.
 */
#ifndef EBPF_XDP_HELPER_WIRE_H
#define EBPF_XDP_HELPER_WIRE_H

#include <stdint.h>

/* Who changes the request, or what is said later, changes this, too. */
#define XDP_HELPER_MAGIC "xdp 2"

#define XDP_HELPER_READY XDP_HELPER_MAGIC
#define XDP_HELPER_REDIRECTED "redirected: "

#define XDP_HELPER_SOCKET "/run/qemu-xdp-helper.socket"

enum {
    XDP_HELPER_MAGIC_LEN = 8,
    XDP_HELPER_NAME_LEN = 64,       /* with a zero */
    XDP_HELPER_TEXT_MAX = 512,      /* bytes of the answer */
    XDP_HELPER_MAX_COUNTERS = 8 * 8192,

    /* The request is there before the helper is, or soon. */
    XDP_HELPER_REQUEST_MS = 100,
};

/* Bits of XdpHelperRequest.flags: see XdpSessionConfig */
enum {
    XDP_HELPER_REWRITE = 1 << 0,
    XDP_HELPER_TRUSTED = 1 << 1,
    XDP_HELPER_GSO_PASS = 1 << 2,
};

/**
 * XdpHelperRequest: in the byte order of the host, on which both are
 * @magic: XDP_HELPER_MAGIC, and zeros
 * @max_insns, @max_maps, @max_memory: see XdpSessionConfig
 * @name: the card's, for the journal; letters, digits, "_", ".", "-"
 */
typedef struct XdpHelperRequest {
    char magic[XDP_HELPER_MAGIC_LEN];
    uint32_t flags;
    uint32_t max_insns, max_maps;
    uint32_t reserved;              /* 0 */
    uint64_t max_memory;            /* bytes */
    char name[XDP_HELPER_NAME_LEN];
} XdpHelperRequest;

#endif
