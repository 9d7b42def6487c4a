/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <string.h>

#include "code_book.h"
#include "net/rss_compile.h"
#include "packet.h"

enum {
    TRIES = 1000,           /* for a configuration; most need one or two */
    FLOW_TRIES = 20000,
    LONG_FLOWS = 2,         /* the first ones */
    HEADERS = 16,           /* of those; the program follows a few more */
    CUT = 8,                /* bytes: the pieces that a slot is written in */
};

/* The parts of a configuration that can be another's. */
enum { TYPES = 1, UNCLASSIFIED = 2, KEY = 4, TABLE = 8, ALL = 15 };

static const uint32_t types6[] = {
    RSS_TYPE_TCP_EX | RSS_TYPE_UDPV6, RSS_TYPE_TCPV6 | RSS_TYPE_IPV6,
    RSS_TYPE_IP_EX | RSS_TYPE_IPV6, RSS_TYPE_TCP_EX | RSS_TYPE_IPV6,
};
static const uint32_t types4[] = {
    RSS_TYPE_TCPV4, RSS_TYPE_TCPV4 | RSS_TYPE_UDPV4, RSS_TYPE_IPV4,
    RSS_TYPE_IPV4 | RSS_TYPE_TCPV4,
};

/* How many mixtures there are, and how many of their packets tell. */
typedef struct Tally {
    unsigned mixtures, telling;
} Tally;

typedef struct Check {
    const CodeBook *book;
    const uint16_t *queue;
    struct rss_policy policy[BOOK_CONFIGS];
    Tally whole, torn;
} Check;

/*
 * Two flows have many headers, which keep the program busy between finding its
 * slot and reading the key.
 */
static char *recipe(unsigned flow)
{
    static const char *const recipes[BOOK_FLOWS] = {
        "dst:home tcp raw:22", "tcp raw:22",
        "eth ip6 hop dst:home rt tcp raw:22", "eth ip6 udp raw:22",
        "eth ip4:df tcp raw:22", "eth ip4 udp raw:22",
    };
    GString *text = g_string_new("eth ip6 ");
    int i;

    if (flow >= LONG_FLOWS) {
        g_string_truncate(text, 0);
    }
    for (i = 0; flow < LONG_FLOWS && i < HEADERS; i++) {
        g_string_append(text, "hop ");
    }
    g_string_append(text, recipes[flow]);
    return g_string_free(text, FALSE);
}

static GByteArray *make_frame(GRand *rand, unsigned n, CodeBookFits *fits,
                              void *opaque)
{
    g_autofree char *text = recipe(n);
    GByteArray *frame = NULL;
    PacketFlow flow;
    int i;

    for (i = 0; i < FLOW_TRIES; i++) {
        packet_random_flow(rand, &flow);
        frame = packet_build(text, &flow);
        if (!fits || fits(frame, opaque)) {
            return frame;
        }
        g_byte_array_unref(frame);
    }
    g_error("no flow of \"%s\" fits", text);
}

static RssConfig make_config(GRand *rand, const CodeBook *book,
                             uint16_t queue, uint16_t bad)
{
    RssConfig config = {
        .hash_types = types6[g_rand_int_range(rand, 0, G_N_ELEMENTS(types6))] |
                      types4[g_rand_int_range(rand, 0, G_N_ELEMENTS(types4))],
        .unclassified_queue = bad,
        .table_len = RSS_TABLE_MAX >> g_rand_int_range(rand, 0, 2),
    };
    OracleConfig oracle;
    unsigned i;

    for (i = 0; i < config.table_len; i++) {
        config.table[i] = bad;
    }
    for (i = 0; i < RSS_KEY_SIZE; i++) {
        config.key[i] = g_rand_int(rand);
    }
    oracle = config_for_oracle(&config);
    for (i = 0; i < BOOK_FLOWS; i++) {
        OracleAnswer answer = oracle_classify(&oracle, book->frame[i]->data,
                                              book->frame[i]->len);

        if (answer.type) {
            config.table[answer.hash % config.table_len] = queue;
        } else {
            config.unclassified_queue = queue;
        }
    }
    return config;
}

/* The queue of a flow under what a program may have read. */
static uint16_t steer(const CodeBook *book, const struct rss_policy *policy,
                      unsigned flow)
{
    const RssPacket pkt = {
        .data = book->frame[flow]->data, .len = book->frame[flow]->len,
    };
    struct rss_flow found;

    return rss_steer(policy, &found, rss_find_input(policy, &pkt, &found));
}

static bool is_good(const Check *check, uint16_t queue)
{
    unsigned i;

    for (i = 0; i < BOOK_CONFIGS; i++) {
        if (check->queue[i] == queue) {
            return true;
        }
    }
    return false;
}

