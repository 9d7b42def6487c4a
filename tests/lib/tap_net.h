/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap with several queues, in a network namespace of this process's own:
 *
 *     packet socket ──▶ steer0 (tap) ──▶ queue 0 ── descriptor 0
 *          │               ▲             queue 1 ── descriptor 1
 *          └▶ steer0.5 ────┘             ...
 *             (VLAN device)
 *
 * The namespace and all that is in it are gone when the process is.
 */
#ifndef TESTS_TAP_NET_H
#define TESTS_TAP_NET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TAP_MAX_QUEUES = 16,
    TAP_MTU = 20000,
    TAP_VLAN_ID = 5,
    TAP_NO_QUEUE = -1,
};

/* Descriptors: of the queues, and of the packet socket. */
typedef struct TapNet {
    int n_queues;
    int queue[TAP_MAX_QUEUES];
    int ifindex;
    int socket;
} TapNet;

/*
 * Gives the process a network namespace. If that is not allowed, or there is
 * no tun driver, the test is skipped, with the reason, and must return.
 */
bool tap_net_allowed(void);

/* A tap that is up. Aborts if there is none to be had. */
TapNet *tap_net_new(int n_queues);

void tap_net_free(TapNet *net);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TapNet, tap_net_free)

/* Turns a queue off or on (TUNSETQUEUE), as QEMU does with those not in use. */
void tap_net_enable_queue(TapNet *net, int queue, bool on);

/* Packets that the tap has dropped, as the kernel counts them. */
uint64_t tap_net_dropped(void);

/* Packets that another device of the namespace has received. */
uint64_t tap_net_received_by(const char *device);

/*
 * From now on frames go around the queueing discipline, and the kernel is told
 * that they are IPv4, whatever they are.
 */
void tap_net_bypass_qdisc(TapNet *net);

/*
 * Makes a VLAN device on the tap. Returns its index, or 0 if this kernel has
 * no VLAN devices.
 */
int tap_net_add_vlan(TapNet *net);

/*
 * Makes the kernel put a VLAN tag, with this EtherType, on all frames that it
 * sends into the tap: beside the frame, as a VLAN device does
 * (skb->vlan_tci), by a tc program. Returns false if this kernel has no tc
 * programs.
 */
bool tap_net_tag_all(TapNet *net, uint16_t ethertype);

/* Sends a frame into the tap; false if the kernel refuses it. */
bool tap_net_send(TapNet *net, const uint8_t *frame, size_t len);

/* Sends a frame into the device @ifindex. */
bool tap_net_send_to(TapNet *net, int ifindex,
                     const uint8_t *frame, size_t len);

/*
 * Waits for a frame of ours, up to @timeout_ms. Returns its queue, or
 * TAP_NO_QUEUE; @frame receives it.
 */
int tap_net_receive(TapNet *net, GByteArray *frame, int timeout_ms);

#endif
