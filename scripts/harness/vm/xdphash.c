/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xdphash: print what an XDP program is told of each packet's hash.
 *
 * Runs in our guests.  From Linux 6.10 on the driver of virtio-net tells an XDP
 * program a packet's hash and what was hashed, which is the report code of the
 * header (bpf_xdp_metadata_rx_hash()).  A function of the kernel is called by
 * its number in the kernel's BTF, which is looked up here.
 *
 *     xdphash INTERFACE COUNT
 *
 * prints "ready", then, when it has COUNT packets, or none has come for a
 * while, for each "LENGTH HASH TYPE ERROR": TYPE is enum xdp_rss_hash_type, in
 * hexadecimal as the hash, and ERROR 0 or what the function returned.
 */

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FUNCTION "bpf_xdp_metadata_rx_hash"

enum {
    SILENCE = 30000,                /* ms */
    PAUSE = 50,                     /* ms */
    MAP_PUSH_ELEM = 87,             /* the helper's number */
    DEV_BOUND_ONLY = 1 << 6,        /* BPF_F_XDP_DEV_BOUND_ONLY, 6.3 */
    RECORD = -24,                   /* on the program's stack */
};

struct record {
    uint32_t len, hash, type;
    int32_t error;
};

static int bpf(int command, union bpf_attr *attr)
{
    return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Returns how many bytes follow a type's head. */
static size_t rest_of(const struct btf_type *type)
{
    size_t n = BTF_INFO_VLEN(type->info);

    switch (BTF_INFO_KIND(type->info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
        return 4;
    case BTF_KIND_ARRAY:
        return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
        return n * 12;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
        return n * 8;
    default:
        return 0;
    }
}

/* Returns the number of the function in the kernel's BTF, or 0. */
static int function_number(void)
{
    int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY), number = 1;
    off_t size = lseek(fd, 0, SEEK_END);
    char *btf = size > 0 ? malloc(size) : NULL, *at, *end, *names;
    const struct btf_header *header = (void *)btf;
    off_t got = 0;

    while (btf && got < size) {
        ssize_t len = pread(fd, btf + got, size - got, got);

        if (len <= 0) {
            return 0;
        }
        got += len;
    }
    if (!btf) {
        return 0;
    }
    at = btf + header->hdr_len + header->type_off;
    end = at + header->type_len;
    names = btf + header->hdr_len + header->str_off;
    for (; at < end; number++) {
        const struct btf_type *type = (void *)at;

        if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC &&
            !strcmp(names + type->name_off, FUNCTION)) {
            return number;
        }
        at += sizeof(*type) + rest_of(type);
    }
    return 0;
}

static int make_queue(unsigned entries)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_QUEUE,
        .value_size = sizeof(struct record),
        .max_entries = entries,
    };

    return bpf(BPF_MAP_CREATE, &attr);
}

#define FIELD(name) (RECORD + (int)offsetof(struct record, name))
#define COPY(to, from) { BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0 }
#define ADDRESS(to, at) COPY(to, 10), \
    { BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, at }
#define STORE(from, at) { BPF_STX | BPF_MEM | BPF_W, 10, from, at, 0 }
#define LOAD(to, member) \
    { BPF_LDX | BPF_MEM | BPF_W, to, 6, offsetof(struct xdp_md, member), 0 }

static int load(int ifindex, int function, int queue)
{
    const struct bpf_insn code[] = {
        COPY(6, 1),
        LOAD(7, data_end),
        LOAD(8, data),
        { BPF_ALU64 | BPF_SUB | BPF_X, 7, 8, 0, 0 },
        STORE(7, FIELD(len)),
        { BPF_ST | BPF_MEM | BPF_W, 10, 0, FIELD(hash), 0 },
        { BPF_ST | BPF_MEM | BPF_W, 10, 0, FIELD(type), 0 },
        COPY(1, 6),
        ADDRESS(2, FIELD(hash)),
        ADDRESS(3, FIELD(type)),
        { BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function },
        STORE(0, FIELD(error)),
        { BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, queue },
        { 0, 0, 0, 0, 0 },
        ADDRESS(2, RECORD),
        { BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0 },
        { BPF_JMP | BPF_CALL, 0, 0, 0, MAP_PUSH_ELEM },
        { BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS },
        { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
    };
    static char log[1 << 16];
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insns = (uintptr_t)code,
        .insn_cnt = sizeof(code) / sizeof(code[0]),
        .license = (uintptr_t)"GPL",
        .log_level = 1,
        .log_buf = (uintptr_t)log,
        .log_size = sizeof(log),
        .prog_flags = DEV_BOUND_ONLY,
        .prog_ifindex = ifindex,
    };
    int fd = bpf(BPF_PROG_LOAD, &attr);

    if (fd < 0) {
        fputs(log, stderr);
    }
    return fd;
}

/* It goes with us. */
static int attach(int ifindex, int program)
{
    union bpf_attr attr = {
        .link_create = {
            .prog_fd = program,
            .target_ifindex = ifindex,
            .attach_type = BPF_XDP,
        },
    };

    return bpf(BPF_LINK_CREATE, &attr);
}

static int pop(int queue, struct record *record)
{
    union bpf_attr attr = { .map_fd = queue, .value = (uintptr_t)record };

    return bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &attr);
}

int main(int argc, char **argv)
{
    int ifindex = argc == 3 ? if_nametoindex(argv[1]) : 0;
    unsigned count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    int function = function_number(), queue, program, silence = 0;
    struct record record;

    if (!ifindex || !count || !function) {
        fprintf(stderr, "usage: xdphash INTERFACE COUNT"
                        " (Linux 6.10 or later)\n");
        return 2;
    }
    queue = make_queue(count);
    program = load(ifindex, function, queue);
    if (queue < 0 || program < 0 || attach(ifindex, program) < 0) {
        perror("xdphash: the program");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (count && silence < SILENCE) {
        if (pop(queue, &record)) {
            usleep(PAUSE * 1000);
            silence += PAUSE;
            continue;
        }
        printf("%u %x %x %d\n", record.len, record.hash, record.type,
               record.error);
        silence = 0;
        count--;
    }
    return 0;
}
