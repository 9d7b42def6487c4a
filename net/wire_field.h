/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages whose fields a table names, for reading and for writing. */
#ifndef NET_WIRE_FIELD_H
#define NET_WIRE_FIELD_H

#include <stddef.h>
#include <string.h>

#include "net/wire_number.h"

/*
 * A field: where it is in the structure that holds a message, and its bytes.
 * One of 4 or 8 bytes is a number, little-endian in the message; one of more
 * is taken as it is; one of none is the rest of a table.
 */
typedef struct WireField {
    uint16_t at, size;
} WireField;

#define WIRE_FIELD(type, name) \
    { offsetof(type, name), sizeof(((type *)0)->name) }

/* Bytes of @n fields in a message. */
static inline size_t wire_fields_len(const WireField *fields, size_t n)
{
    size_t len = 0;

    while (n--) {
        len += fields++->size;
    }
    return len;
}

/* Reads @n fields from @bytes, wire_fields_len(), into the structure @to. */
static inline void wire_get_fields(void *to, const WireField *fields, size_t n,
                                   const uint8_t *bytes)
{
    for (; n--; bytes += fields++->size) {
        uint8_t *at = (uint8_t *)to + fields->at;
        uint64_t number;
        uint32_t half;

        if (fields->size == sizeof(half)) {
            half = wire_get_number(bytes, sizeof(half));
            memcpy(at, &half, sizeof(half));
        } else if (fields->size == sizeof(number)) {
            number = wire_get_number(bytes, sizeof(number));
            memcpy(at, &number, sizeof(number));
        } else {
            memcpy(at, bytes, fields->size);
        }
    }
}

/* Appends @n fields of the structure @from. */
static inline void wire_put_fields(GByteArray *out, const WireField *fields,
                                   size_t n, const void *from)
{
    for (; n--; fields++) {
        const uint8_t *at = (const uint8_t *)from + fields->at;
        uint64_t number;
        uint32_t half;

        if (fields->size == sizeof(half)) {
            memcpy(&half, at, sizeof(half));
            wire_put_number(out, half, sizeof(half));
        } else if (fields->size == sizeof(number)) {
            memcpy(&number, at, sizeof(number));
            wire_put_number(out, number, sizeof(number));
        } else {
            g_byte_array_append(out, at, fields->size);
        }
    }
}

#endif
