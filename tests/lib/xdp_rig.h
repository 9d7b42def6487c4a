/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real qemu-xdp-helper, whose path is in QEMU_XDP_HELPER, at a real tap, for
 * tests of it: what they do not expect aborts.
 *
 *     this process ── frames ──▶ helper ──▶ egress of the tap
 */
#ifndef TESTS_XDP_RIG_H
#define TESTS_XDP_RIG_H

#include <glib.h>
#include <linux/bpf.h>
#include <stdbool.h>

#include "ebpf/xdp_helper_wire.h"
#include "ebpf/xdp_wire.h"
#include "tap_net.h"

enum {
    RIG_WAIT_MS = 20000,        /* for what must come, on a busy machine */
};

/* Of what is refused for want of trust. */
#define RIG_TRUST "a guest that it does not trust (trusted=on)"

/**
 * Rig: a helper and its tap
 * @pid: 0: it was waited for
 * @frame: the last answer
 * @text: its first message
 * @redirected: what it said last of redirected packets
 */
typedef struct Rig {
    TapNet *net;
    GPid pid;
    int socket;
    uint32_t sequence;
    uint8_t frame[XDP_WIRE_MAX];
    char text[XDP_HELPER_TEXT_MAX + 1];
    char redirected[XDP_HELPER_TEXT_MAX + 1];
} Rig;

/**
 * RigStart: how the helper is started, and what it is asked at first
 * @option: or NULL
 * @flags: XDP_HELPER_*
 * @magic, @name: NULL: the right ones
 */
typedef struct RigStart {
    const char *option;
    uint32_t flags;
    const char *magic, *name;
    uint64_t max_memory;
    uint32_t max_insns;
    bool other_namespace, no_fd, no_tap;
} RigStart;

/* Before the first test. */
void rig_init(void);

const char *rig_helper(void);

/* A rig that works, or NULL: the test is skipped and must return. */
Rig *rig_new(const RigStart *start);

/* The same, whatever the helper's first message is. */
Rig *rig_of(const RigStart *start);

void rig_free(Rig *rig);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

/* Starts a helper; the last one is gone. */
void rig_begin(Rig *rig, const RigStart *start);

/* HELLO, to a helper that is ready. */
void rig_greet(Rig *rig);

/* Ends the helper by the end of its socket. */
void rig_hang_up(Rig *rig);

/* It ends well, once it was ready, or was killed by the test. */
void rig_reap(Rig *rig);

/* Bytes of the next message; 0 at the end. */
ssize_t rig_receive(Rig *rig, void *to, size_t size);

/* Sends a request; its answer is valid until the next one. */
XdpWireMessage rig_ask(Rig *rig, XdpWireMessage request);

uint32_t rig_error_of(Rig *rig, XdpWireMessage request);

void rig_assert_good(const XdpWireMessage *answer);

/* Requests */
XdpWireMessage rig_map(uint32_t type, uint32_t key_size, uint32_t value_size,
                       uint32_t max_entries, uint32_t flags);
XdpWireMessage rig_program(const struct bpf_insn *insns, size_t count);
XdpWireMessage rig_always(int verdict, struct bpf_insn insns[2]);
XdpWireMessage rig_entries(XdpOp op, uint32_t handle, uint32_t flags,
                           uint32_t count, const void *data, size_t len);

/* The new map's handle. */
uint32_t rig_create(Rig *rig, uint32_t type, uint32_t key_size,
                    uint32_t value_size, uint32_t max_entries, uint32_t flags);

/* An errno; key and value have four bytes. */
uint32_t rig_update(Rig *rig, uint32_t handle, uint32_t flags, uint32_t key,
                    uint32_t value);

void rig_set_always(Rig *rig, int verdict);

/* Returns what the first entry of map @handle says. */
void rig_set_by_map(Rig *rig, uint32_t handle);

/* Whether a frame gets to the reader of the tap; each other one is dropped. */
bool rig_passes(Rig *rig);

void rig_wait_until_it_passes(Rig *rig);

#endif
