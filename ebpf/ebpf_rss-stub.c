/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The eBPF engine in a build without it: there never is a handle. */
#include "ebpf/ebpf_rss.h"

static void set_error(GError **error)
{
    g_set_error(error, RSS_ERROR, RSS_ERROR_BUILD,
                "this build has no eBPF support");
}

bool ebpf_rss_open(const char *name, int fds[EBPF_RSS_FDS], GError **error)
{
    set_error(error);
    return false;
}

bool ebpf_rss_open_by_helper(const char *helper, const char *name,
                             int fds[EBPF_RSS_FDS], GError **error)
{
    set_error(error);
    return false;
}

EBPFRSS *ebpf_rss_adopt(const int fds[EBPF_RSS_FDS],
                        EBPFRSSNotify *notify, void *opaque, GError **error)
{
    set_error(error);
    return NULL;
}

EBPFRSS *ebpf_rss_load(const char *name, EBPFRSSNotify *notify, void *opaque,
                       GError **error)
{
    set_error(error);
    return NULL;
}

bool ebpf_rss_open_report(const char *name, const int fds[EBPF_RSS_FDS],
                          int report_fds[EBPF_RSS_REPORT_FDS], GError **error)
{
    set_error(error);
    return false;
}

bool ebpf_rss_open_report_by_helper(const char *helper, const char *name,
                                    int fds[EBPF_RSS_FDS],
                                    int report_fds[EBPF_RSS_REPORT_FDS],
                                    GError **error)
{
    set_error(error);
    return false;
}

bool ebpf_rss_check_report(const int fds[EBPF_RSS_FDS],
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error)
{
    set_error(error);
    return false;
}

bool ebpf_rss_adopt_report(EBPFRSS *rss,
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error)
{
    g_assert_not_reached();
}

int ebpf_rss_report_fd(const EBPFRSS *rss)
{
    g_assert_not_reached();
}

const void *ebpf_rss_object(size_t *size)
{
    *size = 0;
    return NULL;
}

int ebpf_rss_program_fd(const EBPFRSS *rss)
{
    g_assert_not_reached();
}

EBPFRSSState ebpf_rss_set_all(EBPFRSS *rss, const RssConfig *config)
{
    g_assert_not_reached();
}

EBPFRSSState ebpf_rss_state(const EBPFRSS *rss)
{
    g_assert_not_reached();
}

EBPFRSSState ebpf_rss_wait(const EBPFRSS *rss, unsigned timeout_ms)
{
    g_assert_not_reached();
}

void ebpf_rss_set_counting(EBPFRSS *rss, bool on)
{
    g_assert_not_reached();
}

RssCounters ebpf_rss_get_counters(const EBPFRSS *rss)
{
    g_assert_not_reached();
}

void ebpf_rss_unload(EBPFRSS *rss)
{
    g_assert(!rss);
}
