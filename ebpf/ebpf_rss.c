/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loaded steering program. Its maps are mapped into this process, so that
 * configuring it takes neither a system call nor a privilege, and does not
 * depend on who loaded it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ebpf/ebpf_rss.h"
#include "rss_abi.h"
#include "rss_open.h"
#include "rss_publish.h"

struct EBPFRSS {
    int program_fd, counters_fd;        /* -1: not yet ours */
    int report_fds[EBPF_RSS_REPORT_FDS];        /* -1: none */
    int config_fd;                      /* the publisher's */
    RssPublisher *publisher;            /* has the other descriptors */
    struct rss_map *map;        /* the publisher's */
    struct rss_counter_row *counters;
};

enum {
    COUNTERS_SIZE = RSS_COUNTER_ROWS * sizeof(struct rss_counter_row),
};

/*
 * A number from what the kernel says of a descriptor. For this no capability
 * is needed, as it is for bpf(BPF_OBJ_GET_INFO_BY_FD) before Linux 6.0.
 * Returns -1 where there is no such line, -errno - 1 where nothing can be read.
 */
static long fdinfo(int fd, const char *field)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fdinfo/%d", fd);
    size_t len = strlen(field);
    long value = -1;
    char line[128];
    FILE *file = fopen(path, "re");

    if (!file) {
        return -errno - 1;
    }
    while (fgets(line, sizeof(line), file)) {
        if (!strncmp(line, field, len) && line[len] == ':') {
            value = strtol(line + len + 1, NULL, 0);
        }
    }
    fclose(file);
    return value;
}

static bool check_field(int fd, const char *which, const char *field,
                        long expected, GError **error)
{
    long value = fdinfo(fd, field);

    if (value == expected) {
        return true;
    }
    if (value < -1) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "descriptor %d for the steering program's %s: cannot read"
                    " /proc/self/fdinfo/%d: %s", fd, which, fd,
                    g_strerror(-value - 1));
    } else if (value < 0) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "descriptor %d is not the steering program's %s: it has"
                    " no %s", fd, which, field);
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "descriptor %d is not the steering program's %s: its %s"
                    " is %ld, not %ld", fd, which, field, value, expected);
    }
    return false;
}

static bool check_map(int fd, const char *which, enum bpf_map_type type,
                      size_t value_size, GError **error)
{
    return check_field(fd, which, "map_type", type, error) &&
           check_field(fd, which, "value_size", value_size, error) &&
           check_field(fd, which, "max_entries", 1, error);
}

/* Returns 0 if the kernel does not tell. */
static __u32 map_id(int fd)
{
    struct bpf_map_info info = { 0 };
    __u32 len = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/*
 * What knows a program is that it uses these two maps and no other. Its name
 * and its tag are whatever its loader and its compiler have made of it. Before
 * Linux 6.0 to ask takes a privilege: then only its type is known.
 */
static bool check_uses_maps(int program_fd, int config_fd, int other_fd,
                            const char *which, const char *other_which,
                            GError **error)
{
    __u32 config = map_id(config_fd);
    __u32 other = map_id(other_fd);
    __u32 used[2] = { 0 };
    struct bpf_prog_info info = {
        .nr_map_ids = G_N_ELEMENTS(used),
        .map_ids = (uintptr_t)used,
    };
    __u32 len = sizeof(info);

    if (!config || !other ||
        bpf_obj_get_info_by_fd(program_fd, &info, &len) < 0) {
        return true;
    }
    if (info.nr_map_ids == G_N_ELEMENTS(used) &&
        ((used[0] == config && used[1] == other) ||
         (used[0] == other && used[1] == config))) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "descriptor %d is not the %s: it does not use the map of"
                " configurations (descriptor %d) and that of %s"
                " (descriptor %d)",
                program_fd, which, config_fd, other_which, other_fd);
    return false;
}

