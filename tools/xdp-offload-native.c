/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program on the guest's device. A pinned link is all that says it is ours;
 * the rest the kernel is asked for. Pins are believed only together with what
 * the device has now.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ebpf/steer_program.h"
#include "xdp-offload.h"

enum {
    MAX_MAPS = 64,              /* of a program */
};

static const char file_system[] = "/sys/fs/bpf";
static const char folder[] = "/sys/fs/bpf/xdp-offload";

bool map_is_per_cpu(const struct bpf_map_info *info)
{
    return info->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           info->type == BPF_MAP_TYPE_PERCPU_HASH ||
           info->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

bool map_is_array(const struct bpf_map_info *info)
{
    return info->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           info->type == BPF_MAP_TYPE_ARRAY;
}

size_t map_value_len(const struct bpf_map_info *info, unsigned processors)
{
    size_t one = info->value_size;

    return map_is_per_cpu(info) ? (one + 7) / 8 * 8 * processors : one;
}

unsigned guest_processors(void)
{
    int processors = libbpf_num_possible_cpus();

    return MAX(processors, 1);
}

char *place_of(int ifindex)
{
    struct stat netns = { 0 };

    stat("/proc/self/ns/net", &netns);
    return g_strdup_printf("%lu-%d", (unsigned long)netns.st_ino, ifindex);
}

bool guest_map_init(GuestMap *map, int fd, GError **error)
{
    uint32_t size = sizeof(map->info);

    memset(map, 0, sizeof(*map));
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map->info, &size) == 0) {
        map->fd = fd;
        return true;
    }
    refuse(error, "cannot ask the kernel about a map: %s%s",
           g_strerror(errno), steer_lacks(errno, STEER_CAP_SYS_ADMIN));
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

void guest_map_clear(void *map)
{
    close(((GuestMap *)map)->fd);
    g_clear_pointer(&((GuestMap *)map)->types, g_bytes_unref);
}

static bool attached(int ifindex, uint32_t *program_id, bool *generic)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);

    if (bpf_xdp_query(ifindex, 0, &query) < 0) {
        return false;
    }
    *generic = !query.drv_prog_id;
    *program_id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
    return *program_id != 0;
}

bool native_is(int ifindex, uint32_t program_id)
{
    bool generic;
    uint32_t id;

    return attached(ifindex, &id, &generic) && id == program_id;
}

/*
 * Descriptor of the link that is pinned for a device, with the number of its
 * program, or -1. A pin of what has gone is removed.
 */
static int open_link(int ifindex, uint32_t *program_id)
{
    g_autofree char *place = place_of(ifindex);
    g_autofree char *path = g_build_filename(folder, place, NULL);
    struct bpf_link_info info = { 0 };
    uint32_t size = sizeof(info);
    int fd = bpf_obj_get(path);

    if (fd < 0) {
        return -1;
    }
    if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
        info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
        native_is(ifindex, info.prog_id)) {
        *program_id = info.prog_id;
        return fd;
    }
    close(fd);
    unlink(path);
    return -1;
}

static bool open_maps(Native *native, GError **error)
{
    uint32_t ids[MAX_MAPS] = { 0 }, size = sizeof(native->program), i;
    int fd = bpf_prog_get_fd_by_id(native->program.id);
    struct bpf_prog_info *info = &native->program;
    int err;

    memset(info, 0, size);
    info->map_ids = (uintptr_t)ids;
    info->nr_map_ids = MAX_MAPS;
    err = fd < 0 || bpf_obj_get_info_by_fd(fd, info, &size) < 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (err) {
        return refuse(error, "%s: cannot ask the kernel about the program:"
                      " %s%s", native->name, g_strerror(err),
                      steer_lacks(err, STEER_CAP_SYS_ADMIN));
    }
    for (i = 0; i < MIN(info->nr_map_ids, MAX_MAPS); i++) {
        GuestMap map;

        if (!guest_map_init(&map, bpf_map_get_fd_by_id(ids[i]), error)) {
            return false;
        }
        g_array_append_val(native->maps, map);
    }
    return true;
}

/* What is on a device, if that is ours. */
static Native *open_ifindex(int ifindex, const char *name, GError **error)
{
    g_autoptr(Native) native = g_new0(Native, 1);
    int link = open_link(ifindex, &native->program.id);
    uint32_t id;

    g_strlcpy(native->name, name, sizeof(native->name));
    native->ifindex = ifindex;
    native->place = place_of(ifindex);
    native->maps = g_array_new(FALSE, FALSE, sizeof(GuestMap));
    g_array_set_clear_func(native->maps, guest_map_clear);
    if (link < 0) {
        refuse(error, "%s: nothing is loaded by xdp-offload", name);
        return NULL;
    }
    close(link);
    attached(ifindex, &id, &native->generic);
    return open_maps(native, error) ? g_steal_pointer(&native) : NULL;
}

