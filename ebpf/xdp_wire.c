/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of XDP offload, read and written
 *
 * One table says which fields each message has, and both directions go by it.
 * The other end is not trusted: all that is read lies within the bytes that
 * came, and each number is copied once.
 */
#include <errno.h>
#include <string.h>

#include "ebpf/xdp_wire.h"
#include "net/wire_field.h"

enum {
    INSN_LEN = 8,           /* bytes */
    MAX_FIELDS = 8,
};

#define FIELD(name) WIRE_FIELD(XdpWireMessage, name)

/* What may stand behind a body. */
typedef enum Behind {
    NOTHING,
    INSNS,                  /* program.count of them */
    ENTRIES,                /* xdp_wire_check_entries() tells */
    TYPES,                  /* xdp_types_check() tells */
} Behind;

typedef struct Body {
    Behind behind;
    WireField fields[MAX_FIELDS];
} Body;

static const Body requests[XDP_OP_END] = {
    [XDP_OP_HELLO] = { NOTHING,
        { FIELD(hello.features), FIELD(hello.max_insns),
          FIELD(hello.max_maps), FIELD(hello.max_key),
          FIELD(hello.max_value), FIELD(hello.max_memory),
          FIELD(hello.processors) } },
    [XDP_OP_MAP_CREATE] = { NOTHING,
        { FIELD(map.type), FIELD(map.key_size), FIELD(map.value_size),
          FIELD(map.max_entries), FIELD(map.flags), FIELD(map.name) } },
    [XDP_OP_PROG_SET] = { INSNS,
        { FIELD(program.flags), FIELD(program.ifindex), FIELD(program.count),
          FIELD(program.name) } },
    [XDP_OP_LOOKUP ... XDP_OP_NEXT] = { ENTRIES,
        { FIELD(entries.handle), FIELD(entries.flags),
          FIELD(entries.count) } },
    [XDP_OP_MAP_TYPED] = { TYPES,
        { FIELD(map.type), FIELD(map.key_size), FIELD(map.value_size),
          FIELD(map.max_entries), FIELD(map.flags), FIELD(map.name),
          FIELD(map.key_type), FIELD(map.value_type) } },
};

static const Body answers[XDP_OP_END] = {
    [XDP_OP_HELLO] = { NOTHING,
        { FIELD(hello.features), FIELD(hello.max_insns),
          FIELD(hello.max_maps), FIELD(hello.max_key),
          FIELD(hello.max_value), FIELD(hello.max_memory),
          FIELD(hello.processors) } },
    [XDP_OP_MAP_CREATE] = { NOTHING, { FIELD(handle) } },
    [XDP_OP_LOOKUP ... XDP_OP_NEXT] = { ENTRIES,
        { FIELD(entries.handle), FIELD(entries.flags),
          FIELD(entries.count) } },
    [XDP_OP_STATS] = { NOTHING,
        { FIELD(stats.passed), FIELD(stats.dropped), FIELD(stats.sent),
          FIELD(stats.unexamined), FIELD(stats.memory),
          FIELD(stats.since) } },
    [XDP_OP_MAP_TYPED] = { NOTHING, { FIELD(handle) } },
};

static bool is_op(unsigned op)
{
    return op >= XDP_OP_HELLO && op < XDP_OP_END;
}

static const Body *body_of(const XdpWireMessage *message)
{
    return message->answer ? &answers[message->op] : &requests[message->op];
}

/* A name as the kernel takes it, and zeros behind it. */
static bool name_is_good(const char *name)
{
    size_t i, len = strnlen(name, XDP_WIRE_NAME);

    for (i = 0; i < len; i++) {
        if (!g_ascii_isalnum(name[i]) && name[i] != '_' && name[i] != '.') {
            return false;
        }
    }
    for (; i < XDP_WIRE_NAME; i++) {
        if (name[i]) {
            return false;
        }
    }
    return len < XDP_WIRE_NAME;
}

static bool is_good(const XdpWireMessage *m)
{
    if (m->answer && m->error) {
        return true;
    }
    if (!m->answer &&
        (m->op == XDP_OP_MAP_CREATE || m->op == XDP_OP_MAP_TYPED) &&
        !name_is_good(m->map.name)) {
        return false;
    }
    switch (body_of(m)->behind) {
    case INSNS:
        return name_is_good(m->program.name) &&
               m->len == (uint64_t)m->program.count * INSN_LEN;
    case ENTRIES:
    case TYPES:
        return true;
    default:
        return m->len == 0;
    }
}

