/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend as a process, with QEMU and the guest in here: the guest's
 * memory is a memfd, its programs are those that the backend hands out,
 * verified, in the interpreter of lib/bpfhv_run.c.
 *
 *     test-bpfhv-backend BACKEND CTL PROGRAMS DAMAGED
 *
 * PROGRAMS are those that are built in, DAMAGED is tests/bpf/bpfhv.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpfhv_run.h"
#include "ebpf/bpfhv/sring.h"
#include "tap_net.h"
#include "net/bpfhv_link.h"

enum {
    PATIENCE_MS = 30000,        /* nothing here takes so long */
    LOW_SIZE = 2 << 20,         /* of the guest's memory, from 0 on */
    HIGH_SIZE = 8 << 20,        /* and from HIGH_GPA on */
    CTX_GPA = 0x10000,
    CTX_STEP = 0x8000,
    BUF_SIZE = 2048,
    NUM_BUFS = 256,             /* as all models have */
    MAX_QUEUES = 4,
    SOURCE_LEN = 100,
    NUMBER_AT = 14,             /* in a packet of the source */

    TCP_HEADERS = 54,           /* bytes: Ethernet, IPv4, TCP */
    SEGMENT = 1400,             /* bytes of its payload in a segment */
    SEGMENTS = 4,
    LARGE_FRAME = TCP_HEADERS + SEGMENTS * SEGMENT,
    FRAMES_EACH_WAY = 200,
    IN_PIECES = SEGMENTS * (TCP_HEADERS + SEGMENT),
};

#define TAP_NAME "bpfhv0"
#define XDP_NAME "bpfhv1"       /* one end of a veth */
#define XDP_PEER "bpfhv2"

/* What has come from a tap, or is to go there. */
typedef struct Frame {
    struct bpfhv_buf meta;
    size_t len;
    uint8_t bytes[IN_PIECES];
} Frame;

#define HIGH_GPA 0x100000000ull

typedef struct Queue {
    struct bpfhv_ctx *ctx;
    int kick, irq;
    bool outstanding[NUM_BUFS];
    unsigned num_outstanding;
} Queue;

typedef struct Program {
    struct bpfhv_rules rules;
    struct bpf_insn *insns;     /* verified */
    int count;
    uint32_t source_count;
} Program;

typedef struct Rig {
    char *folder, *socket, *control;
    GPid backend;
    int listener, memory, upgrade;
    uint8_t *low, *high;
    BpfhvLink link;
    uint64_t features;
    unsigned pairs;
    uint32_t ctx_size;
    Program program[BPFHV_NUM_PROGRAMS];
    Queue queue[MAX_QUEUES];
    uint64_t received;          /* numbers of the source that have come */
    uint64_t empty;             /* packets that have come without a byte */
    Frame *frame;               /* not NULL: all goes there */
} Rig;

static const char *backend_path, *ctl_path, *programs_path, *damaged_path;

/* The process and the socket */

static bool wait_for(int fd, short events)
{
    struct pollfd ready = { fd, events };

    return poll(&ready, 1, PATIENCE_MS) > 0;
}

static void end_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)),
                    ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

/* Start a backend with @options, words, and have it connect. */
static void rig_start(Rig *rig, const char *options)
{
    g_autofree char *line = g_strdup_printf(
        "%s --socket %s --control %s %s", backend_path, rig->socket,
        rig->control, options);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;

    g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                  end_with_parent, NULL, &rig->backend, &error);
    g_assert_no_error(error);
    g_assert_true(wait_for(rig->listener, POLLIN));
    rig->link = (BpfhvLink) {
        .socket = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC),
        .receives_answers = true,
    };
    g_assert_cmpint(rig->link.socket, >=, 0);
}

/* The connection is over; return how the process has ended. */
static int rig_stop(Rig *rig)
{
    int status = -1;

    bpfhv_link_clear(&rig->link);
    close(rig->link.socket);
    rig->link.socket = -1;
    g_assert_cmpint(waitpid(rig->backend, &status, 0), ==, rig->backend);
    rig->backend = 0;
    return status;
}

static Rig *rig_new(const char *options)
{
    Rig *rig = g_new0(Rig, 1);

    rig->folder = g_dir_make_tmp("bpfhv-XXXXXX", NULL);
    rig->socket = g_build_filename(rig->folder, "qemu", NULL);
    rig->control = g_build_filename(rig->folder, "control", NULL);
    rig->listener = listen_at(rig->socket);
    rig->memory = memfd_create("guest", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(rig->memory, LOW_SIZE + HIGH_SIZE), ==, 0);
    rig->low = mmap(NULL, LOW_SIZE + HIGH_SIZE, PROT_READ | PROT_WRITE,
                    MAP_SHARED, rig->memory, 0);
    g_assert_true(rig->low != MAP_FAILED);
    rig->high = rig->low + LOW_SIZE;
    rig->upgrade = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        rig->queue[i].ctx = (void *)(rig->low + CTX_GPA + i * CTX_STEP);
        rig->queue[i].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        rig->queue[i].irq = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    rig_start(rig, options);
    return rig;
}

static void rig_free(Rig *rig)
{
    if (rig->backend) {
        g_assert_cmpint(rig_stop(rig), ==, 0);
        g_assert_false(g_file_test(rig->control, G_FILE_TEST_EXISTS));
    }
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        close(rig->queue[i].kick);
        close(rig->queue[i].irq);
    }
    for (unsigned i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        g_free(rig->program[i].insns);
    }
    munmap(rig->low, LOW_SIZE + HIGH_SIZE);
    close(rig->memory);
    close(rig->upgrade);
    close(rig->listener);
    g_unlink(rig->control);
    g_unlink(rig->socket);
    g_rmdir(rig->folder);
    g_free(rig->folder);
    g_free(rig->socket);
    g_free(rig->control);
    g_free(rig);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

/* The answer stays valid until the next question. */
static BpfhvProxyMessage ask(Rig *rig, const BpfhvProxyMessage *message,
                             const int *fds)
{
    BpfhvProxyMessage answer = { 0 };
    BpfhvLinkState state;

    bpfhv_link_next(&rig->link);
    g_assert_true(bpfhv_link_send(&rig->link, message, fds));
    while ((state = bpfhv_link_receive(&rig->link, &answer)) ==
           BPFHV_LINK_WAITS) {
        g_assert_true(wait_for(rig->link.socket, POLLIN));
    }
    g_assert_cmpint(state, ==, BPFHV_LINK_MESSAGE);
    g_assert_cmpint(answer.type, ==, message->type);
    return answer;
}

static BpfhvProxyMessage must(Rig *rig, const BpfhvProxyMessage *message,
                              const int *fds)
{
    BpfhvProxyMessage answer = ask(rig, message, fds);

    if (answer.refused) {
        g_error("%s: %s", bpfhv_proxy_name(message->type), answer.text);
    }
    return answer;
}

