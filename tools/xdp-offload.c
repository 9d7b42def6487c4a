/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xdp-offload: an XDP program in this guest, and the same in its host. See
 * docs/xdp-offload.rst.
 *
 *     load ──▶ -native.c          the program on the device, pinned
 *          └─▶ -offer.c ─▶ -port.c        the same for the host
 *          └─▶ -keeper.c          stays, as a closed port ends the offload
 *     show, stats, map, unload ──▶ -native.c, and the keeper by its socket
 *
 * The guest's program is attached before the host is asked, and stays whatever
 * the host does. So the host may begin, end and begin again at any moment. What
 * the host has is known to the keeper alone: when that process ends, the host
 * has nothing, and no file tells otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xdp-offload.h"

static const struct Command {
    const char *name;
    bool (*run)(char **words, const Options *options, int *status,
                GError **error);
} commands[] = {
    { "load", command_load },
    { "map", command_map },
    { "show", command_show },
    { "stats", command_stats },
    { "unload", command_unload },
};

static const char usage[] =
    "load DEV FILE [sec NAME] [--port PATH]\n"
    "  xdp-offload show [DEV] [--json]\n"
    "  xdp-offload stats [DEV] [--json]\n"
    "  xdp-offload unload [DEV]\n"
    "  xdp-offload map list [--dev DEV] [--json]\n"
    "  xdp-offload map lookup MAP key DATA\n"
    "  xdp-offload map update MAP key DATA value DATA [any|exist|noexist]\n"
    "  xdp-offload map delete MAP key DATA\n"
    "  xdp-offload map dump MAP";

static bool parse_options(Options *options, int *argc, char ***argv,
                          GError **error)
{
    const GOptionEntry entries[] = {
        { "dev", 'd', 0, G_OPTION_ARG_STRING, &options->device,
          "the device, where several have a program", "DEV" },
        { "port", 'p', 0, G_OPTION_ARG_FILENAME, &options->port,
          "load: the port to the host, in the place of"
          " /dev/virtio-ports/org.qemu-ebpf.xdp.0", "PATH" },
        { "timeout", 't', 0, G_OPTION_ARG_INT, &options->timeout,
          "wait so long for each answer of the host (10)", "SECONDS" },
        { "foreground", 0, 0, G_OPTION_ARG_NONE, &options->foreground,
          "load: stay in the foreground", NULL },
        { "json", 'j', 0, G_OPTION_ARG_NONE, &options->json,
          "print JSON", NULL },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version,
          "print the version", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(usage);

    g_option_context_set_description(context,
        "Runs an XDP program on a device of this guest, and the same in the"
        " host.\nSee xdp-offload(8).");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error)) {
        return false;
    }
    return (options->timeout > 0 && options->timeout <= 3600) ||
           refuse(error, "--timeout takes 1 to 3600 seconds");
}

static void options_clear(Options *options)
{
    g_free(options->device);
    g_free(options->port);
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
    refuse(error, "%s%s (see xdp-offload --help)",
           name ? "no such command: " : "a command is missing",
           name ? name : "");
    return NULL;
}

static bool run(int argc, char **argv, int *status, GError **error)
{
    g_auto(Options) options = { .timeout = 10 };
    const struct Command *command;

    if (!parse_options(&options, &argc, &argv, error)) {
        return false;
    }
    if (options.version) {
        puts("xdp-offload " QEMU_EBPF_VERSION);
        return true;
    }
    command = find_command(argv[1], error);
    return command && command->run(argv + 2, &options, status, error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int status = EXIT_SUCCESS;

    if (!run(argc, argv, &status, &error)) {
        say("xdp-offload: %s", error->message);
        return EXIT_FAILURE;
    }
    return status;
}
