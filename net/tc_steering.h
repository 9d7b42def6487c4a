/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a steering program that may have no opinion reaches a device: one filter
 * in tc's egress hook (clsact), on any device with several transmit queues.
 */
#ifndef NET_TC_STEERING_H
#define NET_TC_STEERING_H

#include <stdint.h>

#include "net/netlink.h"

enum {
    TC_STEERING_PRIORITY = 100,     /* of our filter; lower ones come first */
    TC_STEERING_NAME_LEN = 64,
};

/* With this the names of our filters begin. */
#define TC_STEERING_PREFIX "tap-steer"

/**
 * TcFilter: a filter in the egress hook, as the kernel shows it
 * @name: of a BPF filter, else ""
 * @program_id: of its program, else 0
 * @direct_action: its program decides on the packet itself
 * @chooses: its action is the one of tc_steering_attach(), whole: it chooses
 *           queues by the packet's hash
 */
typedef struct TcFilter {
    uint32_t priority;
    uint32_t handle;
    char kind[16];
    char name[TC_STEERING_NAME_LEN];
    uint32_t program_id;
    bool direct_action;
    bool chooses;
} TcFilter;

/* Is it one of ours? By its name; what it does, its other fields tell. */
bool tc_filter_is_ours(const TcFilter *filter);

/**
 * tc_steering_list:
 *
 * Returns: all TcFilter of the device's egress hook, in the order in which
 * packets meet them; g_array_unref() it. Empty if it has none.
 */
GArray *tc_steering_list(Netlink *nl, int ifindex, GError **error);

/**
 * tc_steering_probe:
 *
 * Finds out, without touching a device, whether this kernel's action skbedit
 * can choose a queue by a packet's hash: it makes one in a network namespace of
 * its own, and reads it back. Linux 5.10 takes all attributes and ignores the
 * one that counts. Takes CAP_SYS_ADMIN; without it nothing is found out.
 *
 * Returns: false with @error set if it cannot
 */
bool tc_steering_probe(GError **error);

/* Has the device the hook (the queueing discipline clsact)? */
bool tc_steering_has_hook(Netlink *nl, int ifindex);

/**
 * tc_steering_add_hook:
 *
 * A device that is up loses packets meanwhile. There is no function to remove
 * it again: that loses packets, too, and others may use it by then.
 */
bool tc_steering_add_hook(Netlink *nl, int ifindex, GError **error);

/**
 * tc_steering_attach:
 * @prog_fd: a program that steer_fallback_compose() made
 * @name: of the filter; begins with TC_STEERING_PREFIX
 *
 * Adds the filter, or puts it in the place of ours that is there, at once: each
 * packet meets one of both. No packet is lost. The device must have the hook.
 *
 * Returns: false with @error set and no filter of ours changed, but where the
 * kernel takes an action that it does not know whole (Linux 5.10): then there
 * is none of ours any more
 */
bool tc_steering_attach(Netlink *nl, int ifindex, int prog_fd,
                        const char *name, GError **error);

/* Removes a filter. */
bool tc_steering_detach(Netlink *nl, int ifindex, const TcFilter *filter,
                        GError **error);

#endif
