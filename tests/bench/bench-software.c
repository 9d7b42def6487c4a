/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine in this process: what steering a packet, or hashing it, costs.
 * Ours and the peers (shared objects on the command line, see peers/peer.h)
 * take turns, on the same frames of many flows.
 *
 * Two kinds of rows: "frame" starts from a whole frame, as a receive path
 * does; "single" and "bulk" hash an input that is there already, which is all
 * that DPDK offers.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "net/rss.h"
#include "net/rss_toeplitz.h"
#include "packet.h"
#include "peers/peer.h"
#include "samples.h"

enum {
    FLOWS = 64,
    REPEAT = 1000,          /* times all flows, in a sample */
    MAX_ROWS = 16,
};

static const struct {
    const char *name, *recipe;
    size_t offset, len;     /* of addresses and ports in the frame */
} packets[] = {
    { "TCP/IPv4", "eth ip4 tcp raw:10", 26, 12 },
    { "UDP/IPv4", "eth ip4 udp raw:22", 26, 12 },
    { "TCP/IPv6", "eth ip6 tcp raw:10", 22, 36 },
    { "UDP/IPv6", "eth ip6 udp raw:10", 22, 36 },
};

/* Addresses and ports of one flow, aligned for all. */
typedef union Tuple {
    uint8_t byte[48];
    uint32_t word[12];
} __attribute__((aligned(16))) Tuple;

typedef struct Bench {
    int rounds;
    RssEngine *engine;
    RssToeplitz toeplitz, plain;
    GByteArray *frame[FLOWS];
    Tuple tuple[FLOWS], host_order[FLOWS];
    uint8_t *pointer[FLOWS];
    size_t len;             /* of a tuple */
} Bench;

/* One row: what is called for all flows. Returns the sum of all results. */
typedef struct Row {
    const char *kind, *name;
    uint32_t (*run)(Bench *b, const BenchPeer *peer);
    const BenchPeer *peer;
} Row;

static uint32_t run_steer(Bench *b, const BenchPeer *peer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += rss_engine_steer(b->engine, b->frame[i]->data,
                                b->frame[i]->len);
    }
    return sum;
}

static uint32_t run_classify(Bench *b, const BenchPeer *peer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += rss_engine_classify(b->engine, b->frame[i]->data,
                                   b->frame[i]->len).hash;
    }
    return sum;
}

static uint32_t run_toeplitz(Bench *b, const BenchPeer *peer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += rss_toeplitz_hash(&b->toeplitz, b->tuple[i].byte, b->len);
    }
    return sum;
}

static uint32_t run_plain(Bench *b, const BenchPeer *peer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += rss_toeplitz_hash(&b->plain, b->tuple[i].byte, b->len);
    }
    return sum;
}

static uint32_t run_peer_frame(Bench *b, const BenchPeer *peer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += peer->frame(b->frame[i]->data, b->frame[i]->len);
    }
    return sum;
}

static uint32_t run_peer_tuple(Bench *b, const BenchPeer *peer)
{
    const Tuple *tuple = peer->host_order ? b->host_order : b->tuple;
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < FLOWS; i++) {
        sum += peer->tuple(tuple[i].byte, b->len);
    }
    return sum;
}

static uint32_t run_peer_tuples(Bench *b, const BenchPeer *peer)
{
    uint32_t hash[FLOWS], sum = 0;
    unsigned i;

    peer->tuples(b->pointer, b->len, hash, FLOWS);
    for (i = 0; i < FLOWS; i++) {
        sum += hash[i];
    }
    return sum;
}

static void make_flows(Bench *b, unsigned packet)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    unsigned i, k;

    b->len = packets[packet].len;
    for (i = 0; i < FLOWS; i++) {
        PacketFlow flow;

        packet_random_flow(rand, &flow);
        if (b->frame[i]) {
            g_byte_array_unref(b->frame[i]);
        }
        b->frame[i] = packet_build(packets[packet].recipe, &flow);
        memcpy(b->tuple[i].byte, b->frame[i]->data + packets[packet].offset,
               b->len);
        b->pointer[i] = b->tuple[i].byte;
        for (k = 0; k < b->len / 4; k++) {
            b->host_order[i].word[k] = GUINT32_FROM_BE(b->tuple[i].word[k]);
        }
    }
}

