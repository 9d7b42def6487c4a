/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-rss-helper: loads the steering program for a QEMU that may not
 *
 * It has a privilege that its caller lacks: file capabilities, or setuid
 * root. So it does one thing, and takes no input but the two options: the
 * program that it loads is its own, and what it gives away are the
 * descriptors of that program and of its two maps, all of them new.
 *
 * It reads no file, no environment and nothing from the socket. It ends when
 * it has sent its one message (see ebpf/rss_helper.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ebpf/rss_helper.h"

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

static bool parse_option(const char *argument, Options *options)
{
    guint64 number;

    if (g_str_has_prefix(argument, "--fd=") && options->fd < 0 &&
        g_ascii_string_to_unsigned(argument + strlen("--fd="), 10,
                                   STDERR_FILENO + 1, INT_MAX, &number,
                                   NULL)) {
        options->fd = number;
        return true;
    }
    if (g_str_has_prefix(argument, "--name=") && !options->name &&
        name_is_good(argument + strlen("--name="))) {
        options->name = argument + strlen("--name=");
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
    struct iovec iov = { (char *)text, MIN(strlen(text),
                                           RSS_HELPER_TEXT_MAX) };
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

int main(int argc, char **argv)
{
    Options options = { .fd = -1 };
    int fds[EBPF_RSS_FDS], i;
    g_autoptr(GError) error = NULL;

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

    if (!ebpf_rss_open(options.name, fds, &error)) {
        answer(options.fd, error->message, NULL);
        return EXIT_FAILURE;
    }
    return answer(options.fd, RSS_HELPER_LOADED, fds) ? EXIT_SUCCESS
                                                      : EXIT_FAILURE;
}
