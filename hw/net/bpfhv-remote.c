/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bpfhv device whose queues another process serves, the backend at a netdev
 * bpfhv-proxy: what the guest's driver does becomes requests
 * (docs/bpfhv_proxy.rst).
 *
 *     NO_BACKEND ── one connects ──▶ WAITS ── UPGRADE_READY, or reset ──▶ USED
 *         ▲                           │                                    │
 *         └────────── it closes, fails, or answers too late ───────────────┘
 *
 * Without a backend the device remains what it was, its link down: a driver can
 * set it up, and nobody serves its queues. Before the first one that is the
 * model of QEMU's that is the default.
 *
 * Invariants
 *  - what the guest asks for is judged before the backend hears of it, so that
 *    to refuse it is a fault of the backend's;
 *  - each backend has eventfds of its own: one that has gone takes no doorbell
 *    and makes no interrupt;
 *  - the queues of a backend are enabled while the guest wants it, the machine
 *    runs, and the link is not set down.
 *
 * Memory: that of memory backends, whether or not the guest sees parts of it as
 * read only, for it is all the guest's. Of more than BPFHV_PROXY_MAX_REGIONS
 * regions the largest are told.
 */
#include "qemu/osdep.h"
#include "exec/cpu-common.h"
#include "qemu/error-report.h"

#include "bpfhv-internal.h"
#include "bpfhv-proxy.h"

typedef enum RemoteState { NO_BACKEND, WAITS, USED } RemoteState;

typedef struct Piece {
    BpfhvProxyRegion region;
    int fd;
} Piece;

/*
 * offered: features of the backend's
 * enabled: as the backend was told, BPFHV_STATUS_*
 * wish_fd: the backend's, for an upgrade; wish: it wants one
 * next: memory, while it is being told of; pieces: as it is
 * unshared: the name of a region that is not shared, or empty
 */
struct BpfhvRemote {
    BpfhvState *s;
    BpfhvBackend *backend;
    RemoteState state;
    uint32_t offered, enabled;
    EventNotifier wish_fd;
    bool wish;
    bool running;
    VMChangeStateEntry *vm_state;
    MemoryListener listener;
    bool listening;
    bool has_irqs;
    GArray *next, *pieces;
    char *unshared;
    bool told;
};

static bool tell(BpfhvRemote *r, const BpfhvProxyMessage *request,
                 const int *fds)
{
    return bpfhv_backend_ask(r->backend, request, fds, NULL);
}

static bool tell_fd(BpfhvRemote *r, BpfhvProxyType type, uint32_t queue,
                    EventNotifier *notifier)
{
    const BpfhvProxyMessage request = { type, .queue = queue, .n_fds = 1 };
    int fd = event_notifier_get_fd(notifier);

    return tell(r, &request, &fd);
}

/* Eventfds */

static void on_wish(EventNotifier *notifier)
{
    BpfhvRemote *r = container_of(notifier, BpfhvRemote, wish_fd);

    if (event_notifier_test_and_clear(notifier) && !r->wish) {
        r->wish = true;
        bpfhv_tell_status(r->s);
    }
}

static void listen_to_backend(BpfhvRemote *r, bool on)
{
    for (uint32_t i = 0; i < bpfhv_num_queues(r->s); i++) {
        bpfhv_irq_listen(&r->s->queues[i], on);
    }
    event_notifier_set_handler(&r->wish_fd, on ? on_wish : NULL);
}

static int renew_eventfds(BpfhvRemote *r)
{
    int ret = bpfhv_renew_notifier(&r->wish_fd);

    for (uint32_t i = 0; ret == 0 && i < bpfhv_num_queues(r->s); i++) {
        ret = bpfhv_renew_notifier(&r->s->queues[i].irq);
    }
    return ret ? ret : bpfhv_queues_renew_kicks(r->s);
}

/* What the backend is told */

static bool tell_memory(BpfhvRemote *r)
{
    BpfhvProxyMessage request = { BPFHV_PROXY_SET_MEMORY };
    int fds[BPFHV_PROXY_MAX_REGIONS];

    request.count = request.n_fds = r->pieces->len;
    for (uint32_t i = 0; i < request.count; i++) {
        const Piece *piece = &g_array_index(r->pieces, Piece, i);

        request.region[i] = piece->region;
        fds[i] = piece->fd;
    }
    return tell(r, &request, fds);
}