static bool check_fds(const int *fds, GError **error)
{
    return check_field(fds[EBPF_RSS_FD_PROGRAM], "program", "prog_type",
                       BPF_PROG_TYPE_SOCKET_FILTER, error) &&
           check_map(fds[EBPF_RSS_FD_CONFIG], "map of configurations",
                     BPF_MAP_TYPE_ARRAY, sizeof(struct rss_map), error) &&
           check_map(fds[EBPF_RSS_FD_COUNTERS], "map of counters",
                     BPF_MAP_TYPE_ARRAY, COUNTERS_SIZE, error) &&
           (fds[EBPF_RSS_FD_GRACE] < 0 ||
            check_map(fds[EBPF_RSS_FD_GRACE], "map for waiting",
                      BPF_MAP_TYPE_ARRAY_OF_MAPS, sizeof(__u32), error)) &&
           check_uses_maps(fds[EBPF_RSS_FD_PROGRAM], fds[EBPF_RSS_FD_CONFIG],
                           fds[EBPF_RSS_FD_COUNTERS], "steering program",
                           "counters", error);
}

static void *map_memory(int fd, size_t size, const char *which,
                        GError **error)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot map the steering program's %s (descriptor %d):"
                    " %s", which, fd, g_strerror(errno));
        return NULL;
    }
    return memory;
}

/* Has nobody configured the program yet? */
static bool is_new(const struct rss_map *map)
{
    static const struct rss_map new_map;

    return memcmp(map, &new_map, sizeof(new_map)) == 0;
}

static void destroy(struct rss_map *map, struct rss_hash_map *hashes,
                    RssGrace *grace)
{
    munmap(map, sizeof(*map));
    if (hashes) {
        munmap(hashes, sizeof(*hashes));
    }
    rss_grace_free(grace);
}

EBPFRSS *ebpf_rss_adopt(const int fds[EBPF_RSS_FDS],
                        EBPFRSSNotify *notify, void *opaque, GError **error)
{
    g_autoptr(EBPFRSS) rss = NULL;
    RssGrace *grace;

    if (!check_fds(fds, error)) {
        return NULL;
    }

    rss = g_new0(EBPFRSS, 1);
    rss->program_fd = rss->counters_fd = -1;
    memset(rss->report_fds, -1, sizeof(rss->report_fds));
    rss->counters = map_memory(fds[EBPF_RSS_FD_COUNTERS], COUNTERS_SIZE,
                               "counters", error);
    if (!rss->counters) {
        return NULL;
    }
    rss->map = map_memory(fds[EBPF_RSS_FD_CONFIG], sizeof(*rss->map),
                          "configuration", error);
    if (!rss->map) {
        return NULL;
    }
    /* Programs that are still running may read slots which look free. */
    grace = rss_grace_new(fds[EBPF_RSS_FD_GRACE], fds[EBPF_RSS_FD_CONFIG],
                          !is_new(rss->map), error);
    if (!grace) {
        munmap(rss->map, sizeof(*rss->map));
        return NULL;
    }
    rss->publisher = rss_publisher_new(rss->map, grace, destroy, notify,
                                       opaque);
    rss->config_fd = fds[EBPF_RSS_FD_CONFIG];
    rss->program_fd = fds[EBPF_RSS_FD_PROGRAM];
    rss->counters_fd = fds[EBPF_RSS_FD_COUNTERS];
    return g_steal_pointer(&rss);
}

/* @err: what rss_open() or rss_open_report() returned */
static bool is_open(int err, const RssOpenText text, GError **error)
{
    if (err) {
        g_set_error_literal(error, RSS_ERROR, rss_open_denied(err) ?
                            RSS_ERROR_PRIVILEGE : RSS_ERROR_KERNEL, text);
    }
    return !err;
}

bool ebpf_rss_open(const char *name, int fds[EBPF_RSS_FDS], GError **error)
{
    RssOpenText text;

    return is_open(rss_open(name, fds, text), text, error);
}

bool ebpf_rss_open_report(const char *name, const int fds[EBPF_RSS_FDS],
                          int report_fds[EBPF_RSS_REPORT_FDS], GError **error)
{
    RssOpenText text;

    return is_open(rss_open_report(name, fds[EBPF_RSS_FD_CONFIG], report_fds,
                                   text), text, error);
}

