/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model sring: a buffer for each packet, no offloads. */
#ifndef EBPF_BPFHV_SRING_H
#define EBPF_BPFHV_SRING_H

#include "linux/bpfhv/bpfhv_abi.h"
#include "sring_head.h"

/**
 * struct sring_desc: a buffer
 * @paddr: its address
 * @len: its bytes; the host writes how many it has filled
 * @cookie: the driver's; the host leaves it
 */
struct sring_desc {
    __u64 paddr;
    __u32 len;
    __u16 cookie;
    __u16 unused;
};

struct sring_ctx {
    struct bpfhv_ctx common;
    struct sring_head head;
    struct sring_desc desc[SRING_ENTRIES];
};

_Static_assert(sizeof(struct sring_desc) == 16, "a descriptor has 16 bytes");

#endif
