/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XDP programs, natively and translated for tc, on the same frames: the same
 * verdict, the same bytes, and the same in their maps at the end; and packets
 * are counted by what became of them.
 *
 * XDP_OBJECTS is the folder of the objects that tests/bpf/xdp is compiled to.
 * Those of Debian's xdp-tools take part where they are installed. An argument
 * is how many frames each program gets.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/insn.h"
#include "limit.h"
#include "packet.h"
#include "random_packet.h"
#include "xdp_pair.h"

enum {
    FRAMES = 2000,              /* for each program */
    STRICT_PART = 4,            /* as many the same without CAP_PERFMON */
    OBJECTS = 15,               /* of the corpus, with xdp-tools */
    ENTRIES = 16,               /* that each map gets before */
    ENTRY_EACH = 8,             /* of so many frames one is about to match */
    MAX_CPUS = 4096,
    LOG_SHOWN = 2000,           /* bytes */
    NOT_RUN = -1000,            /* no verdict */
};

/*
 * Programs that are accepted without CAP_PERFMON on each kernel. Those that
 * make a key of parts of the stack are not, on 6.1.
 */
static const char *const strict[] = {
    "drop_port", "count_protocols", "swap", "reflect", "verdicts", "where",
};

/* Where headers have what is the key of a map. */
static const struct {
    unsigned at, len;
} fields[] = {
    { 0, 6 }, { 6, 6 },                     /* MAC addresses */
    { 26, 4 }, { 30, 4 },                   /* IPv4 addresses */
    { 22, 16 }, { 38, 16 },                 /* IPv6 addresses */
    { 34, 2 }, { 36, 2 },                   /* ports, behind IPv4 */
    { 54, 2 }, { 56, 2 },                   /* and behind IPv6 */
};

static unsigned frames;         /* for each program */
static unsigned objects;        /* found */

static int quiet(enum libbpf_print_level level, const char *format,
                 va_list args)
{
    return 0;
}

static GArray *translate(XdpPair *p, GError **error)
{
    g_autoptr(GArray) insns = xdp_pair_insns(p);

    return xdp_pair_translate(p, insns, error);
}

/* Bytes that the kernel reads or writes where it is given a value. */
static size_t values_size(const struct bpf_map *map)
{
    return ((size_t)bpf_map__value_size(map) + 7) / 8 * 8 *
           libbpf_num_possible_cpus();
}

/* A value of random bytes, of all processors where there is one of each. */
static uint8_t *random_value(const struct bpf_map *map, GRand *rand)
{
    size_t size = values_size(map), i;
    uint8_t *value = g_malloc(size);

    for (i = 0; i < size; i++) {
        value[i] = g_rand_int(rand);
    }
    return value;
}

/* Puts the same entries into both maps. */
static void fill_map(struct bpf_map *a, struct bpf_map *b, GRand *rand)
{
    unsigned key_size = bpf_map__key_size(a), i;
    g_autofree uint8_t *key = g_malloc0(MAX(key_size, 4));
    const char *name = bpf_map__name(a);

    if (strchr(name, '.')) {
        return;         /* global data has its values */
    }
    for (i = 0; i < ENTRIES; i++) {
        g_autofree uint8_t *value = random_value(a, rand);

        memset(key, 0, key_size);
        memcpy(key, &i, MIN(key_size, 4));
        if (bpf_map__type(a) == BPF_MAP_TYPE_LPM_TRIE) {
            uint32_t len = g_rand_int_range(rand, 0, 5);

            memcpy(key, &len, 4);
            key[4] = g_rand_int(rand);
        }
        bpf_map_update_elem(bpf_map__fd(a), key, value, 0);
        bpf_map_update_elem(bpf_map__fd(b), key, value, 0);
    }
}

/*
 * The bytes of one of the fields; a large array has ports as its keys. False:
 * the map has none of them, or may forget (LRU) what the other one does not.
 */
