/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor commands of a QEMU that has no virtio-net. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-ebpf.h"
#include "qapi/qapi-commands-rss.h"

RssInfoList *qmp_x_query_rss(Error **errp)
{
    return NULL;
}

#ifdef CONFIG_EBPF
EbpfObject *qmp_request_ebpf(EbpfProgramID id, Error **errp)
{
    error_setg(errp, "this QEMU was built without virtio-net");
    return NULL;
}
#endif
