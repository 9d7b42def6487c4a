/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-rss-helper: loads the steering program for a QEMU that may not
 *
 * It has a privilege that its caller lacks: file capabilities, or setuid
 * root. So it does one thing, and takes no input but the two options: the
 * program that it loads is its own, and what it gives away are the
 * descriptors of that program and of its maps, all of them new.
 *
 * It is plain C and libbpf, so that little runs before main(), which first
 * gives up what it does not need (confine.c). It reads no file, no environment
 * and nothing from the socket. It ends when it has sent its one message (see
 * ebpf/rss_helper_wire.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "ebpf/rss_helper_wire.h"

typedef struct Options {
    int fd;                 /* -1: not given (yet) */
    const char *name;
} Options;

static const char help[] =
    "Usage: qemu-rss-helper --fd=N --name=NAME\n"
    "\n"
    "Loads QEMU's receive steering program into the kernel and passes its\n"
    "descriptors over a socket. QEMU runs it by itself, where it may not\n"
    "load the program.\n"
    "\n"
    "  --fd=N       the socket: AF_UNIX, SOCK_SEQPACKET, connected\n"
    "  --name=NAME  what it is for; shown by bpftool. Up to 64 of the\n"
    "               characters A-Z a-z 0-9 _ . -\n"
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

static bool socket_option_is(int fd, int option, int expected)
{
    socklen_t len = sizeof(int);
    int value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 &&
           len == sizeof(int) && value == expected;
}

static bool is_our_socket(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    return socket_option_is(fd, SO_DOMAIN, AF_UNIX) &&
           socket_option_is(fd, SO_TYPE, SOCK_SEQPACKET) &&
           getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

/* Sends a text, with descriptors unless @fds is NULL. */
static bool answer(int socket, const char *text, const int *fds)
{
    struct iovec iov = { (char *)text, strnlen(text, RSS_HELPER_TEXT_MAX) };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(EBPF_RSS_FDS * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (fds) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(EBPF_RSS_FDS * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        memcpy(CMSG_DATA(&control.header), fds, EBPF_RSS_FDS * sizeof(int));
    }
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/*
 * Before Linux 5.11 BPF counts as locked memory of the user. This takes
 * CAP_SYS_RESOURCE, which setuid root has; without it the limit stays.
 */
static void raise_locked_memory(void)
{
    const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    setrlimit(RLIMIT_MEMLOCK, &limit);
}

/*
 * What the caller has left open by mistake. Before Linux 5.9 it stays, but
 * then the caller might have used it as well.
 */
static void close_others(int fd)
{
    if (fd > STDERR_FILENO + 1) {
        syscall(SYS_close_range, STDERR_FILENO + 1, fd - 1, 0);
    }
    syscall(SYS_close_range, fd + 1u, ~0u, 0);
}

static int load(const Options *options)
{
    RssOpenText text;
    int fds[EBPF_RSS_FDS];
    bool loaded = rss_open(options->name, fds, text) == 0;
    bool sent = answer(options->fd, loaded ? RSS_HELPER_LOADED : text,
                       loaded ? fds : NULL);

    return loaded && sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    Options options = { .fd = -1 };
    const char *failed;
    int i;

    umask(077);
    raise_locked_memory();
    failed = confine();
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
    if (options.fd < 0 || !options.name) {
        return refuse("it takes --fd and --name", "");
    }
    if (!is_our_socket(options.fd)) {
        return refuse("--fd is no connected socket of the right kind", "");
    }
    close_others(options.fd);
    return load(&options);
}
