/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A user's BPF program: chosen in its object file, and loaded. */
#ifndef EBPF_PROGRAM_FILE_H
#define EBPF_PROGRAM_FILE_H

#include <bpf/libbpf.h>
#include <glib.h>
#include <stdbool.h>

/**
 * ProgramKind: what a program is wanted for
 * @wanted: the same in words, for messages
 */
typedef struct ProgramKind {
    enum bpf_prog_type type;
    const char *wanted;
} ProgramKind;

/**
 * ProgramFile: an object with one program, in this process alone
 * @path: as it was given
 * @program: of @object; no other one is going to be loaded
 */
typedef struct ProgramFile {
    char *path;
    struct bpf_object *object;
    struct bpf_program *program;
} ProgramFile;

/**
 * program_file_open:
 * @path: an object file as clang writes it
 * @section: section or function of the program; NULL if the file has only one
 *           of this kind
 * @kind: a section that libbpf does not know is taken for this
 *
 * Nothing is loaded yet, so that maps can be changed before.
 *
 * Returns: NULL with @error set: what is wrong with the file
 */
ProgramFile *program_file_open(const char *path, const char *section,
                               const ProgramKind *kind, GError **error);

/**
 * program_file_load:
 *
 * Returns: false with @error set: the last lines of the verifier, or which
 * privilege is missing
 */
bool program_file_load(ProgramFile *file, GError **error);

/**
 * program_file_refused:
 * @err: of the system call that was to load the program of @file
 * @log: of the verifier; it is changed
 *
 * Sets @error as program_file_load() does.
 */
void program_file_refused(const ProgramFile *file, int err, char *log,
                          GError **error);

/* Bytes that are enough for the verifier's log. */
enum { PROGRAM_FILE_LOG = 1 << 20 };

void program_file_free(ProgramFile *file);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProgramFile, program_file_free)

#endif
