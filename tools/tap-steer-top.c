/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tap-steer top: packets per queue, live, in the terminal */
#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <unistd.h>

#include "tap-steer.h"

enum {
    BAR = 40,                   /* columns */
    BAR_AT = 26,
    KEY_WAIT_MS = 100,
};

/* What a device had sent when it was last looked at. */
typedef struct Past {
    ino_t netns;
    int ifindex;
    GArray *packets;
} Past;

static void past_free(Past *past)
{
    g_array_unref(past->packets);
    g_free(past);
}

static const Past *find_past(const GPtrArray *pasts, const Device *device)
{
    guint i;

    for (i = 0; pasts && i < pasts->len; i++) {
        const Past *past = g_ptr_array_index(pasts, i);

        if (past->netns == device->netns &&
            past->ifindex == device->link.ifindex) {
            return past;
        }
    }
    return NULL;
}

static void remember(GPtrArray *pasts, const View *view)
{
    Past *past;

    if (view->packets) {
        past = g_new0(Past, 1);
        past->netns = view->device->netns;
        past->ifindex = view->device->link.ifindex;
        past->packets = g_array_ref(view->packets);
        g_ptr_array_add(pasts, past);
    }
}

/* Packets of a queue since @past, or of all time if there is none. */
static uint64_t since(const View *view, const Past *past, guint queue)
{
    uint64_t now = g_array_index(view->packets, uint64_t, queue);
    uint64_t then = past && queue < past->packets->len
                    ? g_array_index(past->packets, uint64_t, queue) : 0;

    return now >= then ? now - then : now;
}

static void draw_program(const char *what, const struct steer_answer *program)
{
    gint64 seconds = time_of_boottime(program->loaded_ns);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);
    g_autofree char *text = time ? g_date_time_format(time, "%F %T") : NULL;

    printw("  %s: program %u \"%s\" since %s\n", what, program->program_id,
           program->name, text ? text : "?");
}

static void draw_head(const View *view)
{
    const LinkInfo *link = &view->device->link;

    attron(A_BOLD);
    printw("%s", link->name);
    attroff(A_BOLD);
    printw("  %s, %u queues on", link->is_tun ? "tap" : link->kind,
           link->queues);
    if (view->owner && view->owner->pid) {
        printw(", open by %s (%d)", view->owner->name, view->owner->pid);
    }
    printw("\n");
    if (view->attached.program_id) {
        draw_program("hook", &view->attached);
    } else if (link->is_tun) {
        printw("  hook: %s\n", view->tap == KNOWN_NOT ? "unknown"
                                                      : "no program");
    }
    if (view->ours) {
        draw_program("filter", &view->filter_program);
    }
    if (view->config_in_force) {
        g_autofree char *types =
            rss_type_names(view->record->config.hash_types);

        printw("  hash types: %s\n", types);
    }
}

/* Where the table would have the bar end, if all flows were alike. */
static int table_column(const View *view, guint queue)
{
    guint share = 0, i;

    for (i = 0; i < view->table->len; i++) {
        share += g_array_index(view->table, uint16_t, i) == queue;
    }
    return view->table->len ? share * BAR / view->table->len : -1;
}

static void draw_queue(const View *view, const Past *past, guint queue,
                       uint64_t sum, double seconds)
{
    uint64_t packets = since(view, past, queue);
    int filled = sum ? packets * BAR / sum : 0;
    int mark = table_column(view, queue), column;

    printw("  queue %-3u %10.0f%s ", queue,
           past ? packets / seconds : (double)packets, past ? "/s" : "");
    move(getcury(stdscr), BAR_AT);
    for (column = 0; column < BAR; column++) {
        addch(column == mark ? '|' : column < filled ? '#' : '.');
    }
    printw(" %3d %%\n", (int)(sum ? packets * 100 / sum : 0));
}

static void draw_view(const View *view, const Past *past, double seconds)
{
    uint64_t sum = 0;
    guint i;

    draw_head(view);
    if (!view->packets) {
        printw("  packets per queue: unknown (no queueing discipline"
               " \"mq\")\n\n");
        return;
    }
    for (i = 0; i < view->packets->len; i++) {
        sum += since(view, past, i);
    }
    for (i = 0; i < view->packets->len; i++) {
        draw_queue(view, past, i, sum, seconds);
    }
    printw("\n");
}

/* Draws all devices, or one; what they have sent goes into the result. */
static GPtrArray *draw(const char *name, SteerReader *reader,
                       const GError *why, const GPtrArray *pasts,
                       double seconds, GError **error)
{
    g_autoptr(GPtrArray) devices = NULL;
    GPtrArray *now = g_ptr_array_new_with_free_func((GDestroyNotify)past_free);
    guint i;

    if (name) {
        Device *device = device_open(name, error);

        devices = g_ptr_array_new_with_free_func((GDestroyNotify)device_free);
        if (device) {
            g_ptr_array_add(devices, device);
        }
    } else {
        devices = device_list(error);
    }
    erase();
    printw("tap-steer top: every %.1f s; | is the table's share; q ends it\n\n",
           seconds);
    for (i = 0; devices && i < devices->len; i++) {
        const Device *device = g_ptr_array_index(devices, i);
        g_autoptr(View) view = view_new(device, reader, why);

        if (name || view_is_worth_showing(view)) {
            draw_view(view, find_past(pasts, device), seconds);
            remember(now, view);
        }
    }
    refresh();
    return now;
}

/* True if the user wants to end it. */
static bool wait_for_key(double seconds)
{
    gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    timeout(KEY_WAIT_MS);
    while (g_get_monotonic_time() < end) {
        if (getch() == 'q') {
            return true;
        }
    }
    return false;
}

bool command_top(const char *name, const Options *options, GError **error)
{
    double seconds = CLAMP(options->interval, 0.1, 3600);
    g_autoptr(GError) why = NULL, failed = NULL;
    g_autoptr(SteerReader) reader = NULL;
    GPtrArray *pasts = NULL, *now;
    bool ended = false;
    int drawn = 0;

    if (!isatty(STDOUT_FILENO)) {
        return refuse(error, "top: the output is not a terminal; \"show\""
                      " prints what is there once");
    }
    setlocale(LC_ALL, "");
    reader = steer_reader_new(&why);
    initscr();
    noecho();
    curs_set(0);
    while (!ended && !failed) {
        now = draw(name, reader, why, pasts, seconds, &failed);
        g_clear_pointer(&pasts, g_ptr_array_unref);
        pasts = now;
        drawn++;
        ended = (options->times && drawn >= options->times) || failed ||
                wait_for_key(seconds);
    }
    endwin();
    g_clear_pointer(&pasts, g_ptr_array_unref);
    if (failed) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    return true;
}
