/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process and the privileged helper, tools/qemu-rss-helper.c, say to
 * each other.
 *
 * The helper gets a connected AF_UNIX socket (SOCK_SEQPACKET) and sends one
 * message: RSS_HELPER_LOADED with the descriptors, or a line of text that
 * says why there are none.
 *
 * As a child of who asks it reads nothing. As a service it reads one message
 * before that: RSS_HELPER_REQUEST and a name, without a zero byte.
 *
 * Who wants hash reports, too, says so (RSS_HELPER_REPORT_ARG, or
 * RSS_HELPER_REQUEST_REPORT in place of the other), and gets
 * RSS_HELPER_LOADED_REPORT with EBPF_RSS_ALL_FDS descriptors: the report
 * program's are the last. A helper that does not know of it refuses.
 */
#ifndef EBPF_RSS_HELPER_WIRE_H
#define EBPF_RSS_HELPER_WIRE_H

#include "rss_open.h"

/*
 * QEMU may have been started before an update that replaced the helper. Who
 * changes what the content of the maps means (rss_abi.h, net/rss_policy.h)
 * changes this number, too. (Their sizes are checked by ebpf_rss_adopt().)
 */
#define RSS_HELPER_LOADED "rss 3"

#define RSS_HELPER_LOADED_REPORT RSS_HELPER_LOADED ", report 1"

#define RSS_HELPER_REQUEST "rss "
#define RSS_HELPER_REQUEST_REPORT "rss-report "
#define RSS_HELPER_REPORT_ARG "--report"

/* The answer to who was too slow to send its request, and may try again. */
#define RSS_HELPER_NO_REQUEST "no request"

enum {
    RSS_HELPER_NAME_MAX = 64,   /* characters */
    RSS_HELPER_TEXT_MAX = 512,  /* bytes; a longer text is cut */

    /*
     * The request is there before the helper is, or soon. Who sends none is
     * not to hold one of the few helpers that a service may have at a time.
     */
    RSS_HELPER_REQUEST_MS = 100,
};

/* Whether a name may have this character; ASCII only. */
static inline bool rss_helper_name_char(char c)
{
    return rss_ascii_alnum(c) || c == '_' || c == '.' || c == '-';
}

#endif
