/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding an engine for a virtio-net device when it is realized.
 *
 * The property rss-engine says what the user wants: "ebpf" and "software"
 * insist, and an engine that is unavailable is an error; "auto", the default,
 * takes what there is, and warns once of what is unavailable.
 *
 * A program comes from ebpf-rss-fds, if that is given; else QEMU loads it; if
 * QEMU may not, a helper does so for it: ebpf-rss-helper, or the service that
 * the administrator may have enabled, or the program that is installed. With
 * hash=on and a vhost that can report hashes, the program for that comes with
 * it; without that one there are no hash reports, and that is said.
 *
 * Whether the guest can be offered RSS at all is known later, when the device
 * is plugged into its transport: virtio_net_rss_get_features().
 */
#include "qemu/osdep.h"
#include "monitor/monitor.h"
#include "net/tap.h"
#include "net/tap_steering.h"
#include "net/vhost_net.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-rss.h"
#include "qapi/visitor.h"
#include "qemu/coroutine.h"
#include "qemu/ctype.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
#include "virtio-net-rss-compat.h"
#include "virtio-net-rss-internal.h"

/* What the user insists on is an error if it is unavailable. */
static bool insists(VirtIONet *n)
{
    return n->rss.engine != RSS_ENGINE_MODE_AUTO || n->rss.ebpf_fds;
}

/* Begins each warning. */
static const char *backend_name(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer ? peer->name : "virtio-net";
}

/* A configuration that had to wait is in force. In a thread of the library. */
static void virtio_net_rss_notify(void *opaque)
{
    VirtIONet *n = opaque;

    qemu_bh_schedule(n->rss.notified_bh);
}

#define FITTING_FDS "; expected are, in this order, the program and the maps" \
    " .data.config, .data.counters and grace of the object that request-ebpf" \
    " of this QEMU returns"

#define UNUSABLE "unusable descriptors from %s: "

/* With vhost hashes cannot be reported; what comes first is said. */
static void no_reports(VirtIONet *n, const char *reason)
{
    if (!n->rss.no_reports) {
        n->rss.no_reports = g_strdup_printf("not supported with vhost: %s",
                                            reason);
    }
}

/* The program that reports hashes is wanted, too. */
static bool wants_report(VirtIONet *n)
{
    return virtio_has_feature(n->host_features, VIRTIO_NET_F_HASH_REPORT) &&
           virtio_net_rss_has_vhost(n) && !n->rss.peer_hashes &&
           !n->rss.no_reports;
}

/*
 * Makes a handle of a program, and of the one that reports hashes where that
 * is not -1. Without the latter there still is RSS. On failure all are the
 * caller's. @from: where they come from, if not from QEMU itself
 */
static EBPFRSS *adopt_all(VirtIONet *n, const char *from,
                          const int fds[EBPF_RSS_ALL_FDS], GError **error)
{
    EBPFRSS *ebpf = ebpf_rss_adopt(fds, virtio_net_rss_notify, n, error);
    g_autoptr(GError) err = NULL;
    int i;

    if (ebpf && fds[EBPF_RSS_FDS] >= 0 &&
        !ebpf_rss_adopt_report(ebpf, fds + EBPF_RSS_FDS, &err)) {
        for (i = EBPF_RSS_FDS; i < EBPF_RSS_ALL_FDS; i++) {
            close(fds[i]);
        }
        if (from) {
            g_prefix_error(&err, UNUSABLE, from);
        }
        no_reports(n, err->message);
    }
    return ebpf;
}

/* One that was named is ours, and a number stays as it is. */
static void drop_fd(int *fd, const char *name)
{
    if (*fd >= 0 && !qemu_isdigit(name[0])) {
        close(*fd);
    }
    *fd = -1;
}

/*
 * Uses the descriptors in "7:8:9:10", each a number or a name given with getfd.
 * Without the last one, as loaders of old have it, QEMU may lack a way to wait.
 * Two more are those of the program that reports hashes; where none is wanted
 * they are not looked at.
 * Those with names are ours, whatever comes of it; numbers stay open if they
 * do not fit, or are not wanted.
 */
