/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the monitor tells of XDP offload. */
#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-xdp-offload.h"
#include "qemu/atomic.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "xdp-offload-internal.h"

/* What the helper's counters are, see XdpCounter. */
enum {
    PASSED,
    DROPPED,
    SENT,
    UNEXAMINED,
    PER_PROCESSOR = 8,
};

static uint64_t count(const XdpOffload *s, unsigned counter)
{
    uint64_t sum = 0;
    size_t i;

    for (i = counter; s->counters && i < s->n_counters; i += PER_PROCESSOR) {
        sum += qatomic_read_u64(&s->counters[i]);
    }
    return sum;
}

XdpOffloadInfoList *qmp_x_query_xdp_offload(Error **errp)
{
    XdpOffloadInfoList *list = NULL, **tail = &list;
    XdpOffload *s;

    QTAILQ_FOREACH(s, &xdp_offloads, next) {
        XdpOffloadInfo *info = g_new0(XdpOffloadInfo, 1);

        info->chardev = g_strdup(CHARDEV(s)->label);
        info->nic = g_strdup(s->nic);
        info->state = s->state;
        if (s->socket >= 0 && s->ifname[0]) {
            info->tap = g_strdup(s->ifname);
            XDP_OFFLOAD_SET_HAS(info, tap);
        }
        info->reason = g_strdup(s->reason);
        XDP_OFFLOAD_SET_HAS(info, reason);
        if (s->examines) {
            info->program = g_strdup(s->program);
            XDP_OFFLOAD_SET_HAS(info, program);
            info->has_milliseconds = true;
            info->milliseconds = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) -
                                 s->since_ms;
        }
        if (s->examines && s->redirected) {
            info->redirected = g_strdup(s->redirected);
            XDP_OFFLOAD_SET_HAS(info, redirected);
        }
        if (s->memory) {
            info->has_memory = true;
            info->memory = s->memory;
        }
        if (s->counters) {
            info->packets = g_new0(XdpOffloadPackets, 1);
            XDP_OFFLOAD_SET_HAS(info, packets);
            info->packets->passed = count(s, PASSED);
            info->packets->dropped = count(s, DROPPED);
            info->packets->sent = count(s, SENT);
            info->packets->unexamined = count(s, UNEXAMINED);
        }
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

static void hmp_info_xdp_offload(Monitor *mon, const QDict *qdict)
{
    XdpOffloadInfoList *list = qmp_x_query_xdp_offload(&error_abort), *p;

    for (p = list; p; p = p->next) {
        const XdpOffloadInfo *info = p->value;

        monitor_printf(mon, "%s: network card %s, %s\n", info->chardev,
                       info->nic, XdpOffloadState_str(info->state));
        if (info->program) {
            monitor_printf(mon, "  program \"%s\" at tap %s for %" PRId64
                           " s\n", info->program, info->tap ?: "?",
                           info->milliseconds / 1000);
        }
        if (info->redirected) {
            monitor_printf(mon, "  redirected to the tap by XDP: %s\n",
                           info->redirected);
        }
        if (info->has_memory) {
            monitor_printf(mon, "  maps take %" PRIu64 " KiB\n",
                           info->memory / KiB);
        }
        if (info->packets) {
            monitor_printf(mon, "  packets: %" PRIu64 " passed, %" PRIu64
                           " dropped, %" PRIu64 " sent back, %" PRIu64
                           " not examined\n", info->packets->passed,
                           info->packets->dropped, info->packets->sent,
                           info->packets->unexamined);
        }
        if (info->reason) {
            monitor_printf(mon, "  last refused or ended: %s\n", info->reason);
        }
    }
    qapi_free_XdpOffloadInfoList(list);
}

static void xdp_offload_register_hmp(void)
{
    monitor_register_hmp("xdp-offload", true, hmp_info_xdp_offload);
}

type_init(xdp_offload_register_hmp)
