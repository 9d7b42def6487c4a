/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding an engine for a virtio-net device when it is realized.
 *
 * The property rss-engine says what the user wants: "ebpf" and "software"
 * insist, and what cannot be had is an error; "auto", the default, takes what
 * there is, and says once what it could not get.
 *
 * A program comes from ebpf-rss-fds, if that is given; else QEMU loads it; if
 * QEMU may not, the program ebpf-rss-helper does so for it.
 */
#include "qemu/osdep.h"
#include "monitor/monitor.h"
#include "net/tap.h"
#include "net/tap_steering.h"
#include "net/vhost_net.h"
#include "qapi/error.h"
#include "qapi/qmp/qlist.h"
#include "qapi/qmp/qstring.h"
#include "qapi/visitor-impl.h"
#include "qapi/visitor.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
#include "virtio-net-rss-internal.h"

#ifndef CONFIG_QEMU_RSS_HELPER
#define CONFIG_QEMU_RSS_HELPER ""
#endif

static bool wants(VirtIONet *n, const char *engine)
{
    return !g_strcmp0(n->rss.engine ?: "auto", engine);
}

/* A configuration that had to wait is in force. In a thread of the library. */
static void virtio_net_rss_notify(void *opaque)
{
    VirtIONet *n = opaque;

    qemu_bh_schedule(n->rss.notified_bh);
}

/*
 * Uses the descriptors in "7:8:9:10", each a number or a name given with getfd.
 * Without the last one, as loaders of old have it, QEMU may lack a way to wait.
 * Those with names are ours, whatever comes of it; numbers stay open if they
 * are of no use.
 */
static EBPFRSS *adopt_fds(VirtIONet *n, GError **error)
{
    g_auto(GStrv) name = g_strsplit(n->rss.ebpf_fds, ":", -1);
    int n_fds = g_strv_length(name), fds[EBPF_RSS_FDS], got;
    EBPFRSS *ebpf = NULL;
    Error *err = NULL;

    if (n_fds != EBPF_RSS_FDS && n_fds != EBPF_RSS_FD_GRACE) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "ebpf-rss-fds=%s: %d descriptors, not %d: the program's"
                    " and its maps'", n->rss.ebpf_fds, n_fds, EBPF_RSS_FDS);
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
        ebpf = ebpf_rss_adopt(fds, virtio_net_rss_notify, n, error);
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

/* The default is where this QEMU is, even if it was moved. */
static char *helper_path(VirtIONet *n)
{
    return n->rss.ebpf_helper ? g_strdup(n->rss.ebpf_helper)
                              : get_relocated_path(CONFIG_QEMU_RSS_HELPER);
}

static bool open_by_helper(VirtIONet *n, const char *name,
                           int fds[EBPF_RSS_FDS], GError **error)
{
    g_autofree char *helper = helper_path(n);
    g_autoptr(GError) own = *error;
    g_autoptr(GError) err = NULL;

    *error = NULL;
    if (!n->rss.ebpf_helper && access(helper, X_OK) < 0) {
        g_propagate_error(error, g_steal_pointer(&own));
        return false;
    }
    if (ebpf_rss_open_by_helper(helper, name, fds, &err)) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_PRIVILEGE, "%s; %s",
                own->message, err->message);
    return false;
}

static EBPFRSS *open_program(VirtIONet *n, const char *name, GError **error)
{
    g_autofree char *helper = helper_path(n);
    GError *err = NULL;
    int fds[EBPF_RSS_FDS], i;
    bool by_helper = false;
    EBPFRSS *ebpf;

    if (n->rss.ebpf_fds) {
        trace_virtio_net_rss_load(n, "ebpf-rss-fds");
        return adopt_fds(n, error);
    }
    if (!ebpf_rss_open(name, fds, &err)) {
        by_helper = g_error_matches(err, RSS_ERROR, RSS_ERROR_PRIVILEGE) &&
                    open_by_helper(n, name, fds, &err);
        if (!by_helper) {
            g_propagate_error(error, err);
            return NULL;
        }
    }
    trace_virtio_net_rss_load(n, by_helper ? helper : "QEMU itself");
    ebpf = ebpf_rss_adopt(fds, virtio_net_rss_notify, n, error);
    for (i = 0; !ebpf && i < EBPF_RSS_FDS; i++) {
        close(fds[i]);
    }
    if (!ebpf && by_helper) {
        g_prefix_error(error, "what %s has sent is of no use: ", helper);
    }
    return ebpf;
}

