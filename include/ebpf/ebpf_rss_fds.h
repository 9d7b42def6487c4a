/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which descriptors a loaded program consists of. Without GLib. */
#ifndef EBPF_EBPF_RSS_FDS_H
#define EBPF_EBPF_RSS_FDS_H

/*
 * A program can be loaded by one process and used by another. It takes these
 * descriptors, in this order: the program's, then its maps' in the order of
 * the object.
 */
enum {
    EBPF_RSS_FD_PROGRAM,
    EBPF_RSS_FD_CONFIG,
    EBPF_RSS_FD_COUNTERS,
    EBPF_RSS_FDS,
};

#endif
