/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs that a bpfhv device hands to its driver. */
#ifndef EBPF_BPFHV_CODE_H
#define EBPF_BPFHV_CODE_H

#include <glib.h>

#include "ebpf/bpfhv_ring.h"

/**
 * BpfhvCode: the programs of a model, by bpfhv_program
 * @insns: instructions of 8 bytes, as the driver reads them; %NULL: there is
 *         no program with this number
 * @count: how many, at most BPFHV_MAX_INSNS
 */
typedef struct BpfhvCode {
    void *insns[BPFHV_NUM_PROGRAMS];
    uint32_t count[BPFHV_NUM_PROGRAMS];
} BpfhvCode;

/* The section of the program with this @number in an object; %NULL: none. */
const char *bpfhv_section(unsigned number);

/**
 * bpfhv_code_read: take the programs out of an ELF object
 * @elf: the object; sections as docs/bpfhv_abi.rst names them
 * @size: its bytes
 * @error: set if the return value is %NULL
 *
 * Whether they are any good is the driver's to judge.
 *
 * Return: the programs, see bpfhv_code_free().
 */
BpfhvCode *bpfhv_code_read(const void *elf, size_t size, GError **error);

/* The same of a @model, which the library has built in. */
BpfhvCode *bpfhv_code_of(const BpfhvModel *model, GError **error);

/* Free them; @code may be %NULL. */
void bpfhv_code_free(BpfhvCode *code);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BpfhvCode, bpfhv_code_free)

#endif
