/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory behind which nothing can be read: one byte too far is a crash. */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>

typedef struct Guard Guard;

/* Room for up to @max bytes. */
Guard *guard_new(size_t max);

/* A copy of @len bytes that ends where reading is impossible. */
const uint8_t *guard_copy(Guard *guard, const void *data, size_t len);

void guard_free(Guard *guard);

#endif