static void must_do(Rig *rig, BpfhvProxyType type)
{
    must(rig, &(BpfhvProxyMessage) { type }, NULL);
}

/* What bpfhv-ctl prints, or says why not; @word may be NULL. */
static char *tell_from(Rig *rig, GSpawnChildSetupFunc place,
                       const char *command, const char *word)
{
    const char *argv[] = { ctl_path, rig->control, command, word, NULL };
    g_autoptr(GError) error = NULL;
    char *out = NULL, *err = NULL;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, place, NULL, &out, &err, NULL,
                 &error);
    g_assert_no_error(error);
    if (*err) {
        g_free(out);
        return err;
    }
    g_free(err);
    return out;
}

static char *tell(Rig *rig, const char *command, const char *word)
{
    return tell_from(rig, NULL, command, word);
}

/* A number of the statistics: the line that begins with @queue. */
static uint64_t counted(Rig *rig, const char *queue, const char *what)
{
    g_autofree char *text = tell(rig, "stats", NULL);
    const char *line = strstr(text, queue);
    const char *number = line ? strstr(line, what) : NULL;

    if (!number) {
        g_error("no %s of %s in: %s", what, queue, text);
    }
    return g_ascii_strtoull(number + strlen(what), NULL, 10);
}

/* The guest */

static void get_program(Rig *rig, uint32_t number)
{
    const BpfhvProxyMessage get = { BPFHV_PROXY_GET_PROGRAM,
                                    .program = number };
    BpfhvProxyMessage answer = must(rig, &get, NULL);
    Program *p = &rig->program[number];
    struct bpfhv_refusal refusal;
    g_autofree struct bpf_insn *source = g_memdup2(answer.data,
                                                   8 * answer.count);

    g_free(p->insns);
    g_assert_cmpint(bpfhv_rules_for(number, rig->ctx_size, &p->rules), ==, 0);
    p->source_count = answer.count;
    p->insns = g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(answer.count));
    p->count = bpfhv_verify(source, answer.count, &p->rules, p->insns,
                            &refusal);
    if (p->count < 0) {
        g_error("program %u is refused at %u: %s", number, refusal.insn,
                refusal.reason);
    }
}

static void set_memory(Rig *rig)
{
    const BpfhvProxyMessage message = { BPFHV_PROXY_SET_MEMORY,
        .count = 2, .n_fds = 2, .region = {
            { 0, LOW_SIZE, 0 }, { HIGH_GPA, HIGH_SIZE, LOW_SIZE } } };

    must(rig, &message, (int[]) { rig->memory, rig->memory });
}

/* What is the same for each model, and what depends on it. */
static void negotiate(Rig *rig, unsigned pairs)
{
    const BpfhvProxyMessage set_upgrade = { BPFHV_PROXY_SET_UPGRADE,
                                            .n_fds = 1 };
    BpfhvProxyMessage answer;

    set_memory(rig);
    must(rig, &set_upgrade, &rig->upgrade);
    answer = must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_GET_FEATURES },
                  NULL);
    rig->features = answer.features;
    if (rig->features) {
        must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES,
             .features = rig->features }, NULL);
    }
    answer = must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_PARAMETERS,
                  .parameters = { pairs, pairs } }, NULL);
    g_assert_cmpuint(answer.sizes.rx_bufs, ==, NUM_BUFS);
    g_assert_cmpuint(answer.sizes.tx_bufs, ==, NUM_BUFS);
    g_assert_cmpuint(answer.sizes.rx_ctx, ==, answer.sizes.tx_ctx);
    g_assert_cmpuint(answer.sizes.rx_ctx, <=, CTX_STEP);
    rig->ctx_size = answer.sizes.rx_ctx;
    rig->pairs = pairs;
    for (uint32_t i = BPFHV_RX_PUBLISH; i <= BPFHV_TX_INTERRUPTS; i++) {
        if (i <= BPFHV_RX_INTERRUPTS || i >= BPFHV_TX_PUBLISH) {
            get_program(rig, i);
        }
    }
}

/* A fresh context. */
static BpfhvProxyMessage context(Rig *rig, unsigned i)
{
    Queue *q = &rig->queue[i];

    memset(q->ctx, 0, CTX_STEP);
    memset(q->outstanding, 0, sizeof(q->outstanding));
    q->num_outstanding = 0;
    return (BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX, .queue = i,
                                 .gpa = CTX_GPA + i * CTX_STEP };
}

static void enable(Rig *rig)
{
    must_do(rig, BPFHV_PROXY_RX_ENABLE);
    must_do(rig, BPFHV_PROXY_TX_ENABLE);
}

static void disable(Rig *rig)
{
    must_do(rig, BPFHV_PROXY_RX_DISABLE);
    must_do(rig, BPFHV_PROXY_TX_DISABLE);
}

static void set_queues(Rig *rig)
{
    for (unsigned i = 0; i < 2 * rig->pairs; i++) {
        BpfhvProxyMessage message = context(rig, i);

        must(rig, &message, NULL);
        message = (BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_KICK,
                                        .queue = i, .n_fds = 1 };
        must(rig, &message, &rig->queue[i].kick);
        message.type = BPFHV_PROXY_SET_QUEUE_IRQ;
        must(rig, &message, &rig->queue[i].irq);
    }
}

static void begin(Rig *rig, unsigned pairs)
{
    negotiate(rig, pairs);
    set_queues(rig);
    enable(rig);
}

static bool receives(const Rig *rig, unsigned i)
{
    return i < rig->pairs;
}

/* Run a program of receive queues, or its twin of transmit queues. */
static int run(Rig *rig, unsigned i, uint32_t rx_number)
{
    const Program *p = &rig->program[
        rx_number + (receives(rig, i) ? 0 : BPFHV_TX_PUBLISH -
                     BPFHV_RX_PUBLISH)];
    BpfhvRun run = {
        .insns = p->insns, .count = p->count, .source_count = p->source_count,
        .rules = &p->rules, .ctx = (uint8_t *)rig->queue[i].ctx,
    };

    bpfhv_run(&run);
    g_assert_cmpstr(run.fault, ==, NULL);
    return run.result;
}

static uint64_t buf_offset(unsigned i, unsigned cookie)
{
    return (i * NUM_BUFS + cookie) * BUF_SIZE;
}

static void add_buf(Queue *q, unsigned i, uint32_t len, uint16_t flags)
{
    unsigned cookie = 0;

    while (q->outstanding[cookie]) {
        cookie++;
    }
    q->outstanding[cookie] = true;
    q->num_outstanding++;
    q->ctx->bufs[q->ctx->num_bufs++] = (struct bpfhv_buf) {
        .paddr = HIGH_GPA + buf_offset(i, cookie), .len = len,
        .cookie = cookie, .flags = flags,
    };
}

