/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verifier takes from the kernel, and what stands for it elsewhere. */
#ifndef LINUX_BPFHV_ENV_H
#define LINUX_BPFHV_ENV_H

#ifdef __KERNEL__
#include <linux/filter.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>

#define bpfhv_alloc(size) kvzalloc(size, GFP_KERNEL)
#define bpfhv_release(memory) kvfree(memory)
#else
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define bpfhv_alloc(size) calloc(1, size)
#define bpfhv_release(memory) free(memory)

/* The register behind those of programs, which the kernel's compilers know. */
#define BPF_REG_AX __MAX_BPF_REG
#endif

#endif
