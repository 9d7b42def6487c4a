/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helper makes impossible for itself. tests/functional/test_helper.py
 * sees how little of a real helper's privileges is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>

#include "tools/confine.h"

typedef struct Call {
    const char *name;
    long number;
    long argument[4];
} Call;

/* None of them does harm, where it succeeds. */
static const Call denied[] = {
    { "bpf-attach", SYS_bpf, { BPF_PROG_ATTACH } },
    { "bpf-pin", SYS_bpf, { BPF_OBJ_PIN } },
    { "bpf-by-id", SYS_bpf, { BPF_MAP_GET_FD_BY_ID } },
    { "bpf-update", SYS_bpf, { BPF_MAP_UPDATE_ELEM } },
    { "bpf-link", SYS_bpf, { BPF_LINK_CREATE } },
    { "bpf-unknown", SYS_bpf, { 1000 } },
    { "execve", SYS_execve },
    { "kill", SYS_kill, { 0, 0 } },
    { "map-to-execute", SYS_mmap, { 0, 4096, PROT_EXEC,
                                    MAP_PRIVATE | MAP_ANONYMOUS } },
    { "open-to-write", SYS_openat, { AT_FDCWD, (long)"/dev/null",
                                     O_WRONLY } },
    { "open-to-read-and-write", SYS_openat, { AT_FDCWD, (long)"/dev/null",
                                              O_RDWR } },
    { "protect-to-execute", SYS_mprotect, { 0, 0, PROT_EXEC } },
    { "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
    { "setuid", SYS_setuid, { 0 } },
    { "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
    { "unshare", SYS_unshare, { 0 } },
};

static const Call allowed[] = {
    { "bpf-map", SYS_bpf, { BPF_MAP_CREATE } },
    { "bpf-load", SYS_bpf, { BPF_PROG_LOAD } },
    { "map", SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS } },
    { "open-to-read", SYS_openat, { AT_FDCWD, (long)"/", O_RDONLY } },
};

enum {
    WORKS,                      /* or fails in another way */
    DENIED,
    CANNOT_CONFINE,
};

/* In a child, which may give up what it has. */
static int try_call(const Call *call, bool confined)
{
    const long *argument = call->argument;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int result = CANNOT_CONFINE;

        if (!confined || !confine(CONFINE_LOAD)) {
            result = syscall(call->number, argument[0], argument[1],
                             argument[2], argument[3], -1, 0) == -1 &&
                     errno == EPERM ? DENIED : WORKS;
        }
        /* Before _exit() a sanitizer makes calls of its own. */
        syscall(SYS_exit_group, result);
    }
    g_assert_cmpint(pid, >, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool tells_nothing(const Call *call)
{
    if (try_call(call, false) == DENIED) {
        g_test_skip("it is denied anyway");
        return true;
    }
    return false;
}

static void test_denied(const void *call)
{
    if (!tells_nothing(call)) {
        g_assert_cmpint(try_call(call, true), ==, DENIED);
    }
}

static void test_allowed(const void *call)
{
    if (!tells_nothing(call)) {
        g_assert_cmpint(try_call(call, true), ==, WORKS);
    }
}

static void add(const char *what, const Call *call, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/confine/%s/%s", what,
                                            call->name);

    g_test_add_data_func(path, call, test);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(denied); i++) {
        add("denied", &denied[i], test_denied);
    }
    for (i = 0; i < G_N_ELEMENTS(allowed); i++) {
        add("allowed", &allowed[i], test_allowed);
    }
    return g_test_run();
}
