/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of XDP offload: known bytes, both ways, every bound. */
#include <errno.h>
#include <string.h>

#include "ebpf/xdp_wire.h"
#include "guard.h"
#include "packet.h"

static const uint8_t bytes[64] = "0123456789abcdefghijklmnopqrstuvwxyz";

/* @hex: the frame, where it is written out */
typedef struct Row {
    const char *name;
    XdpWireMessage message;
    const char *hex;
} Row;

static const Row rows[] = {
    { "hello", { XDP_OP_HELLO, .sequence = 0x01020304, .hello = {
        .features = XDP_FEATURE_TX, .max_insns = 4096, .max_maps = 16,
        .max_key = 512, .max_value = 4096, .max_memory = 1ull << 33,
        .processors = 3 } },
      "5844504f" "0100" "0100" "04030201" "20000000"
      "04000000" "00100000" "10000000" "00020000" "00100000"
      "0000000002000000" "03000000" },
    { "hello-answer", { XDP_OP_HELLO, true, 1 }, NULL },
    { "map", { XDP_OP_MAP_CREATE, .sequence = 2, .map = {
        .type = 1, .key_size = 4, .value_size = 8, .max_entries = 64,
        .name = "ports" } },
      "5844504f" "0100" "0200" "02000000" "24000000"
      "01000000" "04000000" "08000000" "40000000" "00000000"
      "706f7274730000000000000000000000" },
    { "map-answer", { XDP_OP_MAP_CREATE, true, 2, .handle = 5 },
      "5844504f" "0100" "0280" "02000000" "08000000" "00000000" "05000000" },
    { "map-refused", { XDP_OP_MAP_CREATE, true, 2, 12 },
      "5844504f" "0100" "0280" "02000000" "04000000" "0c000000" },
    { "program", { XDP_OP_PROG_SET, .sequence = 3, .program = {
        .flags = XDP_PROGRAM_GPL, .ifindex = 2, .count = 3,
        .name = "drop.port_1" }, .data = bytes, .len = 24 }, NULL },
    { "program-answer", { XDP_OP_PROG_SET, true, 3 },
      "5844504f" "0100" "0380" "03000000" "04000000" "00000000" },
    { "program-refused", { XDP_OP_PROG_SET, true, 3, 13, .data = bytes,
        .len = 36 }, NULL },
    { "unset", { XDP_OP_PROG_UNSET, .sequence = 4 },
      "5844504f" "0100" "0400" "04000000" "00000000" },
    { "unset-answer", { XDP_OP_PROG_UNSET, true, 4 }, NULL },
    { "lookup", { XDP_OP_LOOKUP, .entries = { 5, 0, 2 }, .data = bytes,
        .len = 8 },
      "5844504f" "0100" "0500" "00000000" "14000000"
      "05000000" "00000000" "02000000" "3031323334353637" },
    { "lookup-answer", { XDP_OP_LOOKUP, true, .entries = { 5, 0, 2 },
        .data = bytes, .len = 16 }, NULL },
    { "update", { XDP_OP_UPDATE, .entries = { 5, XDP_ENTRIES_NO_EXIST, 2 },
        .data = bytes, .len = 24 }, NULL },
    { "delete", { XDP_OP_DELETE, .entries = { 5, 0, 2 }, .data = bytes,
        .len = 8 }, NULL },
    { "first", { XDP_OP_NEXT, .entries = { 5, XDP_ENTRIES_FIRST, 100 } },
      NULL },
    { "next", { XDP_OP_NEXT, .entries = { 5, 0, 100 }, .data = bytes,
        .len = 4 }, NULL },
    { "next-answer", { XDP_OP_NEXT, true, .entries = { 5, 0, 2 },
        .data = bytes, .len = 24 }, NULL },
    { "map-typed", { XDP_OP_MAP_TYPED, .sequence = 2, .map = {
        .type = 1, .key_size = 4, .value_size = 8, .max_entries = 64,
        .name = "ports", .key_type = 1, .value_type = 3 }, .data = bytes,
        .len = 4 },
      "5844504f" "0100" "0a00" "02000000" "30000000"
      "01000000" "04000000" "08000000" "40000000" "00000000"
      "706f7274730000000000000000000000" "01000000" "03000000" "30313233" },
    { "map-typed-answer", { XDP_OP_MAP_TYPED, true, 2, .handle = 5 }, NULL },
    { "stats", { XDP_OP_STATS, .sequence = 0xffffffff }, NULL },
    { "stats-answer", { XDP_OP_STATS, true, .stats = {
        1, 2, 3, 4, UINT64_MAX, 6 } }, NULL },
};

