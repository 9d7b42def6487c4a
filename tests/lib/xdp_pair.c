/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "xdp_pair.h"

enum {
    LOOPBACK = 1,               /* where BPF_PROG_TEST_RUN has frames from */
    TAP = 77,                   /* any number */
};

char *xdp_object(const char *object, const char *program)
{
    return g_strdup_printf("%s/%s.bpf.o:%s", g_getenv("XDP_OBJECTS"), object,
                           program);
}

/* Opens a file and loads its program @name alone; NULL if that is refused. */
static struct bpf_object *load_object(const char *path, const char *name)
{
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    struct bpf_program *program;
    struct bpf_map *map;

    g_assert_nonnull(object);
    bpf_object__for_each_program(program, object) {
        bpf_program__set_autoload(program,
                                  !strcmp(bpf_program__name(program), name));
        bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
    }
    bpf_object__for_each_map(map, object) {
        bpf_map__set_pin_path(map, NULL);
    }
    if (bpf_object__load(object) < 0) {
        bpf_object__close(object);
        return NULL;
    }
    return object;
}

bool xdp_pair_open(XdpPair *p, const char *where)
{
    g_auto(GStrv) parts = g_strsplit(where, ":", 2);

    *p = (XdpPair) {
        .name = strchr(where, ':') + 1,
        .how = {
            .hook = XDP_HOOK_TC,
            .tap_ifindex = TAP,
            .guest_ifindex = LOOPBACK,
            .budget = XDP_BUDGET,
            .rewrite = true,
            .trusted = true,
        },
        .tc_fd = -1,
    };
    p->object = load_object(parts[0], parts[1]);
    if (!p->object) {
        g_test_skip("this kernel does not take the program as XDP either");
        return false;
    }
    p->twin = load_object(parts[0], parts[1]);
    g_assert_nonnull(p->twin);
    p->program = bpf_object__find_program_by_name(p->object, parts[1]);
    p->how.counters_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "counters", 4, 8,
                                        XDP_COUNTERS *
                                        libbpf_num_possible_cpus(), NULL);
    g_assert_cmpint(p->how.counters_fd, >=, 0);
    return true;
}

uint64_t xdp_pair_counted(const XdpPair *p, XdpCounter counter)
{
    uint64_t sum = 0;
    int cpu;

    for (cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
        uint32_t key = cpu * XDP_COUNTERS + counter;
        uint64_t count;

        g_assert_cmpint(bpf_map_lookup_elem(p->how.counters_fd, &key, &count),
                        ==, 0);
        sum += count;
    }
    return sum;
}

void xdp_pair_close(XdpPair *p)
{
    bpf_object__close(p->object);
    bpf_object__close(p->twin);
    close(p->how.counters_fd);
}

/* The number of the map whose descriptor is @fd. */
static int map_number(struct bpf_object *object, int fd)
{
    struct bpf_map *map;
    int number = 0;

    bpf_object__for_each_map(map, object) {
        if (bpf_map__fd(map) == fd) {
            return number;
        }
        number++;
    }
    g_assert_not_reached();
}

GArray *xdp_pair_insns(const XdpPair *p)
{
    GArray *insns = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));
    unsigned i;

    g_array_append_vals(insns, bpf_program__insns(p->program),
                        bpf_program__insn_cnt(p->program));
    for (i = 0; i < insns->len; i++) {
        struct bpf_insn *insn = &g_array_index(insns, struct bpf_insn, i);

        if (insn->code == (BPF_LD | BPF_IMM | BPF_DW)) {
            if (insn->src_reg) {
                insn->imm = map_number(p->object, insn->imm);
            }
            i++;
        }
    }
    return insns;
}

GArray *xdp_pair_translate(const XdpPair *p, GArray *insns, GError **error)
{
    g_autoptr(GArray) maps = g_array_new(FALSE, FALSE, sizeof(XdpMap));
    XdpTarget target = p->how;
    struct bpf_map *map;

    bpf_object__for_each_map(map, p->twin) {
        XdpMap one = {
            bpf_map__type(map), bpf_map__key_size(map),
            bpf_map__value_size(map), bpf_map__fd(map),
        };

        g_array_append_val(maps, one);
    }
    target.maps = (const XdpMap *)(const void *)maps->data;
    target.n_maps = maps->len;
    return xdp_translate((const struct bpf_insn *)(const void *)insns->data,
                         insns->len, &target, error);
}

int xdp_load_tc(GArray *insns, char *log)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log,
                .log_size = XDP_LOG_SIZE, .log_level = 1);
    LIBBPF_OPTS(bpf_prog_load_opts, without_log);
    const struct bpf_insn *first = (const void *)insns->data;
    int fd;

    *log = 0;
    fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "translated", "GPL", first,
                       insns->len, &opts);
    if (fd < 0 && errno == ENOSPC) {    /* of the log, before Linux 6.4 */
        fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "translated", "GPL",
                           first, insns->len, &without_log);
    }
    return fd < 0 ? -errno : fd;
}
