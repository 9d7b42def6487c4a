/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user's program: chosen in its file, loaded by libbpf as what the hook
 * takes. Only the chosen one is loaded, whatever else is in the file.
 *
 * For a filter it is loaded twice: by libbpf, which resolves what it refers to,
 * and then its instructions again behind ours (steer_fallback.c). Its maps are
 * those of the first time.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/rss.h"
#include "steer_fallback.h"
#include "steer_program.h"

enum {
    LOG_SIZE = 1 << 20,         /* bytes, of the verifier's text */
    LOG_LINES = 10,             /* that are shown: its last ones */
};

static const struct {
    enum bpf_prog_type type;
    const char *wanted;
} uses[] = {
    [STEER_FOR_TAP] = { BPF_PROG_TYPE_SOCKET_FILTER,
        "a tap takes socket filters, SEC(\"socket\")" },
    [STEER_FOR_FILTER] = { BPF_PROG_TYPE_SCHED_CLS,
        "--fallback takes tc programs, SEC(\"tc\")" },
    [STEER_TO_TRY_FILTER] = { BPF_PROG_TYPE_SCHED_CLS,
        "--fallback takes tc programs, SEC(\"tc\")" },
};

static GString *said;           /* libbpf's last warning, while it works */

static int keep_warning(enum libbpf_print_level level, const char *format,
                        va_list args)
{
    g_autofree char *line = NULL;

    if (level == LIBBPF_WARN) {
        line = g_strdup_vprintf(format, args);
        g_string_assign(said, g_strchomp(line));
    }
    return 0;
}

/* By its name; else by its type. */
static bool matches(const struct bpf_program *program, const char *section,
                    SteerUse use)
{
    enum bpf_prog_type type = bpf_program__type(program);

    if (!section) {
        return type == uses[use].type || type == BPF_PROG_TYPE_UNSPEC;
    }
    return !strcmp(section, bpf_program__section_name(program)) ||
           !strcmp(section, bpf_program__name(program));
}

/* The one that is meant; all others are not going to be loaded. */
static struct bpf_program *choose(struct bpf_object *object, const char *file,
                                  const char *section, SteerUse use,
                                  GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    struct bpf_program *program, *chosen = NULL;
    unsigned found = 0;

    bpf_object__for_each_program(program, object) {
        bool hit = matches(program, section, use);

        bpf_program__set_autoload(program, hit);
        found += hit;
        chosen = hit ? program : chosen;
        g_string_append_printf(names, "%s %s (%s)", names->len ? "," : "",
                               bpf_program__name(program),
                               bpf_program__section_name(program));
    }
    if (found == 1) {
        return chosen;
    }
    if (!names->len) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: there is no BPF program in it", file);
    } else if (!found) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: no program %s%s%s; there are:%s", file,
                    section ? "\"" : "for this, as ",
                    section ? section : uses[use].wanted,
                    section ? "\"" : "", names->str);
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: %u programs match, choose one with \"sec\":%s", file,
                    found, names->str);
    }
    return NULL;
}

/* A section that libbpf does not know says nothing of the type. */
static bool set_type(struct bpf_program *program, const char *file,
                     SteerUse use, GError **error)
{
    enum bpf_prog_type type = bpf_program__type(program);
    const char *name;

    if (type == BPF_PROG_TYPE_UNSPEC) {
        bpf_program__set_type(program, uses[use].type);
        return true;
    }
    if (type == uses[use].type) {
        return true;
    }
    name = libbpf_bpf_prog_type_str(type);
    g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                "%s: program \"%s\" is of type %s (SEC(\"%s\")): %s", file,
                bpf_program__name(program), name ? name : "unknown",
                bpf_program__section_name(program), uses[use].wanted);
    return false;
}

/* Where the last lines of @log begin. */
static const char *last_lines(char *log)
{
    char *at;
    int lines = 0;

    g_strchomp(log);
    for (at = log + strlen(log); at > log; at--) {
        if (at[-1] == '\n' && ++lines == LOG_LINES) {
            return at;
        }
    }
    return log;
}

static void refused(const char *file, const char *name, int err, char *log,
                    GError **error)
{
    unsigned caps = STEER_CAP_BPF | STEER_CAP_NET_ADMIN | STEER_CAP_PERFMON;

    if (*log) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "%s: the kernel refused program \"%s\": %s%s. The"
                    " verifier's last lines:\n%s", file, name,
                    g_strerror(err), steer_lacks(err, caps), last_lines(log));
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "%s: cannot load program \"%s\": %s%s%s%s%s", file, name,
                    g_strerror(err), steer_lacks(err, caps),
                    said->len ? " (" : "", said->str, said->len ? ")" : "");
    }
}

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
static int load_behind_ours(struct bpf_program *user, const char *file,
                            uint16_t limit, char *log, GError **error)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    const char *name = bpf_program__name(user);
    struct bpf_prog_info info;
    g_autoptr(GArray) insns = NULL;
    int fd;

    if (!get_info(bpf_program__fd(user), &info, error)) {
        return -1;
    }
    insns = steer_fallback_compose(bpf_program__insns(user),
                                   bpf_program__insn_cnt(user), limit);
    *log = 0;
    opts.log_buf = log;
    opts.log_size = LOG_SIZE;
    opts.log_level = 1;
    fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name,
                       info.gpl_compatible ? "GPL" : "Proprietary",
                       (struct bpf_insn *)(void *)insns->data, insns->len,
                       &opts);
    if (fd < 0) {
        refused(file, name, errno, log, error);
    }
    return fd;
}

/* Descriptor, or -1. */
static int load(struct bpf_object *object, struct bpf_program *program,
                const char *file, SteerUse use, uint16_t limit,
                GError **error)
{
    g_autofree char *log = g_malloc0(LOG_SIZE);
    int fd;

    bpf_program__set_log_buf(program, log, LOG_SIZE);
    if (bpf_object__load(object) < 0) {
        refused(file, bpf_program__name(program), errno, log, error);
        return -1;
    }
    if (use == STEER_FOR_FILTER) {
        return load_behind_ours(program, file, limit, log, error);
    }
    fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot keep the program: %s", g_strerror(errno));
    }
    return fd;
}

static SteerProgram *open_and_load(const char *file, const char *section,
                                   SteerUse use, uint16_t limit,
                                   GError **error)
{
    struct bpf_object *object = bpf_object__open_file(file, NULL);
    SteerProgram *answer = NULL;
    struct bpf_program *program;
    int fd;

    if (!object) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "cannot read %s as a BPF object: %s%s%s%s", file,
                    g_strerror(errno), said->len ? " (" : "", said->str,
                    said->len ? ")" : "");
        return NULL;
    }
    program = choose(object, file, section, use, error);
    if (program && set_type(program, file, use, error)) {
        fd = load(object, program, file, use, limit, error);
        if (fd >= 0) {
            answer = steer_program_adopt(fd, bpf_program__name(program),
                                         error);
        }
    }
    bpf_object__close(object);
    return answer;
}

SteerProgram *steer_program_load(const char *file, const char *section,
                                 SteerUse use, uint16_t limit,
                                 GError **error)
{
    libbpf_print_fn_t print;
    SteerProgram *program;

    said = g_string_new(NULL);
    print = libbpf_set_print(keep_warning);
    program = open_and_load(file, section, use, limit, error);
    libbpf_set_print(print);
    g_string_free(said, TRUE);
    return program;
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
