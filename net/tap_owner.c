/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A steering program is attached by a descriptor of one of the tap's queues.
 * A new queue receives packets from the moment on that it exists, for nobody.
 * So we take a copy of one that its owner has (pidfd_getfd, Linux 5.6), which
 * changes nothing for the owner.
 *
 * Which descriptor it is, is told by what it is, never by a path: the character
 * device 10:200, the interface's name in its fdinfo, and then the copy itself,
 * by its name and network namespace. There are many "tap0".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "net/rss.h"
#include "net/tap_owner.h"

enum {
    TUN_MAJOR = 10,
    TUN_MINOR = 200,
};

/* Puts what follows "@key:" in /proc/PID/fdinfo/FD into @out. */
static bool read_fdinfo(pid_t pid, const char *fd, const char *key,
                        char *out, size_t size)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fdinfo/%s", pid, fd);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    size_t len = strlen(key), i;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (i = 0; lines[i]; i++) {
        if (!strncmp(lines[i], key, len) && lines[i][len] == ':') {
            g_strlcpy(out, g_strstrip(lines[i] + len + 1), size);
            return true;
        }
    }
    return false;
}

static int copy_fd(pid_t pid, int fd)
{
    int pidfd = syscall(SYS_pidfd_open, pid, 0), copy, saved;

    if (pidfd < 0) {
        return -1;
    }
    copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);      /* close-on-exec */
    saved = errno;
    close(pidfd);
    errno = saved;
    return copy;
}

/* Is this a queue of the device, and of no other of that name? */
static bool is_queue_of(int fd, const LinkInfo *info, ino_t netns)
{
    struct ifreq request;
    struct stat stat;
    int ns;
    bool same;

    memset(&request, 0, sizeof(request));
    if (ioctl(fd, TUNGETIFF, &request) < 0 ||
        strncmp(request.ifr_name, info->name, IFNAMSIZ)) {
        return false;
    }
    ns = ioctl(fd, TUNGETDEVNETNS);
    if (ns < 0) {
        return false;
    }
    same = fstat(ns, &stat) == 0 && stat.st_ino == netns;
    close(ns);
    return same;
}

static void read_name(TapOwner *owner)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", owner->pid);
    g_autofree char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        g_strlcpy(owner->name, g_strchomp(text), sizeof(owner->name));
    }
}

/* Calls for each descriptor of a process until one says that it is the last. */
typedef bool EachFd(TapOwner *owner, const LinkInfo *info, ino_t netns,
                    pid_t pid, const char *fd, int folder);

static void each_fd(TapOwner *owner, const LinkInfo *info, ino_t netns,
                    pid_t pid, EachFd *each)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    struct dirent *entry;

    if (!folder) {
        owner->unread += errno == EACCES || errno == EPERM;
        return;
    }
    while ((entry = readdir(folder))) {
        if (g_ascii_isdigit(entry->d_name[0]) &&
            each(owner, info, netns, pid, entry->d_name, dirfd(folder))) {
            break;
        }
    }
    closedir(folder);
}

static bool take_queue(TapOwner *owner, const LinkInfo *info, ino_t netns,
                       pid_t pid, const char *fd, int folder)
{
    char name[IFNAMSIZ];
    struct stat stat;
    int copy;

    if (fstatat(folder, fd, &stat, 0) < 0 || !S_ISCHR(stat.st_mode) ||
        stat.st_rdev != makedev(TUN_MAJOR, TUN_MINOR) ||
        !read_fdinfo(pid, fd, "iff", name, sizeof(name)) ||
        strcmp(name, info->name)) {
        return false;
    }
    copy = copy_fd(pid, atoi(fd));
    if (copy < 0) {
        owner->unread += errno == EPERM || errno == EACCES;
        return false;
    }
    if (!is_queue_of(copy, info, netns)) {
        close(copy);
        return false;
    }
    owner->pid = pid;
    owner->fd = copy;
    return true;
}

static bool note_program(TapOwner *owner, const LinkInfo *info, ino_t netns,
                         pid_t pid, const char *fd, int folder)
{
    char target[32], text[16];
    ssize_t len = readlinkat(folder, fd, target, sizeof(target) - 1);
    uint32_t id;

    target[MAX(len, 0)] = 0;
    if (!strcmp(target, "anon_inode:bpf-prog") &&
        read_fdinfo(pid, fd, "prog_type", text, sizeof(text)) &&
        atoi(text) == BPF_PROG_TYPE_SOCKET_FILTER &&
        read_fdinfo(pid, fd, "prog_id", text, sizeof(text))) {
        id = strtoul(text, NULL, 10);
        g_array_append_val(owner->programs, id);
    }
    return false;
}

TapOwner *tap_owner_find(const LinkInfo *info, ino_t netns)
{
    TapOwner *owner = g_new0(TapOwner, 1);
    DIR *processes = opendir("/proc");
    struct dirent *entry;

    owner->fd = -1;
    owner->programs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    while (processes && owner->fd < 0 && (entry = readdir(processes))) {
        if (g_ascii_isdigit(entry->d_name[0]) &&
            atoi(entry->d_name) != getpid()) {
            each_fd(owner, info, netns, atoi(entry->d_name), take_queue);
        }
    }
    if (processes) {
        closedir(processes);
    } else {
        owner->unread++;
    }
    if (owner->pid) {
        read_name(owner);
        each_fd(owner, info, netns, owner->pid, note_program);
    }
    return owner;
}

void tap_owner_free(TapOwner *owner)
{
    if (owner) {
        if (owner->fd >= 0) {
            close(owner->fd);
        }
        g_array_unref(owner->programs);
        g_free(owner);
    }
}

int tap_open_queue(const LinkInfo *info, GError **error)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request;

    memset(&request, 0, sizeof(request));
    g_strlcpy(request.ifr_name, info->name, sizeof(request.ifr_name));
    request.ifr_flags = (info->is_tap ? IFF_TAP : IFF_TUN) |
                        (info->pi ? 0 : IFF_NO_PI) |
                        (info->vnet_hdr ? IFF_VNET_HDR : 0) |
                        (info->multi_queue ? IFF_MULTI_QUEUE : 0);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot open a queue of %s: %s", info->name,
                    g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
