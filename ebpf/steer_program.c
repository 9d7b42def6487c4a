/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user's steering program, loaded as what the hook takes.
 *
 * For a filter it is loaded twice: by libbpf, which resolves what it refers to,
 * and then its instructions again behind ours (steer_fallback.c). Its maps are
 * those of the first time.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net/rss.h"
#include "program_file.h"
#include "steer_fallback.h"
#include "steer_program.h"

static const ProgramKind uses[] = {
    [STEER_FOR_TAP] = { BPF_PROG_TYPE_SOCKET_FILTER,
        "a tap takes socket filters, SEC(\"socket\")" },
    [STEER_FOR_FILTER] = { BPF_PROG_TYPE_SCHED_CLS,
        "--fallback takes tc programs, SEC(\"tc\")" },
    [STEER_TO_TRY_FILTER] = { BPF_PROG_TYPE_SCHED_CLS,
        "--fallback takes tc programs, SEC(\"tc\")" },
};

static bool get_info(int fd, struct bpf_prog_info *info, GError **error)
{
    uint32_t size = sizeof(*info);

    memset(info, 0, sizeof(*info));
    if (bpf_obj_get_info_by_fd(fd, info, &size) == 0) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "cannot ask the kernel about the program: %s",
                g_strerror(errno));
    return false;
}

/* Descriptor of the program of a filter, or -1. */
static int load_behind_ours(const ProgramFile *file, uint16_t limit,
                            GError **error)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    g_autofree char *log = g_malloc0(PROGRAM_FILE_LOG);
    struct bpf_program *user = file->program;
    struct bpf_prog_info info;
    g_autoptr(GArray) insns = NULL;
    int fd;

    if (!get_info(bpf_program__fd(user), &info, error)) {
        return -1;
    }
    insns = steer_fallback_compose(bpf_program__insns(user),
                                   bpf_program__insn_cnt(user), limit);
    opts.log_buf = log;
    opts.log_size = PROGRAM_FILE_LOG;
    opts.log_level = 1;
    fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, bpf_program__name(user),
                       info.gpl_compatible ? "GPL" : "Proprietary",
                       (struct bpf_insn *)(void *)insns->data, insns->len,
                       &opts);
    if (fd < 0) {
        program_file_refused(file, errno, log, error);
    }
    return fd;
}

/* Descriptor, or -1. */
static int load(ProgramFile *file, SteerUse use, uint16_t limit,
                GError **error)
{
    int fd;

    if (!program_file_load(file, error)) {
        return -1;
    }
    if (use == STEER_FOR_FILTER) {
        return load_behind_ours(file, limit, error);
    }
    fd = fcntl(bpf_program__fd(file->program), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot keep the program: %s", g_strerror(errno));
    }
    return fd;
}

SteerProgram *steer_program_load(const char *path, const char *section,
                                 SteerUse use, uint16_t limit,
                                 GError **error)
{
    g_autoptr(ProgramFile) file = program_file_open(path, section, &uses[use],
                                                    error);
    int fd = file ? load(file, use, limit, error) : -1;

    return fd < 0 ? NULL :
           steer_program_adopt(fd, bpf_program__name(file->program), error);
}

SteerProgram *steer_program_adopt(int fd, const char *name, GError **error)
{
    struct bpf_prog_info info;
    SteerProgram *program;

    if (!get_info(fd, &info, error)) {
        close(fd);
        return NULL;
    }
    program = g_new0(SteerProgram, 1);
    program->fd = fd;
    program->id = info.id;
    program->loaded_ns = info.load_time;
    memcpy(program->tag, info.tag, sizeof(program->tag));
    program->name = g_strdup(name);
    return program;
}

void steer_program_free(SteerProgram *program)
{
    if (program) {
        close(program->fd);
        g_free(program->name);
        g_free(program);
    }
}
