/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap-steer: the administrator's own steering program on a tap, or on any
 * device with several transmit queues. See docs/tap-steer.rst.
 *
 *     tap-steer.c ──▶ -COMMAND.c ──▶ -view.c             what is there
 *                               ├──▶ -attach.c           the tap's own hook
 *                               └──▶ net/tc_steering.c   --fallback
 *
 * It changes one thing at a time, last: whenever it is killed, the device has
 * what it had before, or what it was to get.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap-steer.h"

static const struct Command {
    const char *name;
    bool (*run)(const char *device, const Options *options, GError **error);
    bool needs_device, takes_obj;
} commands[] = {
    { "load", command_load, true, true },
    { "rss", command_rss, true, false },
    { "set", command_set, true, false },
    { "show", command_show, false, false },
    { "unload", command_unload, true, false },
    { "top", command_top, false, false },
    { "try", command_try, true, true },
};

static const char usage[] =
    "load DEV obj FILE [sec NAME] [--fallback]\n"
    "  tap-steer rss DEV [--key HEX] [--types LIST] [--queues N | --weights"
    " LIST]\n"
    "  tap-steer set DEV [the same]\n"
    "  tap-steer show [DEV] [--json | --prometheus]\n"
    "  tap-steer unload DEV\n"
    "  tap-steer top [DEV]\n"
    "  tap-steer try DEV obj FILE [sec NAME] --pcap FILE";

static bool parse_options(Options *options, int *argc, char ***argv,
                          GError **error)
{
    const GOptionEntry entries[] = {
        { "netns", 'n', 0, G_OPTION_ARG_STRING, &options->netns,
          "in this network namespace: a name, a process, or a path", "NS" },
        { "fallback", 'f', 0, G_OPTION_ARG_NONE, &options->fallback,
          "by a tc filter: values that are no queue are no opinion", NULL },
        { "yes", 'y', 0, G_OPTION_ARG_NONE, &options->yes,
          "accept what the first --fallback on a device costs", NULL },
        { "force", 0, 0, G_OPTION_ARG_NONE, &options->force,
          "also where a virtual machine's RSS uses the tap", NULL },
        { "own-queue", 0, 0, G_OPTION_ARG_NONE, &options->own_queue,
          "by a queue of our own, which loses packets", NULL },
        { "json", 'j', 0, G_OPTION_ARG_NONE, &options->json,
          "print JSON", NULL },
        { "prometheus", 0, 0, G_OPTION_ARG_NONE, &options->prometheus,
          "print the text format of Prometheus", NULL },
        { "pcap", 0, 0, G_OPTION_ARG_FILENAME, &options->pcap,
          "packets to try", "FILE" },
        { "key", 0, 0, G_OPTION_ARG_STRING, &options->key,
          "RSS: up to 40 bytes of key; colons are ignored", "HEX" },
        { "types", 0, 0, G_OPTION_ARG_STRING, &options->types,
          "RSS: hash types, such as ipv4,tcpv4; all; none", "LIST" },
        { "queues", 0, 0, G_OPTION_ARG_INT, &options->queues,
          "RSS: to the first N queues alike", "N" },
        { "weights", 0, 0, G_OPTION_ARG_STRING, &options->weights,
          "RSS: shares of the queues, such as 6,1,1", "LIST" },
        { "count", 0, 0, G_OPTION_ARG_NONE, &options->count,
          "RSS: count packets", NULL },
        { "no-count", 0, 0, G_OPTION_ARG_NONE, &options->no_count,
          "RSS: do not count packets", NULL },
        { "interval", 0, 0, G_OPTION_ARG_DOUBLE, &options->interval,
          "top: seconds between two views", "SECONDS" },
        { "times", 0, 0, G_OPTION_ARG_INT, &options->times,
          "top: end after N views", "N" },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version,
          "print the version", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(usage);

    g_option_context_set_description(context,
        "Chooses the queue of each packet that a device sends, by a BPF"
        " program.\nSee tap-steer(8).");
    g_option_context_add_main_entries(context, entries, NULL);
    return g_option_context_parse(context, argc, argv, error);
}

static void options_clear(Options *options)
{
    g_free(options->netns);
    g_free(options->pcap);
    g_free(options->key);
    g_free(options->types);
    g_free(options->weights);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static const struct Command *find_command(const char *name, GError **error)
{
    size_t i;

    for (i = 0; name && i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    refuse(error, "%s%s (see tap-steer --help)",
           name ? "no such command: " : "a command is missing",
           name ? name : "");
    return NULL;
}

/* The words behind the device, in pairs, as ip(8) takes them. */
static bool parse_words(const struct Command *command, char **words,
                        Options *options, GError **error)
{
    for (; *words; words += 2) {
        char **value = !strcmp(*words, "obj") ? &options->obj :
                       !strcmp(*words, "sec") ? &options->sec : NULL;

        if (!command->takes_obj || !value || *value || !words[1]) {
            return refuse(error, "%s: unexpected argument \"%s\" (see"
                          " tap-steer --help)", command->name, *words);
        }
        *value = words[1];
    }
    return !command->takes_obj || options->obj ||
           refuse(error, "%s: the program's file is missing: obj FILE",
                  command->name);
}

static bool run(int argc, char **argv, GError **error)
{
    g_auto(Options) options = { .interval = 1 };
    const struct Command *command;
    char *device;

    if (!parse_options(&options, &argc, &argv, error)) {
        return false;
    }
    if (options.version) {
        puts("tap-steer " QEMU_EBPF_VERSION);
        return true;
    }
    command = find_command(argv[1], error);
    if (!command) {
        return false;
    }
    device = argc > 2 ? argv[2] : NULL;
    if (!device && command->needs_device) {
        return refuse(error, "%s: the device is missing", command->name);
    }
    return (!device || parse_words(command, argv + 3, &options, error)) &&
           enter_netns(options.netns, error) &&
           command->run(device, &options, error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    if (!run(argc, argv, &error)) {
        say("tap-steer: %s", error->message);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
