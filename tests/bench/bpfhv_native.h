/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF programs as native code, for who wants to know how long they take without
 * a kernel: each instruction becomes a statement of C, and a compiler does the
 * rest. Each access to memory stays one, as with a kernel's JIT.
 */
#ifndef BENCH_BPFHV_NATIVE_H
#define BENCH_BPFHV_NATIVE_H

#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>

typedef int32_t (*BpfhvNative)(void *ctx);

/* Write a function @name. */
void bpfhv_native_write(FILE *file, const char *name,
                        const struct bpf_insn *insns, uint32_t count);

/* Compile what was written to @path; return what dlopen() does. */
void *bpfhv_native_load(const char *path);

#endif
