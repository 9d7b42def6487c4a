/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The netdev of a QEMU that has no card for it. */
#include "qemu/osdep.h"
#include "net/clients.h"
#include "qapi/error.h"

int net_init_bpfhv_proxy(const Netdev *netdev, const char *name,
                         NetClientState *peer, Error **errp)
{
    error_setg(errp, "bpfhv-proxy is not supported: this QEMU has no"
               " bpfhv-pci");
    return -1;
}
