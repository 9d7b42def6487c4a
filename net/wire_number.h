/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Little-endian numbers in the messages of XDP offload and of bpfhv's proxy. */
#ifndef NET_WIRE_NUMBER_H
#define NET_WIRE_NUMBER_H

#include <glib.h>
#include <stdint.h>

/* The number in @size bytes, 8 at most. */
static inline uint64_t wire_get_number(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;

    while (size--) {
        number = number << 8 | bytes[size];
    }
    return number;
}

/* Appends @number in @size bytes, 8 at most; what does not fit is lost. */
static inline void wire_put_number(GByteArray *out, uint64_t number,
                                   size_t size)
{
    for (; size; size--, number >>= 8) {
        uint8_t byte = number;

        g_byte_array_append(out, &byte, 1);
    }
}

#endif