static void kick(const Queue *q)
{
    g_assert_cmpint(eventfd_write(q->kick, 1), ==, 0);
}

static void publish(Rig *rig, unsigned i)
{
    Queue *q = &rig->queue[i];

    if (q->ctx->num_bufs) {
        g_assert_cmpint(run(rig, i, BPFHV_RX_PUBLISH), ==, 0);
        if (q->ctx->out & BPFHV_OUT_KICK) {
            kick(q);
        }
    }
}

static void publish_room(Rig *rig, unsigned i)
{
    Queue *q = &rig->queue[i];

    while (q->num_outstanding < NUM_BUFS) {
        q->ctx->num_bufs = 0;
        while (q->num_outstanding < NUM_BUFS &&
               q->ctx->num_bufs < BPFHV_CTX_BUFS) {
            add_buf(q, i, BUF_SIZE, 0);
        }
        publish(rig, i);
    }
}

/* Up to @packets of one to three buffers; return how many bytes they have. */
static unsigned publish_packets(Rig *rig, unsigned i, unsigned packets)
{
    Queue *q = &rig->queue[i];
    unsigned bytes = 0;

    q->ctx->num_bufs = 0;
    while (packets--) {
        unsigned parts = rig->features & BPFHV_F_SG ?
                         g_test_rand_int_range(1, 4) : 1;

        while (parts--) {
            unsigned len = g_test_rand_int_range(14, BUF_SIZE / 3);

            add_buf(q, i, len, parts ? BPFHV_BUF_NEXT : 0);
            bytes += len;
        }
    }
    publish(rig, i);
    return bytes;
}

static void check_source(Rig *rig, unsigned i, const struct bpfhv_buf *buf)
{
    uint64_t number;

    g_assert_cmpuint(buf->len, ==, SOURCE_LEN);
    memcpy(&number, rig->high + buf_offset(i, buf->cookie) + NUMBER_AT,
           sizeof(number));
    g_assert_cmpuint(GUINT64_FROM_LE(number), ==, rig->received);
    rig->received++;
}

/* The first buffer has all metadata of a packet. */
static void add_to_frame(Rig *rig, unsigned i, const struct bpfhv_buf *buf)
{
    Frame *frame = rig->frame;

    if (!frame->len) {
        frame->meta = *buf;
    }
    g_assert_cmpuint(buf->len, <=, sizeof(frame->bytes) - frame->len);
    memcpy(frame->bytes + frame->len,
           rig->high + buf_offset(i, buf->cookie), buf->len);
    frame->len += buf->len;
}

/* All that is completed; return how many buffers. */
static unsigned complete(Rig *rig, unsigned i)
{
    Queue *q = &rig->queue[i];
    unsigned sum = 0;
    int ret;

    while ((ret = run(rig, i, BPFHV_RX_COMPLETE)) == 1) {
        for (unsigned k = 0; k < q->ctx->num_bufs; k++) {
            const struct bpfhv_buf *buf = &q->ctx->bufs[k];

            g_assert_cmpuint(buf->cookie, <, NUM_BUFS);
            g_assert_true(q->outstanding[buf->cookie]);
            q->outstanding[buf->cookie] = false;
            q->num_outstanding--;
            if (receives(rig, i) && rig->frame) {
                add_to_frame(rig, i, buf);
            } else if (receives(rig, i) && !buf->len) {
                rig->received++;
                rig->empty++;
            } else if (receives(rig, i)) {
                check_source(rig, i, buf);
            }
        }
        sum += q->ctx->num_bufs;
    }
    g_assert_cmpint(ret, ==, 0);
    return sum;
}

/* Sleep until there is something to complete, as a driver does. */
static void wait_for_interrupt(Rig *rig, unsigned i)
{
    Queue *q = &rig->queue[i];
    eventfd_t count;

    q->ctx->min_completed_bufs = 1;
    if (run(rig, i, BPFHV_RX_INTERRUPTS) == 0) {
        g_assert_true(wait_for(q->irq, POLLIN));
        eventfd_read(q->irq, &count);
    }
}

static void send_packets(Rig *rig, unsigned i, unsigned packets,
                         uint64_t *bytes)
{
    while (packets) {
        unsigned n = g_test_rand_int_range(1, 21);

        n = MIN(n, packets);
        *bytes += publish_packets(rig, i, n);
        packets -= n;
        while (rig->queue[i].num_outstanding > NUM_BUFS - 64) {
            wait_for_interrupt(rig, i);
            complete(rig, i);
        }
    }
    while (rig->queue[i].num_outstanding) {
        wait_for_interrupt(rig, i);
        complete(rig, i);
    }
}

static void receive_packets(Rig *rig, unsigned i, unsigned packets)
{
    for (uint64_t end = rig->received + packets; rig->received < end;) {
        publish_room(rig, i);
        wait_for_interrupt(rig, i);
        complete(rig, i);
    }
}

/* Tests */

static void test_traffic(const void *options)
{
    g_autofree char *all = g_strdup_printf("--source %d %s", SOURCE_LEN,
                                           (const char *)options);
    g_autoptr(Rig) rig = rig_new(all);
    uint64_t bytes = 0;

    begin(rig, 1);
    for (int round = 0; round < 5; round++) {
        send_packets(rig, 1, 500, &bytes);
        receive_packets(rig, 0, 500);
    }
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 2500);
    g_assert_cmpuint(counted(rig, "tx0", "bytes "), ==, bytes);
    g_assert_cmpuint(counted(rig, "tx0", "dropped "), ==, 0);
    g_assert_cmpuint(counted(rig, "rx0", "packets "), >=, rig->received);
    g_assert_cmpuint(rig->empty, ==, 0);
}

/* What is damaged in the guest's memory is lost on both sides, and no more. */
static void test_damaged(void)
{
    g_autofree char *options = g_strdup_printf(
        "--source %d --model sring_sum --programs %s", SOURCE_LEN,
        damaged_path);
    g_autoptr(Rig) rig = rig_new(options);
    uint64_t bytes = 0;

    begin(rig, 1);
    send_packets(rig, 1, 640, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 630);
    g_assert_cmpuint(counted(rig, "tx0", "dropped "), ==, 10);
    g_assert_cmpuint(counted(rig, "tx0", "bytes "), <, bytes);
    receive_packets(rig, 0, 640);
    g_assert_cmpuint(rig->empty, ==, (rig->received + 63) / 64);
    g_assert_cmpuint(counted(rig, "rx0", "dropped "), >=, rig->empty);
}

static void test_pairs(void)
{
    g_autofree char *options = g_strdup_printf(
        "--sink --queues 2 --programs %s", programs_path);
    g_autoptr(Rig) rig = rig_new(options);
    uint64_t bytes = 0;

    begin(rig, 2);
    send_packets(rig, 2, 300, &bytes);
    send_packets(rig, 3, 200, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 300);
    g_assert_cmpuint(counted(rig, "tx1", "packets "), ==, 200);
}

