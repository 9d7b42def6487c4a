/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The longest that a guest's XDP program can take for a packet
 *
 * Each row is a program that does one thing as often as it may: first as many
 * times as the translation accepts without a loop, then in a loop until the
 * budget is used up.  What it takes is measured by BPF_PROG_TEST_RUN, with the
 * frame made anew for each run, as packets are.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/insn.h"
#include "packet.h"
#include "samples.h"
#include "xdp_pair.h"

enum {
    RUNS = 200,                 /* that a sample is the mean of */
    SKIP = 77,
    BODY = 8,                   /* instructions, at the most */
    TURNS = XDP_BUDGET / 32,    /* of the loop: no row costs less in one */
    ENTRIES = 256,
    PAYLOAD = BPF_RUN_MAX - 100,
    LPM_BITS = 8 * (XDP_MAX_LPM_KEY - 4),
    /* What the registers have. */
    CONTEXT = BPF_REG_6,
    BYTES = BPF_REG_7,          /* of the first map: XDP_MAX_VALUE */
    COUNT = BPF_REG_8,
    /* Maps. */
    SOURCE = 0,
    TESTED = 1,
};

/**
 * Row:
 * @body: is done again and again; where it begins with MAP_OF_ROW, that loads
 *        the map into r1
 * @type: of the row's map, or 0: it has none
 */
typedef struct Row {
    const char *name;
    struct bpf_insn body[BODY];
    enum bpf_map_type type;
    uint32_t key_size, value_size, flags;
} Row;

#define I(code, dst, src, off, imm) { code, dst, src, off, imm }
#define MAP_OF_ROW \
    I(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, TESTED), I(0, 0, 0, 0, 0)
#define CALL(helper) I(INSN_CALL, 0, 0, 0, BPF_FUNC_ ## helper)
#define LOOKUP { MAP_OF_ROW, I(INSN_MOVE, 2, BYTES, 0, 0), \
                 CALL(map_lookup_elem) }
#define UPDATE { MAP_OF_ROW, I(INSN_MOVE, 2, BYTES, 0, 0), \
                 I(INSN_MOVE, 3, BYTES, 0, 0), \
                 I(INSN_SET, 4, 0, 0, BPF_ANY), CALL(map_update_elem) }
#define HASH(type, flags) \
    BPF_MAP_TYPE_ ## type, XDP_MAX_KEY, XDP_MAX_VALUE, flags
#define TRIE BPF_MAP_TYPE_LPM_TRIE, XDP_MAX_LPM_KEY, 8, BPF_F_NO_PREALLOC

