/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp-offload load, xdp-offload unload */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "ebpf/steer_program.h"
#include "xdp-offload.h"

static const char default_port[] =
    "/dev/virtio-ports/org.qemu-ebpf.xdp.0";

/* The program, loaded into the guest's kernel. Its maps are its own. */
static ProgramFile *load_file(const char *path, const char *section,
                              GError **error)
{
    static const ProgramKind kind = {
        BPF_PROG_TYPE_XDP, "xdp-offload takes XDP programs, SEC(\"xdp\")"
    };
    g_autoptr(ProgramFile) file = program_file_open(path, section, &kind,
                                                    error);
    struct bpf_map *map;

    if (!file) {
        return NULL;
    }
    bpf_object__for_each_map(map, file->object) {
        bpf_map__set_pin_path(map, NULL);
    }
    return program_file_load(file, error) ? g_steal_pointer(&file) : NULL;
}

/*
 * The rest of the process is the keeper, without a terminal. Returns false in
 * the process that was started by the user.
 */
static bool go_to_background(GError **error)
{
    pid_t pid = fork();
    int null;

    if (pid < 0) {
        return refuse(error, "cannot start a process: %s", g_strerror(errno));
    }
    if (pid) {
        return false;
    }
    setsid();
    null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO) {
        close(null);
    }
    if (chdir("/") < 0) {
        syslog(LOG_WARNING, "cannot go to /: %m");
    }
    openlog("xdp-offload", LOG_PID, LOG_DAEMON);
    return true;
}

/*
 * Offers the program and stays as its keeper, if there is a port. The lock is
 * given back before that. The device has the program, whatever becomes of this.
 */
static bool offload(const char *device, Offer *offer, int lock,
                    const Options *options, int *status, GError **error)
{
    g_autofree char *place = place_of(offer->ifindex);
    Port *port = NULL;
    GError *why = NULL;
    int listener = keeper_listen(place, &why);
    bool stays;

    if (listener >= 0) {
        port = port_open(options->port, options->timeout, &why);
    }
    if (port && offer_make(offer, port, &why)) {
        if (offer->untyped) {
            say("%s: the host knows no types of %s", device, offer->untyped);
        }
        say("%s: offloaded: the host runs the program, too", device);
    } else {
        say("%s: the program runs in the guest alone: %s", device,
            why->message);
        *status = XDP_EXIT_NATIVE;
    }
    stays = port && (options->foreground || go_to_background(error));
    close(lock);
    if (stays) {
        keeper_run(device, offer, listener, port, why, options);
        return true;
    }
    port_close(port);
    g_clear_error(&why);
    if (listener >= 0) {
        close(listener);
    }
    return !*error;
}

static bool parse_words(char **words, const char **section, GError **error)
{
    if (!words[0] || !words[1]) {
        return refuse(error, "load: %s is missing (see xdp-offload --help)",
                      words[0] ? "the program's file" : "the device");
    }
    if (words[2] && (strcmp(words[2], "sec") || !words[3] || words[4])) {
        return refuse(error, "load: unexpected argument \"%s\" (see"
                      " xdp-offload --help)", words[2]);
    }
    *section = words[2] ? words[3] : NULL;
    return true;
}

bool command_load(char **words, const Options *given, int *status,
                  GError **error)
{
    g_autoptr(ProgramFile) file = NULL;
    g_autoptr(Offer) offer = NULL;
    g_autofree char *place = NULL;
    Options options = *given;
    const char *section = NULL;
    int ifindex, lock;

    if (!parse_words(words, &section, error) ||
        !have_capabilities(STEER_CAP_BPF | STEER_CAP_NET_ADMIN, error)) {
        return false;
    }
    ifindex = if_nametoindex(words[0]);
    if (!ifindex) {
        return refuse(error, "%s: no such device", words[0]);
    }
    if (!options.port) {
        options.port = (char *)default_port;
    }
    signal(SIGPIPE, SIG_IGN);
    file = load_file(words[1], section, error);
    offer = file ? offer_new(ifindex, file, error) : NULL;
    lock = offer ? lock_take(error) : -1;
    if (lock < 0) {
        return false;
    }
    place = place_of(ifindex);
    if (!native_attach(words[0], file, error) ||
        !keeper_end(place, options.timeout, error)) {
        close(lock);
        return false;
    }
    g_clear_pointer(&file, program_file_free);
    return offload(words[0], offer, lock, &options, status, error);
}

bool command_unload(char **words, const Options *options, int *status,
                    GError **error)
{
    g_autoptr(Native) native = NULL;
    bool good;
    int lock;

    if (words[0] && words[1]) {
        return refuse(error, "unload: unexpected argument \"%s\"", words[1]);
    }
    native = native_open(words[0] ? words[0] : options->device, error);
    lock = native ? lock_take(error) : -1;
    if (lock < 0) {
        return false;
    }
    good = keeper_end(native->place, options->timeout, error) &&
           native_detach(native, error);
    if (good) {
        say("%s: program \"%s\" is detached", native->name,
            native->program.name);
    }
    close(lock);
    return good;
}
