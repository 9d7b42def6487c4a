/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host is offered: the program as libbpf has relocated it, with its
 * functions behind it, and those maps that its instructions name, with what is
 * in them. The host's own rules and its verifier say what it takes.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "xdp-offload.h"

G_STATIC_ASSERT(XDP_WIRE_NAME == BPF_OBJ_NAME_LEN);

enum {
    BUSY_TRIES = 50,            /* of what the host does at a limited rate */
    BUSY_PAUSE = 200000,        /* us */

    ENTRIES_BODY = 12,          /* bytes before the entries in a frame */
    ENTRIES_ROOM = XDP_WIRE_MAX - XDP_WIRE_HEADER - ENTRIES_BODY,

    /* How the guest itself reaches the map, and where it lies in memory. */
    GUEST_FLAGS = BPF_F_MMAPABLE | BPF_F_NUMA_NODE | BPF_F_RDONLY |
                  BPF_F_WRONLY,
};

/* Number of the map with descriptor @fd in @offer; or -1 with @error set. */
static int map_number(Offer *offer, int fd, GError **error)
{
    GuestMap map, *known;
    guint i;

    if (!guest_map_init(&map, fcntl(fd, F_DUPFD_CLOEXEC, 3), error)) {
        return -1;
    }
    for (i = 0; i < offer->maps->len; i++) {
        known = &g_array_index(offer->maps, GuestMap, i);
        if (known->info.id == map.info.id) {
            guest_map_clear(&map);
            return i;
        }
    }
    g_array_append_val(offer->maps, map);
    return offer->maps->len - 1;
}

/* In each LD_IMM64 of a map: the map's number for its descriptor. */
static bool number_maps(Offer *offer, GError **error)
{
    guint i;

    for (i = 0; i < offer->insns->len; i++) {
        struct bpf_insn *insn = &g_array_index(offer->insns, struct bpf_insn,
                                               i);

        if (insn->code != (BPF_LD | BPF_IMM | BPF_DW)) {
            continue;
        }
        if (insn->src_reg == BPF_PSEUDO_MAP_FD ||
            insn->src_reg == BPF_PSEUDO_MAP_VALUE) {
            insn->imm = map_number(offer, insn->imm, error);
            if (insn->imm < 0) {
                return false;
            }
        }
        i++;            /* its second half */
    }
    return true;
}

Offer *offer_new(int ifindex, const ProgramFile *file, GError **error)
{
    g_autoptr(Offer) offer = g_new0(Offer, 1);
    struct bpf_prog_info info = { 0 };
    uint32_t size = sizeof(info);
    guint i;

    offer->ifindex = ifindex;
    offer->insns = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));
    offer->maps = g_array_new(FALSE, FALSE, sizeof(GuestMap));
    g_array_set_clear_func(offer->maps, guest_map_clear);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(file->program), &info,
                               &size) < 0) {
        refuse(error, "cannot ask the kernel about the program: %s",
               g_strerror(errno));
        return NULL;
    }
    offer->program_id = info.id;
    offer->gpl = info.gpl_compatible;
    memcpy(offer->name, info.name, sizeof(offer->name));
    g_array_append_vals(offer->insns, bpf_program__insns(file->program),
                        bpf_program__insn_cnt(file->program));
    if (!number_maps(offer, error)) {
        return NULL;
    }
    for (i = 0; i < offer->maps->len; i++) {
        guest_map_take_types(&g_array_index(offer->maps, GuestMap, i),
                             bpf_object__btf(file->object));
    }
    return g_steal_pointer(&offer);
}

void convert_value(const struct bpf_map_info *info, const uint8_t *from,
                   unsigned from_processors, uint8_t *to,
                   unsigned to_processors)
{
    size_t one = map_value_len(info, 1);
    unsigned i;

    if (!map_is_per_cpu(info)) {
        memcpy(to, from, one);
        return;
    }
    for (i = 0; i < to_processors; i++) {
        memcpy(to + i * one, from + i % from_processors * one, one);
    }
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    return len == 0 || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

/* As port_ask(), and again as long as the host says that it is too soon. */
static bool ask_patiently(Port *port, XdpWireMessage *message,
                          const char *what, GError **error)
{
    const XdpWireMessage request = *message;
    int tries;

    for (tries = 0; tries < BUSY_TRIES; tries++) {
        g_autoptr(GError) why = NULL;

        *message = request;
        if (port_ask(port, message, what, &why)) {
            return true;
        }
        if (!g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_REFUSED) ||
            message->error != EBUSY || tries == BUSY_TRIES - 1) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        g_usleep(BUSY_PAUSE);
    }
    return false;
}

/* Of a request for a map without them. */
static bool create_typed(Port *port, GuestMap *map, XdpWireMessage message,
                         const char *what, GError **error)
{
    message.op = XDP_OP_MAP_TYPED;
    message.map.key_type = map->key_type;
    message.map.value_type = map->value_type;
    message.data = g_bytes_get_data(map->types, &message.len);
    if (!ask_patiently(port, &message, what, error)) {
        return false;
    }
    map->handle = message.handle;
    return true;
}

/*
 * With its types, where the host takes them. What it refuses then may be
 * something else: that it says again to the map without types.
 */