/* Checks the descriptors. Returns the mapped tables, or NULL. */
static struct rss_hash_map *
map_hashes(int config_fd, const int report_fds[EBPF_RSS_REPORT_FDS],
           GError **error)
{
    size_t size = sizeof(struct rss_hash_map);

    if (!check_field(report_fds[EBPF_RSS_FD_REPORT],
                     "program for hash reports", "prog_type",
                     BPF_PROG_TYPE_SOCKET_FILTER, error) ||
        !check_map(report_fds[EBPF_RSS_FD_HASHES], "map of hash tables",
                   BPF_MAP_TYPE_ARRAY, size, error) ||
        !check_uses_maps(report_fds[EBPF_RSS_FD_REPORT], config_fd,
                         report_fds[EBPF_RSS_FD_HASHES],
                         "program for hash reports", "hash tables", error)) {
        return NULL;
    }
    return map_memory(report_fds[EBPF_RSS_FD_HASHES], size, "hash tables",
                      error);
}

bool ebpf_rss_check_report(const int fds[EBPF_RSS_FDS],
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error)
{
    struct rss_hash_map *hashes = map_hashes(fds[EBPF_RSS_FD_CONFIG],
                                             report_fds, error);

    if (!hashes) {
        return false;
    }
    munmap(hashes, sizeof(*hashes));
    return true;
}

bool ebpf_rss_adopt_report(EBPFRSS *rss,
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error)
{
    struct rss_hash_map *hashes;

    g_assert(rss->report_fds[EBPF_RSS_FD_REPORT] < 0);
    hashes = map_hashes(rss->config_fd, report_fds, error);
    if (!hashes) {
        return false;
    }
    rss_publisher_set_hashes(rss->publisher, hashes);
    memcpy(rss->report_fds, report_fds, sizeof(rss->report_fds));
    return true;
}

int ebpf_rss_report_fd(const EBPFRSS *rss)
{
    return rss->report_fds[EBPF_RSS_FD_REPORT];
}

const void *ebpf_rss_object(size_t *size)
{
    return rss_open_object(size);
}

EBPFRSS *ebpf_rss_load(const char *name, EBPFRSSNotify *notify, void *opaque,
                       GError **error)
{
    int fds[EBPF_RSS_FDS], i;
    EBPFRSS *rss;

    if (!ebpf_rss_open(name, fds, error)) {
        return NULL;
    }
    rss = ebpf_rss_adopt(fds, notify, opaque, error);
    for (i = 0; !rss && i < EBPF_RSS_FDS; i++) {
        close(fds[i]);
    }
    return rss;
}

int ebpf_rss_program_fd(const EBPFRSS *rss)
{
    return rss->program_fd;
}

EBPFRSSState ebpf_rss_set_all(EBPFRSS *rss, const RssConfig *config)
{
    return rss_publisher_publish(rss->publisher, config);
}

EBPFRSSState ebpf_rss_state(const EBPFRSS *rss)
{
    return rss_publisher_wait(rss->publisher, 0);
}

EBPFRSSState ebpf_rss_wait(const EBPFRSS *rss, unsigned timeout_ms)
{
    return rss_publisher_wait(rss->publisher, timeout_ms);
}

void ebpf_rss_set_counting(EBPFRSS *rss, bool on)
{
    __atomic_store_n(&rss->map->counting, on, __ATOMIC_RELAXED);
}

RssCounters ebpf_rss_get_counters(const EBPFRSS *rss)
{
    RssCounters sum = { { 0 } };
    unsigned row, i;

    for (row = 0; row < RSS_COUNTER_ROWS; row++) {
        const struct rss_counter_row *counter = &rss->counters[row];

        for (i = 0; i < RSS_COUNTED_TYPES; i++) {
            sum.type[i] += __atomic_load_n(&counter->type[i],
                                           __ATOMIC_RELAXED);
        }
        for (i = 0; i < RSS_COUNTED_QUEUES; i++) {
            sum.queue[i] += __atomic_load_n(&counter->queue[i],
                                            __ATOMIC_RELAXED);
        }
    }
    return sum;
}

void ebpf_rss_unload(EBPFRSS *rss)
{
    if (!rss) {
        return;
    }
    if (rss->publisher) {
        rss_publisher_close(rss->publisher);
    }
    if (rss->counters) {
        munmap(rss->counters, COUNTERS_SIZE);
    }
    if (rss->program_fd >= 0) {
        close(rss->program_fd);
        close(rss->counters_fd);
    }
    if (rss->report_fds[EBPF_RSS_FD_REPORT] >= 0) {
        close(rss->report_fds[EBPF_RSS_FD_REPORT]);
        close(rss->report_fds[EBPF_RSS_FD_HASHES]);
    }
    g_free(rss);
}
