/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev bpfhv-proxy: the socket to the process that serves a bpfhv card.
 * bpfhv-remote.c knows what to say there (docs/bpfhv_proxy.rst).
 *
 *     AWAY ── connects ──▶ THERE ── closes ──▶ AWAY
 *                            └── fails ──▶ GIVEN_UP ── disconnected ──▶ AWAY
 *
 * The chardev connects, and tells when the other end has gone. Messages go by
 * its descriptor, for it could only wait without a limit.
 *
 * A backend is not trusted: a wrong answer, or none in time, ends the
 * connection. All the time that QEMU waits is counted, and may be PATIENCE_US
 * at once and a quarter in the long run, whoever connects how often. Nothing is
 * sent before the guest has done something, so that to connect costs QEMU no
 * time. MAX_TOLD faults are told.
 */
#include "qemu/osdep.h"
#include <poll.h>
#include "chardev/char-fe.h"
#include "chardev/char-socket.h"
#include "io/channel-socket.h"
#include "net/clients.h"
#include "qapi/qapi-types-net.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

#include "bpfhv-compat.h"
#include "bpfhv-proxy.h"
#include "linux/bpfhv/bpfhv_abi.h"
#include "net/bpfhv_link.h"

enum {
    PATIENCE_US = 3000000,
    PATIENCE_SHARE = 4,
    MAX_TOLD = 16,
};

typedef enum State { AWAY, THERE, GIVEN_UP } State;

/*
 * One for each queue. The first one's has all that follows the client.
 * patience: microseconds that it has left at patience_at
 */
struct BpfhvBackend {
    NetClientState nc;
    BPFHV_CHARDEV chardev;
    State state;
    BpfhvLink *link;
    QEMUBH *disconnect;
    int64_t patience, patience_at;
    unsigned told;
    void (*changed)(void *opaque);
    void *opaque;
};

static void describe(BpfhvBackend *b)
{
    NetClientState *ncs[BPFHV_MAX_QUEUE_PAIRS];
    int count = qemu_find_net_clients_except(
        b->nc.name, ncs, NET_CLIENT_DRIVER_NIC, ARRAY_SIZE(ncs));

    for (int i = 0; i < MIN(count, ARRAY_SIZE(ncs)); i++) {
        qemu_set_info_str(ncs[i], "bpfhv-proxy to %s: %s",
                          qemu_chr_fe_get_driver(&b->chardev)->label,
                          b->state == THERE ? "connected" : "no backend");
    }
}

static void set_state(BpfhvBackend *b, State state)
{
    bool was = b->state == THERE, is = state == THERE;

    b->state = state;
    if (was != is) {
        describe(b);
        if (b->changed) {
            b->changed(b->opaque);
        }
    }
}

static void warn(BpfhvBackend *b, const char *what)
{
    if (b->told++ < MAX_TOLD) {
        warn_report("%s: the link is down until another bpfhv backend "
                    "connects: %s%s", b->nc.name, what, b->told < MAX_TOLD ?
                    "" : "; more of this kind is not told");
    }
}

void bpfhv_backend_give_up(BpfhvBackend *b, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    if (b->state != THERE) {
        return;
    }
    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    warn(b, what);
    /* Not now: this may be in the midst of the chardev's work. */
    qemu_bh_schedule(b->disconnect);
    set_state(b, GIVEN_UP);
}

static void disconnect(void *opaque)
{
    BpfhvBackend *b = opaque;

    qemu_chr_fe_disconnect(&b->chardev);
}

static void opened(BpfhvBackend *b)
{
    Chardev *chr = qemu_chr_fe_get_driver(&b->chardev);

    bpfhv_link_clear(b->link);
    b->link->socket = SOCKET_CHARDEV(chr)->sioc->fd;
    set_state(b, THERE);
}

static void closed(BpfhvBackend *b)
{
    qemu_bh_cancel(b->disconnect);
    if (b->state == THERE && b->changed) {
        warn(b, "the one that there was has closed the connection");
    }
    set_state(b, AWAY);
    bpfhv_link_clear(b->link);
    b->link->socket = -1;
}

static void on_event(void *opaque, QEMUChrEvent event)
{
    if (event == CHR_EVENT_OPENED) {
        opened(opaque);
    } else if (event == CHR_EVENT_CLOSED) {
        closed(opaque);
    }
}

/* Requests */

/* Wait for the socket; false: it took too long. */
static bool wait_for(BpfhvBackend *b, short events)
{
    struct pollfd ready = { .fd = b->link->socket, .events = events };
    int64_t begin = g_get_monotonic_time(), end;
    bool interrupted;
    int count;

    b->patience = MIN(PATIENCE_US, b->patience + (begin - b->patience_at) /
                      PATIENCE_SHARE);
    count = poll(&ready, 1, b->patience / 1000);
    interrupted = count < 0 && errno == EINTR;
    end = g_get_monotonic_time();
    b->patience = MAX(0, b->patience - (end - begin));
    b->patience_at = end;
    return count > 0 || interrupted;
}

static bool send_request(BpfhvBackend *b, const BpfhvProxyMessage *request,
                         const int *fds)
{
    bool sent = bpfhv_link_send(b->link, request, fds);

    while (sent && b->link->out) {
        if (!wait_for(b, POLLOUT)) {
            bpfhv_backend_give_up(b, "it does not take %s",
                                  bpfhv_proxy_name(request->type));
            return false;
        }
        sent = bpfhv_link_flush(b->link);
    }
    if (!sent) {
        bpfhv_backend_give_up(b, "it has closed the connection before %s",
                              bpfhv_proxy_name(request->type));
    }
    return sent;
}