bool virtio_net_rss_load(VirtIONet *n, GError **error)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    if (!peer || !peer->info->set_steering_ebpf) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "the backend cannot take a steering program");
        return false;
    }
    n->rss.ebpf = open_program(n, peer->name, error);
    if (!n->rss.ebpf) {
        return false;
    }
    if (!virtio_net_rss_attach(n)) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "the backend does not take the steering program");
        ebpf_rss_unload(n->rss.ebpf);
        n->rss.ebpf = NULL;
        return false;
    }
    virtio_net_rss_detach(n);
    ebpf_rss_set_counting(n->rss.ebpf, n->rss.counting);
    return true;
}

/* What is wrong with the properties themselves, whatever the host has. */
static bool check_properties(VirtIONet *n, Error **errp)
{
    bool rss = virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS);
    bool hash = virtio_has_feature(n->host_features,
                                   VIRTIO_NET_F_HASH_REPORT);

    if (!wants(n, "auto") && !wants(n, "ebpf") && !wants(n, "software")) {
        error_setg(errp, "rss-engine must be auto, ebpf or software, not '%s'",
                   n->rss.engine);
        return false;
    }
    if ((rss || hash) && !virtio_has_feature(n->host_features,
                                             VIRTIO_NET_F_CTRL_VQ)) {
        error_setg(errp, "%s=on without ctrl_vq=on, by which the guest would"
                   " configure it", rss ? "rss" : "hash");
        return false;
    }
    if (n->rss.ebpf_fds && !rss) {
        error_setg(errp, "ebpf-rss-fds without rss=on");
        return false;
    }
    if (wants(n, "ebpf") && !rss) {
        error_setg(errp, "rss-engine=ebpf without rss=on");
        return false;
    }
    if (wants(n, "ebpf") && hash) {
        error_setg(errp, "rss-engine=ebpf cannot report hashes, but hash=on");
        return false;
    }
    if (wants(n, "software") && virtio_net_rss_has_vhost(n)) {
        error_setg(errp, "rss-engine=software: with vhost=on QEMU sees no"
                   " packet that it could steer");
        return false;
    }
    if (n->rss.ebpf_fds && wants(n, "software")) {
        error_setg(errp, "ebpf-rss-fds with rss-engine=software");
        return false;
    }
    return true;
}

/* With rss-engine=auto: a fallback that the user should know of. */
static void warn_fallback(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    trace_virtio_net_rss_fallback(n, n->rss.no_ebpf);
    if (virtio_net_rss_has_vhost(n)) {
        warn_report("%s: rss=on is not offered to the guest, which with"
                    " vhost=on takes the eBPF engine: %s",
                    peer->name, n->rss.no_ebpf);
    } else if (peer && peer->info->set_steering_ebpf) {
        warn_report("%s: RSS in QEMU instead of the kernel: %s",
                    peer->name, n->rss.no_ebpf);
    }
}

/* A QEMU that was killed has left its program in a tap that outlives it. */
static void clear_tap(VirtIONet *n)
{
    NetClientState *peer = virtio_net_rss_peer(n);

    if (peer && peer->info->type == NET_CLIENT_DRIVER_TAP) {
        tap_steering_detach(tap_get_fd(peer), NULL);
    }
}

