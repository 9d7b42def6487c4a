/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpfhv_rig.h"
#include "bpfhv_run.h"

enum {
    PATIENCE_MS = 30000,        /* nothing here takes so long */
    CTX_STEP = 0x8000,
};

static const char *backend_path, *ctl_path;

void bpfhv_rig_init(const char *backend, const char *ctl)
{
    backend_path = backend;
    ctl_path = ctl;
}

const char *bpfhv_rig_backend(void)
{
    return backend_path;
}

/* The process and the socket */

bool bpfhv_rig_wait_for(int fd, short events)
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

void bpfhv_rig_start(Rig *rig, const char *options)
{
    g_autofree char *line = g_strdup_printf(
        "%s --socket %s --control %s %s", backend_path, rig->socket,
        rig->control, options);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;

    g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                  end_with_parent, NULL, &rig->backend, &error);
    g_assert_no_error(error);
    g_assert_true(bpfhv_rig_wait_for(rig->listener, POLLIN));
    rig->link = (BpfhvLink) {
        .socket = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC),
        .receives_answers = true,
    };
    g_assert_cmpint(rig->link.socket, >=, 0);
}

int bpfhv_rig_stop(Rig *rig)
{
    int status = -1;

    bpfhv_link_clear(&rig->link);
    close(rig->link.socket);
    rig->link.socket = -1;
    g_assert_cmpint(waitpid(rig->backend, &status, 0), ==, rig->backend);
    rig->backend = 0;
    return status;
}

