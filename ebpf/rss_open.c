/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the programs into the kernel: what takes privileges.
 *
 * The privileged helper is made of this file, so it uses nothing but libbpf.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rss_abi.h"
#include "rss_open.h"
#include "rss.skel.h"
#include "rss_hash.skel.h"

enum {
    LOAD_FDS = 10,              /* that are open at a time while one loads */
};

/* A map that is made for a program. */
typedef struct MapKind {
    const char *symbol;         /* in the object */
    const char *prefix;         /* of what the kernel shows */
} MapKind;

/*
 * A program, and its maps in the order of the descriptors, of which the first
 * is its own. @symbol is as it is in the object, with the end of the string.
 */
typedef struct ProgramKind {
    const char *what;
    char symbol[BPF_OBJ_NAME_LEN + 1];
    const char *prefix;
    const void *(*elf_bytes)(size_t *size);
    int n_fds;
    MapKind maps[EBPF_RSS_FDS];
} ProgramKind;

static const char config_symbol[] = ".data.config";

/* The last map is made of the first. */
static const ProgramKind steering = {
    "steering program", "tun_rss_steering", "rss", rss_bpf__elf_bytes,
    EBPF_RSS_FDS, {
        [EBPF_RSS_FD_CONFIG] = { config_symbol, "rsscfg" },
        [EBPF_RSS_FD_COUNTERS] = { ".data.counters", "rsscnt" },
        [EBPF_RSS_FD_GRACE] = { "grace", "rssgrc" },
    },
};

static const ProgramKind report = {
    "program for hash reports", "vhost_rss_report", "rssrep",
    rss_hash_bpf__elf_bytes, EBPF_RSS_REPORT_FDS, {
        [EBPF_RSS_FD_HASHES] = { ".data.hashes", "rsstab" },
    },
};

/* As far as this process can tell: it may be root of a namespace only. */
static bool have_capabilities(void)
{
    const uint64_t both = 1ull << CAP_BPF | 1ull << CAP_PERFMON;
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
    uint64_t effective;

    syscall(SYS_capget, &header, data);
    effective = data[0].effective | (uint64_t)data[1].effective << 32;
    return (effective & both) == both || effective >> CAP_SYS_ADMIN & 1;
}

/* What helps against EPERM or EACCES, which the verifier says. */
static const char *advice(void)
{
    return have_capabilities()
        ? " (not for lack of CAP_BPF and CAP_PERFMON: a user namespace,"
          " seccomp or a security module may forbid it; before Linux 5.11 it"
          " also needs 64 KiB of locked memory for each device, 128 with hash"
          " reports: see RLIMIT_MEMLOCK, ulimit -l)"
        : " (needs CAP_BPF and CAP_PERFMON, or root)";
}

/*
 * Puts "cannot DO the PROGRAM's WHAT: REASON" into @text, for a caller to show.
 * Returns @err.
 */
static int fail(RssOpenText text, int err, const ProgramKind *kind,
                const char *action, const char *what)
{
    snprintf(text, RSS_OPEN_TEXT_SIZE, "cannot %s the %s%s: %s%s", action,
             kind->what, what, strerror(err),
             rss_open_denied(err) ? advice() : "");
    return err;
}

/* A name that the kernel takes for what belongs to the device @name. */
static void kernel_name(char out[BPF_OBJ_NAME_LEN], const char *prefix,
                        const char *name)
{
    char *p;

    snprintf(out, BPF_OBJ_NAME_LEN, "%s_%s", prefix, name);
    for (p = out; *p; p++) {
        if (!rss_ascii_alnum(*p)) {
            *p = '_';
        }
    }
}

/*
 * libbpf has no call to give a program another name than its symbol's. So the
 * symbol gets that name, in a copy of the object, which is not longer. The
 * caller frees it; NULL if there is no memory.
 */
static void *object_with_name(const ProgramKind *kind,
                              const char name[BPF_OBJ_NAME_LEN], size_t *size)
{
    const void *object = kind->elf_bytes(size);
    char *copy = malloc(*size), *end, *p;

    if (!copy) {
        return NULL;
    }
    memcpy(copy, object, *size);
    end = copy + *size;
    p = copy;
    while ((p = memmem(p, end - p, kind->symbol, sizeof(kind->symbol)))) {
        memset(p, 0, sizeof(kind->symbol));
        strcpy(p, name);
    }
    return copy;
}

/*
 * Maps take their names from what they are made with, and so does libbpf: it
 * does not find them by their symbols any more. @inner_fd: what a map of maps
 * is to hold, else 0.
 */
