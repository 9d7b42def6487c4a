/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that can be known of a device's steering, gathered. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ebpf/steer_rss.h"
#include "net/rss_compile.h"
#include "tap-steer.h"

enum {
    MAX_TCX = 64,
};

/* BPF_TCX_EGRESS: linux/bpf.h has it since 6.6. */
static const enum bpf_attach_type tcx_egress = 47;

/* What the kernel says of a program's number. False if that is gone. */
static bool ask_program(uint32_t id, struct steer_answer *answer)
{
    struct bpf_prog_info info = { 0 };
    uint32_t size = sizeof(info);
    int fd = bpf_prog_get_fd_by_id(id);
    bool done;

    if (fd < 0) {
        return false;
    }
    info.map_ids = (uintptr_t)answer->map_id;
    info.nr_map_ids = STEER_MAX_MAPS;
    done = bpf_obj_get_info_by_fd(fd, &info, &size) == 0;
    close(fd);
    if (done) {
        answer->program_id = info.id;
        answer->loaded_ns = info.load_time;
        answer->uid = info.created_by_uid;
        answer->n_maps = MIN(info.nr_map_ids, STEER_MAX_MAPS);
        memcpy(answer->tag, info.tag, STEER_TAG_LEN);
        memcpy(answer->name, info.name, STEER_NAME_LEN);
    }
    return done;
}

static void read_tap(View *view, SteerReader *reader, const GError *why)
{
    const Device *device = view->device;
    g_autoptr(Record) record = record_read(device, SLOT_TAP);
    g_autoptr(GError) error = NULL;

    if (reader && steer_reader_ask(reader, device->netns,
                                   device->link.ifindex, &view->attached,
                                   &error)) {
        view->tap = KNOWN;
    } else {
        view->unknown = g_strdup(error ? error->message :
                                 why ? why->message : "not asked");
        memset(&view->attached, 0, sizeof(view->attached));
        view->tap = KNOWN_NOT;
        if (record && ask_program(record->id, &view->attached) &&
            record_is_of(record, &view->attached)) {
            view->tap = KNOWN_BY_RECORD;
        }
    }
    if (record && view->tap != KNOWN_NOT &&
        record_is_of(record, &view->attached)) {
        view->record = g_steal_pointer(&record);
    }
}

static void read_filters(View *view)
{
    const Device *device = view->device;
    guint i;

    view->filters = tc_steering_list(device->nl, device->link.ifindex, NULL);
    for (i = 0; view->filters && i < view->filters->len; i++) {
        const TcFilter *filter = &g_array_index(view->filters, TcFilter, i);

        if (!view->ours && tc_filter_is_ours(filter)) {
            view->ours = filter;
        }
    }
    if (view->ours) {
        view->filter_program.program_id = view->ours->program_id;
        ask_program(view->ours->program_id, &view->filter_program);
        view->filter_record = record_read(device, SLOT_FILTER);
    }
    if (view->filter_record &&
        !record_is_of(view->filter_record, &view->filter_program)) {
        g_clear_pointer(&view->filter_record, record_free);
    }
}

/* Empty, too, where the kernel has no TCX. */
static void read_tcx(View *view)
{
    uint32_t ids[MAX_TCX];
    LIBBPF_OPTS(bpf_prog_query_opts, opts,
                .prog_ids = ids, .prog_cnt = MAX_TCX);

    view->tcx = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    if (bpf_prog_query_opts(view->device->link.ifindex, tcx_egress,
                            &opts) == 0) {
        g_array_append_vals(view->tcx, ids, MIN(opts.prog_cnt, MAX_TCX));
    }
}

/* A record may tell of a configuration that its writer did not put there. */
static bool is_in_force(const RssConfig *config,
                        const struct rss_policy *policy)
{
    struct rss_policy recorded;

    if (!config->table_len) {
        return false;
    }
    rss_compile(config, &recorded);
    return !memcmp(&recorded, policy, sizeof(recorded));
}

static void read_rss(View *view)
{
    int fds[EBPF_RSS_FDS];
    RssCounters counters;
    struct rss_map map;

    view->table = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    if (!view->attached.program_id || steer_rss_fds(&view->attached, fds)) {
        return;
    }
    if (steer_rss_read(fds, &map, &counters)) {
        g_array_append_vals(view->table, map.slot[map.active].table,
                            RSS_TABLE_MAX);
        view->config_in_force = view->record &&
            is_in_force(&view->record->config, &map.slot[map.active]);
        if (map.counting) {
            view->counters = g_memdup2(&counters, sizeof(counters));
        }
    }
    steer_rss_close(fds);
}

