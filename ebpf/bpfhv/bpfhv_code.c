/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/libbpf.h>
#include <errno.h>

#include "ebpf/bpfhv_code.h"
#include "bpfhv_sring.skel.h"
#include "bpfhv_sring_gso.skel.h"
#include "bpfhv_sring_sum.skel.h"
#include "bpfhv_vring_packed.skel.h"

static const char *const sections[BPFHV_NUM_PROGRAMS] = {
    [BPFHV_RX_PUBLISH] = "rxp",
    [BPFHV_RX_COMPLETE] = "rxc",
    [BPFHV_RX_INTERRUPTS] = "rxi",
    [BPFHV_TX_PUBLISH] = "txp",
    [BPFHV_TX_COMPLETE] = "txc",
    [BPFHV_TX_INTERRUPTS] = "txi",
};

const char *bpfhv_section(unsigned number)
{
    return number < BPFHV_NUM_PROGRAMS ? sections[number] : NULL;
}

static int number_of(const char *section)
{
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        if (sections[i] && g_str_equal(sections[i], section)) {
            return i;
        }
    }
    return -1;
}

static bool read_all(BpfhvCode *code, const struct bpf_object *object,
                     GError **error)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object) {
        int i = number_of(bpf_program__section_name(program));
        size_t count = bpf_program__insn_cnt(program);

        if (i < 0 || code->insns[i] || !count || count > BPFHV_MAX_INSNS) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "section %s: unknown, twice there, empty, or longer "
                        "than %u instructions",
                        bpf_program__section_name(program), BPFHV_MAX_INSNS);
            return false;
        }
        code->count[i] = count;
        code->insns[i] = g_memdup2(bpf_program__insns(program),
                                   count * sizeof(struct bpf_insn));
    }
    for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        if (sections[i] && !code->insns[i]) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "no section %s", sections[i]);
            return false;
        }
    }
    return true;
}

BpfhvCode *bpfhv_code_read(const void *elf, size_t size, GError **error)
{
    g_autoptr(BpfhvCode) code = g_new0(BpfhvCode, 1);
    struct bpf_object *object = bpf_object__open_mem(elf, size, NULL);
    int err = libbpf_get_error(object);
    bool done;

    if (err || !object) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err),
                    "cannot read the BPF object: %s", g_strerror(-err));
        return NULL;
    }
    done = read_all(code, object, error);
    bpf_object__close(object);
    return done ? g_steal_pointer(&code) : NULL;
}

BpfhvCode *bpfhv_code_of(const BpfhvModel *model, GError **error)
{
    static const struct {
        const char *model;
        const void *(*elf)(size_t *size);
    } objects[BPFHV_NUM_MODELS] = {
        { "sring", bpfhv_sring__elf_bytes },
        { "sring_gso", bpfhv_sring_gso__elf_bytes },
        { "vring_packed", bpfhv_vring_packed__elf_bytes },
        { "sring_sum", bpfhv_sring_sum__elf_bytes },
    };

    for (int i = 0; i < BPFHV_NUM_MODELS; i++) {
        if (g_str_equal(objects[i].model, model->name)) {
            size_t size;
            const void *elf = objects[i].elf(&size);

            return bpfhv_code_read(elf, size, error);
        }
    }
    g_assert_not_reached();
}

void bpfhv_code_free(BpfhvCode *code)
{
    if (code) {
        for (int i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
            g_free(code->insns[i]);
        }
        g_free(code);
    }
}
