/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend as a process, with QEMU and the guest of lib/bpfhv_rig.h:
 * models and their upgrades, what is refused, what lies, and how it ends. A
 * tap and AF_XDP are in test-bpfhv-backend-tap.c and -xdp.c.
 *
 *     test-bpfhv-backend BACKEND CTL PROGRAMS DAMAGED
 *
 * PROGRAMS are those that are built in, DAMAGED is tests/bpf/bpfhv.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpfhv_rig.h"
#include "ebpf/bpfhv/sring.h"

static const char *programs_path, *damaged_path;

static void test_traffic(const void *options)
{
    g_autofree char *all = g_strdup_printf("--source %d %s", RIG_SOURCE_LEN,
                                           (const char *)options);
    g_autoptr(Rig) rig = bpfhv_rig_new(all);
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    for (int round = 0; round < 5; round++) {
        bpfhv_rig_send_packets(rig, 1, 500, &bytes);
        bpfhv_rig_receive_packets(rig, 0, 500);
    }
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 2500);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "bytes "), ==, bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "dropped "), ==, 0);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "packets "), >=,
                     rig->received);
    g_assert_cmpuint(rig->empty, ==, 0);
}

/* What is damaged in the guest's memory is lost on both sides, and no more. */
static void test_damaged(void)
{
    g_autofree char *options = g_strdup_printf(
        "--source %d --model sring_sum --programs %s", RIG_SOURCE_LEN,
        damaged_path);
    g_autoptr(Rig) rig = bpfhv_rig_new(options);
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    bpfhv_rig_send_packets(rig, 1, 640, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 630);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "dropped "), ==, 10);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "bytes "), <, bytes);
    bpfhv_rig_receive_packets(rig, 0, 640);
    g_assert_cmpuint(rig->empty, ==, (rig->received + 63) / 64);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "rx0", "dropped "), >=, rig->empty);
}

static void test_pairs(void)
{
    g_autofree char *options = g_strdup_printf(
        "--sink --queues 2 --programs %s", programs_path);
    g_autoptr(Rig) rig = bpfhv_rig_new(options);
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 2);
    bpfhv_rig_send_packets(rig, 2, 300, &bytes);
    bpfhv_rig_send_packets(rig, 3, 200, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 300);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx1", "packets "), ==, 200);
}

/* From each model to each: the source's packets come all, and once. */
static void test_upgrades(void)
{
    static const char *const models[] = {
        "sring_gso", "vring_packed", "sring", "vring_packed", "sring_gso",
        "sring_sum", "sring", "sring",
    };
    g_autofree char *options = g_strdup_printf("--source %d --model sring",
                                               RIG_SOURCE_LEN);
    g_autoptr(Rig) rig = bpfhv_rig_new(options);
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *said = NULL, *stats = NULL;

        bpfhv_rig_receive_packets(rig, 0, 400);
        bpfhv_rig_publish_room(rig, 0);
        said = bpfhv_rig_tell(rig, "upgrade", models[i]);
        g_assert_nonnull(strstr(said, models[i]));
        bpfhv_rig_send_packets(rig, 1, 50, &bytes);
        bpfhv_rig_follow_upgrade(rig);
        stats = bpfhv_rig_tell(rig, "stats", NULL);
        g_assert_true(g_str_has_prefix(stats + strlen("model "), models[i]));
    }
    bpfhv_rig_receive_packets(rig, 0, 400);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "bytes "), ==, bytes);
}

static void refused(Rig *rig, const BpfhvProxyMessage *message,
                    const int *fds, const char *why)
{
    BpfhvProxyMessage answer = bpfhv_rig_ask(rig, message, fds);

    g_assert_true(answer.refused);
    if (!strstr(answer.text, why)) {
        g_error("%s: not \"%s\", but: %s", bpfhv_proxy_name(message->type),
                why, answer.text);
    }
}

static void refused_all(Rig *rig, const BpfhvProxyMessage *messages, size_t n,
                        const int *fds, const char *why)
{
    for (; n; n--, messages++) {
        refused(rig, messages, fds, why);
    }
}