static const Row rows[] = {
    { "divide", { I(BPF_ALU64 | BPF_DIV | BPF_X, 0, COUNT, 0, 0) } },
    { "atomic", { I(BPF_STX | BPF_ATOMIC | BPF_DW, BYTES, COUNT, 8,
                    BPF_ADD) } },
    { "time", { CALL(ktime_get_ns) } },
    { "random number", { CALL(get_prandom_u32) } },
    { "checksum", { I(INSN_MOVE, 1, BYTES, 0, 0), I(INSN_SET, 2, 0, 0, 512),
                    I(INSN_MOVE, 3, BYTES, 0, 0), I(INSN_SET, 4, 0, 0, 512),
                    I(INSN_SET, 5, 0, 0, 0), CALL(csum_diff) } },
    { "long checksum", { I(INSN_MOVE, 1, BYTES, 0, 0),
                         I(INSN_SET, 2, 0, 0, XDP_MAX_VALUE),
                         I(INSN_MOVE, 3, BYTES, 0, 0),
                         I(INSN_SET, 4, 0, 0, XDP_MAX_VALUE),
                         I(INSN_SET, 5, 0, 0, 0), CALL(csum_diff) } },
    { "load bytes", { I(INSN_MOVE, 1, CONTEXT, 0, 0),
                      I(INSN_SET, 2, 0, 0, 0), I(INSN_MOVE, 3, BYTES, 0, 0),
                      I(INSN_SET, 4, 0, 0, PAYLOAD), CALL(xdp_load_bytes) } },
    { "store bytes", { I(INSN_MOVE, 1, CONTEXT, 0, 0),
                       I(INSN_SET, 2, 0, 0, 0), I(INSN_MOVE, 3, BYTES, 0, 0),
                       I(INSN_SET, 4, 0, 0, PAYLOAD),
                       CALL(xdp_store_bytes) } },
    { "head", { I(INSN_MOVE, 1, CONTEXT, 0, 0), I(INSN_SET, 2, 0, 0, -256),
                CALL(xdp_adjust_head) } },
    { "tail, shorter", { I(INSN_MOVE, 1, CONTEXT, 0, 0),
                         I(INSN_SET, 2, 0, 0, -1), CALL(xdp_adjust_tail) } },
    { "tail, longer", { I(INSN_MOVE, 1, CONTEXT, 0, 0),
                        I(INSN_SET, 2, 0, 0, 256), CALL(xdp_adjust_tail) } },
    { "array, lookup", LOOKUP, BPF_MAP_TYPE_ARRAY, 4, XDP_MAX_VALUE, 0 },
    { "array, update", UPDATE, BPF_MAP_TYPE_ARRAY, 4, XDP_MAX_VALUE, 0 },
    { "hash, small, lookup", LOOKUP, BPF_MAP_TYPE_HASH, 4, 8, 0 },
    { "hash, small, update", UPDATE, BPF_MAP_TYPE_HASH, 4, 8, 0 },
    { "hash, lookup", LOOKUP, HASH(HASH, 0) },
    { "hash, update", UPDATE, HASH(HASH, 0) },
    { "hash without memory of its own, update", UPDATE,
      HASH(HASH, BPF_F_NO_PREALLOC) },
    { "hash of each processor, update", UPDATE,
      BPF_MAP_TYPE_PERCPU_HASH, XDP_MAX_KEY, XDP_MAX_VALUE, 0 },
    { "LRU, update", UPDATE, HASH(LRU_HASH, 0) },
    { "LRU, small, update", UPDATE, BPF_MAP_TYPE_LRU_HASH, 4, 8, 0 },
    { "trie, lookup", LOOKUP, TRIE },
    { "trie, update", UPDATE, TRIE },
};

static int make_map(enum bpf_map_type type, uint32_t key_size,
                    uint32_t value_size, uint32_t entries, uint32_t flags)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
    int fd = bpf_map_create(type, "longest", key_size, value_size, entries,
                            &opts);

    if (fd < 0) {
        g_error("cannot make a map of type %d: %s", type, g_strerror(errno));
    }
    return fd;
}

static void put(int fd, const void *key, const void *value)
{
    if (bpf_map_update_elem(fd, key, value, BPF_ANY) < 0) {
        g_error("cannot fill a map: %s", g_strerror(errno));
    }
}

/* The bytes that are keys and values: as a trie's key, all of its bits. */
static int make_source(void)
{
    uint32_t bytes[XDP_MAX_VALUE / sizeof(uint32_t)] = { 0 }, zero = 0;
    int fd = make_map(BPF_MAP_TYPE_ARRAY, sizeof(zero), sizeof(bytes), 1, 0);

    bytes[0] = LPM_BITS;
    put(fd, &zero, bytes);
    return fd;
}

/* The row's map; a trie is as deep as it can be. */
static int make_tested(const Row *row)
{
    int fd = make_map(row->type, row->key_size, row->value_size, ENTRIES,
                      row->flags);
    uint32_t key[XDP_MAX_LPM_KEY / sizeof(uint32_t)] = { 0 };
    uint64_t value = 0;

    if (row->type == BPF_MAP_TYPE_LPM_TRIE) {
        for (; key[0] <= LPM_BITS; key[0]++) {
            put(fd, key, &value);
        }
    }
    return fd;
}

static void add_body(GArray *code, const Row *row)
{
    unsigned i;

    for (i = 0; i < BODY; i++) {
        const struct bpf_insn *one = &row->body[i];

        if (one->code || (i && row->body[i - 1].code == INSN_LOAD_CONST)) {
            g_array_append_val(code, *one);
        }
    }
}

