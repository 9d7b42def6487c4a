/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter: cls_bpf without direct action. Its program returns a match or
 * none; none leaves the packet to the filters behind, and in the end to the
 * device's own choice of the queue. To a match the action skbedit is applied,
 * which sets the queue to the packet's hash modulo STEER_FALLBACK_QUEUES, and
 * has no verdict (TC_ACT_UNSPEC), so that filters behind are still asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "net/tc_action.h"
#include "net/tc_steering.h"

enum {
    EGRESS = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
    HANDLE = 1,                 /* of our filter within its priority */
};

bool tc_filter_is_ours(const TcFilter *filter)
{
    return !strcmp(filter->kind, "bpf") &&
           g_str_has_prefix(filter->name, TC_STEERING_PREFIX);
}

static struct nlmsghdr *filter_request(Netlink *nl, uint16_t type,
                                       uint16_t flags, int ifindex,
                                       uint32_t priority, uint32_t handle)
{
    struct tcmsg *header;
    struct nlmsghdr *request = netlink_request(nl, type, flags,
                                               (void **)&header,
                                               sizeof(*header));

    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = ifindex;
    header->tcm_parent = EGRESS;
    header->tcm_handle = handle;
    header->tcm_info = TC_H_MAKE(priority << 16,
                                 priority ? htons(ETH_P_ALL) : 0);
    return request;
}

static void add_filter(const struct nlmsghdr *message, void *opaque)
{
    const struct tcmsg *header = mnl_nlmsg_get_payload(message);
    const size_t skip = sizeof(*header);
    const struct nlattr *options, *attr;
    TcFilter filter = { 0 };

    if (message->nlmsg_type != RTM_NEWTFILTER ||
        message->nlmsg_len < mnl_nlmsg_size(skip)) {
        return;
    }
    options = netlink_attr(message, skip, TCA_OPTIONS, 0);
    if (!options || !header->tcm_handle) {
        return;                 /* the head of a list of filters */
    }
    filter.priority = TC_H_MAJ(header->tcm_info) >> 16;
    filter.handle = header->tcm_handle;
    netlink_copy_text(filter.kind, sizeof(filter.kind),
                      netlink_attr(message, skip, TCA_KIND, 1));
    if (!strcmp(filter.kind, "bpf")) {
        netlink_copy_text(filter.name, sizeof(filter.name),
                          netlink_nested(options, TCA_BPF_NAME, 1));
        attr = netlink_nested(options, TCA_BPF_ID, 4);
        filter.program_id = attr ? mnl_attr_get_u32(attr) : 0;
        attr = netlink_nested(options, TCA_BPF_FLAGS, 4);
        filter.direct_action = attr && mnl_attr_get_u32(attr) &
                                       TCA_BPF_FLAG_ACT_DIRECT;
        attr = netlink_nested(options, TCA_BPF_ACT, 0);
        filter.chooses = tc_action_chooses(
            netlink_nested(attr, TC_ACTION_FIRST, 0));
    }
    g_array_append_val((GArray *)opaque, filter);
}

GArray *tc_steering_list(Netlink *nl, int ifindex, GError **error)
{
    g_autoptr(GArray) filters = g_array_new(FALSE, FALSE, sizeof(TcFilter));
    int err;

    filter_request(nl, RTM_GETTFILTER, NLM_F_DUMP, ifindex, 0, 0);
    err = netlink_talk(nl, add_filter, filters);
    if (err && err != EINVAL && err != ENOENT) {
        netlink_fail(nl, err, "list the device's filters", error);
        return NULL;
    }
    return g_steal_pointer(&filters);   /* EINVAL, ENOENT: no hook */
}

typedef struct Hook {
    int ifindex;
    bool found;
} Hook;

static void is_clsact(const struct nlmsghdr *message, void *opaque)
{
    const struct tcmsg *header = mnl_nlmsg_get_payload(message);
    Hook *hook = opaque;
    char kind[16];

    if (message->nlmsg_type == RTM_NEWQDISC &&
        message->nlmsg_len >= mnl_nlmsg_size(sizeof(*header)) &&
        header->tcm_ifindex == hook->ifindex) {
        netlink_copy_text(kind, sizeof(kind),
                          netlink_attr(message, sizeof(*header), TCA_KIND, 1));
        hook->found |= !strcmp(kind, "clsact");
    }
}

/* By a list: for one alone the kernel tells nobody but listeners. */
bool tc_steering_has_hook(Netlink *nl, int ifindex)
{
    Hook hook = { .ifindex = ifindex };
    struct tcmsg *header;

    netlink_request(nl, RTM_GETQDISC, NLM_F_DUMP, (void **)&header,
                    sizeof(*header));
    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = ifindex;
    return netlink_talk(nl, is_clsact, &hook) == 0 && hook.found;
}

bool tc_steering_add_hook(Netlink *nl, int ifindex, GError **error)
{
    struct tcmsg *header;
    struct nlmsghdr *request = netlink_request(nl, RTM_NEWQDISC,
        NLM_F_CREATE | NLM_F_EXCL, (void **)&header, sizeof(*header));
    int err;

    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = ifindex;
    header->tcm_parent = TC_H_CLSACT;
    header->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    mnl_attr_put_strz(request, TCA_KIND, "clsact");
    err = netlink_talk(nl, NULL, NULL);
    return !err || err == EEXIST ||
           netlink_fail(nl, err, "add the queueing discipline clsact", error);
}

/* What tc_steering_probe() finds out, too, where it may. */
static bool check_filter(Netlink *nl, int ifindex, GError **error)
{
    g_autoptr(GArray) filters = tc_steering_list(nl, ifindex, error);
    guint i;

    for (i = 0; filters && i < filters->len; i++) {
        const TcFilter *filter = &g_array_index(filters, TcFilter, i);

        if (filter->priority != TC_STEERING_PRIORITY ||
            !tc_filter_is_ours(filter) || filter->chooses) {
            continue;
        }
        if (!tc_steering_detach(nl, ifindex, filter, error)) {
            return false;
        }
        return tc_action_not_whole(error);
    }
    return filters != NULL;
}

bool tc_steering_attach(Netlink *nl, int ifindex, int prog_fd,
                        const char *name, GError **error)
{
    struct nlmsghdr *request = filter_request(nl, RTM_NEWTFILTER,
        NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_STEERING_PRIORITY, HANDLE);
    struct nlattr *options, *actions;
    int err;

    mnl_attr_put_strz(request, TCA_KIND, "bpf");
    options = mnl_attr_nest_start(request, TCA_OPTIONS);
    mnl_attr_put_u32(request, TCA_BPF_FD, prog_fd);
    mnl_attr_put_strz(request, TCA_BPF_NAME, name);
    actions = mnl_attr_nest_start(request, TCA_BPF_ACT);
    tc_action_put(request);
    mnl_attr_nest_end(request, actions);
    mnl_attr_nest_end(request, options);
    err = netlink_talk(nl, NULL, NULL);
    if (err) {
        return netlink_fail(nl, err, "add the filter", error);
    }
    return check_filter(nl, ifindex, error);
}

bool tc_steering_detach(Netlink *nl, int ifindex, const TcFilter *filter,
                        GError **error)
{
    struct nlmsghdr *request = filter_request(nl, RTM_DELTFILTER, 0, ifindex,
                                              filter->priority,
                                              filter->handle);
    int err;

    mnl_attr_put_strz(request, TCA_KIND, "bpf");
    err = netlink_talk(nl, NULL, NULL);
    return !err || err == ENOENT ||
           netlink_fail(nl, err, "remove the filter", error);
}
