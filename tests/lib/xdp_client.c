/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebpf/xdp_helper_wire.h"
#include "net/socket_fds.h"
#include "xdp_client.h"

enum {
    BUSY_US = 20000,            /* between requests that come too often */
};

struct XdpClient {
    GPid pid;
    int socket;
    uint32_t sequence;
    uint8_t frame[XDP_WIRE_MAX];        /* the last answer */
};

static void set_up_child(gpointer data)
{
    dup2(*(int *)data, STDIN_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void send_request(const XdpClient *client, int tap, uint32_t flags)
{
    XdpHelperRequest request = {
        .magic = XDP_HELPER_MAGIC, .flags = flags, .name = "net0",
    };

    if (send_fds(client->socket, &request, sizeof(request), &tap, 1, 0) !=
        sizeof(request)) {
        g_error("cannot ask the helper: %s", g_strerror(errno));
    }
}

XdpClient *xdp_client_new(const char *helper, const char *option, int tap,
                          uint32_t flags)
{
    const char *argv[] = { helper, "--inetd", option, NULL };
    XdpClient *client = g_new0(XdpClient, 1);
    char text[XDP_HELPER_TEXT_MAX + 1];
    g_autoptr(GError) error = NULL;
    ssize_t len;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        g_error("no sockets: %s", g_strerror(errno));
    }
    client->socket = fds[0];
    send_request(client, tap, flags);   /* it does not wait for it for long */
    if (!g_spawn_async(NULL, (char **)argv, NULL,
                       G_SPAWN_DO_NOT_REAP_CHILD |
                       G_SPAWN_CHILD_INHERITS_STDIN |
                       G_SPAWN_STDERR_TO_DEV_NULL,
                       set_up_child, &fds[1], &client->pid, &error)) {
        g_error("%s", error->message);
    }
    close(fds[1]);
    len = recv(client->socket, text, sizeof(text) - 1, 0);
    text[MAX(len, 0)] = 0;
    if (!g_str_has_prefix(text, XDP_HELPER_READY ", ")) {
        g_error("the helper says: %s", text);
    }
    xdp_client_ask(client, (XdpWireMessage) { .op = XDP_OP_HELLO });
    return client;
}

XdpWireMessage xdp_client_ask(XdpClient *client, XdpWireMessage request)
{
    const ssize_t told = strlen(XDP_HELPER_REDIRECTED);
    XdpWireMessage answer;
    ssize_t len;

    for (;;) {
        g_autoptr(GByteArray) frame = NULL;

        request.sequence = ++client->sequence;
        frame = xdp_wire_encode(&request);
        if (!frame || send(client->socket, frame->data, frame->len,
                           MSG_NOSIGNAL) != frame->len) {
            g_error("cannot ask the helper: %s", g_strerror(errno));
        }
        do {
            len = recv(client->socket, client->frame, sizeof(client->frame),
                       0);
        } while (len > told && !memcmp(client->frame, XDP_HELPER_REDIRECTED,
                                       told));
        if (len <= 0 || xdp_wire_decode(client->frame, len, &answer)) {
            g_error("no answer from the helper");
        }
        if (answer.error != EBUSY) {
            break;
        }
        g_usleep(BUSY_US);
    }
    if (answer.error) {
        g_error("the helper: %s: %.*s", g_strerror(answer.error),
                (int)answer.len, (const char *)answer.data);
    }
    return answer;
}

void xdp_client_free(XdpClient *client)
{
    close(client->socket);
    waitpid(client->pid, NULL, 0);
    g_free(client);
}
