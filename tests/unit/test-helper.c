/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ebpf_rss_open_by_helper() with helpers that are wrong in all ways.
 *
 * This program is the helper too: run with --fd=3 --name=NAME it does what
 * fake_helper.c has under NAME. Whatever that is, the caller must have its
 * descriptors or an error in time, and nothing else may be left.
 *
 * With --without-pidfd the kernel refuses pidfd_open() (seccomp).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebpf/rss_child.h"
#include "ebpf/rss_helper.h"
#include "call_helper.h"
#include "fake_helper.h"
#include "fds.h"
#include "refuse.h"

enum {
    NOBODY = 65534,
};

static const char self[] = "/proc/self/exe";

/* Skips the test where this process cannot have a helper at all. */
static bool allowed(void)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        g_test_skip("this process has no_new_privs set");
        return false;
    }
    return true;
}

/* Calls a helper as a child; it must leave none. See call_helper(). */
static void check(const char *helper, const char *name, const char *message,
                  int timeout_ms)
{
    call_helper(helper, name, message, timeout_ms);
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    g_assert_cmpint(errno, ==, ECHILD);
}

static void test_answer(const void *data)
{
    const FakeHelper *fake = data;

    if (allowed()) {
        check(self, fake->name, fake->message, fake->timeout_ms);
    }
}

/* What cannot be run. */
static void test_no_program(void)
{
    if (!allowed()) {
        return;
    }
    check("/nonexistent/helper", "x", "cannot run /nonexistent/helper: No"
          " such file or directory", LONG_MS);
    check("/dev/null", "x", "cannot run /dev/null: Permission denied",
          LONG_MS);
    check("/", "x", "cannot run /: Permission denied", LONG_MS);
    check("", "x", "cannot run : No such file", LONG_MS);
}

/* A program that knows nothing of this. */
static void test_another_program(void)
{
    if (allowed()) {
        check("/bin/true", "x", "with exit status 0", LONG_MS);
        check("/bin/false", "x", "with exit status 1", LONG_MS);
    }
}

/* A helper accepts only what this is cut to. */
static void test_name(void)
{
    static const char *const names[][2] = {
        { "net0", ": net0" },
        { "a.b-c_D9", ": a.b-c_D9" },
        { "", ": _" },
        { "/machine/peripheral/x y", ": _machine_peripheral_x_y" },
        { "--fd=4\n", ": --fd_4_" },
        { "\303\244", ": __" },
    };
    g_autofree char *longest = g_strnfill(200, 'n');
    g_autoptr(GError) error = NULL;
    int fds[EBPF_RSS_FDS], i;

    if (!allowed()) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        check(self, names[i][0], names[i][1], LONG_MS);
    }
    g_assert_false(rss_helper_open(self, longest, LONG_MS, fds, &error));
    longest[RSS_HELPER_NAME_MAX] = '\0';
    g_assert_true(g_str_has_suffix(error->message, longest));
    g_assert_cmpint(strlen(strchr(error->message, ' ') + 1), ==,
                    RSS_HELPER_NAME_MAX);
}

/* It gets no descriptor of ours, not even one that is not close-on-exec. */
static void test_fds(void)
{
    int extra, low;

    if (!allowed()) {
        return;
    }
#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 34)
    g_test_skip("this C library cannot close all descriptors for a child");
    return;
#endif
    extra = dup2(0, 77);
    g_assert_cmpint(extra, ==, 77);
    check(self, "which-fds", ": fds 0 1 2 3", LONG_MS);
    /* Both when descriptor 3 is free and when it is not. */
    low = fcntl(0, F_DUPFD, 3);
    check(self, "which-fds", ": fds 0 1 2 3", LONG_MS);
    close(low);
    close(extra);
}

/* What we read is nothing to a privileged program. */
static void test_input(void)
{
    int saved, input[2];

    if (!allowed()) {
        return;
    }
    saved = fcntl(0, F_DUPFD_CLOEXEC, 20);
    g_assert_cmpint(pipe2(input, O_CLOEXEC), ==, 0);
    dup2(input[0], 0);
    check(self, "which-input", ": /dev/null", LONG_MS);
    dup2(saved, 0);
    close(saved);
    close(input[0]);
    close(input[1]);
}

/* The socket may get any number that is free: 0 too. */
static void test_low_fds(void)
{
    int saved[3], closed, i;

    if (!allowed()) {
        return;
    }
    for (closed = 0; closed < 3; closed++) {
        for (i = 0; i <= closed; i++) {
            saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 20);
            close(i);
        }
        check(self, "says-why", "the moon", LONG_MS);
        check(self, "loaded", NULL, LONG_MS);
        for (i = 0; i <= closed; i++) {
            dup2(saved[i], i);
            close(saved[i]);
        }
    }
}

