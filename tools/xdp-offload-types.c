/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of a map, for the host: of the object's BTF those that tell how a
 * key and a value are laid out, as docs/xdp_offload_wire.rst has them. What they
 * are called in the program, and all that is behind a pointer, is left out.
 */
#include <bpf/btf.h>
#include <string.h>

#include "xdp-offload.h"

typedef struct btf Btf;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Btf, btf__free)

/**
 * Copy:
 * @ids: of @from's types in @to; 0: not there yet
 */
typedef struct Copy {
    const Btf *from;
    Btf *to;
    int *ids;
} Copy;

static int copy_type(const Copy *copy, uint32_t id);

static const char *name_at(const Copy *copy, uint32_t offset)
{
    return btf__name_by_offset(copy->from, offset);
}

static int copy_members(const Copy *copy, const struct btf_type *t)
{
    const struct btf_member *members = btf_members(t);
    g_autofree int *types = g_new0(int, btf_vlen(t));
    int i, id;

    for (i = 0; i < btf_vlen(t); i++) {
        types[i] = copy_type(copy, members[i].type);
        if (types[i] < 0) {
            return -1;
        }
    }
    id = btf_is_struct(t) ? btf__add_struct(copy->to, NULL, t->size)
                          : btf__add_union(copy->to, NULL, t->size);
    for (i = 0; i < btf_vlen(t); i++) {
        if (btf__add_field(copy->to, name_at(copy, members[i].name_off),
                           types[i], btf_member_bit_offset(t, i),
                           btf_member_bitfield_size(t, i)) < 0) {
            return -1;
        }
    }
    return id;
}

static int copy_array(const Copy *copy, const struct btf_type *t)
{
    const struct btf_array *array = btf_array(t);
    int index = copy_type(copy, array->index_type);
    int type = copy_type(copy, array->type);

    return index < 0 || type < 0 ? -1 : btf__add_array(copy->to, index, type,
                                                       array->nelems);
}

/* Older kernels know none that has negative or long values. */
static int copy_enum(const Copy *copy, const struct btf_type *t)
{
    const struct btf_enum *values = btf_enum(t);
    int i, id;

    if (!btf_is_enum(t) || btf_kflag(t)) {
        return btf__add_int(copy->to, "enum", t->size, BTF_INT_SIGNED);
    }
    id = btf__add_enum(copy->to, NULL, t->size);
    for (i = 0; i < btf_vlen(t); i++) {
        if (btf__add_enum_value(copy->to, name_at(copy, values[i].name_off),
                                (uint32_t)values[i].val) < 0) {
            return -1;
        }
    }
    return id;
}

/* Of global data: its variables. */
static int copy_section(const Copy *copy, const struct btf_type *t)
{
    const struct btf_var_secinfo *places = btf_var_secinfos(t);
    g_autofree int *variables = g_new0(int, btf_vlen(t));
    int i, id;

    for (i = 0; i < btf_vlen(t); i++) {
        const struct btf_type *variable = btf__type_by_id(copy->from,
                                                          places[i].type);
        int type = copy_type(copy, variable->type);

        variables[i] = type < 0 ? -1
            : btf__add_var(copy->to, name_at(copy, variable->name_off),
                           btf_var(variable)->linkage, type);
        if (variables[i] < 0) {
            return -1;
        }
    }
    id = btf__add_datasec(copy->to, name_at(copy, t->name_off), t->size);
    for (i = 0; i < btf_vlen(t); i++) {
        if (btf__add_datasec_var_info(copy->to, variables[i], places[i].offset,
                                      places[i].size) < 0) {
            return -1;
        }
    }
    return id;
}

static int copy_new_type(const Copy *copy, const struct btf_type *t)
{
    switch (btf_kind(t)) {
    case BTF_KIND_INT:
        return btf__add_int(copy->to, name_at(copy, t->name_off), t->size,
                            btf_int_encoding(t));
    case BTF_KIND_PTR:
        return btf__add_ptr(copy->to, 0);
    case BTF_KIND_ARRAY:
        return copy_array(copy, t);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return copy_members(copy, t);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return copy_enum(copy, t);
    case BTF_KIND_DATASEC:
        return copy_section(copy, t);
    default:
        return -1;
    }
}

/* The type's number in the copy, from 1 on; or below 0. */
static int copy_type(const Copy *copy, uint32_t id)
{
    int known = btf__resolve_type(copy->from, id);

    if (known <= 0) {
        return -1;
    }
    if (!copy->ids[known]) {
        copy->ids[known] = copy_new_type(copy, btf__type_by_id(copy->from,
                                                               known));
    }
    return copy->ids[known];
}

void guest_map_take_types(GuestMap *map, const struct btf *btf)
{
    g_autoptr(Btf) to = btf__new_empty();
    g_autofree int *ids = btf ? g_new0(int, btf__type_cnt(btf)) : NULL;
    const Copy copy = { btf, to, ids };
    const void *types;
    uint32_t len;
    int key, value;

    if (!btf || !to || !map->info.btf_id) {
        return;
    }
    key = map->info.btf_key_type_id ? copy_type(&copy,
                                                map->info.btf_key_type_id) : 0;
    value = copy_type(&copy, map->info.btf_value_type_id);
    types = btf__raw_data(to, &len);
    if (key >= 0 && value > 0 && types) {
        map->key_type = key;
        map->value_type = value;
        map->types = g_bytes_new(types, len);
    }
}
