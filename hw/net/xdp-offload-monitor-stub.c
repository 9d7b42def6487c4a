/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor command of a QEMU that has no XDP offload. */
#include "qemu/osdep.h"
#include "qapi/qapi-commands-xdp-offload.h"

XdpOffloadInfoList *qmp_x_query_xdp_offload(Error **errp)
{
    return NULL;
}
