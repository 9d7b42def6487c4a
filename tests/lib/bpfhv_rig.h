/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real bpfhv-backend, with QEMU and the guest in this process, for tests of
 * it: what they do not expect aborts. The guest's memory is a memfd, its
 * programs are those that the backend hands out, verified, in the interpreter
 * of bpfhv_run.c.
 *
 *     QEMU here ── socket ──▶ bpfhv-backend ──▶ what --sink, --tap, ... say
 *     guest here ── memory, eventfds ──┘
 *
 * Queues of n pairs: those from 0 on receive, those from n on transmit.
 */
#ifndef TESTS_BPFHV_RIG_H
#define TESTS_BPFHV_RIG_H

#include <glib.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "linux/bpfhv/bpfhv_verify.h"
#include "net/bpfhv_link.h"

enum {
    RIG_LOW_SIZE = 2 << 20,     /* of the guest's memory, from 0 on */
    RIG_HIGH_SIZE = 8 << 20,    /* and from RIG_HIGH_GPA on */
    RIG_CTX_GPA = 0x10000,      /* of queue 0; the others are behind it */
    RIG_BUF_SIZE = 2048,
    RIG_NUM_BUFS = 256,         /* as all models have */
    RIG_MAX_QUEUES = 4,
    RIG_SOURCE_LEN = 100,       /* for --source */
    RIG_NUMBER_AT = 14,         /* in a packet of the source */
    RIG_FRAME_MAX = 6000,       /* bytes: a packet, or all its segments */
};

#define RIG_HIGH_GPA 0x100000000ull

/**
 * RigFrame: what has come from a tap, or is to go there
 * @meta: what a packet's first buffer says of it
 * @len: bytes
 */
typedef struct RigFrame {
    struct bpfhv_buf meta;
    size_t len;
    uint8_t bytes[RIG_FRAME_MAX];
} RigFrame;

/**
 * RigQueue: a queue, as the guest's driver has it
 * @ctx: its context, in the guest's memory
 * @kick, @irq: eventfds, to the backend and from it
 * @outstanding: by cookie: the buffer is the backend's
 * @num_outstanding: how many are
 */
typedef struct RigQueue {
    struct bpfhv_ctx *ctx;
    int kick, irq;
    bool outstanding[RIG_NUM_BUFS];
    unsigned num_outstanding;
} RigQueue;

/**
 * RigProgram: a program that the backend has handed out
 * @insns: verified
 * @count: how many
 * @source_count: how many it had before
 */
typedef struct RigProgram {
    struct bpfhv_rules rules;
    struct bpf_insn *insns;
    int count;
    uint32_t source_count;
} RigProgram;

/**
 * Rig: a backend, its QEMU and its guest
 * @folder, @socket, @control: paths: the two sockets are in the folder
 * @backend: 0: it was waited for
 * @memory: the guest's, a memfd
 * @upgrade: an eventfd: the backend wants another model
 * @low, @high: where the guest's memory is here, of 0 and of RIG_HIGH_GPA
 * @features: all that the model has; they are in use
 * @pairs: of queues
 * @ctx_size: bytes, of a context
 * @received: packets that have come; those of the source have numbers
 * @empty: those among them that have come without a byte
 * @frame: the test's; not NULL: all that comes goes there, and is not counted
 */
typedef struct Rig {
    char *folder, *socket, *control;
    GPid backend;
    int listener, memory, upgrade;
    uint8_t *low, *high;
    BpfhvLink link;
    uint64_t features;
    unsigned pairs;
    uint32_t ctx_size;
    RigProgram program[BPFHV_NUM_PROGRAMS];
    RigQueue queue[RIG_MAX_QUEUES];
    uint64_t received;
    uint64_t empty;
    RigFrame *frame;
} Rig;

/*
 * Before the first test: paths of bpfhv-backend and bpfhv-ctl, which must stay
 * valid.
 */
void bpfhv_rig_init(const char *backend, const char *ctl);

/* The path of bpfhv-backend. */
const char *bpfhv_rig_backend(void);

/* The process and the socket */

/* A rig whose backend, with @options, words, has connected. */
Rig *bpfhv_rig_new(const char *options);

/* The backend, unless it was waited for, must end well. */
void bpfhv_rig_free(Rig *rig);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, bpfhv_rig_free)

