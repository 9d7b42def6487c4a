/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user's program: chosen in its file, loaded by libbpf as what is wanted.
 * Only the chosen one is loaded, whatever else is in the file. What libbpf
 * warns of goes into the message, if there is nothing better.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/rss.h"
#include "program_file.h"
#include "steer_program.h"

enum {
    LOG_LINES = 10,             /* that are shown: its last ones */
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

static libbpf_print_fn_t listen_to_libbpf(void)
{
    said = g_string_new(NULL);
    return libbpf_set_print(keep_warning);
}

static void stop_listening(libbpf_print_fn_t print)
{
    libbpf_set_print(print);
    g_string_free(said, TRUE);
    said = NULL;
}

/* By its name; else by its type. */
static bool matches(const struct bpf_program *program, const char *section,
                    const ProgramKind *kind)
{
    enum bpf_prog_type type = bpf_program__type(program);

    if (!section) {
        return type == kind->type || type == BPF_PROG_TYPE_UNSPEC;
    }
    return !strcmp(section, bpf_program__section_name(program)) ||
           !strcmp(section, bpf_program__name(program));
}

/* The one that is meant; all others are not going to be loaded. */
static bool choose(ProgramFile *file, const char *section,
                   const ProgramKind *kind, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    struct bpf_program *program;
    unsigned found = 0;

    bpf_object__for_each_program(program, file->object) {
        bool hit = matches(program, section, kind);

        bpf_program__set_autoload(program, hit);
        found += hit;
        file->program = hit ? program : file->program;
        g_string_append_printf(names, "%s %s (%s)", names->len ? "," : "",
                               bpf_program__name(program),
                               bpf_program__section_name(program));
    }
    if (found == 1) {
        return true;
    }
    if (!names->len) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: there is no BPF program in it", file->path);
    } else if (!found) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: no program %s%s%s; there are:%s", file->path,
                    section ? "\"" : "for this, as ",
                    section ? section : kind->wanted,
                    section ? "\"" : "", names->str);
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                    "%s: %u programs match, choose one with \"sec\":%s",
                    file->path, found, names->str);
    }
    return false;
}

/* A section that libbpf does not know says nothing of the type. */
static bool set_type(ProgramFile *file, const ProgramKind *kind,
                     GError **error)
{
    enum bpf_prog_type type = bpf_program__type(file->program);
    const char *name;

    if (type == BPF_PROG_TYPE_UNSPEC) {
        bpf_program__set_type(file->program, kind->type);
        return true;
    }
    if (type == kind->type) {
        return true;
    }
    name = libbpf_bpf_prog_type_str(type);
    g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                "%s: program \"%s\" is of type %s (SEC(\"%s\")): %s",
                file->path, bpf_program__name(file->program),
                name ? name : "unknown",
                bpf_program__section_name(file->program), kind->wanted);
    return false;
}

static bool open_object(ProgramFile *file, GError **error)
{
    file->object = bpf_object__open_file(file->path, NULL);
    if (file->object) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_COMMAND,
                "cannot read %s as a BPF object: %s%s%s%s", file->path,
                g_strerror(errno), said->len ? " (" : "", said->str,
                said->len ? ")" : "");
    return false;
}

ProgramFile *program_file_open(const char *path, const char *section,
                               const ProgramKind *kind, GError **error)
{
    g_autoptr(ProgramFile) file = g_new0(ProgramFile, 1);
    libbpf_print_fn_t print = listen_to_libbpf();
    bool good;

    file->path = g_strdup(path);
    good = open_object(file, error) &&
           choose(file, section, kind, error) &&
           set_type(file, kind, error);
    stop_listening(print);
    return good ? g_steal_pointer(&file) : NULL;
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

void program_file_refused(const ProgramFile *file, int err, char *log,
                          GError **error)
{
    unsigned caps = STEER_CAP_BPF | STEER_CAP_NET_ADMIN | STEER_CAP_PERFMON;
    const char *name = bpf_program__name(file->program);
    const char *warning = said ? said->str : "";

    if (*log) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "%s: the kernel refused program \"%s\": %s%s. The"
                    " verifier's last lines:\n%s", file->path, name,
                    g_strerror(err), steer_lacks(err, caps), last_lines(log));
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "%s: cannot load program \"%s\": %s%s%s%s%s", file->path,
                    name, g_strerror(err), steer_lacks(err, caps),
                    *warning ? " (" : "", warning, *warning ? ")" : "");
    }
}

bool program_file_load(ProgramFile *file, GError **error)
{
    g_autofree char *log = g_malloc0(PROGRAM_FILE_LOG);
    libbpf_print_fn_t print = listen_to_libbpf();
    int err;

    bpf_program__set_log_buf(file->program, log, PROGRAM_FILE_LOG);
    err = bpf_object__load(file->object) < 0 ? errno : 0;
    if (err) {
        program_file_refused(file, err, log, error);
    }
    stop_listening(print);
    return !err;
}

void program_file_free(ProgramFile *file)
{
    if (file) {
        bpf_object__close(file->object);
        g_free(file->path);
        g_free(file);
    }
}
