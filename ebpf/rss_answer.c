/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receiving the helper's answer
 *
 * The helper is not trusted to behave: whatever it sends, the caller gets its
 * descriptors or an error within the time limit, and there is no descriptor
 * too many.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "rss_answer.h"

void rss_answer_error(GError **error, const char *format, ...)
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

static void take_fds(RssAnswer *answer, struct msghdr *message)
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
static void take_text(RssAnswer *answer, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!g_ascii_isprint(answer->text[i])) {
            answer->text[i] = '?';
        }
    }
    answer->text[len] = '\0';
}

RssAnswerOutcome rss_answer_receive(int socket, gint64 deadline,
                                    RssAnswer *answer)
{
    struct iovec iov = { answer->text, RSS_HELPER_TEXT_MAX };
    RssAnswerControl control;
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t len;

    do {
        if (!wait_readable(socket, deadline)) {
            return RSS_ANSWER_TOO_LATE;
        }
        len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (len < 0 && (errno == EINTR || errno == EAGAIN));
    if (len < 0) {
        return RSS_ANSWER_ENDED;
    }

    take_fds(answer, &message);
    take_text(answer, len);
    answer->cut = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    return len == 0 && answer->n_fds == 0 ? RSS_ANSWER_ENDED
                                          : RSS_ANSWERED;
}

bool rss_answer_take(const RssAnswer *answer, const char *helper, bool report,
                     int *fds, GError **error)
{
    const char *wanted = report ? RSS_HELPER_LOADED_REPORT : RSS_HELPER_LOADED;
    unsigned n_fds = report ? EBPF_RSS_ALL_FDS : EBPF_RSS_FDS;
    bool loaded = !strcmp(answer->text, wanted);

    if (loaded && !answer->cut && answer->n_fds == n_fds) {
        memcpy(fds, answer->fds, n_fds * sizeof(*fds));
        return true;
    }
    close_all(answer->fds, answer->n_fds);
    if (loaded || answer->n_fds) {
        rss_answer_error(error, "%s is of another version: it sent"
                         " '%s' with %u%s descriptors, not '%s' with %u",
                         helper, answer->text, answer->n_fds,
                         answer->cut ? " or more" : "", wanted, n_fds);
    } else {
        rss_answer_error(error, "%s: %s", helper, answer->text);
    }
    return false;
}
