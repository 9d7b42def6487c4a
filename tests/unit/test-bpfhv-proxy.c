/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of bpfhv's proxy: known bytes, both ways, every bound; and what
 * a peer does beside them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"
#include "guard.h"
#include "linux/bpfhv/bpfhv_abi.h"
#include "net/bpfhv_link.h"
#include "net/bpfhv_proxy.h"
#include "net/socket_fds.h"
#include "packet.h"

enum {
    GIB = 1 << 30,
};

static const uint8_t insns[8 * BPFHV_MAX_INSNS + 8] = "0123456789abcdef";

/* @hex: the message, where it is written out */
typedef struct Row {
    const char *name;
    BpfhvProxyMessage message;
    const char *hex;
} Row;

static const Row rows[] = {
    { "get-features", { BPFHV_PROXY_GET_FEATURES },
      "01000000" "02000000" "00000000" },
    { "get-features-answer", { BPFHV_PROXY_GET_FEATURES, true,
        .features = 0x8000000000000041 },
      "01000000" "02000000" "08000000" "4100000000000080" },
    { "set-features", { BPFHV_PROXY_SET_FEATURES, .features = BPFHV_F_SG },
      "02000000" "02000000" "08000000" "0100000000000000" },
    { "refused", { BPFHV_PROXY_SET_FEATURES, true, true, .text = "no!" },
      "02000000" "0a000000" "03000000" "6e6f21" },
    { "set-parameters", { BPFHV_PROXY_SET_PARAMETERS, .parameters = { 2, 1 } },
      "03000000" "02000000" "08000000" "02000000" "01000000" },
    { "most-queues", { BPFHV_PROXY_SET_PARAMETERS, .parameters = { 32, 32 } } },
    { "set-parameters-answer", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { 2176, 1 << 20, 1, 65536 } },
      "03000000" "02000000" "10000000" "80080000" "00001000" "01000000"
      "00000100" },
    { "get-program", { BPFHV_PROXY_GET_PROGRAM, .program = BPFHV_TX_COMPLETE },
      "04000000" "02000000" "04000000" "07000000" },
    { "no-program", { BPFHV_PROXY_GET_PROGRAM, true } },
    { "program", { BPFHV_PROXY_GET_PROGRAM, true, .count = 2, .data = insns },
      "04000000" "02000000" "10000000" "30313233343536373839616263646566" },
    { "largest-program", { BPFHV_PROXY_GET_PROGRAM, true,
        .count = BPFHV_MAX_INSNS, .data = insns } },
    { "no-memory", { BPFHV_PROXY_SET_MEMORY } },
    { "memory", { BPFHV_PROXY_SET_MEMORY, .count = 2, .n_fds = 2,
        .region = { { 0, 0xa0000, 0 }, { 0x100000, GIB, 0x100000 } } },
      "05000000" "02000000" "30000000"
      "0000000000000000" "00000a0000000000" "0000000000000000"
      "0000100000000000" "0000004000000000" "0000100000000000" },
    { "regions-that-touch", { BPFHV_PROXY_SET_MEMORY, .count = 8, .n_fds = 8,
        .region = { { 7, 1 }, { 6, 1 }, { 5, 1 }, { 4, 1 }, { 3, 1 }, { 2, 1 },
                    { 1, 1 }, { 0, 1 } } } },
    { "memory-at-the-end", { BPFHV_PROXY_SET_MEMORY, .count = 1, .n_fds = 1,
        .region = { { UINT64_MAX - 4096, 4096, INT64_MAX - 4096 } } } },
    { "context", { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 63, .gpa = 0x12345680 },
      "06000000" "02000000" "0c000000" "3f000000" "8056341200000000" },
    { "kick", { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 1, .n_fds = 1 },
      "07000000" "02000000" "04000000" "01000000" },
    { "no-kick", { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 1 } },
    { "irq", { BPFHV_PROXY_SET_QUEUE_IRQ, .n_fds = 1 } },
    { "set-upgrade", { BPFHV_PROXY_SET_UPGRADE, .n_fds = 1 } },
    { "rx-enable", { BPFHV_PROXY_RX_ENABLE } },
    { "tx-disable-answer", { BPFHV_PROXY_TX_DISABLE, true },
      "0d000000" "02000000" "00000000" },
    { "upgrade", { BPFHV_PROXY_UPGRADE },
      "0e000000" "02000000" "00000000" },
};

