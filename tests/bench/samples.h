/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Samples, and how they reach scripts/bench: one line on standard output for
 * each series,
 *
 *     NAME <tab> UNIT <tab> SAMPLE SAMPLE ...
 *
 * NAME has parts, separated by slashes. Statistics are made in one place, by
 * the script.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <glib.h>

typedef struct Samples Samples;

/* @name is copied. */
Samples *samples_new(const char *name, const char *unit);

void samples_add(Samples *samples, double value);

/* Prints the series, if it has samples, and frees it. */
void samples_print(Samples *samples);

/* A series of one sample. */
void samples_print_one(const char *name, const char *unit, double value);

/* Nanoseconds, of the processor's time that this thread has used. */
double samples_cpu_ns(void);

/* The same of all threads of this process. */
double samples_process_cpu_ns(void);

/* Nanoseconds, on a clock that never goes back. */
double samples_now_ns(void);

#endif
