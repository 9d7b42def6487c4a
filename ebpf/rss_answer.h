/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a helper answers. It is not trusted. */
#ifndef EBPF_RSS_ANSWER_H
#define EBPF_RSS_ANSWER_H

#include <sys/socket.h>

#include "ebpf/ebpf_rss.h"
#include "rss_helper_wire.h"

/* One descriptor more than there should be, to see that there are more. */
typedef union RssAnswerControl {
    struct cmsghdr align;
    char bytes[CMSG_SPACE((EBPF_RSS_ALL_FDS + 1) * sizeof(int))];
} RssAnswerControl;

/* The helper's message; @text is cut to what may be printed. */
typedef struct RssAnswer {
    char text[RSS_HELPER_TEXT_MAX + 1];
    int fds[sizeof(RssAnswerControl) / sizeof(int)];
    unsigned n_fds;
    bool cut;                   /* there was more than fits */
} RssAnswer;

typedef enum RssAnswerOutcome {
    RSS_ANSWERED,
    RSS_ANSWER_ENDED,           /* it closed the socket */
    RSS_ANSWER_TOO_LATE,
} RssAnswerOutcome;

/**
 * rss_answer_receive:
 * @socket: AF_UNIX, SOCK_SEQPACKET
 * @deadline: of g_get_monotonic_time()
 * @answer: set for RSS_ANSWERED; its descriptors are the caller's then
 */
RssAnswerOutcome rss_answer_receive(int socket, gint64 deadline,
                                    RssAnswer *answer);

/**
 * rss_answer_take:
 * @helper: its path, for @error
 * @report: whether the program that reports hashes was asked for, too
 * @fds: receives the descriptors out of @answer: EBPF_RSS_FDS, with @report
 *       EBPF_RSS_ALL_FDS
 *
 * Returns: false with @error set (RSS_ERROR_PRIVILEGE), and the answer's
 * descriptors closed, if it does not have what it must have
 */
bool rss_answer_take(const RssAnswer *answer, const char *helper, bool report,
                     int *fds, GError **error);

/* Sets an error that says what is wrong with a helper. */
G_GNUC_PRINTF(2, 3)
void rss_answer_error(GError **error, const char *format, ...);

#endif
