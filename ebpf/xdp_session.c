/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest has in the host, and what it may do
 *
 *     PASSES ── PROG_SET ──▶ EXAMINES ── PROG_SET ─┐
 *        ▲                    │     ▲──────────────┘
 *        └─ HELLO, PROG_UNSET ┘
 *
 * Maps are made in both states, and go with HELLO only.
 *
 * Invariants
 *  - a request that is refused changes nothing;
 *  - a program is at the tap only as long as the session lives, or where the
 *    kernel cannot do that (xdp_attach_outlives()) works only as long as
 *    somebody renews its lease;
 *  - maps and programs are new and this guest's own.
 *
 * Where the tap has a stub in a devmap, the same program is there a second
 * time, for packets that are redirected. That one is an addition: the guest
 * asks for the first, and where the second is not possible packets pass.
 *
 * Limits
 *  - those of HELLO, each the lower one of both sides;
 *  - time: loading a program can keep the verifier busy for seconds, so for
 *    that and for making maps a guest has a fifth of a processor, and CREDIT_NS
 *    that it may have saved: some fifty programs at once, then ten each second.
 *    A storm is answered with EBUSY.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "xdp_attach.h"
#include "xdp_maps.h"
#include "xdp_session.h"
#include "xdp_stub.h"
#include "xdp_translate.h"

enum {
    SHARE = 5,                  /* one of so many parts of a processor */
    CREDIT_NS = 1000000000,
    PROGRAM_NS = 20000000,      /* that a program costs beside its loading */

    LOG_SIZE = 1 << 18,         /* bytes, of the verifier's text */
    LOG_TOLD = 2000,            /* its last ones, which the guest is told */

    LEASE_MS = 5000,
    RENEW_MS = 1000,

    INSN_LEN = 8,               /* bytes on the wire */
};

typedef enum XdpState {
    XDP_PASSES,
    XDP_EXAMINES,
} XdpState;

struct XdpSession {
    XdpSessionConfig config;
    XdpState state;
    XdpAttach *attach;
    XdpStub *stub;              /* or NULL */
    char *redirected;           /* see xdp_session_take_redirected() */
    int counters_fd, lease_fd, budget_fd;       /* -1 for none */
    size_t n_counters;
    uint64_t *counters;         /* the map's content, or NULL */
    char *log;

    XdpMaps maps;
    uint32_t max_insns, max_maps, max_key, max_value;
    uint64_t max_memory;        /* bytes */
    uint64_t set_ns;            /* XDP_EXAMINES: since when */
    int64_t credit_ns;          /* below 0: no new programs and maps */
    uint64_t credit_at_ns;      /* when that was so */
    uint64_t begun_cpu_ns;      /* used by this process, and paid for */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = { 0 };

    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static int refuse(GString *why, int err, const char *text)
{
    g_string_assign(why, text);
    return err;
}

static uint64_t lower(uint64_t limit, uint64_t wanted)
{
    return wanted ? MIN(limit, wanted) : limit;
}

static void unset(XdpSession *s)
{
    xdp_attach_unset(s->attach);
    if (s->stub) {
        xdp_stub_unset(s->stub);
    }
}

/* As a guest finds it that has said nothing yet. */
static void begin_anew(XdpSession *s)
{
    unset(s);
    xdp_maps_clear(&s->maps);
    s->state = XDP_PASSES;
    memset(s->counters, 0, s->n_counters * sizeof(*s->counters));
    s->max_insns = lower(XDP_MAX_INSNS, s->config.max_insns);
    s->max_maps = lower(XDP_MAX_MAPS, s->config.max_maps);
    s->max_memory = lower(XDP_MAX_MEMORY, s->config.max_memory);
    s->max_key = XDP_MAX_KEY;
    s->max_value = XDP_MAX_VALUE;
}

static int hello(XdpSession *s, const XdpWireMessage *m, XdpWireMessage *a)
{
    begin_anew(s);
    s->max_insns = lower(s->max_insns, m->hello.max_insns);
    s->max_maps = lower(s->max_maps, m->hello.max_maps);
    s->max_key = lower(s->max_key, m->hello.max_key);
    s->max_value = lower(s->max_value, m->hello.max_value);
    s->max_memory = lower(s->max_memory, m->hello.max_memory);
    a->hello.features = XDP_FEATURE_TX |
                        (s->config.rewrite ? XDP_FEATURE_REWRITE : 0) |
                        (s->config.trusted ? XDP_FEATURE_TRUSTED : 0) |
                        (s->config.no_types ? 0 : XDP_FEATURE_TYPES);
    a->hello.max_insns = s->max_insns;
    a->hello.max_maps = s->max_maps;
    a->hello.max_key = s->max_key;
    a->hello.max_value = s->max_value;
    a->hello.max_memory = s->max_memory;
    a->hello.processors = s->n_counters / XDP_COUNTERS;
    return 0;
}

/* May the guest have something done that costs time? */
static int check_credit(XdpSession *s, GString *why)
{
    uint64_t now = now_ns();

    s->credit_ns = MIN(CREDIT_NS, s->credit_ns +
                                  (int64_t)(now - s->credit_at_ns) / SHARE);
    s->credit_at_ns = now;
    s->begun_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (s->credit_ns >= 0) {
        return 0;
    }
    g_string_printf(why, "too many programs and maps: the host takes the next"
                    " one in %" G_GINT64_FORMAT " ms",
                    -s->credit_ns * SHARE / 1000000 + 1);
    return EBUSY;
}

/* For what was done since check_credit(), or since this was paid last. */
static void pay(XdpSession *s, int64_t more_ns)
{
    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    s->credit_ns -= more_ns + (int64_t)(cpu_ns - s->begun_cpu_ns);
    s->begun_cpu_ns = cpu_ns;
}

static int map_create(XdpSession *s, const XdpWireMessage *m,
                      XdpWireMessage *a, GString *why)
{
    int err = check_credit(s, why);

    if (err) {
        return err;
    }
    if (m->op == XDP_OP_MAP_TYPED && s->config.no_types) {
        return refuse(why, EOPNOTSUPP, "the host takes no types of maps");
    }
    if (m->map.key_size > s->max_key || m->map.value_size > s->max_value) {
        return refuse(why, E2BIG, "the keys or values of the map are too"
                      " large");
    }
    err = xdp_maps_create(&s->maps, m, s->max_maps, s->max_memory, why);
    pay(s, 0);
    if (!err) {
        a->handle = s->maps.count - 1;
    }
    return err;
}

/* As the wire has them, on any host. */
static struct bpf_insn *read_insns(const XdpWireMessage *m)
{
    struct bpf_insn *insns = g_new0(struct bpf_insn, m->program.count);
    uint32_t i;