static bool tell_ctx(BpfhvRemote *r, const BpfhvQueue *q)
{
    const BpfhvProxyMessage request = {
        BPFHV_PROXY_SET_QUEUE_CTX, .queue = q->index, .gpa = q->ctx_address,
    };

    return tell(r, &request, NULL);
}

static const struct {
    uint32_t bit;
    BpfhvProxyType on, off;
} directions[] = {
    { BPFHV_STATUS_RX_ENABLED, BPFHV_PROXY_RX_ENABLE, BPFHV_PROXY_RX_DISABLE },
    { BPFHV_STATUS_TX_ENABLED, BPFHV_PROXY_TX_ENABLE, BPFHV_PROXY_TX_DISABLE },
};

void bpfhv_remote_enable(BpfhvRemote *r)
{
    bool down = qemu_get_queue(r->s->nic)->link_down;
    uint32_t enabled = r->running && !down ? r->s->enabled : 0;

    for (int i = 0; r->state == USED && i < ARRAY_SIZE(directions); i++) {
        uint32_t bit = directions[i].bit;

        if ((enabled ^ r->enabled) & bit) {
            tell(r, &(BpfhvProxyMessage) { enabled & bit ? directions[i].on :
                                           directions[i].off }, NULL);
        }
    }
    r->enabled = r->state == USED ? enabled : 0;
}

void bpfhv_remote_set_ctx(BpfhvRemote *r, const BpfhvQueue *q)
{
    if (r->state == USED) {
        tell_ctx(r, q);
    }
}

/* Ask what the device is */

static bool get_programs(BpfhvRemote *r)
{
    g_autoptr(BpfhvCode) code = g_new0(BpfhvCode, 1);
    BpfhvProxyMessage request = { BPFHV_PROXY_GET_PROGRAM }, answer;

    for (uint32_t i = 0; i < BPFHV_NUM_PROGRAMS; i++) {
        if (!bpfhv_section(i)) {
            continue;
        }
        request.program = i;
        if (!bpfhv_backend_ask(r->backend, &request, NULL, &answer)) {
            return false;
        }
        code->insns[i] = g_memdup2(answer.data, 8 * answer.count);
        code->count[i] = answer.count;
    }
    bpfhv_code_free(r->s->code);
    r->s->code = g_steal_pointer(&code);
    return true;
}

/* All that depends on the features that the guest has chosen. */
static bool set_features(BpfhvRemote *r)
{
    BpfhvState *s = r->s;
    const BpfhvProxyMessage features = {
        BPFHV_PROXY_SET_FEATURES, .features = s->features,
    };
    const BpfhvProxyMessage parameters = {
        BPFHV_PROXY_SET_PARAMETERS,
        .parameters = { s->num_pairs, s->num_pairs },
    };
    BpfhvProxyMessage answer;

    if (!tell(r, &features, NULL) ||
        !bpfhv_backend_ask(r->backend, &parameters, NULL, &answer) ||
        !get_programs(r)) {
        return false;
    }
    s->sizes = (BpfhvSizes) {
        .rx_ctx = answer.sizes.rx_ctx, .tx_ctx = answer.sizes.tx_ctx,
        .rx_bufs = answer.sizes.rx_bufs, .tx_bufs = answer.sizes.tx_bufs,
    };
    return true;
}

static bool get_features(BpfhvRemote *r)
{
    const BpfhvProxyMessage request = { BPFHV_PROXY_GET_FEATURES };
    BpfhvProxyMessage answer;

    if (!bpfhv_backend_ask(r->backend, &request, NULL, &answer)) {
        return false;
    }
    r->offered = answer.features;
    return true;
}

static bool give_eventfds(BpfhvRemote *r)
{
    for (uint32_t i = 0; i < bpfhv_num_queues(r->s); i++) {
        BpfhvQueue *q = &r->s->queues[i];

        if (!tell_fd(r, BPFHV_PROXY_SET_QUEUE_KICK, i, &q->kick) ||
            !tell_fd(r, BPFHV_PROXY_SET_QUEUE_IRQ, i, &q->irq)) {
            return false;
        }
    }
    return true;
}

/* What it knew from before, of another card for example, it forgets. */
static bool begin(BpfhvRemote *r)
{
    return tell(r, &(BpfhvProxyMessage) { BPFHV_PROXY_RX_DISABLE }, NULL) &&
           tell(r, &(BpfhvProxyMessage) { BPFHV_PROXY_TX_DISABLE }, NULL) &&
           tell(r, &(BpfhvProxyMessage) { BPFHV_PROXY_UPGRADE }, NULL);
}

