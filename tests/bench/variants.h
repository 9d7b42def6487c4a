/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs of variants.bpf.c, loaded and with their tables filled. */
#ifndef BENCH_VARIANTS_H
#define BENCH_VARIANTS_H

#include "net/rss.h"

typedef struct Variants Variants;

/* Loads them, or ends the benchmark with the reason. */
Variants *variants_load(const RssConfig *config);

/* Program @i: its name, and in @fd its descriptor. NULL: there are fewer. */
const char *variants_program(const Variants *variants, unsigned i, int *fd);

void variants_free(Variants *variants);

#endif
