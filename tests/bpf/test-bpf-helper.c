/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real helper, whose path is in QEMU_RSS_HELPER: what it loads works, and
 * it refuses all that it does not need.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/rss_child.h"
#include "ebpf/rss_helper.h"

#define NAME_64 "0123456789abcdef0123456789ABCDEF" \
                "0123456789-.-.-.0123456789______"

static const char *helper;

static void close_all(const int *fds)
{
    int i;

    for (i = 0; i < EBPF_RSS_FDS; i++) {
        close(fds[i]);
    }
}

/* Here the caller has the privilege, and so has the helper. */
static bool allowed(void)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        g_test_skip("this process has no_new_privs set");
        return false;
    }
    return bpf_run_allowed();
}

/* The program steers as it is configured here, and counts. */
static void test_works(void)
{
    const RssConfig config = {
        .unclassified_queue = 3, .table_len = 1, .table = { 5 },
    };
    uint8_t frame[60] = { 0 };
    int fds[EBPF_RSS_FDS];
    g_autoptr(EBPFRSS) rss = NULL;
    g_autoptr(GError) error = NULL;

    if (!allowed()) {
        return;
    }
    g_assert_true(ebpf_rss_open_by_helper(helper, "net0", fds, &error));
    g_assert_no_error(error);
    rss = ebpf_rss_adopt(fds, NULL, NULL, &error);
    g_assert_no_error(error);

    g_assert_cmpint(bpf_run(ebpf_rss_program_fd(rss), frame, sizeof(frame)),
                    ==, 0);
    g_assert_cmpint(ebpf_rss_set_all(rss, &config), ==,
                    EBPF_RSS_IN_FORCE);
    ebpf_rss_set_counting(rss, true);
    g_assert_cmpint(bpf_run(ebpf_rss_program_fd(rss), frame, sizeof(frame)),
                    ==, 3);
    g_assert_cmpint(ebpf_rss_get_counters(rss).queue[3], ==, 1);
}

/* Both programs, with the same configurations. */
static void test_report(void)
{
    const RssConfig config = {
        .hash_types = RSS_TYPE_IPV4, .table_len = 1, .table = { 5 },
        .key = { 0x80 },        /* only the first bit of the input counts */
    };
    const uint8_t frame[60] = {
        [12] = 8, [13] = 0, [14] = 0x45, [26] = 0x81,
    };
    int fds[EBPF_RSS_FDS], report_fds[EBPF_RSS_REPORT_FDS];
    g_autoptr(EBPFRSS) rss = NULL;
    g_autoptr(GError) error = NULL;
    uint32_t hash, report;

    if (!allowed()) {
        return;
    }
    g_assert_true(ebpf_rss_open_report_by_helper(helper, "net0", fds,
                                                 report_fds, &error));
    g_assert_no_error(error);
    rss = ebpf_rss_adopt(fds, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(ebpf_rss_adopt_report(rss, report_fds, &error));
    g_assert_no_error(error);
    ebpf_rss_set_all(rss, &config);
    g_assert_cmpint(bpf_run(ebpf_rss_program_fd(rss), frame, sizeof(frame)),
                    ==, 5);
    g_assert_cmpint(bpf_run_report(ebpf_rss_report_fd(rss), frame,
                                   sizeof(frame), &hash, &report), ==, 0);
    g_assert_cmphex(hash, ==, 0x80000000);
    g_assert_cmpuint(report, ==, rss_type_report(RSS_TYPE_IPV4));
}

/* Each call gives a program and maps of its own. */
static void test_two_of_them(void)
{
    const RssConfig config = { .unclassified_queue = 2, .table_len = 1 };
    uint8_t frame[60] = { 0 };
    int fds[2][EBPF_RSS_FDS], i;
    EBPFRSS *rss[2];
    g_autoptr(GError) error = NULL;

    if (!allowed()) {
        return;
    }
    for (i = 0; i < 2; i++) {
        g_assert_true(ebpf_rss_open_by_helper(helper, "same", fds[i],
                                              &error));
        rss[i] = ebpf_rss_adopt(fds[i], NULL, NULL, &error);
        g_assert_no_error(error);
    }
    ebpf_rss_set_all(rss[1], &config);
    for (i = 0; i < 2; i++) {
        g_assert_cmpint(bpf_run(ebpf_rss_program_fd(rss[i]), frame,
                                sizeof(frame)), ==, i ? 2 : 0);
        ebpf_rss_unload(rss[i]);
    }
}

/* Any name that a caller may have. */
static void test_names(void)
{
    static const char *const names[] = {
        "", "a", NAME_64, NAME_64 "longer", "/machine/peripheral/net 0",
        "--help", "\n", "\303\244",
    };
    int fds[EBPF_RSS_FDS], i;

    if (!allowed()) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(ebpf_rss_open_by_helper(helper, names[i], fds,
                                              &error));
        g_assert_no_error(error);
        close_all(fds);
    }
}