void bpfhv_remote_renew(BpfhvRemote *r)
{
    int ret;

    if (!bpfhv_backend_is_there(r->backend)) {
        return;
    }
    listen_to_backend(r, false);
    ret = renew_eventfds(r);
    if (ret < 0) {
        bpfhv_backend_give_up(r->backend, "cannot create eventfds: %s",
                              strerror(-ret));
        return;
    }
    r->enabled = 0;
    r->wish = false;
    if (begin(r) && tell_memory(r) &&
        tell_fd(r, BPFHV_PROXY_SET_UPGRADE, 0, &r->wish_fd) &&
        get_features(r) && set_features(r) && give_eventfds(r)) {
        r->state = USED;
        listen_to_backend(r, true);
        bpfhv_tell_status(r->s);
    }
}

void bpfhv_remote_netdev_gone(BpfhvRemote *r)
{
    bpfhv_backend_close(r->backend);
}

void bpfhv_remote_set_features(BpfhvRemote *r)
{
    if (r->state == USED) {
        set_features(r);
    }
}

uint32_t bpfhv_remote_offered(const BpfhvRemote *r)
{
    return r->offered;
}

uint32_t bpfhv_remote_status(const BpfhvRemote *r)
{
    return (r->state == USED ? BPFHV_STATUS_LINK : 0) |
           (r->state == WAITS || r->wish ? BPFHV_STATUS_UPGRADE : 0);
}

const char *bpfhv_remote_describe(const BpfhvRemote *r)
{
    return r->state == USED ? "backend serves" :
           r->state == WAITS ? "backend waits for the driver" : "no backend";
}

/* A backend has come, or has gone. */
static void backend_changed(void *opaque)
{
    BpfhvRemote *r = opaque;

    if (bpfhv_backend_is_there(r->backend)) {
        r->state = WAITS;
    } else {
        r->state = NO_BACKEND;
        r->enabled = 0;
        r->wish = false;
        listen_to_backend(r, false);
    }
    bpfhv_tell_status(r->s);
}

/* Memory */

static void memory_begin(MemoryListener *listener)
{
    BpfhvRemote *r = container_of(listener, BpfhvRemote, listener);

    g_array_set_size(r->next, 0);
    g_clear_pointer(&r->unshared, g_free);
}

static void memory_add(MemoryListener *listener, MemoryRegionSection *section)
{
    BpfhvRemote *r = container_of(listener, BpfhvRemote, listener);
    MemoryRegion *mr = section->mr;
    Piece piece = {
        .region.gpa = section->offset_within_address_space,
        .region.size = int128_get64(section->size),
    }, *last = r->next->len ? &g_array_index(r->next, Piece, r->next->len - 1)
                            : NULL;

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr) ||
        memory_region_is_rom(mr) ||
        !object_dynamic_cast(memory_region_owner(mr), TYPE_MEMORY_BACKEND)) {
        return;
    }
    piece.fd = memory_region_get_fd(mr);
    if (piece.fd < 0 || !qemu_ram_is_shared(mr->ram_block)) {
        g_free(r->unshared);
        r->unshared = g_strdup(memory_region_name(mr));
        return;
    }
    piece.region.offset = section->offset_within_region + bpfhv_fd_offset(mr);
    if (last && last->fd == piece.fd &&
        last->region.gpa + last->region.size == piece.region.gpa &&
        last->region.offset + last->region.size == piece.region.offset) {
        last->region.size += piece.region.size;
    } else {
        g_array_append_val(r->next, piece);
    }
}