static void test_row(gconstpointer data)
{
    const Row *row = data;
    g_autoptr(GByteArray) frame = xdp_wire_encode(&row->message), again = NULL;
    Guard *guard = guard_new(XDP_WIRE_MAX);
    XdpWireMessage message;
    g_autofree char *hex = NULL;
    const uint8_t *copy;
    guint len;

    g_assert_nonnull(frame);
    if (row->hex) {
        hex = packet_hex(frame->data, frame->len);
        g_assert_cmpstr(hex, ==, row->hex);
    }
    for (len = 0; len < frame->len; len++) {
        copy = guard_copy(guard, frame->data, len);
        g_assert_cmpint(xdp_wire_frame_len(copy, len), ==,
                        len < XDP_WIRE_HEADER ? 0 : (int)frame->len);
        g_assert_cmpint(xdp_wire_decode(copy, len, &message), ==, -EBADMSG);
    }
    copy = guard_copy(guard, frame->data, frame->len);
    g_assert_cmpint(xdp_wire_decode(copy, frame->len, &message), ==, 0);
    g_assert_cmpuint(message.op, ==, row->message.op);
    g_assert_cmpuint(message.sequence, ==, row->message.sequence);
    g_assert_cmpuint(message.error, ==, row->message.error);
    again = xdp_wire_encode(&message);
    g_assert_cmpmem(frame->data, frame->len, again->data, again->len);
    guard_free(guard);
}

/* A body that is cut off, or has too much, in a frame that says so. */
static void test_bodies(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        const XdpWireMessage *sent = &rows[i].message;
        g_autoptr(GByteArray) frame = xdp_wire_encode(sent);
        guint fixed = frame->len - XDP_WIRE_HEADER - sent->len, len;
        XdpWireMessage message;

        for (len = 0; len < fixed; len++) {
            frame->data[12] = len;
            g_assert_cmpint(xdp_wire_decode(frame->data,
                                            XDP_WIRE_HEADER + len, &message),
                            ==, -EINVAL);
            g_assert_cmpuint(message.sequence, ==, sent->sequence);
        }
        if (sent->len == 0 && !sent->error && sent->op != XDP_OP_NEXT) {
            g_byte_array_append(frame, bytes, 1);
            frame->data[12] = frame->len - XDP_WIRE_HEADER;
            g_assert_cmpint(xdp_wire_decode(frame->data, frame->len,
                                            &message), ==, -EINVAL);
        }
    }
}

/* Byte @at of a frame has another value: what is said of it. */
static void test_headers(void)
{
    static const struct {
        unsigned at;
        uint8_t value;
        int length, decoded;
    } changes[] = {
        { 0, 0, -EBADMSG, -EBADMSG },
        { 3, 0, -EBADMSG, -EBADMSG },
        { 4, 0, -EPROTONOSUPPORT, -EBADMSG },
        { 4, 2, -EPROTONOSUPPORT, -EBADMSG },
        { 5, 1, -EPROTONOSUPPORT, -EBADMSG },
        { 6, 0, 16, -EOPNOTSUPP },
        { 6, XDP_OP_END, 16, -EOPNOTSUPP },
        { 7, 0x40, 16, -EOPNOTSUPP },
        { 7, 0x80, 16, -EINVAL },
        { 8, 9, 16, 0 },
        { 12, 1, 17, -EBADMSG },
        { 13, 0xff, 16 + 0xff00, -EBADMSG },
        { 14, 1, -EMSGSIZE, -EBADMSG },
        { 15, 0x80, -EMSGSIZE, -EBADMSG },
        { 15, 0xff, -EMSGSIZE, -EBADMSG },
    };
    const XdpWireMessage unset = { XDP_OP_PROG_UNSET };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GByteArray) frame = xdp_wire_encode(&unset);
        XdpWireMessage message;

        frame->data[changes[i].at] = changes[i].value;
        g_test_message("byte %u is %u", changes[i].at, changes[i].value);
        g_assert_cmpint(xdp_wire_frame_len(frame->data, frame->len), ==,
                        changes[i].length);
        g_assert_cmpint(xdp_wire_decode(frame->data, frame->len, &message),
                        ==, changes[i].decoded);
    }
}