/* Drain as the guest's driver does, and become another device. */
static void follow_upgrade(Rig *rig)
{
    eventfd_t count;

    g_assert_true(wait_for(rig->upgrade, POLLIN));
    eventfd_read(rig->upgrade, &count);
    disable(rig);
    for (unsigned i = 0; i < 2 * rig->pairs; i++) {
        complete(rig, i);
        must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
             .queue = i }, NULL);
    }
    must_do(rig, BPFHV_PROXY_UPGRADE);
    begin(rig, rig->pairs);
}

static void follow_upgrade_to(Rig *rig, const char *model)
{
    g_autofree char *said = tell(rig, "upgrade", model);

    g_assert_nonnull(strstr(said, model));
    follow_upgrade(rig);
}

/* From each model to each: the source's packets come all, and once. */
static void test_upgrades(void)
{
    static const char *const models[] = {
        "sring_gso", "vring_packed", "sring", "vring_packed", "sring_gso",
        "sring_sum", "sring", "sring",
    };
    g_autofree char *options = g_strdup_printf("--source %d --model sring",
                                               SOURCE_LEN);
    g_autoptr(Rig) rig = rig_new(options);
    uint64_t bytes = 0;

    begin(rig, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *said = NULL, *stats = NULL;

        receive_packets(rig, 0, 400);
        publish_room(rig, 0);
        said = tell(rig, "upgrade", models[i]);
        g_assert_nonnull(strstr(said, models[i]));
        send_packets(rig, 1, 50, &bytes);
        follow_upgrade(rig);
        stats = tell(rig, "stats", NULL);
        g_assert_true(g_str_has_prefix(stats + strlen("model "), models[i]));
    }
    receive_packets(rig, 0, 400);
    g_assert_cmpuint(counted(rig, "tx0", "bytes "), ==, bytes);
}

/* A packet socket on a device, which is brought up. */
static int open_device(const char *name)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(name),
    };
    struct ifreq request = { .ifr_flags = IFF_UP };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

    g_strlcpy(request.ifr_name, name, IFNAMSIZ);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &request), ==, 0);
    g_assert_cmpint(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on,
                               sizeof(on)), ==, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)),
                    ==, 0);
    return fd;
}

static void random_frame(Frame *frame)
{
    memset(frame, 0, sizeof(*frame));
    frame->len = g_test_rand_int_range(60, 1515);
    for (size_t i = 0; i < frame->len; i++) {
        frame->bytes[i] = g_test_rand_int();
    }
    frame->bytes[0] &= 0xfe;            /* to one */
    frame->bytes[12] = 0x88;            /* an EtherType of nobody's */
    frame->bytes[13] = 0xb5;
}

/* TCP over IPv4 that has yet to be cut in pieces. */
static void large_frame(Frame *frame)
{
    uint8_t *ip = frame->bytes + ETH_HLEN, *tcp = ip + 20;

    random_frame(frame);
    frame->len = LARGE_FRAME;
    memset(ip, 0, TCP_HEADERS - ETH_HLEN);
    frame->bytes[12] = 0x08;
    frame->bytes[13] = 0x00;
    ip[0] = 0x45;
    ip[2] = (LARGE_FRAME - ETH_HLEN) >> 8;
    ip[3] = (LARGE_FRAME - ETH_HLEN) & 0xff;
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    tcp[12] = 5 << 4;
    frame->meta = (struct bpfhv_buf) {
        .flags = BPFHV_BUF_NEEDS_CSUM, .gso_type = BPFHV_GSO_TCP4,
        .hdr_len = TCP_HEADERS, .gso_size = SEGMENT,
        .csum_start = ETH_HLEN + 20, .csum_offset = 16,
    };
}

static struct virtio_net_hdr header_of(const Frame *frame)
{
    const struct bpfhv_buf *meta = &frame->meta;

    return (struct virtio_net_hdr) {
        .flags = meta->flags & BPFHV_BUF_NEEDS_CSUM ?
                 VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
        .gso_type = meta->gso_type ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
        .hdr_len = meta->hdr_len, .gso_size = meta->gso_size,
        .csum_start = meta->csum_start, .csum_offset = meta->csum_offset,
    };
}

/* From the guest to the tap. */
static void send_frame(Rig *rig, const Frame *frame, int tap)
{
    Queue *q = &rig->queue[1];
    struct virtio_net_hdr header = header_of(frame), got;
    uint8_t bytes[sizeof(header) + LARGE_FRAME];
    size_t part = rig->features & BPFHV_F_SG ? frame->len / 4 + 1 : BUF_SIZE;

    q->ctx->num_bufs = 0;
    for (size_t at = 0; at < frame->len; at += part) {
        size_t len = MIN(part, frame->len - at);
        struct bpfhv_buf *buf;

        add_buf(q, 1, len, at + len < frame->len ? BPFHV_BUF_NEXT : 0);
        buf = &q->ctx->bufs[q->ctx->num_bufs - 1];
        memcpy(rig->high + buf_offset(1, buf->cookie), frame->bytes + at, len);
        if (!at) {
            struct bpfhv_buf first = frame->meta;

            first.paddr = buf->paddr;
            first.len = buf->len;
            first.cookie = buf->cookie;
            first.flags |= buf->flags;
            *buf = first;
        }
    }
    publish(rig, 1);
    while (q->num_outstanding) {
        wait_for_interrupt(rig, 1);
        complete(rig, 1);
    }
    g_assert_true(wait_for(tap, POLLIN));
    g_assert_cmpint(recv(tap, bytes, sizeof(bytes), 0), ==,
                    sizeof(header) + frame->len);
    memcpy(&got, bytes, sizeof(got));
    g_assert_cmpuint(got.gso_type, ==, header.gso_type);
    g_assert_cmpuint(got.gso_size, ==, header.gso_size);
    g_assert_cmpuint(got.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, ==,
                     header.flags);
    g_assert_cmpmem(bytes + sizeof(header), frame->len, frame->bytes,
                    frame->len);
}

static void give_frame(const Frame *frame, int tap)
{
    const struct virtio_net_hdr header = header_of(frame);
    struct iovec iov[] = {
        { (void *)&header, sizeof(header) },
        { (void *)frame->bytes, frame->len },
    };

    g_assert_cmpint(writev(tap, iov, 2), ==, sizeof(header) + frame->len);
}

/* Until the guest has @len bytes, in all. */
static void take_frame(Rig *rig, Frame *frame, size_t len)
{
    *frame = (Frame) { .len = 0 };
    rig->frame = frame;
    while (frame->len < len) {
        publish_room(rig, 0);
        wait_for_interrupt(rig, 0);
        complete(rig, 0);
    }
    g_assert_cmpuint(frame->len, ==, len);
}

