/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the versions of QEMU differ in what the bpfhv device uses. */
#ifndef HW_NET_BPFHV_COMPAT_H
#define HW_NET_BPFHV_COMPAT_H

#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "migration/blocker.h"
#include "net/net.h"
#include "qapi/error.h"
#if QEMU_VERSION_MAJOR >= 10
#include "hw/pci/pci_device.h"
#include "system/hostmem.h"
#include "system/kvm.h"
#include "system/runstate.h"
#if QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR < 2
#include "exec/address-spaces.h"
#include "exec/ramblock.h"
#else
#include "system/address-spaces.h"
#endif
#else
#include "exec/address-spaces.h"
#include "sysemu/hostmem.h"
#include "sysemu/kvm.h"
#include "sysemu/runstate.h"
#endif

/* A device's properties became constant, and their array lost its last. */
#if QEMU_VERSION_MAJOR < 10
#define PROPERTIES static Property
#define PROPERTIES_END , DEFINE_PROP_END_OF_LIST()
#define device_class_set_legacy_reset(dc, function) ((dc)->reset = (function))
#define CLASS_DATA void *
#else
#define PROPERTIES static const Property
#define PROPERTIES_END
#if QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR == 0
#define CLASS_DATA void *
#else
#define CLASS_DATA const void *
#endif
#endif

/* Who blocks migration keeps the reason, or the blocker does. */
static inline bool bpfhv_block_migration(Error **reason, Error **errp)
{
#if QEMU_VERSION_MAJOR < 9
    if (migrate_add_blocker(*reason, errp) < 0) {
        error_free(*reason);
        *reason = NULL;
        return false;
    }
    return true;
#else
    return migrate_add_blocker(reason, errp) == 0;
#endif
}

static inline void bpfhv_unblock_migration(Error **reason)
{
#if QEMU_VERSION_MAJOR < 9
    if (*reason) {
        migrate_del_blocker(*reason);
        error_free(*reason);
        *reason = NULL;
    }
#else
    migrate_del_blocker(reason);
#endif
}

/* Who uses a chardev got a better name. */
#if QEMU_VERSION_MAJOR > 10 || \
    (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 2)
#define BPFHV_CHARDEV CharFrontend
#else
#define BPFHV_CHARDEV CharBackend
#endif

/* Where in its file a region of RAM begins, in bytes. */
static inline uint64_t bpfhv_fd_offset(MemoryRegion *mr)
{
#if QEMU_VERSION_MAJOR < 10
    return 0;
#elif QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR < 2
    return mr->ram_block->fd_offset;
#else
    return qemu_ram_get_fd_offset(mr->ram_block);
#endif
}

/* What the peer may leave to the guest: checksums, packets of many segments. */
static inline void bpfhv_set_offload(NetClientState *peer, bool csum, bool tso4,
                                     bool tso6)
{
#if QEMU_VERSION_MAJOR < 10
    qemu_set_offload(peer, csum, tso4, tso6, false, false);
#elif QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR < 2
    qemu_set_offload(peer, csum, tso4, tso6, false, false, false, false);
#else
    const NetOffloads offloads = { .csum = csum, .tso4 = tso4, .tso6 = tso6 };

    qemu_set_offload(peer, &offloads);
#endif
}

/* From here on packets have a header of @len bytes in front, both ways. */
static inline void bpfhv_use_vnet_hdr(NetClientState *peer, int len)
{
#if QEMU_VERSION_MAJOR < 10
    qemu_using_vnet_hdr(peer, true);
#endif
    qemu_set_vnet_hdr_len(peer, len);
}

#endif
