/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a steering program reaches a tap device. */
#ifndef NET_TAP_STEERING_H
#define NET_TAP_STEERING_H

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/**
 * tap_steering_attach:
 * @tap_fd: any queue of the tap; it may be detached (IFF_DETACH_QUEUE)
 * @prog_fd: a program of type BPF_PROG_TYPE_SOCKET_FILTER
 *
 * Makes the program choose the queue of each packet that the host sends into
 * the tap. It takes the place of the program that was there. It stays when
 * both descriptors are closed, until the tap is gone or tap_steering_detach()
 * is called.
 *
 * Returns: false with @error set, and the tap as it was, if the kernel refuses
 */
bool tap_steering_attach(int tap_fd, int prog_fd, GError **error);

/**
 * tap_steering_detach:
 *
 * Gives the choice of the queue back to the kernel's own automatic steering.
 */
bool tap_steering_detach(int tap_fd, GError **error);

/**
 * tap_steering_probe:
 *
 * Finds out whether the tap takes steering programs, and leaves the one that
 * is in it alone. That attaching one succeeds later, it cannot promise.
 *
 * Returns: false with @error set if it does not
 */
bool tap_steering_probe(int tap_fd, GError **error);

G_END_DECLS

#endif