static EBPFRSS *adopt_fds(VirtIONet *n, GError **error)
{
    g_auto(GStrv) name = g_strsplit(n->rss.ebpf_fds, ":", -1);
    int n_fds = g_strv_length(name), fds[EBPF_RSS_ALL_FDS], got, i;
    g_autoptr(GError) misfit = NULL;
    EBPFRSS *ebpf = NULL;
    Error *err = NULL;

    if (n_fds != EBPF_RSS_FDS && n_fds != EBPF_RSS_FD_GRACE &&
        n_fds != EBPF_RSS_ALL_FDS) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "ebpf-rss-fds=%s: %d descriptors, not %d, or %d with hash"
                    " reports" FITTING_FDS, n->rss.ebpf_fds, n_fds,
                    EBPF_RSS_FDS, EBPF_RSS_ALL_FDS);
        return NULL;
    }
    memset(fds, -1, sizeof(fds));
    for (got = 0; got < n_fds; got++) {
        fds[got] = monitor_fd_param(monitor_cur(), name[got], &err);
        if (fds[got] < 0) {
            break;
        }
    }
    for (i = EBPF_RSS_FDS; i < got && !wants_report(n); i++) {
        drop_fd(&fds[i], name[i]);
    }
    if (got == n_fds) {
        if (fds[EBPF_RSS_FDS] < 0 ||
            ebpf_rss_check_report(fds, fds + EBPF_RSS_FDS, &misfit)) {
            ebpf = adopt_all(n, "ebpf-rss-fds", fds, &misfit);
        }
        if (!ebpf) {
            g_set_error(error, RSS_ERROR, misfit->code,
                        "ebpf-rss-fds=%s: %s" FITTING_FDS, n->rss.ebpf_fds,
                        misfit->message);
        }
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL, "ebpf-rss-fds=%s: %s",
                    n->rss.ebpf_fds, error_get_pretty(err));
        error_free(err);
    }
    while (!ebpf && got--) {
        drop_fd(&fds[got], name[got]);
    }
    return ebpf;
}

/* @helper: who has loaded them, or NULL */
static EBPFRSS *adopt_loaded(VirtIONet *n, const char *helper,
                             const int fds[EBPF_RSS_ALL_FDS], GError **error)
{
    EBPFRSS *ebpf = adopt_all(n, helper, fds, error);
    int i;

    if (!ebpf && helper) {
        g_prefix_error(error, UNUSABLE, helper);
    }
    for (i = 0; !ebpf && i < EBPF_RSS_ALL_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return ebpf;
}

/*
 * Where another QEMU may use the tap, its program stays there meanwhile; and
 * where the guest may use it by now, packets go on as they do.
 */
static bool try_tap(VirtIONet *n, GError **error)
{
    if (virtio_net_rss_tap_shared() || n->nic) {
        return tap_steering_probe(virtio_net_rss_tap_fd(n), error);
    }
    if (!virtio_net_rss_attach(n, error)) {
        return false;
    }
    virtio_net_rss_detach(n);
    return true;
}

/* Of @ebpf, which may be NULL with @error set, the device makes its engine. */
static bool use(VirtIONet *n, EBPFRSS *ebpf, GError **error)
{
    if (!ebpf) {
        return false;
    }
    n->rss.ebpf = ebpf;
    if (virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS) &&
        !try_tap(n, error)) {
        g_clear_pointer(&n->rss.ebpf, ebpf_rss_unload);
        return false;
    }
    ebpf_rss_set_counting(n->rss.ebpf, n->rss.counting);
    return true;
}

/* Waits for the helper that was asked, or is going to be. */
static bool use_answer(VirtIONet *n, GError **error)
{
    g_autoptr(VirtIONetRssAsk) ask = g_steal_pointer(&n->rss.ask);

    if (!virtio_net_rss_ask_end(ask, error)) {
        return false;
    }
    trace_virtio_net_rss_load(n, ask->path);
    if (ask->no_report) {
        no_reports(n, ask->no_report);
    }
    return use(n, adopt_loaded(n, ask->path, ask->fds, error), error);
}

/*
 * What the guest is offered does not depend on the program. But while a guest
 * is on its way here, it is better to wait before it stands still; and a daemon
 * has lost its standard error, and so its warnings, when it has started.
 */
