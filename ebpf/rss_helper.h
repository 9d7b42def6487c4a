/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this process and the privileged helper, tools/qemu-rss-helper.c, say
 * to each other.
 *
 * The helper gets a connected AF_UNIX socket (SOCK_SEQPACKET) and sends one
 * message: RSS_HELPER_LOADED with the descriptors, or a line of text that
 * says why there are none. It reads nothing.
 */
#ifndef EBPF_RSS_HELPER_H
#define EBPF_RSS_HELPER_H

#include "ebpf/ebpf_rss.h"

/*
 * QEMU may have been started before an update that replaced the helper. Who
 * changes what the content of the maps means (rss_abi.h, net/rss_policy.h)
 * changes this number, too. (Their sizes are checked by ebpf_rss_adopt().)
 */
#define RSS_HELPER_LOADED "rss 2"

enum {
    RSS_HELPER_NAME_MAX = 64,   /* characters */
    RSS_HELPER_TEXT_MAX = 512,  /* bytes; a longer text is cut */
    RSS_HELPER_TIMEOUT_MS = 10000,
};

/* Whether a name may have this character; ASCII only. */
static inline bool rss_helper_name_char(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
}

/* ebpf_rss_open_by_helper() with another limit of time */
bool rss_helper_open(const char *helper, const char *name, int timeout_ms,
                     int fds[EBPF_RSS_FDS], GError **error);

#endif