static bool create(Offer *offer, Port *port, GuestMap *map, GError **error)
{
    g_autofree char *what = g_strdup_printf("map \"%s\"", map->info.name);
    XdpWireMessage message = { XDP_OP_MAP_CREATE, .map = {
        map->info.type, map->info.key_size, map->info.value_size,
        map->info.max_entries, map->info.map_flags & ~GUEST_FLAGS } };

    memcpy(message.map.name, map->info.name, sizeof(message.map.name));
    if (map->types && offer->hello.hello.features & XDP_FEATURE_TYPES) {
        g_autoptr(GError) why = NULL;

        if (create_typed(port, map, message, what, &why)) {
            return true;
        }
        if (!g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_REFUSED)) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        g_free(offer->untyped);
        offer->untyped = g_strdup(why->message);
    }
    if (!ask_patiently(port, &message, what, error)) {
        return false;
    }
    map->handle = message.handle;
    return true;
}

/* Sends entries and forgets them. */
static bool flush(Port *port, const GuestMap *map, GByteArray *entries,
                  uint32_t *count, GError **error)
{
    g_autofree char *what = g_strdup_printf("map \"%s\"", map->info.name);
    XdpWireMessage message = { XDP_OP_UPDATE, .entries = {
        map->handle, 0, *count }, .data = entries->data,
        .len = entries->len };
    uint32_t wanted = *count;

    if (!wanted) {
        return true;
    }
    g_byte_array_set_size(entries, 0);
    *count = 0;
    if (!port_ask(port, &message, what, error)) {
        return false;
    }
    if (message.entries.count != wanted) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_REFUSED,
                    "%s: the host took %u entries of %u", what,
                    message.entries.count, wanted);
        return false;
    }
    return true;
}

/*
 * Copies what is in a map. Others may change it meanwhile: then the walk may
 * begin again, so it has an end of its own.
 */
static bool fill(Port *port, const GuestMap *map, unsigned host_processors,
                 GError **error)
{
    const struct bpf_map_info *info = &map->info;
    unsigned processors = guest_processors();
    size_t from = map_value_len(info, processors);
    size_t to = map_value_len(info, host_processors);
    g_autofree uint8_t *key = g_malloc0(info->key_size);
    g_autofree uint8_t *value = g_malloc0(MAX(from, 1));
    g_autofree uint8_t *host_value = g_malloc0(MAX(to, 1));
    g_autoptr(GByteArray) entries = g_byte_array_new();
    uint64_t steps = 2 * (uint64_t)info->max_entries;
    uint32_t count = 0;
    void *before = NULL;

    for (; steps && bpf_map_get_next_key(map->fd, before, key) == 0; steps--) {
        before = key;
        if (bpf_map_lookup_elem(map->fd, key, value) < 0 ||
            (map_is_array(info) && is_zero(value, from))) {
            continue;
        }
        if (entries->len + info->key_size + to > ENTRIES_ROOM &&
            !flush(port, map, entries, &count, error)) {
            return false;
        }
        convert_value(info, value, processors, host_value, host_processors);
        g_byte_array_append(entries, key, info->key_size);
        g_byte_array_append(entries, host_value, to);
        count++;
    }
    return flush(port, map, entries, &count, error);
}

static bool send_program(Offer *offer, Port *port, GError **error)
{
    g_autofree char *what = g_strdup_printf("program \"%s\"", offer->name);
    g_autofree struct bpf_insn *insns =
        g_memdup2(offer->insns->data,
                  offer->insns->len * sizeof(struct bpf_insn));
    XdpWireMessage message = { XDP_OP_PROG_SET, .program = {
        offer->gpl ? XDP_PROGRAM_GPL : 0, offer->ifindex, offer->insns->len },
        .data = (const uint8_t *)insns,
        .len = offer->insns->len * sizeof(struct bpf_insn) };
    guint i;

    for (i = 0; i < offer->insns->len; i++) {
        if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
            if (insns[i].src_reg == BPF_PSEUDO_MAP_FD ||
                insns[i].src_reg == BPF_PSEUDO_MAP_VALUE) {
                insns[i].imm = g_array_index(offer->maps, GuestMap,
                                             insns[i].imm).handle;
            }
            i++;
        }
    }
    memcpy(message.program.name, offer->name, sizeof(message.program.name));
    return ask_patiently(port, &message, what, error);
}

static bool has_per_cpu(const Offer *offer)
{
    guint i;

    for (i = 0; i < offer->maps->len; i++) {
        if (map_is_per_cpu(&g_array_index(offer->maps, GuestMap, i).info)) {
            return true;
        }
    }
    return false;
}

bool offer_make(Offer *offer, Port *port, GError **error)
{
    guint i;

    if (G_BYTE_ORDER != G_LITTLE_ENDIAN) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_REFUSED,
                    "offload is not supported on big-endian machines");
        return false;
    }
    g_clear_pointer(&offer->untyped, g_free);
    offer->hello = (XdpWireMessage) { XDP_OP_HELLO };
    if (!port_ask(port, &offer->hello, "the host", error)) {
        return false;
    }
    if (offer->hello.hello.processors > UINT16_MAX ||
        (!offer->hello.hello.processors && has_per_cpu(offer))) {
        g_set_error(error, XDP_PORT_ERROR, XDP_PORT_REFUSED,
                    "per-CPU maps are not supported: the host says that it"
                    " has %u processors", offer->hello.hello.processors);
        return false;
    }
    for (i = 0; i < offer->maps->len; i++) {
        if (!create(offer, port, &g_array_index(offer->maps, GuestMap, i),
                    error)) {
            return false;
        }
    }
    for (i = 0; i < offer->maps->len; i++) {
        if (!fill(port, &g_array_index(offer->maps, GuestMap, i),
                  offer->hello.hello.processors, error)) {
            return false;
        }
    }
    return send_program(offer, port, error);
}

void offer_free(Offer *offer)
{
    if (offer) {
        g_array_unref(offer->insns);
        g_array_unref(offer->maps);
        g_free(offer->untyped);
        g_free(offer);
    }
}
