/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Out of descriptors: while the program is loaded, adopted and in use. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "ebpf/ebpf_rss.h"
#include "fds.h"
#include "packet.h"

enum {
    ENOUGH = 20,            /* descriptors, for anything that is tried here */
    LIMIT = 256,
    MANY = 100,
    WAIT_MS = 20000,
};

static struct rlimit limit;     /* as it was */

/* Fills the table of descriptors up to the limit, but for @n. */
typedef struct Filler {
    int fd[LIMIT];
    int used;
} Filler;

static void leave_free(Filler *filler, int n)
{
    struct rlimit low = limit;

    low.rlim_cur = LIMIT;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    for (filler->used = 0; ; filler->used++) {
        int fd = dup(STDERR_FILENO);

        if (fd < 0) {
            break;
        }
        filler->fd[filler->used] = fd;
    }
    while (n--) {
        close(filler->fd[--filler->used]);
    }
}

static void free_all(Filler *filler)
{
    while (filler->used) {
        close(filler->fd[--filler->used]);
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

/* How many can be opened. */
static int count_free(void)
{
    int fds[ENOUGH + 1], n = 0, i;

    while (n <= ENOUGH && (fds[n] = dup(STDERR_FILENO)) >= 0) {
        n++;
    }
    for (i = 0; i < n; i++) {
        close(fds[i]);
    }
    return n;
}

static int64_t steer(const EBPFRSS *rss)
{
    g_autoptr(GByteArray) frame = packet_build("eth ip4 tcp", &packet_flow);

    return bpf_run(ebpf_rss_program_fd(rss), frame->data, frame->len);
}

static RssConfig one_queue(uint16_t queue)
{
    RssConfig config = config_plain(RSS_TYPES_ALL, 1);

    config.table[0] = queue;
    return config;
}

/* With each number of descriptors that does not suffice: why, and no leak. */
static void test_load(void)
{
    struct bpf_prog_info info = { 0 };
    RssConfig config = one_queue(5);
    g_autoptr(EBPFRSS) rss = NULL;
    __u32 len = sizeof(info);
    Filler filler;
    int n;

    if (!bpf_run_allowed()) {
        return;
    }
    for (n = 0; n <= ENOUGH && !rss; n++) {
        g_autoptr(GError) error = NULL;

        leave_free(&filler, n);
        rss = ebpf_rss_load("few", NULL, NULL, &error);
        if (rss) {
            g_assert_no_error(error);
        } else {
            g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
            g_assert_nonnull(strstr(error->message, "Too many open files"));
            g_assert_cmpint(count_free(), ==, n);
        }
        free_all(&filler);
    }
    g_assert_nonnull(rss);
    g_assert_cmpint(n, >, EBPF_RSS_FDS);

    /* What was refused before has left no trace in libbpf either. */
    g_assert_cmpint(bpf_obj_get_info_by_fd(ebpf_rss_program_fd(rss), &info,
                                           &len), ==, 0);
    g_assert_cmpstr(info.name, ==, "rss_few");
    g_assert_cmpint(ebpf_rss_set_all(rss, &config), ==,
                    EBPF_RSS_IN_FORCE);
    g_assert_cmpint(steer(rss), ==, 5);
}

/* It reads in /proc, which takes one. */
static void test_adopt(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(EBPFRSS) rss = NULL;
    int fds[EBPF_RSS_FDS];
    Filler filler;

    if (!bpf_run_allowed()) {
        return;
    }
    g_assert_true(ebpf_rss_open("few", fds, NULL));
    leave_free(&filler, 0);
    g_assert_null(ebpf_rss_adopt(fds, NULL, NULL, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_KERNEL);
    g_assert_nonnull(strstr(error->message, "Too many open files"));
    free_all(&filler);

    leave_free(&filler, 1);
    rss = ebpf_rss_adopt(fds, NULL, NULL, NULL);
    g_assert_nonnull(rss);
    g_assert_cmpint(count_free(), ==, 1);
    free_all(&filler);
}

/* A program that is there is configured and read without any. */
static void test_use(void)
{
    g_autoptr(EBPFRSS) rss = NULL;
    RssConfig config;
    Filler filler;
    int i;

    if (!bpf_run_allowed()) {
        return;
    }
    rss = ebpf_rss_load("few", NULL, NULL, NULL);
    g_assert_nonnull(rss);
    leave_free(&filler, 0);
    ebpf_rss_set_counting(rss, true);
    for (i = 0; i < MANY; i++) {
        config = one_queue(i % 8);
        ebpf_rss_set_all(rss, &config);
    }
    g_assert_cmpint(ebpf_rss_wait(rss, WAIT_MS), ==, EBPF_RSS_IN_FORCE);
    g_assert_cmpint(steer(rss), ==, (MANY - 1) % 8);
    g_assert_cmpuint(ebpf_rss_get_counters(rss).queue[(MANY - 1) % 8], >, 0);
    g_assert_cmpint(count_free(), ==, 0);
    free_all(&filler);
}

/* Each one with nothing left of those before it. */
static void run(const void *test)
{
    int before = count_fds();

    ((GTestFunc)test)();
    wait_for_fds(before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    getrlimit(RLIMIT_NOFILE, &limit);
    g_test_add_data_func("/bpf/descriptors/load", test_load, run);
    g_test_add_data_func("/bpf/descriptors/adopt", test_adopt, run);
    g_test_add_data_func("/bpf/descriptors/use", test_use, run);
    return g_test_run();
}
