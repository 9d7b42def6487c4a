/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Views, for programs: JSON, and the text format of Prometheus. */
#include <inttypes.h>
#include <stdio.h>

#include "tap-steer.h"

/* Text that is not UTF-8, such as a program's name, becomes so. */
static void add_text(GString *out, const char *key, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_printf(out, ",\"%s\":", key);
    json_add_string(out, valid);
}

static void add_numbers(GString *out, const char *key, const void *numbers,
                        size_t size, guint count)
{
    guint i;

    g_string_append_printf(out, ",\"%s\":[", key);
    for (i = 0; i < count; i++) {
        uint64_t number = size == 8 ? ((const uint64_t *)numbers)[i] :
                          size == 4 ? ((const uint32_t *)numbers)[i] :
                                      ((const uint16_t *)numbers)[i];

        g_string_append_printf(out, "%s%" PRIu64, i ? "," : "", number);
    }
    g_string_append_c(out, ']');
}

static void add_program(GString *out, const char *key,
                        const struct steer_answer *program,
                        const Record *record)
{
    int i;

    g_string_append_printf(out, ",\"%s\":{\"id\":%u", key,
                           program->program_id);
    add_text(out, "name", program->name);
    g_string_append(out, ",\"tag\":\"");
    for (i = 0; i < STEER_TAG_LEN; i++) {
        g_string_append_printf(out, "%02x", program->tag[i]);
    }
    g_string_append_printf(out, "\",\"since\":%" PRId64 ",\"uid\":%u",
                           time_of_boottime(program->loaded_ns),
                           program->uid);
    add_numbers(out, "maps", program->map_id, 4, program->n_maps);
    if (record) {
        add_text(out, "command", record->command);
    }
    g_string_append_c(out, '}');
}

static const char *state_name(const View *view)
{
    switch (view->tap) {
    case KNOWN_NOT:
        return "unknown";
    case KNOWN_BY_RECORD:
        return "recorded";
    default:
        return view->attached.program_id ? "attached" : "none";
    }
}

static void add_tap(GString *out, const View *view)
{
    add_text(out, "state", state_name(view));
    if (view->unknown) {
        add_text(out, "unknown", view->unknown);
    }
    if (view->attached.program_id) {
        add_program(out, "program", &view->attached, view->record);
    }
    if (view->config_in_force) {
        g_autofree char *types =
            rss_type_names(view->record->config.hash_types);

        add_text(out, "types", types);
    }
    if (view->owner->pid) {
        g_string_append_printf(out, ",\"owner\":{\"pid\":%d",
                               view->owner->pid);
        add_text(out, "name", view->owner->name);
        g_string_append_c(out, '}');
    }
}

static void add_view(GString *out, const View *view)
{
    const LinkInfo *link = &view->device->link;
    g_autoptr(GPtrArray) warnings = view_warnings(view);
    guint i;

    g_string_append(out, "{\"device\":");
    json_add_string(out, link->name);
    g_string_append_printf(out, ",\"ifindex\":%d,\"netns\":%lu,\"queues\":%u",
                           link->ifindex, (unsigned long)view->device->netns,
                           link->queues);
    add_text(out, "kind",
             !link->is_tun ? link->kind : link->is_tap ? "tap" : "tun");
    if (link->is_tun) {
        add_tap(out, view);
    }
    if (view->ours) {
        add_program(out, "filter", &view->filter_program,
                    view->filter_record);
        g_string_append_printf(out, ",\"limit\":%u", view_filter_limit(view));
    }
    if (view->packets) {
        add_numbers(out, "packets", view->packets->data, 8,
                    view->packets->len);
    }
    if (view->counters) {
        add_numbers(out, "steered", view->counters->queue, 8,
                    MIN(link->queues, RSS_COUNTED_QUEUES));
    }
    if (view->table->len) {
        add_numbers(out, "table", view->table->data, 2, view->table->len);
    }
    g_string_append(out, ",\"notes\":[");
    for (i = 0; i < warnings->len; i++) {
        g_string_append(out, i ? "," : "");
        json_add_string(out, g_ptr_array_index(warnings, i));
    }
    g_string_append(out, "]}");
}

void views_print_json(const GPtrArray *views)
{
    g_autoptr(GString) out = g_string_new("[");
    guint i;

    for (i = 0; i < views->len; i++) {
        g_string_append(out, i ? ",\n" : "");
        add_view(out, g_ptr_array_index(views, i));
    }
    printf("%s]\n", out->str);
}

/* device="tap0",netns="4026531840" */
static char *labels(const View *view)
{
    g_autofree char *name = g_utf8_make_valid(view->device->link.name, -1);
    g_autoptr(GString) out = g_string_new("device=");

    json_add_string(out, name);
    g_string_append_printf(out, ",netns=\"%lu\"",
                           (unsigned long)view->device->netns);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

typedef void EachView(const View *view, const char *labels);

static void family(const GPtrArray *views, const char *name, const char *type,
                   const char *help, EachView *each)
{
    guint i;

    printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (i = 0; i < views->len; i++) {
        g_autofree char *text = labels(g_ptr_array_index(views, i));

        each(g_ptr_array_index(views, i), text);
    }
}

static void prom_state(const View *view, const char *labels)
{
    if (view->device->link.is_tun) {
        printf("tap_steer_state{%s,state=\"%s\"} 1\n", labels,
               state_name(view));
    }
}

static void prom_one_program(const struct steer_answer *program,
                             const char *labels, const char *hook)
{
    g_autofree char *valid = g_utf8_make_valid(program->name, -1);
    g_autoptr(GString) name = g_string_new(NULL);

    if (program->program_id) {
        json_add_string(name, valid);
        printf("tap_steer_program_loaded_timestamp_seconds{%s,hook=\"%s\","
               "id=\"%u\",name=%s} %" PRId64 "\n", labels, hook,
               program->program_id, name->str,
               time_of_boottime(program->loaded_ns));
    }
}

static void prom_program(const View *view, const char *labels)
{
    prom_one_program(&view->attached, labels, "tap");
    prom_one_program(&view->filter_program, labels, "filter");
}

static void prom_queues(const View *view, const char *labels)
{
    printf("tap_steer_queues{%s} %u\n", labels, view->device->link.queues);
}

static void prom_packets(const View *view, const char *labels)
{
    guint i;

    for (i = 0; view->packets && i < view->packets->len; i++) {
        printf("tap_steer_queue_packets_total{%s,queue=\"%u\"} %" PRIu64 "\n",
               labels, i, g_array_index(view->packets, uint64_t, i));
    }
}

static void prom_steered(const View *view, const char *labels)
{
    guint i;

    for (i = 0; view->counters && i < MIN(view->device->link.queues,
                                          RSS_COUNTED_QUEUES); i++) {
        printf("tap_steer_queue_steered_total{%s,queue=\"%u\"} %" PRIu64 "\n",
               labels, i, view->counters->queue[i]);
    }
}

void views_print_prometheus(const GPtrArray *views)
{
    family(views, "tap_steer_state", "gauge",
           "What is known of the tap's own hook.", prom_state);
    family(views, "tap_steer_program_loaded_timestamp_seconds", "gauge",
           "When the attached program was loaded.", prom_program);
    family(views, "tap_steer_queues", "gauge",
           "Transmit queues that are on.", prom_queues);
    family(views, "tap_steer_queue_packets_total", "counter",
           "Packets that the device sent into a queue.", prom_packets);
    family(views, "tap_steer_queue_steered_total", "counter",
           "Packets that the RSS program steered to a queue.", prom_steered);
}