static int decode(const GByteArray *frame, const BpfhvProxyMessage *like,
                  BpfhvProxyMessage *message)
{
    return bpfhv_proxy_decode(frame->data, frame->len, like->answer,
                              like->n_fds, message);
}

static void test_row(gconstpointer data)
{
    const Row *row = data;
    const BpfhvProxyMessage *sent = &row->message;
    g_autoptr(GByteArray) frame = bpfhv_proxy_encode(sent), again = NULL;
    Guard *guard = guard_new(BPFHV_PROXY_HEADER + BPFHV_PROXY_MAX_BODY);
    BpfhvProxyMessage message;
    const uint8_t *copy;

    g_assert_nonnull(frame);
    if (row->hex) {
        g_autofree char *hex = packet_hex(frame->data, frame->len);

        g_assert_cmpstr(hex, ==, row->hex);
    }
    for (guint len = 0; len < frame->len; len++) {
        copy = guard_copy(guard, frame->data, len);
        g_assert_cmpint(bpfhv_proxy_frame_len(copy, len), ==,
                        len < BPFHV_PROXY_HEADER ? 0 : (int)frame->len);
        g_assert_cmpint(bpfhv_proxy_decode(copy, len, sent->answer,
                                           sent->n_fds, &message),
                        ==, -EBADMSG);
    }
    copy = guard_copy(guard, frame->data, frame->len);
    g_assert_cmpint(bpfhv_proxy_decode(copy, frame->len, sent->answer,
                                       sent->n_fds, &message), ==, 0);
    g_assert_cmpint(message.type, ==, sent->type);
    g_assert_cmpint(message.refused, ==, sent->refused);
    g_assert_cmpuint(message.features, ==, sent->features);
    g_assert_cmpuint(message.queue, ==, sent->queue);
    g_assert_cmpuint(message.gpa, ==, sent->gpa);
    g_assert_cmpmem(message.region, sizeof(message.region), sent->region,
                    sizeof(sent->region));
    g_assert_cmpstr(message.text, ==, sent->text);
    again = bpfhv_proxy_encode(&message);
    g_assert_cmpmem(frame->data, frame->len, again->data, again->len);
    guard_free(guard);
}

/* A body that is shorter or longer than it may be, in a frame that says so. */
static void test_bodies(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const BpfhvProxyMessage *sent = &rows[i].message;
        g_autoptr(GByteArray) frame = bpfhv_proxy_encode(sent);
        BpfhvProxyMessage message;

        if (frame->len > BPFHV_PROXY_HEADER && !sent->refused) {
            frame->data[8]--;
            g_byte_array_set_size(frame, frame->len - 1);
            g_assert_cmpint(decode(frame, sent, &message), ==,
                            frame->data[8] == 0xff ? -EBADMSG : -EINVAL);
            g_byte_array_append(frame, insns, 1);
            frame->data[8]++;
        }
        if (frame->len < BPFHV_PROXY_HEADER + BPFHV_PROXY_MAX_BODY &&
            !sent->refused) {
            g_byte_array_append(frame, insns, 1);
            frame->data[8]++;
            g_assert_cmpint(decode(frame, sent, &message), ==, -EINVAL);
        }
    }
}

/* One descriptor more than there may be, and one less than there must. */
static void test_descriptors(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const BpfhvProxyMessage *sent = &rows[i].message;
        g_autoptr(GByteArray) frame = bpfhv_proxy_encode(sent);
        BpfhvProxyMessage m = *sent, message;
        bool may_lack = sent->type >= BPFHV_PROXY_SET_QUEUE_KICK;

        m.n_fds = sent->n_fds + 1;
        g_assert_cmpint(decode(frame, &m, &message), ==,
                        may_lack && !sent->n_fds && !sent->answer &&
                        sent->type <= BPFHV_PROXY_SET_UPGRADE ? 0 : -EINVAL);
        if (sent->n_fds) {
            m.n_fds = sent->n_fds - 1;
            g_assert_cmpint(decode(frame, &m, &message), ==,
                            may_lack ? 0 : -EINVAL);
        }
    }
}

