/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between QEMU and a bpfhv backend, read and written
 *
 * A table says what each message has: numbers, then units of one kind, and
 * descriptors. Both directions go by it. Neither side trusts the other: all
 * that is read lies within the bytes that came, each number is copied once and
 * is within the bounds of the ABI (linux/bpfhv/bpfhv_abi.h).
 */
#include <errno.h>
#include <string.h>

#include "net/bpfhv_proxy.h"
#include "linux/bpfhv/bpfhv_abi.h"
#include "net/wire_field.h"

enum {
    FLAG_VERSION = 7,           /* bits of the header's flags */
    FLAG_REFUSED = 8,

    INSN_LEN = 8,               /* bytes */
    REGION_LEN = 24,
    MAX_FIELDS = 4,
};

G_STATIC_ASSERT(BPFHV_PROXY_MAX_BODY == BPFHV_MAX_INSNS * INSN_LEN);

#define FIELD(name) WIRE_FIELD(BpfhvProxyMessage, name)

typedef enum Behind {
    NOTHING,
    INSNS,
    REGIONS,
    TEXT,
} Behind;

typedef enum Fds {
    NO_FD,
    ONE_OR_NONE,
    ONE_EACH,                   /* of the regions */
} Fds;

typedef struct Body {
    WireField fields[MAX_FIELDS];
    Behind behind;
    Fds fds;
} Body;

static const struct {
    uint16_t size;              /* bytes of a unit */
    uint16_t max;               /* how many there may be */
} units[] = {
    [NOTHING] = { 1, 0 },
    [INSNS] = { INSN_LEN, BPFHV_MAX_INSNS },
    [REGIONS] = { REGION_LEN, BPFHV_PROXY_MAX_REGIONS },
    [TEXT] = { 1, BPFHV_PROXY_MAX_TEXT },
};

static const Body requests[BPFHV_PROXY_END] = {
    [BPFHV_PROXY_SET_FEATURES] = { { FIELD(features) } },
    [BPFHV_PROXY_SET_PARAMETERS] = {
        { FIELD(parameters.rx_queues), FIELD(parameters.tx_queues) } },
    [BPFHV_PROXY_GET_PROGRAM] = { { FIELD(program) } },
    [BPFHV_PROXY_SET_MEMORY] = { .behind = REGIONS, .fds = ONE_EACH },
    [BPFHV_PROXY_SET_QUEUE_CTX] = { { FIELD(queue), FIELD(gpa) } },
    [BPFHV_PROXY_SET_QUEUE_KICK] = { { FIELD(queue) }, .fds = ONE_OR_NONE },
    [BPFHV_PROXY_SET_QUEUE_IRQ] = { { FIELD(queue) }, .fds = ONE_OR_NONE },
    [BPFHV_PROXY_SET_UPGRADE] = { .fds = ONE_OR_NONE },
};

static const Body answers[BPFHV_PROXY_END] = {
    [BPFHV_PROXY_GET_FEATURES] = { { FIELD(features) } },
    [BPFHV_PROXY_SET_PARAMETERS] = {
        { FIELD(sizes.rx_ctx), FIELD(sizes.tx_ctx), FIELD(sizes.rx_bufs),
          FIELD(sizes.tx_bufs) } },
    [BPFHV_PROXY_GET_PROGRAM] = { .behind = INSNS },
};

static const Body refusal = { .behind = TEXT };

static const char *const names[BPFHV_PROXY_END] = {
    [BPFHV_PROXY_GET_FEATURES] = "GET_FEATURES",
    [BPFHV_PROXY_SET_FEATURES] = "SET_FEATURES",
    [BPFHV_PROXY_SET_PARAMETERS] = "SET_PARAMETERS",
    [BPFHV_PROXY_GET_PROGRAM] = "GET_PROGRAM",
    [BPFHV_PROXY_SET_MEMORY] = "SET_MEMORY",
    [BPFHV_PROXY_SET_QUEUE_CTX] = "SET_QUEUE_CTX",
    [BPFHV_PROXY_SET_QUEUE_KICK] = "SET_QUEUE_KICK",
    [BPFHV_PROXY_SET_QUEUE_IRQ] = "SET_QUEUE_IRQ",
    [BPFHV_PROXY_SET_UPGRADE] = "SET_UPGRADE",
    [BPFHV_PROXY_RX_ENABLE] = "RX_ENABLE",
    [BPFHV_PROXY_TX_ENABLE] = "TX_ENABLE",
    [BPFHV_PROXY_RX_DISABLE] = "RX_DISABLE",
    [BPFHV_PROXY_TX_DISABLE] = "TX_DISABLE",
    [BPFHV_PROXY_UPGRADE] = "UPGRADE",
};

