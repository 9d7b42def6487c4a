/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types of a guest's maps
 *
 * They are there to show what is in a map. But the kernel reads more out of
 * BTF: a structure's name or a tag can make a lock, a timer or a pointer to the
 * kernel's memory of a value. And whoever shows a map walks through all of a
 * value's types. So a guest gets the part of BTF that says how a value is laid
 * out, in an order that cannot have circles:
 *  - a type refers only to types before it, a pointer to none;
 *  - structures and unions have no names, and there are no tags;
 *  - names have no characters that a terminal would obey, and at most
 *    XDP_MAX_TYPE_NAME;
 *  - a value is shown as XDP_MAX_TYPE_VALUES values at most, which lie
 *    XDP_MAX_TYPE_DEPTH deep.
 */
#include <linux/btf.h>

#include "ebpf/xdp_limits.h"
#include "net/wire_number.h"
#include "xdp_types.h"

enum {
    HEADER_LEN = sizeof(struct btf_header),
    TYPE_LEN = sizeof(struct btf_type),
    WORD = sizeof(uint32_t),
};

/* What is known of a type: values that it is shown as, how deep they are. */
typedef struct Shape {
    uint32_t values, depth;
} Shape;

/**
 * Reader:
 * @at, @end: types that are to be read
 * @strings_len: bytes of names
 * @shapes: Shape, of the types before @at; the first is no type
 */
typedef struct Reader {
    const uint8_t *at, *end;
    uint32_t strings_len;
    GArray *shapes;
} Reader;

static bool refuse(GString *why, const char *text)
{
    g_string_assign(why, text);
    return false;
}

static uint32_t word(const uint8_t *at, unsigned n)
{
    return wire_get_number(at + n * WORD, WORD);
}

static bool names_are_good(const uint8_t *names, size_t len)
{
    size_t i, letters = 0;

    for (i = 0; i < len; i++) {
        letters = names[i] ? letters + 1 : 0;
        if (letters > XDP_MAX_TYPE_NAME ||
            (names[i] && !g_ascii_isalnum(names[i]) && names[i] != '_' &&
             names[i] != '.' && names[i] != ' ')) {
            return false;
        }
    }
    return len && !names[0] && !names[len - 1];
}

/* Adds @times what type @id is shown as; false: there is no such type yet. */
static bool add(const Reader *r, Shape *shape, uint32_t id, uint64_t times)
{
    const Shape *of = &g_array_index(r->shapes, Shape, id);

    if (id == 0 || id >= r->shapes->len) {
        return false;
    }
    /* No product of 32 and 16 bits, and no sum of some thousand, is too long. */
    shape->values = MIN(shape->values + times * of->values,
                        XDP_MAX_TYPE_VALUES + 1);
    shape->depth = MAX(shape->depth, of->depth + 1);
    return true;
}

/* A member, variable or element is three words; @type is which of them. */
static bool add_all(const Reader *r, Shape *shape, uint32_t count,
                    unsigned type)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        if (!add(r, shape, word(r->at, 3 * i + type), 1)) {
            return false;
        }
    }
    return true;
}

/* Bytes behind a struct btf_type of this kind; -1: it is not allowed. */
static int64_t behind(uint32_t kind, uint32_t count)
{
    switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
        return WORD;
    case BTF_KIND_PTR:
        return 0;
    case BTF_KIND_ARRAY:
        return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return (int64_t)count * sizeof(struct btf_member);
    case BTF_KIND_ENUM:
        return (int64_t)count * sizeof(struct btf_enum);
    case BTF_KIND_DATASEC:
        return (int64_t)count * sizeof(struct btf_var_secinfo);
    default:
        return -1;
    }
}

static bool read_type(Reader *r, GString *why)
{
    uint32_t name = word(r->at, 0), info = word(r->at, 1);
    uint32_t type = word(r->at, 2), kind = BTF_INFO_KIND(info);
    uint32_t count = BTF_INFO_VLEN(info);
    int64_t len = behind(kind, count);
    Shape shape = { 0 };
    bool good = true;

    r->at += TYPE_LEN;
    if (len < 0) {
        return refuse(why, "a type of this kind is not supported");
    }
    if (len > r->end - r->at || name >= r->strings_len) {
        return refuse(why, "a type is cut off");
    }
    switch (kind) {
    case BTF_KIND_PTR:
        good = type == 0;
        break;
    case BTF_KIND_ARRAY:
        good = add(r, &shape, word(r->at, 0), word(r->at, 2)) &&
               add(r, &shape, word(r->at, 1), 0);
        break;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        good = name == 0 && add_all(r, &shape, count, 1);
        break;
    case BTF_KIND_VAR:
        good = add(r, &shape, type, 1);
        break;
    case BTF_KIND_DATASEC:
        good = add_all(r, &shape, count, 0);
        break;
    }
    shape.values = MAX(shape.values, 1);
    if (!good) {
        return refuse(why, "a type has a name, or refers to a type, that it"
                      " may not");
    }
    if (shape.values > XDP_MAX_TYPE_VALUES ||
        shape.depth > XDP_MAX_TYPE_DEPTH) {
        return refuse(why, "a type has too many values, or they are too deep"
                      " in others");
    }
    g_array_append_val(r->shapes, shape);
    r->at += len;
    return true;
}

bool xdp_types_check(const uint8_t *btf, size_t len, uint32_t key,
                     uint32_t value, GString *why)
{
    g_autoptr(GArray) shapes = g_array_new(FALSE, TRUE, sizeof(Shape));
    uint32_t types, strings;
    Reader r;

    g_array_set_size(shapes, 1);
    if (len > XDP_MAX_TYPES) {
        return refuse(why, "they are too large");
    }
    if (len < HEADER_LEN || wire_get_number(btf, 4) != (BTF_VERSION << 16 |
                                                        BTF_MAGIC) ||
        word(btf, 1) != HEADER_LEN || word(btf, 2) != 0) {
        return refuse(why, "they are no BTF of this version");
    }
    types = word(btf, 3);
    strings = word(btf, 5);
    if (word(btf, 4) != types ||
        (uint64_t)HEADER_LEN + types + strings != len ||
        !names_are_good(btf + HEADER_LEN + types, strings)) {
        return refuse(why, "the names are not as they have to be");
    }
    r = (Reader) {
        btf + HEADER_LEN, btf + HEADER_LEN + types, strings, shapes,
    };
    while (r.at < r.end) {
        if (r.end - r.at < TYPE_LEN) {
            return refuse(why, "a type is cut off");
        }
        if (!read_type(&r, why)) {
            return false;
        }
    }
    if (key >= shapes->len || value == 0 || value >= shapes->len) {
        return refuse(why, "there is no type for the key or the value");
    }
    return true;
}