/* Whoever does it, the payload arrives: as a whole, or in pieces. */
static void give_large_frame(Rig *rig, int tap)
{
    bool whole = rig->features & BPFHV_F_LRO4;
    size_t part = whole ? SEGMENTS * SEGMENT : SEGMENT;
    g_autofree Frame *frame = g_new(Frame, 1), *got = g_new(Frame, 1);
    const uint8_t *from = frame->bytes + TCP_HEADERS, *to = got->bytes;

    large_frame(frame);
    give_frame(frame, tap);
    take_frame(rig, got, whole ? LARGE_FRAME : IN_PIECES);
    for (int i = 0; i < (whole ? 1 : SEGMENTS); i++) {
        to += TCP_HEADERS;
        g_assert_cmpmem(to, part, from, part);
        from += part;
        to += part;
    }
    g_assert_cmpuint(got->meta.gso_type, ==,
                     whole ? BPFHV_GSO_TCP4 : BPFHV_GSO_NONE);
    g_assert_cmpuint(got->meta.gso_size, ==, whole ? SEGMENT : 0);
    g_assert_cmpuint(got->meta.flags & BPFHV_BUF_NEEDS_CSUM, ==,
                     whole ? BPFHV_BUF_NEEDS_CSUM : 0);
}

static void exchange_frames(Rig *rig, const char *device)
{
    g_autofree Frame *frame = g_new(Frame, 1), *got = g_new(Frame, 1);
    int tap = open_device(device);

    for (int i = 0; i < FRAMES_EACH_WAY; i++) {
        random_frame(frame);
        send_frame(rig, frame, tap);
        random_frame(frame);
        give_frame(frame, tap);
        take_frame(rig, got, frame->len);
        g_assert_cmpmem(got->bytes, got->len, frame->bytes, frame->len);
    }
    if (rig->features & BPFHV_F_TSO4) {
        large_frame(frame);
        send_frame(rig, frame, tap);
    }
    give_large_frame(rig, tap);
    close(tap);
}

static void test_tap(const void *words)
{
    g_autofree char *options = g_strdup_printf("--tap " TAP_NAME " %s",
                                               (const char *)words);
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = rig_new(options);
    begin(rig, 1);
    exchange_frames(rig, TAP_NAME);
}

/* A model without offloads, whose driver chooses none, after one with. */
static void test_tap_upgrade(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = rig_new("--tap " TAP_NAME " --model sring_gso");
    begin(rig, 1);
    follow_upgrade_to(rig, "sring");
    exchange_frames(rig, TAP_NAME);
}

static void run_shell(const char *line)
{
    const char *argv[] = { "/bin/sh", "-c", line, NULL };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/* The guest's packets are dropped from then on, and all else goes on. */
static void device_goes(Rig *rig, const char *name)
{
    g_autofree char *command = g_strdup_printf("ip link del %s", name);
    g_autofree char *stats = NULL;
    uint64_t bytes = 0, sent;

    send_packets(rig, 1, 500, &bytes);
    run_shell(command);
    send_packets(rig, 1, 500, &bytes);
    sent = counted(rig, "tx0", "packets ");
    g_assert_cmpuint(sent + counted(rig, "tx0", "dropped "), ==, 1000);
    g_assert_cmpuint(sent, <, 600);
    stats = tell(rig, "stats", NULL);
    g_assert_nonnull(strstr(stats, "the device has gone"));
    follow_upgrade_to(rig, "sring");
    send_packets(rig, 1, 500, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, sent);
}

static void test_tap_gone(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = rig_new("--tap " TAP_NAME);
    begin(rig, 1);
    close(open_device(TAP_NAME));
    device_goes(rig, TAP_NAME);
}

/* AF_XDP */

/* A veth whose one end has two queues, unless the test is skipped. */
static bool set_up_veth(int queues_of_peer)
{
#ifdef HAVE_LIBXDP
    g_autofree char *line = g_strdup_printf(
        "ip link del " XDP_NAME " 2>/dev/null;"
        "ip link add " XDP_NAME " numtxqueues 2 numrxqueues 2 type veth"
        " peer name " XDP_PEER " numtxqueues %d && ip link set " XDP_NAME
        " up && ip link set " XDP_PEER " up && ethtool -K " XDP_PEER
        " tx off >/dev/null", queues_of_peer);

    if (!tap_net_allowed()) {
        return false;
    }
    run_shell(line);
    return true;
#else
    g_test_skip("this bpfhv-backend was built without libxdp");
    return false;
#endif
}

static void test_xdp(const void *words)
{
    g_autofree char *options = g_strdup_printf("--xdp " XDP_NAME "%s",
                                               (const char *)words);
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new(options);
    begin(rig, 1);
    g_assert_cmpuint(rig->features & ~(uint64_t)BPFHV_F_SG, ==, 0);
    exchange_frames(rig, XDP_PEER);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, FRAMES_EACH_WAY);
    g_assert_cmpuint(counted(rig, "tx0", "dropped "), ==, 0);
    g_assert_cmpuint(counted(rig, "rx0", "dropped "), ==, 0);
}

/* The driver does not take the program where frames may be this long. */
static void test_xdp_generic(void)
{
    g_autoptr(Rig) rig = NULL;
    g_autofree Frame *frame = g_new(Frame, 1);
    int peer;

    if (!set_up_veth(1)) {
        return;
    }
    run_shell("ip link set " XDP_PEER " mtu 9000");
    rig = rig_new("--xdp " XDP_NAME);
    begin(rig, 1);
    run_shell("ip -d link show " XDP_NAME " | grep -q xdpgeneric");
    exchange_frames(rig, XDP_PEER);
    random_frame(frame);
    frame->len = 5000;          /* longer than what the kernel can fill */
    run_shell("ip link set " XDP_NAME " mtu 9000");
    peer = open_device(XDP_PEER);
    give_frame(frame, peer);
    close(peer);
    exchange_frames(rig, XDP_PEER);
    g_assert_cmpuint(counted(rig, "rx0", "dropped "), ==, 1);
}

static void test_xdp_upgrades(void)
{
    static const char *const models[] = {
        "vring_packed", "sring", "sring_sum", "sring_gso",
    };
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME " --model sring_gso");
    begin(rig, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        follow_upgrade_to(rig, models[i]);
        exchange_frames(rig, XDP_PEER);
    }
}

/* Frames that there is no room for are counted; the first ones arrive. */
static void test_xdp_lost(void)
{
    enum { GIVEN = 3000 };
    g_autofree Frame *frame = g_new(Frame, 1);
    g_autoptr(Rig) rig = NULL;
    uint64_t dropped;
    int peer;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME);
    begin(rig, 1);
    peer = open_device(XDP_PEER);
    random_frame(frame);
    frame->len = SOURCE_LEN;
    for (uint64_t i = 0; i < GIVEN; i++) {
        uint64_t number = GUINT64_TO_LE(i);

        memcpy(frame->bytes + NUMBER_AT, &number, sizeof(number));
        give_frame(frame, peer);
    }
    close(peer);
    dropped = counted(rig, "rx0", "dropped ");
    g_assert_cmpuint(dropped, >, 0);
    g_assert_cmpuint(dropped, <=, GIVEN - 1024);
    receive_packets(rig, 0, GIVEN - dropped);
    g_assert_cmpuint(counted(rig, "rx0", "packets "), ==, GIVEN - dropped);
    exchange_frames(rig, XDP_PEER);
}