static bool is_type(uint32_t type)
{
    return type < BPFHV_PROXY_END && names[type];
}

const char *bpfhv_proxy_name(BpfhvProxyType type)
{
    return is_type(type) ? names[type] : "unknown request";
}

static const Body *body_of(const BpfhvProxyMessage *m)
{
    return m->refused ? &refusal :
           m->answer ? &answers[m->type] : &requests[m->type];
}

/* What is in the message, whether it came or is to go. */

static bool regions_are_good(const BpfhvProxyMessage *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const BpfhvProxyRegion *a = &m->region[i];

        /* An end of 2^64 - 1 at most, so that it is a number. */
        if (!a->size || a->size > UINT64_MAX - a->gpa ||
            a->size > INT64_MAX || a->offset > INT64_MAX - a->size) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            const BpfhvProxyRegion *b = &m->region[k];

            if (a->gpa < b->gpa + b->size && b->gpa < a->gpa + a->size) {
                return false;
            }
        }
    }
    return true;
}

static bool sizes_are_good(uint32_t ctx, uint32_t bufs)
{
    return ctx >= sizeof(struct bpfhv_ctx) && ctx <= BPFHV_MAX_CTX_SIZE &&
           ctx % 8 == 0 && bufs >= 1 && bufs <= BPFHV_MAX_QUEUE_BUFS;
}

static bool is_number_of_queues(uint32_t n)
{
    return n >= 1 && n <= BPFHV_MAX_QUEUE_PAIRS;
}

static bool is_program(uint32_t n)
{
    return (n >= BPFHV_RX_PUBLISH && n <= BPFHV_RX_INTERRUPTS) ||
           (n >= BPFHV_TX_PUBLISH && n <= BPFHV_TX_INTERRUPTS);
}

static bool text_is_good(const BpfhvProxyMessage *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (!g_ascii_isprint(m->text[i])) {
            return false;
        }
    }
    return true;
}

static bool answer_is_good(const BpfhvProxyMessage *m)
{
    if (m->refused) {
        return text_is_good(m);
    }
    return m->type != BPFHV_PROXY_SET_PARAMETERS ||
           (sizes_are_good(m->sizes.rx_ctx, m->sizes.rx_bufs) &&
            sizes_are_good(m->sizes.tx_ctx, m->sizes.tx_bufs));
}

static bool request_is_good(const BpfhvProxyMessage *m)
{
    switch (m->type) {
    case BPFHV_PROXY_SET_PARAMETERS:
        return is_number_of_queues(m->parameters.rx_queues) &&
               is_number_of_queues(m->parameters.tx_queues);
    case BPFHV_PROXY_GET_PROGRAM:
        return is_program(m->program);
    case BPFHV_PROXY_SET_MEMORY:
        return regions_are_good(m);
    case BPFHV_PROXY_SET_QUEUE_CTX:
    case BPFHV_PROXY_SET_QUEUE_KICK:
    case BPFHV_PROXY_SET_QUEUE_IRQ:
        return m->queue < 2 * BPFHV_MAX_QUEUE_PAIRS;
    default:
        return true;
    }
}

static bool fds_are_good(const BpfhvProxyMessage *m)
{
    switch (body_of(m)->fds) {
    case ONE_OR_NONE:
        return m->n_fds <= 1;
    case ONE_EACH:
        return m->n_fds == m->count;
    default:
        return m->n_fds == 0;
    }
}

static bool is_good(const BpfhvProxyMessage *m)
{
    return (m->answer || !m->refused) && fds_are_good(m) &&
           (m->answer ? answer_is_good(m) : request_is_good(m));
}

/* Reading */

int bpfhv_proxy_frame_len(const uint8_t *bytes, size_t len)
{
    uint32_t body;

    if (len < BPFHV_PROXY_HEADER) {
        return 0;
    }
    if ((wire_get_number(bytes + 4, 4) & FLAG_VERSION) != BPFHV_PROXY_VERSION) {
        return -EPROTONOSUPPORT;
    }
    body = wire_get_number(bytes + 8, 4);
    return body > BPFHV_PROXY_MAX_BODY ? -EMSGSIZE
                                       : (int)(BPFHV_PROXY_HEADER + body);
}

