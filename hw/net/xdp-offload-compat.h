/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the versions of QEMU differ in what XDP offload uses. */
#ifndef HW_NET_XDP_OFFLOAD_COMPAT_H
#define HW_NET_XDP_OFFLOAD_COMPAT_H

#include "migration/blocker.h"
#include "qapi/error.h"
#if QEMU_VERSION_MAJOR < 10
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#else
#include "system/reset.h"
#include "system/runstate.h"
#endif

/*
 * From 8.2 on QEMU frees and forgets the reason with the blocker, or where it
 * refuses to block.
 */
static inline int xdp_offload_block_migration(Error **reason, Error **errp)
{
#if QEMU_VERSION_MAJOR < 9
    int result = migrate_add_blocker(*reason, errp);

    if (result < 0) {
        error_free(*reason);
        *reason = NULL;
    }
    return result;
#else
    return migrate_add_blocker(reason, errp);
#endif
}

static inline void xdp_offload_unblock_migration(Error **reason)
{
#if QEMU_VERSION_MAJOR < 9
    migrate_del_blocker(*reason);
    error_free(*reason);
    *reason = NULL;
#else
    migrate_del_blocker(reason);
#endif
}

/* An optional pointer of a QAPI structure had a flag of its own up to 7.2. */
#if QEMU_VERSION_MAJOR < 8
#define XDP_OFFLOAD_SET_HAS(info, field) \
    ((info)->has_##field = (info)->field != NULL)
#else
#define XDP_OFFLOAD_SET_HAS(info, field) ((void)0)
#endif

/* The second argument of a class's initialisation. */
#if QEMU_VERSION_MAJOR > 10 || \
    (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 1)
#define XDP_OFFLOAD_CLASS_DATA const void *data
#else
#define XDP_OFFLOAD_CLASS_DATA void *data
#endif

#endif