static void test_refused_early(void)
{
    static const BpfhvProxyMessage without_queues[] = {
        { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 0, .gpa = RIG_CTX_GPA },
        { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 2, .n_fds = 1 },
        { BPFHV_PROXY_SET_QUEUE_IRQ, .queue = 63, .n_fds = 1 },
    };
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink --queues 2 --model sring_gso");
    const int fds[] = { rig->memory };
    uint64_t bytes = 0;
    int blocking = eventfd(0, 0);

    refused_all(rig, without_queues, G_N_ELEMENTS(without_queues), fds,
                "there is no queue");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_RX_ENABLE }, NULL,
            "SET_PARAMETERS");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES,
            .features = 1 << 7 }, NULL, "does not have the features 0x80");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_PARAMETERS,
            .parameters = { 1, 3 } }, NULL, "2 queue pairs");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_MEMORY, .count = 1,
            .n_fds = 1,
            .region = { { 0, RIG_LOW_SIZE + RIG_HIGH_SIZE + 1, 0 } } }, fds,
            "not all in its file");
    bpfhv_rig_negotiate(rig, 1);
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = RIG_CTX_GPA + 64 }, NULL, "aligned");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = RIG_LOW_SIZE - 4096 }, NULL, "not in guest memory");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = RIG_HIGH_GPA - 128 }, NULL, "not in guest memory");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_KICK,
            .n_fds = 1 }, &blocking, "non-blocking");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_TX_ENABLE }, NULL,
            "queue 1 has no context");
    bpfhv_rig_set_queues(rig);
    bpfhv_rig_enable(rig);
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
    close(blocking);
}

static void test_refused_running(void)
{
    static const BpfhvProxyMessage enabled[] = {
        { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 1 },
        { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 1 },
    };
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    refused_all(rig, enabled, G_N_ELEMENTS(enabled), NULL,
                "queue 1 is enabled");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_UPGRADE }, NULL,
            "queues are enabled");
    bpfhv_rig_must_do(rig, BPFHV_PROXY_RX_DISABLE);    /* the others rest */
    bpfhv_rig_must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX },
                   NULL);
    bpfhv_rig_must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
                   .gpa = RIG_CTX_GPA }, NULL);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_RX_ENABLE);
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES }, NULL,
            "in use");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_PARAMETERS,
            .parameters = { 1, 1 } }, NULL, "contexts are set");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_MEMORY }, NULL,
            "queue 0's context");
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
    bpfhv_rig_set_memory(rig);  /* the same again, under running queues */
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
    bpfhv_rig_disable(rig);
    bpfhv_rig_enable(rig);      /* goes on where it was */
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "bytes "), ==, bytes);
}

static void leave_network(gpointer data)
{
    if (unshare(CLONE_NEWNET) < 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        _exit(EXIT_FAILURE);
    }
}

/* An administrator is in another network namespace than the tap. */
static void test_other_network(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    g_autofree char *said = bpfhv_rig_tell_from(rig, leave_network, "stats",
                                                NULL);

    if (!*said) {
        g_test_skip("another network namespace is not allowed");
        return;
    }
    g_assert_true(g_str_has_prefix(said, "model sring_gso"));
}

static void test_refused_upgrade(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    g_autofree char *early = bpfhv_rig_tell(rig, "upgrade", "sring");
    g_autofree char *no_model = NULL;

    g_assert_nonnull(strstr(early, "QEMU has not said"));
    bpfhv_rig_begin(rig, 1);
    no_model = bpfhv_rig_tell(rig, "upgrade", "../sring");
    g_assert_nonnull(strstr(no_model, "there is no model"));
    g_assert_cmpint(eventfd_read(rig->upgrade, &(eventfd_t) { 0 }), ==, -1);
}

/* What is in a transmit ring that no program would have written. */
static const struct {
    const char *name;
    uint32_t prod;
    struct sring_desc desc;
} lies[] = {
    { "too-many", 257, { RIG_HIGH_GPA, 64 } },
    { "backwards", UINT32_MAX, { RIG_HIGH_GPA, 64 } },
    { "no-memory", 1, { RIG_LOW_SIZE, 64 } },
    { "end-of-memory", 1, { RIG_HIGH_GPA + RIG_HIGH_SIZE - 63, 64 } },
    { "wraps", 1, { UINT64_MAX - 31, 64 } },
    { "empty", 1, { RIG_HIGH_GPA, 0 } },
    { "too-long", 1, { RIG_HIGH_GPA, UINT32_MAX } },
};

