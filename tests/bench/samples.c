/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <time.h>

#include "samples.h"

struct Samples {
    char *name;
    char *unit;
    GArray *values;     /* of double */
};

Samples *samples_new(const char *name, const char *unit)
{
    Samples *samples = g_new(Samples, 1);

    samples->name = g_strdup(name);
    samples->unit = g_strdup(unit);
    samples->values = g_array_new(FALSE, FALSE, sizeof(double));
    return samples;
}

void samples_add(Samples *samples, double value)
{
    g_array_append_val(samples->values, value);
}

void samples_print(Samples *samples)
{
    unsigned i;

    if (samples->values->len) {
        printf("%s\t%s\t", samples->name, samples->unit);
        for (i = 0; i < samples->values->len; i++) {
            printf("%s%.7g", i ? " " : "",
                   g_array_index(samples->values, double, i));
        }
        printf("\n");
    }
    g_array_free(samples->values, TRUE);
    g_free(samples->unit);
    g_free(samples->name);
    g_free(samples);
}

void samples_print_one(const char *name, const char *unit, double value)
{
    printf("%s\t%s\t%.10g\n", name, unit, value);
}

static double clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

double samples_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

double samples_process_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

double samples_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
