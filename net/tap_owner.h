/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Getting at a tap that another process has open. */
#ifndef NET_TAP_OWNER_H
#define NET_TAP_OWNER_H

#include <sys/types.h>

#include "net/link_info.h"

/**
 * TapOwner: a process that has a queue of a tap open
 * @pid: 0 if none was found
 * @fd: a copy of its descriptor, for tap_steering_attach(); -1 if there is none
 * @name: the process's, as the kernel knows it
 * @programs: ids of the socket filters that it holds open, as uint32_t
 * @unread: processes whose descriptors could not be looked at, or copied
 */
typedef struct TapOwner {
    pid_t pid;
    int fd;
    char name[16];
    GArray *programs;
    unsigned unread;
} TapOwner;

/**
 * tap_owner_find:
 * @netns: inode number of the device's network namespace
 *
 * Looks through all processes, in any namespace. Takes CAP_SYS_PTRACE, or the
 * same user, to see another process's descriptors. Where @unread is not 0, that
 * nobody was found does not say that nobody has the device open.
 */
TapOwner *tap_owner_find(const LinkInfo *info, ino_t netns);

void tap_owner_free(TapOwner *owner);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TapOwner, tap_owner_free)

/**
 * tap_open_queue:
 *
 * Opens a queue of the device in this thread's network namespace. While others
 * have it open and it is up, packets go to the new queue as well, and its flags
 * become @info's. So this is for a device that nobody has open.
 *
 * Returns: a descriptor, or -1 with @error set
 */
int tap_open_queue(const LinkInfo *info, GError **error);

#endif
