/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program runs inside an RCU read-side critical section, so a grace period
 * is what to wait for. User space has no call by that name, but two that
 * wait for one:
 *
 *  - membarrier(MEMBARRIER_CMD_GLOBAL), without any privilege; but not on a
 *    kernel that was started with nohz_full;
 *  - an update of a map of maps, since Linux 5.0 (1ae80cf31938); where
 *    unprivileged bpf() is off, which is the rule, that needs CAP_BPF to set
 *    up, and before Linux 6.0 to do.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/rss.h"
#include "rss_grace.h"

static int outer_fd = -1;       /* map of maps; -1: membarrier() is used */
static int inner_fd = -1;

static bool have_membarrier(void)
{
    int commands = syscall(__NR_membarrier, MEMBARRIER_CMD_QUERY, 0);

    return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL);
}

static bool update_outer(void)
{
    const int zero = 0;

    return bpf_map_update_elem(outer_fd, &zero, &inner_fd, BPF_ANY) == 0;
}

static bool create_map_of_maps(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts);

    inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rss_grace_inner",
                              sizeof(int), sizeof(int), 1, NULL);
    if (inner_fd < 0) {
        return false;
    }
    opts.inner_map_fd = inner_fd;
    outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "rss_grace",
                              sizeof(int), sizeof(int), 1, &opts);
    return outer_fd >= 0 && update_outer();
}

static void close_map_of_maps(void)
{
    if (outer_fd >= 0) {
        close(outer_fd);
    }
    if (inner_fd >= 0) {
        close(inner_fd);
    }
    outer_fd = inner_fd = -1;
}

bool rss_grace_init(GError **error)
{
    static GMutex lock;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);
    int saved;

    if (outer_fd >= 0 || have_membarrier() || create_map_of_maps()) {
        return true;
    }
    saved = errno;
    close_map_of_maps();
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "this kernel offers no way to wait for running programs:"
                " no membarrier(), and a map of maps cannot be used: %s",
                g_strerror(saved));
    return false;
}

bool rss_grace_wait(void)
{
    return outer_fd >= 0 ? update_outer() :
           syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0) == 0;
}
