/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs from a helper, for a QEMU that may not load them
 *
 * The service takes some fifty milliseconds, and a broken one ten seconds.
 * Where what the guest is offered does not depend on it, QEMU goes on meanwhile:
 *
 *     virtio_net_rss_ask_begin() ──▶ thread: asks, and waits
 *               │                                │ answer, or none
 *       QEMU starts, the guest boots             ▼
 *               │                           bottom half
 *               ▼                                │
 *     virtio_net_rss_ask_end() ◀── whoever needs it first
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "virtio-net-rss-internal.h"

#ifndef CONFIG_QEMU_RSS_HELPER
#define CONFIG_QEMU_RSS_HELPER ""
#endif

/*
 * The service comes first: it works in a sandbox, too. The installed program is
 * where this QEMU is, even if it was moved.
 */
static void find_helper(VirtIONetRssAsk *ask, const char *property)
{
    ask->remedy = "";
    if (property) {
        ask->path = g_strdup(property);
    } else if (access(EBPF_RSS_HELPER_SOCKET, F_OK) == 0) {
        ask->path = g_strdup(EBPF_RSS_HELPER_SOCKET);
    } else {
        g_autofree char *installed =
            get_relocated_path(CONFIG_QEMU_RSS_HELPER);

        ask->remedy = "; no service at " EBPF_RSS_HELPER_SOCKET
                      " (systemctl enable --now qemu-rss-helper.socket)";
        if (access(installed, X_OK) == 0) {
            ask->path = g_steal_pointer(&installed);
        }
    }
}

VirtIONetRssAsk *virtio_net_rss_ask_new(VirtIONet *n, const char *name,
                                        bool report, GError *own)
{
    VirtIONetRssAsk *ask = g_new0(VirtIONetRssAsk, 1);

    find_helper(ask, n->rss.ebpf_helper);
    ask->own = own;
    ask->name = g_strdup(name);
    ask->report = report;
    memset(ask->fds, -1, sizeof(ask->fds));
    return ask;
}

/*
 * Both programs, or that which steers from a helper that knows no other. One
 * that has not answered is not waited for again, while the monitor waits.
 */
static void run(VirtIONetRssAsk *ask)
{
    g_autoptr(GError) err = NULL;

    if (!ask->path) {
        return;
    }
    if (ask->report) {
        if (ebpf_rss_open_report_by_helper(ask->path, ask->name, ask->fds,
                                           ask->fds + EBPF_RSS_FDS, &err)) {
            return;
        }
        if (g_error_matches(err, RSS_ERROR, RSS_ERROR_NO_ANSWER)) {
            ask->error = g_steal_pointer(&err);
            return;
        }
        ask->no_report = g_strdup(err->message);
    }
    ebpf_rss_open_by_helper(ask->path, ask->name, ask->fds, &ask->error);
}

static void *run_in_thread(void *opaque)
{
    VirtIONetRssAsk *ask = opaque;

    run(ask);
    qemu_bh_schedule(ask->bh);
    return NULL;
}

/* A child is waited for, so that none outlives a QEMU that ends soon. */
static bool is_service(const VirtIONetRssAsk *ask)
{
    struct stat status;

    return ask->path && stat(ask->path, &status) == 0 &&
           S_ISSOCK(status.st_mode);
}

bool virtio_net_rss_ask_begin(VirtIONetRssAsk *ask, QEMUBH *bh)
{
    sigset_t all, old;

    if (!is_service(ask)) {
        return false;
    }
    ask->bh = bh;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ask->thread = g_thread_try_new("rss-helper", run_in_thread, ask, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ask->thread;
}

bool virtio_net_rss_ask_end(VirtIONetRssAsk *ask, GError **error)
{
    const char *own = ask->own->message;

    if (ask->thread) {
        g_thread_join(g_steal_pointer(&ask->thread));
    } else {
        run(ask);
    }
    if (ask->fds[0] >= 0) {
        return true;
    }
    if (!ask->error) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE, "%s%s", own,
                    ask->remedy);
    } else if (g_str_has_suffix(ask->error->message, own)) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE,
                    "%s%s; %s has no privileges either", own, ask->remedy,
                    ask->path);
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE, "%s%s; %s", own,
                    ask->remedy, ask->error->message);
    }
    return false;
}

/* Nobody has heard the answer of one that was begun and not ended. */
static void drop_answer(VirtIONetRssAsk *ask)
{
    int i;

    g_thread_join(ask->thread);
    for (i = 0; i < EBPF_RSS_ALL_FDS; i++) {
        if (ask->fds[i] >= 0) {
            close(ask->fds[i]);
        }
    }
}

void virtio_net_rss_ask_free(VirtIONetRssAsk *ask)
{
    if (ask->thread) {
        drop_answer(ask);
    }
    g_free(ask->path);
    g_error_free(ask->own);
    g_free(ask->name);
    g_clear_error(&ask->error);
    g_free(ask->no_report);
    g_free(ask);
}
