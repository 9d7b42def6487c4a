/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real helper at a real tap: what a guest asks for happens there, what it
 * may not is refused, and however the helper ends, packets flow.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ebpf/insn.h"
#include "ebpf/xdp_limits.h"
#include "packet.h"
#include "xdp_rig.h"

enum {
    STORM_US = 50000,           /* a program each so often is none */
};

static unsigned seed;

static const RigStart trusted = {
    .option = "--trusted", .flags = XDP_HELPER_TRUSTED,
};

static void test_verdicts(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    g_autoptr(GByteArray) frame = NULL, came = g_byte_array_new();
    XdpWireMessage answer;
    uint32_t map;

    if (!rig) {
        return;
    }
    map = rig_create(rig, BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_PASS), ==, 0);
    rig_set_by_map(rig, map);
    g_assert_true(rig_passes(rig));
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_DROP), ==, 0);
    g_assert_false(rig_passes(rig));
    g_assert_false(rig_passes(rig));
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_TX), ==, 0);
    frame = packet_build("eth ip4 udp raw:100", &packet_flow);
    g_assert_true(tap_net_send(rig->net, frame->data, frame->len));
    g_assert_cmpint(tap_net_receive(rig->net, came, 0), ==, TAP_NO_QUEUE);

    answer = rig_ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.passed, ==, 1);
    g_assert_cmpuint(answer.stats.dropped, ==, 2);
    g_assert_cmpuint(answer.stats.sent, ==, 1);
    g_assert_cmpuint(answer.stats.unexamined, ==, 0);
    g_assert_cmpuint(answer.stats.memory, >=, 8);
    g_assert_cmpuint(answer.stats.since, >, 0);

    g_assert_cmpuint(rig_error_of(rig, (XdpWireMessage) {
                                      .op = XDP_OP_PROG_UNSET }), ==, 0);
    g_assert_true(rig_passes(rig));
    g_assert_cmpuint(rig_error_of(rig, (XdpWireMessage) {
                                      .op = XDP_OP_PROG_UNSET }), ==, 0);
    answer = rig_ask(rig, (XdpWireMessage) { .op = XDP_OP_STATS });
    g_assert_cmpuint(answer.stats.since, ==, 0);
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_DROP), ==, 0);
    rig_greet(rig);
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_DROP), ==, EBADF);
}

/* A program takes another's place; HELLO begins anew. */
static void test_replace(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    const struct bpf_insn bad[] = { insn(INSN_EXIT, 0, 0, 0, 0) };
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    rig_set_always(rig, XDP_PASS);
    g_assert_true(rig_passes(rig));
    rig_set_always(rig, XDP_DROP);
    g_assert_false(rig_passes(rig));

    /* One that is refused changes nothing. */
    answer = rig_ask(rig, rig_program(bad, G_N_ELEMENTS(bad)));
    g_assert_cmpuint(answer.error, ==, EINVAL);
    g_assert_nonnull(g_strstr_len((const char *)answer.data, answer.len,
                                  "instruction 0"));
    g_assert_false(rig_passes(rig));

    answer = rig_ask(rig, (XdpWireMessage) {
                         .op = XDP_OP_HELLO,
                         .hello = { .max_maps = 1 },
                     });
    rig_assert_good(&answer);
    g_assert_cmphex(answer.hello.features, ==,
                    XDP_FEATURE_TX | XDP_FEATURE_TYPES);
    g_assert_cmpuint(answer.hello.max_insns, ==, XDP_MAX_INSNS);
    g_assert_cmpuint(answer.hello.max_maps, ==, 1);
    g_assert_cmpuint(answer.hello.processors, ==,
                     libbpf_num_possible_cpus());
    g_assert_true(rig_passes(rig));
    rig_create(rig, BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0);
    g_assert_cmpuint(rig_error_of(rig, rig_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0)),
                     ==, ENOSPC);
}

/* Our filter, of a kernel without TCX. */
static bool filter_is_left(const Rig *rig)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = rig->net->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .priority = 50, .handle = 0x58445030);

    return bpf_tc_query(&hook, &opts) == 0;
}

