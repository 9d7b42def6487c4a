/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start-up: how long it takes to load the program and its maps for one NIC,
 * and how much memory that locks, with many NICs on one host.
 *
 * A "NIC" here is what QEMU loads for one: nothing is attached. Locked memory
 * is what the kernel says of each map in /proc/self/fdinfo.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "programs.h"
#include "samples.h"
#include "stock_program.h"

enum {
    THREADS = 2,
    TIMES_ONE = 20,         /* a host with one NIC: so often */
};

/* What is loaded for a NIC. */
typedef struct Loader {
    const char *name;
    void *(*load)(const char *stock_file);
    void (*unload)(void *nic);
    int (*program_fd)(void *nic);
} Loader;

static int ours_fd(void *nic)
{
    return ebpf_rss_program_fd(nic);
}

static int report_fd(void *nic)
{
    return ebpf_rss_report_fd(nic);
}

static int stock_fd(void *nic)
{
    return stock_program_fd(nic);
}

static void *load_ours(const char *stock_file)
{
    const RssConfig config = config_plain(RSS_TYPES_ALL, RSS_TABLE_MAX);
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss = ebpf_rss_load("bench", NULL, NULL, &error);

    if (!rss) {
        g_error("%s", error->message);
    }
    ebpf_rss_set_all(rss, &config);
    return rss;
}

static void *load_reporting(const char *stock_file)
{
    const RssConfig config = config_plain(RSS_TYPES_ALL, RSS_TABLE_MAX);

    return bench_load_reporting(&config);
}

static void unload_ours(void *nic)
{
    ebpf_rss_unload(nic);
}

static void *load_stock(const char *stock_file)
{
    const RssConfig config = config_plain(RSS_TYPES_ALL, RSS_TABLE_MAX);
    StockProgram *stock = stock_program_load(stock_file);

    stock_program_set_all(stock, &config);
    return stock;
}

static void unload_stock(void *nic)
{
    stock_program_free(nic);
}

static const Loader loaders[] = {
    { "ours", load_ours, unload_ours, ours_fd },
    { "report", load_reporting, unload_ours, report_fd },
    { "stock", load_stock, unload_stock, stock_fd },
};

/* The number behind @field in a file of /proc, 0 if there is none. */
static unsigned long proc_number(const char *file, const char *field)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        return 0;
    }
    at = strstr(text, field);
    return at ? strtoul(at + strlen(field), NULL, 10) : 0;
}

/* Bytes that the kernel accounts for this process's maps or programs. */
static unsigned long locked_bytes(const char *kind)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fdinfo", 0, NULL);
    const char *name;
    unsigned long sum = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename("/proc/self/fdinfo", name,
                                                 NULL);
        g_autofree char *text = NULL;

        if (g_file_get_contents(file, &text, NULL, NULL) &&
            strstr(text, kind)) {
            sum += proc_number(file, "memlock:");
        }
    }
    return sum;
}

static unsigned long resident_bytes(void)
{
    return proc_number("/proc/self/status", "VmRSS:") * 1024;
}

static void print_memory(const char *prefix, unsigned n, unsigned long maps,
                         unsigned long programs, unsigned long resident)
{
    g_autofree char *map_name = g_strconcat(prefix, "/maps", NULL);
    g_autofree char *program_name = g_strconcat(prefix, "/program", NULL);
    g_autofree char *rss_name = g_strconcat(prefix, "/resident", NULL);

    samples_print_one(map_name, "bytes", (double)maps / n);
    samples_print_one(program_name, "bytes", (double)programs / n);
    samples_print_one(rss_name, "bytes", (double)resident / n);
}