Rig *bpfhv_rig_new(const char *options)
{
    Rig *rig = g_new0(Rig, 1);

    rig->folder = g_dir_make_tmp("bpfhv-XXXXXX", NULL);
    rig->socket = g_build_filename(rig->folder, "qemu", NULL);
    rig->control = g_build_filename(rig->folder, "control", NULL);
    rig->listener = listen_at(rig->socket);
    rig->memory = memfd_create("guest", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(rig->memory, RIG_LOW_SIZE + RIG_HIGH_SIZE), ==,
                    0);
    rig->low = mmap(NULL, RIG_LOW_SIZE + RIG_HIGH_SIZE, PROT_READ | PROT_WRITE,
                    MAP_SHARED, rig->memory, 0);
    g_assert_true(rig->low != MAP_FAILED);
    rig->high = rig->low + RIG_LOW_SIZE;
    rig->upgrade = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (unsigned i = 0; i < RIG_MAX_QUEUES; i++) {
        rig->queue[i].ctx = (void *)(rig->low + RIG_CTX_GPA + i * CTX_STEP);
        rig->queue[i].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        rig->queue[i].irq = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    bpfhv_rig_start(rig, options);
    return rig;
}

void bpfhv_rig_free(Rig *rig)
{
    if (rig->backend) {
        g_assert_cmpint(bpfhv_rig_stop(rig), ==, 0);
        g_assert_false(g_file_test(rig->control, G_FILE_TEST_EXISTS));
    }
    for (unsigned i = 0; i < RIG_MAX_QUEUES; i++) {
        close(rig->queue[i].kick);
        close(rig->queue[i].irq);
    }
    for (unsigned i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        g_free(rig->program[i].insns);
    }
    munmap(rig->low, RIG_LOW_SIZE + RIG_HIGH_SIZE);
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

BpfhvProxyMessage bpfhv_rig_ask(Rig *rig, const BpfhvProxyMessage *message,
                                const int *fds)
{
    BpfhvProxyMessage answer = { 0 };
    BpfhvLinkState state;

    bpfhv_link_next(&rig->link);
    g_assert_true(bpfhv_link_send(&rig->link, message, fds));
    while ((state = bpfhv_link_receive(&rig->link, &answer)) ==
           BPFHV_LINK_WAITS) {
        g_assert_true(bpfhv_rig_wait_for(rig->link.socket, POLLIN));
    }
    g_assert_cmpint(state, ==, BPFHV_LINK_MESSAGE);
    g_assert_cmpint(answer.type, ==, message->type);
    return answer;
}

BpfhvProxyMessage bpfhv_rig_must(Rig *rig, const BpfhvProxyMessage *message,
                                 const int *fds)
{
    BpfhvProxyMessage answer = bpfhv_rig_ask(rig, message, fds);

    if (answer.refused) {
        g_error("%s: %s", bpfhv_proxy_name(message->type), answer.text);
    }
    return answer;
}

void bpfhv_rig_must_do(Rig *rig, BpfhvProxyType type)
{
    bpfhv_rig_must(rig, &(BpfhvProxyMessage) { type }, NULL);
}

char *bpfhv_rig_tell_from(Rig *rig, GSpawnChildSetupFunc place,
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

char *bpfhv_rig_tell(Rig *rig, const char *command, const char *word)
{
    return bpfhv_rig_tell_from(rig, NULL, command, word);
}

uint64_t bpfhv_rig_counted(Rig *rig, const char *queue, const char *what)
{
    g_autofree char *text = bpfhv_rig_tell(rig, "stats", NULL);
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
    BpfhvProxyMessage answer = bpfhv_rig_must(rig, &get, NULL);
    RigProgram *p = &rig->program[number];
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

void bpfhv_rig_set_memory(Rig *rig)
{
    const BpfhvProxyMessage message = { BPFHV_PROXY_SET_MEMORY,
        .count = 2, .n_fds = 2, .region = {
            { 0, RIG_LOW_SIZE, 0 },
            { RIG_HIGH_GPA, RIG_HIGH_SIZE, RIG_LOW_SIZE } } };

    bpfhv_rig_must(rig, &message, (int[]) { rig->memory, rig->memory });
}

void bpfhv_rig_negotiate(Rig *rig, unsigned pairs)
{
    const BpfhvProxyMessage set_upgrade = { BPFHV_PROXY_SET_UPGRADE,
                                            .n_fds = 1 };
    BpfhvProxyMessage answer;

    bpfhv_rig_set_memory(rig);
    bpfhv_rig_must(rig, &set_upgrade, &rig->upgrade);
    answer = bpfhv_rig_must(rig, &(BpfhvProxyMessage) {
                            BPFHV_PROXY_GET_FEATURES }, NULL);
    rig->features = answer.features;
    if (rig->features) {
        bpfhv_rig_must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_FEATURES,
                       .features = rig->features }, NULL);
    }
    answer = bpfhv_rig_must(rig, &(BpfhvProxyMessage) {
                            BPFHV_PROXY_SET_PARAMETERS,
                            .parameters = { pairs, pairs } }, NULL);
    g_assert_cmpuint(answer.sizes.rx_bufs, ==, RIG_NUM_BUFS);
    g_assert_cmpuint(answer.sizes.tx_bufs, ==, RIG_NUM_BUFS);
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

BpfhvProxyMessage bpfhv_rig_context(Rig *rig, unsigned i)
{
    RigQueue *q = &rig->queue[i];

    memset(q->ctx, 0, CTX_STEP);
    memset(q->outstanding, 0, sizeof(q->outstanding));
    q->num_outstanding = 0;
    return (BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX, .queue = i,
                                 .gpa = RIG_CTX_GPA + i * CTX_STEP };
}

void bpfhv_rig_enable(Rig *rig)
{
    bpfhv_rig_must_do(rig, BPFHV_PROXY_RX_ENABLE);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_TX_ENABLE);
}

void bpfhv_rig_disable(Rig *rig)
{
    bpfhv_rig_must_do(rig, BPFHV_PROXY_RX_DISABLE);
    bpfhv_rig_must_do(rig, BPFHV_PROXY_TX_DISABLE);
}

void bpfhv_rig_set_queues(Rig *rig)
{
    for (unsigned i = 0; i < 2 * rig->pairs; i++) {
        BpfhvProxyMessage message = bpfhv_rig_context(rig, i);

        bpfhv_rig_must(rig, &message, NULL);
        message = (BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_KICK,
                                        .queue = i, .n_fds = 1 };
        bpfhv_rig_must(rig, &message, &rig->queue[i].kick);
        message.type = BPFHV_PROXY_SET_QUEUE_IRQ;
        bpfhv_rig_must(rig, &message, &rig->queue[i].irq);
    }
}

void bpfhv_rig_begin(Rig *rig, unsigned pairs)
{
    bpfhv_rig_negotiate(rig, pairs);
    bpfhv_rig_set_queues(rig);
    bpfhv_rig_enable(rig);
}

static bool receives(const Rig *rig, unsigned i)
{
    return i < rig->pairs;
}

/* Run a program of receive queues, or its twin of transmit queues. */
static int run(Rig *rig, unsigned i, uint32_t rx_number)
{
    const RigProgram *p = &rig->program[
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

uint64_t bpfhv_rig_buf_offset(unsigned i, unsigned cookie)
{
    return (i * RIG_NUM_BUFS + cookie) * RIG_BUF_SIZE;
}

void bpfhv_rig_add_buf(RigQueue *q, unsigned i, uint32_t len, uint16_t flags)
{
    unsigned cookie = 0;

    while (q->outstanding[cookie]) {
        cookie++;
    }
    q->outstanding[cookie] = true;
    q->num_outstanding++;
    q->ctx->bufs[q->ctx->num_bufs++] = (struct bpfhv_buf) {
        .paddr = RIG_HIGH_GPA + bpfhv_rig_buf_offset(i, cookie), .len = len,
        .cookie = cookie, .flags = flags,
    };
}

void bpfhv_rig_kick(const RigQueue *q)
{
    g_assert_cmpint(eventfd_write(q->kick, 1), ==, 0);
}

void bpfhv_rig_publish(Rig *rig, unsigned i)
{
    RigQueue *q = &rig->queue[i];

    if (q->ctx->num_bufs) {
        g_assert_cmpint(run(rig, i, BPFHV_RX_PUBLISH), ==, 0);
        if (q->ctx->out & BPFHV_OUT_KICK) {
            bpfhv_rig_kick(q);
        }
    }
}

void bpfhv_rig_publish_room(Rig *rig, unsigned i)
{
    RigQueue *q = &rig->queue[i];

    while (q->num_outstanding < RIG_NUM_BUFS) {
        q->ctx->num_bufs = 0;
        while (q->num_outstanding < RIG_NUM_BUFS &&
               q->ctx->num_bufs < BPFHV_CTX_BUFS) {
            bpfhv_rig_add_buf(q, i, RIG_BUF_SIZE, 0);
        }
        bpfhv_rig_publish(rig, i);
    }
}

unsigned bpfhv_rig_publish_packets(Rig *rig, unsigned i, unsigned packets)
{
    RigQueue *q = &rig->queue[i];
    unsigned bytes = 0;

    q->ctx->num_bufs = 0;
    while (packets--) {
        unsigned parts = rig->features & BPFHV_F_SG ?
                         g_test_rand_int_range(1, 4) : 1;

        while (parts--) {
            unsigned len = g_test_rand_int_range(14, RIG_BUF_SIZE / 3);

            bpfhv_rig_add_buf(q, i, len, parts ? BPFHV_BUF_NEXT : 0);
            bytes += len;
        }
    }
    bpfhv_rig_publish(rig, i);
    return bytes;
}

static void check_source(Rig *rig, unsigned i, const struct bpfhv_buf *buf)
{
    uint64_t number;

    g_assert_cmpuint(buf->len, ==, RIG_SOURCE_LEN);
    memcpy(&number, rig->high + bpfhv_rig_buf_offset(i, buf->cookie) +
           RIG_NUMBER_AT, sizeof(number));
    g_assert_cmpuint(GUINT64_FROM_LE(number), ==, rig->received);
    rig->received++;
}

/* The first buffer has all metadata of a packet. */
static void add_to_frame(Rig *rig, unsigned i, const struct bpfhv_buf *buf)
{
    RigFrame *frame = rig->frame;

    if (!frame->len) {
        frame->meta = *buf;
    }
    g_assert_cmpuint(buf->len, <=, sizeof(frame->bytes) - frame->len);
    memcpy(frame->bytes + frame->len,
           rig->high + bpfhv_rig_buf_offset(i, buf->cookie), buf->len);
    frame->len += buf->len;
}

unsigned bpfhv_rig_complete(Rig *rig, unsigned i)
{
    RigQueue *q = &rig->queue[i];
    unsigned sum = 0;
    int ret;

    while ((ret = run(rig, i, BPFHV_RX_COMPLETE)) == 1) {
        for (unsigned k = 0; k < q->ctx->num_bufs; k++) {
            const struct bpfhv_buf *buf = &q->ctx->bufs[k];

            g_assert_cmpuint(buf->cookie, <, RIG_NUM_BUFS);
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

void bpfhv_rig_wait_for_interrupt(Rig *rig, unsigned i)
{
    RigQueue *q = &rig->queue[i];
    eventfd_t count;

    q->ctx->min_completed_bufs = 1;
    if (run(rig, i, BPFHV_RX_INTERRUPTS) == 0) {
        g_assert_true(bpfhv_rig_wait_for(q->irq, POLLIN));
        eventfd_read(q->irq, &count);
    }
}

void bpfhv_rig_send_packets(Rig *rig, unsigned i, unsigned packets,
                            uint64_t *bytes)
{
    while (packets) {
        unsigned n = g_test_rand_int_range(1, 21);

        n = MIN(n, packets);
        *bytes += bpfhv_rig_publish_packets(rig, i, n);
        packets -= n;
        while (rig->queue[i].num_outstanding > RIG_NUM_BUFS - 64) {
            bpfhv_rig_wait_for_interrupt(rig, i);
            bpfhv_rig_complete(rig, i);
        }
    }
    while (rig->queue[i].num_outstanding) {
        bpfhv_rig_wait_for_interrupt(rig, i);
        bpfhv_rig_complete(rig, i);
    }
}

void bpfhv_rig_receive_packets(Rig *rig, unsigned i, unsigned packets)
{
    for (uint64_t end = rig->received + packets; rig->received < end;) {
        bpfhv_rig_publish_room(rig, i);
        bpfhv_rig_wait_for_interrupt(rig, i);
        bpfhv_rig_complete(rig, i);
    }
}

void bpfhv_rig_follow_upgrade(Rig *rig)
{
    eventfd_t count;

    g_assert_true(bpfhv_rig_wait_for(rig->upgrade, POLLIN));
    eventfd_read(rig->upgrade, &count);
    bpfhv_rig_disable(rig);
    for (unsigned i = 0; i < 2 * rig->pairs; i++) {
        bpfhv_rig_complete(rig, i);
        bpfhv_rig_must(rig, &(BpfhvProxyMessage) { BPFHV_PROXY_SET_QUEUE_CTX,
                       .queue = i }, NULL);
    }
    bpfhv_rig_must_do(rig, BPFHV_PROXY_UPGRADE);
    bpfhv_rig_begin(rig, rig->pairs);
}

void bpfhv_rig_be_hostile(Rig *rig)
{
    GRand *random = g_rand_new_with_seed(g_test_rand_int());

    bpfhv_rig_begin(rig, 1);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 2; i++) {
            uint32_t *words = (uint32_t *)rig->queue[i].ctx;

            for (unsigned k = 0; k < 500; k++) {
                uint32_t at = g_rand_int_range(random, 0, rig->ctx_size / 4);

                __atomic_store_n(&words[at], g_rand_int(random) >>
                                 g_rand_int_range(random, 0, 32),
                                 __ATOMIC_RELAXED);
            }
            bpfhv_rig_kick(&rig->queue[i]);
        }
        if (round % 10 == 0) {
            bpfhv_rig_disable(rig);
            for (unsigned i = 0; i < 2; i++) {
                BpfhvProxyMessage message = bpfhv_rig_context(rig, i);

                bpfhv_rig_must(rig, &message, NULL);
            }
            bpfhv_rig_enable(rig);
        }
        bpfhv_rig_must_do(rig, BPFHV_PROXY_GET_FEATURES);
    }
    g_rand_free(random);
}

void bpfhv_rig_add(const char *folder, const char *name, const void *data,
                   GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/bpfhv/backend/%s/%s", folder,
                                            name);

    g_test_add_data_func(path, data, test);
}
