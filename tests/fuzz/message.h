/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzers of messages share: decoded, it is the same once encoded. */
#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Frees what was encoded (NULL: it could not be), which @frame must be. */
static inline void must_be(GByteArray *encoded, const uint8_t *frame,
                           size_t len)
{
    if (!encoded || encoded->len != len ||
        memcmp(encoded->data, frame, len)) {
        abort();
    }
    g_byte_array_free(encoded, TRUE);
}

#endif