/* @n NICs, one after the other. */
static void load_serial(const Loader *loader, const char *stock_file,
                        unsigned n)
{
    g_autofree void **nic = g_new0(void *, n);
    g_autofree char *name = g_strdup_printf("serial/%u/%s", n, loader->name);
    g_autofree char *unload_name = g_strdup_printf("unload/%u/%s", n,
                                                   loader->name);
    g_autofree char *prefix = g_strdup_printf("memory/%u/%s", n,
                                              loader->name);
    unsigned long maps = locked_bytes("map_type:");
    unsigned long programs = locked_bytes("prog_type:");
    unsigned long resident = resident_bytes();
    unsigned before = n == 1 ? TIMES_ONE : 0;
    Samples *samples = samples_new(name, "ns");
    double start;
    unsigned i;

    for (i = 0; i < before; i++) {
        start = samples_now_ns();
        nic[0] = loader->load(stock_file);
        samples_add(samples, samples_now_ns() - start);
        loader->unload(nic[0]);
    }
    for (i = 0; i < n; i++) {
        start = samples_now_ns();
        nic[i] = loader->load(stock_file);
        samples_add(samples, samples_now_ns() - start);
    }
    samples_print(samples);
    print_memory(prefix, n, locked_bytes("map_type:") - maps,
                 locked_bytes("prog_type:") - programs,
                 resident_bytes() - MIN(resident, resident_bytes()));
    start = samples_now_ns();
    for (i = 0; i < n; i++) {
        loader->unload(nic[i]);
    }
    samples_print_one(unload_name, "ns", (samples_now_ns() - start) / n);
}

/* What one of several threads loads. */
typedef struct Share {
    const Loader *loader;
    const char *stock_file;
    unsigned n;
    void **nic;
} Share;

static void *load_share(void *opaque)
{
    Share *share = opaque;
    unsigned i;

    for (i = 0; i < share->n; i++) {
        share->nic[i] = share->loader->load(share->stock_file);
    }
    return NULL;
}

/* @n NICs by THREADS threads: the time that all took, for each NIC. */
static void load_parallel(const Loader *loader, const char *stock_file,
                          unsigned n)
{
    g_autofree char *name = g_strdup_printf("parallel/%u/%s", n,
                                            loader->name);
    Share share[THREADS];
    GThread *thread[THREADS];
    double start = samples_now_ns();
    unsigned i, k;

    for (i = 0; i < THREADS; i++) {
        share[i] = (Share) { loader, stock_file, MAX(n / THREADS, 1),
                             g_new0(void *, n) };
        thread[i] = g_thread_new("load", load_share, &share[i]);
    }
    for (i = 0; i < THREADS; i++) {
        g_thread_join(thread[i]);
    }
    samples_print_one(name, "ns", (samples_now_ns() - start) /
                      (share[0].n * THREADS));
    for (i = 0; i < THREADS; i++) {
        for (k = 0; k < share[i].n; k++) {
            loader->unload(share[i].nic[k]);
        }
        g_free(share[i].nic);
    }
}

/* How many instructions the verifier walks; 0 before Linux 5.16. */
static void print_verified(const Loader *loader, const char *stock_file)
{
    g_autofree char *name = g_strconcat("verified/", loader->name, NULL);
    void *nic = loader->load(stock_file);
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);

    if (bpf_obj_get_info_by_fd(loader->program_fd(nic), &info, &len) < 0) {
        g_error("cannot ask about a program: %s", g_strerror(errno));
    }
    samples_print_one(name, "instructions", info.verified_insns);
    loader->unload(nic);
}

/* Each NIC holds a handful of descriptors. */
static void allow_descriptors(void)
{
    struct rlimit limit = { 0 };

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        g_error("cannot have many descriptors open: %s", g_strerror(errno));
    }
}

int main(int argc, char **argv)
{
    const Loader *loader = NULL;
    unsigned i, n;

    for (i = 0; argc > 3 && i < G_N_ELEMENTS(loaders); i++) {
        if (strcmp(argv[2], loaders[i].name) == 0) {
            loader = &loaders[i];
        }
    }
    if (!loader) {
        fprintf(stderr, "usage: bench-load STOCK-PROGRAM ours|report|stock"
                " NUMBER...\n");
        return 1;
    }
    allow_descriptors();
    print_verified(loader, argv[1]);
    for (i = 3; i < argc; i++) {
        n = strtoul(argv[i], NULL, 10);
        load_serial(loader, argv[1], n);
        load_parallel(loader, argv[1], n);
    }
    return 0;
}
