/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -chardev xdp-offload: the other end of the port by which a guest hands its
 * XDP program to its network card
 *
 *     guest ── port ──▶ this ── socket ──▶ qemu-xdp-helper ── bpf() ──▶ tap
 *
 * It carries frames (xdp_wire.h), one at a time, limits how often a guest has
 * the helper begin anew, and owns the life cycle: the helper's connection ends,
 * and with it all that the guest has in the host, when the guest closes the
 * port or is reset, when the card or its netdev is gone, and when either side
 * says what it should not. A card that goes is told of; of its netdev nobody
 * tells, so that is looked at each second.
 *
 *     CLOSED ── a request ──▶ CONNECTS ── the helper is ready ──▶ ASKS ◀─┐
 *       ▲                        │                                 │     │
 *       │◀─── the helper says no ┘                  its answer ────┘     │
 *       │                                                ▼     a request │
 *       │                                               IDLE ────────────┘
 *       │ port closed, reset        any but CLOSED
 *       └──────────────────── BROKEN ◀── nonsense, or the helper is gone
 *
 * When a migration begins the stream is closed, as in BROKEN, and until it ends
 * each time that the guest asks: a program that was left in the tap would go on
 * for a guest that is elsewhere. A port that comes open from elsewhere is closed
 * likewise, since half a request may have come from there. Wherever the guest
 * goes on, it begins anew.
 */
#include "qemu/osdep.h"
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/un.h>
#include "net/socket_fds.h"
#include "net/tap.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/sockets.h"
#include "trace.h"
#include "xdp-offload-internal.h"

enum {
    ANSWER_MS = 30000,          /* loading a program takes seconds at most */
    LOOK_MS = 1000,             /* how often it looks if the netdev is there */

    /*
     * A new helper has a second of a processor saved, and then a fifth of one
     * (xdp_session.c). So a connection costs five seconds; ten may be ahead.
     */
    CONNECTION_MS = 5000,
    CREDIT_MS = 9 * CONNECTION_MS,
};

XdpOffloads xdp_offloads = QTAILQ_HEAD_INITIALIZER(xdp_offloads);

static void set_reason(XdpOffload *s, const char *reason)
{
    trace_xdp_offload_reason(CHARDEV(s)->label, reason);
    g_free(s->reason);
    s->reason = g_strdup(reason);
}

static void enter(XdpOffload *s, XdpOffloadState state)
{
    if (s->state != state) {
        s->state = state;
        trace_xdp_offload_state(CHARDEV(s)->label,
                                XdpOffloadState_str(state));
    }
}

/* Nothing of the guest is in the host any more. */
static void end_session(XdpOffload *s, XdpOffloadState state)
{
    if (s->socket >= 0) {
        qemu_set_fd_handler(s->socket, NULL, NULL, NULL);
        close(s->socket);
        s->socket = -1;
    }
    if (s->counters) {
        munmap((void *)s->counters, s->n_counters * sizeof(*s->counters));
        s->counters = NULL;
    }
    timer_del(s->deadline);
    timer_del(s->look);
    s->in_len = s->out_len = s->out_at = 0;
    s->examines = false;
    s->memory = 0;
    g_free(s->redirected);
    s->redirected = NULL;
    enter(s, state);
}

/*
 * The guest learns it by the end of its stream: not now, as it may be in the
 * middle of a write.
 */