/* A helper without capabilities says what it takes. */
static void test_no_privilege(void)
{
    static const int capabilities[] = { CAP_SYS_ADMIN, CAP_BPF };
    g_autoptr(GError) error = NULL;
    int fds[EBPF_RSS_FDS], i;

    if (!allowed()) {
        return;
    }
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        g_assert_cmpint(prctl(PR_CAPBSET_DROP, capabilities[i], 0, 0, 0),
                        ==, 0);
    }
    g_assert_false(ebpf_rss_open_by_helper(helper, "x", fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE);
    g_assert_nonnull(strstr(error->message, helper));
    g_assert_nonnull(strstr(error->message, "needs CAP_BPF"));
    g_assert_null(strstr(error->message, "RLIMIT_MEMLOCK"));
}

/* What descriptor 3 is in the helper. */
enum {
    SOCKET,             /* what it should be */
    CLOSED,
    NULL_DEVICE,
    PIPE,
    STREAM,             /* of another kind */
    DATAGRAM,
    NOT_CONNECTED,
    INTERNET,
};

/* How the helper is called by whoever likes to, and what it prints. */
typedef struct Call {
    const char *name;
    int kind;
    const char *argument[5];
    const char *errors;
} Call;

#define BAD "qemu-rss-helper: bad argument "
#define KIND "no connected socket of the right kind"
#define MISSING "it takes --inetd, or --fd and --name"

static const Call calls[] = {
    { "nothing", SOCKET, { NULL }, MISSING },
    { "no-name", SOCKET, { "--fd=3" }, MISSING },
    { "no-fd", SOCKET, { "--name=x" }, MISSING },
    { "fd-twice", SOCKET, { "--fd=3", "--fd=3", "--name=x" }, BAD "--fd=3" },
    { "name-twice", SOCKET, { "--fd=3", "--name=x", "--name=y" },
      BAD "--name=y" },
    { "another-option", SOCKET, { "--fd=3", "--name=x", "--verbose" },
      BAD "--verbose" },
    { "another-argument", SOCKET, { "--fd=3", "--name=x", "x" }, BAD "x" },
    { "empty-argument", SOCKET, { "--fd=3", "--name=x", "" }, BAD },
    { "separate-values", SOCKET, { "--fd", "3", "--name", "x" },
      BAD "--fd" },
    { "help-and-more", SOCKET, { "--help", "--fd=3" }, BAD "--help" },

    { "empty-name", SOCKET, { "--fd=3", "--name=" }, BAD "--name=" },
    { "65-characters", SOCKET, { "--fd=3", "--name=" NAME_64 "x" },
      BAD "--name=" },
    { "name-slash", SOCKET, { "--fd=3", "--name=a/b" }, BAD "--name=a/b" },
    { "name-space", SOCKET, { "--fd=3", "--name=a b" }, BAD "--name=a b" },
    { "name-newline", SOCKET, { "--fd=3", "--name=a\n" }, BAD "--name=a" },
    { "name-percent", SOCKET, { "--fd=3", "--name=%n" }, BAD "--name=%n" },
    { "name-not-ascii", SOCKET, { "--fd=3", "--name=\303\244" },
      BAD "--name=" },

    { "report-twice", SOCKET, { "--fd=3", "--name=x", "--report",
                                "--report" }, BAD "--report" },
    { "inetd-and-report", SOCKET, { "--inetd", "--report" }, MISSING },
    { "inetd-and-others", SOCKET, { "--inetd", "--fd=3", "--name=x" },
      MISSING },
    { "inetd-twice", SOCKET, { "--inetd", "--inetd" }, BAD "--inetd" },
    { "inetd-without-a-socket", CLOSED, { "--inetd" },
      "standard input is " KIND },

    { "fd-0", SOCKET, { "--fd=0", "--name=x" }, BAD "--fd=0" },
    { "fd-2", SOCKET, { "--fd=2", "--name=x" }, BAD "--fd=2" },
    { "fd-negative", SOCKET, { "--fd=-1", "--name=x" }, BAD "--fd=-1" },
    { "fd-space", SOCKET, { "--fd= 3", "--name=x" }, BAD "--fd= 3" },
    { "fd-hex", SOCKET, { "--fd=0x3", "--name=x" }, BAD "--fd=0x3" },
    { "fd-and-more", SOCKET, { "--fd=3x", "--name=x" }, BAD "--fd=3x" },
    { "fd-empty", SOCKET, { "--fd=", "--name=x" }, BAD "--fd=" },
    { "fd-2-to-the-32-and-3", SOCKET, { "--fd=4294967299", "--name=x" },
      BAD "--fd=4294967299" },
    { "fd-huge", SOCKET, { "--fd=99999999999999999999999", "--name=x" },
      BAD "--fd=" },
    { "fd-not-open", SOCKET, { "--fd=2147483647", "--name=x" }, KIND },

    { "closed", CLOSED, { "--fd=3", "--name=x" }, KIND },
    { "file", NULL_DEVICE, { "--fd=3", "--name=x" }, KIND },
    { "pipe", PIPE, { "--fd=3", "--name=x" }, KIND },
    { "stream", STREAM, { "--fd=3", "--name=x" }, KIND },
    { "datagram", DATAGRAM, { "--fd=3", "--name=x" }, KIND },
    { "not-connected", NOT_CONNECTED, { "--fd=3", "--name=x" }, KIND },
    { "internet", INTERNET, { "--fd=3", "--name=x" }, KIND },
};

