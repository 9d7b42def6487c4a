/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grace periods that a test ends, in place of the kernel's: this has a
 * rss_grace_wait() of its own. And configurations that tell their number.
 */
#ifndef TESTS_FAKE_GRACE_H
#define TESTS_FAKE_GRACE_H

#include <glib.h>
#include <stdbool.h>

#include "ebpf/rss_abi.h"
#include "net/rss.h"

/*
 * What happened: grace periods begun, notifications, maps given up. For
 * wait_until(); a test may read them when nobody else can be writing.
 */
extern unsigned started, notified, destroyed;

/* If set, called in place of all that is said here of grace periods. */
extern void (*grace_hook)(void);

/* All counters to 0, and no grace period may end; none fails. */
void forget_what_happened(void);

/* Lets the first @n grace periods end. */
void end_grace_periods(unsigned n);

/* Whether those that end from now on fail. */
void fail_grace_periods(bool fail);

/* Waits until @counter, one of the above, has reached @n. */
void wait_until(const unsigned *counter, unsigned n);

/* Adds 1 to one of the counters. */
void count(unsigned *counter);

/* Configuration n: every field tells its number. */
RssConfig config_number(unsigned n);

/* Is that what @policy holds, every byte of it? */
bool is_config(const struct rss_policy *policy, unsigned n);

#endif
