/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tc program at the egress of a tap, for as long as somebody holds it. */
#ifndef EBPF_XDP_ATTACH_H
#define EBPF_XDP_ATTACH_H

#include <glib.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* The place at a tap, with a program or without. */
typedef struct XdpAttach XdpAttach;

/**
 * xdp_attach_new:
 * @ifindex: of the tap, in this process's network namespace
 * @by_filter: by clsact and cls_bpf, even where the kernel has TCX (6.6)
 *
 * Takes CAP_BPF and CAP_NET_ADMIN. Puts a program there that passes all
 * packets on, and takes it away again: what would fail later fails now. A
 * filter that a dead process has left is removed.
 *
 * Returns: NULL with @error set (XDP_ERROR) if it cannot
 */
XdpAttach *xdp_attach_new(uint32_t ifindex, bool by_filter, GError **error);

/*
 * Whether a program stays when this process is killed. It must then stop by
 * itself, see XdpTarget.lease_fd.
 */
bool xdp_attach_outlives(const XdpAttach *attach);

/**
 * xdp_attach_set:
 * @prog_fd: of type BPF_PROG_TYPE_SCHED_CLS; stays the caller's
 *
 * Each packet meets the program that was there, or this one.
 *
 * Returns: 0; or an errno, and what was there is still there
 */
int xdp_attach_set(XdpAttach *attach, int prog_fd);

/* Takes the program away, if there is one. */
void xdp_attach_unset(XdpAttach *attach);

/* Does that, too; @attach or NULL. */
void xdp_attach_free(XdpAttach *attach);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(XdpAttach, xdp_attach_free)

/**
 * xdp_attach_find_tap:
 * @fd: a descriptor of a queue of a tap, as QEMU has it
 * @name: receives its name
 *
 * Having it is what proves that the tap is the caller's: a name would not.
 *
 * Returns: the index of the device in this process's network namespace; 0 with
 * @error set (XDP_ERROR) if it is no tap, or one of another namespace
 */
uint32_t xdp_attach_find_tap(int fd, char name[IF_NAMESIZE], GError **error);

#endif
