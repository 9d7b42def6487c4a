/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the versions of QEMU differ in what XDP offload uses. */
#ifndef HW_NET_XDP_OFFLOAD_COMPAT_H
#define HW_NET_XDP_OFFLOAD_COMPAT_H

#include "migration/misc.h"
#if QEMU_VERSION_MAJOR < 10
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#else
#include "system/reset.h"
#include "system/runstate.h"
#endif

/**
 * XdpOffloadMigration:
 * @changed: a migration begins, or has ended in whatever way; with the BQL
 *           held, and in the main loop's thread where one begins
 */
typedef struct XdpOffloadMigration XdpOffloadMigration;

#if QEMU_VERSION_MAJOR >= 9
/* One of the modes: each has a list, and its notifiers get nothing else. */
typedef struct XdpOffloadMode {
    NotifierWithReturn notifier;
    XdpOffloadMigration *migration;
} XdpOffloadMode;
#endif

struct XdpOffloadMigration {
#if QEMU_VERSION_MAJOR < 9
    Notifier notifier;
#else
    XdpOffloadMode modes[MIG_MODE__MAX];
#endif
    void (*changed)(XdpOffloadMigration *migration, bool begins);
};

#if QEMU_VERSION_MAJOR < 9
static inline void xdp_offload_migration_notify(Notifier *notifier, void *state)
{
    XdpOffloadMigration *migration = container_of(notifier,
                                                  XdpOffloadMigration,
                                                  notifier);

    migration->changed(migration, migration_in_setup(state));
}

static inline void xdp_offload_watch_migration(XdpOffloadMigration *migration)
{
    migration->notifier.notify = xdp_offload_migration_notify;
    add_migration_state_change_notifier(&migration->notifier);
}

static inline void xdp_offload_unwatch_migration(XdpOffloadMigration *migration)
{
    remove_migration_state_change_notifier(&migration->notifier);
}
#else
static inline int xdp_offload_migration_notify(NotifierWithReturn *notifier,
                                        MigrationEvent *event, Error **errp)
{
    XdpOffloadMode *mode = container_of(notifier, XdpOffloadMode, notifier);

    mode->migration->changed(mode->migration,
                             event->type == MIG_EVENT_PRECOPY_SETUP);
    return 0;
}

static inline void xdp_offload_watch_migration(XdpOffloadMigration *migration)
{
    MigMode mode;

    for (mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration->modes[mode].migration = migration;
        migration_add_notifier_mode(&migration->modes[mode].notifier,
                                    xdp_offload_migration_notify, mode);
    }
}

static inline void xdp_offload_unwatch_migration(XdpOffloadMigration *migration)
{
    MigMode mode;

    for (mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_remove_notifier(&migration->modes[mode].notifier);
    }
}
#endif

static inline bool xdp_offload_migration_runs(void)
{
#if QEMU_VERSION_MAJOR < 9
    return !migration_is_idle();
#else
    return migration_is_running();
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