static bool may_come_later(VirtIONet *n)
{
    return !insists(n) && !virtio_net_rss_has_vhost(n) &&
           !runstate_check(RUN_STATE_INMIGRATE) && !is_daemonized();
}

/* In QEMU 10.0 vDPA's backend says that it does, and forgets them. */
static bool takes_programs(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    return peer && peer->info->set_steering_ebpf &&
           !virtio_net_rss_has_vdpa(n);
}

static bool load_or_ask(VirtIONet *n, const char *name, GError **error)
{
    g_autoptr(GError) no_report = NULL;
    GError *err = NULL;
    int fds[EBPF_RSS_ALL_FDS];

    memset(fds, -1, sizeof(fds));
    if (ebpf_rss_open(name, fds, &err)) {
        trace_virtio_net_rss_load(n, "QEMU itself");
        if (wants_report(n) &&
            !ebpf_rss_open_report(name, fds, fds + EBPF_RSS_FDS,
                                  &no_report)) {
            no_reports(n, no_report->message);
        }
        return use(n, adopt_loaded(n, NULL, fds, error), error);
    }
    if (!g_error_matches(err, RSS_ERROR, RSS_ERROR_PRIVILEGE)) {
        g_propagate_error(error, err);
        return false;
    }
    n->rss.ask = virtio_net_rss_ask_new(n, name, wants_report(n), err);
    return (may_come_later(n) &&
            virtio_net_rss_ask_begin(n->rss.ask, n->rss.asked_bh)) ||
           use_answer(n, error);
}

/*
 * Gets a program from where the device's properties say, and tries whether the
 * backend takes it. In n->rss.ebpf it is attached to nothing; or it may come
 * later: then there is n->rss.ask.
 */
static bool load(VirtIONet *n, GError **error)
{
    if (!takes_programs(n)) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "the backend does not support steering programs (a tap"
                    " does)");
        return false;
    }
    if (n->rss.ebpf_fds) {
        trace_virtio_net_rss_load(n, "ebpf-rss-fds");
        return use(n, adopt_fds(n, error), error);
    }
    return load_or_ask(n, virtio_net_rss_peer(n)->name, error);
}

/* What is wrong with the properties themselves, whatever the host has. */
static bool check_properties(VirtIONet *n, Error **errp)
{
    bool rss = virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS);
    bool hash = virtio_has_feature(n->host_features,
                                   VIRTIO_NET_F_HASH_REPORT);
    bool ebpf = n->rss.engine == RSS_ENGINE_MODE_EBPF;
    bool software = n->rss.engine == RSS_ENGINE_MODE_SOFTWARE;

    if ((rss || hash) && !virtio_has_feature(n->host_features,
                                             VIRTIO_NET_F_CTRL_VQ)) {
        error_setg(errp, "%s=on requires ctrl_vq=on", rss ? "rss" : "hash");
        return false;
    }
    if (!rss && (insists(n) || n->rss.counting)) {
        error_setg(errp, "%s requires rss=on",
                   n->rss.ebpf_fds ? "ebpf-rss-fds" :
                   ebpf ? "rss-engine=ebpf" :
                   software ? "rss-engine=software" : "rss-counters=on");
        return false;
    }
    if (ebpf && hash && !virtio_net_rss_has_vhost(n)) {
        error_setg(errp, "rss-engine=ebpf does not support hash=on without"
                   " vhost");
        return false;
    }
    if (software && virtio_net_rss_has_vhost(n)) {
        error_setg(errp, "rss-engine=software does not support vhost:"
                   " vhost=on, vhost-user or vhost-vdpa");
        return false;
    }
    if (software && n->rss.ebpf_fds) {
        error_setg(errp, "ebpf-rss-fds does not go with rss-engine=software");
        return false;
    }
    return true;
}

/*
 * A QEMU that was killed has left its program in a tap that outlives it. But
 * where a migration comes in, the one that it comes from may use the tap: then
 * it is neither changed nor read until the guest runs here.
 */
static void take_tap(VirtIONet *n)
{
    if (!virtio_net_rss_lend_tap(n)) {
        tap_steering_detach(virtio_net_rss_tap_fd(n), NULL);
    }
}