bool virtio_net_rss_realize(VirtIONet *n, Error **errp)
{
    static uint64_t devices;
    g_autoptr(GError) err = NULL;

    n->rss.serial = devices++;
    if (!check_properties(n, errp)) {
        return false;
    }
    n->rss.guest.config.table_len = 1;
    n->rss.ctrl_bh = virtio_bh_new_guarded(DEVICE(n), virtio_net_ctrl_bh, n);
    n->rss.notified_bh = virtio_bh_new_guarded(DEVICE(n),
                                               virtio_net_rss_notified_bh, n);
    if (virtio_has_feature(n->host_features, VIRTIO_NET_F_HASH_REPORT) &&
        virtio_net_rss_has_vhost(n)) {
        trace_virtio_net_rss_fallback(n, "hash=on is not offered with vhost");
        warn_report("%s: hash=on is not offered to the guest: with vhost there"
                    " is no one who could report hashes",
                    virtio_net_rss_peer(n)->name);
    }
    if (!virtio_has_feature(n->host_features, VIRTIO_NET_F_RSS)) {
        return true;
    }
    clear_tap(n);
    if (wants(n, "software")) {
        n->rss.no_ebpf = g_strdup("rss-engine=software");
        return true;
    }
    if (virtio_net_rss_load(n, &err)) {
        return true;
    }
    if (wants(n, "ebpf") || n->rss.ebpf_fds) {
        error_setg(errp, "RSS by eBPF cannot be had: %s", err->message);
        virtio_net_rss_unrealize(n);
        return false;
    }
    n->rss.no_ebpf = g_strdup(err->message);
    warn_fallback(n);
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
    g_clear_pointer(&n->rss.incoming, g_free);
    ebpf_rss_unload(n->rss.ebpf);
    n->rss.ebpf = NULL;
    delete_bh(&n->rss.notified_bh);
    delete_bh(&n->rss.ctrl_bh);
    g_free(n->rss.no_ebpf);
    n->rss.no_ebpf = NULL;
}

uint64_t virtio_net_rss_get_features(VirtIONet *n, uint64_t features)
{
    if (virtio_net_rss_has_vhost(n)) {
        if (!n->rss.ebpf) {
            virtio_clear_feature(&features, VIRTIO_NET_F_RSS);
        }
        virtio_clear_feature(&features, VIRTIO_NET_F_HASH_REPORT);
    }
    return features;
}

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

    if (visit_type_bool(v, name, &n->rss.counting, errp) && n->rss.ebpf) {
        ebpf_rss_set_counting(n->rss.ebpf, n->rss.counting);
    }
}

/* As a string "7:8:9", or as a list, which is what QEMU 9.0 takes. */
static void get_fds(Object *obj, Visitor *v, const char *name,
                    void *opaque, Error **errp)
{
    char **fds = object_field_prop_ptr(obj, opaque);
    g_autofree char *value = g_strdup(*fds ?: "");

    visit_type_str(v, name, &value, errp);
}

/* The strings in a list, with colons between; NULL if it has others. */
static char *join_list(QList *list)
{
    g_autoptr(GString) joined = g_string_new(NULL);
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(list, entry) {
        QString *item = qobject_to(QString, qlist_entry_obj(entry));

        if (!item) {
            return NULL;
        }
        g_string_append_printf(joined, "%s%s", joined->len ? ":" : "",
                               qstring_get_str(item));
    }
    return g_string_free(g_steal_pointer(&joined), false);
}

static void set_fds(Object *obj, Visitor *v, const char *name,
                    void *opaque, Error **errp)
{
    char **fds = object_field_prop_ptr(obj, opaque);
    QObject *any = NULL;
    char *value = NULL;

    if (!v->type_any) {                 /* -global */
        visit_type_str(v, name, &value, errp);
    } else if (visit_type_any(v, name, &any, errp)) {
        if (qobject_to(QString, any)) {
            value = g_strdup(qstring_get_str(qobject_to(QString, any)));
        } else if (qobject_to(QList, any)) {
            value = join_list(qobject_to(QList, any));
        }
        if (!value) {
            error_setg(errp, "'%s' is a string or a list of strings", name);
        }
        qobject_unref(any);
    }
    if (value) {
        g_free(*fds);
        *fds = value;
    }
}

static void release_fds(Object *obj, const char *name, void *opaque)
{
    char **fds = object_field_prop_ptr(obj, opaque);

    g_free(*fds);
    *fds = NULL;
}

const PropertyInfo qdev_prop_virtio_net_rss_fds = {
    .name = "str",
    .description = "descriptors of a loaded steering program and its maps",
    .get = get_fds,
    .set = set_fds,
    .release = release_fds,
};

const PropertyInfo qdev_prop_virtio_net_rss_counters = {
    .name = "bool",
    .description = "count the packets that RSS steers; may change any time",
    .get = get_counting,
    .set = set_counting,
    .realized_set_allowed = true,
};
