/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells what both engines make of frames. Reads, from its standard input,
 *
 *     'c' struct RssConfig                 the configuration from here on
 *     'f' uint32_t length, the frame       a question: one Answer for each
 *     '.'                                  write all answers now
 *
 * and writes first why the program cannot run here, as one line, which is
 * empty if it can; then Answers. Numbers are in host order. engines.py asks.
 *
 * BPF_PROG_TEST_RUN takes no large frame. Those go through a pair of sockets,
 * one of which has the program as its filter. What a filter returns is how
 * many bytes of a message pass: so the length of what arrives is the queue, if
 * that is at least 1 and less than the length of the frame. Above some size
 * such a message is in pieces, like a GSO packet in a tap.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/ebpf_rss.h"

enum {
    FRAME_MAX = 128 * 1024,     /* bytes */
    WAIT_MS = 20000,
};

/* In place of a queue. */
enum {
    NOT_RUN = -1,               /* the kernel does not take this frame */
};

/**
 * Answer:
 * @program: the queue that the program in the kernel says, or NOT_RUN
 * @steered: the queue that rss_engine_steer() says
 * @queue, @hash, @type: what rss_engine_classify() says
 */
typedef struct Answer {
    int32_t program;
    uint32_t steered;
    uint32_t queue;
    uint32_t hash;
    uint32_t type;
} Answer;

G_STATIC_ASSERT(sizeof(RssConfig) == 8 + 2 * RSS_TABLE_MAX + RSS_KEY_SIZE);

static EBPFRSS *rss;            /* NULL: not allowed */
static int sender, receiver;    /* sockets; the program is the second's */

static void G_GNUC_NORETURN die(const char *what)
{
    fprintf(stderr, "answer: %s: %s\n", what, g_strerror(errno));
    exit(1);
}

static void take(void *to, size_t len)
{
    if (len && fread(to, len, 1, stdin) != 1) {
        die("input ends in the middle");
    }
}

static void load(void)
{
    g_autoptr(GError) error = NULL;
    int fd, pair[2];

    rss = ebpf_rss_load("answer", NULL, NULL, &error);
    if (!rss) {
        fprintf(stderr, "answer: %s\n", error->message);
        exit(1);
    }
    fd = ebpf_rss_program_fd(rss);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) < 0) {
        die("a socket with the program as its filter");
    }
    sender = pair[0];
    receiver = pair[1];
}

static int32_t run_by_socket(const void *frame, size_t len)
{
    static char received[FRAME_MAX];
    ssize_t n;

    if (send(sender, frame, len, 0) != (ssize_t)len) {
        die("send");
    }
    n = recv(receiver, received, sizeof(received), MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        die("receive");
    }
    return n < 0 ? 0 : n;
}

static int32_t run_program(const void *frame, size_t len)
{
    int64_t queue;

    if (!rss) {
        return NOT_RUN;
    }
    if (len > BPF_RUN_MAX) {
        return run_by_socket(frame, len);
    }
    queue = bpf_run(ebpf_rss_program_fd(rss), frame, len);
    if (queue == -EINVAL && len == 0) {
        return NOT_RUN;     /* newer kernels do not run it on empty frames */
    }
    if (queue < 0) {
        errno = -queue;
        die("BPF_PROG_TEST_RUN");
    }
    return queue;
}

static RssEngine *read_config(void)
{
    RssConfig config;
    g_autoptr(GError) error = NULL;

    take(&config, sizeof(config));
    if (!rss_config_check(&config, UINT16_MAX, &error)) {
        fprintf(stderr, "answer: %s\n", error->message);
        exit(1);
    }
    if (rss && ebpf_rss_set_all(rss, &config) != EBPF_RSS_IN_FORCE &&
        ebpf_rss_wait(rss, WAIT_MS) != EBPF_RSS_IN_FORCE) {
        die("a configuration that does not come into force");
    }
    return rss_engine_new(&config);
}

static void answer_frame(const RssEngine *engine)
{
    g_autofree void *frame = NULL;
    RssResult result;
    Answer answer;
    uint32_t len;

    take(&len, sizeof(len));
    if (!engine || len > FRAME_MAX) {
        die("no configuration, or a frame that is too long");
    }
    frame = g_malloc(len);      /* of its size, for AddressSanitizer */
    take(frame, len);
    result = rss_engine_classify(engine, frame, len);
    answer = (Answer) {
        .program = run_program(frame, len),
        .steered = rss_engine_steer(engine, frame, len),
        .queue = result.queue,
        .hash = result.hash,
        .type = result.type,
    };
    fwrite(&answer, sizeof(answer), 1, stdout);
}

int main(void)
{
    const char *refusal = bpf_run_refusal();
    RssEngine *engine = NULL;
    int c;

    if (!refusal) {
        load();
    }
    printf("%s\n", refusal ? refusal : "");
    fflush(stdout);
    while ((c = getchar()) != EOF) {
        if (c == 'c') {
            rss_engine_free(engine);
            engine = read_config();
        } else if (c == 'f') {
            answer_frame(engine);
        } else {
            fflush(stdout);
        }
    }
    rss_engine_free(engine);
    ebpf_rss_unload(rss);
    return 0;
}
