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
 * the administrator may have enabled, or the program that is installed.
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
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
#include "virtio-net-rss-compat.h"
#include "virtio-net-rss-internal.h"

#ifndef CONFIG_QEMU_RSS_HELPER
#define CONFIG_QEMU_RSS_HELPER ""
#endif

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

/*
 * Uses the descriptors in "7:8:9:10", each a number or a name given with getfd.
 * Without the last one, as loaders of old have it, QEMU may lack a way to wait.
 * Those with names are ours, whatever comes of it; numbers stay open if they
 * do not fit.
 */
static EBPFRSS *adopt_fds(VirtIONet *n, GError **error)
{
    g_auto(GStrv) name = g_strsplit(n->rss.ebpf_fds, ":", -1);
    int n_fds = g_strv_length(name), fds[EBPF_RSS_FDS], got;
    g_autoptr(GError) misfit = NULL;
    EBPFRSS *ebpf = NULL;
    Error *err = NULL;

    if (n_fds != EBPF_RSS_FDS && n_fds != EBPF_RSS_FD_GRACE) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "ebpf-rss-fds=%s: %d descriptors, not %d" FITTING_FDS,
                    n->rss.ebpf_fds, n_fds, EBPF_RSS_FDS);
        return NULL;
    }
    fds[EBPF_RSS_FD_GRACE] = -1;
    for (got = 0; got < n_fds; got++) {
        fds[got] = monitor_fd_param(monitor_cur(), name[got], &err);
        if (fds[got] < 0) {
            break;
        }
    }
    if (got == n_fds) {
        ebpf = ebpf_rss_adopt(fds, virtio_net_rss_notify, n, &misfit);
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
        if (!qemu_isdigit(name[got][0])) {
            close(fds[got]);
        }
    }
    return ebpf;
}

typedef struct Helper {
    char *path;                 /* NULL: there is none */
    const char *remedy;         /* what the administrator may have forgotten */
} Helper;

/*
 * The service comes first: it works in a sandbox, too. The installed program is
 * where this QEMU is, even if it was moved.
 */
static Helper find_helper(VirtIONet *n)
{
    Helper helper = { NULL, "" };

    if (n->rss.ebpf_helper) {
        helper.path = g_strdup(n->rss.ebpf_helper);
    } else if (access(EBPF_RSS_HELPER_SOCKET, F_OK) == 0) {
        helper.path = g_strdup(EBPF_RSS_HELPER_SOCKET);
    } else {
        g_autofree char *installed =
            get_relocated_path(CONFIG_QEMU_RSS_HELPER);

        helper.remedy = "; no service at " EBPF_RSS_HELPER_SOCKET
                        " (systemctl enable --now qemu-rss-helper.socket)";
        if (access(installed, X_OK) == 0) {
            helper.path = g_steal_pointer(&installed);
        }
    }
    return helper;
}

/* @error: why QEMU itself could not; becomes why nobody could */
static bool open_by_helper(const Helper *helper, const char *name,
                           int fds[EBPF_RSS_FDS], GError **error)
{
    g_autoptr(GError) own = *error;
    g_autoptr(GError) err = NULL;

    *error = NULL;
    if (helper->path &&
        ebpf_rss_open_by_helper(helper->path, name, fds, &err)) {
        return true;
    }
    if (!err) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE, "%s%s",
                    own->message, helper->remedy);
    } else if (g_str_has_suffix(err->message, own->message)) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE,
                    "%s%s; %s has no privileges either", own->message,
                    helper->remedy, helper->path);
    } else {
        g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE, "%s%s; %s",
                    own->message, helper->remedy, err->message);
    }
    return false;
}

static EBPFRSS *adopt_loaded(VirtIONet *n, const int fds[EBPF_RSS_FDS],
                             GError **error)
{
    EBPFRSS *ebpf = ebpf_rss_adopt(fds, virtio_net_rss_notify, n, error);
    int i;

    for (i = 0; !ebpf && i < EBPF_RSS_FDS; i++) {
        close(fds[i]);
    }
    return ebpf;
}

static EBPFRSS *open_program(VirtIONet *n, const char *name, GError **error)
{
    g_autofree char *path = NULL;
    GError *err = NULL;
    int fds[EBPF_RSS_FDS];
    EBPFRSS *ebpf;
    Helper helper;

    if (n->rss.ebpf_fds) {
        trace_virtio_net_rss_load(n, "ebpf-rss-fds");
        return adopt_fds(n, error);
    }
    if (ebpf_rss_open(name, fds, &err)) {
        trace_virtio_net_rss_load(n, "QEMU itself");
        return adopt_loaded(n, fds, error);
    }
    if (!g_error_matches(err, RSS_ERROR, RSS_ERROR_PRIVILEGE)) {
        g_propagate_error(error, err);
        return NULL;
    }
    helper = find_helper(n);
    path = helper.path;
    if (!open_by_helper(&helper, name, fds, &err)) {
        g_propagate_error(error, err);
        return NULL;
    }
    trace_virtio_net_rss_load(n, path);
    ebpf = adopt_loaded(n, fds, error);
    if (!ebpf) {
        g_prefix_error(error, "unusable descriptors from %s: ", path);
    }
    return ebpf;
}