static int by_size(gconstpointer a, gconstpointer b)
{
    uint64_t x = ((const Piece *)a)->region.size;
    uint64_t y = ((const Piece *)b)->region.size;

    return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_same_memory(const GArray *a, const GArray *b)
{
    bool same = a->len == b->len;

    for (uint32_t i = 0; same && i < a->len; i++) {
        const Piece *x = &g_array_index(a, Piece, i);
        const Piece *y = &g_array_index(b, Piece, i);

        same = x->fd == y->fd &&
               !memcmp(&x->region, &y->region, sizeof(x->region));
    }
    return same;
}

static void memory_commit(MemoryListener *listener)
{
    BpfhvRemote *r = container_of(listener, BpfhvRemote, listener);

    g_array_sort(r->next, by_size);
    g_array_set_size(r->next, MIN(r->next->len, BPFHV_PROXY_MAX_REGIONS));
    if (r->unshared && r->listening && !r->told) {
        r->told = true;
        warn_report("%s: guest memory '%s' is not shared: the bpfhv backend "
                    "cannot reach packets in it", qemu_get_queue(
                    r->s->nic)->name, r->unshared);
    }
    if (!is_same_memory(r->next, r->pieces)) {
        GArray *old = r->pieces;

        r->pieces = r->next;
        r->next = old;
        bpfhv_remote_memory_changed(r);
        if (r->state == USED) {
            tell_memory(r);
        }
    }
}

bool bpfhv_remote_reaches(const BpfhvRemote *r, uint64_t address, uint64_t len)
{
    for (uint32_t i = 0; i < r->pieces->len; i++) {
        const BpfhvProxyRegion *region = &g_array_index(r->pieces, Piece,
                                                        i).region;

        if (address >= region->gpa && address - region->gpa < region->size) {
            return len <= region->size - (address - region->gpa);
        }
    }
    return false;
}

void bpfhv_remote_memory_changed(BpfhvRemote *r)
{
    for (uint32_t i = 0; i < bpfhv_num_queues(r->s); i++) {
        BpfhvQueue *q = &r->s->queues[i];

        if (q->ctx_address && !bpfhv_queue_reaches(q, q->ctx_address)) {
            r->s->enabled &= ~bpfhv_enable_bit(q);
            bpfhv_remote_enable(r);
            q->ctx_address = 0;
            bpfhv_remote_set_ctx(r, q);
        }
    }
}

/* From the beginning to the end */

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    BpfhvRemote *r = opaque;

    r->running = running;
    bpfhv_remote_enable(r);
}

BpfhvRemote *bpfhv_remote_new(BpfhvState *s)
{
    BpfhvBackend *backend = bpfhv_backend_of(s->conf.peers.ncs[0]);
    BpfhvRemote *r;

    if (!backend) {
        return NULL;
    }
    r = g_new0(BpfhvRemote, 1);
    r->s = s;
    r->backend = backend;
    r->next = g_array_new(false, false, sizeof(Piece));
    r->pieces = g_array_new(false, false, sizeof(Piece));
    return r;
}

bool bpfhv_remote_start(BpfhvRemote *r, Error **errp)
{
    int ret = renew_eventfds(r);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot create eventfds");
        return false;
    }
    r->listener = (MemoryListener) {
        .name = "bpfhv-remote", .begin = memory_begin,
        .region_add = memory_add, .region_nop = memory_add,
        .commit = memory_commit,
    };
    memory_listener_register(&r->listener, &address_space_memory);
    r->listening = true;
    if (r->unshared) {
        error_setg(errp, "bpfhv-proxy does not work with guest memory '%s', "
                   "which is not shared (memory-backend-memfd or "
                   "memory-backend-file with share=on)", r->unshared);
        return false;
    }
    bpfhv_irqs_init(r->s);
    r->has_irqs = true;
    r->running = runstate_is_running();
    r->vm_state = qemu_add_vm_change_state_handler(vm_state_changed, r);
    bpfhv_backend_watch(r->backend, backend_changed, r);
    if (bpfhv_backend_is_there(r->backend)) {
        r->state = WAITS;
    }
    return true;
}

void bpfhv_remote_free(BpfhvRemote *r)
{
    if (!r) {
        return;
    }
    bpfhv_backend_watch(r->backend, NULL, NULL);
    if (r->state == USED) {
        begin(r);
        r->state = NO_BACKEND;  /* what follows is not the backend's */
    }
    if (r->vm_state) {
        qemu_del_vm_change_state_handler(r->vm_state);
    }
    if (r->listening) {
        memory_listener_unregister(&r->listener);
        listen_to_backend(r, false);
    }
    if (r->has_irqs) {
        bpfhv_irqs_cleanup(r->s);
    }
    for (uint32_t i = 0; i < bpfhv_num_queues(r->s); i++) {
        event_notifier_cleanup(&r->s->queues[i].irq);
    }
    event_notifier_cleanup(&r->wish_fd);
    g_array_unref(r->next);
    g_array_unref(r->pieces);
    g_free(r->unshared);
    g_free(r);
}
