/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp-offload show, xdp-offload stats */
#include <inttypes.h>
#include <stdio.h>

#include "xdp-offload.h"

/* Packets in the host, or false with @why set. */
static bool ask_stats(const Native *native, const Options *options,
                      XdpWireMessage *stats, GError **why)
{
    g_autoptr(Port) keeper = keeper_connect(native->place, options->timeout,
                                            why);

    *stats = (XdpWireMessage) { XDP_OP_STATS };
    return keeper && port_ask(keeper, stats, "the host", why);
}

static void print_host(const XdpWireMessage *stats, const GError *why)
{
    if (why) {
        printf("  host: not offloaded: %s\n", why->message);
        return;
    }
    printf("  host: offloaded for %" PRIu64 " s, maps take %" PRIu64
           " KiB\n", stats->stats.since / 1000000000,
           stats->stats.memory / 1024);
    printf("  host: packets: %" PRIu64 " passed, %" PRIu64 " dropped, %" PRIu64
           " sent back, %" PRIu64 " not examined\n", stats->stats.passed,
           stats->stats.dropped, stats->stats.sent, stats->stats.unexamined);
}

static void print_program(const Native *native)
{
    guint i;

    printf("%s: program %u \"%s\", %s XDP\n", native->name,
           native->program.id, native->program.name,
           native->generic ? "generic" : "native");
    for (i = 0; i < native->maps->len; i++) {
        const struct bpf_map_info *info =
            &g_array_index(native->maps, GuestMap, i).info;

        printf("  map %u \"%s\"\n", info->id, info->name);
    }
}

static void add_host(GString *out, const XdpWireMessage *stats,
                     const GError *why)
{
    if (why) {
        g_string_append(out, ",\"offloaded\":false,\"why\":");
        json_add_string(out, why->message);
        return;
    }
    g_string_append_printf(out, ",\"offloaded\":true,\"passed\":%" PRIu64
        ",\"dropped\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"unexamined\":%" PRIu64
        ",\"memory\":%" PRIu64 ",\"since_ns\":%" PRIu64,
        stats->stats.passed, stats->stats.dropped, stats->stats.sent,
        stats->stats.unexamined, stats->stats.memory, stats->stats.since);
}

static void add_program(GString *out, const Native *native)
{
    guint i;

    g_string_append_printf(out, ",\"id\":%u,\"name\":", native->program.id);
    json_add_string(out, native->program.name);
    g_string_append_printf(out, ",\"mode\":\"%s\",\"maps\":[",
                           native->generic ? "generic" : "native");
    for (i = 0; i < native->maps->len; i++) {
        const struct bpf_map_info *info =
            &g_array_index(native->maps, GuestMap, i).info;

        g_string_append_printf(out, "%s{\"id\":%u,\"name\":", i ? "," : "",
                               info->id);
        json_add_string(out, info->name);
        g_string_append_c(out, '}');
    }
    g_string_append_c(out, ']');
}

/* Shows a device; with @program or the host's packets alone. */
static void show_one(const Native *native, bool program, GString *json,
                     const Options *options)
{
    g_autoptr(GError) why = NULL;
    XdpWireMessage stats;

    ask_stats(native, options, &stats, &why);
    if (json) {
        g_string_append(json, json->len > 1 ? ",\n{\"device\":" :
                                              "{\"device\":");
        json_add_string(json, native->name);
        if (program) {
            add_program(json, native);
        }
        add_host(json, &stats, why);
        g_string_append_c(json, '}');
        return;
    }
    if (program) {
        print_program(native);
    } else {
        printf("%s:\n", native->name);
    }
    print_host(&stats, why);
}

static bool show(char **words, bool program, const Options *options,
                 GError **error)
{
    const char *name = words[0] ? words[0] : options->device;
    g_autoptr(GString) json = options->json ? g_string_new("[") : NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(Native) native = NULL;
    guint i;

    if (words[0] && words[1]) {
        return refuse(error, "unexpected argument \"%s\"", words[1]);
    }
    if (name) {
        native = native_open(name, error);
    } else {
        list = native_list(error);
    }
    if (!native && !list) {
        return false;
    }
    for (i = 0; list && i < list->len; i++) {
        show_one(g_ptr_array_index(list, i), program, json, options);
    }
    if (native) {
        show_one(native, program, json, options);
    }
    if (json) {
        printf("%s]\n", json->str);
    }
    return true;
}

bool command_show(char **words, const Options *options, int *status,
                  GError **error)
{
    return show(words, true, options, error);
}

bool command_stats(char **words, const Options *options, int *status,
                   GError **error)
{
    return show(words, false, options, error);
}