    for (i = 0; i < m->program.count; i++) {
        const uint8_t *from = m->data + (size_t)i * INSN_LEN;

        insns[i] = (struct bpf_insn) {
            .code = from[0], .dst_reg = from[1] & 15, .src_reg = from[1] >> 4,
            .off = (int16_t)(from[2] | from[3] << 8),
            .imm = (int32_t)(from[4] | from[5] << 8 | from[6] << 16 |
                             (uint32_t)from[7] << 24),
        };
    }
    return insns;
}

static GArray *translate(const XdpSession *s, const XdpWireMessage *m,
                         XdpHook hook, GString *why)
{
    g_autofree struct bpf_insn *insns = read_insns(m);
    g_autoptr(GError) error = NULL;
    const XdpTarget target = {
        .hook = hook, .maps = s->maps.map, .n_maps = s->maps.count,
        .tap_ifindex = s->config.ifindex, .guest_ifindex = m->program.ifindex,
        .budget = XDP_BUDGET,
        .budget_fd = MAX(s->budget_fd, 0),
        .counters_fd = s->counters_fd,
        .lease_fd = xdp_attach_outlives(s->attach) ? s->lease_fd : 0,
        .rewrite = s->config.rewrite, .trusted = s->config.trusted,
        .gso_pass = s->config.gso_pass,
    };
    GArray *translated = xdp_translate(insns, m->program.count, &target,
                                       &error);

    if (!translated) {
        g_string_assign(why, error->message);
    }
    return translated;
}

/* The end of the verifier's text, and what helps where it is about trust. */
static void tell_log(const XdpSession *s, int err, GString *why)
{
    size_t len = strnlen(s->log, LOG_SIZE), told = MIN(len, LOG_TOLD);

    g_string_append_len(why, s->log + len - told, told);
    if (err == EACCES && !s->config.trusted &&
        strstr(why->str, "pointer") && strstr(why->str, "prohibited")) {
        g_string_append(why, "The host does not allow that to a guest that it"
                        " does not trust (trusted=on)\n");
    }
}

/* Descriptor, or -errno. */
static int load(XdpSession *s, const XdpWireMessage *m, XdpHook hook,
                const GArray *insns, GString *why)
{
    bool devmap = hook == XDP_HOOK_DEVMAP;
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = s->log,
                .log_size = LOG_SIZE, .log_level = 1,
                .expected_attach_type = devmap ? BPF_XDP_DEVMAP : 0);
    enum bpf_prog_type type = devmap ? BPF_PROG_TYPE_XDP
                                     : BPF_PROG_TYPE_SCHED_CLS;
    const char *licence = m->program.flags & XDP_PROGRAM_GPL ? "GPL"
                                                             : "Proprietary";
    const struct bpf_insn *first = (const void *)insns->data;
    int fd, err = xdp_maps_freeze(&s->maps);

