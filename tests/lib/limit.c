/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "limit.h"

enum { SHORTER = 10 };

Limit limit_from_args(int argc, char **argv, Limit limit)
{
    const char *seconds = g_getenv("RSS_TEST_SECONDS");

    if (!seconds && argc > 2) {
        seconds = argv[2];
    }
    if (argc > 1) {
        limit.count = strtoull(argv[1], NULL, 10);
    }
    if (seconds) {
        limit.seconds = strtoul(seconds, NULL, 10);
    }
    return limit;
}

bool limit_is_over(const Limit *limit, uint64_t count, gint64 begin)
{
    return count >= limit->count || g_get_monotonic_time() - begin >=
                                    limit->seconds * G_TIME_SPAN_SECOND;
}

unsigned limit_part(unsigned count)
{
    return g_getenv("RSS_TEST_SECONDS") ? count / SHORTER : count;
}