static bool key_of_frame(const struct bpf_map *map, const GByteArray *frame,
                         GRand *rand, uint8_t *key)
{
    unsigned n = g_rand_int_range(rand, 0, G_N_ELEMENTS(fields));
    bool large = bpf_map__max_entries(map) > UINT16_MAX;
    unsigned wanted = large ? 2 : bpf_map__key_size(map);

    if (bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH ||
        fields[n].len != wanted || fields[n].at + wanted > frame->len) {
        return false;
    }
    memcpy(key, frame->data + fields[n].at, wanted);
    return true;
}

/* Both may get an entry that is about this frame. */
static void add_entries(XdpPair *p, const GByteArray *frame, GRand *rand)
{
    struct bpf_map *a = NULL, *b = NULL;

    while ((a = bpf_object__next_map(p->object, a)) != NULL) {
        uint8_t key[512] = { 0 };

        b = bpf_object__next_map(p->twin, b);
        if (key_of_frame(a, frame, rand, key)) {
            g_autofree uint8_t *value = random_value(a, rand);

            g_assert_cmpint(bpf_map_update_elem(bpf_map__fd(a), key, value, 0),
                            ==,
                            bpf_map_update_elem(bpf_map__fd(b), key, value,
                                                0));
        }
    }
}

static void for_maps(XdpPair *p, GRand *rand,
                     void (*what)(struct bpf_map *, struct bpf_map *,
                                  GRand *))
{
    struct bpf_map *a = NULL, *b = NULL;

    while ((a = bpf_object__next_map(p->object, a)) != NULL) {
        b = bpf_object__next_map(p->twin, b);
        what(a, b, rand);
    }
}

static void compare_map(struct bpf_map *a, struct bpf_map *b, GRand *rand)
{
    unsigned key_size = bpf_map__key_size(a);
    size_t size = values_size(a);
    g_autofree uint8_t *key = g_malloc0(key_size), *next = NULL;
    g_autofree uint8_t *x = g_malloc0(size), *y = g_malloc0(size);
    void *from = NULL;

    next = g_malloc0(key_size);
    while (bpf_map_get_next_key(bpf_map__fd(a), from, next) == 0) {
        memcpy(key, next, key_size);
        from = key;
        if (bpf_map_lookup_elem(bpf_map__fd(a), key, x) == 0) {
            g_assert_cmpint(bpf_map_lookup_elem(bpf_map__fd(b), key, y), ==,
                            0);
            g_assert_cmpmem(x, size, y, size);
        }
    }
}

/* What tc must say where XDP says @verdict. */
static int as_tc(uint32_t verdict)
{
    switch (verdict) {
    case XDP_PASS:
        return TC_ACT_UNSPEC;
    case XDP_TX:
        return TC_ACT_REDIRECT;
    default:
        return TC_ACT_SHOT;
    }
}

/*
 * Runs a program; @out receives the frame afterwards. NOT_RUN: newer kernels
 * run no tc program on what has the EtherType of IP and is too short for it.
 */
static int run(int fd, const GByteArray *frame, unsigned gso_size,
               GByteArray *out)
{
    struct __sk_buff skb = { .gso_size = gso_size, .gso_segs = 2 };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data,
                .data_size_in = frame->len, .data_out = out->data,
                .data_size_out = XDP_ROOM, .repeat = 1);

    g_byte_array_set_size(out, XDP_ROOM);
    opts.data_out = out->data;
    if (gso_size) {
        opts.ctx_in = &skb;
        opts.ctx_size_in = sizeof(skb);
    }
    if (bpf_prog_test_run_opts(fd, &opts) < 0) {
        g_assert_cmpint(errno, ==, EINVAL);
        return NOT_RUN;
    }
    g_byte_array_set_size(out, opts.data_size_out);
    return opts.retval;
}

