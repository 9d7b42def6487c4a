/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "steer_rss.h"

/* As ebpf/rss_open.c makes them. */
static const struct {
    const char *prefix;
    uint32_t size;
    int at;
} kinds[] = {
    { "rsscfg_", sizeof(struct rss_map), EBPF_RSS_FD_CONFIG },
    { "rsscnt_", RSS_COUNTER_ROWS * sizeof(struct rss_counter_row),
      EBPF_RSS_FD_COUNTERS },
};

void steer_rss_close(int fds[EBPF_RSS_FDS])
{
    int i;

    for (i = 0; i < EBPF_RSS_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
        fds[i] = -1;
    }
}

/* Keeps the descriptor of a map if it is one of ours, or closes it. */
static void sort_map(int fd, int fds[EBPF_RSS_FDS])
{
    struct bpf_map_info info = { 0 };
    uint32_t size = sizeof(info);
    size_t i;

    if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0) {
        for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
            if (!strncmp(info.name, kinds[i].prefix,
                         strlen(kinds[i].prefix)) &&
                info.value_size == kinds[i].size && fds[kinds[i].at] < 0) {
                fds[kinds[i].at] = fd;
                return;
            }
        }
    }
    close(fd);
}

int steer_rss_fds(const struct steer_answer *program, int fds[EBPF_RSS_FDS])
{
    int i, fd, err = 0;

    for (i = 0; i < EBPF_RSS_FDS; i++) {
        fds[i] = -1;
    }
    fd = bpf_prog_get_fd_by_id(program->program_id);
    if (fd < 0) {
        return errno;
    }
    fds[EBPF_RSS_FD_PROGRAM] = fd;
    for (i = 0; i < program->n_maps; i++) {
        fd = bpf_map_get_fd_by_id(program->map_id[i]);
        if (fd >= 0) {
            sort_map(fd, fds);
        } else {
            err = errno;
        }
    }
    if (fds[EBPF_RSS_FD_CONFIG] >= 0 && fds[EBPF_RSS_FD_COUNTERS] >= 0) {
        return 0;
    }
    steer_rss_close(fds);
    return err ? err : ENOENT;
}

bool steer_rss_read(const int fds[EBPF_RSS_FDS], struct rss_map *map,
                    RssCounters *counters)
{
    struct rss_counter_row rows[RSS_COUNTER_ROWS];
    uint32_t zero = 0;
    int row, i;

    if (bpf_map_lookup_elem(fds[EBPF_RSS_FD_CONFIG], &zero, map) < 0 ||
        bpf_map_lookup_elem(fds[EBPF_RSS_FD_COUNTERS], &zero, rows) < 0) {
        return false;
    }
    memset(counters, 0, sizeof(*counters));
    for (row = 0; row < RSS_COUNTER_ROWS; row++) {
        for (i = 0; i < RSS_COUNTED_TYPES; i++) {
            counters->type[i] += rows[row].type[i];
        }
        for (i = 0; i < RSS_COUNTED_QUEUES; i++) {
            counters->queue[i] += rows[row].queue[i];
        }
    }
    map->active &= RSS_SLOTS - 1;
    return true;
}
