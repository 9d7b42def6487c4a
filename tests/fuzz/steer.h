/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fuzz-flow and fuzz-migration share: the engine against the oracle. */
#ifndef FUZZ_STEER_H
#define FUZZ_STEER_H

#include <stdlib.h>

#include "configs.h"
#include "net/rss_compile.h"

/* The queue as the steering program finds it: by masks, without the hash. */
static inline unsigned steer_by_masks(const RssConfig *config,
                                      const void *frame, size_t len)
{
    const RssPacket packet = { .data = frame, .len = len };
    struct rss_policy policy;
    struct rss_flow flow;

    rss_compile(config, &policy);
    return rss_steer(&policy, &flow, rss_find_input(&policy, &packet, &flow));
}

/* Returns the queue of a frame, on which all must agree. */
static inline unsigned steer_as_the_oracle(const RssConfig *config,
                                           const void *frame, size_t len)
{
    OracleConfig oracle = config_for_oracle(config);
    OracleAnswer answer = oracle_classify(&oracle, frame, len);
    g_autoptr(RssEngine) engine = rss_engine_new(config);
    RssResult result = rss_engine_classify(engine, frame, len);

    if (result.type != answer.type || result.hash != answer.hash ||
        result.queue != answer.queue ||
        result.queue != rss_engine_steer(engine, frame, len) ||
        result.queue != steer_by_masks(config, frame, len)) {
        abort();
    }
    return result.queue;
}

#endif
