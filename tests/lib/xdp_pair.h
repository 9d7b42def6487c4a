/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An XDP program out of an object file, natively and translated for tc. */
#ifndef TESTS_XDP_PAIR_H
#define TESTS_XDP_PAIR_H

#include <bpf/libbpf.h>
#include <glib.h>
#include <stdbool.h>

#include "ebpf/xdp_translate.h"

enum {
    XDP_ROOM = 4096,            /* bytes: the longest frame that comes out */
    XDP_LOG_SIZE = 1 << 20,     /* bytes, of what the verifier says */
};

/**
 * XdpPair: a program, natively and translated
 * @object, @twin: the same file twice: the maps of the first are for the
 *                 native program, those of the second for the translated one
 * @how: it is translated, with counters of its own; without the maps
 * @gso_size: of the frames that the translated program gets; 0
 */
typedef struct XdpPair {
    const char *name;
    struct bpf_object *object, *twin;
    struct bpf_program *program;
    XdpTarget how;
    int tc_fd;
    unsigned gso_size;
} XdpPair;

/* The program @program of our object @object. To be freed. */
char *xdp_object(const char *object, const char *program);

/*
 * Opens the program that @where names, FILE:PROGRAM, natively; @where must
 * outlive it. Returns false if this kernel does not take it; the test is
 * skipped. Nothing is translated yet: tc_fd is -1, and the caller's.
 */
bool xdp_pair_open(XdpPair *p, const char *where);
void xdp_pair_close(XdpPair *p);

/* How many packets the translated program has counted so. */
uint64_t xdp_pair_counted(const XdpPair *p, XdpCounter counter);

/* The instructions (struct bpf_insn) as a guest sends them: numbers of maps. */
GArray *xdp_pair_insns(const XdpPair *p);

/*
 * What the translation makes of @insns, with the maps of the twin; NULL with
 * @error if it refuses them.
 */
GArray *xdp_pair_translate(const XdpPair *p, GArray *insns, GError **error);

/*
 * Loads @insns for tc. Descriptor, or -errno; @log, of XDP_LOG_SIZE, receives
 * what the verifier says.
 */
int xdp_load_tc(GArray *insns, char *log);

#endif