/* @native: as the guest sees @frame */
static int compare_frame(XdpPair *p, const char *recipe,
                         const GByteArray *native, const GByteArray *frame)
{
    g_autoptr(GByteArray) a = g_byte_array_new(), b = g_byte_array_new();
    int verdict, tc = run(p->tc_fd, frame, p->gso_size, b);
    g_autofree char *x = NULL, *y = NULL, *in = NULL;

    if (tc == NOT_RUN) {
        return tc;
    }
    verdict = run(bpf_program__fd(p->program), native, 0, a);
    if (tc == as_tc(verdict) &&
        (tc == TC_ACT_SHOT ||
         (a->len == b->len && !memcmp(a->data, b->data, a->len)))) {
        return tc;
    }
    in = packet_hex(native->data, native->len);
    x = packet_hex(a->data, a->len);
    y = packet_hex(b->data, b->len);
    g_error("%s, frame %s\n%s\nXDP says %d, tc %d, and they make of it\n%s\n"
            "%s", p->name, recipe, in, verdict, tc, x, y);
}

/* On so many frames; how many of each verdict there were is in the output. */
static void compare(XdpPair *p, unsigned n_frames)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    uint64_t before[XDP_UNEXAMINED + 1];
    unsigned count[3] = { 0 }, i;       /* XDP_PASSED, _DROPPED, _SENT */

    for_maps(p, rand, fill_map);
    for (i = 0; i < G_N_ELEMENTS(before); i++) {
        before[i] = xdp_pair_counted(p, i);
    }
    for (i = 0; i < n_frames; i++) {
        g_autoptr(RandomPacket) packet = random_packet(rand, BPF_RUN_MAX);

        if (packet->frame->len < 14) {
            continue;           /* the kernel runs nothing on less */
        }
        if (i % ENTRY_EACH == 0) {
            add_entries(p, packet->frame, rand);
        }
        switch (compare_frame(p, packet->recipe, packet->frame,
                              packet->frame)) {
        case TC_ACT_UNSPEC:
            count[0]++;
            break;
        case TC_ACT_SHOT:
            count[1]++;
            break;
        case TC_ACT_REDIRECT:
            count[2]++;
        }
    }
    g_assert_cmpuint(count[0] + count[1] + count[2], >, n_frames / 2);
    for_maps(p, rand, compare_map);
    for (i = 0; i < G_N_ELEMENTS(before); i++) {
        g_assert_cmpuint(xdp_pair_counted(p, i) - before[i], ==,
                         i < XDP_UNEXAMINED ? count[i] : 0);
    }
    g_test_message("| %-16s pass %5u, drop %5u, tx %5u", p->name, count[0],
                   count[1], count[2]);
}

/* Without or with what CAP_PERFMON allows. */
static void set_perfmon(bool on)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    uint64_t bits = 1ull << 38 | 1ull << CAP_SYS_ADMIN;     /* 38: PERFMON */
    unsigned i;

    g_assert_cmpint(syscall(SYS_capget, &header, data), ==, 0);
    for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = bits >> (32 * i);

        data[i].effective = on ? data[i].permitted
                               : data[i].effective & ~half;
    }
    g_assert_cmpint(syscall(SYS_capset, &header, data), ==, 0);
}

static bool must_be_accepted(const char *name)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(strict); i++) {
        if (!strcmp(strict[i], name)) {
            return true;
        }
    }
    return false;
}

/*
 * Whether this kernel lets a program look into a packet at all without
 * CAP_PERFMON: 5.10 allows no comparison with the packet's end.
 */
static bool strict_compares(void)
{
    const struct bpf_insn insns[] = {
        insn(INSN_LOAD32, BPF_REG_2, BPF_REG_1,
             offsetof(struct __sk_buff, data), 0),
        insn(INSN_LOAD32, BPF_REG_3, BPF_REG_1,
             offsetof(struct __sk_buff, data_end), 0),
        insn(INSN_SET, BPF_REG_0, 0, 0, 0),
        insn(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_3, 1, 0),
        insn(INSN_SET, BPF_REG_0, 0, 0, 1),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    int fd;

    set_perfmon(false);
    fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "compares", "GPL", insns,
                       G_N_ELEMENTS(insns), NULL);
    set_perfmon(true);
    if (fd < 0) {
        g_assert_cmpint(errno, ==, EACCES);
        return false;
    }
    close(fd);
    return true;
}