/* One that does not tell must not be asked for its hash types. */
static bool vdpa_tells(VirtIONet *n)
{
    struct virtio_net_config config;

    return vhost_net_get_config(get_vhost_net(virtio_net_rss_peer(n)),
                                (uint8_t *)&config, sizeof(config)) >= 0;
}

/* Sets which hash types are offered, and who computes them. */
static void init_hash_types(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);
    uint32_t types = RSS_TYPES_ALL;
    bool peer_has_types = peer &&
                          (!virtio_net_rss_has_vdpa(n) || vdpa_tells(n)) &&
                          peer_hash_types(peer, &types);

    n->rss.supported_hash_types = OFFERED_HASH_TYPES(n, types);
    n->rss.peer_hashes = peer_has_types &&
                         !(n->rss.supported_hash_types & ~types);
}

/* Looks for a vhost that reports hashes; the program for it comes later. */
static void find_reporter(VirtIONet *n)
{
    g_autoptr(GError) err = NULL;

    if (!wants_report(n)) {
        return;
    }
    if (virtio_net_rss_tap_fd(n) < 0) {
        n->rss.no_reports = g_strdup("not supported with vhost");
    } else if (!virtio_net_rss_find_reporter(n, &err)) {
        no_reports(n, err->message);
    }
}

/* Finds an engine, or keeps the reason; with @errp set if the user insists. */
static void load_engine(VirtIONet *n, Error **errp)
{
    g_autoptr(GError) err = NULL;

    if (!load(n, &err)) {
        if (insists(n)) {
            error_setg(errp, "the eBPF engine is unavailable: %s",
                       err->message);
            return;
        }
        if (virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
            n->rss.no_ebpf = g_strdup(err->message);
        }
        if (wants_report(n)) {
            no_reports(n, err->message);
        }
    } else if (wants_report(n)) {
        n->rss.reports = ebpf_rss_report_fd(n->rss.ebpf) >= 0;
        if (!n->rss.reports) {
            no_reports(n, "ebpf-rss-fds has no program for them");
        }
    }
    if (n->rss.no_reports && n->rss.engine == RSS_ENGINE_MODE_EBPF) {
        error_setg(errp, "hash reports are unavailable: %s",
                   n->rss.no_reports);
    }
}

/* What a command may say is checked by what QEMU keeps of it. */
void virtio_net_rss_limit_config(VirtIONet *n, struct virtio_net_config *config)
{
    /* Without MQ it may name more than QEMU asks it for, which is one. */
    stw_le_p(&config->max_virtqueue_pairs,
             MIN(lduw_le_p(&config->max_virtqueue_pairs),
                 n->max_queue_pairs));
    config->rss_max_key_size = MIN(config->rss_max_key_size, RSS_KEY_SIZE);
    stw_le_p(&config->rss_max_indirection_table_length,
             MIN(lduw_le_p(&config->rss_max_indirection_table_length),
                 RSS_TABLE_MAX));
    stl_le_p(&config->supported_hash_types,
             ldl_le_p(&config->supported_hash_types) &
             n->rss.supported_hash_types);
}

bool virtio_net_rss_realize(VirtIONet *n, Error **errp)
{
    ERRP_GUARD();
    static uint64_t devices;
    bool rss = virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS);

    n->rss.serial = devices++;
    virtio_net_rss_take_fds(n);
    if (!check_properties(n, errp)) {
        return false;
    }
    init_hash_types(n);
    n->rss.guest.config.table_len = 1;
    n->rss.ctrl_bh = virtio_bh_new_guarded(DEVICE(n), virtio_net_ctrl_bh, n);
    n->rss.notified_bh = virtio_bh_new_guarded(DEVICE(n),
                                               virtio_net_rss_notified_bh, n);
    n->rss.asked_bh = virtio_bh_new_guarded(DEVICE(n),
                                            virtio_net_rss_asked_bh, n);
    find_reporter(n);
    if (rss) {
        take_tap(n);
    }
    if (n->rss.engine == RSS_ENGINE_MODE_SOFTWARE) {
        n->rss.no_ebpf = g_strdup("rss-engine=software");
    } else if (rss || wants_report(n)) {
        load_engine(n, errp);
    }
    if (*errp) {
        virtio_net_rss_unrealize(n);
        return false;
    }
    return true;
}

