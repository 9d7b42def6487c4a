/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types of a map behind the numbers of the key's and the value's. A walk
 * through what is accepted ends, and soon: as that of whoever shows a map.
 */
#include <linux/btf.h>
#include <stdlib.h>

#include "ebpf/xdp_limits.h"
#include "ebpf/xdp_types.h"
#include "net/wire_number.h"

enum {
    MAX_TYPES = XDP_MAX_TYPES / sizeof(struct btf_type),
};

typedef struct Walk {
    const uint8_t *types[MAX_TYPES + 1];
    unsigned left;              /* values */
} Walk;

static void show(Walk *walk, uint32_t id, unsigned depth)
{
    const uint8_t *type = walk->types[id], *at = type + 12;
    uint32_t info = wire_get_number(type + 4, 4), i;
    uint32_t kind = BTF_INFO_KIND(info), count = BTF_INFO_VLEN(info);

    if (depth > XDP_MAX_TYPE_DEPTH) {
        abort();
    }
    switch (kind) {
    case BTF_KIND_ARRAY:
        for (i = 0; i < wire_get_number(at + 8, 4); i++) {
            show(walk, wire_get_number(at, 4), depth + 1);
        }
        break;
    case BTF_KIND_VAR:
        show(walk, wire_get_number(type + 8, 4), depth + 1);
        break;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
        for (i = 0; i < count; i++) {
            show(walk, wire_get_number(at + 12 * i + (kind ==
                                       BTF_KIND_DATASEC ? 0 : 4), 4),
                 depth + 1);
        }
        break;
    default:
        if (!walk->left--) {
            abort();
        }
    }
}

/* As long as the types are; the checker has looked at that. */
static unsigned find_types(Walk *walk, const uint8_t *btf)
{
    static const uint8_t words[] = {
        [BTF_KIND_INT] = 1, [BTF_KIND_VAR] = 1, [BTF_KIND_ARRAY] = 3,
    };
    static const uint8_t words_each[] = {
        [BTF_KIND_STRUCT] = 3, [BTF_KIND_UNION] = 3, [BTF_KIND_ENUM] = 2,
        [BTF_KIND_DATASEC] = 3,
    };
    const uint8_t *at = btf + sizeof(struct btf_header);
    const uint8_t *end = at + wire_get_number(btf + 12, 4);
    unsigned n = 0;

    while (at < end) {
        uint32_t info = wire_get_number(at + 4, 4), kind = BTF_INFO_KIND(info);

        walk->types[++n] = at;
        at += 12;
        at += kind < sizeof(words) ? 4 * words[kind] : 0;
        at += kind < sizeof(words_each) ? 4 * words_each[kind] *
                                          BTF_INFO_VLEN(info) : 0;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GString) why = g_string_new(NULL);
    g_autofree uint8_t *btf = NULL;
    Walk walk = { .left = XDP_MAX_TYPE_VALUES };

    if (size < 2) {
        return 0;
    }
    btf = g_memdup2(data + 2, size - 2);
    if (!xdp_types_check(btf, size - 2, data[0], data[1], why)) {
        return 0;
    }
    if (find_types(&walk, btf) < MAX(data[0], data[1])) {
        abort();
    }
    show(&walk, data[1], 0);
    return 0;
}
