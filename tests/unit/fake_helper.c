/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ebpf/rss_child.h"
#include "ebpf/rss_helper.h"
#include "fake_helper.h"

enum {
    MANY_FDS = 20,
    GIVES_UP = 40,              /* seconds, so that it does not stay for ever */
};

/* Sends a text with copies of /dev/null. */
static void send_answer(const void *text, size_t len, int n_fds)
{
    struct iovec iov = { (void *)text, len };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MANY_FDS * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    int i;

    if (n_fds) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        for (i = 0; i < n_fds; i++) {
            ((int *)CMSG_DATA(&control.header))[i] = open("/dev/null",
                                                          O_RDWR);
        }
    }
    if (sendmsg(RSS_CHILD_SOCKET_FD, &message, MSG_NOSIGNAL) < 0) {
        exit(99);
    }
}

static void send_text(const char *text, int n_fds)
{
    send_answer(text, strlen(text), n_fds);
}

static void loaded(void)
{
    send_text(RSS_HELPER_LOADED, EBPF_RSS_FDS);
}

static void loaded_report(void)
{
    send_text(RSS_HELPER_LOADED_REPORT, EBPF_RSS_ALL_FDS);
}

static void silent(void)
{
}

static void exits_7(void)
{
    exit(7);
}

static void crashes(void)
{
    signal(SIGABRT, SIG_DFL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    abort();
}

/* A listener that is killed kills nobody. */
static void end_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void hangs(void)
{
    end_with_parent();
    alarm(GIVES_UP);
    for (;;) {
        pause();
    }
}

static void hangs_with_a_child(void)
{
    if (fork() < 0) {
        exit(99);
    }
    hangs();
}

/* Into that of the caller, which must not kill that. */
static void leaves_its_group(void)
{
    if (setpgid(0, getpgid(getppid())) < 0) {
        exit(99);
    }
    hangs();
}

static void ignores_signals(void)
{
    int i;

    for (i = 1; i < NSIG; i++) {
        signal(i, SIG_IGN);
    }
    sleep(GIVES_UP);
}

static void stops_itself(void)
{
    raise(SIGSTOP);
}

/* Out of reach of the caller, until there is a file "release" beside it. */
static void becomes_root(void)
{
    g_autofree char *path = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *release = g_build_filename(folder, "release", NULL);
    int i;

    if (setresuid(0, 0, 0) < 0) {
        exit(99);
    }
    send_text("I am root", 0);
    for (i = 0; i < GIVES_UP * 100 && access(release, F_OK) < 0; i++) {
        g_usleep(10000);
    }
}

static void closes_and_hangs(void)
{
    close(RSS_CHILD_SOCKET_FD);
    hangs();
}

static void answers_and_hangs(void)
{
    loaded();
    hangs();
}

static void closes_reading_end(void)
{
    shutdown(RSS_CHILD_SOCKET_FD, SHUT_RDWR);
    exit(3);
}

static void says_why(void)
{
    send_text("the moon is full", 0);
}

static void says_nothing(void)
{
    send_text("", 0);
}

static void control_characters(void)
{
    send_text("\033[31mred\n\377 end", 0);
}

static void zero_bytes(void)
{
    send_answer("rss 3\0and more", 14, EBPF_RSS_FDS);
}

static void long_text(void)
{
    char text[5000];

    memset(text, 'x', sizeof(text));
    send_answer(text, sizeof(text), 0);
}

static void long_text_with_fds(void)
{
    char text[5000];

    memset(text, 'x', sizeof(text));
    memcpy(text, RSS_HELPER_LOADED, strlen(RSS_HELPER_LOADED));
    send_answer(text, sizeof(text), EBPF_RSS_FDS);
}

static void no_fds(void)
{
    send_text(RSS_HELPER_LOADED, 0);
}

static void too_few_fds(void)
{
    send_text(RSS_HELPER_LOADED, EBPF_RSS_FDS - 1);
}

static void one_fd_too_many(void)
{
    send_text(RSS_HELPER_LOADED, EBPF_RSS_FDS + 1);
}

static void many_fds(void)
{
    send_text(RSS_HELPER_LOADED, MANY_FDS);
}

static void fds_without_text(void)
{
    send_text("", EBPF_RSS_FDS);
}

static void another_version(void)
{
    send_text("rss 2", EBPF_RSS_FDS);
}

static void why_not_with_fds(void)
{
    send_text("refused", EBPF_RSS_FDS);
}

static void two_answers(void)
{
    loaded();
    loaded();
}

/* Says which descriptors it has. */
static void which_fds(void)
{
    g_autoptr(GString) text = g_string_new("fds");
    int fd;

    for (fd = 0; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            g_string_append_printf(text, " %d", fd);
        }
    }
    send_text(text->str, 0);
}