/* Does a flow tell of a mixture? */
static bool tells(Check *check, const struct rss_policy *mixture, Tally *tally)
{
    unsigned telling = 0, i;

    for (i = 0; i < BOOK_FLOWS; i++) {
        telling += !is_good(check, steer(check->book, mixture, i));
    }
    tally->mixtures++;
    tally->telling += telling;
    return telling;
}

static struct rss_policy mix(const struct rss_policy *a,
                             const struct rss_policy *b, unsigned from_a)
{
    struct rss_policy mixture = *b;

    if (from_a & TYPES) {
        memcpy(mixture.type, a->type, sizeof(mixture.type));
    }
    if (from_a & UNCLASSIFIED) {
        mixture.unclassified_queue = a->unclassified_queue;
    }
    if (from_a & KEY) {
        memcpy(mixture.ipv4, a->ipv4, sizeof(mixture.ipv4));
        memcpy(mixture.ipv6, a->ipv6, sizeof(mixture.ipv6));
        memcpy(mixture.ipv6_ports, a->ipv6_ports, sizeof(mixture.ipv6_ports));
    }
    if (from_a & TABLE) {
        memcpy(mixture.table, a->table, sizeof(mixture.table));
    }
    return mixture;
}

/*
 * Parts of two configurations. Where types (if they differ), key and table are
 * of one, only the unclassified queue is another's. What a packet reads then
 * may be the same as in one of the two.
 */
static bool check_parts(Check *check, unsigned a, unsigned b)
{
    const struct rss_policy *of_a = &check->policy[a];
    const struct rss_policy *of_b = &check->policy[b];
    unsigned matter = KEY | TABLE, from_a;

    if (memcmp(of_a->type, of_b->type, sizeof(of_a->type)) != 0) {
        matter |= TYPES;
    }
    for (from_a = 1; from_a < ALL; from_a++) {
        struct rss_policy mixture = mix(of_a, of_b, from_a);
        bool mixed = (from_a & matter) && (from_a & matter) != matter;

        if (mixed && !tells(check, &mixture, &check->whole)) {
            return false;
        }
    }
    return true;
}

/* The first bytes of one configuration, the rest of another. */
static bool check_torn(Check *check, unsigned a, unsigned b)
{
    const size_t end = offsetof(struct rss_policy, table);
    size_t cut;

    for (cut = offsetof(struct rss_policy, ipv4) + CUT; cut <= end;
         cut += CUT) {
        struct rss_policy mixture = check->policy[b];

        memcpy(&mixture, &check->policy[a], cut);
        if (!tells(check, &mixture, &check->torn)) {
            return false;
        }
    }
    return true;
}

/*
 * Does configuration @n do what it should, and no mixture of it with one of
 * those before it? Adds them to the tallies if so.
 */
static bool check_config(Check *check, unsigned n)
{
    Tally whole = check->whole, torn = check->torn;
    unsigned i;

    rss_compile(&check->book->config[n], &check->policy[n]);
    for (i = 0; i < BOOK_FLOWS; i++) {
        g_assert_cmpuint(steer(check->book, &check->policy[n], i), ==,
                         check->queue[n]);
    }
    for (i = 0; i < n; i++) {
        if (!check_parts(check, i, n) || !check_torn(check, i, n) ||
            !check_parts(check, n, i) || !check_torn(check, n, i)) {
            check->whole = whole;
            check->torn = torn;
            return false;
        }
    }
    return true;
}

static double percent(const Tally *tally)
{
    return 100.0 * tally->telling / (tally->mixtures * BOOK_FLOWS);
}

CodeBook *code_book_new(GRand *rand, const uint16_t queue[BOOK_CONFIGS],
                        uint16_t bad, CodeBookFits *fits, void *opaque)
{
    CodeBook *book = g_new0(CodeBook, 1);
    Check check = { .book = book, .queue = queue };
    unsigned i, try;

    for (i = 0; i < BOOK_FLOWS; i++) {
        book->frame[i] = make_frame(rand, i, fits, opaque);
    }
    for (i = 0; i < BOOK_CONFIGS; i++) {
        try = 0;
        do {
            g_assert_cmpuint(try++, <, TRIES);
            book->config[i] = make_config(rand, book, queue[i], bad);
        } while (!check_config(&check, i));
    }
    g_test_message("code book: %u mixtures, each told by a flow, and by %.1f%%"
                   " of the packets; %u torn slots, by %.1f%%",
                   check.whole.mixtures, percent(&check.whole),
                   check.torn.mixtures, percent(&check.torn));
    return book;
}

void code_book_free(CodeBook *book)
{
    unsigned i;

    for (i = 0; i < BOOK_FLOWS; i++) {
        g_byte_array_unref(book->frame[i]);
    }
    g_free(book);
}
