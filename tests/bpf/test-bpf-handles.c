/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading the program, handing its descriptors on, adopting them. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "ebpf/rss_abi.h"
#include "fds.h"
#include "packet.h"

enum {
    NOBODY = 65534,         /* user */
};

static int at_start;        /* descriptors */

static void open_program(const char *name, int fds[EBPF_RSS_FDS])
{
    g_autoptr(GError) error = NULL;

    ebpf_rss_open(name, fds, &error);
    g_assert_no_error(error);
}

static void close_all(const int fds[EBPF_RSS_FDS])
{
    int i;

    for (i = 0; i < EBPF_RSS_FDS; i++) {
        g_assert_cmpint(close(fds[i]), ==, 0);
    }
}

/* Where the program sends a packet under a table with one entry. */
static int64_t steer(int prog_fd)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip4 tcp", &packet_flow);

    return bpf_run(prog_fd, frame->data, frame->len);
}

static RssConfig one_queue(uint16_t queue)
{
    RssConfig config = config_plain(RSS_TYPES_ALL, 1);

    config.table[0] = queue;
    return config;
}

/* Whether as_nobody() works; else the test is skipped. */
static bool may_become_nobody(void)
{
    if (!bpf_run_allowed()) {
        return false;
    }
    if (geteuid() != 0) {
        g_test_skip("becoming another user needs root");
        return false;
    }
    return true;
}

