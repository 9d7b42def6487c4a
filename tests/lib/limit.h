/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a test goes on: so many packets, or so many seconds. */
#ifndef TESTS_LIMIT_H
#define TESTS_LIMIT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Limit {
    uint64_t count;
    unsigned seconds;
} Limit;

/*
 * What the command line says behind GLib's own options, COUNT and SECONDS, in
 * place of @limit. The environment variable RSS_TEST_SECONDS says the latter,
 * too.
 */
Limit limit_from_args(int argc, char **argv, Limit limit);

/* Is it over, @count after @begin (g_get_monotonic_time())? */
bool limit_is_over(const Limit *limit, uint64_t count, gint64 begin);

/*
 * Of @count packets or programs where their number matters little: a tenth
 * with RSS_TEST_SECONDS in the environment, as in emulated kernels.
 */
unsigned limit_part(unsigned count);

#endif