/* Too short for a device, too long for a frame; then many at a time. */
static void test_xdp_odd_lengths(void)
{
    g_autoptr(Rig) rig = NULL;
    uint64_t bytes = 0;
    Queue *q;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME " --model sring_gso");
    begin(rig, 1);
    q = &rig->queue[1];
    q->ctx->num_bufs = 0;
    add_buf(q, 1, 13, 0);
    for (int i = 0; i < 2; i++) {
        add_buf(q, 1, BUF_SIZE, BPFHV_BUF_NEXT);
    }
    add_buf(q, 1, 1, 0);
    publish(rig, 1);
    send_packets(rig, 1, 5000, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "dropped "), ==, 2);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 5000);
}

/* Two queues each way: the host chooses on which one a frame comes. */
static void test_xdp_pairs(void)
{
    g_autoptr(Rig) rig = NULL;
    g_autofree Frame *frame = g_new(Frame, 1);
    uint64_t bytes = 0;
    int peer;

    if (!set_up_veth(2)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME ",mode=copy --queues 2");
    begin(rig, 2);
    send_packets(rig, 2, 300, &bytes);
    send_packets(rig, 3, 200, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 300);
    g_assert_cmpuint(counted(rig, "tx1", "packets "), ==, 200);
    publish_room(rig, 0);
    publish_room(rig, 1);
    peer = open_device(XDP_PEER);
    for (int i = 0; i < NUM_BUFS; i++) {
        random_frame(frame);
        give_frame(frame, peer);
    }
    close(peer);
    for (int i = 0; counted(rig, "rx0", "packets ") +
                    counted(rig, "rx1", "packets ") < NUM_BUFS; i++) {
        g_assert_cmpint(i, <, 10000);
    }
}

static void test_xdp_gone(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME);
    begin(rig, 1);
    device_goes(rig, XDP_NAME);
}

/* Nothing remains of a backend that is killed, so the next one can start. */
static void test_xdp_killed(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME);
    for (int i = 0; i < 5; i++) {
        kill(rig->backend, SIGKILL);
        g_assert_true(WIFSIGNALED(rig_stop(rig)));
        run_shell("! ip -d link show " XDP_NAME " | grep xdp");
        rig_start(rig, "--xdp " XDP_NAME);
    }
    begin(rig, 1);
    exchange_frames(rig, XDP_PEER);
}

/* What it says when it cannot start. */
static const struct {
    const char *name, *options, *why, *before;
} xdp_refusals[] = {
    { "no-device", "bpfhv9", "there is no network device \"bpfhv9\"" },
    { "no-name", ",queue=0", "there is no network device \"\"" },
    { "no-queue", XDP_NAME ",queue=1 --queues 2", "there is no such queue" },
    { "queue", XDP_NAME ",queue=-1", "not \"queue=-1\"" },
    { "large-queue", XDP_NAME ",queue=65536", "not \"queue=65536\"" },
    { "word", XDP_NAME ",", "not \"\"" },
    { "modes", XDP_NAME ",mode=copy,mode=zerocopy", "mode is given twice" },
    { "zero-copy", XDP_NAME ",mode=zerocopy", "the driver has no zero copy" },
    { "mtu", XDP_NAME, "the MTU of bpfhv1 is 3823: AF_XDP takes up to 3822",
      "ip link set " XDP_NAME " mtu 3823" },
    { "peer", XDP_NAME ",mode=zerocopy", "the MTU may be too much",
      "ip link set " XDP_PEER " mtu 9000" },
    { "two-ports", XDP_NAME " --sink", "one of --tap, --xdp, --sink" },
};

static char *start_in_vain(GSpawnChildSetupFunc place, const char *options)
{
    g_autofree char *line = g_strdup_printf(
        "%s --socket /nonexistent --xdp %s", backend_path, options);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    char *said = NULL;
    int status;

    g_spawn_sync(NULL, argv, NULL, 0, place, NULL, NULL, &said, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return said;
}

static void assert_said(const char *said, const char *why)
{
    if (!strstr(said, why)) {
        g_error("not \"%s\", but: %s", why, said);
    }
}

static void test_xdp_refused(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autofree char *said = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    if (xdp_refusals[i].before) {
        run_shell(xdp_refusals[i].before);
    }
    said = start_in_vain(NULL, xdp_refusals[i].options);
    assert_said(said, xdp_refusals[i].why);
}

static void become_nobody(gpointer data)
{
    if (setgid(65534) < 0 || setuid(65534) < 0) {
        _exit(EXIT_FAILURE);
    }
}

static void test_xdp_ordinary_user(void)
{
    g_autofree char *said = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    said = start_in_vain(become_nobody, XDP_NAME);
    assert_said(said, "it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF");
}

static void test_xdp_two_backends(void)
{
    g_autofree char *said = NULL;
    g_autoptr(Rig) rig = NULL;

    if (!set_up_veth(1)) {
        return;
    }
    rig = rig_new("--xdp " XDP_NAME);
    begin(rig, 1);
    said = start_in_vain(NULL, XDP_NAME);
    assert_said(said, "it has one already");
    exchange_frames(rig, XDP_PEER);
}

static void refused(Rig *rig, const BpfhvProxyMessage *message,
                    const int *fds, const char *why)
{
    BpfhvProxyMessage answer = ask(rig, message, fds);

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
        { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 0, .gpa = CTX_GPA },
        { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 2, .n_fds = 1 },
        { BPFHV_PROXY_SET_QUEUE_IRQ, .queue = 63, .n_fds = 1 },
    };
    g_autoptr(Rig) rig = rig_new("--sink --queues 2 --model sring_gso");
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
            .n_fds = 1, .region = { { 0, LOW_SIZE + HIGH_SIZE + 1, 0 } } },
            fds, "not all in its file");
    negotiate(rig, 1);
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = CTX_GPA + 64 }, NULL, "aligned");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = LOW_SIZE - 4096 }, NULL, "not in guest memory");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
            .gpa = HIGH_GPA - 128 }, NULL, "not in guest memory");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_KICK,
            .n_fds = 1 }, &blocking, "non-blocking");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_TX_ENABLE }, NULL,
            "queue 1 has no context");
    set_queues(rig);
    enable(rig);
    send_packets(rig, 1, 100, &bytes);
    close(blocking);
}

