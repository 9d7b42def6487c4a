/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real helper, and types of a guest's maps: bpftool shows the fields, and
 * types that are damaged are refused, by the helper or by the kernel.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ebpf/xdp_limits.h"
#include "xdp_rig.h"

enum {
    DAMAGED = 300,              /* times */
};

static const char name[] = "typed_map";

/* BTF of a key, a number, and of a value, { uint32_t packets, bytes[2]; }. */
static struct btf *make_types(int *key, int *value)
{
    struct btf *btf = btf__new_empty();
    int array;

    *key = btf__add_int(btf, "unsigned int", 4, 0);
    array = btf__add_array(btf, *key, *key, 2);
    *value = btf__add_struct(btf, NULL, 12);
    g_assert_cmpint(btf__add_field(btf, "packets", *key, 0, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "bytes", array, 32, 0), ==, 0);
    return btf;
}

static XdpWireMessage typed_map(uint32_t type, int key, int value,
                                const void *types, size_t len)
{
    XdpWireMessage m = rig_map(type, 4, 12, 2, 0);

    m.op = XDP_OP_MAP_TYPED;
    m.map.key_type = key;
    m.map.value_type = value;
    m.data = types;
    m.len = len;
    strcpy(m.map.name, name);
    return m;
}

/* Number of the only map of this name, or 0. */
static uint32_t find_map(void)
{
    uint32_t id = 0;

    while (bpf_map_get_next_id(id, &id) == 0) {
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);
        int fd = bpf_map_get_fd_by_id(id);
        bool good = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0;

        if (fd >= 0) {
            close(fd);
        }
        if (good && !strcmp(info.name, name)) {
            return id;
        }
    }
    return 0;
}

/* What bpftool shows of it, without its spaces. */
static char *dump(void)
{
    g_autofree char *id = g_strdup_printf("%u", find_map());
    const char *argv[] = { "bpftool", "-j", "map", "dump", "id", id, NULL };
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                 &text, NULL, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static void test_fields(const void *data)
{
    const uint32_t *type = data;
    const uint32_t entry[] = { 1, 7, 8, 9 };
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    g_autofree char *text = NULL;
    XdpWireMessage answer;
    struct btf *btf;
    const void *types;
    uint32_t len;
    int key, value;

    if (!rig) {
        return;
    }
    btf = make_types(&key, &value);
    types = btf__raw_data(btf, &len);
    answer = rig_ask(rig, typed_map(*type, key, value, types, len));
    rig_assert_good(&answer);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_UPDATE,
                                                   answer.handle, 0, 1, entry,
                                                   sizeof(entry))), ==, 0);
    text = dump();
    g_assert_nonnull(strstr(text, "{\"key\":1,\"value\":{\"packets\":7,"
                                  "\"bytes\":[8,9]}}"));
    answer = rig_ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.memory, >, len);
    btf__free(btf);
}

/* What is wrong with them; a map without types is still possible. */
static void test_refused(void)
{
    static const struct {
        const char *name;
        int key, value;         /* to be added */
        int len;                /* likewise */
    } cases[] = {
        { "cut off", 0, 0, -1 },
        { "no key", 9, 0, 0 },
        { "no value", 0, 9, 0 },
        { "the value has another size", 0, -2, 0 },
        { "the key is a structure", 2, 0, 0 },
    };
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    struct btf *btf;
    const void *types;
    uint32_t len;
    unsigned i;
    int key, value;

    if (!rig) {
        return;
    }
    btf = make_types(&key, &value);
    types = btf__raw_data(btf, &len);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        XdpWireMessage answer;

        g_test_message("%s", cases[i].name);
        answer = rig_ask(rig, typed_map(BPF_MAP_TYPE_ARRAY,
                                        key + cases[i].key,
                                        value + cases[i].value, types,
                                        len + cases[i].len));
        g_assert_cmpuint(answer.error, !=, 0);
        g_assert_nonnull(g_strstr_len((const char *)answer.data, answer.len,
                                      "the types of the map are refused: "));
        g_assert_cmpuint(find_map(), ==, 0);
    }
    g_assert_cmpuint(rig_create(rig, BPF_MAP_TYPE_ARRAY, 4, 12, 2, 0), ==, 0);
    btf__free(btf);
}

/* Bytes are changed: the helper lives, and what it takes bpftool can show. */
static void test_damaged(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    unsigned seed = g_test_rand_int(), i, n, taken = 0;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    struct btf *btf;
    const void *types;
    uint32_t len;
    int key, value;

    if (!rig) {
        return;
    }
    g_test_message("seed %u", seed);
    btf = make_types(&key, &value);
    types = btf__raw_data(btf, &len);
    for (i = 0; i < DAMAGED; i++) {
        g_autofree uint8_t *copy = g_memdup2(types, len);
        g_autofree char *text = NULL;
        uint32_t error;

        for (n = g_rand_int_range(rand, 1, 4); n; n--) {
            copy[g_rand_int_range(rand, 24, len)] = g_rand_int(rand);
        }
        do {
            error = rig_error_of(rig, typed_map(BPF_MAP_TYPE_ARRAY, key, value,
                                                copy, len));
        } while (error == EBUSY && (g_usleep(20000), true));
        if (error == 0) {
            text = dump();
            g_assert_nonnull(strstr(text, "\"value\":"));
            taken++;
        }
        rig_greet(rig);
    }
    g_test_message("%u of %u were taken", taken, i);
    btf__free(btf);
}

static void test_limits(void)
{
    const RigStart start = { .max_memory = 16384 };
    const RigStart without = { .option = "--no-types" };
    g_autoptr(Rig) rig = rig_new(&start), other = NULL;
    struct btf *btf;
    const void *types;
    XdpWireMessage answer;
    uint32_t len;
    int key, value, i;

    if (!rig) {
        return;
    }
    btf = make_types(&key, &value);
    for (i = 0; i < 300; i++) {
        btf__add_int(btf, "unsigned int", 4, 0);
    }
    types = btf__raw_data(btf, &len);
    answer = rig_ask(rig, typed_map(BPF_MAP_TYPE_ARRAY, key, value, types,
                                    len));
    g_assert_cmpuint(answer.error, ==, ENOMEM);
    rig_create(rig, BPF_MAP_TYPE_ARRAY, 4, 12, 2, 0);

    other = rig_new(&without);
    answer = rig_ask(other, (XdpWireMessage) { .op = XDP_OP_HELLO });
    g_assert_cmphex(answer.hello.features & XDP_FEATURE_TYPES, ==, 0);
    answer = rig_ask(other, typed_map(BPF_MAP_TYPE_ARRAY, key, value, types,
                                      len));
    g_assert_cmpuint(answer.error, ==, EOPNOTSUPP);
    rig_create(other, BPF_MAP_TYPE_ARRAY, 4, 12, 2, 0);
    btf__free(btf);
}

int main(int argc, char **argv)
{
    static const uint32_t array = BPF_MAP_TYPE_ARRAY;
    static const uint32_t hash = BPF_MAP_TYPE_HASH;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    rig_init();
    g_test_add_data_func("/tap/xdp-types/fields/array", &array, test_fields);
    g_test_add_data_func("/tap/xdp-types/fields/hash", &hash, test_fields);
    g_test_add_func("/tap/xdp-types/refused", test_refused);
    g_test_add_func("/tap/xdp-types/damaged", test_damaged);
    g_test_add_func("/tap/xdp-types/limits", test_limits);
    return g_test_run();
}
