/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's maps in the host
 *
 * A guest names a map by its number in a table that begins with 0 and only
 * grows until all of it goes. All sizes come from that table, none from a
 * request.
 *
 * Memory is counted here and not by the kernel, whose own limit differs by its
 * version (RLIMIT_MEMLOCK up to 5.10, the cgroup's after that): what a map may
 * come to hold is counted when it is made.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "xdp_maps.h"
#include "xdp_types.h"

enum {
    KNOWN_FLAGS = BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG | BPF_F_MMAPABLE,

    /* Bytes that the kernel has beside key and value, and some more */
    MAP_BYTES = 1024,
    HASH_BYTES = 64,            /* of an element */
    BUCKET_BYTES = 16,
    TRIE_BYTES = 64,            /* of a node */
    BTF_BYTES = 4096,
    BTF_TIMES = 4,              /* what is read, and tables for its types */

    /* What is behind the header of an answer: its error, and its fields */
    ANSWER_BYTES = XDP_WIRE_MAX - XDP_WIRE_HEADER - 4 - 12,

    /* Entries of NEXT that are gone when they are to be read */
    MAX_GONE = 1024,
};

typedef struct XdpMapKind {
    uint32_t type;
    bool per_cpu, is_array;
} XdpMapKind;

static const XdpMapKind kinds[] = {
    { BPF_MAP_TYPE_HASH, false, false },
    { BPF_MAP_TYPE_ARRAY, false, true },
    { BPF_MAP_TYPE_PERCPU_HASH, true, false },
    { BPF_MAP_TYPE_PERCPU_ARRAY, true, true },
    { BPF_MAP_TYPE_LRU_HASH, false, false },
    { BPF_MAP_TYPE_LPM_TRIE, false, false },
};

static const XdpMapKind *find_kind(uint32_t type)
{
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

static uint64_t round_up_8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

uint64_t xdp_map_memory(uint32_t type, uint32_t key_size, uint32_t value_size,
                        uint32_t max_entries, unsigned cpus)
{
    const XdpMapKind *kind = find_kind(type);
    uint64_t key = round_up_8(key_size), value = round_up_8(value_size);
    uint64_t entries = max_entries, buckets;

    if (kind && kind->per_cpu) {
        value = value * cpus + sizeof(void *);
    }
    if (kind && kind->is_array) {
        return MAP_BYTES + entries * value;
    }
    if (type == BPF_MAP_TYPE_LPM_TRIE) {
        /* Two prefixes that part need a node in between. */
        return MAP_BYTES + 2 * entries * (TRIE_BYTES + key + value);
    }
    /* Buckets are a power of two, and each processor has an element spare. */
    buckets = 2 * entries;
    return MAP_BYTES + buckets * BUCKET_BYTES +
           (entries + cpus) * (HASH_BYTES + key + value);
}

static int refuse(GString *why, int err, const char *text)
{
    g_string_assign(why, text);
    return err;
}

static int check_sizes(const XdpWireMessage *m, const XdpMapKind *kind,
                       GString *why)
{
    bool trie = m->map.type == BPF_MAP_TYPE_LPM_TRIE;

    if (m->map.key_size == 0 || m->map.key_size > XDP_MAX_KEY ||
        (trie && m->map.key_size > XDP_MAX_LPM_KEY) ||
        (kind->is_array && m->map.key_size != sizeof(uint32_t))) {
        return refuse(why, EINVAL, "no key of a map of this type has this"
                      " size");
    }
    if (m->map.value_size > XDP_MAX_VALUE) {
        return refuse(why, E2BIG, "the values of the map are too large");
    }
    if (m->map.value_size == 0 || m->map.max_entries == 0) {
        return refuse(why, EINVAL, "the map has no entries, or they are"
                      " empty");
    }
    if (m->map.flags & ~KNOWN_FLAGS) {
        return refuse(why, EINVAL, "a flag of the map is not supported");
    }
    return 0;
}

/* The reason of the kernel's, or of ours. */
static int refuse_types(GString *why, int err)
{
    g_autofree char *reason = g_strdup(err ? g_strerror(err) : why->str);

    g_string_printf(why, "the types of the map are refused: %s", reason);
    return err ? err : EINVAL;
}

/* The types that come with MAP_TYPED; their descriptor is to be closed. */
static int load_types(const XdpWireMessage *m, struct bpf_map_create_opts *opts,
                      GString *why)
{
    int fd;

    if (!xdp_types_check(m->data, m->len, m->map.key_type, m->map.value_type,
                         why)) {
        return refuse_types(why, 0);
    }
    fd = bpf_btf_load(m->data, m->len, NULL);
    if (fd < 0) {
        return refuse_types(why, errno);
    }
    opts->btf_fd = fd;
    opts->btf_key_type_id = m->map.key_type;
    opts->btf_value_type_id = m->map.value_type;
    return 0;
}

int xdp_maps_create(XdpMaps *maps, const XdpWireMessage *m, uint32_t max_maps,
                    uint64_t max_memory, GString *why)
{
    const XdpMapKind *kind = find_kind(m->map.type);
    LIBBPF_OPTS(bpf_map_create_opts, opts,
                .map_flags = m->map.flags & ~BPF_F_MMAPABLE);
    bool typed = m->op == XDP_OP_MAP_TYPED;
    int cpus = libbpf_num_possible_cpus(), err, fd;
    uint64_t value, memory;

    if (!kind) {
        return refuse(why, EOPNOTSUPP, "maps of this type are not supported");
    }
    if (maps->count >= MIN(max_maps, XDP_MAX_MAPS)) {
        return refuse(why, ENOSPC, "there are as many maps as the host"
                      " allows");
    }
    err = check_sizes(m, kind, why);
    if (err) {
        return err;
    }
    if (cpus <= 0) {
        return refuse(why, EIO, "cannot count the host's processors");
    }
    value = kind->per_cpu ? round_up_8(m->map.value_size) * cpus
                          : m->map.value_size;
    if (m->map.key_size + value > ANSWER_BYTES) {
        return refuse(why, E2BIG, "the values of all of the host's processors"
                      " do not fit into a frame");
    }
    memory = xdp_map_memory(m->map.type, m->map.key_size, m->map.value_size,
                            m->map.max_entries, cpus) +
             (typed ? BTF_BYTES + BTF_TIMES * m->len : 0);
    if (memory > max_memory || maps->memory > max_memory - memory) {
        return refuse(why, ENOMEM, "the maps would take more memory than the"
                      " host allows");
    }
    err = typed ? load_types(m, &opts, why) : 0;
    if (err) {
        return err;
    }
    fd = bpf_map_create(m->map.type, m->map.name, m->map.key_size,
                        m->map.value_size, m->map.max_entries, &opts);
    err = errno;
    if (typed) {
        close(opts.btf_fd);
    }
    if (fd < 0) {
        return typed ? refuse_types(why, err) : err;
    }
    maps->map[maps->count] = (XdpMap) {
        .type = m->map.type, .key_size = m->map.key_size,
        .value_size = m->map.value_size, .fd = fd,
    };
    maps->sizes[maps->count] = (XdpMapSizes) { m->map.key_size, value };
    maps->freezes[maps->count] = m->map.flags & BPF_F_RDONLY_PROG;
    maps->memory += memory;
    maps->count++;
    return 0;
}

static int lookup(int fd, const XdpMapSizes *sizes, const XdpWireMessage *m,
                  GByteArray *data, uint32_t *count)
{
    g_autofree uint8_t *value = g_malloc0(sizes->value);

    if ((uint64_t)m->entries.count * sizes->value > ANSWER_BYTES) {
        return EMSGSIZE;
    }
    for (; *count < m->entries.count; ++*count) {
        if (bpf_map_lookup_elem(fd, m->data + *count * sizes->key,
                                value) < 0) {
            return errno;
        }
        g_byte_array_append(data, value, sizes->value);
    }
    return 0;
}

static int update(int fd, const XdpMapSizes *sizes, const XdpWireMessage *m,
                  uint32_t *count)
{
    const uint8_t *entry = m->data;
    uint64_t flags = BPF_ANY;

    if (m->entries.flags) {
        flags = m->entries.flags & XDP_ENTRIES_EXIST ? BPF_EXIST : BPF_NOEXIST;
    }
    for (; *count < m->entries.count; ++*count) {
        if (bpf_map_update_elem(fd, entry, entry + sizes->key, flags) < 0) {
            return errno;
        }
        entry += sizes->key + sizes->value;
    }
    return 0;
}

static int delete(int fd, const XdpMapSizes *sizes, const XdpWireMessage *m,
                  uint32_t *count)
{
    for (; *count < m->entries.count; ++*count) {
        if (bpf_map_delete_elem(fd, m->data + *count * sizes->key) < 0) {
            return errno;
        }
    }
    return 0;
}

/*
 * Behind a key that is gone the kernel begins anew, so there is a limit for
 * what a program makes come and go meanwhile.
 */
static int next(int fd, const XdpMapSizes *sizes, const XdpWireMessage *m,
                GByteArray *data, uint32_t *count)
{
    g_autofree uint8_t *key = g_malloc0(sizes->key);
    g_autofree uint8_t *value = g_malloc0(sizes->value);
    uint32_t room = ANSWER_BYTES / (sizes->key + sizes->value);
    uint32_t wanted = MIN(m->entries.count, room), gone = 0;
    const uint8_t *previous = m->len ? m->data : NULL;

    while (*count < wanted) {
        if (bpf_map_get_next_key(fd, previous, key) < 0) {
            return errno;
        }
        previous = key;
        if (bpf_map_lookup_elem(fd, key, value) == 0) {
            g_byte_array_append(data, key, sizes->key);
            g_byte_array_append(data, value, sizes->value);
            ++*count;
        } else if (errno != ENOENT) {
            return errno;
        } else if (++gone > MAX_GONE) {
            return EAGAIN;
        }
    }
    return 0;
}

static bool flags_are_good(const XdpWireMessage *m)
{
    switch (m->op) {
    case XDP_OP_NEXT:
        return !(m->entries.flags & ~XDP_ENTRIES_FIRST) && m->entries.count;
    case XDP_OP_UPDATE:
        return m->entries.flags == 0 ||
               m->entries.flags == XDP_ENTRIES_EXIST ||
               m->entries.flags == XDP_ENTRIES_NO_EXIST;
    default:
        return m->entries.flags == 0;
    }
}

int xdp_maps_entries(const XdpMaps *maps, const XdpWireMessage *m,
                     GByteArray *data, uint32_t *count, GString *why)
{
    const XdpMapSizes *sizes;
    int fd, err;

    *count = 0;
    if (m->entries.handle >= maps->count) {
        return refuse(why, EBADF, "there is no such map");
    }
    sizes = &maps->sizes[m->entries.handle];
    fd = maps->map[m->entries.handle].fd;
    if (!flags_are_good(m)) {
        return refuse(why, EINVAL, "these flags are not supported");
    }
    if (!xdp_wire_check_entries(m, sizes->key, sizes->value)) {
        return refuse(why, EINVAL, "the data is not as long as the map's keys"
                      " and values");
    }
    switch (m->op) {
    case XDP_OP_LOOKUP:
        err = lookup(fd, sizes, m, data, count);
        break;
    case XDP_OP_UPDATE:
        err = update(fd, sizes, m, count);
        break;
    case XDP_OP_DELETE:
        err = delete(fd, sizes, m, count);
        break;
    default:
        err = next(fd, sizes, m, data, count);
    }
    return *count ? 0 : err;
}

int xdp_maps_freeze(XdpMaps *maps)
{
    unsigned i;

    for (i = 0; i < maps->count; i++) {
        if (maps->freezes[i] && bpf_map_freeze(maps->map[i].fd) < 0) {
            return errno;
        }
        maps->freezes[i] = false;
    }
    return 0;
}

void xdp_maps_clear(XdpMaps *maps)
{
    unsigned i;

    for (i = 0; i < maps->count; i++) {
        close(maps->map[i].fd);
    }
    *maps = (XdpMaps) { 0 };
}