static bool is_yes(BpfhvBackend *b, const BpfhvProxyMessage *request,
                   BpfhvLinkState state, const BpfhvProxyMessage *answer)
{
    const char *name = bpfhv_proxy_name(request->type);

    if (state == BPFHV_LINK_ENDED) {
        bpfhv_backend_give_up(b, b->link->len ? "its answer to %s is not of "
                              "version 2 of the protocol" :
                              "it has closed the connection after %s", name);
    } else if (state == BPFHV_LINK_BAD_MESSAGE ||
               answer->type != request->type) {
        bpfhv_backend_give_up(b, "its answer to %s makes no sense", name);
    } else if (answer->refused) {
        bpfhv_backend_give_up(b, "it refuses %s: %s", name, answer->text);
    } else {
        return true;
    }
    return false;
}

bool bpfhv_backend_ask(BpfhvBackend *b, const BpfhvProxyMessage *request,
                       const int *fds, BpfhvProxyMessage *answer)
{
    BpfhvProxyMessage unused;
    BpfhvLinkState state;

    if (b->state != THERE) {
        return false;
    }
    answer = answer ? answer : &unused;
    bpfhv_link_next(b->link);
    if (!send_request(b, request, fds)) {
        return false;
    }
    while ((state = bpfhv_link_receive(b->link, answer)) ==
           BPFHV_LINK_WAITS) {
        if (!wait_for(b, POLLIN)) {
            bpfhv_backend_give_up(b, "it does not answer %s in time",
                                  bpfhv_proxy_name(request->type));
            return false;
        }
    }
    return is_yes(b, request, state, answer);
}

bool bpfhv_backend_is_there(const BpfhvBackend *b)
{
    return b->state == THERE;
}

void bpfhv_backend_watch(BpfhvBackend *b, void (*changed)(void *opaque),
                         void *opaque)
{
    b->changed = changed;
    b->opaque = opaque;
}

/* The netdev */

/* No packet goes by QEMU. */
static ssize_t drop(NetClientState *nc, const uint8_t *bytes, size_t size)
{
    return size;
}

static bool check_peer(NetClientState *nc, ObjectClass *oc, Error **errp)
{
    if (g_strcmp0(object_class_get_name(oc), "bpfhv-pci")) {
        error_setg(errp, "bpfhv-proxy works with bpfhv-pci only");
        return false;
    }
    return true;
}

/* What there is is freed with the peer, which may still ask. */
void bpfhv_backend_close(BpfhvBackend *b)
{
    if (!b->link) {
        return;
    }
    set_state(b, AWAY);
    /* It has the guest's memory, and may not have answered. */
    qemu_chr_fe_disconnect(&b->chardev);
    qemu_bh_delete(b->disconnect);
    qemu_chr_fe_deinit(&b->chardev, false);
    bpfhv_link_clear(b->link);
    g_free(b->link);
    b->link = NULL;
}

static void cleanup(NetClientState *nc)
{
    bpfhv_backend_close(DO_UPCAST(BpfhvBackend, nc, nc));
}

static NetClientInfo client_info = {
    .type = NET_CLIENT_DRIVER_BPFHV_PROXY,
    .size = sizeof(BpfhvBackend),
    .receive = drop,
    .cleanup = cleanup,
    .check_peer_type = check_peer,
};

BpfhvBackend *bpfhv_backend_of(NetClientState *nc)
{
    return nc && nc->info == &client_info ? DO_UPCAST(BpfhvBackend, nc, nc)
                                          : NULL;
}

static Chardev *find_chardev(const char *id, Error **errp)
{
    Chardev *chr = qemu_chr_find(id);

    if (!chr) {
        error_setg(errp, "there is no chardev '%s'", id);
    } else if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET) ||
               !qemu_chr_has_feature(chr, QEMU_CHAR_FEATURE_FD_PASS)) {
        error_setg(errp, "chardev '%s' is not a unix socket", id);
        chr = NULL;
    }
    return chr;
}

int net_init_bpfhv_proxy(const Netdev *netdev, const char *name,
                         NetClientState *peer, Error **errp)
{
    const NetdevBpfhvProxyOptions *options = &netdev->u.bpfhv_proxy;
    int64_t queues = options->has_queues ? options->queues : 1;
    Chardev *chr = find_chardev(options->chardev, errp);
    BpfhvBackend *first = NULL;

    if (!chr) {
        return -1;
    }
    if (queues < 1 || queues > BPFHV_MAX_QUEUE_PAIRS) {
        error_setg(errp, "queues: 1 to %d", BPFHV_MAX_QUEUE_PAIRS);
        return -1;
    }
    for (int i = 0; i < queues; i++) {
        NetClientState *nc = qemu_new_net_client(&client_info, peer,
                                                 "bpfhv-proxy", name);

        nc->queue_index = i;
        first = first ? first : DO_UPCAST(BpfhvBackend, nc, nc);
    }
    if (!qemu_chr_fe_init(&first->chardev, chr, errp)) {
        qemu_del_net_client(&first->nc);
        return -1;
    }
    first->link = g_new0(BpfhvLink, 1);
    first->link->socket = -1;
    first->link->receives_answers = true;
    first->patience = PATIENCE_US;
    first->patience_at = g_get_monotonic_time();
    first->disconnect = qemu_bh_new(disconnect, first);
    describe(first);
    qemu_chr_fe_set_handlers(&first->chardev, NULL, NULL, on_event, NULL,
                             first, NULL, true);
    return 0;
}