/* Runs @test as nobody, in a child process; it returns 0 if all is well. */
static void as_nobody(int (*test)(const int *fds), const int *fds)
{
    int status;
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        if (setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
            /* As after an exec: before Linux 5.14 /proc/self needs it. */
            prctl(PR_SET_DUMPABLE, 1) != 0) {
            _exit(99);
        }
        _exit(test(fds));
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

/* What the kernel calls the program and its maps: who is it for? */
static void assert_names(const char *device, const char *program,
                         const char *config, const char *counters,
                         const char *grace)
{
    const char *expected[EBPF_RSS_FDS] = { program, config, counters, grace };
    struct bpf_prog_info prog = { 0 };
    struct bpf_map_info map = { 0 };
    int fds[EBPF_RSS_FDS], i;
    __u32 len = sizeof(prog);

    open_program(device, fds);
    g_assert_cmpint(bpf_obj_get_info_by_fd(fds[0], &prog, &len), ==, 0);
    g_assert_cmpstr(prog.name, ==, program);
    for (i = 1; i < EBPF_RSS_FDS; i++) {
        len = sizeof(map);
        g_assert_cmpint(bpf_obj_get_info_by_fd(fds[i], &map, &len), ==, 0);
        g_assert_cmpstr(map.name, ==, expected[i]);
    }
    close_all(fds);
}

static void test_names(void)
{
    if (!bpf_run_allowed()) {
        return;
    }
    assert_names("net0", "rss_net0", "rsscfg_net0", "rsscnt_net0",
                 "rssgrc_net0");
    assert_names("", "rss_", "rsscfg_", "rsscnt_", "rssgrc_");
    assert_names("a/b-c.d e\n", "rss_a_b_c_d_e_", "rsscfg_a_b_c_d_",
                 "rsscnt_a_b_c_d_", "rssgrc_a_b_c_d_");
    assert_names("12345678901", "rss_12345678901", "rsscfg_12345678",
                 "rsscnt_12345678", "rssgrc_12345678");
    assert_names("a-name-that-is-much-too-long", "rss_a_name_that",
                 "rsscfg_a_name_t", "rsscnt_a_name_t", "rssgrc_a_name_t");
}

static void test_descriptors(void)
{
    int fds[EBPF_RSS_FDS], before, i;

    if (!bpf_run_allowed()) {
        return;
    }
    wait_for_fds(at_start);
    ebpf_rss_unload(ebpf_rss_load("test", NULL, NULL, NULL));
    before = count_fds();
    open_program("test", fds);
    g_assert_cmpint(count_fds(), ==, before + EBPF_RSS_FDS);
    for (i = 0; i < EBPF_RSS_FDS; i++) {
        g_assert_cmpint(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    }
    close_all(fds);
    ebpf_rss_unload(ebpf_rss_load("test", NULL, NULL, NULL));
    g_assert_cmpint(count_fds(), ==, before);
}

static int adopt_and_set(const int *fds)
{
    RssConfig config = one_queue(7);
    EBPFRSS *rss = ebpf_rss_adopt(fds, NULL, NULL, NULL);

    if (!rss || ebpf_rss_set_all(rss, &config) != EBPF_RSS_IN_FORCE) {
        return 1;
    }
    ebpf_rss_set_counting(rss, true);
    return 0;
}

/* One process loads it, another without any privilege configures it. */
static void test_adopt_as_nobody(void)
{
    int fds[EBPF_RSS_FDS];
    EBPFRSS *rss;

    if (!may_become_nobody()) {
        return;
    }
    open_program("test", fds);
    as_nobody(adopt_and_set, fds);
    g_assert_cmpint(steer(fds[EBPF_RSS_FD_PROGRAM]), ==, 7);

    rss = ebpf_rss_adopt(fds, NULL, NULL, NULL);
    g_assert_nonnull(rss);
    g_assert_cmpint(ebpf_rss_program_fd(rss), ==, fds[EBPF_RSS_FD_PROGRAM]);
    g_assert_cmpuint(ebpf_rss_get_counters(rss).queue[7], ==, 1);
    ebpf_rss_unload(rss);
    g_assert_cmpint(fcntl(fds[0], F_GETFD), ==, -1);
}

/* Without a worker, which would have to be a thread. */
static int set_without_threads(const int *fds)
{
    const struct rlimit none = { 0, 0 };
    EBPFRSS *rss = ebpf_rss_adopt(fds, NULL, NULL, NULL);
    uint16_t queue;

    if (!rss || setrlimit(RLIMIT_NPROC, &none) != 0) {
        return 1;
    }
    for (queue = 0; queue < 20; queue++) {
        RssConfig config = one_queue(queue);

        ebpf_rss_set_all(rss, &config);
    }
    return 0;
}

/* The user may have no more processes: the last configuration counts. */
static void test_no_threads(void)
{
    int fds[EBPF_RSS_FDS];

    if (!may_become_nobody()) {
        return;
    }
    open_program("test", fds);
    as_nobody(set_without_threads, fds);
    g_assert_cmpint(steer(fds[EBPF_RSS_FD_PROGRAM]), ==, 19);
    close_all(fds);
}

static int open_is_refused(const int *fds)
{
    g_autoptr(GError) error = NULL;
    int mine[EBPF_RSS_FDS] = { -7, -8, -9, -10 };

    if (ebpf_rss_open("test", mine, &error) ||
        !g_error_matches(error, RSS_ERROR, RSS_ERROR_PRIVILEGE) ||
        mine[0] != -7 || mine[1] != -8 || mine[2] != -9 || mine[3] != -10 ||
        ebpf_rss_load("test", NULL, NULL, NULL)) {
        return 1;
    }
    return 0;
}

static void test_open_as_nobody(void)
{
    if (geteuid() != 0) {
        g_test_skip("becoming another user needs root");
        return;
    }
    as_nobody(open_is_refused, NULL);
}

/* The adoption is refused, says why, and the descriptors stay ours. */
static void assert_refused(const int fds[EBPF_RSS_FDS], const char *which)
{
    g_autoptr(GError) error = NULL;
    int before = count_fds();

    g_assert_null(ebpf_rss_adopt(fds, NULL, NULL, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
    if (!strstr(error->message, which)) {
        g_error("\"%s\" does not tell of the %s", error->message, which);
    }
    g_assert_null(ebpf_rss_adopt(fds, NULL, NULL, NULL));
    g_assert_cmpint(count_fds(), ==, before);
}

/* Each descriptor in turn replaced by one that it must not be. */
static void test_adopt_wrong(void)
{
    static const char *const which[EBPF_RSS_FDS] = {
        "program", "configuration", "counters", "waiting"
    };
    int good[EBPF_RSS_FDS], wrong[5], i, j;

    if (!bpf_run_allowed()) {
        return;
    }
    wait_for_fds(at_start);
    open_program("test", good);
    wrong[0] = -1;
    wrong[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    wrong[2] = bpf_run_load_return(BPF_PROG_TYPE_SCHED_CLS, 0);
    wrong[3] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "wrong", 4, 8, 1, NULL);
    wrong[4] = bpf_map_create(BPF_MAP_TYPE_HASH, "wrong", 4,
                              sizeof(struct rss_map), 1, NULL);
    for (i = 0; i < EBPF_RSS_FDS; i++) {
        for (j = 0; j < G_N_ELEMENTS(wrong); j++) {
            int fds[EBPF_RSS_FDS];

            memcpy(fds, good, sizeof(fds));
            fds[i] = wrong[j];
            if (i != EBPF_RSS_FD_GRACE || wrong[j] >= 0) {
                assert_refused(fds, which[i]);
            }
        }
    }
    for (j = 1; j < G_N_ELEMENTS(wrong); j++) {
        close(wrong[j]);
    }
    close_all(good);
}

/* Right in number and kind, but not in order. */
static void test_adopt_swapped(void)
{
    int good[EBPF_RSS_FDS], fds[EBPF_RSS_FDS];

    if (!bpf_run_allowed()) {
        return;
    }
    open_program("test", good);
    memcpy(fds, good, sizeof(fds));
    fds[1] = good[2];
    fds[2] = good[1];
    assert_refused(fds, "configuration");
    memcpy(fds, good, sizeof(fds));
    fds[0] = good[1];
    fds[1] = good[0];
    assert_refused(fds, "program");
    memcpy(fds, good, sizeof(fds));
    fds[2] = good[3];
    fds[3] = good[2];
    assert_refused(fds, "counters");
    close_all(good);
}

/* All of them are what they must be, but they do not belong together. */
static void test_adopt_another(void)
{
    int one[EBPF_RSS_FDS], other[EBPF_RSS_FDS], i, saved;

    if (!bpf_run_allowed()) {
        return;
    }
    open_program("one", one);
    open_program("other", other);
    for (i = EBPF_RSS_FD_PROGRAM; i <= EBPF_RSS_FD_COUNTERS; i++) {
        saved = one[i];
        one[i] = other[i];
        assert_refused(one, "not the steering program");
        one[i] = saved;
    }
    saved = one[EBPF_RSS_FD_PROGRAM];
    one[EBPF_RSS_FD_PROGRAM] =
        bpf_run_load_return(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    assert_refused(one, "not the steering program");
    close(one[EBPF_RSS_FD_PROGRAM]);
    one[EBPF_RSS_FD_PROGRAM] = saved;
    close_all(one);
    close_all(other);
}

/*
 * With three descriptors, as older loaders give them, it takes membarrier().
 * With one processor that does not wait; then there is no handle.
 */
static int adopt_three(const int *four)
{
    int fds[EBPF_RSS_FDS];
    cpu_set_t before, one;
    bool several;
    int i;

    memcpy(fds, four, sizeof(fds));
    fds[EBPF_RSS_FD_GRACE] = -1;
    sched_getaffinity(0, sizeof(before), &before);
    several = CPU_COUNT(&before) > 1;
    CPU_ZERO(&one);
    for (i = 0; !CPU_COUNT(&one); i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
        }
    }
    if (several && adopt_and_set(fds) != 0) {
        return 1;
    }
    if (sched_setaffinity(0, sizeof(one), &one) != 0) {
        return 2;
    }
    return ebpf_rss_adopt(fds, NULL, NULL, NULL) ? 3 : 0;
}

static void test_adopt_three(void)
{
    int fds[EBPF_RSS_FDS];

    if (!may_become_nobody()) {
        return;
    }
    open_program("test", fds);
    as_nobody(adopt_three, fds);
    close_all(fds);
}

/* Maps of the right size that cannot be mapped into a process. */
static void test_adopt_not_mappable(void)
{
    int fds[EBPF_RSS_FDS], config, counters;

    if (!bpf_run_allowed()) {
        return;
    }
    open_program("test", fds);
    config = fds[EBPF_RSS_FD_CONFIG];
    fds[EBPF_RSS_FD_CONFIG] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plain", 4,
                                             sizeof(struct rss_map), 1, NULL);
    assert_refused(fds, "configuration");
    close(fds[EBPF_RSS_FD_CONFIG]);
    fds[EBPF_RSS_FD_CONFIG] = config;

    counters = fds[EBPF_RSS_FD_COUNTERS];
    fds[EBPF_RSS_FD_COUNTERS] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plain", 4,
                                               sizeof(struct rss_counter_row),
                                               RSS_COUNTER_ROWS, NULL);
    assert_refused(fds, "counters");
    close(fds[EBPF_RSS_FD_COUNTERS]);
    fds[EBPF_RSS_FD_COUNTERS] = counters;
    close_all(fds);
}

static int print_nothing(enum libbpf_print_level level, const char *format,
                         va_list args)
{
    return 0;
}

/* The object that others may load is one that libbpf loads. */
static void test_object(void)
{
    size_t size = 0;
    const void *elf = ebpf_rss_object(&size);
    struct bpf_object *object;

    g_assert_nonnull(elf);
    g_assert_cmpuint(size, >, 64);
    g_assert_cmpmem(elf, 4, "\177ELF", 4);
    libbpf_set_print(print_nothing);
    object = bpf_object__open_mem(elf, size, NULL);
    g_assert_nonnull(object);
    g_assert_nonnull(bpf_object__find_program_by_name(object,
                                                      "tun_rss_steering"));
    if (bpf_run_allowed()) {
        g_assert_cmpint(bpf_object__load(object), ==, 0);
    }
    bpf_object__close(object);
}

/* The unloading of one handle leaves the other's alone. */
static void test_two_handles(void)
{
    RssConfig config = one_queue(5);
    EBPFRSS *one, *other;

    if (!bpf_run_allowed()) {
        return;
    }
    one = ebpf_rss_load("one", NULL, NULL, NULL);
    other = ebpf_rss_load("other", NULL, NULL, NULL);
    g_assert_nonnull(one);
    g_assert_nonnull(other);
    g_assert_cmpint(ebpf_rss_set_all(one, &config), ==,
                    EBPF_RSS_IN_FORCE);
    config = one_queue(6);
    g_assert_cmpint(ebpf_rss_set_all(other, &config), ==,
                    EBPF_RSS_IN_FORCE);
    g_assert_cmpint(steer(ebpf_rss_program_fd(one)), ==, 5);
    g_assert_cmpint(steer(ebpf_rss_program_fd(other)), ==, 6);
    ebpf_rss_unload(other);
    g_assert_cmpint(steer(ebpf_rss_program_fd(one)), ==, 5);
    ebpf_rss_unload(one);
    ebpf_rss_unload(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    at_start = count_fds();
    /* Those that fork come first, before there are threads. */
    g_test_add_func("/bpf/handles/adopt-as-nobody", test_adopt_as_nobody);
    g_test_add_func("/bpf/handles/no-threads", test_no_threads);
    g_test_add_func("/bpf/handles/adopt-three", test_adopt_three);
    g_test_add_func("/bpf/handles/open-as-nobody", test_open_as_nobody);
    g_test_add_func("/bpf/handles/names", test_names);
    g_test_add_func("/bpf/handles/descriptors", test_descriptors);
    g_test_add_func("/bpf/handles/adopt-wrong", test_adopt_wrong);
    g_test_add_func("/bpf/handles/adopt-swapped", test_adopt_swapped);
    g_test_add_func("/bpf/handles/adopt-another", test_adopt_another);
    g_test_add_func("/bpf/handles/adopt-not-mappable",
                    test_adopt_not_mappable);
    g_test_add_func("/bpf/handles/object", test_object);
    g_test_add_func("/bpf/handles/two-handles", test_two_handles);
    return g_test_run();
}
