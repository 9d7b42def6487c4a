/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-rss-helper: loads the steering program for a QEMU that may not
 *
 * It has a privilege that its caller lacks: from a service manager, which
 * starts it for each connection, or by file capabilities or setuid root, where
 * its caller starts it. So it does one thing, and takes no input but a name
 * and whether hashes are to be reported, too: the programs that it loads are
 * its own, and what it gives away are the descriptors of these programs and of
 * their maps, all of them new.
 *
 * It is plain C and libbpf, so that little runs before main(), which first
 * gives up what it does not need (confine.c). It reads no file and no
 * environment. It ends when it has sent its one message (see
 * ebpf/rss_helper_wire.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "ebpf/rss_helper_wire.h"
#include "helper_socket.h"
#include "net/socket_fds.h"

enum {
    REQUEST_MAX = sizeof(RSS_HELPER_REQUEST_REPORT) - 1 + RSS_HELPER_NAME_MAX,
};

_Static_assert((int)HELPER_TEXT_MAX <= (int)RSS_HELPER_TEXT_MAX &&
               (int)SEND_FDS_MAX >= (int)EBPF_RSS_ALL_FDS,
               "an answer would be cut");

typedef struct Options {
    int fd;                 /* -1: not given (yet) */
    const char *name;
    bool report;
    bool inetd;
} Options;

/* What was loaded: with a report program, or without. */
typedef struct Loaded {
    const char *text;       /* or why there is nothing */
    int n_fds;
    int fds[EBPF_RSS_ALL_FDS];
    RssOpenText why;
} Loaded;

static const char help[] =
    "Usage: qemu-rss-helper --inetd\n"
    "       qemu-rss-helper --fd=N --name=NAME [--report]\n"
    "\n"
    "Loads QEMU's receive steering program into the kernel and passes its\n"
    "descriptors over a socket, to a QEMU that may not load it. systemd runs\n"
    "it for each connection, or QEMU by itself.\n"
    "\n"
    "  --inetd      the socket is the standard input, and the name is read\n"
    "               from it; tells on standard error who asked\n"
    "  --fd=N       the socket: AF_UNIX, SOCK_SEQPACKET, connected\n"
    "  --name=NAME  what it is for; shown by bpftool. Up to 64 of the\n"
    "               characters A-Z a-z 0-9 _ . -\n"
    "  --report     with the program that reports hashes\n"
    "  --help       print this\n"
    "  --version    print the version\n"
    "\n"
    "It needs CAP_BPF and CAP_PERFMON, or before Linux 5.8 CAP_SYS_ADMIN.\n";

/* For mistakes of whoever runs it; there may be no socket to tell it. */
static int refuse(const char *what, const char *argument)
{
    fprintf(stderr, "qemu-rss-helper: %s%s (see qemu-rss-helper --help)\n",
            what, argument);
    return EXIT_FAILURE;
}

static bool name_is_good(const char *name)
{
    size_t len = strlen(name), i;

    for (i = 0; i < len; i++) {
        if (!rss_helper_name_char(name[i])) {
            return false;
        }
    }
    return len > 0 && len <= RSS_HELPER_NAME_MAX;
}

/* -1: no number, or not that of a socket */
static int parse_fd(const char *text)
{
    char *end;
    long number;

    if (*text < '0' || *text > '9') {
        return -1;              /* strtol() takes signs and spaces */
    }
    errno = 0;
    number = strtol(text, &end, 10);
    return errno || *end || number <= STDERR_FILENO || number > INT_MAX
           ? -1 : number;
}

/* What follows @prefix in @argument; NULL if that begins otherwise. */
static const char *value_of(const char *argument, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(argument, prefix, len) ? NULL : argument + len;
}

static bool parse_option(const char *argument, Options *options)
{
    const char *fd = value_of(argument, "--fd=");
    const char *name = value_of(argument, "--name=");

    if (!strcmp(argument, "--inetd") && !options->inetd) {
        options->inetd = true;
        return true;
    }
    if (!strcmp(argument, RSS_HELPER_REPORT_ARG) && !options->report) {
        options->report = true;
        return true;
    }
    if (fd && options->fd < 0) {
        options->fd = parse_fd(fd);
        return options->fd >= 0;
    }
    if (name && !options->name && name_is_good(name)) {
        options->name = name;
        return true;
    }
    return false;
}

/*
 * The name in a request, and in @report what it is for. Returns NULL, with @why
 * set, if there is none.
 */
static const char *read_name(int socket, char request[REQUEST_MAX + 2],
                             bool *report, const char **why)
{
    struct pollfd ready = { .fd = socket, .events = POLLIN };
    const struct timespec limit = {
        RSS_HELPER_REQUEST_MS / 1000, RSS_HELPER_REQUEST_MS % 1000 * 1000000,
    };
    const char *name;
    ssize_t len;

    len = ppoll(&ready, 1, &limit, NULL) > 0
          ? recv(socket, request, REQUEST_MAX + 1, MSG_DONTWAIT) : 0;
    if (len <= 0) {
        *why = RSS_HELPER_NO_REQUEST;
        return NULL;
    }
    request[len] = '\0';
    name = value_of(request, RSS_HELPER_REQUEST_REPORT);
    *report = name;
    if (!name) {
        name = value_of(request, RSS_HELPER_REQUEST);
    }
    if (strlen(request) != (size_t)len || !name || !name_is_good(name)) {
        *why = "not a request that this helper knows";
        return NULL;
    }
    return name;
}

/* One line for the journal. */
static void tell(int socket, const char *name, const char *what)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    fprintf(stderr, "%s, for process %ld of user %lu: %s\n",
            name ? name : "no name", (long)peer.pid, (unsigned long)peer.uid,
            what);
}

