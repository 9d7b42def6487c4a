/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the programs that steer and report, and hands over the latter.
 *
 *     load-report COUNT <CONFIGURATIONS 3<>SOCKET
 *
 * Reads COUNT times struct RssConfig from its standard input, in host order,
 * puts the first in force, and sends the program's descriptor over the socket.
 * If there are more, it goes on to configure, one after the other without a
 * pause, until the input ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ebpf/ebpf_rss.h"
#include "net/socket_fds.h"

enum {
    SOCKET = 3,
    BURST = 64,         /* configurations between two looks at the input */
    WAIT_MS = 20000,
};

G_STATIC_ASSERT(sizeof(RssConfig) == 8 + 2 * RSS_TABLE_MAX + RSS_KEY_SIZE);

static void G_GNUC_NORETURN die(const char *what, const GError *error)
{
    fprintf(stderr, "load-report: %s: %s\n", what,
            error ? error->message : g_strerror(errno));
    exit(1);
}

static void read_configs(RssConfig *config, unsigned count)
{
    size_t left = count * sizeof(*config);
    char *to = (char *)config;
    ssize_t len;

    for (; left; left -= len, to += len) {
        len = read(STDIN_FILENO, to, left);
        if (len <= 0) {
            die("read a configuration", NULL);
        }
    }
}

static EBPFRSS *load(void)
{
    int fds[EBPF_RSS_FDS], report_fds[EBPF_RSS_REPORT_FDS];
    GError *error = NULL;
    EBPFRSS *rss;

    if (!ebpf_rss_open("report", fds, &error) ||
        !ebpf_rss_open_report("report", fds, report_fds, &error)) {
        die("open", error);
    }
    rss = ebpf_rss_adopt(fds, NULL, NULL, &error);
    if (!rss || !ebpf_rss_adopt_report(rss, report_fds, &error)) {
        die("adopt", error);
    }
    return rss;
}

static void send_fd(int fd)
{
    if (send_fds(SOCKET, "", 1, &fd, 1, 0) != 1) {
        die("send the descriptor", NULL);
    }
}

/* @timeout_ms: -1 waits until it has */
static bool input_has_ended(int timeout_ms)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&input, 1, timeout_ms) > 0;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, n = 0;
    g_autofree RssConfig *config = g_new(RssConfig, MAX(count, 1));
    EBPFRSS *rss;

    if (!count) {
        errno = EINVAL;
        die("count", NULL);
    }
    read_configs(config, count);
    rss = load();
    ebpf_rss_set_all(rss, &config[0]);
    if (ebpf_rss_wait(rss, WAIT_MS) != EBPF_RSS_IN_FORCE) {
        die("configure", NULL);
    }
    send_fd(ebpf_rss_report_fd(rss));
    while (!input_has_ended(count > 1 ? 0 : -1)) {
        do {
            ebpf_rss_set_all(rss, &config[++n % count]);
        } while (n % BURST);
    }
    ebpf_rss_unload(rss);
    return 0;
}