/* The longest frame, and one byte more. */
static void test_longest(void)
{
    g_autofree uint8_t *data = g_malloc0(XDP_WIRE_MAX);
    XdpWireMessage message = {
        XDP_OP_UPDATE, .data = data,
        .len = XDP_WIRE_MAX - XDP_WIRE_HEADER - 12,
    };
    g_autoptr(GByteArray) frame = xdp_wire_encode(&message);

    g_assert_cmpuint(frame->len, ==, XDP_WIRE_MAX);
    g_assert_cmpint(xdp_wire_decode(frame->data, frame->len, &message), ==,
                    0);
    message.data = data;
    message.len++;
    g_assert_null(xdp_wire_encode(&message));
}

static void test_program(void)
{
    XdpWireMessage message = { XDP_OP_PROG_SET, .data = bytes, .len = 16,
                               .program.count = 2 };
    static const char *const bad[] = { "a b", "a/b", "\n", "0123456789abcdef" };
    g_autoptr(GByteArray) frame = xdp_wire_encode(&message);
    size_t i;

    g_assert_nonnull(frame);
    message.program.count = 1;
    g_assert_null(xdp_wire_encode(&message));
    message.program.count = 3;
    g_assert_null(xdp_wire_encode(&message));
    message.program.count = 0x20000002;     /* times 8: 16, in 32 bits */
    g_assert_null(xdp_wire_encode(&message));
    message.program.count = 2;
    for (i = 0; i < G_N_ELEMENTS(bad); i++) {
        memcpy(message.program.name, bad[i],
               MIN(strlen(bad[i]) + 1, XDP_WIRE_NAME));
        g_assert_null(xdp_wire_encode(&message));
    }
}

static void test_entries(void)
{
    static const struct {
        XdpOp op;
        bool answer;
        unsigned flags, count, len;
        bool good;
    } cases[] = {
        { XDP_OP_LOOKUP, false, 0, 3, 12, true },
        { XDP_OP_LOOKUP, false, 0, 3, 11, false },
        { XDP_OP_LOOKUP, false, 0, 2, 12, false },
        { XDP_OP_LOOKUP, false, 0, 0, 0, true },
        { XDP_OP_LOOKUP, false, 0, 0x40000003, 12, false },
        { XDP_OP_LOOKUP, true, 0, 2, 16, true },
        { XDP_OP_LOOKUP, true, 0, 2, 8, false },
        { XDP_OP_UPDATE, false, 0, 2, 24, true },
        { XDP_OP_UPDATE, false, 0, 2, 16, false },
        { XDP_OP_UPDATE, true, 0, 2, 0, true },
        { XDP_OP_UPDATE, true, 0, 2, 24, false },
        { XDP_OP_DELETE, false, 0, 2, 8, true },
        { XDP_OP_DELETE, true, 0, 2, 0, true },
        { XDP_OP_NEXT, false, 0, 100, 4, true },
        { XDP_OP_NEXT, false, 0, 100, 0, false },
        { XDP_OP_NEXT, false, XDP_ENTRIES_FIRST, 100, 0, true },
        { XDP_OP_NEXT, false, XDP_ENTRIES_FIRST, 100, 4, false },
        { XDP_OP_NEXT, true, 0, 2, 24, true },
        { XDP_OP_NEXT, true, 0, 2, 23, false },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        const XdpWireMessage message = {
            cases[i].op, cases[i].answer, .data = bytes,
            .len = cases[i].len,
            .entries = { 0, cases[i].flags, cases[i].count },
        };

        g_test_message("case %zu", i);
        g_assert_true(xdp_wire_check_entries(&message, 4, 8) ==
                      cases[i].good);
    }
}

int main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("/xdp-wire/message/%s",
                                                rows[i].name);

        g_test_add_data_func(name, &rows[i], test_row);
    }
    g_test_add_func("/xdp-wire/bodies", test_bodies);
    g_test_add_func("/xdp-wire/headers", test_headers);
    g_test_add_func("/xdp-wire/longest", test_longest);
    g_test_add_func("/xdp-wire/program", test_program);
    g_test_add_func("/xdp-wire/entries", test_entries);
    return g_test_run();
}