/* Numbers of devices of this namespace for which there are pins, as int. */
static GArray *pinned(void)
{
    g_autofree char *prefix = place_of(0);
    GArray *found = g_array_new(FALSE, FALSE, sizeof(int));
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    prefix[strlen(prefix) - 1] = 0;
    while (dir && (name = g_dir_read_name(dir))) {
        if (g_str_has_prefix(name, prefix)) {
            int ifindex = g_ascii_strtoll(name + strlen(prefix), NULL, 10);

            g_array_append_val(found, ifindex);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
    return found;
}

GPtrArray *native_list(GError **error)
{
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func((GDestroyNotify)native_free);
    g_autoptr(GArray) found = pinned();
    guint i;

    for (i = 0; i < found->len; i++) {
        int ifindex = g_array_index(found, int, i);
        char name[IFNAMSIZ];
        uint32_t id;
        int link = open_link(ifindex, &id);
        Native *native;

        if (link < 0 || !if_indextoname(ifindex, name)) {
            continue;
        }
        close(link);
        native = open_ifindex(ifindex, name, error);
        if (!native) {
            return NULL;
        }
        g_ptr_array_add(list, native);
    }
    return g_steal_pointer(&list);
}

static int index_of(const char *name, GError **error)
{
    int ifindex = if_nametoindex(name);

    if (!ifindex) {
        refuse(error, "%s: no such device", name);
    }
    return ifindex;
}

Native *native_open(const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = NULL;
    int ifindex;

    if (name) {
        ifindex = index_of(name, error);
        return ifindex ? open_ifindex(ifindex, name, error) : NULL;
    }
    list = native_list(error);
    if (list && list->len == 1) {
        return g_ptr_array_steal_index(list, 0);
    }
    if (list) {
        refuse(error, list->len ? "several devices have programs: name one"
                                  " (--dev DEV)"
                                : "nothing is loaded by xdp-offload");
    }
    return NULL;
}

/* The folder for pins. */
static bool make_folder(GError **error)
{
    struct statfs fs;

    if (statfs(file_system, &fs) < 0 || fs.f_type != BPF_FS_MAGIC) {
        return refuse(error, "%s is no BPF file system: mount -t bpf bpf %s",
                      file_system, file_system);
    }
    return mkdir(folder, 0700) == 0 || errno == EEXIST ||
           refuse(error, "cannot make %s: %s", folder, g_strerror(errno));
}

static bool pin(int link, int ifindex, GError **error)
{
    g_autofree char *place = place_of(ifindex);
    g_autofree char *path = g_build_filename(folder, place, NULL);

    return bpf_obj_pin(link, path) == 0 ||
           refuse(error, "cannot pin the program's link as %s: %s%s", path,
                  g_strerror(errno), steer_lacks(errno, STEER_CAP_BPF));
}

/* Descriptor of a new link, or -1. */
static int make_link(const char *name, int ifindex, int program, bool *generic,
                     GError **error)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    int fd = bpf_link_create(program, ifindex, BPF_XDP, &opts), err = errno;
    uint32_t id;

    *generic = false;
    if (fd >= 0) {
        return fd;
    }
    if (attached(ifindex, &id, generic)) {
        refuse(error, "%s: another XDP program is attached, number %u: remove"
               " it first", name, id);
        return -1;
    }
    *generic = true;
    opts.flags = XDP_FLAGS_SKB_MODE;
    fd = bpf_link_create(program, ifindex, BPF_XDP, &opts);
    if (fd < 0) {
        refuse(error, "%s: cannot attach the program: natively: %s; as"
               " generic XDP: %s%s", name, g_strerror(err), g_strerror(errno),
               steer_lacks(errno, STEER_CAP_NET_ADMIN | STEER_CAP_BPF));
        return -1;
    }
    say("%s: native XDP is unavailable (%s): falls back to generic XDP", name,
        g_strerror(err));
    return fd;
}

static bool replace(const char *name, int link, int program, GError **error)
{
    return bpf_link_update(link, program, NULL) == 0 ||
           refuse(error, "%s: cannot replace the program: %s%s", name,
                  g_strerror(errno),
                  steer_lacks(errno, STEER_CAP_NET_ADMIN | STEER_CAP_BPF));
}

bool native_attach(const char *name, const ProgramFile *file, GError **error)
{
    int ifindex = index_of(name, error), link, program;
    bool good, replaced, generic = false;
    uint32_t old;

    if (!ifindex || !make_folder(error)) {
        return false;
    }
    program = bpf_program__fd(file->program);
    link = open_link(ifindex, &old);
    replaced = link >= 0;
    if (replaced) {
        good = replace(name, link, program, error);
        attached(ifindex, &old, &generic);
    } else {
        link = make_link(name, ifindex, program, &generic, error);
        good = link >= 0 && pin(link, ifindex, error);
    }
    if (link >= 0) {
        close(link);
    }
    if (good) {
        say("%s: program \"%s\" is attached%s, %s XDP", name,
            bpf_program__name(file->program),
            replaced ? " in the place of another" : "",
            generic ? "generic" : "native");
    }
    return good;
}

bool native_detach(const Native *native, GError **error)
{
    g_autofree char *path = g_build_filename(folder, native->place, NULL);

    return unlink(path) == 0 ||
           refuse(error, "%s: cannot remove %s: %s", native->name, path,
                  g_strerror(errno));
}

void native_free(Native *native)
{
    if (native) {
        g_free(native->place);
        g_array_unref(native->maps);
        g_free(native);
    }
}