/* Packets flow, and the next helper finds nothing in its way. */
static void test_killed(const void *data)
{
    const RigStart *start = data;
    g_autoptr(Rig) rig = rig_new(start);

    if (!rig) {
        return;
    }
    rig_set_always(rig, XDP_DROP);
    g_assert_false(rig_passes(rig));
    kill(rig->pid, SIGKILL);
    rig_reap(rig);
    rig_wait_until_it_passes(rig);
    close(rig->socket);
    rig_begin(rig, start);
    g_assert_true(g_str_has_prefix(rig->text, XDP_HELPER_READY ", "));
    g_assert_false(filter_is_left(rig));
    g_assert_true(rig_passes(rig));
}

static uint64_t cpu_ticks(GPid pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    unsigned long user, system;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u"
                           " %*u %*u %*u %*u %lu %lu", &user, &system), ==, 2);
    return user + system;
}

/* While nobody asks it anything it sleeps. */
static void test_idle(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    uint64_t before;

    if (!rig) {
        return;
    }
    rig_set_always(rig, XDP_DROP);
    before = cpu_ticks(rig->pid);
    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(cpu_ticks(rig->pid) - before, <, 5);
}

static void test_hung_up(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);

    if (!rig) {
        return;
    }
    rig_set_always(rig, XDP_DROP);
    g_assert_false(rig_passes(rig));
    rig_hang_up(rig);
    g_assert_false(filter_is_left(rig));
    g_assert_true(rig_passes(rig));
    rig_begin(rig, start);
}

/* Longer than a lease: who lives renews it. */
static void test_lease(const void *start)
{
    g_autoptr(Rig) rig = rig_new(start);
    gint64 end;

    if (!rig) {
        return;
    }
    rig_set_always(rig, XDP_DROP);
    for (end = g_get_monotonic_time() + 7000000;
         g_get_monotonic_time() < end; g_usleep(100000)) {
        g_assert_false(rig_passes(rig));
    }
}

typedef struct MapRow {
    const char *name;
    uint32_t type, key_size, value_size, max_entries, flags;
    uint32_t error;
} MapRow;

#define ARRAY BPF_MAP_TYPE_ARRAY
#define HASH BPF_MAP_TYPE_HASH
#define LPM BPF_MAP_TYPE_LPM_TRIE
#define PROG_ARRAY BPF_MAP_TYPE_PROG_ARRAY

static const MapRow map_rows[] = {
    { "array", ARRAY, 4, 4, 1, 0, 0 },
    { "array-mmapable", ARRAY, 4, 4, 1, BPF_F_MMAPABLE, 0 },
    { "array-of-3-byte-keys", ARRAY, 3, 4, 1, 0, EINVAL },
    { "array-without-entries", ARRAY, 4, 4, 0, 0, EINVAL },
    { "array-of-nothing", ARRAY, 4, 0, 1, 0, EINVAL },
    { "array-with-inner-flag", ARRAY, 4, 4, 1, BPF_F_INNER_MAP, EINVAL },
    { "array-numa", ARRAY, 4, 4, 1, BPF_F_NUMA_NODE, EINVAL },
    { "array-15M", ARRAY, 4, 4096, 3840, 0, 0 },
    { "array-16M-and-more", ARRAY, 4, 4096, 4096, 0, ENOMEM },
    { "array-4G-entries", ARRAY, 4, 4096, UINT32_MAX, 0, ENOMEM },
    { "percpu-array-4G-entries", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4096,
      UINT32_MAX, 0, ENOMEM },
    { "hash", HASH, 512, 4096, 1, 0, 0 },
    { "hash-without-key", HASH, 0, 4, 1, 0, EINVAL },
    { "hash-key-513", HASH, 513, 4, 1, 0, E2BIG },
    { "hash-key-4G", HASH, UINT32_MAX, 4, 1, 0, E2BIG },
    { "hash-value-4097", HASH, 4, 4097, 1, 0, E2BIG },
    { "hash-value-4G", HASH, 4, UINT32_MAX, 1, 0, E2BIG },
    { "hash-4G-entries", HASH, 4, 4, UINT32_MAX, 0, ENOMEM },
    { "lru-hash", BPF_MAP_TYPE_LRU_HASH, 4, 4, 64, 0, 0 },
    { "lpm", LPM, 8, 4, 64, BPF_F_NO_PREALLOC, 0 },
    { "lpm-key-20", LPM, 20, 4, 64, BPF_F_NO_PREALLOC, 0 },
    { "lpm-key-21", LPM, 21, 4, 64, BPF_F_NO_PREALLOC, EINVAL },
    { "lpm-preallocated", LPM, 8, 4, 64, 0, EINVAL },
    { "prog-array", PROG_ARRAY, 4, 4, 1, 0, EOPNOTSUPP },
    { "ringbuf", BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, EOPNOTSUPP },
    { "map-of-maps", BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0, EOPNOTSUPP },
    { "type-0", 0, 4, 4, 1, 0, EOPNOTSUPP },
    { "type-4G", UINT32_MAX, 4, 4, 1, 0, EOPNOTSUPP },
};