/* The value on the other side of each limit: not written, and not read. */
static const Row bad[] = {
    { "no-rx-queue", { BPFHV_PROXY_SET_PARAMETERS, .parameters = { 0, 1 } },
      "03000000" "02000000" "08000000" "00000000" "01000000" },
    { "no-tx-queue", { BPFHV_PROXY_SET_PARAMETERS, .parameters = { 1, 0 } },
      "03000000" "02000000" "08000000" "01000000" "00000000" },
    { "too-many-queues", { BPFHV_PROXY_SET_PARAMETERS,
        .parameters = { 1, 33 } },
      "03000000" "02000000" "08000000" "01000000" "21000000" },
    { "small-context", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { 2168, 4096, 1, 1 } },
      "03000000" "02000000" "10000000" "78080000" "00100000" "01000000"
      "01000000" },
    { "odd-context", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { 4096, 4100, 1, 1 } },
      "03000000" "02000000" "10000000" "00100000" "04100000" "01000000"
      "01000000" },
    { "large-context", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { (1 << 20) + 8, 4096, 1, 1 } },
      "03000000" "02000000" "10000000" "08001000" "00100000" "01000000"
      "01000000" },
    { "no-bufs", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { 4096, 4096, 0, 1 } },
      "03000000" "02000000" "10000000" "00100000" "00100000" "00000000"
      "01000000" },
    { "too-many-bufs", { BPFHV_PROXY_SET_PARAMETERS, true,
        .sizes = { 4096, 4096, 1, 65537 } },
      "03000000" "02000000" "10000000" "00100000" "00100000" "01000000"
      "01000100" },
    { "program-0", { BPFHV_PROXY_GET_PROGRAM },
      "04000000" "02000000" "04000000" "00000000" },
    { "program-4", { BPFHV_PROXY_GET_PROGRAM, .program = 4 },
      "04000000" "02000000" "04000000" "04000000" },
    { "program-9", { BPFHV_PROXY_GET_PROGRAM, .program = 9 },
      "04000000" "02000000" "04000000" "09000000" },
    { "empty-region", { BPFHV_PROXY_SET_MEMORY, .count = 1, .n_fds = 1 },
      "05000000" "02000000" "18000000"
      "0000000000000000" "0000000000000000" "0000000000000000" },
    { "region-wraps", { BPFHV_PROXY_SET_MEMORY, .count = 1, .n_fds = 1,
        .region = { { 0xfffffffffffff000, 0x1000 } } },
      "05000000" "02000000" "18000000"
      "00f0ffffffffffff" "0010000000000000" "0000000000000000" },
    { "offset-wraps", { BPFHV_PROXY_SET_MEMORY, .count = 1, .n_fds = 1,
        .region = { { 0, 0x1000, 0x7ffffffffffff000 } } },
      "05000000" "02000000" "18000000"
      "0000000000000000" "0010000000000000" "00f0ffffffffff7f" },
    { "regions-overlap", { BPFHV_PROXY_SET_MEMORY, .count = 2, .n_fds = 2,
        .region = { { 0x1000, 0x1000 }, { 0, 0x1001 } } },
      "05000000" "02000000" "30000000"
      "0010000000000000" "0010000000000000" "0000000000000000"
      "0000000000000000" "0110000000000000" "0000000000000000" },
    { "queue-64", { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 64 },
      "06000000" "02000000" "0c000000" "40000000" "0000000000000000" },
    { "kick-64", { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 64 },
      "07000000" "02000000" "04000000" "40000000" },
    { "irq-64", { BPFHV_PROXY_SET_QUEUE_IRQ, .queue = 64 },
      "08000000" "02000000" "04000000" "40000000" },
    { "not-printable", { BPFHV_PROXY_RX_ENABLE, true, true, .text = "a\033b" },
      "0a000000" "0a000000" "03000000" "611b62" },
    { "request-refuses", { BPFHV_PROXY_RX_ENABLE, .refused = true },
      "0a000000" "0a000000" "00000000" },
};

