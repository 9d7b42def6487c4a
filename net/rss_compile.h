/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a guest's configuration to what the engines work with. */
#ifndef NET_RSS_COMPILE_H
#define NET_RSS_COMPILE_H

#include "net/rss.h"
#include "rss_policy.h"

/**
 * rss_compile:
 * @config: one that rss_config_check() accepts
 * @policy: receives the compiled policy; every byte is written
 */
void rss_compile(const RssConfig *config, struct rss_policy *policy);

#endif
