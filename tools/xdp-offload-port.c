/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames through a port of virtio-serial, or a socket to the process that has
 * it. Nothing is believed of the other end: it may be silent, end within a
 * frame, or answer what was not asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "xdp-offload.h"

/**
 * Port:
 * @in: what has come
 * @used: bytes of it that the last message took
 * @in_step: else bytes for another may come before the answer
 */
struct Port {
    int fd, timeout;
    uint32_t sequence;
    GByteArray *in;
    guint used;
    bool in_step;
};

G_DEFINE_QUARK(xdp-port-error-quark, xdp_port_error)

static bool silent(GError **error, const char *why)
{
    g_set_error(error, XDP_PORT_ERROR, XDP_PORT_SILENT, "%s", why);
    return false;
}

Port *port_of_fd(int fd, int timeout)
{
    Port *port = g_new0(Port, 1);

    port->fd = fd;
    port->timeout = timeout;
    port->sequence = g_random_int();
    port->in = g_byte_array_new();
    port->in_step = true;
    return port;
}

Port *port_open(const char *path, int timeout, GError **error)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    Port *port;

    if (fd < 0) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_ABSENT, "%s: %s", path,
                    errno == ENOENT ? "the host gives this guest no port for"
                                      " XDP offload" :
                    errno == EBUSY ? "the port is busy: another process has"
                                     " it open" : g_strerror(errno));
        return NULL;
    }
    port = port_of_fd(fd, timeout);
    port->in_step = false;
    return port;
}

int port_fd(const Port *port)
{
    return port->fd;
}

/* Waits until the descriptor can be read or written; false at the deadline. */
static bool wait_for(Port *port, short events, gint64 deadline, GError **error)
{
    struct pollfd ready = { .fd = port->fd, .events = events };
    gint64 left = deadline - g_get_monotonic_time();

    if (left <= 0) {
        return silent(error, "no answer");
    }
    if (poll(&ready, 1, left / 1000 + 1) < 0 && errno != EINTR) {
        return silent(error, g_strerror(errno));
    }
    return !(ready.revents & POLLHUP) || ready.revents & POLLIN ||
           silent(error, "nobody is at the other end");
}

static gint64 deadline_of(const Port *port)
{
    return g_get_monotonic_time() + port->timeout * G_USEC_PER_SEC;
}

bool port_send(Port *port, const XdpWireMessage *message, GError **error)
{
    g_autoptr(GByteArray) frame = xdp_wire_encode(message);
    gint64 deadline = deadline_of(port);
    guint done = 0;
    ssize_t put;

    if (!frame) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_REFUSED,
                    "it is too large for a frame of the protocol");
        return false;
    }
    while (done < frame->len) {
        put = write(port->fd, frame->data + done, frame->len - done);
        if (put > 0) {
            done += put;
        } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
            return silent(error, g_strerror(errno));
        } else if (!wait_for(port, POLLOUT, deadline, error)) {
            return false;
        }
    }
    return true;
}

/* Length of the frame at the front; 0 if more must come; or -errno. */
static int frame_len(Port *port)
{
    int len;

    for (;;) {
        len = xdp_wire_frame_len(port->in->data, port->in->len);
        if (len >= 0 || port->in_step) {
            return len <= (int)port->in->len ? len : 0;
        }
        g_byte_array_remove_index(port->in, 0);
    }
}

/* Ends at the deadline also where there is always more. */
static bool read_more(Port *port, gint64 deadline, GError **error)
{
    uint8_t bytes[4096];
    ssize_t got;

    if (g_get_monotonic_time() >= deadline) {
        return silent(error, "no answer");
    }
    got = read(port->fd, bytes, sizeof(bytes));
    if (got > 0) {
        g_byte_array_append(port->in, bytes, got);
        return true;
    }
    if (got == 0) {
        return silent(error, "nobody is at the other end");
    }
    if (errno != EAGAIN && errno != EINTR) {
        return silent(error, g_strerror(errno));
    }
    return wait_for(port, POLLIN, deadline, error);
}

static bool receive_until(Port *port, XdpWireMessage *message, gint64 deadline,
                          GError **error)
{
    int len;

    g_byte_array_remove_range(port->in, 0, port->used);
    port->used = 0;
    while ((len = frame_len(port)) == 0) {
        if (!read_more(port, deadline, error)) {
            return false;
        }
    }
    if (len < 0) {
        return silent(error, len == -EPROTONOSUPPORT ?
                      "another version of the protocol is spoken there" :
                      "what comes is no frame");
    }
    port->used = len;
    if (xdp_wire_decode(port->in->data, len, message) == 0 ||
        !port->in_step) {
        return true;
    }
    return silent(error, "what comes cannot be understood");
}

bool port_receive(Port *port, XdpWireMessage *message, GError **error)
{
    return receive_until(port, message, deadline_of(port), error);
}

/* What the host says may be one phrase, or the end of a verifier's log. */
static bool refused(const XdpWireMessage *answer, const char *what,
                    GError **error)
{
    g_autofree char *text = g_utf8_make_valid((const char *)answer->data,
                                              MIN(answer->len, 4096));
    bool is_log = strchr(g_strchomp(text), '\n');

    g_set_error(error, XDP_PORT_ERROR, XDP_PORT_REFUSED, "%s: %s%s%s", what,
                g_strerror(answer->error),
                is_log ? ". The last lines of the host's verifier:\n" :
                *text ? ": " : "", text);
    return false;
}

bool port_ask(Port *port, XdpWireMessage *message, const char *what,
              GError **error)
{
    gint64 deadline = deadline_of(port);
    XdpOp op = message->op;

    message->sequence = ++port->sequence;
    message->answer = false;
    if (!port_send(port, message, error)) {
        return false;
    }
    do {
        if (!receive_until(port, message, deadline, error)) {
            return false;
        }
        if (message->answer && message->op == op &&
            message->sequence == port->sequence) {
            port->in_step = true;
            return !message->error || refused(message, what, error);
        }
    } while (!port->in_step);
    return silent(error, "the answer is to something else");
}

void port_close(Port *port)
{
    if (port) {
        close(port->fd);
        g_byte_array_unref(port->in);
        g_free(port);
    }
}
