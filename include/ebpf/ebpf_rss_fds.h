/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which descriptors a loaded program consists of. Without GLib. */
#ifndef EBPF_EBPF_RSS_FDS_H
#define EBPF_EBPF_RSS_FDS_H

/*
 * A program can be loaded by one process and used by another. It takes these
 * descriptors, in this order, which is not that of the maps in the object.
 */
enum {
    EBPF_RSS_FD_PROGRAM,        /* tun_rss_steering */
    EBPF_RSS_FD_CONFIG,         /* the map .data.config */
    EBPF_RSS_FD_COUNTERS,       /* .data.counters */
    EBPF_RSS_FD_GRACE,          /* grace; -1 where a loader knows only three */
    EBPF_RSS_FDS,
};

/*
 * The program that reports hashes, and what it has but the map of
 * configurations, which is the steering program's.
 */
enum {
    EBPF_RSS_FD_REPORT,         /* vhost_rss_report */
    EBPF_RSS_FD_HASHES,         /* the map .data.hashes */
    EBPF_RSS_REPORT_FDS,
    EBPF_RSS_ALL_FDS = EBPF_RSS_FDS + EBPF_RSS_REPORT_FDS,
};

#endif