static void test_lie(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink --model sring");
    struct sring_ctx *ctx = (void *)rig->queue[1].ctx;
    g_autofree char *stats = NULL;
    BpfhvProxyMessage message;
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    ctx->desc[0] = lies[i].desc;
    __atomic_store_n(&ctx->head.prod, lies[i].prod, __ATOMIC_SEQ_CST);
    bpfhv_rig_kick(&rig->queue[1]);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_GET_FEATURES);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_GET_FEATURES);
    /* It has looked in between. */
    stats = bpfhv_rig_tell(rig, "stats", NULL);
    g_assert_nonnull(strstr(stats, "faulty"));
    g_assert_cmpuint(bpfhv_rig_counted(rig, "tx0", "packets "), ==, 0);
    bpfhv_rig_disable(rig);
    message = bpfhv_rig_context(rig, 1);
    bpfhv_rig_must(rig, &message, NULL);
    bpfhv_rig_enable(rig);
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
}

#define SOURCE_OF_60 "--source 60 --model "

static void test_hostile_guest(const void *options)
{
    g_autoptr(Rig) rig = bpfhv_rig_new(options);

    bpfhv_rig_be_hostile(rig);
}

/* Messages of random numbers: each is answered, or ends the connection. */
static void test_hostile_qemu(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--source 60 --queues 2");

    for (int i = 0; i < 1500; i++) {
        BpfhvProxyMessage m = {
            .type = g_test_rand_int_range(1, BPFHV_PROXY_END),
            .features = g_test_rand_int() >> g_test_rand_int_range(0, 32),
            .parameters = { g_test_rand_int_range(1, 3),
                            g_test_rand_int_range(1, 3) },
            .program = 1 + 5 * g_test_rand_int_range(0, 2),
            .queue = g_test_rand_int_range(0, 5),
            .gpa = g_test_rand_int_range(0, RIG_LOW_SIZE / 128) * 128,
            .region = { { 0, RIG_LOW_SIZE, 0 } },
        };
        int fds[] = { g_test_rand_int_range(0, 2) ? rig->memory :
                      rig->upgrade };

        if (m.type == BPFHV_PROXY_SET_MEMORY) {
            m.count = m.n_fds = 1;
        } else if (m.type >= BPFHV_PROXY_SET_QUEUE_KICK &&
                   m.type <= BPFHV_PROXY_SET_UPGRADE) {
            m.n_fds = 1;
            fds[0] = rig->queue[g_test_rand_int_range(0, 4)].kick;
        }
        bpfhv_rig_ask(rig, &m, fds);
    }
}

static void test_nonsense(void)
{
    for (int i = 0; i < 5; i++) {
        Rig *rig = bpfhv_rig_new("--sink");
        uint8_t bytes[64];

        bpfhv_rig_begin(rig, 1);
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = g_test_rand_int();
        }
        send(rig->link.socket, bytes, sizeof(bytes), MSG_NOSIGNAL);
        shutdown(rig->link.socket, SHUT_WR);
        bpfhv_rig_free(rig);    /* it has ended by itself, and well */
    }
}

/* A message in pieces, and its descriptors with the first of them. */
static void test_pieces(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    g_autoptr(GByteArray) frame = bpfhv_proxy_encode(
        &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES });
    BpfhvProxyMessage answer;
    BpfhvLinkState state;

    for (guint i = 0; i < frame->len; i++) {
        g_assert_cmpint(send(rig->link.socket, frame->data + i, 1, 0), ==, 1);
    }
    while ((state = bpfhv_link_receive(&rig->link, &answer)) ==
           BPFHV_LINK_WAITS) {
        g_assert_true(bpfhv_rig_wait_for(rig->link.socket, POLLIN));
    }
    g_assert_cmpint(state, ==, BPFHV_LINK_MESSAGE);
    g_assert_false(answer.refused);
}

