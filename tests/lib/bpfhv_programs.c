/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "bpfhv_programs.h"
#include "ebpf/bpfhv_code.h"

static void verify_one(BpfhvProgram *p, const BpfhvCode *code, int number)
{
    p->count = code->count[number];
    p->insns = g_memdup2(code->insns[number], p->count * sizeof(*p->insns));
    p->verified = g_new(struct bpf_insn, BPFHV_VERIFIED_INSNS(p->count));
    p->verified_count = bpfhv_verify(p->insns, p->count, &p->rules,
                                     p->verified, &p->refusal);
}

BpfhvPrograms *bpfhv_programs_read(const char *path, uint32_t ctx_size)
{
    BpfhvPrograms *programs = g_new0(BpfhvPrograms, 1);
    g_autoptr(BpfhvCode) code = NULL;
    g_autofree char *elf = NULL;
    GError *error = NULL;
    gsize size;

    if (!g_file_get_contents(path, &elf, &size, &error) ||
        !(code = bpfhv_code_read(elf, size, &error))) {
        g_error("%s: %s", path, error->message);
    }
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        BpfhvProgram *p = &programs->program[i];

        p->section = bpfhv_section(i);
        if (p->section) {
            g_assert_cmpint(bpfhv_rules_for(i, ctx_size, &p->rules), ==, 0);
            verify_one(p, code, i);
        }
    }
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
