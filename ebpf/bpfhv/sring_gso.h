/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model sring_gso: packets of several buffers, checksums, segmentation. */
#ifndef EBPF_BPFHV_SRING_GSO_H
#define EBPF_BPFHV_SRING_GSO_H

#include "linux/bpfhv/bpfhv_abi.h"
#include "sring_head.h"

/*
 * A descriptor is the ABI's buffer. The host writes its @len, and in a
 * received packet @flags and, in the first one, the metadata. It completes
 * packets whole.
 */
struct sring_gso_ctx {
    struct bpfhv_ctx common;
    struct sring_head head;
    struct bpfhv_buf desc[SRING_ENTRIES];
};

#endif
