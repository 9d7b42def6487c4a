/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steering programs that are compared, loaded and configured alike. */
#ifndef BENCH_PROGRAMS_H
#define BENCH_PROGRAMS_H

#include <stdbool.h>

#include "ebpf/ebpf_rss.h"

/**
 * BenchProgram:
 * @name: short, without blanks
 * @fd: the program; -1 stands for no program (automatic steering)
 * @mac_relative: reads from the MAC header on, not from skb->data
 * @reports: leaves hash and report code in cb[0] and cb[1], chooses no queue
 */
typedef struct BenchProgram {
    char *name;
    int fd;
    bool mac_relative, reports;
} BenchProgram;

typedef struct BenchPrograms BenchPrograms;

/**
 * bench_programs_new:
 * @config: what those that can be configured are given
 * @stock_file: an ELF file with QEMU's own program, or NULL
 * @variants: with the programs of variants.bpf.c
 *
 * Loads "empty", "len3" (skb->len & 3), "stock", "ours" and the variants; with
 * them "counting" and "report", the product's own.
 * What cannot be loaded ends the benchmark, with the reason.
 */
BenchPrograms *bench_programs_new(const RssConfig *config,
                                  const char *stock_file, bool variants);

unsigned bench_programs_count(const BenchPrograms *programs);

/* Number @i, or NULL if there are fewer. */
const BenchProgram *bench_program(const BenchPrograms *programs, unsigned i);

/* The program of that name, or NULL. */
const BenchProgram *bench_program_find(const BenchPrograms *programs,
                                       const char *name);

/**
 * bench_programs_counted:
 *
 * Whether the kernel counts the runs of programs at this time, because some
 * process asked for it. That takes longer than a steering program does.
 */
bool bench_programs_counted(const BenchPrograms *programs);

/* Waits until it does not, up to five minutes in all; a message says so. */
void bench_programs_wait_uncounted(const BenchPrograms *programs);

/* The steering program with the one that reports hashes; or an end. */
EBPFRSS *bench_load_reporting(const RssConfig *config);

void bench_programs_free(BenchPrograms *programs);

#endif
