/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting until no steering program that runs now is running any more. */
#ifndef EBPF_RSS_GRACE_H
#define EBPF_RSS_GRACE_H

#include <glib.h>
#include <stdbool.h>

/**
 * rss_grace_init:
 *
 * Finds a way to wait that this kernel has. May be called more than once.
 *
 * Returns: false with @error set if there is none
 */
bool rss_grace_init(GError **error);

/**
 * rss_grace_wait:
 *
 * Returns after all programs have ended that were running when it was called:
 * after an RCU grace period, 5 to 30 ms. For a thread of its own.
 *
 * Returns: false if it could not wait, because a privilege is gone
 */
bool rss_grace_wait(void);

#endif
