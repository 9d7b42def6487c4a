/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the steering program in another process, which has the privilege
 *
 *     this process ── spawn ──▶ helper --fd=3 --name=NAME
 *          ▲                             │ ebpf_rss_open()
 *          └────── descriptors, or why not, over a socket
 *
 * The helper is not trusted to behave: whatever it does or does not, the
 * caller gets its descriptors or an error within the time limit and
 * RSS_CHILD_END_MS, there is no descriptor too many, and no child is left but
 * one that this process may not kill (see rss_child.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rss_child.h"
#include "rss_helper.h"

/* One descriptor more than there should be, to see that there are more. */
typedef union Control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE((EBPF_RSS_FDS + 1) * sizeof(int))];
} Control;

/* The helper's message; @text is cut to what may be printed. */
typedef struct Answer {
    char text[RSS_HELPER_TEXT_MAX + 1];
    int fds[sizeof(Control) / sizeof(int)];
    unsigned n_fds;
    bool cut;               /* there was more than fits */
} Answer;

typedef enum Outcome {
    ANSWERED,
    ENDED,                  /* it closed the socket */
    TOO_LATE,
} Outcome;

G_GNUC_PRINTF(2, 3)
static void set_helper_error(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(RSS_ERROR,
                                                RSS_ERROR_PRIVILEGE,
                                                format, args));
    va_end(args);
}

static void close_all(const int *fds, unsigned n_fds)
{
    unsigned i;

    for (i = 0; i < n_fds; i++) {
        close(fds[i]);
    }
}

/* "--name=" and what a helper accepts of @name: the rest becomes '_'. */
static char *name_argument(const char *name)
{
    g_autofree char *part = g_strndup(*name ? name : "_",
                                      RSS_HELPER_NAME_MAX);
    char *p;

    for (p = part; *p; p++) {
        if (!rss_helper_name_char(*p)) {
            *p = '_';
        }
    }
    return g_strconcat("--name=", part, NULL);
}

/* Starts the helper. Returns 0, or an errno value. */
static int start(const char *helper, const char *name, int socket,
                 RssChild *child)
{
    g_autofree char *fd_arg = g_strdup_printf("--fd=%d", RSS_CHILD_SOCKET_FD);
    g_autofree char *name_arg = name_argument(name);
    char *argv[] = { (char *)helper, fd_arg, name_arg, NULL };

    return rss_child_start(argv, socket, child);
}

/* Waits until there is something to read; false when it takes too long. */
static bool wait_readable(int socket, gint64 deadline)
{
    struct pollfd ready = { .fd = socket, .events = POLLIN };
    gint64 left_us;

    do {
        left_us = MAX(deadline - g_get_monotonic_time(), 0);
        if (poll(&ready, 1, (left_us + 999) / 1000) > 0) {
            return true;
        }
    } while (left_us > 0);
    return false;
}

static void take_fds(Answer *answer, struct msghdr *message)
{
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(message); part;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET &&
            part->cmsg_type == SCM_RIGHTS) {
            size_t size = part->cmsg_len - CMSG_LEN(0);

            memcpy(answer->fds + answer->n_fds, CMSG_DATA(part), size);
            answer->n_fds += size / sizeof(int);
        }
    }
}

/* What the helper says may end up in a log. */
static void take_text(Answer *answer, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!g_ascii_isprint(answer->text[i])) {
            answer->text[i] = '?';
        }
    }
    answer->text[len] = '\0';
}

static Outcome receive(int socket, gint64 deadline, Answer *answer)
{
    struct iovec iov = { answer->text, RSS_HELPER_TEXT_MAX };
    Control control;
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t len;

    do {
        if (!wait_readable(socket, deadline)) {
            return TOO_LATE;
        }
        len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (len < 0 && (errno == EINTR || errno == EAGAIN));
    if (len < 0) {
        return ENDED;
    }

    take_fds(answer, &message);
    take_text(answer, len);
    answer->cut = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    return len == 0 && answer->n_fds == 0 ? ENDED : ANSWERED;
}

/* Takes the descriptors out of an answer that has what it must have. */
static bool check_answer(const char *helper, const Answer *answer,
                         int fds[EBPF_RSS_FDS], GError **error)
{
    bool loaded = !strcmp(answer->text, RSS_HELPER_LOADED);

    if (loaded && !answer->cut && answer->n_fds == EBPF_RSS_FDS) {
        memcpy(fds, answer->fds, EBPF_RSS_FDS * sizeof(*fds));
        return true;
    }
    close_all(answer->fds, answer->n_fds);
    if (loaded || answer->n_fds) {
        set_helper_error(error, "%s is of another version: it sent"
                         " '%s' with %u%s descriptors, not '%s' with %d",
                         helper, answer->text, answer->n_fds,
                         answer->cut ? " or more" : "", RSS_HELPER_LOADED,
                         EBPF_RSS_FDS);
    } else {
        set_helper_error(error, "%s: %s", helper, answer->text);
    }
    return false;
}

bool rss_helper_open(const char *helper, const char *name, int timeout_ms,
                     int fds[EBPF_RSS_FDS], GError **error)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000LL;
    Answer answer = { .n_fds = 0 };
    Outcome outcome;
    int sockets[2], err, status;
    RssChild child;

    /*
     * Besides being in vain, it would be the end of a QEMU with "-sandbox
     * on,spawn=deny": its filter kills who starts a process. A filter that an
     * ordinary user sets up goes with no_new_privs.
     */
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        set_helper_error(error, "%s cannot gain privileges: no_new_privs is"
                         " set for this process", helper);
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        set_helper_error(error, "cannot make a socket for %s: %s", helper,
                         g_strerror(errno));
        return false;
    }
    err = start(helper, name, sockets[1], &child);
    close(sockets[1]);
    if (err) {
        close(sockets[0]);
        set_helper_error(error, "cannot run %s: %s", helper,
                         g_strerror(err));
        return false;
    }
    outcome = receive(sockets[0], deadline, &answer);
    close(sockets[0]);
    status = rss_child_end(&child);

    switch (outcome) {
    case ANSWERED:
        return check_answer(helper, &answer, fds, error);
    case TOO_LATE:
        set_helper_error(error, "%s did not answer within %g s", helper,
                         timeout_ms / 1000.0);
        return false;
    default:
        set_helper_error(error, status < 0 ? "%s ended without an answer" :
                         "%s ended without an answer, with exit status %d",
                         helper, status);
        return false;
    }
}

bool ebpf_rss_open_by_helper(const char *helper, const char *name,
                             int fds[EBPF_RSS_FDS], GError **error)
{
    return rss_helper_open(helper, name, RSS_HELPER_TIMEOUT_MS, fds, error);
}
