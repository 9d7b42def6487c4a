/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of bpfhv-ctl: a datagram is a command. The answer goes to the
 * socket that came with it; who does not take it has none.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpfhv-backend.h"
#include "net/socket_fds.h"

enum {
    MAX_COMMAND = 256,
};

/* Is this the socket of a process that has ended? */
static bool is_left_behind(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 &&
                   connect(fd, (const struct sockaddr *)address,
                           sizeof(*address)) < 0 && errno == ECONNREFUSED;

    if (fd >= 0) {
        close(fd);
    }
    return refused;
}

int control_open(const char *path, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, ret = -1;
    mode_t mask;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        refuse(error, "%s: the path is too long", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        if (is_left_behind(&address)) {
            unlink(path);
        }
        mask = umask(0177);
        ret = bind(fd, (struct sockaddr *)&address, sizeof(address));
        umask(mask);
    }
    if (ret < 0) {
        refuse(error, "cannot make the control socket %s: %s", path,
               g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static char *answer_to(Card *card, const char *command)
{
    g_autoptr(GError) error = NULL;

    if (!strcmp(command, "stats")) {
        return card_statistics(card);
    }
    if (g_str_has_prefix(command, "upgrade ")) {
        const char *model = command + strlen("upgrade ");

        return card_upgrade(card, model, &error)
               ? g_strdup_printf("the guest is asked to take %s\n", model)
               : g_strdup_printf("error: %s\n", error->message);
    }
    return g_strdup("error: no such command\n");
}

void control_serve(int socket, Card *card)
{
    char command[MAX_COMMAND + 1];
    g_autofree char *answer = NULL;
    int fd;
    ssize_t len = receive_fd(socket, command, MAX_COMMAND, 0, &fd);

    if (len < 0) {
        return;
    }
    command[len] = '\0';
    answer = answer_to(card, command);
    if (fd >= 0) {
        send(fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
        close(fd);
    }
}
