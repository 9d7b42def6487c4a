/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper: the process that has the port open as long as the host is to run
 * the program, and through which other processes speak to the host.
 *
 *                  the host takes it
 *     NO_HOST ──────────────────────────▶ OFFLOADED
 *      ▲  │  ◀──────────────────────────      │ it lost the program, or is
 *      │  │      it is gone, or silent        │ asked again and refuses
 *      │  └─────────▶ REFUSED ◀───────────────┘
 *      └────────────────┘ it is gone: the next one may take it
 *
 * In NO_HOST the port is closed, so the host has nothing. Where the program is
 * not the device's any more the keeper ends, whoever removed it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "xdp-offload.h"

enum {
    TICK = 1000,                /* ms: how often the device is looked at */
    ASK_TICKS = 5,              /* so many, and the host is asked again */
    CLIENT_TIMEOUT = 10,        /* s, for the rest of a request */
    BACKLOG = 8,
};

typedef enum KeeperState {
    KEEPER_NO_HOST,
    KEEPER_REFUSED,
    KEEPER_OFFLOADED,
} KeeperState;

/**
 * Keeper:
 * @port: NULL in KEEPER_NO_HOST
 * @why: not in KEEPER_OFFLOADED
 */
typedef struct Keeper {
    const char *device;
    const Options *options;
    Offer *offer;
    KeeperState state;
    Port *port;
    GError *why;
    bool ended;
} Keeper;

static const char folder[] = "/run/xdp-offload";

static bool socket_address(const char *place, struct sockaddr_un *address,
                           GError **error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    return g_snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s",
                      folder, place) < (int)sizeof(address->sun_path) ||
           refuse(error, "the name of the socket is too long");
}

