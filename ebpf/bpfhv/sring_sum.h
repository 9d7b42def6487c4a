/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model sring_sum: sring, with a sum in each descriptor, and the example
 * of docs/bpfhv_models.rst.
 *
 * Who reads a descriptor that the other side has not written so, or has written
 * for another place or another round, drops its packet and goes on. Buffers
 * come back in their order, so a cookie need not go to the host and back, where
 * it could be damaged: the guest keeps it.
 */
#ifndef EBPF_BPFHV_SRING_SUM_H
#define EBPF_BPFHV_SRING_SUM_H

#include "linux/bpfhv/bpfhv_abi.h"
#include "sring_head.h"

/**
 * struct sring_sum_desc: a buffer
 * @paddr: its address
 * @len: its bytes; the host writes how many it has filled
 * @sum: sring_sum_of(), of the side that has written @len
 */
struct sring_sum_desc {
    __u64 paddr;
    __u32 len;
    __u32 sum;
};

/* @cookie: the guest's; it takes back what it has put there */
struct sring_sum_ctx {
    struct bpfhv_ctx common;
    struct sring_head head;
    struct sring_sum_desc desc[SRING_ENTRIES];
    __u16 cookie[SRING_ENTRIES];
};

_Static_assert(sizeof(struct sring_sum_desc) == 16,
               "a descriptor has 16 bytes");

/* FNV-1a, by words: a step is one to one, so no error of a word is missed. */
static inline __u32 sring_sum_add(__u32 sum, __u32 word)
{
    return (sum ^ word) * 0x01000193;
}

/*
 * The sum of a descriptor, at @index as the indices of struct sring_head count.
 * The host, which leaves the address, takes 0 for @paddr.
 */
static inline __u32 sring_sum_of(__u64 paddr, __u32 len, __u32 index)
{
    __u32 sum = sring_sum_add(0x811c9dc5, index);

    sum = sring_sum_add(sum, len);
    sum = sring_sum_add(sum, paddr);
    return sring_sum_add(sum, paddr >> 32);
}

#endif