static void test_maps(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    unsigned i;

    for (i = 0; rig && i < G_N_ELEMENTS(map_rows); i++) {
        const MapRow *row = &map_rows[i];
        uint32_t err;

        g_test_message("%s", row->name);
        err = rig_error_of(rig, rig_map(row->type, row->key_size,
                                        row->value_size, row->max_entries,
                                        row->flags));
        g_assert_cmpuint(err, ==, row->error);
        rig_greet(rig);
    }
}

static void test_limits(void)
{
    const RigStart start = { .max_memory = 65536, .max_insns = 3 };
    g_autoptr(Rig) rig = rig_new(&start);
    struct bpf_insn insns[4];
    unsigned i;

    if (!rig) {
        return;
    }
    rig_create(rig, ARRAY, 4, 4096, 10, 0);
    g_assert_cmpuint(rig_error_of(rig, rig_map(ARRAY, 4, 4096, 10, 0)), ==,
                     ENOMEM);
    for (i = 1; i < XDP_MAX_MAPS; i++) {
        g_assert_cmpuint(rig_create(rig, ARRAY, 4, 4, 1, 0), ==, i);
    }
    g_assert_cmpuint(rig_error_of(rig, rig_map(ARRAY, 4, 4, 1, 0)), ==,
                     ENOSPC);
    for (i = 0; i < 3; i++) {
        insns[i] = insn(INSN_SET, 0, 0, 0, XDP_PASS);
    }
    insns[2] = insns[3] = insn(INSN_EXIT, 0, 0, 0, 0);
    g_assert_cmpuint(rig_error_of(rig, rig_program(insns, 3)), ==, 0);
    insns[2] = insns[0];
    g_assert_cmpuint(rig_error_of(rig, rig_program(insns, 4)), ==, E2BIG);
    g_assert_cmpuint(rig_error_of(rig, rig_program(insns, 0)), ==, EINVAL);
}

static void test_entries(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    const uint32_t some[] = { 1, 10, 2, 20, 3, 30 }, keys[] = { 1, 9, 3 };
    uint32_t map, values[2], last = 0;
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    map = rig_create(rig, HASH, 4, 4, 8, BPF_F_NO_PREALLOC);
    answer = rig_ask(rig, rig_entries(XDP_OP_UPDATE, map, XDP_ENTRIES_NO_EXIST,
                                      3, some, sizeof(some)));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 3);
    g_assert_cmpuint(rig_update(rig, map, XDP_ENTRIES_NO_EXIST, 1, 5), ==,
                     EEXIST);
    g_assert_cmpuint(rig_update(rig, map, XDP_ENTRIES_EXIST, 4, 5), ==, ENOENT);
    g_assert_cmpuint(rig_update(rig, map, 3 * XDP_ENTRIES_NO_EXIST, 4, 5), ==,
                     EINVAL);

    /* The second is not there. */
    answer = rig_ask(rig, rig_entries(XDP_OP_LOOKUP, map, 0, 3, keys,
                                      sizeof(keys)));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    g_assert_cmpmem(answer.data, answer.len, &some[1], 4);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_LOOKUP, map, 0, 1,
                                                   &keys[1], 4)), ==, ENOENT);

    answer = rig_ask(rig, rig_entries(XDP_OP_NEXT, map, XDP_ENTRIES_FIRST, 2,
                                      NULL, 0));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 2);
    memcpy(values, answer.data + 8, sizeof(values));
    last = values[0];
    answer = rig_ask(rig, rig_entries(XDP_OP_NEXT, map, 0, UINT32_MAX, &last,
                                      4));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    memcpy(&last, answer.data, 4);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_NEXT, map, 0, 1,
                                                   &last, 4)), ==, ENOENT);

    answer = rig_ask(rig, rig_entries(XDP_OP_DELETE, map, 0, 3, keys,
                                      sizeof(keys)));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.entries.count, ==, 1);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_DELETE, map, 0, 1,
                                                   keys, 4)), ==, ENOENT);
}