int lock_take(GError **error)
{
    int fd = -1;

    if (mkdir(folder, 0700) == 0 || errno == EEXIST) {
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
        return fd;
    }
    refuse(error, "cannot use %s: %s", folder, g_strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int keeper_listen(const char *place, GError **error)
{
    struct sockaddr_un address;
    int fd;

    if (!socket_address(place, &address, error)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (fd >= 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, BACKLOG) == 0) {
        return fd;
    }
    refuse(error, "cannot listen on %s: %s", address.sun_path,
           g_strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

Port *keeper_connect(const char *place, int timeout, GError **error)
{
    struct sockaddr_un address;
    int fd;

    if (!socket_address(place, &address, error)) {
        return NULL;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_ABSENT,
                    errno == ENOENT || errno == ECONNREFUSED ?
                    "no xdp-offload process keeps it there: load it again" :
                    "cannot connect to %s: %s", address.sun_path,
                    g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    /* The keeper itself may be waiting for the host. */
    return port_of_fd(fd, 2 * timeout + CLIENT_TIMEOUT);
}

bool keeper_end(const char *place, int timeout, GError **error)
{
    XdpWireMessage message = { XDP_OP_PROG_UNSET };
    g_autoptr(GError) why = NULL;
    g_autoptr(Port) keeper = keeper_connect(place, timeout, NULL);
    g_autoptr(Port) again = NULL;
    struct sockaddr_un address;

    if (!keeper) {
        return true;
    }
    if (!port_ask(keeper, &message, "the host", &why) &&
        g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_SILENT)) {
        /* It may have ended by itself, since the program is another one. */
        again = keeper_connect(place, timeout, NULL);
        return !again ||
               refuse(error, "the xdp-offload process that has the port does"
                      " not end: %s", why->message);
    }
    /* It closes the port, and then this connection. */
    port_receive(keeper, &message, NULL);
    if (socket_address(place, &address, NULL)) {
        unlink(address.sun_path);
    }
    return true;
}

/* What happened, for the log. */
static void note(const Keeper *k, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static void note(const Keeper *k, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (k->options->foreground) {
        say("%s: %s", k->device, text);
    } else {
        syslog(LOG_NOTICE, "%s: %s", k->device, text);
    }
}

static void enter(Keeper *k, KeeperState state, GError *why)
{
    if (state == KEEPER_OFFLOADED && k->offer->untyped) {
        note(k, "the host knows no types of %s", k->offer->untyped);
    }
    if (state == KEEPER_OFFLOADED) {
        note(k, "offloaded: the host runs the program, too");
    } else if (state != k->state) {
        note(k, "the program runs in the guest alone: %s", why->message);
    }
    k->state = state;
    g_clear_error(&k->why);
    k->why = why;
    if (state == KEEPER_NO_HOST) {
        g_clear_pointer(&k->port, port_close);
    }
}

/* Offers all to whoever is at the port. */
static void offer_again(Keeper *k)
{
    GError *why = NULL;

    if (!k->port) {
        k->port = port_open(k->options->port, k->options->timeout, &why);
    }
    if (k->port && offer_make(k->offer, k->port, &why)) {
        enter(k, KEEPER_OFFLOADED, NULL);
    } else if (g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_REFUSED)) {
        enter(k, KEEPER_REFUSED, why);
    } else {
        enter(k, KEEPER_NO_HOST, why);
    }
}

/* Has the host still got it? */
static void ask_host(Keeper *k)
{
    XdpWireMessage message = { XDP_OP_STATS };
    GError *why = NULL;

    if (k->state == KEEPER_NO_HOST) {
        offer_again(k);
    } else if (k->state == KEEPER_OFFLOADED) {
        if (port_ask(k->port, &message, "the host", &why) &&
            message.stats.since) {
            return;
        }
        if (g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_SILENT)) {
            enter(k, KEEPER_NO_HOST, why);
        } else {
            g_clear_error(&why);
            offer_again(k);
        }
    }
}

static void set_error(XdpWireMessage *message, uint32_t error,
                      const char *text)
{
    message->answer = true;
    message->error = error;
    message->data = (const uint8_t *)text;
    message->len = strlen(text);
}

/* Puts the host's handle in the place of the guest's number of a map. */
static bool translate_handle(const Keeper *k, XdpWireMessage *message)
{
    guint i;

    for (i = 0; i < k->offer->maps->len; i++) {
        const GuestMap *map = &g_array_index(k->offer->maps, GuestMap, i);

        if (map->info.id == message->entries.handle) {
            message->entries.handle = map->handle;
            return true;
        }
    }
    return false;
}

/* Makes the answer of a request, which is what the host says. */
static void answer(Keeper *k, XdpWireMessage *message, GError **why)
{
    uint32_t sequence = message->sequence;

    if (message->op == XDP_OP_PROG_UNSET) {
        k->ended = true;
    }
    if (k->state != KEEPER_OFFLOADED) {
        set_error(message, ENOTCONN, k->why->message);
        return;
    }
    switch (message->op) {
    case XDP_OP_HELLO:
        *message = k->offer->hello;
        break;
    case XDP_OP_LOOKUP ... XDP_OP_NEXT:
        if (!translate_handle(k, message)) {
            set_error(message, EBADF, "the host has no such map");
            break;
        }
        /* fall through */
    case XDP_OP_PROG_UNSET:
    case XDP_OP_STATS:
        if (!port_ask(k->port, message, "the host", why) &&
            !g_error_matches(*why, XDP_PORT_ERROR, XDP_PORT_REFUSED)) {
            set_error(message, EIO, (*why)->message);
        } else if (!message->answer) {
            set_error(message, E2BIG, (*why)->message);
        }
        break;
    default:
        set_error(message, EOPNOTSUPP, "");
    }
    message->sequence = sequence;
}

/* One connection, to its end. */
static void serve(Keeper *k, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    XdpWireMessage message;
    Port *client;

    if (fd < 0) {
        return;
    }
    client = port_of_fd(fd, CLIENT_TIMEOUT);
    while (!k->ended && port_receive(client, &message, NULL)) {
        GError *why = NULL;
        bool good;

        answer(k, &message, &why);
        good = port_send(client, &message, NULL);
        if (g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_SILENT)) {
            enter(k, KEEPER_NO_HOST, why);
        } else {
            g_clear_error(&why);
        }
        if (!good) {
            break;
        }
    }
    if (k->ended) {
        g_clear_pointer(&k->port, port_close);
    }
    port_close(client);
}

static void wait_for_something(Keeper *k, int listener)
{
    struct pollfd fds[] = {
        { .fd = listener, .events = POLLIN },
        { .fd = k->port ? port_fd(k->port) : -1, .events = POLLIN },
    };

    if (poll(fds, G_N_ELEMENTS(fds), TICK) <= 0) {
        return;
    }
    if (fds[1].revents) {
        enter(k, KEEPER_NO_HOST,
              g_error_new_literal(XDP_PORT_ERROR, XDP_PORT_SILENT,
                                  fds[1].revents & (POLLHUP | POLLERR) ?
                                  "nobody is at the other end" :
                                  "the host says what it was not asked"));
    }
    if (fds[0].revents) {
        serve(k, listener);
    }
}

void keeper_run(const char *device, Offer *offer, int listener, Port *port,
                GError *why, const Options *options)
{
    Keeper k = { device, options, offer, KEEPER_OFFLOADED, port, why };
    const gint64 pause = ASK_TICKS * TICK * (G_USEC_PER_SEC / 1000);
    gint64 next = g_get_monotonic_time() + pause;

    if (why) {
        k.state = g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_REFUSED) ?
                  KEEPER_REFUSED : KEEPER_NO_HOST;
    }
    if (k.state == KEEPER_NO_HOST) {
        g_clear_pointer(&k.port, port_close);
    }
    while (!k.ended && native_is(offer->ifindex, offer->program_id)) {
        if (g_get_monotonic_time() >= next) {
            ask_host(&k);
            next = g_get_monotonic_time() + pause;
        }
        wait_for_something(&k, listener);
    }
    if (!k.ended) {
        note(&k, "the program is not attached any more: ends");
    }
    g_clear_pointer(&k.port, port_close);
    g_clear_error(&k.why);
    close(listener);
}
