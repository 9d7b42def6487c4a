/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/libbpf.h>
#include <glib.h>

#include "bpfhv_programs.h"

static const char *const sections[BPFHV_NUM_PROGRAMS] = {
    [BPFHV_RX_PUBLISH] = "rxp",
    [BPFHV_RX_COMPLETE] = "rxc",
    [BPFHV_RX_INTERRUPTS] = "rxi",
    [BPFHV_TX_PUBLISH] = "txp",
    [BPFHV_TX_COMPLETE] = "txc",
    [BPFHV_TX_INTERRUPTS] = "txi",
};

static struct bpf_program *find(struct bpf_object *object, const char *section)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object) {
        if (g_str_equal(bpf_program__section_name(program), section)) {
            return program;
        }
    }
    g_error("no section %s", section);
}

static void read_one(BpfhvProgram *p, struct bpf_object *object)
{
    struct bpf_program *program = find(object, p->section);

    p->count = bpf_program__insn_cnt(program);
    p->insns = g_memdup2(bpf_program__insns(program),
                         p->count * sizeof(*p->insns));
    p->verified = g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(p->count));
    p->verified_count = bpfhv_verify(p->insns, p->count, &p->rules,
                                     p->verified, &p->refusal);
}

BpfhvPrograms *bpfhv_programs_read(const char *path, uint32_t ctx_size)
{
    BpfhvPrograms *programs = g_new0(BpfhvPrograms, 1);
    struct bpf_object *object = bpf_object__open_file(path, NULL);

    if (!object) {
        g_error("cannot read %s", path);
    }
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        BpfhvProgram *p = &programs->program[i];

        p->section = sections[i];
        if (p->section) {
            g_assert_cmpint(bpfhv_rules_for(i, ctx_size, &p->rules), ==, 0);
            read_one(p, object);
        }
    }
    bpf_object__close(object);
    return programs;
}

void bpfhv_programs_free(BpfhvPrograms *programs)
{
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        g_free(programs->program[i].insns);
        g_free(programs->program[i].verified);
    }
    g_free(programs);
}
