/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A program runs inside an RCU read-side critical section, so a grace period
 * is what to wait for. User space has no call by that name, but two that
 * wait for one:
 *
 *  - an update of a map of maps, since Linux 5.0 (1ae80cf31938). It takes the
 *    map, which the loader of the program makes, and before Linux 6.0 CAP_BPF.
 *    It always waits, so it comes first.
 *
 *  - membarrier(MEMBARRIER_CMD_GLOBAL), without any privilege; but not on a
 *    kernel that was started with nohz_full, and while one processor is online
 *    it returns at once. A preemptible kernel may have a program half run then.
 *
 * For the latter, two processors must be *active*, as sched_getaffinity() tells
 * of those that this thread may use. The kernel takes a processor offline in
 * this order (kernel/sched/core.c, sched_cpu_deactivate()): it is not active
 * any more; a grace period; it is not online any more. So if two were active
 * when we looked, and membarrier() then finds one and does not wait, a grace
 * period has gone by in between.
 *
 * Limits
 *  - a thread that is bound to one processor cannot use membarrier() so;
 *  - nor one on a machine with more than MAX_PROCESSORS.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/rss.h"
#include "rss_grace.h"

enum {
    MAX_PROCESSORS = 8192,      /* as Linux can have */
};

struct RssGrace {
    int outer_fd;
    int inner_fd;
};

static bool have_two_processors(void)
{
    unsigned long active[MAX_PROCESSORS / (8 * sizeof(long))] = { 0 };
    cpu_set_t *set = (cpu_set_t *)active;

    return sched_getaffinity(0, sizeof(active), set) == 0 &&
           CPU_COUNT_S(sizeof(active), set) > 1;
}

static int update(const RssGrace *grace, uint64_t flags)
{
    const int zero = 0;

    return bpf_map_update_elem(grace->outer_fd, &zero, &grace->inner_fd,
                               flags);
}

static int membarrier(int command)
{
    return syscall(__NR_membarrier, command, 0);
}

/*
 * These return why not, or NULL. An update with a flag that is for other maps
 * is EINVAL, before anything is waited for, to who may update.
 */
static const char *cannot_update(const RssGrace *grace)
{
    if (grace->outer_fd < 0) {
        return "not among the descriptors";
    }
    return update(grace, BPF_F_LOCK) == 0 || errno == EINVAL
           ? NULL : g_strerror(errno);
}

static const char *cannot_use_membarrier(void)
{
    int commands = membarrier(MEMBARRIER_CMD_QUERY);

    if (commands < 0) {
        return g_strerror(errno);
    }
    if (!(commands & MEMBARRIER_CMD_GLOBAL)) {
        return "not with this kernel (nohz_full)";
    }
    return have_two_processors() ? NULL :
           "this process may use one processor only";
}

RssGrace *rss_grace_new(int outer_fd, int inner_fd, bool wait,
                        GError **error)
{
    RssGrace *grace = g_new(RssGrace, 1);
    const char *no_map, *no_membarrier;

    grace->outer_fd = outer_fd;
    grace->inner_fd = inner_fd;
    no_map = cannot_update(grace);
    no_membarrier = no_map ? cannot_use_membarrier() : NULL;
    if (!no_membarrier && wait && !rss_grace_wait(grace)) {
        no_membarrier = g_strerror(errno);
    }
    if (no_membarrier) {
        g_free(grace);
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot wait for running programs, so configurations"
                    " could be mixed: update of a map of maps: %s;"
                    " membarrier(): %s", no_map ?: "failed",
                    no_membarrier);
        return NULL;
    }
    return grace;
}

void rss_grace_free(RssGrace *grace)
{
    if (grace->outer_fd >= 0) {
        close(grace->outer_fd);
    }
    close(grace->inner_fd);
    g_free(grace);
}

bool rss_grace_wait(const RssGrace *grace)
{
    if (grace->outer_fd >= 0 && update(grace, BPF_ANY) == 0) {
        return true;
    }
    return have_two_processors() && membarrier(MEMBARRIER_CMD_GLOBAL) == 0;
}
