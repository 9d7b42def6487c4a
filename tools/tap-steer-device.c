/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces and devices. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap-steer.h"

/* As ip(8) names them; or by a process, or by any path. */
static char *netns_path(const char *netns)
{
    if (strchr(netns, '/')) {
        return g_strdup(netns);
    }
    if (strspn(netns, "0123456789") == strlen(netns)) {
        return g_strdup_printf("/proc/%s/ns/net", netns);
    }
    return g_strdup_printf("/run/netns/%s", netns);
}

bool enter_netns(const char *netns, GError **error)
{
    g_autofree char *path = netns ? netns_path(netns) : NULL;
    int fd, err = 0;

    if (!netns) {
        return true;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
        err = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    return !err ||
           refuse(error, "cannot enter the network namespace %s: %s%s", path,
                  g_strerror(err), steer_lacks(err, STEER_CAP_SYS_ADMIN));
}

static bool own_netns(ino_t *netns, GError **error)
{
    struct stat stat_;

    if (stat("/proc/thread-self/ns/net", &stat_) < 0) {
        return refuse(error, "cannot tell the network namespace: %s",
                      g_strerror(errno));
    }
    *netns = stat_.st_ino;
    return true;
}

Device *device_open(const char *name, GError **error)
{
    g_autoptr(Device) device = g_new0(Device, 1);

    device->nl = netlink_open(error);
    if (!device->nl || !own_netns(&device->netns, error) ||
        !link_info_get(device->nl, name, &device->link, error)) {
        return NULL;
    }
    return g_steal_pointer(&device);
}

void device_free(Device *device)
{
    if (device) {
        netlink_close(device->nl);
        g_free(device);
    }
}

GPtrArray *device_list(GError **error)
{
    g_autoptr(GPtrArray) devices =
        g_ptr_array_new_with_free_func((GDestroyNotify)device_free);
    g_autoptr(Netlink) nl = netlink_open(error);
    g_autoptr(GArray) links = nl ? link_info_list(nl, error) : NULL;
    ino_t netns = 0;
    guint i;

    if (!links || !own_netns(&netns, error)) {
        return NULL;
    }
    for (i = 0; i < links->len; i++) {
        g_autoptr(Device) device = g_new0(Device, 1);

        device->nl = netlink_open(error);
        if (!device->nl) {
            return NULL;
        }
        device->netns = netns;
        device->link = g_array_index(links, LinkInfo, i);
        g_ptr_array_add(devices, g_steal_pointer(&device));
    }
    return g_steal_pointer(&devices);
}