static bool create_map(struct bpf_map *map, const char *prefix,
                       const char *name, int inner_fd)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts,
                .map_flags = bpf_map__map_flags(map),
                .inner_map_fd = inner_fd);
    char kname[BPF_OBJ_NAME_LEN];
    bool done;
    int fd, saved;

    kernel_name(kname, prefix, name);
    fd = bpf_map_create(bpf_map__type(map), kname, bpf_map__key_size(map),
                        bpf_map__value_size(map), bpf_map__max_entries(map),
                        &opts);
    done = fd >= 0 && bpf_map__reuse_fd(map, fd) == 0;
    saved = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = saved;
    return done;
}

/* Copies of the descriptors of what @object holds, which dies with it. */
static bool copy_fds(struct bpf_object *object, const ProgramKind *kind,
                     struct bpf_map *const *map, int *fds)
{
    int i;

    fds[0] = fcntl(bpf_program__fd(bpf_object__next_program(object, NULL)),
                   F_DUPFD_CLOEXEC, 3);
    for (i = 1; i < kind->n_fds; i++) {
        fds[i] = fcntl(bpf_map__fd(map[i]), F_DUPFD_CLOEXEC, 3);
    }

    for (i = 0; i < kind->n_fds && fds[i] >= 0; i++) {
        continue;
    }
    if (i == kind->n_fds) {
        return true;
    }
    for (i = 0; i < kind->n_fds; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    errno = EMFILE;
    return false;
}

/* @config_fd: the map of configurations that a report program reads */
static int load(struct bpf_object *object, const ProgramKind *kind,
                const char *name, int config_fd, int *fds, RssOpenText text)
{
    struct bpf_map *map[EBPF_RSS_FDS] = { NULL };
    int i, inner_fd;

    if (kind == &report &&
        bpf_map__reuse_fd(bpf_object__find_map_by_name(object, config_symbol),
                          config_fd) < 0) {
        return fail(text, errno, kind, "use", "'s map of configurations");
    }
    for (i = 1; i < kind->n_fds; i++) {
        map[i] = bpf_object__find_map_by_name(object, kind->maps[i].symbol);
        inner_fd = kind == &steering && i == EBPF_RSS_FD_GRACE ?
                   bpf_map__fd(map[EBPF_RSS_FD_CONFIG]) : 0;
        if (!create_map(map[i], kind->maps[i].prefix, name, inner_fd)) {
            return fail(text, errno, kind, "create", "'s maps");
        }
    }
    if (bpf_object__load(object) < 0) {
        return fail(text, errno, kind, "load", "");
    }
    if (!copy_fds(object, kind, map, fds)) {
        return fail(text, errno, kind, "keep", "");
    }
    return 0;
}

/*
 * libbpf finds out once in the life of a process what the kernel can do, and
 * takes a descriptor that it does not get for something that the kernel
 * cannot do, such as names. So it is not to find that out when there are none.
 */
static bool have_descriptors(void)
{
    int fds[LOAD_FDS], got, i, saved;

    for (got = 0; got < LOAD_FDS; got++) {
        fds[got] = eventfd(0, EFD_CLOEXEC);
        if (fds[got] < 0) {
            break;
        }
    }
    saved = errno;
    for (i = 0; i < got; i++) {
        close(fds[i]);
    }
    errno = saved;
    return got == LOAD_FDS;
}

/* The reason is in our own text; libbpf need not print it as well. */
static int no_print(enum libbpf_print_level level, const char *format,
                    va_list args)
{
    return 0;
}

static int open_program(const ProgramKind *kind, const char *name,
                        int config_fd, int *fds, RssOpenText text)
{
    libbpf_print_fn_t print;
    char kname[BPF_OBJ_NAME_LEN];
    struct bpf_object *object;
    int opened[EBPF_RSS_FDS], err;
    size_t size;
    void *elf;

    if (!have_descriptors()) {
        return fail(text, errno, kind, "begin to load", "");
    }
    kernel_name(kname, kind->prefix, name);
    elf = object_with_name(kind, kname, &size);
    if (!elf) {
        return fail(text, ENOMEM, kind, "copy", "'s object");
    }
    print = libbpf_set_print(no_print);
    object = bpf_object__open_mem(elf, size, NULL);
    if (object) {
        err = load(object, kind, name, config_fd, opened, text);
        bpf_object__close(object);
    } else {
        err = fail(text, errno, kind, "read", "'s object");
    }
    libbpf_set_print(print);
    free(elf);
    if (!err) {
        memcpy(fds, opened, kind->n_fds * sizeof(*fds));
    }
    return err;
}

int rss_open(const char *name, int fds[EBPF_RSS_FDS], RssOpenText text)
{
    return open_program(&steering, name, -1, fds, text);
}

int rss_open_report(const char *name, int config_fd,
                    int fds[EBPF_RSS_REPORT_FDS], RssOpenText text)
{
    return open_program(&report, name, config_fd, fds, text);
}

const void *rss_open_object(size_t *size)
{
    return rss_bpf__elf_bytes(size);
}
