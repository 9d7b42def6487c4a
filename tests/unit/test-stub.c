/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A build without eBPF says so, and does nothing else. */
#include "ebpf/ebpf_rss.h"

static void test_load(void)
{
    int fds[EBPF_RSS_FDS] = { -7, -8, -9 };
    int report_fds[EBPF_RSS_REPORT_FDS] = { -7, -8 };
    g_autoptr(GError) error = NULL;
    size_t size = 1;

    g_assert_null(ebpf_rss_load("test", NULL, NULL, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_clear_error(&error);
    g_assert_false(ebpf_rss_open("test", fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_assert_cmpint(fds[0], ==, -7);
    g_clear_error(&error);
    g_assert_false(ebpf_rss_open_report("test", fds, report_fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_clear_error(&error);
    g_assert_false(ebpf_rss_check_report(fds, report_fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_clear_error(&error);
    g_assert_false(ebpf_rss_open_report_by_helper("helper", "test", fds,
                                                  report_fds, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_assert_cmpint(report_fds[0], ==, -7);
    g_clear_error(&error);
    g_assert_null(ebpf_rss_adopt(fds, NULL, NULL, &error));
    g_assert_error(error, RSS_ERROR, RSS_ERROR_BUILD);
    g_assert_null(ebpf_rss_object(&size));
    ebpf_rss_unload(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stub/load", test_load);
    return g_test_run();
}