static unsigned our_rows(Row *row)
{
    row[0] = (Row) { "frame", "ours, queue", run_steer };
    row[1] = (Row) { "frame", "ours, hash", run_classify };
    row[2] = (Row) { "single", "ours", run_toeplitz };
    row[3] = (Row) { "single", "ours, bit by bit", run_plain };
    return 4;
}

/* The rows of all that is in a shared object. */
static unsigned peer_rows(Row *row, const char *file)
{
    void *object = dlopen(file, RTLD_LAZY);
    const BenchPeer *peer = object ? dlsym(object, "bench_peers") : NULL;
    unsigned n = 0;

    if (!peer) {
        g_error("%s", dlerror());
    }
    for (; peer->name; peer++) {
        if (!peer->init(suite_key)) {
            continue;
        }
        if (peer->frame) {
            row[n++] = (Row) { "frame", peer->name, run_peer_frame, peer };
        }
        if (peer->tuple) {
            row[n++] = (Row) { "single", peer->name, run_peer_tuple, peer };
        }
        if (peer->tuples) {
            row[n++] = (Row) { "bulk", peer->name, run_peer_tuples, peer };
        }
    }
    return n;
}

/* All that compute a hash compute the same one. */
static void check_sums(Bench *b, const Row *row, unsigned n)
{
    uint32_t sum = run_classify(b, NULL);
    unsigned i;

    for (i = 1; i < n; i++) {
        if (row[i].run(b, row[i].peer) != sum) {
            g_error("%s (%s) computes another hash than ours", row[i].name,
                    row[i].kind);
        }
    }
}

static void measure(Bench *b, unsigned packet, const Row *row, unsigned n)
{
    Samples *samples[MAX_ROWS];
    volatile uint32_t sink = 0;
    int round;
    unsigned i, k;

    for (i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf(
            "%s/%s/%s", row[i].kind, packets[packet].name, row[i].name);

        samples[i] = samples_new(name, "ns");
    }
    for (round = 0; round < b->rounds; round++) {
        for (i = 0; i < n; i++) {
            const Row *this = &row[(i + round) % n];
            double start = samples_cpu_ns();

            for (k = 0; k < REPEAT; k++) {
                sink += this->run(b, this->peer);
            }
            samples_add(samples[this - row], (samples_cpu_ns() - start) /
                        ((double)REPEAT * FLOWS));
        }
    }
    for (i = 0; i < n; i++) {
        samples_print(samples[i]);
    }
}

int main(int argc, char **argv)
{
    RssConfig config = config_plain(RSS_TYPES_ALL & ~RSS_TYPES_EX,
                                    RSS_TABLE_MAX);
    Bench b = { 0 };
    Row row[MAX_ROWS];
    unsigned n, i;

    if (argc < 2) {
        fprintf(stderr, "usage: bench-software ROUNDS [PEER.so]...\n");
        return 1;
    }
    b.rounds = atoi(argv[1]);
    b.engine = rss_engine_new(&config);
    rss_toeplitz_init(&b.toeplitz, config.key);
    rss_toeplitz_init_plain(&b.plain, config.key);
    n = our_rows(row);
    for (i = 2; i < argc; i++) {
        n += peer_rows(row + n, argv[i]);
    }
    for (i = 0; i < G_N_ELEMENTS(packets); i++) {
        make_flows(&b, i);
        check_sums(&b, row, n);
        measure(&b, i, row, n);
    }
    for (i = 0; i < FLOWS; i++) {
        g_byte_array_unref(b.frame[i]);
    }
    rss_engine_free(b.engine);
    return 0;
}
