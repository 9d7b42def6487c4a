/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the steering program in another process, which has the privilege
 *
 * As a service, where the helper's path is that of a socket:
 *
 *     this process ── connect, name ──▶ listener ── starts ──▶ helper --inetd
 *          ▲                                                       │ rss_open()
 *          └───────────── descriptors, or why not ─────────────────┘
 *
 * As a child, where the path is that of a program:
 *
 *     this process ── spawn ──▶ helper --fd=3 --name=NAME
 *          ▲                             │ rss_open()
 *          └── descriptors, or why not ──┘
 *
 * The helper is not trusted to behave: whatever it does or does not, the
 * caller gets its descriptors or an error within the time limit and
 * RSS_CHILD_END_MS, and no child is left but one that this process may not
 * kill (see rss_child.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rss_answer.h"
#include "rss_child.h"
#include "rss_helper.h"

enum {
    BUSY_PART = 2,              /* of the time limit: see open_by_service() */
    BUSY_PAUSE_US = 5000,
};

/* What a helper is asked for, and how long it may take. */
typedef struct RssAsk {
    const char *name;
    bool report;                /* the program that reports hashes, too */
    int timeout_ms;
} RssAsk;

/* @prefix and what a helper accepts of @name: the rest becomes '_'. */
static char *with_name(const char *prefix, const char *name)
{
    g_autofree char *part = g_strndup(*name ? name : "_",
                                      RSS_HELPER_NAME_MAX);
    char *p;

    for (p = part; *p; p++) {
        if (!rss_helper_name_char(*p)) {
            *p = '_';
        }
    }
    return g_strconcat(prefix, part, NULL);
}

/*
 * What came of a helper in @answer. @status: its exit status, -1 if that is
 * not known.
 */
static bool conclude(RssAnswerOutcome outcome, const RssAnswer *answer,
                     const char *helper, int status, const RssAsk *ask,
                     int *fds, GError **error)
{
    switch (outcome) {
    case RSS_ANSWERED:
        return rss_answer_take(answer, helper, ask->report, fds, error);
    case RSS_ANSWER_TOO_LATE:
        g_set_error(error, RSS_ERROR, RSS_ERROR_NO_ANSWER,
                    "%s did not answer within %g s", helper,
                    ask->timeout_ms / 1000.0);
        return false;
    default:
        if (status < 0) {
            g_set_error(error, RSS_ERROR, RSS_ERROR_NO_ANSWER,
                        "%s ended without an answer", helper);
        } else {
            rss_answer_error(error, "%s ended without an answer, with exit"
                             " status %d", helper, status);
        }
        return false;
    }
}

static bool is_socket(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

/*
 * Connects a new socket, in its turn: callers wait in a queue while the
 * listener has too many connections to accept. Returns the socket, or minus an
 * errno value: EAGAIN when it takes too long.
 */
static int connect_in_turn(const struct sockaddr_un *address, gint64 deadline)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int err = fd < 0 ? errno : EINTR;

    while (fd >= 0 && err == EINTR) {
        gint64 left_us = MAX(deadline - g_get_monotonic_time(), 1);
        struct timeval limit = { left_us / G_USEC_PER_SEC,
                                 left_us % G_USEC_PER_SEC };

        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        err = connect(fd, (const struct sockaddr *)address,
                      sizeof(*address)) < 0 ? errno : 0;
    }
    if (fd >= 0 && err) {
        close(fd);
    }
    return err ? -err : fd;
}

/* One connection. Returns 0, or an errno value if there was none. */
static int ask_service(const struct sockaddr_un *address, const char *request,
                       gint64 deadline, RssAnswerOutcome *outcome,
                       RssAnswer *answer)
{
    int fd = connect_in_turn(address, deadline);

    if (fd == -EAGAIN) {
        *outcome = RSS_ANSWER_TOO_LATE;
        return 0;
    }
    if (fd < 0) {
        return -fd;
    }
    /* There is room for one message; if the other side is gone, we shall see. */
    send(fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT);
    *outcome = rss_answer_receive(fd, deadline, answer);
    close(fd);
    return 0;
}

/*
 * Whether another attempt may help. A listener that has as many helpers as it
 * may have closes a connection at once, and all of them end soon; but a service
 * that is broken looks the same.
 */
static bool was_busy(RssAnswerOutcome outcome, const RssAnswer *answer)
{
    return outcome == RSS_ANSWER_ENDED ||
           (outcome == RSS_ANSWERED && answer->n_fds == 0 &&
            !strcmp(answer->text, RSS_HELPER_NO_REQUEST));
}

static bool open_by_service(const char *path, const RssAsk *ask, int *fds,
                            GError **error)
{
    g_autofree char *request = with_name(ask->report
                                         ? RSS_HELPER_REQUEST_REPORT
                                         : RSS_HELPER_REQUEST, ask->name);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    gint64 start = g_get_monotonic_time();
    gint64 deadline = start + ask->timeout_ms * 1000LL;
    gint64 patience = start + ask->timeout_ms * 1000LL / BUSY_PART;
    RssAnswer answer = { .n_fds = 0 };
    RssAnswerOutcome outcome;
    int err;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        rss_answer_error(error, "cannot connect to %s: %s", path,
                         g_strerror(ENAMETOOLONG));
        return false;
    }
    for (;;) {
        err = ask_service(&address, request, deadline, &outcome, &answer);
        if (err) {
            rss_answer_error(error, "cannot connect to %s: %s", path,
                             g_strerror(err));
            return false;
        }
        if (!was_busy(outcome, &answer) ||
            g_get_monotonic_time() >= patience) {
            return conclude(outcome, &answer, path, -1, ask, fds, error);
        }
        g_usleep(BUSY_PAUSE_US);
    }
}

