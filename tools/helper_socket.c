/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper_socket.h"
#include "net/socket_fds.h"

static bool socket_option_is(int fd, int option, int expected)
{
    socklen_t len = sizeof(int);
    int value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 &&
           len == sizeof(int) && value == expected;
}

bool helper_socket_is_good(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    return socket_option_is(fd, SO_DOMAIN, AF_UNIX) &&
           socket_option_is(fd, SO_TYPE, SOCK_SEQPACKET) &&
           getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

bool helper_answer(int socket, int flags, const char *text, const int *fds,
                   int n_fds)
{
    return send_fds(socket, text, strnlen(text, HELPER_TEXT_MAX), fds, n_fds,
                    flags) >= 0;
}

void helper_raise_locked_memory(void)
{
    const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    setrlimit(RLIMIT_MEMLOCK, &limit);
}

void helper_close_others(int fd)
{
    unsigned first = STDERR_FILENO + 1;

    if (fd > (int)first) {
        syscall(SYS_close_range, first, fd - 1, 0);
    }
    syscall(SYS_close_range, fd < (int)first ? first : fd + 1u, ~0u, 0);
}
