/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the programs, without GLib: what ebpf_rss_open() and the privileged
 * helper have in common.
 */
#ifndef EBPF_RSS_OPEN_H
#define EBPF_RSS_OPEN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "ebpf/ebpf_rss_fds.h"

enum {
    RSS_OPEN_TEXT_SIZE = 512,
};

/* One line that says why not; a longer one is cut. */
typedef char RssOpenText[RSS_OPEN_TEXT_SIZE];

/**
 * rss_open:
 * @name: tells which device it is for; shown by bpftool, as far as it fits
 * @fds: receives the descriptors, which are the caller's; close-on-exec
 * @text: receives the reason for a failure
 *
 * Returns: 0, or with @fds not touched an errno value, see rss_open_denied()
 */
int rss_open(const char *name, int fds[EBPF_RSS_FDS], RssOpenText text);

/**
 * rss_open_report:
 * @config_fd: the map of configurations of a steering program
 * @fds, @name, @text: as for rss_open()
 *
 * Loads the program that reports hashes, which reads that map.
 *
 * Returns: as rss_open()
 */
int rss_open_report(const char *name, int config_fd,
                    int fds[EBPF_RSS_REPORT_FDS], RssOpenText text);

/* Whether an errno value of rss_open() says that a privilege is missing. */
static inline bool rss_open_denied(int err)
{
    return err == EPERM || err == EACCES;
}

/* What ebpf_rss_object() returns. */
const void *rss_open_object(size_t *size);

/* Whatever the locale, which isalnum() asks. */
static inline bool rss_ascii_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z');
}

#endif
