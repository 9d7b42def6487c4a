/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stub in a devmap
 *
 *     pinned program ──▶ pinned slot ──▶ our program ──▶ our array ──▶ guest's
 *     (administrator)                    (of each handle)
 *
 * Arrows are tail calls through arrays of programs with one entry; our program
 * is the same as the pinned one, with another array. Who finds an entry empty
 * passes the packet.
 *
 * Why two arrays: the kernel empties an array of programs when no process has
 * a descriptor of it any more, and no file is its. So a guest's program, and
 * its maps, go with our array when this process is killed; from the pinned one
 * nobody would take them. What stays there is our program of five instructions
 * and an empty array, until another takes their place. They are not removed at
 * the end of a handle, as the next one may have been faster.
 *
 * Why a slot that is pinned: to find an array by the program that has it takes
 * CAP_SYS_ADMIN.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "insn.h"
#include "xdp_code.h"
#include "xdp_stub.h"

#define SLOT_NAME "qemu_xdp_slot"

struct XdpStub {
    int slot, program, array;   /* the pinned one; ours; or -1 */
};

static const uint32_t entry;    /* the only one, of each array */

static int make_array(const char *name)
{
    return bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, name, sizeof(entry),
                          sizeof(uint32_t), 1, NULL);
}

/* A program that goes on to the one in @array. */
static int load(int array)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts,
                .expected_attach_type = BPF_XDP_DEVMAP);
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD_CONST, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, array),
        insn(0, 0, 0, 0, 0),
        insn(INSN_SET, BPF_REG_3, 0, 0, entry),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_tail_call),
        insn(INSN_SET, BPF_REG_0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "qemu_xdp_stub", "GPL", insns,
                         G_N_ELEMENTS(insns), &opts);
}

static bool fail(const char *what, const char *path, int err, GError **error)
{
    g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "cannot %s %s: %s%s", what,
                path, g_strerror(err), err == EPERM
                ? " (needs CAP_BPF and CAP_NET_ADMIN)" : "");
    return false;
}

static bool make_folder(const char *path, GError **error)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST ||
           fail("make", path, errno, error);
}

/* The program comes last: where it is, a slot is. */
static bool pin(const char *slot, const char *program, uid_t uid, gid_t gid,
                GError **error)
{
    int array = make_array(SLOT_NAME), prog_fd = array < 0 ? -1 : load(array);
    bool good = prog_fd >= 0 || fail("load a program for", program, errno,
                                     error);

    unlink(slot);               /* half a stub */
    good = good && (bpf_obj_pin(array, slot) == 0 ||
                    fail("make", slot, errno, error));
    good = good && (chown(slot, uid, gid) == 0 ||
                    fail("change the owner of", slot, errno, error));
    good = good && (bpf_obj_pin(prog_fd, program) == 0 ||
                    fail("make", program, errno, error));
    if (prog_fd >= 0) {
        close(prog_fd);
    }
    if (array >= 0) {
        close(array);
    }
    return good;
}

bool xdp_stub_make(const char *folder, const char *tap, uid_t uid, gid_t gid,
                   GError **error)
{
    g_autofree char *here = g_build_filename(folder, tap, NULL);
    g_autofree char *slot = g_build_filename(here, "slot", NULL);
    g_autofree char *program = g_build_filename(here, "program", NULL);

    return make_folder(folder, error) && make_folder(here, error) &&
           (access(program, F_OK) == 0 ||
            pin(slot, program, uid, gid, error));
}

static bool is_slot(int fd)
{
    struct bpf_map_info info = { 0 };
    uint32_t len = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
           info.type == BPF_MAP_TYPE_PROG_ARRAY && info.max_entries == 1 &&
           !strncmp(info.name, SLOT_NAME, sizeof(info.name));
}

XdpStub *xdp_stub_open(const char *folder, const char *tap, GError **error)
{
    g_autofree char *path = g_build_filename(folder, tap, "slot", NULL);
    g_autoptr(XdpStub) stub = g_new(XdpStub, 1);

    *stub = (XdpStub) { bpf_obj_get(path), -1, -1 };
    if (stub->slot < 0) {
        if (errno != ENOENT) {
            fail("open", path, errno, error);
        }
        return NULL;
    }
    if (!is_slot(stub->slot)) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "%s is no slot of a"
                    " stub", path);
        return NULL;
    }
    stub->array = make_array("xdp_program");
    stub->program = stub->array < 0 ? -1 : load(stub->array);
    if (stub->program < 0) {
        fail("load a program for", path, errno, error);
        return NULL;
    }
    return g_steal_pointer(&stub);
}

int xdp_stub_set(XdpStub *stub, int prog_fd)
{
    int err;

    if (bpf_map_update_elem(stub->array, &entry, &prog_fd, BPF_ANY) == 0 &&
        bpf_map_update_elem(stub->slot, &entry, &stub->program,
                            BPF_ANY) == 0) {
        return 0;
    }
    err = errno;
    xdp_stub_unset(stub);
    return err;
}

void xdp_stub_unset(XdpStub *stub)
{
    bpf_map_delete_elem(stub->array, &entry);
}

void xdp_stub_free(XdpStub *stub)
{
    if (!stub) {
        return;
    }
    if (stub->array >= 0) {
        xdp_stub_unset(stub);
        close(stub->array);
    }
    if (stub->program >= 0) {
        close(stub->program);
    }
    if (stub->slot >= 0) {
        close(stub->slot);
    }
    g_free(stub);
}
