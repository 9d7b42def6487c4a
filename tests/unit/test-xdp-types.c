/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types of a guest's maps: a row for each rule, and one on its other side. */
#include <linux/btf.h>
#include <string.h>

#include "ebpf/xdp_limits.h"
#include "ebpf/xdp_types.h"
#include "guard.h"

#define INFO(kind, count) ((uint32_t)BTF_KIND_##kind << 24 | (count))
#define INT 0, INFO(INT, 0), 4, 32              /* four words */
#define POINTER 0, INFO(PTR, 0), 0              /* three */
#define ARRAY(of, n) 0, INFO(ARRAY, 0), 0, of, 1, n     /* six */
#define STRUCT(n) 0, INFO(STRUCT, n), 4
#define MEMBER(type) 1, type, 0
#define VARIABLE(type) 1, INFO(VAR, 0), type, 1 /* four */
#define SECTION(n) 3, INFO(DATASEC, n), 4
#define PLACE(variable) variable, 0, 4

#define NAME16 "abcdefghijklmnop"

static const char names[] = "\0a\0.bss x_9";

enum {
    MAX_WORDS = 160,
    MOST = XDP_MAX_TYPE_VALUES,
};

/* @text: of the reason, or NULL */
typedef struct Row {
    const char *name;
    uint32_t key, value;
    const char *text;
    unsigned n;
    uint32_t words[MAX_WORDS];
} Row;

#define WORDS(...) sizeof((uint32_t[]) { __VA_ARGS__ }) / 4, { __VA_ARGS__ }
#define CUT "a type is cut off"
#define NUMBERS "there is no type"
#define REFERS "refers to a type"
#define KIND "a type of this kind"
#define MANY "too many values"

static const Row rows[] = {
    { "int", 1, 1, NULL, WORDS(INT) },
    { "nothing", 0, 1, NUMBERS, 0, { 0 } },
    { "key", 2, 1, NUMBERS, WORDS(INT) },
    { "no-key", 0, 1, NULL, WORDS(INT) },
    { "value", 1, 2, NUMBERS, WORDS(INT) },
    { "no-value", 1, 0, NUMBERS, WORDS(INT) },
    { "value-4G", 1, UINT32_MAX, NUMBERS, WORDS(INT) },
    { "int-cut-off", 1, 1, CUT, WORDS(0, INFO(INT, 0), 4) },
    { "half-a-type", 1, 1, CUT, WORDS(INT, 0) },
    { "name", 1, 1, NULL, WORDS(sizeof(names) - 1, INFO(INT, 0), 4, 32) },
    { "name-too-far", 1, 1, CUT, WORDS(sizeof(names), INFO(INT, 0), 4, 32) },
    { "pointer", 1, 2, NULL, WORDS(INT, POINTER) },
    { "pointer-to-int", 1, 2, REFERS, WORDS(INT, 0, INFO(PTR, 0), 1) },
    { "struct", 1, 2, NULL, WORDS(INT, STRUCT(1), MEMBER(1)) },
    { "struct-with-a-name", 1, 2, REFERS,
      WORDS(INT, 1, INFO(STRUCT, 1), 4, MEMBER(1)) },
    { "union-with-a-name", 1, 2, REFERS,
      WORDS(INT, 1, INFO(UNION, 1), 4, MEMBER(1)) },
    { "struct-of-itself", 1, 2, REFERS, WORDS(INT, STRUCT(1), MEMBER(2)) },
    { "struct-of-a-later-one", 1, 2, REFERS,
      WORDS(INT, STRUCT(1), MEMBER(3), INT) },
    { "struct-of-nothing", 1, 2, REFERS, WORDS(INT, STRUCT(1), MEMBER(0)) },
    { "struct-cut-off", 1, 2, CUT, WORDS(INT, STRUCT(2), MEMBER(1)) },
    { "struct-65535", 1, 2, CUT, WORDS(INT, STRUCT(65535), MEMBER(1)) },
    { "enum", 1, 2, NULL, WORDS(INT, 0, INFO(ENUM, 1), 4, 1, 7) },
    { "enum-cut-off", 1, 2, CUT, WORDS(INT, 0, INFO(ENUM, 2), 4, 1, 7) },
    { "section", 0, 3, NULL,
      WORDS(INT, VARIABLE(1), SECTION(1), PLACE(2)) },
    { "section-of-itself", 0, 2, REFERS, WORDS(INT, SECTION(1), PLACE(2)) },
    { "variable-of-itself", 0, 2, REFERS, WORDS(INT, VARIABLE(2)) },
    { "array", 1, 2, NULL, WORDS(INT, ARRAY(1, 10)) },
    { "array-of-itself", 1, 2, REFERS, WORDS(INT, ARRAY(2, 1)) },
    { "array-cut-off", 1, 2, CUT, WORDS(INT, 0, INFO(ARRAY, 0), 0, 1, 1) },
    { "array-most", 1, 2, NULL, WORDS(INT, ARRAY(1, MOST)) },
    { "array-too-many", 1, 2, MANY, WORDS(INT, ARRAY(1, MOST + 1)) },
    { "array-4G", 1, 2, MANY, WORDS(INT, ARRAY(1, UINT32_MAX)) },
    { "array-of-empty-4G", 1, 3, MANY,
      WORDS(INT, STRUCT(0), ARRAY(2, UINT32_MAX)) },
    { "array-of-arrays", 1, 3, NULL,
      WORDS(INT, ARRAY(1, MOST / 256), ARRAY(2, 256)) },
    { "array-of-arrays-too-many", 1, 3, MANY,
      WORDS(INT, ARRAY(1, MOST / 256), ARRAY(2, 257)) },
    { "struct-of-arrays-too-many", 1, 3, MANY,
      WORDS(INT, ARRAY(1, MOST), STRUCT(2), MEMBER(1), MEMBER(2)) },
    { "typedef", 1, 2, KIND, WORDS(INT, 1, INFO(TYPEDEF, 0), 1) },
    { "function", 1, 2, KIND, WORDS(INT, 0, INFO(FUNC_PROTO, 0), 1) },
    { "tag", 1, 2, KIND, WORDS(INT, 1, 18u << 24, 1) },
    { "kind-0", 1, 2, KIND, WORDS(INT, 0, 0, 0) },
    { "kind-31", 1, 2, KIND, WORDS(INT, 0, 31u << 24, 0) },
};