/* Two descriptors: the helper's (-1: none) and ours. */
static void make_socket(int kind, int fds[2])
{
    int type = kind == STREAM ? SOCK_STREAM
             : kind == DATAGRAM ? SOCK_DGRAM : SOCK_SEQPACKET;

    fds[0] = fds[1] = -1;
    switch (kind) {
    case CLOSED:
        break;
    case NULL_DEVICE:
        fds[0] = open("/dev/null", O_RDWR);
        break;
    case PIPE:
        g_assert_cmpint(pipe(fds), ==, 0);
        break;
    case NOT_CONNECTED:
        fds[0] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        break;
    case INTERNET:
        fds[0] = socket(AF_INET, SOCK_STREAM, 0);
        break;
    default:
        g_assert_cmpint(socketpair(AF_UNIX, type, 0, fds), ==, 0);
    }
}

static void put_socket(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);

    if (fd < 0) {
        close(RSS_CHILD_SOCKET_FD);
    } else if (fd == RSS_CHILD_SOCKET_FD) {
        fcntl(fd, F_SETFD, 0);
    } else {
        dup2(fd, RSS_CHILD_SOCKET_FD);
    }
}

/* Runs the helper; returns its exit status. */
static int run(const Call *call, int fd, char **output, char **errors)
{
    const char *argv[G_N_ELEMENTS(call->argument) + 1] = { helper };
    g_autoptr(GError) error = NULL;
    int status, i;

    for (i = 0; call->argument[i]; i++) {
        argv[i + 1] = call->argument[i];
    }
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN,
                 put_socket, GINT_TO_POINTER(fd), output, errors, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_refuses(const void *data)
{
    const Call *call = data;
    g_autofree char *output = NULL, *errors = NULL;
    int fds[2];

    make_socket(call->kind, fds);
    g_assert_cmpint(run(call, fds[0], &output, &errors), ==, 1);
    g_assert_cmpstr(output, ==, "");
    if (!strstr(errors, call->errors)) {
        g_error("'%s' is not in '%s'", call->errors, errors);
    }
    if (fds[0] >= 0) {
        close(fds[0]);
    }
    if (call->kind == SOCKET) {
        char byte;

        g_assert_cmpint(recv(fds[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    }
    if (fds[1] >= 0) {
        close(fds[1]);
    }
}

static void test_help(void)
{
    const Call help = { .argument = { "--help" } };
    const Call version = { .argument = { "--version" } };
    g_autofree char *output = NULL, *errors = NULL, *line = NULL, *none = NULL;

    g_assert_cmpint(run(&help, -1, &output, &errors), ==, 0);
    g_assert_true(g_str_has_prefix(output, "Usage: qemu-rss-helper --inetd"));
    g_assert_cmpstr(errors, ==, "");
    g_assert_cmpint(run(&version, -1, &line, &none), ==, 0);
    g_assert_true(g_str_has_prefix(line, "qemu-rss-helper "));
}

/* Nobody listens any more. */
static void test_caller_gone(void)
{
    const Call call = { .argument = { "--fd=3", "--name=x" } };
    g_autofree char *output = NULL, *errors = NULL;
    int fds[2];

    if (!allowed()) {
        return;
    }
    make_socket(SOCKET, fds);
    close(fds[1]);
    /* It is connected no more, or finds out when it answers. */
    g_assert_cmpint(run(&call, fds[0], &output, &errors), ==, 1);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    helper = g_getenv("QEMU_RSS_HELPER");
    g_assert_nonnull(helper);
    g_test_add_func("/bpf-helper/works", test_works);
    g_test_add_func("/bpf-helper/report", test_report);
    g_test_add_func("/bpf-helper/two-of-them", test_two_of_them);
    g_test_add_func("/bpf-helper/names", test_names);
    g_test_add_func("/bpf-helper/no-privilege", test_no_privilege);
    g_test_add_func("/bpf-helper/help", test_help);
    g_test_add_func("/bpf-helper/caller-gone", test_caller_gone);
    for (i = 0; i < G_N_ELEMENTS(calls); i++) {
        g_autofree char *path = g_strdup_printf("/bpf-helper/refuses/%s",
                                                calls[i].name);

        g_test_add_data_func(path, &calls[i], test_refuses);
    }
    return g_test_run();
}