/* As the host takes it from a guest that it does not trust. */
static void try_strict(XdpPair *p)
{
    g_autofree char *log = g_malloc(XDP_LOG_SIZE);
    g_autoptr(GArray) insns = NULL;

    p->how.trusted = false;
    insns = translate(p, NULL);
    g_assert_nonnull(insns);
    set_perfmon(false);
    p->tc_fd = xdp_load_tc(insns, log);
    set_perfmon(true);
    if (p->tc_fd >= 0) {
        compare(p, frames / STRICT_PART);
        close(p->tc_fd);
    } else if (must_be_accepted(p->name) && strict_compares()) {
        g_error("%s is refused without CAP_PERFMON: %s", p->name,
                log + MAX((int)strlen(log) - LOG_SHOWN, 0));
    }
}

/* Translates and loads it, behind @n instructions of the test. */
static void pair_load(XdpPair *p, const struct bpf_insn *before, size_t n)
{
    g_autofree char *log = g_malloc(XDP_LOG_SIZE);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) insns = translate(p, &error);

    g_assert_no_error(error);
    if (n) {
        g_array_prepend_vals(insns, before, n);
    }
    p->tc_fd = xdp_load_tc(insns, log);
    if (p->tc_fd < 0) {
        g_error("%s: %s: %s", p->name, g_strerror(-p->tc_fd),
                log + MAX((int)strlen(log) - LOG_SHOWN, 0));
    }
}

static void test_program(gconstpointer where)
{
    XdpPair p;

    if (xdp_pair_open(&p, where)) {
        pair_load(&p, NULL, 0);
        compare(&p, frames);
        close(p.tc_fd);
        try_strict(&p);
        xdp_pair_close(&p);
    }
}

/* Where the budget does not last, the guest gets the packet, or nobody. */
static void test_budget(void)
{
    static const struct {
        const char *object, *program;
        unsigned budget;
        int verdict;
    } rows[] = {
        { "parse", "always", 1, TC_ACT_UNSPEC },
        { "parse", "always", 300, TC_ACT_UNSPEC },
        { "parse", "always", XDP_BUDGET, TC_ACT_SHOT },
        { "functions", "within", 1, TC_ACT_UNSPEC },
        { "functions", "within", 100, TC_ACT_UNSPEC },
        { "functions", "within", XDP_BUDGET, TC_ACT_SHOT },
        { "change", "blank", 1, TC_ACT_SHOT },
        { "change", "blank", XDP_BUDGET, TC_ACT_REDIRECT },
    };
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:300",
                                               &packet_flow);
    g_autoptr(GByteArray) out = g_byte_array_new();
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *where = xdp_object(rows[i].object, rows[i].program);
        XdpPair p;

        if (!xdp_pair_open(&p, where)) {
            return;
        }
        p.how.budget = rows[i].budget;
        pair_load(&p, NULL, 0);
        g_test_message("%s, budget %u", rows[i].program, rows[i].budget);
        g_assert_cmpint(run(p.tc_fd, frame, 0, out), ==, rows[i].verdict);
        close(p.tc_fd);
        xdp_pair_close(&p);
    }
}

/* Calls csum_diff() for what two registers point at, or 0 is NULL. */
#define CHECKSUM(from, from_len, to, to_len) \
    insn(from ? INSN_MOVE : INSN_SET, 1, from, 0, 0), \
    insn(INSN_SET, 2, 0, 0, from_len), \
    insn(to ? INSN_MOVE : INSN_SET, 3, to, 0, 0), \
    insn(INSN_SET, 4, 0, 0, to_len), insn(INSN_SET, 5, 0, 0, 0), \
    insn(INSN_CALL, 0, 0, 0, BPF_FUNC_csum_diff)

