/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What steer_attached.bpf.c writes for its loader. Read by both compilers.
 */
#ifndef EBPF_STEER_ATTACHED_ABI_H
#define EBPF_STEER_ATTACHED_ABI_H

#include <linux/types.h>

enum {
    STEER_NAME_LEN = 16,        /* of a program or a map; ends with a zero */
    STEER_TAG_LEN = 8,
    STEER_MAX_MAPS = 64,        /* the verifier lets no program have more */
};

/* Which device is asked about. */
struct steer_question {
    __u32 netns;                /* inode number of the network namespace */
    __u32 ifindex;              /* of a tun or tap device in it */
};

/*
 * What is in its slot. @loaded_ns: as CLOCK_BOOTTIME; @uid: who loaded it, as
 * the initial user namespace numbers users. All zeros from @program_id on: no
 * program.
 */
struct steer_answer {
    __u32 queues;               /* that are on */
    __u32 program_id;
    __u64 loaded_ns;
    __u32 uid;
    __u32 n_maps;
    __u8 tag[STEER_TAG_LEN];
    char name[STEER_NAME_LEN];
    __u32 map_id[STEER_MAX_MAPS];
};

_Static_assert(sizeof(struct steer_answer) ==
               8 + 8 + 8 + STEER_TAG_LEN + STEER_NAME_LEN + 4 * STEER_MAX_MAPS,
               "struct steer_answer is read as bytes: it has no padding");

#endif
