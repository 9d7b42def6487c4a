/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-ctl: ask a running bpfhv-backend. See docs/bpfhv-backend.rst.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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

/* A socket with a name, or there would be no way back. */
static int open_socket(const char *path)
{
    const struct sockaddr_un nameless = { .sun_family = AF_UNIX };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (fd < 0 ||
        bind(fd, (const struct sockaddr *)&nameless,
             sizeof(nameless.sun_family)) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        return -1;
    }
    return fd;
}

static int ask(const char *path, const char *command)
{
    static char answer[MAX_ANSWER + 1];
    int fd = open_socket(path);
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    ssize_t got;

    if (fd < 0 || send(fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
        return fail(path, strerror(errno));
    }
    if (poll(&ready, 1, PATIENCE_MS) <= 0) {
        return fail(path, "no answer");
    }
    got = recv(fd, answer, MAX_ANSWER, 0);
    if (got < 0) {
        return fail(path, strerror(errno));
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