View *view_new(const Device *device, SteerReader *reader, const GError *why)
{
    View *view = g_new0(View, 1);

    view->device = device;
    view->tap = KNOWN;
    if (device->link.is_tun) {
        read_tap(view, reader, why);
        view->owner = tap_owner_find(&device->link, device->netns);
    }
    read_filters(view);
    read_tcx(view);
    read_rss(view);
    view->packets = link_queue_packets(device->nl, &device->link);
    return view;
}

void view_free(View *view)
{
    if (view) {
        g_free(view->unknown);
        record_free(view->record);
        record_free(view->filter_record);
        g_clear_pointer(&view->filters, g_array_unref);
        g_array_unref(view->tcx);
        g_array_unref(view->table);
        g_clear_pointer(&view->packets, g_array_unref);
        g_free(view->counters);
        tap_owner_free(view->owner);
        g_free(view);
    }
}

bool view_is_worth_showing(const View *view)
{
    return view->device->link.is_tun || view->ours;
}

/* Of this project's QEMU, or of others. */
static bool is_rss(const struct steer_answer *program)
{
    return g_str_has_prefix(program->name, "rss_") ||
           g_str_has_prefix(program->name, "tun_rss_steerin");
}

char *view_in_use(const View *view)
{
    const TapOwner *owner = view->owner;
    guint i;

    if (view->attached.program_id && !view->record &&
        is_rss(&view->attached)) {
        return g_strdup_printf("program %u \"%s\" is the RSS of a virtual"
                               " machine", view->attached.program_id,
                               view->attached.name);
    }
    for (i = 0; owner && i < owner->programs->len; i++) {
        uint32_t id = g_array_index(owner->programs, uint32_t, i);
        struct steer_answer program = { 0 };

        if (!ask_program(id, &program) || is_rss(&program)) {
            return g_strdup_printf("%s (process %d), which has it open, holds"
                                   " program %u for the RSS of its guest",
                                   owner->name, owner->pid, id);
        }
    }
    return NULL;
}

unsigned view_filter_limit(const View *view)
{
    unsigned limit = 0;

    if (view->ours) {
        sscanf(view->ours->name, TC_STEERING_PREFIX ":%u:", &limit);
    }
    return limit;
}

static void warn_of_filters(const View *view, GPtrArray *warnings)
{
    bool before = true;
    guint i;

    for (i = 0; i < view->filters->len; i++) {
        const TcFilter *filter = &g_array_index(view->filters, TcFilter, i);

        if (filter == view->ours) {
            before = false;
            continue;
        }
        g_ptr_array_add(warnings, g_strdup_printf(
            "a filter of others (%s%s%s, priority %u) comes %s ours: %s",
            filter->kind, *filter->name ? " " : "", filter->name,
            filter->priority, before ? "before" : "behind",
            before ? "a packet that it decides on never reaches ours"
                   : "if it sets a queue, too, it wins"));
    }
}

static void warn_of_filter(const View *view, GPtrArray *warnings)
{
    unsigned limit = view_filter_limit(view);
    unsigned queues = view->device->link.queues;

    if (limit && limit != queues) {
        g_ptr_array_add(warnings, g_strdup_printf(
            "the filter was loaded for %u queues, now there are %u: load it"
            " again", limit, queues));
    }
    if (!view->ours->chooses) {
        g_ptr_array_add(warnings, g_strdup(
            "the filter chooses no queue: its action was changed, or this"
            " kernel does not support it"));
    }
    if (view->tcx->len) {
        g_ptr_array_add(warnings, g_strdup_printf(
            "a TCX program of others (%u) comes before the filter: a packet"
            " that it passes or drops (TCX_PASS, TCX_DROP) never reaches ours",
            g_array_index(view->tcx, uint32_t, 0)));
    }
    warn_of_filters(view, warnings);
}

GPtrArray *view_warnings(const View *view)
{
    GPtrArray *warnings = g_ptr_array_new_with_free_func(g_free);
    const LinkInfo *link = &view->device->link;

    if (view->ours) {
        warn_of_filter(view, warnings);
    }
    if (view->attached.program_id && view->ours) {
        g_ptr_array_add(warnings, g_strdup(
            "the filter wins; the tap's program is asked where it has no"
            " opinion"));
    }
    if (view->attached.program_id && link->queues < 2) {
        g_ptr_array_add(warnings, g_strdup(
            "with one queue on, the program is not asked"));
    }
    return warnings;
}

gint64 time_of_boottime(uint64_t ns)
{
    struct timespec now;
    gint64 booted;              /* microseconds since 1970 */

    clock_gettime(CLOCK_BOOTTIME, &now);
    booted = g_get_real_time() - (gint64)now.tv_sec * G_USEC_PER_SEC -
             now.tv_nsec / 1000;
    return (booted + (gint64)(ns / 1000)) / G_USEC_PER_SEC;
}
