/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running the privileged helper */
#ifndef EBPF_RSS_HELPER_H
#define EBPF_RSS_HELPER_H

#include "ebpf/ebpf_rss.h"
#include "rss_helper_wire.h"

enum {
    RSS_HELPER_TIMEOUT_MS = 10000,
};

/* ebpf_rss_open_by_helper() with another limit of time */
bool rss_helper_open(const char *helper, const char *name, int timeout_ms,
                     int fds[EBPF_RSS_FDS], GError **error);

/* ebpf_rss_open_report_by_helper() with another limit of time */
bool rss_helper_open_report(const char *helper, const char *name,
                            int timeout_ms, int fds[EBPF_RSS_FDS],
                            int report_fds[EBPF_RSS_REPORT_FDS],
                            GError **error);

#endif