/* The program that does it @times times before its loop. */
static GArray *make_program(const Row *row, unsigned times)
{
    const struct bpf_insn begin[] = {
        insn(INSN_MOVE, CONTEXT, 1, 0, 0),
        insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
        insn(INSN_LOAD_CONST, 1, BPF_PSEUDO_MAP_FD, 0, SOURCE),
        insn(0, 0, 0, 0, 0),
        insn(INSN_MOVE, 2, 10, 0, 0),
        insn(INSN_ADD_CONST, 2, 0, 0, -4),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
        insn(INSN_IF_NOT_EQUAL, 0, 0, 2, 0),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_EXIT, 0, 0, 0, 0),
        insn(INSN_MOVE, BYTES, 0, 0, 0),
        insn(INSN_SET, COUNT, 0, 0, 1),
        insn(INSN_SET, 0, 0, 0, -1),
    };
    GArray *code = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));
    struct bpf_insn end[] = {
        insn(INSN_ADD_CONST, COUNT, 0, 0, 1),
        insn(INSN_IF_AT_MOST, COUNT, 0, 0, TURNS),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };
    unsigned loop;

    g_array_append_vals(code, begin, G_N_ELEMENTS(begin));
    while (times--) {
        add_body(code, row);
    }
    loop = code->len;
    add_body(code, row);
    end[1].off = (int)loop - (int)(code->len + 2);
    g_array_append_vals(code, end, G_N_ELEMENTS(end));
    return code;
}

static GArray *translate(const Row *row, unsigned times,
                         const XdpTarget *target)
{
    g_autoptr(GArray) code = make_program(row, times);

    return xdp_translate((const struct bpf_insn *)(const void *)code->data,
                         code->len, target, NULL);
}

/* What the translation makes of the row, done as often as it accepts. */
static GArray *translate_most(const Row *row, const XdpTarget *target)
{
    GArray *most = NULL, *more = NULL;
    unsigned times = 0;

    while ((more = translate(row, times++, target))) {
        if (most) {
            g_array_free(most, TRUE);
        }
        most = more;
    }
    if (!most) {
        g_error("%s: refused even once", row->name);
    }
    return most;
}

static int load(const Row *row, const XdpTarget *target)
{
    g_autofree char *log = g_malloc(XDP_LOG_SIZE);
    g_autoptr(GArray) code = translate_most(row, target);
    int fd = xdp_load_tc(code, log);

    if (fd < 0) {
        fprintf(stderr, "%s: this kernel refuses it: %s\n", row->name,
                g_strerror(-fd));
    }
    return fd;
}

static void measure(const Row *row, XdpTarget *target, int rounds,
                    const GByteArray *frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data,
                .data_size_in = frame->len);
    g_autofree char *name = g_strdup_printf("longest/%s", row->name);
    const XdpMap maps[] = {
        [SOURCE] = { BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), XDP_MAX_VALUE,
                     make_source() },
        [TESTED] = { row->type, row->key_size, row->value_size,
                     row->type ? make_tested(row) : -1 },
    };
    Samples *samples = samples_new(name, "ns");
    int fd, run;

    target->maps = maps;
    target->n_maps = row->type ? 2 : 1;
    fd = load(row, target);
    while (fd >= 0 && rounds--) {
        double sum = 0;

        for (run = 0; run < RUNS; run++) {
            if (bpf_prog_test_run_opts(fd, &opts) < 0) {
                g_error("%s: cannot be run: %s", row->name,
                        g_strerror(errno));
            }
            sum += opts.duration;
        }
        samples_add(samples, sum / RUNS);
    }
    samples_print(samples);
    close(fd);
    close(maps[SOURCE].fd);
    close(maps[TESTED].fd);
}

int main(int argc, char **argv)
{
    XdpTarget target = {
        .hook = XDP_HOOK_TC, .tap_ifindex = 1, .guest_ifindex = 1,
        .budget = XDP_BUDGET, .rewrite = true, .trusted = true,
    };
    int rounds = argc > 1 ? atoi(argv[1]) : 12;
    const char *refusal = bpf_run_refusal();
    g_autofree char *recipe = g_strdup_printf("eth ip4 udp raw:%d", PAYLOAD);
    g_autoptr(GByteArray) frame = NULL;
    size_t i;

    if (refusal) {
        fprintf(stderr, "%s\n", refusal);
        return SKIP;
    }
    libbpf_set_print(NULL);
    frame = packet_build(recipe, &packet_flow);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        measure(&rows[i], &target, rounds, frame);
    }
    return 0;
}
