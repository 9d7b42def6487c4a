/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaching to a tap's egress
 *
 * From Linux 6.6 on by TCX: a link, which ends with its last descriptor, so
 * with this process. Before that by a filter of cls_bpf in the queueing
 * discipline clsact, which stays until somebody removes it: by its priority and
 * its handle, which nobody else is likely to have both. The queueing
 * discipline remains, as others may use it by then.
 *
 * Without TCX the kernel says EINVAL to the link; older headers do not have
 * the number.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "insn.h"
#include "xdp_attach.h"
#include "xdp_code.h"

enum {
    TCX_EGRESS = 47,            /* BPF_TCX_EGRESS */
    PRIORITY = 50,              /* before the filters of tap-steer */
    HANDLE = 0x58445030,        /* "XDP0" */
};

struct XdpAttach {
    uint32_t ifindex;
    bool by_filter, is_set;
    int link;                   /* or -1 */
};

static int set_filter(XdpAttach *attach, int prog_fd)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = attach->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .priority = PRIORITY,
                .handle = HANDLE, .flags = BPF_TC_F_REPLACE);
    int err = bpf_tc_hook_create(&hook);

    if (err && err != -EEXIST) {
        return -err;
    }
    return -bpf_tc_attach(&hook, &opts);
}

static void unset_filter(const XdpAttach *attach)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = attach->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .priority = PRIORITY, .handle = HANDLE);

    bpf_tc_detach(&hook, &opts);
}

static int set_link(XdpAttach *attach, int prog_fd)
{
    if (attach->link >= 0) {
        return bpf_link_update(attach->link, prog_fd, NULL) < 0 ? errno : 0;
    }
    attach->link = bpf_link_create(prog_fd, attach->ifindex,
                                   (enum bpf_attach_type)TCX_EGRESS, NULL);
    return attach->link < 0 ? errno : 0;
}

int xdp_attach_set(XdpAttach *attach, int prog_fd)
{
    int err = attach->by_filter ? set_filter(attach, prog_fd)
                                : set_link(attach, prog_fd);

    attach->is_set |= !err;
    return err;
}

void xdp_attach_unset(XdpAttach *attach)
{
    if (attach->is_set && attach->by_filter) {
        unset_filter(attach);
    }
    if (attach->link >= 0) {
        close(attach->link);
        attach->link = -1;
    }
    attach->is_set = false;
}

void xdp_attach_free(XdpAttach *attach)
{
    if (attach) {
        xdp_attach_unset(attach);
        g_free(attach);
    }
}

bool xdp_attach_outlives(const XdpAttach *attach)
{
    return attach->by_filter;
}

static bool fail(const char *what, int err, GError **error)
{
    g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "%s: %s%s", what,
                g_strerror(err), err == EPERM
                ? " (needs CAP_BPF and CAP_NET_ADMIN)" : "");
    return false;
}

static bool try(XdpAttach *attach, GError **error)
{
    const struct bpf_insn pass[] = {
        insn(INSN_SET, BPF_REG_0, 0, 0, TC_ACT_UNSPEC),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    int prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "xdp_try", "GPL",
                                pass, G_N_ELEMENTS(pass), NULL);
    int err;

    if (prog_fd < 0) {
        return fail("cannot load a tc program", errno, error);
    }
    err = xdp_attach_set(attach, prog_fd);
    if (err == EINVAL && !attach->by_filter) {
        attach->by_filter = true;
        err = xdp_attach_set(attach, prog_fd);
    }
    xdp_attach_unset(attach);
    close(prog_fd);
    return !err || fail("cannot attach to the egress of the tap", err, error);
}

XdpAttach *xdp_attach_new(uint32_t ifindex, bool by_filter, GError **error)
{
    g_autoptr(XdpAttach) attach = g_new(XdpAttach, 1);

    *attach = (XdpAttach) {
        .ifindex = ifindex, .by_filter = by_filter, .link = -1,
    };
    return try(attach, error) ? g_steal_pointer(&attach) : NULL;
}

/* Is this tap in the namespace of this process? */
static bool check_namespace(int fd, const char *name, GError **error)
{
    int ns = ioctl(fd, TUNGETDEVNETNS);
    struct stat theirs, ours;
    bool same;

    if (ns < 0) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "cannot find the network"
                    " namespace of tap %s: %s%s", name, g_strerror(errno),
                    errno == EPERM ? " (needs CAP_NET_ADMIN)" : "");
        return false;
    }
    same = fstat(ns, &theirs) == 0 &&
           stat("/proc/self/ns/net", &ours) == 0 &&
           theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
    close(ns);
    if (!same) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "tap %s is in another"
                    " network namespace than this process", name);
    }
    return same;
}

/* The kernel tells a tap's name only, and names change: it is asked twice. */
uint32_t xdp_attach_find_tap(int fd, char name[IF_NAMESIZE], GError **error)
{
    struct ifreq before = { 0 }, index = { 0 }, after = { 0 };
    int socket_fd, err;

    if (ioctl(fd, TUNGETIFF, &before) < 0 || !(before.ifr_flags & IFF_TAP)) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST,
                    "the descriptor is none of a tap");
        return 0;
    }
    before.ifr_name[IFNAMSIZ - 1] = 0;
    if (!check_namespace(fd, before.ifr_name, error)) {
        return 0;
    }
    memcpy(index.ifr_name, before.ifr_name, IFNAMSIZ);
    socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    err = socket_fd < 0 || ioctl(socket_fd, SIOCGIFINDEX, &index) < 0 ? errno
                                                                      : 0;
    if (socket_fd >= 0) {
        close(socket_fd);
    }
    if (!err && (ioctl(fd, TUNGETIFF, &after) < 0 ||
                 strncmp(before.ifr_name, after.ifr_name, IFNAMSIZ))) {
        err = EAGAIN;
    }
    if (err) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "cannot find tap"
                    " %s: %s", before.ifr_name, g_strerror(err));
        return 0;
    }
    memcpy(name, before.ifr_name, IF_NAMESIZE);
    return index.ifr_ifindex;
}