static void delete_bh(QEMUBH **bh)
{
    if (*bh) {
        qemu_bh_delete(*bh);
        *bh = NULL;
    }
}

void virtio_net_rss_unrealize(VirtIONet *n)
{
    virtio_net_rss_off(n);
    if (n->rss.tap_lent) {
        n->rss.tap_lent = false;
        virtio_net_rss_poll_tap(n, true);
    }
    g_clear_pointer(&n->rss.incoming, g_free);
    g_clear_pointer(&n->rss.ask, virtio_net_rss_ask_free);
    ebpf_rss_unload(n->rss.ebpf);
    n->rss.ebpf = NULL;
    delete_bh(&n->rss.asked_bh);
    delete_bh(&n->rss.notified_bh);
    delete_bh(&n->rss.ctrl_bh);
    g_clear_pointer(&n->rss.no_ebpf, g_free);
    g_clear_pointer(&n->rss.not_offered, g_free);
    n->rss.reports = false;
    g_clear_pointer(&n->rss.no_reports, g_free);
}

/* Why a vDPA device does not do what was asked for; NULL if it does. */
static const char *why_not_vdpa(VirtIONet *n, unsigned feature)
{
    VHostNetState *vhost = get_vhost_net(virtio_net_rss_peer(n));

    if (!virtio_has_feature(vhost_net_get_features(vhost, 1ULL << feature),
                            feature)) {
        return feature == VIRTIO_NET_F_RSS
               ? "the vDPA device does not support RSS"
               : "the vDPA device does not support hash reports";
    }
    if (!n->rss.peer_hashes) {
        return "the vDPA device does not offer all hash types that are on";
    }
    return NULL;
}

/* Why the guest is not offered the RSS that was asked for; NULL if it is. */
static char *why_not_rss(VirtIONet *n, const char *legacy)
{
    if (legacy) {
        return g_strdup(legacy);
    }
    if (PEER_STEERS && virtio_net_rss_has_vdpa(n)) {
        return g_strdup(why_not_vdpa(n, VIRTIO_NET_F_RSS));
    }
    if (virtio_net_rss_has_vhost(n) && !n->rss.ebpf) {
        return g_strdup_printf("with vhost it needs the eBPF engine: %s",
                               n->rss.no_ebpf);
    }
    return NULL;
}

static void warn_not_offered(VirtIONet *n, const char *what, const char *why)
{
    trace_virtio_net_rss_fallback(n, why);
    warn_report("%s: %s not offered to the guest: %s", backend_name(n), what,
                why);
}

/* With rss-engine=auto: of a fallback the user should know. */
static void warn_fallback(VirtIONet *n)
{
    trace_virtio_net_rss_fallback(n, n->rss.no_ebpf);
    if (takes_programs(n)) {
        warn_report("%s: RSS falls back to QEMU: %s", backend_name(n),
                    n->rss.no_ebpf);
    }
}

void virtio_net_rss_settle(VirtIONet *n)
{
    g_autoptr(GError) err = NULL;

    if (n->rss.ask && virtio_net_rss_peer_deleted(n)) {
        g_clear_pointer(&n->rss.ask, virtio_net_rss_ask_free);
    } else if (n->rss.ask && !use_answer(n, &err)) {
        /* For the log, not for a human monitor whose command has waited. */
        Monitor *asker = monitor_set_cur(qemu_coroutine_self(), NULL);

        n->rss.no_ebpf = g_strdup(err->message);
        warn_fallback(n);
        monitor_set_cur(qemu_coroutine_self(), asker);
    }
}

void virtio_net_rss_asked_bh(void *opaque)
{
    virtio_net_rss_settle(opaque);
}

