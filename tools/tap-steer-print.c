/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A view, for people. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tap-steer.h"

static void print_time(uint64_t loaded_ns)
{
    gint64 seconds = time_of_boottime(loaded_ns);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);
    g_autofree char *text = time ? g_date_time_format(time, "%F %T") : NULL;

    printf(", since %s", text ? text : "?");
}

static void print_program(const struct steer_answer *program,
                          const Record *record)
{
    uint32_t i;

    printf("program %u \"%s\", tag ", program->program_id, program->name);
    for (i = 0; i < STEER_TAG_LEN; i++) {
        printf("%02x", program->tag[i]);
    }
    print_time(program->loaded_ns);
    printf(", loaded by user %u\n", program->uid);
    if (record) {
        printf("           by \"tap-steer %s\"\n", record->command);
    }
    if (program->n_maps) {
        printf("           maps");
        for (i = 0; i < program->n_maps; i++) {
            printf(" %u", program->map_id[i]);
        }
        printf("\n");
    }
}

static void print_tap(const View *view)
{
    printf("  hook     ");
    if (view->tap == KNOWN_NOT) {
        printf("unknown: %s\n", view->unknown);
    } else if (!view->attached.program_id) {
        printf("none\n");
    } else {
        print_program(&view->attached, view->record);
        if (view->tap == KNOWN_BY_RECORD) {
            printf("           as recorded, and the program exists; %s\n",
                   view->unknown);
        }
    }
}

/* Of what "tap-steer rss" attached. */
static void print_config(const View *view)
{
    g_autofree char *types = NULL;

    if (!view->record || !view->record->config.table_len) {
        return;
    }
    types = rss_type_names(view->record->config.hash_types);
    printf("  types    %s\n", view->config_in_force ? types :
           "unknown: the record is not what is in force");
}

static void print_filter(const View *view)
{
    unsigned limit = view_filter_limit(view);

    printf("  filter   ");
    print_program(&view->filter_program, view->filter_record);
    printf("           priority %u", view->ours->priority);
    if (limit) {
        printf(", queues 0 to %u, any other value is no opinion", limit - 1);
    }
    printf("\n");
}

static void print_owner(const TapOwner *owner)
{
    if (owner->pid) {
        printf("  open by  %s (process %d)\n", owner->name, owner->pid);
    } else if (owner->unread) {
        printf("  open by  unknown: %u processes may not be looked at%s\n",
               owner->unread, steer_lacks(EPERM, STEER_CAP_SYS_PTRACE));
    } else {
        printf("  open by  nobody\n");
    }
}

static unsigned table_share(const View *view, unsigned queue)
{
    unsigned share = 0;
    guint i;

    for (i = 0; i < view->table->len; i++) {
        share += g_array_index(view->table, uint16_t, i) == queue;
    }
    return share;
}

static void print_queues(const View *view)
{
    guint i;

    if (!view->packets) {
        printf("  packets  unknown for each queue: the device has no queueing"
               " discipline \"mq\"\n");
        return;
    }
    for (i = 0; i < view->packets->len; i++) {
        printf("  queue %-3u %12" PRIu64 " packets", i,
               g_array_index(view->packets, uint64_t, i));
        if (view->counters && i < RSS_COUNTED_QUEUES) {
            printf(", %" PRIu64 " steered", view->counters->queue[i]);
        }
        if (view->table->len) {
            printf(", %u of %u entries of the table", table_share(view, i),
                   view->table->len);
        }
        printf("\n");
    }
}

void view_print(const View *view)
{
    const LinkInfo *link = &view->device->link;
    g_autoptr(GPtrArray) warnings = view_warnings(view);
    guint i;

    printf("%s: %s, %u queues on", link->name,
           !link->is_tun ? link->kind : link->is_tap ? "tap" : "tun",
           link->queues);
    if (link->detached) {
        printf(", %u off", link->detached);
    }
    printf(", network namespace %lu\n", (unsigned long)view->device->netns);
    if (link->is_tun) {
        print_tap(view);
        print_config(view);
    }
    if (view->ours) {
        print_filter(view);
    }
    if (view->owner) {
        print_owner(view->owner);
    }
    print_queues(view);
    for (i = 0; i < warnings->len; i++) {
        printf("  note     %s\n", (char *)g_ptr_array_index(warnings, i));
    }
}
