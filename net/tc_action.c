/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_skbedit.h>
#include <sched.h>
#include <string.h>

#include "ebpf/steer_fallback.h"
#include "net/rss.h"
#include "net/tc_action.h"
#include "net/tc_steering.h"

void tc_action_put(struct nlmsghdr *request)
{
    const struct tc_skbedit skbedit = { .action = TC_ACT_UNSPEC };
    struct nlattr *first = mnl_attr_nest_start(request, TC_ACTION_FIRST);
    struct nlattr *options;

    mnl_attr_put_strz(request, TCA_ACT_KIND, "skbedit");
    options = mnl_attr_nest_start(request, TCA_ACT_OPTIONS);
    mnl_attr_put(request, TCA_SKBEDIT_PARMS, sizeof(skbedit), &skbedit);
    mnl_attr_put_u16(request, TCA_SKBEDIT_QUEUE_MAPPING, 0);
    mnl_attr_put_u64(request, TCA_SKBEDIT_FLAGS, SKBEDIT_F_TXQ_SKBHASH);
    mnl_attr_put_u16(request, TCA_SKBEDIT_QUEUE_MAPPING_MAX,
                     STEER_FALLBACK_QUEUES - 1);
    mnl_attr_nest_end(request, options);
    mnl_attr_nest_end(request, first);
}

bool tc_action_chooses(const struct nlattr *first)
{
    const struct nlattr *options = netlink_nested(first, TCA_ACT_OPTIONS, 0);
    const struct nlattr *parms, *queue, *max, *flags;
    struct tc_skbedit skbedit;
    char kind[16];

    netlink_copy_text(kind, sizeof(kind),
                      netlink_nested(first, TCA_ACT_KIND, 1));
    parms = netlink_nested(options, TCA_SKBEDIT_PARMS, sizeof(skbedit));
    queue = netlink_nested(options, TCA_SKBEDIT_QUEUE_MAPPING, 2);
    max = netlink_nested(options, TCA_SKBEDIT_QUEUE_MAPPING_MAX, 2);
    flags = netlink_nested(options, TCA_SKBEDIT_FLAGS, 8);
    if (strcmp(kind, "skbedit") || !parms || !queue || !max || !flags) {
        return false;
    }
    memcpy(&skbedit, mnl_attr_get_payload(parms), sizeof(skbedit));
    return skbedit.action == TC_ACT_UNSPEC &&
           mnl_attr_get_u16(queue) == 0 &&
           mnl_attr_get_u16(max) == STEER_FALLBACK_QUEUES - 1 &&
           mnl_attr_get_u64(flags) & SKBEDIT_F_TXQ_SKBHASH;
}

bool tc_action_not_whole(GError **error)
{
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "--fallback is not supported by this kernel: its action"
                " \"skbedit\" does not choose a queue by a packet's hash"
                " (Linux 6.1 does)");
    return false;
}

static void read_back(const struct nlmsghdr *message, void *opaque)
{
    const struct nlattr *actions;

    if (message->nlmsg_type == RTM_NEWACTION) {
        actions = netlink_attr(message, sizeof(struct tcamsg), TCA_ACT_TAB, 0);
        *(bool *)opaque |= tc_action_chooses(
            netlink_nested(actions, TC_ACTION_FIRST, 0));
    }
}

/* In a namespace of this thread's own, which ends with it. */
static void *probe(void *opaque)
{
    g_autoptr(Netlink) nl = NULL;
    struct nlmsghdr *request;
    GError **error = opaque;
    struct nlattr *actions;
    struct tcamsg *header;
    bool whole = false;
    int err;

    if (unshare(CLONE_NEWNET) < 0) {
        return NULL;
    }
    nl = netlink_open(error);
    if (!nl) {
        return NULL;
    }
    request = netlink_request(nl, RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL |
                              NLM_F_ECHO, (void **)&header, sizeof(*header));
    header->tca_family = AF_UNSPEC;
    actions = mnl_attr_nest_start(request, TCA_ACT_TAB);
    tc_action_put(request);
    mnl_attr_nest_end(request, actions);
    err = netlink_talk(nl, read_back, &whole);
    if (err == ENOENT) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "--fallback is not supported by this kernel: it has no"
                    " action \"skbedit\" (CONFIG_NET_ACT_SKBEDIT, module"
                    " act_skbedit)");
    } else if (err) {
        netlink_fail(nl, err, "make an action \"skbedit\"", error);
    } else if (!whole) {
        tc_action_not_whole(error);
    }
    return NULL;
}

bool tc_steering_probe(GError **error)
{
    GError *found = NULL;
    GThread *thread = g_thread_try_new("probe", probe, &found, error);

    if (!thread) {
        return false;
    }
    g_thread_join(thread);
    if (found) {
        g_propagate_error(error, found);
    }
    return !found;
}