int xdp_wire_frame_len(const uint8_t *bytes, size_t len)
{
    uint32_t body;

    if (len < XDP_WIRE_HEADER) {
        return 0;
    }
    if (wire_get_number(bytes, 4) != XDP_WIRE_MAGIC) {
        return -EBADMSG;
    }
    if (wire_get_number(bytes + 4, 2) != XDP_WIRE_VERSION) {
        return -EPROTONOSUPPORT;
    }
    body = wire_get_number(bytes + 12, 4);
    return body > XDP_WIRE_MAX - XDP_WIRE_HEADER ? -EMSGSIZE
                                                 : XDP_WIRE_HEADER + body;
}

/* Reads the fields; returns whether all are there. */
static bool get_fields(XdpWireMessage *m, const Body *body)
{
    size_t len = wire_fields_len(body->fields, MAX_FIELDS);

    if (m->len < len) {
        return false;
    }
    wire_get_fields(m, body->fields, MAX_FIELDS, m->data);
    m->data += len;
    m->len -= len;
    return true;
}

int xdp_wire_decode(const uint8_t *bytes, size_t len, XdpWireMessage *m)
{
    unsigned op;

    memset(m, 0, sizeof(*m));
    if (len < XDP_WIRE_HEADER || xdp_wire_frame_len(bytes, len) != (int)len) {
        return -EBADMSG;
    }
    op = wire_get_number(bytes + 6, 2);
    m->answer = op & XDP_WIRE_ANSWER;
    m->op = op & ~XDP_WIRE_ANSWER;
    m->sequence = wire_get_number(bytes + 8, 4);
    m->data = bytes + XDP_WIRE_HEADER;
    m->len = len - XDP_WIRE_HEADER;
    if (!is_op(m->op)) {
        return -EOPNOTSUPP;
    }
    if (m->answer) {
        if (m->len < sizeof(m->error)) {
            return -EINVAL;
        }
        m->error = wire_get_number(m->data, sizeof(m->error));
        m->data += sizeof(m->error);
        m->len -= sizeof(m->error);
        if (m->error) {
            return 0;
        }
    }
    return get_fields(m, body_of(m)) && is_good(m) ? 0 : -EINVAL;
}

GByteArray *xdp_wire_encode(const XdpWireMessage *m)
{
    GByteArray *out;
    uint32_t body;
    unsigned i;

    if (!is_op(m->op) && !(m->answer && m->error)) {
        return NULL;
    }
    if (m->len > XDP_WIRE_MAX || !is_good(m)) {
        return NULL;
    }
    out = g_byte_array_new();
    wire_put_number(out, XDP_WIRE_MAGIC, 4);
    wire_put_number(out, XDP_WIRE_VERSION, 2);
    wire_put_number(out, m->op | (m->answer ? XDP_WIRE_ANSWER : 0), 2);
    wire_put_number(out, m->sequence, 4);
    wire_put_number(out, 0, 4);
    if (m->answer) {
        wire_put_number(out, m->error, sizeof(m->error));
    }
    if (!m->answer || !m->error) {
        wire_put_fields(out, body_of(m)->fields, MAX_FIELDS, m);
    }
    if (m->len) {
        g_byte_array_append(out, m->data, m->len);
    }
    if (out->len > XDP_WIRE_MAX) {
        g_byte_array_free(out, TRUE);
        return NULL;
    }
    body = out->len - XDP_WIRE_HEADER;
    for (i = 0; i < sizeof(body); i++) {
        out->data[12 + i] = body >> (8 * i);
    }
    return out;
}

size_t xdp_wire_entry_len(const XdpWireMessage *m, size_t key_size,
                          size_t value_size)
{
    bool key, value;

    switch (m->op) {
    case XDP_OP_LOOKUP:
        key = !m->answer;
        value = m->answer;
        break;
    case XDP_OP_UPDATE:
        key = value = !m->answer;
        break;
    case XDP_OP_DELETE:
        key = !m->answer;
        value = false;
        break;
    default:
        key = value = m->answer;
    }
    return (key ? key_size : 0) + (value ? value_size : 0);
}

bool xdp_wire_check_entries(const XdpWireMessage *m, size_t key_size,
                            size_t value_size)
{
    size_t entry = xdp_wire_entry_len(m, key_size, value_size);

    if (m->op == XDP_OP_NEXT && !m->answer) {
        return m->len == (m->entries.flags & XDP_ENTRIES_FIRST ? 0 : key_size);
    }
    return entry == 0 ? m->len == 0
                      : m->len % entry == 0 &&
                        m->len / entry == m->entries.count;
}