    if (err) {
        return -err;
    }
    s->log[0] = 0;
    fd = bpf_prog_load(type, m->program.name, licence, first, insns->len,
                       &opts);
    if (fd < 0 && errno == ENOSPC) {    /* of the log; it may be good */
        opts.log_level = 0;
        opts.log_buf = NULL;
        opts.log_size = 0;
        /* Before Linux 6.4 it is the beginning that is there. */
        g_strlcpy(s->log, "the verifier's reason is behind too much text\n",
                  LOG_SIZE);
        fd = bpf_prog_load(type, m->program.name, licence, first, insns->len,
                           &opts);
    }
    if (fd >= 0) {
        return fd;
    }
    err = errno;
    tell_log(s, err, why);
    return -err;
}

static void renew(XdpSession *s)
{
    uint64_t until = now_ns() + LEASE_MS * 1000000ull;
    uint32_t zero = 0;

    bpf_map_update_elem(s->lease_fd, &zero, &until, BPF_ANY);
}

/* For packets that are redirected; the guest is not told. */
static void fill_stub(XdpSession *s, const XdpWireMessage *m)
{
    g_autoptr(GString) why = g_string_new(NULL);
    g_autoptr(GArray) insns = translate(s, m, XDP_HOOK_DEVMAP, why);
    int fd = -1, err = 0;

    g_free(s->redirected);
    s->redirected = NULL;
    if (insns) {
        fd = load(s, m, XDP_HOOK_DEVMAP, insns, why);
        pay(s, PROGRAM_NS);
        err = fd < 0 ? -fd : xdp_stub_set(s->stub, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (insns && !err) {
        s->redirected = g_strdup("examined, but not sent back");
        return;
    }
    xdp_stub_unset(s->stub);
    s->redirected = err ? g_strdup_printf("not examined: the kernel refuses"
                                          " the program in a devmap: %s",
                                          g_strerror(err))
                        : g_strdup_printf("not examined: %s", why->str);
}

static int prog_set(XdpSession *s, const XdpWireMessage *m, GString *why)
{
    int fd, err = check_credit(s, why);
    g_autoptr(GArray) insns = NULL;

    if (err) {
        return err;
    }
    if (m->program.flags & ~XDP_PROGRAM_GPL) {
        return refuse(why, EINVAL, "a flag of the program is not supported");
    }
    if (m->program.count > s->max_insns) {
        return refuse(why, E2BIG, "the program has more instructions than the"
                      " host allows");
    }
    insns = translate(s, m, XDP_HOOK_TC, why);
    if (!insns) {
        pay(s, 0);
        return EINVAL;
    }
    fd = load(s, m, XDP_HOOK_TC, insns, why);
    pay(s, PROGRAM_NS);
    if (fd < 0) {
        return -fd;
    }
    if (xdp_attach_outlives(s->attach)) {
        renew(s);
    }
    err = xdp_attach_set(s->attach, fd);
    close(fd);
    if (err) {
        return refuse(why, err, "cannot attach to the egress of the tap");
    }
    s->state = XDP_EXAMINES;
    s->set_ns = now_ns();
    if (s->stub) {
        fill_stub(s, m);
    }
    return 0;
}

static int prog_unset(XdpSession *s)
{
    unset(s);
    s->state = XDP_PASSES;
    return 0;
}

static int stats(XdpSession *s, XdpWireMessage *a)
{
    uint64_t *sums[] = {
        [XDP_PASSED] = &a->stats.passed, [XDP_DROPPED] = &a->stats.dropped,
        [XDP_SENT] = &a->stats.sent,
        [XDP_UNEXAMINED] = &a->stats.unexamined,
    };
    size_t i;

    for (i = 0; i < s->n_counters; i++) {
        if (i % XDP_COUNTERS < G_N_ELEMENTS(sums)) {
            *sums[i % XDP_COUNTERS] += __atomic_load_n(&s->counters[i],
                                                       __ATOMIC_RELAXED);
        }
    }
    a->stats.memory = s->maps.memory;
    a->stats.since = s->state == XDP_EXAMINES ? now_ns() - s->set_ns : 0;
    return 0;
}

/* An errno; @answer's fields and @data are set if it is 0. */
static int answer(XdpSession *s, const XdpWireMessage *m, XdpWireMessage *a,
                  GByteArray *data, GString *why)
{
    switch (m->op) {
    case XDP_OP_HELLO:
        return hello(s, m, a);
    case XDP_OP_MAP_CREATE:
    case XDP_OP_MAP_TYPED:
        return map_create(s, m, a, why);
    case XDP_OP_PROG_SET:
        return prog_set(s, m, why);
    case XDP_OP_PROG_UNSET:
        return prog_unset(s);
    case XDP_OP_STATS:
        return stats(s, a);
    default:
        a->entries.handle = m->entries.handle;
        a->entries.flags = m->entries.flags;
        return xdp_maps_entries(&s->maps, m, data, &a->entries.count, why);
    }
}

GByteArray *xdp_session_answer(XdpSession *s, const uint8_t *frame, size_t len)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autoptr(GString) why = g_string_new(NULL);
    XdpWireMessage request, a = { .answer = true };
    int err = xdp_wire_decode(frame, len, &request);

    if (err == -EBADMSG || request.answer) {
        return NULL;
    }
    a.op = request.op;
    a.sequence = request.sequence;
    a.error = err ? -err : answer(s, &request, &a, data, why);
    a.data = a.error ? (const uint8_t *)why->str : data->data;
    a.len = a.error ? why->len : data->len;
    return xdp_wire_encode(&a);
}

int xdp_session_renew(XdpSession *s)
{
    if (!xdp_attach_outlives(s->attach) || s->state != XDP_EXAMINES) {
        return -1;
    }
    renew(s);
    return RENEW_MS;
}

char *xdp_session_take_redirected(XdpSession *s)
{
    return g_steal_pointer(&s->redirected);
}

int xdp_session_counters_fd(const XdpSession *s, size_t *count)
{
    *count = s->n_counters;
    return s->counters_fd;
}

static bool make_maps(XdpSession *s, GError **error)
{
    LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
    int cpus = libbpf_num_possible_cpus();
    void *content;

    s->n_counters = cpus > 0 ? (size_t)cpus * XDP_COUNTERS : 0;
    s->counters_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdp_counters", 4, 8,
                                    s->n_counters, &mappable);
    s->lease_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdp_lease", 4, 8, 1,
                                 NULL);
    if (s->counters_fd < 0 || s->lease_fd < 0) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "cannot make maps: %s%s",
                    g_strerror(errno), errno == EPERM ? " (needs CAP_BPF)"
                                                      : "");
        return false;
    }
    content = mmap(NULL, s->n_counters * sizeof(*s->counters),
                   PROT_READ | PROT_WRITE, MAP_SHARED, s->counters_fd, 0);
    if (content == MAP_FAILED) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST, "cannot map the"
                    " counters: %s", g_strerror(errno));
        return false;
    }
    s->counters = content;
    return true;
}

