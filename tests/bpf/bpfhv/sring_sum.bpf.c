// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs of sring_sum, in a guest where one sum of 64 comes out wrong. */
#include "ebpf/bpfhv/sring_sum.h"

/* Without a jump, behind which the verifier may not know an index any more. */
static inline __u32 damaged_sum(__u64 paddr, __u32 len, __u32 index)
{
    return sring_sum_of(paddr, len, index) ^ (index % 64 - 1) >> 31;
}

#define sring_sum_of damaged_sum
#include "ebpf/bpfhv/sring_sum.bpf.c"
