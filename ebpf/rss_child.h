/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child process that this process does not trust to end. */
#ifndef EBPF_RSS_CHILD_H
#define EBPF_RSS_CHILD_H

#include <sys/types.h>

enum {
    RSS_CHILD_SOCKET_FD = 3,    /* the socket, in the child */
    RSS_CHILD_END_MS = 500,     /* that rss_child_end() may take */
};

typedef struct RssChild {
    pid_t pid;                  /* also its process group, at first */
    int pidfd;                  /* -1: the kernel gave none */
} RssChild;

/**
 * rss_child_start:
 * @argv: the program's path, its arguments, NULL
 * @socket: becomes RSS_CHILD_SOCKET_FD there
 * @child: for rss_child_end()
 *
 * The child has signals as in a new process, nothing to read on standard
 * input, and no other descriptor of ours but standard output and error.
 *
 * Returns: 0 or an errno value
 */
int rss_child_start(char *const argv[], int socket, RssChild *child);

/**
 * rss_child_end:
 *
 * Kills the child unless it has ended. One that cannot be killed, being
 * another user's by now, is left alone, and waited for by a thread.
 *
 * Returns: its exit status, or -1 if there is none
 */
int rss_child_end(const RssChild *child);

#endif