/* Refused also where the kernel's own XDP would go through all of the bytes. */
static void test_long_checksum(void)
{
    const struct bpf_insn program[] = {
        insn(INSN_LOAD32, 6, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 7, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_MOVE, 8, 6, 0, 0),
        insn(INSN_ADD_CONST, 8, 0, 0, 600),
        insn(BPF_JMP | BPF_JGT | BPF_X, 8, 7, 23, 0),
        CHECKSUM(0, 0, 6, 512),
        insn(BPF_JMP | BPF_JSLT | BPF_K, 0, 0, 16, 0),
        CHECKSUM(0, 0, 6, 516),
        insn(INSN_IF_NOT_EQUAL, 0, 0, 9, -EINVAL),
        CHECKSUM(6, 516, 0, 0),
        insn(INSN_IF_NOT_EQUAL, 0, 0, 2, -EINVAL),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    const XdpTarget how = { .tap_ifindex = 1, .trusted = true };
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:700",
                                               &packet_flow);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree char *log = g_malloc(XDP_LOG_SIZE);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) insns = xdp_translate(program, G_N_ELEMENTS(program),
                                            &how, &error);
    int fd;

    g_assert_no_error(error);
    fd = xdp_load_tc(insns, log);
    g_test_message("%s", log);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(run(fd, frame, 0, out), ==, TC_ACT_SHOT);
    close(fd);
}

typedef struct TagRow {
    const char *object, *program, *recipe;
    bool examined;
} TagRow;

static const TagRow tag_rows[] = {
    { "change", "swap", "eth ip4 udp", true },
    { "parse", "tags", "eth ip4 udp", true },
    { "parse", "tags", "eth ip6 hop tcp raw:1000", true },
    { "change", "shorten", "eth ip4 udp raw:500", true },
    { "change", "trim", "eth ip4 udp raw:500", true },
    { "parse", "tags", "eth vlan ip4 udp", false },
};

static void check_tag(const TagRow *row, uint16_t ethertype)
{
    g_autofree char *where = xdp_object(row->object, row->program);
    g_autoptr(GByteArray) frame = packet_build(row->recipe, &packet_flow);
    g_autoptr(GByteArray) tagged = g_byte_array_new();
    uint16_t tci = 0xa123;
    const struct bpf_insn push[] = {
        insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0),
        insn(INSN_SET, BPF_REG_2, 0, 0, GUINT16_TO_BE(ethertype)),
        insn(INSN_SET, BPF_REG_3, 0, 0, tci),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_vlan_push),
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
    };
    const uint8_t tag[] = { ethertype >> 8, ethertype & 0xff, tci >> 8,
                            tci & 0xff };
    XdpPair p;

    if (!xdp_pair_open(&p, where)) {
        return;
    }
    g_byte_array_append(tagged, frame->data, 12);
    g_byte_array_append(tagged, tag, sizeof(tag));
    g_byte_array_append(tagged, frame->data + 12, frame->len - 12);
    pair_load(&p, push, G_N_ELEMENTS(push));
    if (row->examined) {
        compare_frame(&p, row->recipe, tagged, frame);
        p.gso_size = 1000;
    }
    /* GSO, or a second tag: it is left to the guest. */
    g_assert_cmpint(run(p.tc_fd, frame, p.gso_size, tagged), ==,
                    TC_ACT_UNSPEC);
    close(p.tc_fd);
    xdp_pair_close(&p);
}

/* A tag beside the frame is in the frame that the program sees. */
static void test_tag(gconstpointer row)
{
    check_tag(row, 0x8100);
    check_tag(row, 0x88a8);
}

static void add_tag_rows(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tag_rows); i++) {
        g_autofree char *test = g_strdup_printf("/xdp/tag/%s/%s",
                                                tag_rows[i].program,
                                                tag_rows[i].recipe);

        g_test_add_data_func(test, &tag_rows[i], test_tag);
    }
}