static void test_no_fds_left(void)
{
    struct rlimit old, none;

    if (!allowed()) {
        return;
    }
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    check(self, "loaded", "cannot make a socket for", LONG_MS);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* Signals as in a new process, whatever the caller does with them. */
static void test_signals(void)
{
    sigset_t all, old;

    if (!allowed()) {
        return;
    }
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    check(self, "which-signals", ": signals", LONG_MS);
    check(self, "hangs", "did not answer", SHORT_MS);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGPIPE, SIG_DFL);
}

/* SIGCHLD ignored: the kernel takes the child. */
static void test_no_children(void)
{
    if (!allowed()) {
        return;
    }
    signal(SIGCHLD, SIG_IGN);
    check(self, "loaded", NULL, LONG_MS);
    check(self, "exits-7", "ended without an answer", LONG_MS);
    check(self, "hangs", "did not answer", SHORT_MS);
    signal(SIGCHLD, SIG_DFL);
}

static void on_child(int number)
{
    int saved = errno;

    while (waitpid(-1, NULL, WNOHANG) > 0) {
        continue;
    }
    errno = saved;
}

/* A handler that takes all children there are. */
static void test_child_handler(void)
{
    struct sigaction action = { .sa_handler = on_child };

    if (!allowed()) {
        return;
    }
    sigaction(SIGCHLD, &action, NULL);
    check(self, "loaded", NULL, LONG_MS);
    check(self, "says-why", "the moon", LONG_MS);
    check(self, "exits-7", "ended without an answer", LONG_MS);
    check(self, "hangs", "did not answer", SHORT_MS);
    signal(SIGCHLD, SIG_DFL);
}

/* A copy of this program that becomes root, in a folder for everybody. */
static char *copy_setuid(const char *folder)
{
    g_autofree char *content = NULL;
    char *path = g_build_filename(folder, "helper", NULL);
    gsize size;

    g_assert_true(g_file_get_contents(self, &content, &size, NULL));
    g_assert_true(g_file_set_contents(path, content, size, NULL));
    g_assert_cmpint(chmod(folder, 0777), ==, 0);
    g_assert_cmpint(chmod(path, 04755), ==, 0);
    return path;
}

/* Whether there is a child, also one that has ended. */
static bool have_child(void)
{
    siginfo_t info;

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        return true;
    }
    g_assert_cmpint(errno, ==, ECHILD);
    return false;
}

/* In a subprocess: nobody calls a helper that nobody may kill. */
static void call_as_nobody(const char *folder)
{
    g_autofree char *copy = g_build_filename(folder, "helper", NULL);
    g_autofree char *release = g_build_filename(folder, "release", NULL);
    g_autoptr(GError) error = NULL;
    int fds[EBPF_RSS_FDS], before = count_fds();

    g_assert_cmpint(setgroups(0, NULL), ==, 0);
    g_assert_cmpint(setresgid(NOBODY, NOBODY, NOBODY), ==, 0);
    g_assert_cmpint(setresuid(NOBODY, NOBODY, NOBODY), ==, 0);
    g_assert_false(rss_helper_open(copy, "becomes-root", LONG_MS, fds,
                                   &error));
    g_assert_nonnull(strstr(error->message, "I am root"));
    g_assert_true(have_child());        /* the call was not to wait for it */
    g_assert_true(g_file_set_contents(release, "", 0, NULL));
    while (have_child() || count_fds() != before) {
        g_usleep(10000);
    }
}

/* It stays until it ends by itself; then nothing of it is left. */
static void test_another_user(void)
{
    static const char variable[] = "TEST_HELPER_FOLDER";
    struct statvfs where;
    g_autofree char *folder = NULL, *copy = NULL, *release = NULL;

    if (g_test_subprocess()) {
        call_as_nobody(g_getenv(variable));
        return;
    }
    if (!allowed()) {
        return;
    }
    if (geteuid() != 0) {
        g_test_skip("making a program setuid root takes root");
        return;
    }
    folder = g_dir_make_tmp("qemu-ebpf-helper-XXXXXX", NULL);
    g_assert_nonnull(folder);
    copy = copy_setuid(folder);
    release = g_build_filename(folder, "release", NULL);
    g_setenv(variable, folder, TRUE);
    if (statvfs(folder, &where) == 0 &&
        where.f_flag & (ST_NOSUID | ST_NOEXEC)) {
        g_test_skip("the folder for temporary files is mounted nosuid");
    } else {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
    }
    unlink(copy);
    unlink(release);
    rmdir(folder);
}

