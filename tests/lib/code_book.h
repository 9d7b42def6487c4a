/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configurations of which one packet tells whether it saw a mixture.
 *
 * Configuration n steers each of a few flows to its own queue[n]: the entry of
 * its table that the flow's hash under its own key chooses holds that, and so
 * does its unclassified queue if its types give a flow no hash. All other
 * entries, and the unclassified queue of the others, hold @bad. Keys are
 * random; types and lengths of tables differ too. So a packet that is steered
 * by
 *
 *  - the key of one and the table of another,
 *  - the types of one and the key and table of another,
 *  - a key or table that is half one's and half another's
 *
 * lands, but by chance, on an entry with @bad, or with the 0 that fills what
 * is behind a short table. A program that was given no configuration says 0
 * too.
 *
 * Chance is a few entries in a hundred, for one flow. It is taken out by
 * trying: code_book_new() mixes each two configurations in every way, and
 * draws another one if there is a way that no flow would tell. What a program
 * may see of a slot that is being written are its first bytes from one
 * configuration and the rest from another, so that is tried as well, at every
 * fourth byte of the key.
 */
#ifndef TESTS_CODE_BOOK_H
#define TESTS_CODE_BOOK_H

#include <glib.h>

#include "configs.h"

enum {
    BOOK_CONFIGS = 11,
    BOOK_FLOWS = 6,
};

typedef struct CodeBook {
    RssConfig config[BOOK_CONFIGS];
    GByteArray *frame[BOOK_FLOWS];
} CodeBook;

/* Whether a test can use a flow. */
typedef bool CodeBookFits(const GByteArray *frame, void *opaque);

/**
 * code_book_new:
 * @queue: of each configuration; all different, and none is 0
 * @bad: another one
 * @fits: asked about each flow, or NULL
 * @opaque: for @fits
 *
 * Says in a message of the test how many mixtures there are, and what part of
 * the packets tells of them.
 */
CodeBook *code_book_new(GRand *rand, const uint16_t queue[BOOK_CONFIGS],
                        uint16_t bad, CodeBookFits *fits, void *opaque);

void code_book_free(CodeBook *book);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CodeBook, code_book_free)

#endif