/* The next one finds the guest as a new device does. */
static void test_killed(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    uint64_t bytes = 0;

    bpfhv_rig_begin(rig, 1);
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
    kill(rig->backend, SIGKILL);
    g_assert_true(WIFSIGNALED(bpfhv_rig_stop(rig)));
    bpfhv_rig_start(rig, "--sink --model vring_packed");
    bpfhv_rig_begin(rig, 1);
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
}

static void test_stopped(void)
{
    g_autoptr(Rig) rig = bpfhv_rig_new("--sink");
    const BpfhvProxyMessage get = { BPFHV_PROXY_GET_FEATURES };
    uint64_t bytes = 0;
    BpfhvProxyMessage answer;

    bpfhv_rig_begin(rig, 1);
    kill(rig->backend, SIGSTOP);
    bpfhv_rig_publish_packets(rig, 1, 5);
    bpfhv_link_next(&rig->link);
    g_assert_true(bpfhv_link_send(&rig->link, &get, NULL));
    g_assert_cmpint(bpfhv_link_receive(&rig->link, &answer), ==,
                    BPFHV_LINK_WAITS);
    kill(rig->backend, SIGCONT);
    g_assert_true(bpfhv_rig_wait_for(rig->link.socket, POLLIN));
    g_assert_cmpint(bpfhv_link_receive(&rig->link, &answer), ==,
                    BPFHV_LINK_MESSAGE);
    bpfhv_rig_send_packets(rig, 1, 100, &bytes);
}

static void test_signals(void)
{
    Rig *rig = bpfhv_rig_new("--sink");

    kill(rig->backend, SIGUSR1);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_GET_FEATURES);
    kill(rig->backend, SIGTERM);
    g_assert_true(bpfhv_rig_wait_for(rig->link.socket, POLLIN));
    bpfhv_rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 5);
    bpfhv_rig_init(argv[1], argv[2]);
    programs_path = argv[3];
    damaged_path = argv[4];
    bpfhv_rig_add("traffic", "sring", "--model sring", test_traffic);
    bpfhv_rig_add("traffic", "sring_gso", "--model sring_gso", test_traffic);
    bpfhv_rig_add("traffic", "vring_packed", "--model vring_packed",
                  test_traffic);
    bpfhv_rig_add("traffic", "sring_sum", "--model sring_sum", test_traffic);
    bpfhv_rig_add("traffic", "busy-wait", "--busy-wait", test_traffic);
    g_test_add_func("/bpfhv/backend/damaged", test_damaged);
    g_test_add_func("/bpfhv/backend/pairs", test_pairs);
    g_test_add_func("/bpfhv/backend/upgrades", test_upgrades);
    g_test_add_func("/bpfhv/backend/other-network", test_other_network);
    g_test_add_func("/bpfhv/backend/refused/early", test_refused_early);
    g_test_add_func("/bpfhv/backend/refused/running", test_refused_running);
    g_test_add_func("/bpfhv/backend/refused/upgrade", test_refused_upgrade);
    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        bpfhv_rig_add("lie", lies[i].name, GSIZE_TO_POINTER(i), test_lie);
    }
    bpfhv_rig_add("hostile-guest", "sring", SOURCE_OF_60 "sring",
                  test_hostile_guest);
    bpfhv_rig_add("hostile-guest", "sring_gso", SOURCE_OF_60 "sring_gso",
                  test_hostile_guest);
    bpfhv_rig_add("hostile-guest", "vring_packed", SOURCE_OF_60 "vring_packed",
                  test_hostile_guest);
    bpfhv_rig_add("hostile-guest", "sring_sum", SOURCE_OF_60 "sring_sum",
                  test_hostile_guest);
    g_test_add_func("/bpfhv/backend/hostile-qemu", test_hostile_qemu);
    g_test_add_func("/bpfhv/backend/nonsense", test_nonsense);
    g_test_add_func("/bpfhv/backend/pieces", test_pieces);
    g_test_add_func("/bpfhv/backend/killed", test_killed);
    g_test_add_func("/bpfhv/backend/stopped", test_stopped);
    g_test_add_func("/bpfhv/backend/signals", test_signals);
    return g_test_run();
}