/* A value of each processor, and one that no one may change any more. */
static void test_kinds(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    unsigned cpus = libbpf_num_possible_cpus();
    uint32_t zero = 0, map;
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    map = rig_create(rig, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 1, 0);
    answer = rig_ask(rig, rig_entries(XDP_OP_LOOKUP, map, 0, 1, &zero, 4));
    rig_assert_good(&answer);
    g_assert_cmpuint(answer.len, ==, cpus * 8);

    map = rig_create(rig, ARRAY, 4, 4, 1, BPF_F_RDONLY_PROG);
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_DROP), ==, 0);
    rig_set_by_map(rig, map);
    g_assert_false(rig_passes(rig));
    g_assert_cmpuint(rig_update(rig, map, 0, 0, XDP_PASS), ==, EPERM);
    g_assert_false(rig_passes(rig));
    rig_set_by_map(rig, map);
}

static void test_forged(void)
{
    static const uint32_t handles[] = { 1, XDP_MAX_MAPS, 0x7fffffff,
                                        UINT32_MAX };
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    const uint8_t long_key[8] = { 0 };
    unsigned i;

    if (!rig) {
        return;
    }
    rig_create(rig, ARRAY, 4, 4, 1, 0);
    for (i = 0; i < G_N_ELEMENTS(handles); i++) {
        struct bpf_insn insns[] = {
            insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, handles[i]),
            insn(0, 0, 0, 0, 0),
            insn(INSN_SET, 0, 0, 0, XDP_DROP),
            insn(INSN_EXIT, 0, 0, 0, 0),
        };

        g_assert_cmpuint(rig_update(rig, handles[i], 0, 0, 1), ==, EBADF);
        g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_NEXT, handles[i],
                                                       XDP_ENTRIES_FIRST, 1,
                                                       NULL, 0)), ==, EBADF);
        g_assert_cmpuint(rig_error_of(rig, rig_program(insns, 4)), ==, EINVAL);
    }
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_LOOKUP, 0, 0, 1,
                                                   long_key, 8)), ==, EINVAL);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_LOOKUP, 0, 0,
                                                   UINT32_MAX,
                                                   long_key, 4)), ==, EINVAL);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_NEXT, 0,
                                                   XDP_ENTRIES_FIRST,
                                                   0, NULL, 0)), ==, EINVAL);
    g_assert_true(rig_passes(rig));
}