static void test_bad(gconstpointer data)
{
    const Row *row = data;
    uint8_t bytes[128];
    size_t len = strlen(row->hex) / 2;
    BpfhvProxyMessage message;

    g_assert_null(bpfhv_proxy_encode(&row->message));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = g_ascii_xdigit_value(row->hex[2 * i]) << 4 |
                   g_ascii_xdigit_value(row->hex[2 * i + 1]);
    }
    g_assert_cmpint(bpfhv_proxy_decode(bytes, len, row->message.answer,
                                       row->message.n_fds, &message),
                    ==, -EINVAL);
    g_assert_cmpint(message.type, ==, row->message.type);
}

/* Byte @at of a request has another value: what is said of it. */
static void test_headers(void)
{
    static const struct {
        unsigned at;
        uint8_t value;
        int length, decoded;
    } changes[] = {
        { 0, 0, 12, -EOPNOTSUPP },
        { 0, BPFHV_PROXY_END, 12, -EOPNOTSUPP },
        { 0, 255, 12, -EOPNOTSUPP },
        { 1, 1, 12, -EOPNOTSUPP },
        { 3, 0x80, 12, -EOPNOTSUPP },
        { 4, 1, -EPROTONOSUPPORT, -EBADMSG },
        { 4, 3, -EPROTONOSUPPORT, -EBADMSG },
        { 4, 0x12, 12, -EINVAL },
        { 7, 0x80, 12, -EINVAL },
        { 8, 1, 13, -EBADMSG },
        { 9, 0x80, 12 + 32768, -EBADMSG },
        { 10, 1, -EMSGSIZE, -EBADMSG },
        { 11, 0xff, -EMSGSIZE, -EBADMSG },
    };
    const BpfhvProxyMessage request = { BPFHV_PROXY_RX_ENABLE };

    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GByteArray) frame = bpfhv_proxy_encode(&request);
        BpfhvProxyMessage message;

        frame->data[changes[i].at] = changes[i].value;
        g_assert_cmpint(bpfhv_proxy_frame_len(frame->data, frame->len), ==,
                        changes[i].length);
        g_assert_cmpint(decode(frame, &request, &message), ==,
                        changes[i].decoded);
    }
}

/* Descriptors with each byte: the connection ends, and all are closed. */
static void test_too_many(void)
{
    int fds[SEND_FDS_MAX], pair[2];
    g_autofree BpfhvLink *link = g_new0(BpfhvLink, 1);
    BpfhvProxyMessage message;
    int before;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    for (int i = 0; i < SEND_FDS_MAX; i++) {
        fds[i] = pair[1];
    }
    link->socket = pair[0];
    before = count_fds();
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(send_fds(pair[1], "", 1, fds, SEND_FDS_MAX, 0), ==, 1);
    }
    g_assert_cmpint(bpfhv_link_receive(link, &message), ==, BPFHV_LINK_ENDED);
    bpfhv_link_clear(link);
    g_assert_cmpint(count_fds(), ==, before);
    close(pair[0]);
    close(pair[1]);
}

static void add_rows(const char *folder, const Row *row, size_t n,
                     GTestDataFunc test)
{
    for (; n; n--, row++) {
        g_autofree char *path = g_strdup_printf("/bpfhv/proxy/%s/%s", folder,
                                                row->name);

        g_test_add_data_func(path, row, test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_rows("good", rows, G_N_ELEMENTS(rows), test_row);
    add_rows("bad", bad, G_N_ELEMENTS(bad), test_bad);
    g_test_add_func("/bpfhv/proxy/bodies", test_bodies);
    g_test_add_func("/bpfhv/proxy/descriptors", test_descriptors);
    g_test_add_func("/bpfhv/proxy/headers", test_headers);
    g_test_add_func("/bpfhv/proxy/too-many-descriptors", test_too_many);
    return g_test_run();
}