/* Of what is not whole, the descriptors end with this process. */
static bool load(const char *name, bool report, Loaded *loaded)
{
    int *report_fds = loaded->fds + EBPF_RSS_FDS;

    if (rss_open(name, loaded->fds, loaded->why) ||
        (report && rss_open_report(name, loaded->fds[EBPF_RSS_FD_CONFIG],
                                   report_fds, loaded->why))) {
        loaded->text = loaded->why;
        loaded->n_fds = 0;
        return false;
    }
    loaded->text = report ? RSS_HELPER_LOADED_REPORT : RSS_HELPER_LOADED;
    loaded->n_fds = report ? EBPF_RSS_ALL_FDS : EBPF_RSS_FDS;
    return true;
}

static int serve_child(const Options *options)
{
    Loaded loaded;
    bool done = load(options->name, options->report, &loaded);
    bool sent = helper_answer(options->fd, 0, loaded.text, loaded.fds,
                              loaded.n_fds);

    return done && sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A client that does wrong is no failure of the service. */
static int serve_connection(int socket)
{
    char request[REQUEST_MAX + 2];
    bool report, done, sent;
    const char *why, *name = read_name(socket, request, &report, &why);
    Loaded loaded;

    if (!name) {
        helper_answer(socket, MSG_DONTWAIT, why, NULL, 0);
        tell(socket, NULL, why);
        return EXIT_SUCCESS;
    }
    done = load(name, report, &loaded);
    sent = helper_answer(socket, MSG_DONTWAIT, loaded.text, loaded.fds,
                         loaded.n_fds);
    tell(socket, name, !done ? loaded.text : sent ? "loaded"
                             : "loaded, but the client is gone");
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    Options options = { .fd = -1 };
    const char *failed;
    int i;

    umask(077);
    helper_raise_locked_memory();
    failed = confine(CONFINE_LOAD);
    if (failed) {
        fprintf(stderr, "qemu-rss-helper: cannot %s: %s\n", failed,
                strerror(errno));
        return EXIT_FAILURE;
    }
    clearenv();

    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(help, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        puts("qemu-rss-helper " QEMU_EBPF_VERSION);
        return EXIT_SUCCESS;
    }
    for (i = 1; i < argc; i++) {
        if (!parse_option(argv[i], &options)) {
            return refuse("bad argument ", argv[i]);
        }
    }
    if (options.inetd ? options.fd >= 0 || options.name || options.report
                      : options.fd < 0 || !options.name) {
        return refuse("it takes --inetd, or --fd and --name", "");
    }
    if (options.inetd) {
        options.fd = STDIN_FILENO;
    }
    if (!helper_socket_is_good(options.fd)) {
        return refuse(options.inetd ? "standard input" : "--fd",
                      " is no connected socket of the right kind");
    }
    helper_close_others(options.fd);
    return options.inetd ? serve_connection(options.fd)
                         : serve_child(&options);
}