/* Start a backend with @options, words, and have it connect; none runs. */
void bpfhv_rig_start(Rig *rig, const char *options);

/* The connection is over; return how the process has ended (waitpid()). */
int bpfhv_rig_stop(Rig *rig);

/* Whether there are @events of poll() at @fd, within half a minute. */
bool bpfhv_rig_wait_for(int fd, short events);

/*
 * Send a request, with its n_fds descriptors, which stay the caller's. The
 * answer, which may be that it is refused, stays valid until the next question.
 */
BpfhvProxyMessage bpfhv_rig_ask(Rig *rig, const BpfhvProxyMessage *message,
                                const int *fds);

/* The same of what may not be refused. */
BpfhvProxyMessage bpfhv_rig_must(Rig *rig, const BpfhvProxyMessage *message,
                                 const int *fds);
void bpfhv_rig_must_do(Rig *rig, BpfhvProxyType type);

/*
 * What bpfhv-ctl prints, or says why not, to be freed; @word may be NULL.
 * @place: called in the child before it is executed, or NULL
 */
char *bpfhv_rig_tell_from(Rig *rig, GSpawnChildSetupFunc place,
                          const char *command, const char *word);
char *bpfhv_rig_tell(Rig *rig, const char *command, const char *word);

/* A number of the statistics: the line that begins with @queue. */
uint64_t bpfhv_rig_counted(Rig *rig, const char *queue, const char *what);

/* The guest */

/* Say where the guest's memory is. */
void bpfhv_rig_set_memory(Rig *rig);

/* Say or ask all that comes before the queues; read the model's programs. */
void bpfhv_rig_negotiate(Rig *rig, unsigned pairs);

/* A fresh context for queue @i; the message that sets it is yet to be sent. */
BpfhvProxyMessage bpfhv_rig_context(Rig *rig, unsigned i);

/* Give all queues fresh contexts, and their eventfds. */
void bpfhv_rig_set_queues(Rig *rig);

/* Both directions. */
void bpfhv_rig_enable(Rig *rig);
void bpfhv_rig_disable(Rig *rig);

/* All of it: from a new backend, or another model, to queues that run. */
void bpfhv_rig_begin(Rig *rig, unsigned pairs);

/* Drain as the guest's driver does, and become another device. */
void bpfhv_rig_follow_upgrade(Rig *rig);

/* Bytes from rig->high on to a buffer of queue @i. */
uint64_t bpfhv_rig_buf_offset(unsigned i, unsigned cookie);

/*
 * Add a free buffer of queue @i, which is @q, to those that the context has
 * for the next bpfhv_rig_publish(); for a new list q->ctx->num_bufs is 0.
 */
void bpfhv_rig_add_buf(RigQueue *q, unsigned i, uint32_t len, uint16_t flags);

void bpfhv_rig_kick(const RigQueue *q);

/* Publish these buffers, and kick if the program says so. */
void bpfhv_rig_publish(Rig *rig, unsigned i);

/* Publish all free buffers, to receive. */
void bpfhv_rig_publish_room(Rig *rig, unsigned i);

/*
 * Publish @packets of one to three buffers, or of one where the model has no
 * more; there must be room. Return how many bytes they have.
 */
unsigned bpfhv_rig_publish_packets(Rig *rig, unsigned i, unsigned packets);

/* Take all that is completed; return how many buffers. */
unsigned bpfhv_rig_complete(Rig *rig, unsigned i);

/* Sleep until there is something to complete, as a driver does. */
void bpfhv_rig_wait_for_interrupt(Rig *rig, unsigned i);

/* Send, until all are completed; their bytes are added to @bytes. */
void bpfhv_rig_send_packets(Rig *rig, unsigned i, unsigned packets,
                            uint64_t *bytes);

/* Receive so many more of the source's: each once, and in order. */
void bpfhv_rig_receive_packets(Rig *rig, unsigned i, unsigned packets);

/*
 * One pair of queues begins, and gets contexts of random content, in which the
 * guest goes on writing; the backend must answer all the time.
 */
void bpfhv_rig_be_hostile(Rig *rig);

/* Add a test /bpfhv/backend/@folder/@name, with GLib; @data must outlive it. */
void bpfhv_rig_add(const char *folder, const char *name, const void *data,
                   GTestDataFunc test);

#endif