static void test_refused_running(void)
{
    static const BpfhvProxyMessage enabled[] = {
        { BPFHV_PROXY_SET_QUEUE_CTX, .queue = 1 },
        { BPFHV_PROXY_SET_QUEUE_KICK, .queue = 1 },
    };
    g_autoptr(Rig) rig = rig_new("--sink");
    uint64_t bytes = 0;

    begin(rig, 1);
    refused_all(rig, enabled, G_N_ELEMENTS(enabled), NULL,
                "queue 1 is enabled");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_UPGRADE }, NULL,
            "queues are enabled");
    must_do(rig, BPFHV_PROXY_RX_DISABLE);   /* the others rest */
    must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX }, NULL);
    must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
         .gpa = CTX_GPA }, NULL);
    must_do(rig, BPFHV_PROXY_RX_ENABLE);
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES }, NULL,
            "in use");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_PARAMETERS,
            .parameters = { 1, 1 } }, NULL, "contexts are set");
    refused(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_MEMORY }, NULL,
            "queue 0's context");
    send_packets(rig, 1, 100, &bytes);
    set_memory(rig);            /* the same again, under running queues */
    send_packets(rig, 1, 100, &bytes);
    disable(rig);
    enable(rig);                /* goes on where it was */
    send_packets(rig, 1, 100, &bytes);
    g_assert_cmpuint(counted(rig, "tx0", "bytes "), ==, bytes);
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
    g_autoptr(Rig) rig = rig_new("--sink");
    g_autofree char *said = tell_from(rig, leave_network, "stats", NULL);

    if (!*said) {
        g_test_skip("another network namespace is not allowed");
        return;
    }
    g_assert_true(g_str_has_prefix(said, "model sring_gso"));
}

static void test_refused_upgrade(void)
{
    g_autoptr(Rig) rig = rig_new("--sink");
    g_autofree char *early = tell(rig, "upgrade", "sring"), *no_model = NULL;

    g_assert_nonnull(strstr(early, "QEMU has not said"));
    begin(rig, 1);
    no_model = tell(rig, "upgrade", "../sring");
    g_assert_nonnull(strstr(no_model, "there is no model"));
    g_assert_cmpint(eventfd_read(rig->upgrade, &(eventfd_t) { 0 }), ==, -1);
}

/* What is in a transmit ring that no program would have written. */
static const struct {
    const char *name;
    uint32_t prod;
    struct sring_desc desc;
} lies[] = {
    { "too-many", 257, { HIGH_GPA, 64 } },
    { "backwards", UINT32_MAX, { HIGH_GPA, 64 } },
    { "no-memory", 1, { LOW_SIZE, 64 } },
    { "end-of-memory", 1, { HIGH_GPA + HIGH_SIZE - 63, 64 } },
    { "wraps", 1, { UINT64_MAX - 31, 64 } },
    { "empty", 1, { HIGH_GPA, 0 } },
    { "too-long", 1, { HIGH_GPA, UINT32_MAX } },
};

static void test_lie(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autoptr(Rig) rig = rig_new("--sink --model sring");
    struct sring_ctx *ctx = (void *)rig->queue[1].ctx;
    g_autofree char *stats = NULL;
    BpfhvProxyMessage message;
    uint64_t bytes = 0;

    begin(rig, 1);
    ctx->desc[0] = lies[i].desc;
    __atomic_store_n(&ctx->head.prod, lies[i].prod, __ATOMIC_SEQ_CST);
    kick(&rig->queue[1]);
    must_do(rig, BPFHV_PROXY_GET_FEATURES);
    must_do(rig, BPFHV_PROXY_GET_FEATURES);     /* it has looked in between */
    stats = tell(rig, "stats", NULL);
    g_assert_nonnull(strstr(stats, "faulty"));
    g_assert_cmpuint(counted(rig, "tx0", "packets "), ==, 0);
    disable(rig);
    message = context(rig, 1);
    must(rig, &message, NULL);
    enable(rig);
    send_packets(rig, 1, 100, &bytes);
}

#define SOURCE_OF_60 "--source 60 --model "

/* Contexts of random content, in which the guest goes on writing. */
static void test_hostile_guest(const void *options)
{
    g_autoptr(Rig) rig = rig_new(options);
    GRand *random = g_rand_new_with_seed(g_test_rand_int());

    begin(rig, 1);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 2; i++) {
            uint32_t *words = (uint32_t *)rig->queue[i].ctx;

            for (unsigned k = 0; k < 500; k++) {
                uint32_t at = g_rand_int_range(random, 0, rig->ctx_size / 4);

                __atomic_store_n(&words[at], g_rand_int(random) >>
                                 g_rand_int_range(random, 0, 32),
                                 __ATOMIC_RELAXED);
            }
            kick(&rig->queue[i]);
        }
        if (round % 10 == 0) {
            disable(rig);
            for (unsigned i = 0; i < 2; i++) {
                BpfhvProxyMessage message = context(rig, i);

                must(rig, &message, NULL);
            }
            enable(rig);
        }
        must_do(rig, BPFHV_PROXY_GET_FEATURES);
    }
    g_rand_free(random);
}

static void test_xdp_hostile_guest(void)
{
    if (set_up_veth(1)) {
        test_hostile_guest("--xdp " XDP_NAME " --model sring_gso");
    }
}

/* Messages of random numbers: each is answered, or ends the connection. */
static void test_hostile_qemu(void)
{
    g_autoptr(Rig) rig = rig_new("--source 60 --queues 2");

    for (int i = 0; i < 1500; i++) {
        BpfhvProxyMessage m = {
            .type = g_test_rand_int_range(1, BPFHV_PROXY_END),
            .features = g_test_rand_int() >> g_test_rand_int_range(0, 32),
            .parameters = { g_test_rand_int_range(1, 3),
                            g_test_rand_int_range(1, 3) },
            .program = 1 + 5 * g_test_rand_int_range(0, 2),
            .queue = g_test_rand_int_range(0, 5),
            .gpa = g_test_rand_int_range(0, LOW_SIZE / 128) * 128,
            .region = { { 0, LOW_SIZE, 0 } },
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
        ask(rig, &m, fds);
    }
}

static void test_nonsense(void)
{
    for (int i = 0; i < 5; i++) {
        Rig *rig = rig_new("--sink");
        uint8_t bytes[64];

        begin(rig, 1);
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = g_test_rand_int();
        }
        send(rig->link.socket, bytes, sizeof(bytes), MSG_NOSIGNAL);
        shutdown(rig->link.socket, SHUT_WR);
        rig_free(rig);          /* it has ended by itself, and well */
    }
}