/* Where another QEMU may use the tap, its program stays there meanwhile. */
static bool try_tap(VirtIONet *n, GError **error)
{
    if (virtio_net_rss_tap_shared()) {
        return tap_steering_probe(virtio_net_rss_tap_fd(n), error);
    }
    if (!virtio_net_rss_attach(n, error)) {
        return false;
    }
    virtio_net_rss_detach(n);
    return true;
}

static bool peer_steers(VirtIONet *n)
{
    return PEER_STEERS && n->rss.peer_hashes;
}

bool virtio_net_rss_load(VirtIONet *n, GError **error)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    if (peer_steers(n)) {
        g_set_error_literal(error, RSS_ERROR, RSS_ERROR_KERNEL,
                            "the vDPA device steers by itself");
        return false;
    }
    if (!peer || !peer->info->set_steering_ebpf) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "the backend does not support steering programs (a tap"
                    " does)");
        return false;
    }
    n->rss.ebpf = open_program(n, peer->name, error);
    if (!n->rss.ebpf) {
        return false;
    }
    if (!try_tap(n, error)) {
        ebpf_rss_unload(n->rss.ebpf);
        n->rss.ebpf = NULL;
        return false;
    }
    ebpf_rss_set_counting(n->rss.ebpf, n->rss.counting);
    return true;
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
    if (ebpf && hash) {
        error_setg(errp, "rss-engine=ebpf does not support hash=on");
        return false;
    }
    if (software && virtio_net_rss_has_vhost(n)) {
        error_setg(errp, "rss-engine=software does not support vhost=on");
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

/* Sets which hash types are offered, and who computes them. */
static void init_hash_types(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);
    uint32_t types = RSS_TYPES_ALL;
    bool peer_has_types = peer && peer_hash_types(peer, &types);

    n->rss.supported_hash_types = OFFERED_HASH_TYPES(n, types);
    n->rss.peer_hashes = peer_has_types &&
                         !(n->rss.supported_hash_types & ~types);
}

bool virtio_net_rss_realize(VirtIONet *n, Error **errp)
{
    static uint64_t devices;
    g_autoptr(GError) err = NULL;

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
    if (!virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
        return true;
    }
    take_tap(n);
    if (n->rss.engine == RSS_ENGINE_MODE_SOFTWARE) {
        n->rss.no_ebpf = g_strdup("rss-engine=software");
        return true;
    }
    if (virtio_net_rss_load(n, &err)) {
        return true;
    }
    if (insists(n)) {
        error_setg(errp, "the eBPF engine is unavailable: %s", err->message);
        virtio_net_rss_unrealize(n);
        return false;
    }
    n->rss.no_ebpf = g_strdup(err->message);
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
    ebpf_rss_unload(n->rss.ebpf);
    n->rss.ebpf = NULL;
    delete_bh(&n->rss.notified_bh);
    delete_bh(&n->rss.ctrl_bh);
    g_clear_pointer(&n->rss.no_ebpf, g_free);
    g_clear_pointer(&n->rss.not_offered, g_free);
}

/* Why the guest is not offered the RSS that was asked for; NULL if it is. */
static char *why_not_rss(VirtIONet *n, const char *legacy)
{
    if (legacy) {
        return g_strdup(legacy);
    }
    if (peer_steers(n)) {
        return NULL;
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
    NetClientState *peer = virtio_net_rss_peer(n);

    trace_virtio_net_rss_fallback(n, n->rss.no_ebpf);
    if (peer && peer->info->set_steering_ebpf) {
        warn_report("%s: RSS falls back to QEMU: %s", backend_name(n),
                    n->rss.no_ebpf);
    }
}

uint64_t virtio_net_rss_get_features(VirtIONet *n, uint64_t features,
                                     Error **errp)
{
    bool rss = virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS);
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
        g_clear_pointer(&n->rss.ebpf, ebpf_rss_unload);
    } else if (n->rss.no_ebpf && !insists(n)) {
        warn_fallback(n);
    }
    if (virtio_has_feature(n->host_features, VIRTIO_NET_F_HASH_REPORT) &&
        (legacy || (virtio_net_rss_has_vhost(n) && !n->rss.peer_hashes))) {
        virtio_clear_feature(&features, VIRTIO_NET_F_HASH_REPORT);
        warn_not_offered(n, "hash reports are",
                         legacy ?: "not supported with vhost");
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
                          " PROGRAM:CONFIG:COUNTERS:GRACE" },
        { "ebpf-rss-helper", "path of the socket or program of the helper that"
                             " loads the steering program if QEMU may not" },
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
