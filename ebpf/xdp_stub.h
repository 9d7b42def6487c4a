/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place for a guest's program in a devmap, for hosts that redirect packets to
 * its tap by XDP: those go around the egress.
 *
 *     devmap entry ──▶ program ── tail call ──▶ slot
 *
 * The administrator makes a stub for a tap, once, which is two files in a file
 * system of type bpf: FOLDER/TAP/program, to be put into entries of devmaps,
 * and FOLDER/TAP/slot, for who fills it. An empty slot passes all packets.
 */
#ifndef EBPF_XDP_STUB_H
#define EBPF_XDP_STUB_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define XDP_STUB_FOLDER "/sys/fs/bpf/qemu-xdp"

/* A slot, of a stub that is there. */
typedef struct XdpStub XdpStub;

/**
 * xdp_stub_make:
 * @folder: of all stubs; is made if it is not there
 * @tap: a name; there need be no such device yet
 * @uid, @gid: who may fill the slot
 *
 * Takes root, or the rights to write there, CAP_BPF and CAP_NET_ADMIN. What
 * another process has in a stub of this name stays.
 *
 * Returns: false with @error set (XDP_ERROR)
 */
bool xdp_stub_make(const char *folder, const char *tap, uid_t uid, gid_t gid,
                   GError **error);

/**
 * xdp_stub_open:
 * @folder, @tap: see xdp_stub_make(); @tap is the name of a device
 *
 * Takes CAP_BPF and CAP_NET_ADMIN, and to be the slot's owner. What another
 * process has in the slot stays until xdp_stub_set().
 *
 * Returns: NULL if there is no stub; or if it cannot be used, with @error set
 * (XDP_ERROR)
 */
XdpStub *xdp_stub_open(const char *folder, const char *tap, GError **error);

/**
 * xdp_stub_set:
 * @prog_fd: of type BPF_PROG_TYPE_XDP, loaded for BPF_XDP_DEVMAP; stays the
 *           caller's
 *
 * Each packet meets the program that was there, or this one. It goes with the
 * stub's handle, however this process ends.
 *
 * Returns: 0; or an errno, and then all packets pass
 */
int xdp_stub_set(XdpStub *stub, int prog_fd);

/* Takes the program away, if there is one. */
void xdp_stub_unset(XdpStub *stub);

/* Does that, too; @stub or NULL. */
void xdp_stub_free(XdpStub *stub);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(XdpStub, xdp_stub_free)

#endif