static void which_input(void)
{
    g_autofree char *path = g_file_read_link("/proc/self/fd/0", NULL);

    send_text(path ? path : "none", 0);
}

/* Says which signals it does not get. */
static void which_signals(void)
{
    g_autoptr(GString) text = g_string_new("signals");
    struct sigaction action;
    sigset_t blocked;
    int i;

    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (i = 1; i < 32; i++) {
        sigaction(i, NULL, &action);
        if (sigismember(&blocked, i) || action.sa_handler == SIG_IGN) {
            g_string_append_printf(text, " %d", i);
        }
    }
    send_text(text->str, 0);
}

static const FakeHelper fake_helpers[] = {
    { "loaded", loaded, NULL, LONG_MS },
    { "loaded-report", loaded_report,
      "it sent 'rss 3, report 1' with 6 descriptors, not 'rss 3' with 4",
      LONG_MS },
    { "answers-and-hangs", answers_and_hangs, NULL, LONG_MS },
    { "two-answers", two_answers, NULL, LONG_MS },

    { "silent", silent, "without an answer, with exit status 0", LONG_MS },
    { "exits-7", exits_7, "without an answer, with exit status 7", LONG_MS },
    { "crashes", crashes, "ended without an answer", LONG_MS },
    { "shuts-down", closes_reading_end, "ended without an answer", LONG_MS },
    { "closes-and-hangs", closes_and_hangs, "ended without an answer",
      LONG_MS },
    { "says-nothing", says_nothing, "ended without an answer", LONG_MS },
    { "hangs", hangs, "did not answer within 0.3 s", SHORT_MS },
    { "hangs-with-a-child", hangs_with_a_child, "did not answer", SHORT_MS },
    { "leaves-its-group", leaves_its_group, "did not answer", SHORT_MS },
    { "ignores-signals", ignores_signals, "did not answer", SHORT_MS },
    { "stops-itself", stops_itself, "did not answer", SHORT_MS },
    { "becomes-root", becomes_root, "", LONG_MS },      /* if it may */

    { "says-why", says_why, "/proc/self/exe: the moon is full", LONG_MS },
    { "control-characters", control_characters, ": ?[31mred?? end", LONG_MS },
    { "long-text", long_text, "xxxxx", LONG_MS },

    { "no-fds", no_fds, "'rss 3' with 0 descriptors, not", LONG_MS },
    { "too-few-fds", too_few_fds, "'rss 3' with 3 descriptors", LONG_MS },
    { "one-fd-too-many", one_fd_too_many, "'rss 3' with 5", LONG_MS },
    { "many-fds", many_fds, "'rss 3' with 8 or more", LONG_MS },
    { "fds-without-text", fds_without_text, "'' with 4", LONG_MS },
    { "another-version", another_version,
      "is of another version: it sent 'rss 2' with 4 descriptors,"
      " not 'rss 3' with 4", LONG_MS },
    { "why-not-with-fds", why_not_with_fds, "'refused' with 4", LONG_MS },
    { "zero-bytes", zero_bytes, "'rss 3?and more' with 4", LONG_MS },
    { "long-text-with-fds", long_text_with_fds, "xxxxx' with 4 or more",
      LONG_MS },

    /* These say in an error what they see. */
    { "which-fds", which_fds, ": fds 0 1 2 3", LONG_MS },
    { "which-input", which_input, ": /dev/null", LONG_MS },
    { "which-signals", which_signals, ": signals", LONG_MS },
    { NULL }
};

void fake_helper_if_asked(int argc, char **argv)
{
    const FakeHelper *fake;
    const char *name;

    if (argc < 3 || argc > 4 || strcmp(argv[1], "--fd=3") ||
        !g_str_has_prefix(argv[2], "--name=")) {
        return;
    }
    name = argv[2] + strlen("--name=");
    end_with_parent();
    for (fake = fake_helpers; fake->name; fake++) {
        if (!strcmp(fake->name, name)) {
            fake->act();
            exit(0);
        }
    }
    send_text(name, 0);
    exit(1);
}

void fake_helper_add_tests(const char *prefix, GTestDataFunc test)
{
    const FakeHelper *fake;

    for (fake = fake_helpers; fake->name; fake++) {
        g_autofree char *path = g_strconcat(prefix, fake->name, NULL);

        g_test_add_data_func(path, fake, test);
    }
}