/* A stub that cannot be used is told of, and no reason to refuse the rest. */
static void open_stub(XdpSession *s)
{
    g_autoptr(GError) error = NULL;

    if (!s->config.stubs) {
        return;
    }
    s->stub = xdp_stub_open(s->config.stubs, s->config.tap, &error);
    s->config.stubs = s->config.tap = NULL;     /* the caller's */
    if (error) {
        s->redirected = g_strdup_printf("not examined: %s", error->message);
    }
    if (!s->stub) {
        return;
    }
    s->budget_fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "xdp_budget", 4,
                                  4, 1, NULL);
}

static int no_print(enum libbpf_print_level level, const char *format,
                    va_list args)
{
    return 0;
}

XdpSession *xdp_session_new(const XdpSessionConfig *config, GError **error)
{
    g_autoptr(XdpSession) s = g_new0(XdpSession, 1);

    libbpf_set_print(no_print);
    s->config = *config;
    s->counters_fd = s->lease_fd = s->budget_fd = -1;
    s->credit_ns = CREDIT_NS;
    s->credit_at_ns = now_ns();
    s->log = g_malloc0(LOG_SIZE);
    s->attach = xdp_attach_new(config->ifindex, config->by_filter, error);
    if (!s->attach || !make_maps(s, error)) {
        return NULL;
    }
    open_stub(s);
    begin_anew(s);
    return g_steal_pointer(&s);
}

void xdp_session_free(XdpSession *s)
{
    if (!s) {
        return;
    }
    xdp_attach_free(s->attach);
    xdp_stub_free(s->stub);
    xdp_maps_clear(&s->maps);
    if (s->counters) {
        munmap(s->counters, s->n_counters * sizeof(*s->counters));
    }
    if (s->counters_fd >= 0) {
        close(s->counters_fd);
    }
    if (s->lease_fd >= 0) {
        close(s->lease_fd);
    }
    if (s->budget_fd >= 0) {
        close(s->budget_fd);
    }
    g_free(s->redirected);
    g_free(s->log);
    g_free(s);
}