/* Bytes that the fields have. */
static size_t fields_len(const Body *body)
{
    return wire_fields_len(body->fields, MAX_FIELDS);
}

/* Read m->count units. */
static void get_units(BpfhvProxyMessage *m, Behind behind,
                      const uint8_t *bytes)
{
    switch (behind) {
    case INSNS:
        m->data = bytes;
        break;
    case REGIONS:
        for (uint32_t i = 0; i < m->count; i++, bytes += REGION_LEN) {
            m->region[i] = (BpfhvProxyRegion) {
                .gpa = wire_get_number(bytes, 8),
                .size = wire_get_number(bytes + 8, 8),
                .offset = wire_get_number(bytes + 16, 8),
            };
        }
        break;
    case TEXT:
        memcpy(m->text, bytes, m->count);
        break;
    case NOTHING:
        break;
    }
}

static bool get_body(BpfhvProxyMessage *m, const uint8_t *bytes, size_t len)
{
    const Body *body = body_of(m);
    size_t fixed = fields_len(body), size = units[body->behind].size;

    if (len < fixed || (len - fixed) % size ||
        (len - fixed) / size > units[body->behind].max) {
        return false;
    }
    m->count = (len - fixed) / size;
    wire_get_fields(m, body->fields, MAX_FIELDS, bytes);
    get_units(m, body->behind, bytes + fixed);
    return is_good(m);
}

int bpfhv_proxy_decode(const uint8_t *bytes, size_t len, bool answer,
                       unsigned n_fds, BpfhvProxyMessage *m)
{
    uint32_t type, flags;

    memset(m, 0, sizeof(*m));
    if (len < BPFHV_PROXY_HEADER ||
        bpfhv_proxy_frame_len(bytes, len) != (int)len) {
        return -EBADMSG;
    }
    type = wire_get_number(bytes, 4);
    flags = wire_get_number(bytes + 4, 4);
    if (!is_type(type)) {
        return -EOPNOTSUPP;
    }
    m->type = type;
    m->answer = answer;
    m->refused = flags & FLAG_REFUSED;
    m->n_fds = n_fds;
    if (flags & ~(uint32_t)(FLAG_VERSION | FLAG_REFUSED) ||
        (m->refused && !answer)) {
        return -EINVAL;
    }
    return get_body(m, bytes + BPFHV_PROXY_HEADER, len - BPFHV_PROXY_HEADER)
           ? 0 : -EINVAL;
}

/* Writing */

static void put_units(GByteArray *out, const BpfhvProxyMessage *m,
                      Behind behind)
{
    switch (behind) {
    case INSNS:
        g_byte_array_append(out, m->data, m->count * INSN_LEN);
        break;
    case REGIONS:
        for (uint32_t i = 0; i < m->count; i++) {
            wire_put_number(out, m->region[i].gpa, 8);
            wire_put_number(out, m->region[i].size, 8);
            wire_put_number(out, m->region[i].offset, 8);
        }
        break;
    case TEXT:
        g_byte_array_append(out, (const uint8_t *)m->text, m->count);
        break;
    case NOTHING:
        break;
    }
}

GByteArray *bpfhv_proxy_encode(const BpfhvProxyMessage *message)
{
    BpfhvProxyMessage m = *message;
    GByteArray *out;
    const Body *body;

    if (!is_type(m.type)) {
        return NULL;
    }
    body = body_of(&m);
    m.count = body->behind == NOTHING ? 0 :
              body->behind == TEXT ? strnlen(m.text, BPFHV_PROXY_MAX_TEXT) :
              m.count;
    if (m.count > units[body->behind].max || !is_good(&m)) {
        return NULL;
    }
    out = g_byte_array_new();
    wire_put_number(out, m.type, 4);
    wire_put_number(out, BPFHV_PROXY_VERSION |
                    (m.refused ? FLAG_REFUSED : 0), 4);
    wire_put_number(out, fields_len(body) +
                    m.count * units[body->behind].size, 4);
    wire_put_fields(out, body->fields, MAX_FIELDS, &m);
    put_units(out, &m, body->behind);
    return out;
}