/* Starts the helper. Returns 0, or an errno value. */
static int start(const char *helper, const RssAsk *ask, int socket,
                 RssChild *child)
{
    g_autofree char *fd_arg = g_strdup_printf("--fd=%d", RSS_CHILD_SOCKET_FD);
    g_autofree char *name_arg = with_name("--name=", ask->name);
    char *argv[] = { (char *)helper, fd_arg, name_arg,
                     ask->report ? RSS_HELPER_REPORT_ARG : NULL, NULL };

    return rss_child_start(argv, socket, child);
}

static bool open_by_child(const char *helper, const RssAsk *ask, int *fds,
                          GError **error)
{
    gint64 deadline = g_get_monotonic_time() + ask->timeout_ms * 1000LL;
    RssAnswer answer = { .n_fds = 0 };
    RssAnswerOutcome outcome;
    int sockets[2], err, status;
    RssChild child;

    /*
     * Besides being in vain, it would be the end of a QEMU with "-sandbox
     * on,spawn=deny": its filter kills who starts a process. A filter that an
     * ordinary user sets up goes with no_new_privs.
     */
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        rss_answer_error(error, "%s cannot gain privileges: no_new_privs is"
                         " set for this process", helper);
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        rss_answer_error(error, "cannot make a socket for %s: %s", helper,
                         g_strerror(errno));
        return false;
    }
    err = start(helper, ask, sockets[1], &child);
    close(sockets[1]);
    if (err) {
        close(sockets[0]);
        rss_answer_error(error, "cannot run %s: %s", helper,
                         g_strerror(err));
        return false;
    }
    outcome = rss_answer_receive(sockets[0], deadline, &answer);
    close(sockets[0]);
    status = rss_child_end(&child);
    return conclude(outcome, &answer, helper, status, ask, fds, error);
}

static bool open_by_helper(const char *helper, const RssAsk *ask, int *fds,
                           GError **error)
{
    return is_socket(helper) ? open_by_service(helper, ask, fds, error)
                             : open_by_child(helper, ask, fds, error);
}

bool rss_helper_open(const char *helper, const char *name, int timeout_ms,
                     int fds[EBPF_RSS_FDS], GError **error)
{
    const RssAsk ask = { .name = name, .timeout_ms = timeout_ms };

    return open_by_helper(helper, &ask, fds, error);
}

bool rss_helper_open_report(const char *helper, const char *name,
                            int timeout_ms, int fds[EBPF_RSS_FDS],
                            int report_fds[EBPF_RSS_REPORT_FDS],
                            GError **error)
{
    const RssAsk ask = { name, true, timeout_ms };
    int all[EBPF_RSS_ALL_FDS];

    if (!open_by_helper(helper, &ask, all, error)) {
        return false;
    }
    memcpy(fds, all, EBPF_RSS_FDS * sizeof(*fds));
    memcpy(report_fds, all + EBPF_RSS_FDS,
           EBPF_RSS_REPORT_FDS * sizeof(*report_fds));
    return true;
}

bool ebpf_rss_open_by_helper(const char *helper, const char *name,
                             int fds[EBPF_RSS_FDS], GError **error)
{
    return rss_helper_open(helper, name, RSS_HELPER_TIMEOUT_MS, fds, error);
}

bool ebpf_rss_open_report_by_helper(const char *helper, const char *name,
                                    int fds[EBPF_RSS_FDS],
                                    int report_fds[EBPF_RSS_REPORT_FDS],
                                    GError **error)
{
    return rss_helper_open_report(helper, name, RSS_HELPER_TIMEOUT_MS, fds,
                                  report_fds, error);
}
