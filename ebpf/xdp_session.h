/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A card's XDP offload in the host: what one guest has there, its maps and its
 * program, and the answers to what it asks.
 */
#ifndef EBPF_XDP_SESSION_H
#define EBPF_XDP_SESSION_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * XdpSessionConfig: what the host allows
 * @ifindex: of the tap, in this process's network namespace
 * @max_insns, @max_maps, @max_memory: 0 for the most (xdp_limits.h); more than
 *                                     that is the most, too
 * @rewrite, @trusted, @gso_pass: see XdpTarget
 * @no_types: maps have no types (BTF)
 * @by_filter: see xdp_attach_new()
 * @stubs: the folder of stubs (xdp_stub.h), or NULL: redirected packets are
 *         not examined
 * @tap: the tap's name; only with @stubs
 */
typedef struct XdpSessionConfig {
    uint32_t ifindex;
    uint32_t max_insns, max_maps;
    uint64_t max_memory;
    bool rewrite, trusted, gso_pass;
    bool no_types, by_filter;
    const char *stubs, *tap;
} XdpSessionConfig;

typedef struct XdpSession XdpSession;

/**
 * xdp_session_new:
 *
 * One thread at a time may use a session; @config is not kept. The process
 * needs CAP_BPF and CAP_NET_ADMIN, for @config->trusted CAP_PERFMON.
 *
 * Returns: NULL with @error set (XDP_ERROR) if this host cannot
 */
XdpSession *xdp_session_new(const XdpSessionConfig *config, GError **error);

/**
 * xdp_session_answer:
 * @frame, @len: what the guest says; anything at all
 *
 * Returns: a frame; or NULL if @frame is none, and the stream cannot go on
 */
GByteArray *xdp_session_answer(XdpSession *session, const uint8_t *frame,
                               size_t len);

/**
 * xdp_session_renew:
 *
 * To be called again before the time is over that it returns, in ms: else the
 * program does not examine packets any more. -1: it need not be called.
 */
int xdp_session_renew(XdpSession *session);

/**
 * xdp_session_take_redirected:
 *
 * Returns: what becomes of packets that are redirected to the tap, if that has
 * changed since it was taken last: "examined" or "not examined", and why, to be
 * freed; else NULL. A tap without a stub never has a text.
 */
char *xdp_session_take_redirected(XdpSession *session);

/* The counters' map, see XdpTarget.counters_fd. It can be mapped to be read. */
int xdp_session_counters_fd(const XdpSession *session, size_t *count);

/* Takes all away from the tap; @session or NULL. */
void xdp_session_free(XdpSession *session);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(XdpSession, xdp_session_free)

#endif
