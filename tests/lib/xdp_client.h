/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real qemu-xdp-helper at a real tap, and this process in QEMU's place:
 * whatever goes wrong between them aborts.
 */
#ifndef TESTS_XDP_CLIENT_H
#define TESTS_XDP_CLIENT_H

#include "ebpf/xdp_wire.h"

typedef struct XdpClient XdpClient;

/**
 * xdp_client_new:
 * @helper: the program
 * @option: one more of its options, or NULL
 * @tap: a descriptor of the tap, which is in this network namespace
 * @flags: XDP_HELPER_*
 *
 * Starts a helper, which ends with this process at the latest.
 */
XdpClient *xdp_client_new(const char *helper, const char *option, int tap,
                          uint32_t flags);

/* The answer, which has no error, is valid until the next one. */
XdpWireMessage xdp_client_ask(XdpClient *client, XdpWireMessage request);

/* Ends the helper by the end of its socket. */
void xdp_client_free(XdpClient *client);

#endif