static void test_gso(void)
{
    g_autofree char *where = xdp_object("change", "swap");
    g_autoptr(GByteArray) frame = packet_build("eth ip4 tcp raw:2500",
                                               &packet_flow);
    g_autoptr(GByteArray) out = g_byte_array_new();
    XdpPair p;

    if (!xdp_pair_open(&p, where)) {
        return;
    }
    p.gso_size = 1000;
    pair_load(&p, NULL, 0);
    g_assert_cmpint(compare_frame(&p, "GSO", frame, frame), ==,
                    TC_ACT_REDIRECT);
    close(p.tc_fd);
    p.how.gso_pass = true;
    pair_load(&p, NULL, 0);
    g_assert_cmpint(run(p.tc_fd, frame, p.gso_size, out), ==, TC_ACT_UNSPEC);
    g_assert_cmpint(run(p.tc_fd, frame, 0, out), ==, TC_ACT_REDIRECT);
    close(p.tc_fd);
    xdp_pair_close(&p);
}

/* As it is for a devmap; or as XDP, which alone the kernel runs by hand. */
static int load_devmap(const GArray *insns, bool by_hand)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts,
                .expected_attach_type = by_hand ? 0 : BPF_XDP_DEVMAP);

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "translated", "GPL",
                         (const struct bpf_insn *)(const void *)insns->data,
                         insns->len, &opts);
}

/* In a devmap: what XDP says of it there, and DROP and PASS only. */
static void test_devmap(void)
{
    static const struct {
        const char *object, *program;
        unsigned budget;
        int verdicts[7];        /* by the last byte of the port */
    } rows[] = {
        { "filter", "verdicts", XDP_BUDGET,
          { XDP_DROP, XDP_DROP, XDP_PASS, XDP_PASS, XDP_DROP, XDP_DROP,
            XDP_DROP } },
        { "functions", "within", XDP_BUDGET, { XDP_DROP } },
        { "functions", "within", 100, { XDP_PASS } },
        { "functions", "within", 1, { XDP_PASS } },
        { "parse", "always", XDP_BUDGET, { XDP_DROP } },
        { "parse", "always", 300, { XDP_PASS } },
        { "parse", "always", 1, { XDP_PASS } },
    };
    int budget_fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "budget", 4, 4,
                                   1, NULL);
    size_t i, port;

    g_assert_cmpint(budget_fd, >=, 0);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *where = xdp_object(rows[i].object, rows[i].program);
        g_autoptr(GArray) insns = NULL;
        g_autoptr(GError) error = NULL;
        XdpPair p;
        int fd;

        if (!xdp_pair_open(&p, where)) {
            break;
        }
        p.how.hook = XDP_HOOK_DEVMAP;
        p.how.budget = rows[i].budget;
        p.how.budget_fd = budget_fd;
        insns = translate(&p, &error);
        g_assert_no_error(error);
        fd = load_devmap(insns, false);
        g_assert_cmpint(fd, >=, 0);
        close(fd);

        fd = load_devmap(insns, true);
        g_assert_cmpint(fd, >=, 0);
        g_test_message("%s, budget %u", rows[i].program, rows[i].budget);
        for (port = 0; port < G_N_ELEMENTS(rows[i].verdicts) &&
                       (!port || rows[i].verdicts[port]); port++) {
            g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:300",
                                                       &packet_flow);
            g_autoptr(GByteArray) out = g_byte_array_new();

            frame->data[37] = port;
            g_assert_cmpint(run(fd, frame, 0, out), ==,
                            rows[i].verdicts[port]);
        }
        close(fd);
        xdp_pair_close(&p);
    }
    close(budget_fd);
}

