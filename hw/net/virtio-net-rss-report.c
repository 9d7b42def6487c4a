/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hash reports with vhost: who writes the hash into packets that QEMU does not
 * see.
 *
 * A vhost-net of another node than the kernel's own runs a program on each
 * packet, and writes what it says (docs/devel/vhost_net_hash.rst). Whether a
 * queue's vhost is one is found out by trying. A tap is made before its card,
 * and opens the kernel's own; only the card knows that hash=on, so each queue
 * is moved to the other node then. A descriptor that was handed over stays:
 * it reports hashes, or there are none.
 *
 * The program is given to all queue pairs, whether they are active or not, and
 * stays in each vhost until it is taken away, also while that is stopped.
 */
#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include "linux-headers/linux/vhost.h"
#include "hw/virtio/vhost.h"
#include "net/tap.h"
#include "net/vhost_net.h"
#include "standard-headers/linux/virtio_net.h"
#include "trace.h"
#include "virtio-net-rss-internal.h"

#define HASH_NODE "/dev/vhost-net-hash"

/*
 * Gives the receive queue the program with this descriptor, -1 takes it away:
 * linux/vhost-net-hash/vhost_net_hash.h
 */
#define VHOST_NET_SET_HASH_PROG _IOW(VHOST_VIRTIO, 0x3f, int)

static bool set_program(int vhost_fd, int program_fd)
{
    return ioctl(vhost_fd, VHOST_NET_SET_HASH_PROG, &program_fd) == 0;
}

/* The feature alone may have another meaning in a kernel to come. */
static bool reports_hashes(int vhost_fd)
{
    uint64_t features = 0;

    return ioctl(vhost_fd, VHOST_GET_FEATURES, &features) == 0 &&
           virtio_has_feature(features, VIRTIO_NET_F_HASH_REPORT) &&
           set_program(vhost_fd, -1);
}

/* The descriptor of a queue's vhost in the kernel, or -1 if it has none. */
static int queue_vhost_fd(NetClientState *nc)
{
    struct vhost_net *net = get_vhost_net(nc);

    return net && nc->info->type == NET_CLIENT_DRIVER_TAP
           ? (intptr_t)net->dev.opaque : -1;
}

static bool refuse(GError **error, const char *node, const char *what)
{
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL, "%s %s", node, what);
    return false;
}

/* Where the user named the node, no package is what is missing. */
static const char *remedy(VirtIONet *n, int err)
{
    switch (err) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return n->rss.hash_node ? ""
               : " (the package vhost-net-hash-dkms has it)";
    case EACCES:
    case EPERM:
        return " (or hand it over with vhostfd=)";
    default:
        return "";
    }
}

static const char *node_path(VirtIONet *n)
{
    return n->rss.hash_node ?: HASH_NODE;
}

/* Returns a descriptor of the node, or -1 with @error set. */
static int open_node(VirtIONet *n, GError **error)
{
    int fd = open(node_path(n), O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL, "cannot open %s: %s%s",
                    node_path(n), strerror(errno), remedy(n, errno));
    } else if (!reports_hashes(fd)) {
        close(fd);
        fd = -1;
        refuse(error, node_path(n), "does not report hashes");
    }
    return fd;
}

/*
 * Opens the node for each queue that is to be moved there: @fds, which are -1,
 * are the caller's, also on failure.
 */
static bool open_nodes(VirtIONet *n, int *fds, GError **error)
{
    NICPeers *peers = &n->nic_conf.peers;
    int i;

    for (i = 0; i < peers->queues; i++) {
        int fd = queue_vhost_fd(peers->ncs[i]);

        if (!qemu_has_vnet_hdr(peers->ncs[i])) {
            return refuse(error, "the tap", "has vnet_hdr=off");
        }
        if (reports_hashes(fd)) {
            continue;
        }
        if (!tap_opened_vhost(peers->ncs[i])) {
            return refuse(error, "vhostfd=", "does not report hashes (hand over"
                          " a descriptor of " HASH_NODE ")");
        }
        fds[i] = open_node(n, error);
        if (fds[i] < 0) {
            return false;
        }
    }
    return true;
}

/* No queue is moved before there is a node for each. */
bool virtio_net_rss_find_reporter(VirtIONet *n, GError **error)
{
    NICPeers *peers = &n->nic_conf.peers;
    g_autofree int *fds = g_new(int, peers->queues);
    bool found;
    int i;

    memset(fds, -1, peers->queues * sizeof(*fds));
    found = open_nodes(n, fds, error);
    for (i = 0; i < peers->queues; i++) {
        if (fds[i] < 0) {
            continue;
        }
        if (!found) {
            close(fds[i]);
        } else if (!tap_move_vhost(peers->ncs[i], fds[i])) {
            found = refuse(error, node_path(n), "cannot be set up");
        }
    }
    return found;
}

bool virtio_net_rss_report(VirtIONet *n, GError **error)
{
    NICPeers *peers = &n->nic_conf.peers;
    int program_fd = ebpf_rss_report_fd(n->rss.ebpf);
    int i;

    for (i = 0; i < peers->queues; i++) {
        int fd = queue_vhost_fd(peers->ncs[i]);

        if (fd >= 0 && !set_program(fd, program_fd)) {
            g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                        "cannot attach the program for hash reports to"
                        " vhost-net: %s", strerror(errno));
            virtio_net_rss_stop_report(n);
            return false;
        }
    }
    trace_virtio_net_rss_report(n, true);
    return true;
}

void virtio_net_rss_stop_report(VirtIONet *n)
{
    NICPeers *peers = &n->nic_conf.peers;
    int i;

    for (i = 0; i < peers->queues; i++) {
        int fd = queue_vhost_fd(peers->ncs[i]);

        if (fd >= 0) {
            set_program(fd, -1);
        }
    }
    trace_virtio_net_rss_report(n, false);
}
