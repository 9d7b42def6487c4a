/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting until no steering program that runs now is running any more. */
#ifndef EBPF_RSS_GRACE_H
#define EBPF_RSS_GRACE_H

#include <glib.h>
#include <stdbool.h>

typedef struct RssGrace RssGrace;

/**
 * rss_grace_new:
 * @outer_fd: a map of maps with one entry; -1: there is none
 * @inner_fd: a map that it may hold
 * @wait: wait now, too
 *
 * Finds out whether this process can wait.
 *
 * Returns: what owns both descriptors, to be freed with rss_grace_free(); or
 * NULL with @error set, and the descriptors still the caller's, if this
 * process cannot wait
 */
RssGrace *rss_grace_new(int outer_fd, int inner_fd, bool wait,
                        GError **error);

/* Closes the descriptors. */
void rss_grace_free(RssGrace *grace);

/**
 * rss_grace_wait:
 *
 * Returns after all programs have ended that were running when it was called:
 * after an RCU grace period, 5 to 30 ms. For a thread of its own; but any
 * thread may call it, and several at once.
 *
 * Returns: false if it could not wait: a privilege is gone, or all processors
 * but one
 */
bool rss_grace_wait(const RssGrace *grace);

#endif
