/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The action of our filter: skbedit, which takes the queue from the hash. */
#ifndef NET_TC_ACTION_H
#define NET_TC_ACTION_H

#include "net/netlink.h"

enum {
    TC_ACTION_FIRST = 1,        /* attribute of the first action in a list */
};

/* Adds the action to a list of actions that was begun in @request. */
void tc_action_put(struct nlmsghdr *request);

/* Is this the action that tc_action_put() describes, whole? @first or NULL */
bool tc_action_chooses(const struct nlattr *first);

/* Sets @error to that the kernel took half of the action; returns false. */
bool tc_action_not_whole(GError **error);

#endif