/* A pointer is where the program's counter is put, as compilers do it. */
static void test_spilled(const void *start)
{
    const struct bpf_insn insns[] = {
        insn(INSN_STORE64, 10, 1, -8, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    g_autoptr(Rig) rig = rig_new(start);
    XdpWireMessage answer;

    if (rig) {
        answer = rig_ask(rig, rig_program(insns, G_N_ELEMENTS(insns)));
        rig_assert_good(&answer);
        g_assert_false(rig_passes(rig));
    }
}

/*
 * A loop that the verifier takes and the budget does not. Where its budget is
 * found is below the stack that the program seems to have: a map instead, with
 * a number that lasts, gets there by a pointer that is not followed.
 */
static void test_loop(void)
{
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD_CONST, 7, BPF_PSEUDO_MAP_VALUE, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(INSN_MOVE, 2, 10, 0, 0),
        insn(INSN_SET, 3, 0, 0, -8),
        insn(INSN_ADD, 2, 3, 0, 0),
        insn(INSN_STORE64, 2, 7, 0, 0),
        insn(INSN_SET, 6, 0, 0, 2 * XDP_BUDGET / XDP_HELPER_COST),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns),
        insn(INSN_ADD_CONST, 6, 0, 0, -1),
        insn(INSN_IF_NOT_EQUAL, 6, 0, -3, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const size_t loop = 6, count = G_N_ELEMENTS(insns);
    g_autoptr(Rig) rig = rig_new(&trusted);
    uint32_t entry[17] = { 0 };
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    memset(&entry[1], 0xff, 64);
    rig_create(rig, ARRAY, 4, 64, 1, 0);
    g_assert_cmpuint(rig_error_of(rig, rig_entries(XDP_OP_UPDATE, 0, 0, 1,
                                                   entry,
                                                   sizeof(entry))), ==, 0);
    answer = rig_ask(rig, rig_program(insns + loop, count - loop));
    rig_assert_good(&answer);
    g_assert_true(rig_passes(rig));
    answer = rig_ask(rig, rig_program(insns, count));
    g_assert_cmpuint(answer.error, ==, EINVAL);
    g_assert_true(rig_passes(rig));
}

/* It is answered, and the stream goes on. */
static void test_unknown(void)
{
    static const XdpWireMessage stats = { .op = XDP_OP_STATS };
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    g_autoptr(GByteArray) frame = xdp_wire_encode(&stats);

    if (!rig) {
        return;
    }
    frame->data[6] = XDP_OP_END;
    g_assert_cmpint(send(rig->socket, frame->data, frame->len, 0), ==,
                    frame->len);
    g_assert_cmpint(rig_receive(rig, rig->frame, sizeof(rig->frame)), ==,
                    XDP_WIRE_HEADER + 4);
    g_assert_cmphex(rig->frame[6] | rig->frame[7] << 8, ==,
                    XDP_OP_END | XDP_WIRE_ANSWER);
    g_assert_cmpuint(rig->frame[XDP_WIRE_HEADER], ==, EOPNOTSUPP);
    g_assert_cmpuint(rig_error_of(rig, stats), ==, 0);
}

/* Where the verifier's text is longer than its buffer, its reason is there. */
static void test_long_log(void)
{
    const struct bpf_insn insns[] = {
        insn(INSN_SET, 6, 0, 0, 2000),
        insn(INSN_ADD_CONST, 6, 0, 0, -1),
        insn(INSN_IF_NOT_EQUAL, 6, 0, -2, 0),
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_VALUE, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(INSN_LOAD32, 0, 1, 4, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    XdpWireMessage answer;

    if (!rig) {
        return;
    }
    rig_create(rig, ARRAY, 4, 4, 1, 0);
    answer = rig_ask(rig, rig_program(insns, G_N_ELEMENTS(insns)));
    g_assert_cmpuint(answer.error, ==, EACCES);
    g_assert_true(g_strstr_len((const char *)answer.data, answer.len,
                               "invalid access to map value") ||
                  g_strstr_len((const char *)answer.data, answer.len,
                               "the verifier's reason is behind too much"));
}

/* Who has too many programs loaded waits; maps and packets do not. */
static void test_storm(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    struct bpf_insn insns[2];
    unsigned i, slow = 0;

    if (!rig) {
        return;
    }
    for (i = 0; i < 1000; i++) {
        gint64 begun = g_get_monotonic_time();
        XdpWireMessage answer = rig_ask(rig, rig_always(XDP_DROP, insns));

        if (answer.error) {
            g_assert_cmpuint(answer.error, ==, EBUSY);
            g_assert_false(rig_passes(rig));
            return;
        }
        slow += g_get_monotonic_time() - begun > STORM_US;
        if (slow > 200) {
            g_test_skip("this machine is too busy for a storm");
            return;
        }
    }
    g_assert_not_reached();
}

/* Requests with some bytes changed, and bytes that are none. */
static void test_random(void)
{
    g_autoptr(Rig) rig = rig_new(&(RigStart) { 0 });
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    unsigned i, n, first, ended = 0;

    if (!rig) {
        return;
    }
    g_test_message("seed %u", seed);
    rig_create(rig, HASH, 4, 4, 8, 0);
    for (i = 0; i < 400; i++) {
        uint32_t entry[64];
        XdpWireMessage m = rig_entries(g_rand_int_range(rand, XDP_OP_LOOKUP,
                                                        XDP_OP_STATS),
                                       0, 0, g_rand_int_range(rand, 0, 9),
                                       entry, 8 * g_rand_int_range(rand, 0, 9));
        g_autoptr(GByteArray) frame = NULL;

        for (n = 0; n < G_N_ELEMENTS(entry); n++) {
            entry[n] = g_rand_int_range(rand, 0, 20);
        }
        frame = xdp_wire_encode(&m);
        /* What is wrong in the header ends the helper, which takes time. */
        first = g_rand_int_range(rand, 0, 16) ? XDP_WIRE_HEADER : 0;
        for (n = g_rand_int_range(rand, 0, 4); n; n--) {
            frame->data[g_rand_int_range(rand, first, frame->len)] =
                g_rand_int(rand);
        }
        send(rig->socket, frame->data, frame->len, MSG_NOSIGNAL);
        if (rig_receive(rig, rig->frame, sizeof(rig->frame)) <= 0) {
            rig_hang_up(rig);
            rig_begin(rig, &(RigStart) { 0 });
            rig_greet(rig);
            rig_error_of(rig, rig_map(HASH, 4, 4, 8, 0));
            ended++;
        }
    }
    g_test_message("%u of %u were no frames", ended, i);
    g_assert_true(rig_passes(rig));
}

typedef struct Refusal {
    const char *name;
    RigStart start;
    const char *text;
} Refusal;

static const Refusal refusals[] = {
    { "no-descriptor", { .no_fd = true }, "no descriptor of a tap" },
    { "no-tap", { .no_tap = true }, "the descriptor is none of a tap" },
    { "other-namespace", { .other_namespace = true },
      "is in another network namespace" },
    { "magic", { .magic = "xdp 0" }, "not a request that this helper knows" },
    { "flag", { .flags = 1 << 3 }, "not a request that this helper knows" },
    { "name", { .name = "net0\n" }, "not a request that this helper knows" },
    { "trusted", { .flags = XDP_HELPER_TRUSTED }, "\"trusted\" is not"
      " allowed" },
};

static void test_refuses(const void *data)
{
    const Refusal *refusal = data;
    g_autoptr(Rig) rig = rig_of(&refusal->start);
    char byte;

    if (!rig) {
        return;
    }
    if (!strstr(rig->text, refusal->text)) {
        g_error("'%s' is not in '%s'", refusal->text, rig->text);
    }
    g_assert_cmpint(rig_receive(rig, &byte, 1), ==, 0);
    g_assert_true(rig_passes(rig));
}

/* Arithmetic with pointers takes CAP_PERFMON. */
static void test_trusted(void)
{
    const struct bpf_insn difference[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(BPF_ALU64 | BPF_SUB | BPF_X, 3, 2, 0, 0),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(BPF_JMP | BPF_JGT | BPF_K, 3, 0, 1, 50),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const RigStart starts[] = { trusted, { 0 } };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_autoptr(Rig) rig = rig_new(&starts[i]);
        XdpWireMessage answer;

        if (!rig) {
            return;
        }
        answer = rig_ask(rig, rig_program(difference,
                                          G_N_ELEMENTS(difference)));
        if (starts[i].option) {
            rig_assert_good(&answer);
            g_assert_false(rig_passes(rig));
        } else {
            g_assert_cmpuint(answer.error, ==, EACCES);
            g_assert_nonnull(g_strstr_len((const char *)answer.data,
                                          answer.len, RIG_TRUST));
            g_assert_true(rig_passes(rig));
        }
    }
}

static const RigStart best, filter = { .option = "--cls-bpf" };

static void add(const char *name, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/tap/xdp-helper/%s", name);
    g_autofree char *path_filter = g_strdup_printf("%s/cls-bpf", path);

    g_test_add_data_func(path, &best, test);
    g_test_add_data_func(path_filter, &filter, test);
}

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    rig_init();
    seed = g_test_rand_int();
    add("verdicts", test_verdicts);
    add("replace", test_replace);
    add("spilled", test_spilled);
    add("idle", test_idle);
    add("killed", test_killed);
    add("hung-up", test_hung_up);
    g_test_add_data_func("/tap/xdp-helper/lease/cls-bpf", &filter, test_lease);
    g_test_add_func("/tap/xdp-helper/maps", test_maps);
    g_test_add_func("/tap/xdp-helper/limits", test_limits);
    g_test_add_func("/tap/xdp-helper/entries", test_entries);
    g_test_add_func("/tap/xdp-helper/kinds", test_kinds);
    g_test_add_func("/tap/xdp-helper/forged", test_forged);
    g_test_add_func("/tap/xdp-helper/loop", test_loop);
    g_test_add_func("/tap/xdp-helper/unknown", test_unknown);
    g_test_add_func("/tap/xdp-helper/long-log", test_long_log);
    g_test_add_func("/tap/xdp-helper/storm", test_storm);
    g_test_add_func("/tap/xdp-helper/random", test_random);
    g_test_add_func("/tap/xdp-helper/trusted", test_trusted);
    for (i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strdup_printf("/tap/xdp-helper/refuses/%s",
                                                refusals[i].name);

        g_test_add_data_func(path, &refusals[i], test_refuses);
    }
    return g_test_run();
}