/* A test for each program in each object of @folder that is named so. */
static void add_folder(const char *folder, const char *begin, const char *end)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct bpf_object *object = NULL;
        struct bpf_program *program;

        if (g_str_has_prefix(name, begin) && g_str_has_suffix(name, end)) {
            object = bpf_object__open_file(path, NULL);
        }
        if (!object) {
            continue;
        }
        objects++;
        bpf_object__for_each_program(program, object) {
            const char *what = bpf_program__name(program);
            g_autofree char *test = g_strdup_printf("/xdp/%.*s/%s",
                                                    (int)strcspn(name, "."),
                                                    name, what);

            g_test_add_data_func_full(test,
                                      g_strdup_printf("%s:%s", path, what),
                                      test_program, g_free);
        }
        bpf_object__close(object);
    }
    if (dir) {
        g_dir_close(dir);
    }
}

/* If not, the test is skipped and must return. */
static bool have_xdp_tools(void)
{
    bool have = g_file_test(XDP_TOOLS_OBJECTS "/xdpfilt_alw_all.o",
                            G_FILE_TEST_EXISTS);

    if (!have) {
        g_test_skip("xdp-tools are not installed");
    }
    return have;
}

/* Programs of xdp-tools that take what a guest does not get. */
static void test_refused(void)
{
    static const struct {
        const char *program, *why;
    } rows[] = {
        { "xsk_def_xdp_prog.o:xsk_def_prog", "helper 51 is not supported" },
        { "xdpdump_xdp.o:xdpdump", "helper 25 is not supported" },
    };
    size_t i;

    if (!have_xdp_tools()) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *where = g_strdup_printf("%s/%s",
                                                XDP_TOOLS_OBJECTS,
                                                rows[i].program);
        g_autoptr(GError) error = NULL;
        XdpPair p;

        if (!xdp_pair_open(&p, where)) {
            return;
        }
        g_assert_null(translate(&p, &error));
        g_assert_nonnull(strstr(error->message, rows[i].why));
        xdp_pair_close(&p);
    }
}

/* So that it is seen where no program was run without CAP_PERFMON. */
static void test_strict(void)
{
    if (!strict_compares()) {
        g_test_skip("without CAP_PERFMON this kernel takes no program that "
                    "looks into packets");
    }
}

static void test_corpus(void)
{
    if (have_xdp_tools()) {
        g_assert_cmpuint(objects, >=, OBJECTS);
    }
}

static void test_objects(void)
{
    if (bpf_run_allowed()) {
        g_assert_nonnull(g_getenv("XDP_OBJECTS"));
    }
}

/* Counters of one processor only. */
static void stay_here(void)
{
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS);

    CPU_ZERO_S(CPU_ALLOC_SIZE(MAX_CPUS), set);
    CPU_SET_S(sched_getcpu(), CPU_ALLOC_SIZE(MAX_CPUS), set);
    sched_setaffinity(0, CPU_ALLOC_SIZE(MAX_CPUS), set);
    CPU_FREE(set);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    frames = argc > 1 ? strtoul(argv[1], NULL, 10) : limit_part(FRAMES);
    libbpf_set_print(quiet);
    stay_here();
    g_test_add_func("/xdp/objects", test_objects);
    if (!bpf_run_refusal() && g_getenv("XDP_OBJECTS")) {
        g_test_add_func("/xdp/budget", test_budget);
        g_test_add_func("/xdp/long-checksum", test_long_checksum);
        add_tag_rows();
        g_test_add_func("/xdp/gso", test_gso);
        g_test_add_func("/xdp/strict", test_strict);
        g_test_add_func("/xdp/devmap", test_devmap);
        add_folder(g_getenv("XDP_OBJECTS"), "", ".bpf.o");
        add_folder(XDP_TOOLS_OBJECTS, "xdpfilt_", ".o");
        add_folder(XDP_TOOLS_OBJECTS, "xdp-", ".o");
        g_test_add_func("/xdp/corpus", test_corpus);
        g_test_add_func("/xdp/refused", test_refused);
    }
    return g_test_run();
}