/* A header, types and names. */
static GByteArray *make(const uint32_t *words, unsigned n, const char *strings,
                        size_t strings_len)
{
    const struct btf_header header = {
        .magic = BTF_MAGIC, .version = BTF_VERSION,
        .hdr_len = sizeof(header), .type_len = 4 * n, .str_off = 4 * n,
        .str_len = strings_len,
    };
    GByteArray *btf = g_byte_array_new();

    g_byte_array_append(btf, (const uint8_t *)&header, sizeof(header));
    g_byte_array_append(btf, (const uint8_t *)words, 4 * n);
    return g_byte_array_append(btf, (const uint8_t *)strings, strings_len);
}

static void check(const GByteArray *btf, uint32_t key, uint32_t value,
                  const char *text)
{
    g_autoptr(GString) why = g_string_new(NULL);
    Guard *guard = guard_new(MAX(btf->len, 1));
    bool good = xdp_types_check(guard_copy(guard, btf->data, btf->len),
                                btf->len, key, value, why);

    g_assert_true(good == !text);
    if (text && !strstr(why->str, text)) {
        g_error("'%s' is not in '%s'", text, why->str);
    }
    guard_free(guard);
}

static void test_row(gconstpointer data)
{
    const Row *row = data;
    g_autoptr(GByteArray) btf = make(row->words, row->n, names, sizeof(names));

    check(btf, row->key, row->value, row->text);
}

static void test_depth(void)
{
    uint32_t words[MAX_WORDS] = { INT };
    unsigned n = 4, depth;

    for (depth = 1; depth <= XDP_MAX_TYPE_DEPTH + 1; depth++) {
        const uint32_t next[] = { STRUCT(1), MEMBER(depth) };
        g_autoptr(GByteArray) btf = NULL;

        memcpy(words + n, next, sizeof(next));
        n += G_N_ELEMENTS(next);
        btf = make(words, n, names, sizeof(names));
        check(btf, 1, depth + 1, depth <= XDP_MAX_TYPE_DEPTH ? NULL
                                                             : "too deep");
    }
}

static void test_names(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool good;
    } cases[] = {
        { "", 1, true },
        { "", 0, false },
        { "a", 2, false },
        { "\0a", 2, false },
        { "\0a-b", 5, false },
        { "\0\033[2J", 6, false },
        { "\0\"", 3, false },
        { "\0\xc3\xa4", 4, false },
    };
    const uint32_t words[] = { INT };
    char longest[] = "\0" NAME16 NAME16 NAME16 NAME16;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) btf = make(words, 4, cases[i].bytes,
                                         cases[i].len);

        check(btf, 1, 1, cases[i].good ? NULL : "names");
    }
    for (i = XDP_MAX_TYPE_NAME; i <= XDP_MAX_TYPE_NAME + 1; i++) {
        g_autoptr(GByteArray) btf = make(words, 4, longest, i + 2);

        btf->data[btf->len - 1] = 0;
        check(btf, 1, 1, i > XDP_MAX_TYPE_NAME ? "names" : NULL);
    }
}

/* Each byte of the header has another value, or is not there. */
static void test_header(void)
{
    const uint32_t words[] = { INT };
    g_autoptr(GByteArray) btf = make(words, 4, names, sizeof(names));
    guint whole = btf->len, i;

    for (i = 0; i < sizeof(struct btf_header); i++) {
        btf->data[i] ^= 0x81;
        check(btf, 1, 1, "");
        btf->data[i] ^= 0x81;
    }
    for (i = 0; i < whole; i++) {
        btf->len = i;
        check(btf, 1, 1, "");
    }
    btf->len = whole;
    check(btf, 1, 1, NULL);
    g_byte_array_append(btf, (const uint8_t *)"", 1);
    check(btf, 1, 1, "names");
}

static void test_longest(void)
{
    const uint32_t words[] = { INT };
    const size_t room = XDP_MAX_TYPES - sizeof(struct btf_header) -
                        sizeof(words);
    g_autofree char *strings = g_malloc0(room + 1);
    g_autoptr(GByteArray) most = make(words, 4, strings, room);
    g_autoptr(GByteArray) more = make(words, 4, strings, room + 1);

    check(most, 1, 1, NULL);
    check(more, 1, 1, "too large");
}

int main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("/xdp-types/%s",
                                                rows[i].name);

        g_test_add_data_func(name, &rows[i], test_row);
    }
    g_test_add_func("/xdp-types/depth", test_depth);
    g_test_add_func("/xdp-types/names", test_names);
    g_test_add_func("/xdp-types/header", test_header);
    g_test_add_func("/xdp-types/longest", test_longest);
    return g_test_run();
}