/* A message in pieces, and its descriptors with the first of them. */
static void test_pieces(void)
{
    g_autoptr(Rig) rig = rig_new("--sink");
    g_autoptr(GByteArray) frame = bpfhv_proxy_encode(
        &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES });
    BpfhvProxyMessage answer;
    BpfhvLinkState state;

    for (guint i = 0; i < frame->len; i++) {
        g_assert_cmpint(send(rig->link.socket, frame->data + i, 1, 0), ==, 1);
    }
    while ((state = bpfhv_link_receive(&rig->link, &answer)) ==
           BPFHV_LINK_WAITS) {
        g_assert_true(wait_for(rig->link.socket, POLLIN));
    }
    g_assert_cmpint(state, ==, BPFHV_LINK_MESSAGE);
    g_assert_false(answer.refused);
}

/* The next one finds the guest as a new device does. */
static void test_killed(void)
{
    g_autoptr(Rig) rig = rig_new("--sink");
    uint64_t bytes = 0;

    begin(rig, 1);
    send_packets(rig, 1, 100, &bytes);
    kill(rig->backend, SIGKILL);
    g_assert_true(WIFSIGNALED(rig_stop(rig)));
    rig_start(rig, "--sink --model vring_packed");
    begin(rig, 1);
    send_packets(rig, 1, 100, &bytes);
}

static void test_stopped(void)
{
    g_autoptr(Rig) rig = rig_new("--sink");
    const BpfhvProxyMessage get = { BPFHV_PROXY_GET_FEATURES };
    uint64_t bytes = 0;
    BpfhvProxyMessage answer;

    begin(rig, 1);
    kill(rig->backend, SIGSTOP);
    publish_packets(rig, 1, 5);
    bpfhv_link_next(&rig->link);
    g_assert_true(bpfhv_link_send(&rig->link, &get, NULL));
    g_assert_cmpint(bpfhv_link_receive(&rig->link, &answer), ==,
                    BPFHV_LINK_WAITS);
    kill(rig->backend, SIGCONT);
    g_assert_true(wait_for(rig->link.socket, POLLIN));
    g_assert_cmpint(bpfhv_link_receive(&rig->link, &answer), ==,
                    BPFHV_LINK_MESSAGE);
    send_packets(rig, 1, 100, &bytes);
}

static void test_signals(void)
{
    Rig *rig = rig_new("--sink");

    kill(rig->backend, SIGUSR1);
    must_do(rig, BPFHV_PROXY_GET_FEATURES);
    kill(rig->backend, SIGTERM);
    g_assert_true(wait_for(rig->link.socket, POLLIN));
    rig_free(rig);
}

static void add(const char *folder, const char *name, const void *data,
                GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/bpfhv/backend/%s/%s", folder,
                                            name);

    g_test_add_data_func(path, data, test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 5);
    backend_path = argv[1];
    ctl_path = argv[2];
    programs_path = argv[3];
    damaged_path = argv[4];
    add("traffic", "sring", "--model sring", test_traffic);
    add("traffic", "sring_gso", "--model sring_gso", test_traffic);
    add("traffic", "vring_packed", "--model vring_packed", test_traffic);
    add("traffic", "sring_sum", "--model sring_sum", test_traffic);
    add("traffic", "busy-wait", "--busy-wait", test_traffic);
    g_test_add_func("/bpfhv/backend/damaged", test_damaged);
    g_test_add_func("/bpfhv/backend/pairs", test_pairs);
    g_test_add_func("/bpfhv/backend/upgrades", test_upgrades);
    g_test_add_func("/bpfhv/backend/other-network", test_other_network);
    g_test_add_func("/bpfhv/backend/refused/early", test_refused_early);
    g_test_add_func("/bpfhv/backend/refused/running", test_refused_running);
    g_test_add_func("/bpfhv/backend/refused/upgrade", test_refused_upgrade);
    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        add("lie", lies[i].name, GSIZE_TO_POINTER(i), test_lie);
    }
    add("tap", "sring", "--model sring", test_tap);
    add("tap", "sring_gso", "--model sring_gso", test_tap);
    add("tap", "vring_packed", "--model vring_packed", test_tap);
    add("tap", "sring_sum", "--model sring_sum", test_tap);
    add("tap", "one-queue-of-four", "--queues 4", test_tap);
    g_test_add_func("/bpfhv/backend/tap/upgrade", test_tap_upgrade);
    g_test_add_func("/bpfhv/backend/tap/gone", test_tap_gone);
    add("xdp", "sring", " --model sring", test_xdp);
    add("xdp", "sring_gso", " --model sring_gso", test_xdp);
    add("xdp", "vring_packed", " --model vring_packed", test_xdp);
    add("xdp", "sring_sum", " --model sring_sum", test_xdp);
    add("xdp", "busy-wait", ",mode=copy --busy-wait", test_xdp);
    add("xdp", "one-queue-of-two", ",mode=copy --queues 2", test_xdp);
    g_test_add_func("/bpfhv/backend/xdp/generic", test_xdp_generic);
    g_test_add_func("/bpfhv/backend/xdp/upgrades", test_xdp_upgrades);
    g_test_add_func("/bpfhv/backend/xdp/lost", test_xdp_lost);
    g_test_add_func("/bpfhv/backend/xdp/odd-lengths", test_xdp_odd_lengths);
    g_test_add_func("/bpfhv/backend/xdp/pairs", test_xdp_pairs);
    g_test_add_func("/bpfhv/backend/xdp/gone", test_xdp_gone);
    g_test_add_func("/bpfhv/backend/xdp/killed", test_xdp_killed);
    g_test_add_func("/bpfhv/backend/xdp/ordinary-user",
                    test_xdp_ordinary_user);
    g_test_add_func("/bpfhv/backend/xdp/two-backends", test_xdp_two_backends);
    g_test_add_func("/bpfhv/backend/xdp/hostile-guest",
                    test_xdp_hostile_guest);
    for (size_t i = 0; i < G_N_ELEMENTS(xdp_refusals); i++) {
        add("xdp/refused", xdp_refusals[i].name, GSIZE_TO_POINTER(i),
            test_xdp_refused);
    }
    add("hostile-guest", "sring", SOURCE_OF_60 "sring",
        test_hostile_guest);
    add("hostile-guest", "sring_gso", SOURCE_OF_60 "sring_gso",
        test_hostile_guest);
    add("hostile-guest", "vring_packed", SOURCE_OF_60 "vring_packed",
        test_hostile_guest);
    add("hostile-guest", "sring_sum", SOURCE_OF_60 "sring_sum",
        test_hostile_guest);
    g_test_add_func("/bpfhv/backend/hostile-qemu", test_hostile_qemu);
    g_test_add_func("/bpfhv/backend/nonsense", test_nonsense);
    g_test_add_func("/bpfhv/backend/pieces", test_pieces);
    g_test_add_func("/bpfhv/backend/killed", test_killed);
    g_test_add_func("/bpfhv/backend/stopped", test_stopped);
    g_test_add_func("/bpfhv/backend/signals", test_signals);
    return g_test_run();
}
