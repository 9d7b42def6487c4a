/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's own steering program, from an ELF file. */
#ifndef BENCH_STOCK_PROGRAM_H
#define BENCH_STOCK_PROGRAM_H

#include "net/rss.h"

typedef struct StockProgram StockProgram;

/* Loads the program, or ends the benchmark with the reason. */
StockProgram *stock_program_load(const char *file);

int stock_program_fd(const StockProgram *stock);

/*
 * Configures it in the steps in which QEMU 10.0 does: three maps, one after
 * the other, through memory that is mapped once.
 */
void stock_program_set_all(StockProgram *stock, const RssConfig *config);

void stock_program_free(StockProgram *stock);

#endif