static void break_off(XdpOffload *s, const char *reason)
{
    set_reason(s, reason);
    end_session(s, XDP_OFFLOAD_STATE_BROKEN);
    timer_mod(s->deadline, qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
}

static void flush(XdpOffload *s)
{
    Chardev *chr = CHARDEV(s);

    while (s->out_at < s->out_len) {
        int room = qemu_chr_be_can_write(chr);
        int len = MIN(room, (int)(s->out_len - s->out_at));

        if (len <= 0) {
            return;
        }
        s->out_at += len;
        qemu_chr_be_write(chr, s->out + s->out_at - len, len);
    }
    s->out_len = s->out_at = 0;
}

/*
 * QEMU itself answers the request. @reason is for the host's administrator; it
 * may have names that are not the guest's business.
 */
static void refuse(XdpOffload *s, uint32_t err, const char *reason)
{
    const char *told = "XDP offload is unavailable; in the host \"info"
                       " xdp-offload\" tells why";
    const XdpWireMessage answer = {
        .op = s->request.op, .answer = true, .sequence = s->request.sequence,
        .error = err, .data = (const uint8_t *)told, .len = strlen(told),
    };
    GByteArray *frame = xdp_wire_encode(&answer);

    set_reason(s, reason);
    s->in_len = 0;
    memcpy(s->out, frame->data, frame->len);
    s->out_len = frame->len;
    g_byte_array_free(frame, true);
    flush(s);
}

static NetClientState *find_tap(XdpOffload *s, Error **errp)
{
    NetClientState *nc = NULL, *found[1];

    /* The tap of a card may have the card's own name. */
    if (qemu_find_net_clients_except(s->nic, found, NET_CLIENT_DRIVER_TAP,
                                     1) > 0 &&
        found[0]->info->type == NET_CLIENT_DRIVER_NIC) {
        nc = found[0];
    }
    if (!nc) {
        error_setg(errp, "there is no network card '%s'", s->nic);
    } else if (!nc->peer || nc->peer->info->type != NET_CLIENT_DRIVER_TAP ||
               qemu_get_nic(nc)->peer_deleted) {
        error_setg(errp, "network card '%s' is not on a tap", s->nic);
        nc = NULL;
    }
    return nc ? nc->peer : NULL;
}

static bool send_request(XdpOffload *s, int tap_fd)
{
    return send_fds(s->socket, &s->limits, sizeof(s->limits), &tap_fd, 1,
                    MSG_DONTWAIT) == sizeof(s->limits);
}

static void helper_speaks(void *opaque);
static void device_goes(DeviceListener *listener, DeviceState *dev);

/* Not when it is opened: a chardev is there before the machine is. */
static void listen_to_cards(XdpOffload *s)
{
    if (!s->cards.unrealize) {
        s->cards.unrealize = device_goes;
        device_listener_register(&s->cards);
    }
}

static bool connect_helper(XdpOffload *s, Error **errp)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    NetClientState *tap = find_tap(s, errp);
    struct ifreq ifr = { 0 };

    if (!tap) {
        return false;
    }
    if (strlen(s->helper) >= sizeof(address.sun_path)) {
        error_setg(errp, "the path of the helper's socket is too long");
        return false;
    }
    pstrcpy(address.sun_path, sizeof(address.sun_path), s->helper);
    s->socket = qemu_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    if (s->socket < 0) {
        error_setg_errno(errp, errno, "cannot make a socket");
        return false;
    }
    if (connect(s->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        !send_request(s, tap_get_fd(tap))) {
        error_setg_errno(errp, errno, "cannot connect to %s", s->helper);
        close(s->socket);
        s->socket = -1;
        return false;
    }
    listen_to_cards(s);
    s->tap = tap;
    s->ifname[0] = 0;
    if (ioctl(tap_get_fd(tap), TUNGETIFF, &ifr) == 0) {
        pstrcpy(s->ifname, sizeof(s->ifname), ifr.ifr_name);
    }
    enter(s, XDP_OFFLOAD_STATE_CONNECTS);
    qemu_set_fd_handler(s->socket, helper_speaks, NULL, s);
    timer_mod(s->deadline, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ANSWER_MS);
    timer_mod(s->look, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + LOOK_MS);
    return true;
}

static void forward(XdpOffload *s)
{
    timer_del(s->deadline);
    enter(s, XDP_OFFLOAD_STATE_IDLE);
    if (send(s->socket, s->in, s->in_len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
        s->in_len) {
        break_off(s, "the helper does not take requests");
        return;
    }
    enter(s, XDP_OFFLOAD_STATE_ASKS);
    timer_mod(s->deadline, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ANSWER_MS);
}

/* Connects, as soon as the guest may. */
static void begin(XdpOffload *s)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    Error *err = NULL;

    if (now < s->paid_ms - CREDIT_MS) {
        enter(s, XDP_OFFLOAD_STATE_CONNECTS);
        timer_mod(s->deadline, s->paid_ms - CREDIT_MS);
    } else if (connect_helper(s, &err)) {
        s->paid_ms = MAX(s->paid_ms, now) + CONNECTION_MS;
    } else {
        enter(s, XDP_OFFLOAD_STATE_CLOSED);
        refuse(s, ENODEV, error_get_pretty(err));
        error_free(err);
    }
}

/* The frame in @in is whole. */
static void request(XdpOffload *s)
{
    /* The helper says what is wrong with a body or an operation. */
    xdp_wire_decode(s->in, s->in_len, &s->request);
    if (s->request.answer) {
        break_off(s, "the guest sent an answer");
    } else if (s->migrates) {
        break_off(s, "the VM migrates");
    } else if (s->state == XDP_OFFLOAD_STATE_IDLE) {
        forward(s);
    } else {
        begin(s);
    }
}

/* Adds to @in, up to the end of a frame; returns how much it took. */
static size_t take(XdpOffload *s, const uint8_t *bytes, size_t len)
{
    size_t wanted = XDP_WIRE_HEADER;
    int frame;

    if (s->in_len >= XDP_WIRE_HEADER) {
        wanted = xdp_wire_frame_len(s->in, s->in_len);  /* it was looked at */
    }
    len = MIN(len, wanted - s->in_len);
    memcpy(s->in + s->in_len, bytes, len);
    s->in_len += len;
    frame = xdp_wire_frame_len(s->in, s->in_len);
    if (frame < 0) {
        break_off(s, "the guest sent what is no frame");
    } else if (frame > 0 && s->in_len == frame) {
        request(s);
    }
    return len;
}

/* Nothing is written before the last request is answered, and that is read. */
static int xdp_offload_write(Chardev *chr, const uint8_t *bytes, int len)
{
    XdpOffload *s = CHARDEV_XDP_OFFLOAD(chr);
    int done = 0;

    if (!s->opened && s->state != XDP_OFFLOAD_STATE_BROKEN) {
        break_off(s, "the guest has not opened the port");
    }
    while (done < len && s->state != XDP_OFFLOAD_STATE_BROKEN) {
        if (s->state == XDP_OFFLOAD_STATE_CONNECTS ||
            s->state == XDP_OFFLOAD_STATE_ASKS || s->out_len) {
            break_off(s, "the guest did not wait for an answer");
            break;
        }
        done += take(s, bytes + done, len - done);
    }
    return len;
}

/*
 * Receives text, with a zero behind it, and a descriptor or -1. Returns the
 * text's length, 0 at the end, or -1 with errno set.
 */
static ssize_t receive_text(XdpOffload *s, char *text, size_t size, int *fd)
{
    ssize_t len = receive_fd(s->socket, text, size - 1, 0, fd);

    text[MAX(len, 0)] = 0;
    return len;
}

/*
 * Counters are only shown, so it works without. Not those in a file: it could
 * become shorter than it was mapped.
 */
static void map_counters(XdpOffload *s, int fd, size_t n)
{
    struct stat status;
    void *counters;

    if (fd < 0 || fstat(fd, &status) < 0 || S_ISREG(status.st_mode)) {
        return;
    }
    counters = mmap(NULL, n * sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (counters != MAP_FAILED) {
        s->counters = counters;
        s->n_counters = n;
    }
}

/* The helper's first message, with a descriptor of the counters. */
static void helper_is_ready(XdpOffload *s)
{
    char text[XDP_HELPER_TEXT_MAX + 1];
    unsigned n = 0;
    int fd;
    ssize_t len = receive_text(s, text, sizeof(text), &fd);

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len > 0 && sscanf(text, XDP_HELPER_READY ", %u counters", &n) == 1 &&
        n > 0 && n <= XDP_HELPER_MAX_COUNTERS) {
        map_counters(s, fd, n);
        forward(s);
    } else {
        end_session(s, XDP_OFFLOAD_STATE_CLOSED);
        refuse(s, ENODEV, len > 0 ? text : "the helper ended at once");
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* What an answer tells of the host. */
static void learn(XdpOffload *s, const XdpWireMessage *answer)
{
    if (answer->error) {
        g_autofree char *text = g_strndup((const char *)answer->data,
                                          answer->len);

        set_reason(s, text[0] ? text : strerror(answer->error));
    } else if (answer->op == XDP_OP_PROG_SET) {
        s->examines = true;
        s->since_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
        memcpy(s->program, s->request.program.name, sizeof(s->program));
    } else if (answer->op == XDP_OP_PROG_UNSET ||
               answer->op == XDP_OP_HELLO) {
        s->examines = false;
    } else if (answer->op == XDP_OP_STATS) {
        s->memory = answer->stats.memory;
    }
}

/* Whether the message in @out is text for QEMU: see xdp_helper_wire.h */
static bool learn_redirected(XdpOffload *s, size_t len)
{
    const size_t begin = strlen(XDP_HELPER_REDIRECTED);

    if (len < begin || len > XDP_HELPER_TEXT_MAX ||
        memcmp(s->out, XDP_HELPER_REDIRECTED, begin)) {
        return false;
    }
    g_free(s->redirected);
    s->redirected = g_utf8_make_valid((const char *)s->out + begin,
                                      len - begin);
    return true;
}

static void helper_answers(XdpOffload *s)
{
    ssize_t len = recv(s->socket, s->out, sizeof(s->out),
                       MSG_DONTWAIT | MSG_TRUNC);
    XdpWireMessage answer;
    int decoded;

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len <= 0) {
        break_off(s, "the helper ended");
        return;
    }
    if (s->state != XDP_OFFLOAD_STATE_ASKS || len > sizeof(s->out)) {
        break_off(s, "the helper sent what it was not asked for");
        return;
    }
    if (learn_redirected(s, len)) {
        return;
    }
    /* An operation that nobody here knows may be one of the helper's. */
    decoded = xdp_wire_decode(s->out, len, &answer);
    if ((decoded < 0 && decoded != -EOPNOTSUPP) || !answer.answer ||
        answer.op != s->request.op ||
        answer.sequence != s->request.sequence) {
        break_off(s, "the helper sent what is no answer");
        return;
    }
    timer_del(s->deadline);
    learn(s, &answer);
    enter(s, XDP_OFFLOAD_STATE_IDLE);
    s->in_len = 0;
    s->out_len = len;
    s->out_at = 0;
    flush(s);
}

static void helper_speaks(void *opaque)
{
    XdpOffload *s = opaque;

    if (s->state == XDP_OFFLOAD_STATE_CONNECTS) {
        helper_is_ready(s);
    } else {
        helper_answers(s);
    }
}

/*
 * A connection is due; no answer for too long; the guest is to learn an end, or
 * to have an answer that it could not take.
 */
static void deadline(void *opaque)
{
    XdpOffload *s = opaque;

    if (s->state == XDP_OFFLOAD_STATE_BROKEN) {
        qemu_chr_be_event(CHARDEV(s), CHR_EVENT_CLOSED);
    } else if (s->out_len) {
        flush(s);
    } else if (s->socket < 0) {
        begin(s);
    } else {
        break_off(s, "the helper did not answer");
    }
}

/* A tap of the host can outlive the netdev. */
static void look(void *opaque)
{
    XdpOffload *s = opaque;

    if (find_tap(s, NULL) != s->tap) {
        break_off(s, "the netdev of the network card was removed");
        return;
    }
    timer_mod(s->look, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + LOOK_MS);
}

/* While the machine is stopped its ports take nothing. */
static void machine_runs(void *opaque, bool running, RunState state)
{
    XdpOffload *s = opaque;

    if (running && (s->out_len || s->state == XDP_OFFLOAD_STATE_BROKEN)) {
        timer_mod(s->deadline, qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    }
}

static void migration_changed(XdpOffloadMigration *migration, bool begins)
{
    XdpOffload *s = container_of(migration, XdpOffload, migration);

    s->migrates = begins;
    if (begins && s->state != XDP_OFFLOAD_STATE_CLOSED &&
        s->state != XDP_OFFLOAD_STATE_BROKEN) {
        break_off(s, "the VM migrates");
    }
}

static void device_goes(DeviceListener *listener, DeviceState *dev)
{
    XdpOffload *s = container_of(listener, XdpOffload, cards);

    if (s->socket >= 0 && g_strcmp0(dev->id, s->nic) == 0) {
        break_off(s, "the network card was removed");
    }
}

static void xdp_offload_reset(void *opaque)
{
    XdpOffload *s = opaque;

    end_session(s, XDP_OFFLOAD_STATE_CLOSED);
    s->arrives = true;
}

/* Follows that, unless a snapshot is loaded. */
static void xdp_offload_begins_anew(void *opaque)
{
    XdpOffload *s = opaque;

    s->arrives = runstate_check(RUN_STATE_INMIGRATE);
}

static void xdp_offload_set_fe_open(Chardev *chr, int fe_open)
{
    XdpOffload *s = CHARDEV_XDP_OFFLOAD(chr);
    bool came = fe_open && s->arrives && runstate_is_running();

    s->opened = fe_open;
    s->arrives = s->arrives && !runstate_is_running();
    end_session(s, XDP_OFFLOAD_STATE_CLOSED);
    if (came) {
        break_off(s, "the VM was elsewhere when its guest opened the port");
    } else {
        qemu_chr_be_event(chr, CHR_EVENT_OPENED);
    }
}

static void xdp_offload_accept_input(Chardev *chr)
{
    flush(CHARDEV_XDP_OFFLOAD(chr));
}

static void xdp_offload_parse(QemuOpts *opts, ChardevBackend *backend,
                              Error **errp)
{
    const char *nic = qemu_opt_get(opts, "nic");
    const char *gso = qemu_opt_get(opts, "gso");
    ChardevXdpOffload *config;

    if (!nic) {
        error_setg(errp, "chardev: xdp-offload: the network card is missing"
                   " (nic=ID)");
        return;
    }
    backend->type = CHARDEV_BACKEND_KIND_XDP_OFFLOAD;
    config = backend->u.xdp_offload.data = g_new0(ChardevXdpOffload, 1);
    qemu_chr_parse_common(opts, qapi_ChardevXdpOffload_base(config));
    config->nic = g_strdup(nic);
    config->helper = g_strdup(qemu_opt_get(opts, "helper"));
    XDP_OFFLOAD_SET_HAS(config, helper);
    config->has_maps = config->has_insns = config->has_memory = true;
    config->maps = qemu_opt_get_number(opts, "maps", XDP_MAX_MAPS);
    config->insns = qemu_opt_get_number(opts, "insns", XDP_MAX_INSNS);
    config->memory = qemu_opt_get_size(opts, "memory", XDP_MAX_MEMORY);
    config->has_rewrite = config->has_trusted = config->has_gso = true;
    config->rewrite = qemu_opt_get_bool(opts, "rewrite", false);
    config->trusted = qemu_opt_get_bool(opts, "trusted", false);
    config->gso = qapi_enum_parse(&XdpOffloadGso_lookup, gso,
                                  XDP_OFFLOAD_GSO_RUN, errp);
}

static bool may_be(const char *name, bool given, uint64_t value, uint64_t most,
                   Error **errp)
{
    if (given && (value < 1 || value > most)) {
        error_setg(errp, "%s must be from 1 to %" PRIu64, name, most);
        return false;
    }
    return true;
}

static void xdp_offload_open(Chardev *chr, ChardevBackend *backend,
                             bool *be_opened, Error **errp)
{
    XdpOffload *s = CHARDEV_XDP_OFFLOAD(chr);
    const ChardevXdpOffload *config = backend->u.xdp_offload.data;
    bool pass = config->has_gso && config->gso == XDP_OFFLOAD_GSO_PASS;
    size_t i;

    if (!may_be("maps", config->has_maps, config->maps, XDP_MAX_MAPS, errp) ||
        !may_be("insns", config->has_insns, config->insns, XDP_MAX_INSNS,
                errp) ||
        !may_be("memory", config->has_memory, config->memory, XDP_MAX_MEMORY,
                errp)) {
        return;
    }
    s->nic = g_strdup(config->nic);
    s->helper = g_strdup(config->helper ?: XDP_HELPER_SOCKET);
    s->limits = (XdpHelperRequest) {
        .magic = XDP_HELPER_MAGIC,
        .flags = (config->rewrite ? XDP_HELPER_REWRITE : 0) |
                 (config->trusted ? XDP_HELPER_TRUSTED : 0) |
                 (pass ? XDP_HELPER_GSO_PASS : 0),
        .max_insns = config->insns, .max_maps = config->maps,
        .max_memory = config->memory,
    };
    /* For the helper's journal only. */
    pstrcpy(s->limits.name, sizeof(s->limits.name), s->nic[0] ? s->nic : "_");
    for (i = 0; s->limits.name[i]; i++) {
        if (!g_ascii_isalnum(s->limits.name[i]) &&
            !strchr("_.-", s->limits.name[i])) {
            s->limits.name[i] = '_';
        }
    }
    qemu_register_reset(xdp_offload_reset, s);
    qemu_register_reset_nosnapshotload(xdp_offload_begins_anew, s);
    s->arrives = runstate_check(RUN_STATE_INMIGRATE);
    s->runs = qemu_add_vm_change_state_handler(machine_runs, s);
    s->migrates = xdp_offload_migration_runs();
    s->migration.changed = migration_changed;
    xdp_offload_watch_migration(&s->migration);
    QTAILQ_INSERT_TAIL(&xdp_offloads, s, next);
    *be_opened = true;
}

static void xdp_offload_init(Object *obj)
{
    XdpOffload *s = CHARDEV_XDP_OFFLOAD(obj);

    s->socket = -1;
    s->deadline = timer_new_ms(QEMU_CLOCK_REALTIME, deadline, s);
    s->look = timer_new_ms(QEMU_CLOCK_REALTIME, look, s);
}

static void xdp_offload_finalize(Object *obj)
{
    XdpOffload *s = CHARDEV_XDP_OFFLOAD(obj);

    end_session(s, XDP_OFFLOAD_STATE_CLOSED);
    timer_free(s->deadline);
    timer_free(s->look);
    if (s->nic) {               /* it was opened */
        if (s->cards.unrealize) {
            device_listener_unregister(&s->cards);
        }
        xdp_offload_unwatch_migration(&s->migration);
        qemu_del_vm_change_state_handler(s->runs);
        qemu_unregister_reset(xdp_offload_begins_anew, s);
        qemu_unregister_reset(xdp_offload_reset, s);
        QTAILQ_REMOVE(&xdp_offloads, s, next);
    }
    g_free(s->nic);
    g_free(s->helper);
    g_free(s->reason);
}

static void xdp_offload_class_init(ObjectClass *oc, XDP_OFFLOAD_CLASS_DATA)
{
    ChardevClass *cc = CHARDEV_CLASS(oc);

    cc->parse = xdp_offload_parse;
    cc->open = xdp_offload_open;
    cc->chr_write = xdp_offload_write;
    cc->chr_set_fe_open = xdp_offload_set_fe_open;
    cc->chr_accept_input = xdp_offload_accept_input;
}

static const TypeInfo xdp_offload_info = {
    .name = TYPE_CHARDEV_XDP_OFFLOAD,
    .parent = TYPE_CHARDEV,
    .instance_size = sizeof(XdpOffload),
    .instance_init = xdp_offload_init,
    .instance_finalize = xdp_offload_finalize,
    .class_init = xdp_offload_class_init,
};

static void xdp_offload_register(void)
{
    type_register_static(&xdp_offload_info);
}

type_init(xdp_offload_register)
