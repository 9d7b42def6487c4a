/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "call_helper.h"
#include "ebpf/rss_helper.h"
#include "fds.h"

/* What fits the message; where a child has ended that has its exit status. */
static RssError code_of(const GError *error)
{
    return error && (strstr(error->message, "did not answer") ||
                     g_str_has_suffix(error->message, "without an answer"))
           ? RSS_ERROR_NO_ANSWER : RSS_ERROR_PRIVILEGE;
}

void call_helper(const char *helper, const char *name, const char *message,
                 int timeout_ms)
{
    int fds[EBPF_RSS_FDS] = { -7, -7, -7, -7 }, before = count_fds(), i;
    gint64 start = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    bool done = rss_helper_open(helper, name, timeout_ms, fds, &error);

    g_assert_cmpint(g_get_monotonic_time() - start, <,
                    10 * G_TIME_SPAN_SECOND);
    for (i = 0; i < EBPF_RSS_FDS; i++) {
        if (done) {
            g_assert_cmpint(fcntl(fds[i], F_GETFD), ==, FD_CLOEXEC);
            close(fds[i]);
        } else {
            g_assert_cmpint(fds[i], ==, -7);
        }
    }
    if (message) {
        g_assert_error(error, RSS_ERROR, code_of(error));
        g_assert_nonnull(strstr(error->message, helper));
        if (!strstr(error->message, message)) {
            g_error("'%s' is not in '%s'", message, error->message);
        }
        g_assert_cmpint(strlen(error->message), <, 800);
    } else {
        g_assert_no_error(error);
    }
    g_assert_cmpint(done, ==, !message);
    g_assert_cmpint(count_fds(), ==, before);
}
