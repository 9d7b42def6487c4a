/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ebpf/ebpf_rss.h"
#include "programs.h"
#include "stock_program.h"
#include "variants.h"

struct BenchPrograms {
    GPtrArray *list;
    StockProgram *stock;
    Variants *variants;
    EBPFRSS *ours, *counting, *reporting;
    int empty_fd, len3_fd;
};

static int load_instructions(const char *name, const struct bpf_insn *code,
                             size_t n)
{
    int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, name, "GPL", code, n,
                           NULL);

    if (fd < 0) {
        g_error("cannot load a BPF program (this takes root): %s",
                g_strerror(errno));
    }
    return fd;
}

static int load_empty(void)
{
    const struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
        { .code = BPF_JMP | BPF_EXIT },
    };

    return load_instructions("bench_empty", code, G_N_ELEMENTS(code));
}

static int load_len3(void)
{
    const struct bpf_insn code[] = {
        { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 0, .src_reg = 1,
          .off = offsetof(struct __sk_buff, len) },
        { .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = 3 },
        { .code = BPF_JMP | BPF_EXIT },
    };

    return load_instructions("bench_len3", code, G_N_ELEMENTS(code));
}

static void free_program(void *data)
{
    BenchProgram *program = data;

    g_free(program->name);
    g_free(program);
}

static void add(BenchPrograms *programs, const char *name, int fd,
                bool mac_relative)
{
    BenchProgram *program = g_new(BenchProgram, 1);

    program->name = g_strdup(name);
    program->fd = fd;
    program->mac_relative = mac_relative;
    program->reports = g_str_has_prefix(name, "report");
    g_ptr_array_add(programs->list, program);
}

static void add_variants(BenchPrograms *programs, const RssConfig *config)
{
    const char *name;
    unsigned i;
    int fd;

    programs->variants = variants_load(config);
    for (i = 0; (name = variants_program(programs->variants, i, &fd)); i++) {
        add(programs, name, fd, false);
    }
}

static EBPFRSS *load_ours(const RssConfig *config)
{
    g_autoptr(GError) error = NULL;
    EBPFRSS *ours = ebpf_rss_load("bench", NULL, NULL, &error);

    if (!ours) {
        g_error("%s", error->message);
    }
    g_assert_cmpint(ebpf_rss_set_all(ours, config), ==,
                    EBPF_RSS_IN_FORCE);
    return ours;
}

EBPFRSS *bench_load_reporting(const RssConfig *config)
{
    int fds[EBPF_RSS_FDS], report_fds[EBPF_RSS_REPORT_FDS];
    g_autoptr(GError) error = NULL;
    EBPFRSS *rss = NULL;

    if (!ebpf_rss_open("bench", fds, &error) ||
        !ebpf_rss_open_report("bench", fds, report_fds, &error) ||
        !(rss = ebpf_rss_adopt(fds, NULL, NULL, &error)) ||
        !ebpf_rss_adopt_report(rss, report_fds, &error)) {
        g_error("%s", error->message);
    }
    g_assert_cmpint(ebpf_rss_set_all(rss, config), ==, EBPF_RSS_IN_FORCE);
    return rss;
}

BenchPrograms *bench_programs_new(const RssConfig *config,
                                  const char *stock_file, bool variants)
{
    BenchPrograms *programs = g_new0(BenchPrograms, 1);

    programs->list = g_ptr_array_new_with_free_func(free_program);
    programs->empty_fd = load_empty();
    programs->len3_fd = load_len3();
    add(programs, "empty", programs->empty_fd, false);
    add(programs, "len3", programs->len3_fd, false);
    if (stock_file) {
        programs->stock = stock_program_load(stock_file);
        stock_program_set_all(programs->stock, config);
        add(programs, "stock", stock_program_fd(programs->stock), true);
    }
    programs->ours = load_ours(config);
    add(programs, "ours", ebpf_rss_program_fd(programs->ours), false);
    if (variants) {
        programs->counting = load_ours(config);
        ebpf_rss_set_counting(programs->counting, true);
        add(programs, "counting", ebpf_rss_program_fd(programs->counting),
            false);
        programs->reporting = bench_load_reporting(config);
        add(programs, "report", ebpf_rss_report_fd(programs->reporting),
            false);
        add_variants(programs, config);
    }
    return programs;
}

unsigned bench_programs_count(const BenchPrograms *programs)
{
    return programs->list->len;
}

const BenchProgram *bench_program(const BenchPrograms *programs, unsigned i)
{
    return i < programs->list->len ? programs->list->pdata[i] : NULL;
}

const BenchProgram *bench_program_find(const BenchPrograms *programs,
                                       const char *name)
{
    unsigned i;

    for (i = 0; i < programs->list->len; i++) {
        if (strcmp(bench_program(programs, i)->name, name) == 0) {
            return bench_program(programs, i);
        }
    }
    return NULL;
}

static uint64_t times_run(int fd)
{
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);

    if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0) {
        g_error("cannot ask about a program: %s", g_strerror(errno));
    }
    return info.run_cnt;
}

bool bench_programs_counted(const BenchPrograms *programs)
{
    uint8_t input[64] = { 0 };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = input,
                .data_size_in = sizeof(input), .repeat = 1);
    uint64_t before = times_run(programs->empty_fd);

    if (bpf_prog_test_run_opts(programs->empty_fd, &opts) < 0) {
        g_error("cannot run a program: %s", g_strerror(errno));
    }
    return times_run(programs->empty_fd) != before;
}

void bench_programs_wait_uncounted(const BenchPrograms *programs)
{
    static int tries = 3000;

    if (!bench_programs_counted(programs)) {
        return;
    }
    fprintf(stderr, "another process has the kernel count the runs of BPF"
            " programs; waiting\n");
    while (tries-- > 0 && bench_programs_counted(programs)) {
        g_usleep(G_USEC_PER_SEC / 10);
    }
    if (tries <= 0) {
        g_error("the kernel still counts the runs of BPF programs, which"
                " costs more than steering does: nothing can be measured");
    }
}

void bench_programs_free(BenchPrograms *programs)
{
    g_ptr_array_free(programs->list, TRUE);
    variants_free(programs->variants);
    stock_program_free(programs->stock);
    ebpf_rss_unload(programs->ours);
    ebpf_rss_unload(programs->counting);
    ebpf_rss_unload(programs->reporting);
    close(programs->empty_fd);
    close(programs->len3_fd);
    g_free(programs);
}
