/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-ctl: ask a running bpfhv-backend. See docs/bpfhv-backend.rst.
 *
 * A socket for the answer goes with the command. A name that it could be sent
 * to would be known in this network namespace only.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/socket_fds.h"

enum {
    PATIENCE_MS = 5000,
    MAX_ANSWER = 65536,         /* bytes */
};

static const char usage[] =
    "Usage: bpfhv-ctl SOCKET stats\n"
    "       bpfhv-ctl SOCKET upgrade MODEL\n"
    "\n"
    "Asks the bpfhv-backend whose --control is SOCKET. See bpfhv-backend(8).\n";

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "bpfhv-ctl: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) ? -1 : fd;
}

/* Send a command; return where its answer will be, or -1. */
static int send_command(const char *path, const char *command)
{
    int fd = connect_to(path), pair[2];
    ssize_t sent;

    if (fd < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -1;
    }
    sent = send_fds(fd, command, strlen(command), &pair[1], 1, 0);
    close(pair[1]);     /* so that it ends with the backend's */
    return sent < 0 ? -1 : pair[0];
}

static int ask(const char *path, const char *command)
{
    static char answer[MAX_ANSWER + 1];
    int fd = send_command(path, command);
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    ssize_t got;

    if (fd < 0) {
        return fail(path, strerror(errno));
    }
    got = poll(&ready, 1, PATIENCE_MS) > 0 ? recv(fd, answer, MAX_ANSWER, 0)
                                           : 0;
    if (got <= 0) {
        return fail(path, "no answer");
    }
    answer[got] = '\0';
    if (!strncmp(answer, "error: ", strlen("error: "))) {
        answer[strcspn(answer, "\n")] = '\0';
        return fail(path, answer + strlen("error: "));
    }
    fputs(answer, stdout);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    char command[256];

    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 3 && !strcmp(argv[2], "stats")) {
        return ask(argv[1], "stats");
    }
    if (argc == 4 && !strcmp(argv[2], "upgrade") &&
        snprintf(command, sizeof(command), "upgrade %s", argv[3]) <
        (int)sizeof(command)) {
        return ask(argv[1], command);
    }
    fputs(usage, stderr);
    return EXIT_FAILURE;
}