uint64_t virtio_net_rss_get_features(VirtIONet *n, uint64_t features,
                                     Error **errp)
{
    bool rss = virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS);
    bool hash = virtio_has_feature(n->host_features,
                                   VIRTIO_NET_F_HASH_REPORT);
    const char *legacy = NULL;

    if (!virtio_has_feature(features, VIRTIO_F_VERSION_1)) {
        legacy = "a legacy virtio device does not support it (see"
                 " disable-modern, force-legacy, max_revision)";
    }
    n->rss.not_offered = rss ? why_not_rss(n, legacy) : NULL;
    if (n->rss.not_offered && insists(n)) {
        error_setg(errp, "RSS is not offered to the guest: %s",
                   n->rss.not_offered);
        return features;
    }
    if (n->rss.not_offered) {
        virtio_clear_feature(&features, VIRTIO_NET_F_RSS);
        warn_not_offered(n, "RSS is", n->rss.not_offered);
    } else if (n->rss.no_ebpf && !insists(n)) {
        warn_fallback(n);
    }
    if (hash && legacy) {
        n->rss.reports = false;
        g_free(n->rss.no_reports);
        n->rss.no_reports = g_strdup(legacy);
    } else if (hash && virtio_net_rss_has_vdpa(n)) {
        g_free(n->rss.no_reports);
        n->rss.no_reports = g_strdup(why_not_vdpa(n,
                                                  VIRTIO_NET_F_HASH_REPORT));
    }
    if (n->rss.no_reports) {
        virtio_clear_feature(&features, VIRTIO_NET_F_HASH_REPORT);
        warn_not_offered(n, "hash reports are", n->rss.no_reports);
    }
    if (legacy) {
        g_clear_pointer(&n->rss.ask, virtio_net_rss_ask_free);
        g_clear_pointer(&n->rss.ebpf, ebpf_rss_unload);
    }
    return features;
}

static void get_engine(Object *obj, Visitor *v, const char *name,
                       void *opaque, Error **errp)
{
    visit_type_RssEngineMode(v, name, object_field_prop_ptr(obj, opaque),
                             errp);
}

static void set_engine(Object *obj, Visitor *v, const char *name,
                       void *opaque, Error **errp)
{
    visit_type_RssEngineMode(v, name, object_field_prop_ptr(obj, opaque),
                             errp);
}

static void set_default_engine(ObjectProperty *op, const Property *prop)
{
    object_property_set_default_str(op, RssEngineMode_str(prop->defval.i));
}

const PropertyInfo qdev_prop_virtio_net_rss_engine = {
    PROPERTY_TYPE = "RssEngineMode",
    .enum_table = &RssEngineMode_lookup,
    .get = get_engine,
    .set = set_engine,
    .set_default_value = set_default_engine,
};

static void get_counting(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    bool *counting = object_field_prop_ptr(obj, opaque);

    visit_type_bool(v, name, counting, errp);
}

static void set_counting(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    VirtIONet *n = VIRTIO_NET(obj);
    bool counting;

    if (!visit_type_bool(v, name, &counting, errp)) {
        return;
    }
    if (counting && DEVICE(obj)->realized &&
        !virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
        error_setg(errp, "rss-counters=on requires rss=on");
        return;
    }
    n->rss.counting = counting;
    if (n->rss.ebpf) {
        ebpf_rss_set_counting(n->rss.ebpf, counting);
    }
}

const PropertyInfo qdev_prop_virtio_net_rss_counters = {
    PROPERTY_TYPE = "bool",
    .get = get_counting,
    .set = set_counting,
    .realized_set_allowed = true,
};

void virtio_net_rss_describe(ObjectClass *klass)
{
    static const struct {
        const char *property, *text;
    } descriptions[] = {
        { "rss", "offer receive-side scaling to the guest" },
        { "hash", "offer hash reports to the guest" },
        { "rss-engine", "what steers packets: auto takes what is available,"
                        " ebpf and software insist" },
        { "ebpf-rss-fds", "descriptors of a loaded steering program:"
                          " PROGRAM:CONFIG:COUNTERS:GRACE, and :REPORT:HASHES"
                          " where vhost reports hashes" },
        { "ebpf-rss-helper", "path of the socket or program of the helper that"
                             " loads the steering program if QEMU may not" },
        { "hash-node", "path of the node of vhost-net that reports hashes with"
                       " vhost=on" },
        { "rss-counters", "count steered packets; may be changed at run"
                          " time" },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(descriptions); i++) {
        object_class_property_set_description(klass,
                                              descriptions[i].property,
                                              descriptions[i].text);
    }
}