static void on_alarm(int number)
{
}

/* Interrupted each millisecond, without SA_RESTART. */
static void test_interrupted(void)
{
    const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
    const struct itimerval never = { 0 };
    struct sigaction action = { .sa_handler = on_alarm };

    if (!allowed()) {
        return;
    }
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    check(self, "loaded", NULL, LONG_MS);
    check(self, "exits-7", "exit status 7", LONG_MS);
    check(self, "hangs", "did not answer within 0.3 s", SHORT_MS);
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
}

/* Who asks for both programs gets both, or none. */
static void test_report(void)
{
    int fds[EBPF_RSS_FDS] = { -7 }, report_fds[EBPF_RSS_REPORT_FDS] = { -7 };
    int before = count_fds(), i;
    g_autoptr(GError) error = NULL;

    if (!allowed()) {
        return;
    }
    g_assert_false(rss_helper_open_report(self, "loaded", LONG_MS, fds,
                                          report_fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE);
    g_assert_nonnull(strstr(error->message, "is of another version"));
    g_assert_cmpint(fds[0], ==, -7);
    g_assert_cmpint(report_fds[0], ==, -7);
    g_assert_cmpint(count_fds(), ==, before);

    g_assert_true(rss_helper_open_report(self, "loaded-report", LONG_MS, fds,
                                         report_fds, NULL));
    g_assert_cmpint(count_fds(), ==, before + EBPF_RSS_ALL_FDS);
    for (i = 0; i < EBPF_RSS_FDS; i++) {
        close(fds[i]);
    }
    for (i = 0; i < EBPF_RSS_REPORT_FDS; i++) {
        close(report_fds[i]);
    }
    g_assert_cmpint(count_fds(), ==, before);
}

static gpointer call_often(gpointer unused)
{
    int fds[EBPF_RSS_FDS], i, j;

    for (i = 0; i < 20; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(rss_helper_open(self, "loaded", LONG_MS, fds, &error));
        for (j = 0; j < EBPF_RSS_FDS; j++) {
            close(fds[j]);
        }
        g_assert_false(rss_helper_open(self, "exits-7", LONG_MS, fds,
                                       &error));
        g_assert_nonnull(strstr(error->message, "exit status 7"));
    }
    return NULL;
}

static void test_threads(void)
{
    GThread *thread[3];
    int before = count_fds(), i;

    if (!allowed()) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(thread); i++) {
        thread[i] = g_thread_new("caller", call_often, NULL);
    }
    for (i = 0; i < G_N_ELEMENTS(thread); i++) {
        g_thread_join(thread[i]);
    }
    g_assert_cmpint(count_fds(), ==, before);
}

/* Where no privilege can be gained, none is looked for. */
static void test_no_new_privs(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        return;
    }
    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    check(self, "loaded", "no_new_privs", LONG_MS);
}

static void skip_without_pidfd(void)
{
    g_test_skip("taking a system call away takes root");
}

int main(int argc, char **argv)
{
    fake_helper_if_asked(argc, argv);
    g_test_init(&argc, &argv, NULL);
    if (argc > 1 && !strcmp(argv[1], "--without-pidfd") &&
        !refuse_call(__NR_pidfd_open)) {
        g_test_add_func("/helper/without-pidfd", skip_without_pidfd);
        return g_test_run();
    }
    fake_helper_add_tests("/helper/answer/", test_answer);
    g_test_add_func("/helper/no-program", test_no_program);
    g_test_add_func("/helper/another-program", test_another_program);
    g_test_add_func("/helper/name", test_name);
    g_test_add_func("/helper/fds", test_fds);
    g_test_add_func("/helper/input", test_input);
    g_test_add_func("/helper/low-fds", test_low_fds);
    g_test_add_func("/helper/no-fds-left", test_no_fds_left);
    g_test_add_func("/helper/signals", test_signals);
    g_test_add_func("/helper/no-children", test_no_children);
    g_test_add_func("/helper/child-handler", test_child_handler);
    g_test_add_func("/helper/another-user", test_another_user);
    g_test_add_func("/helper/report", test_report);
    g_test_add_func("/helper/interrupted", test_interrupted);
    g_test_add_func("/helper/threads", test_threads);
    g_test_add_func("/helper/no-new-privs", test_no_new_privs);
    return g_test_run();
}
