/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-xdp-helper: a guest's XDP program in the host, for a QEMU that may not
 *
 *     guest ── port ──▶ QEMU ── frames ──▶ this ── bpf() ──▶ tap
 *
 * It has privileges that its caller lacks, and loads what a guest sends. So
 * first of all it gives up what it does not need (confine.c); it opens no file
 * to write but a stub's slot, and listens to one socket. Who may use a tap
 * proves that by its descriptor. One process is for one card: when it ends,
 * however it ends, the tap passes all packets on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "ebpf/xdp_attach.h"
#include "ebpf/xdp_code.h"
#include "ebpf/xdp_helper_wire.h"
#include "ebpf/xdp_session.h"
#include "ebpf/xdp_stub.h"
#include "ebpf/xdp_wire.h"
#include "helper_socket.h"
#include "net/socket_fds.h"

typedef struct Options {
    bool inetd, trusted, no_types, by_filter;
    const char *stubs;
} Options;

static const char help[] =
    "Usage: qemu-xdp-helper --inetd [--trusted] [--no-types] [--cls-bpf]"
    " [--stubs=FOLDER]\n"
    "       qemu-xdp-helper --make-stub=TAP [--stubs=FOLDER]\n"
    "\n"
    "Runs the XDP program of a QEMU guest at the egress of its tap, for a\n"
    "QEMU that may not do this. systemd starts it for each connection.\n"
    "\n"
    "  --inetd    the socket is the standard input: AF_UNIX, SOCK_SEQPACKET,\n"
    "             connected\n"
    "  --trusted  guests may calculate with pointers, if QEMU says so, too;\n"
    "             takes CAP_PERFMON\n"
    "  --no-types maps are shown as bytes: the kernel reads no types (BTF) of\n"
    "             guests\n"
    "  --cls-bpf  attach as before Linux 6.6\n"
    "  --stubs=FOLDER   where stubs for devmaps are\n"
    "  --make-stub=TAP  make one, in " XDP_STUB_FOLDER " or FOLDER\n"
    "  --help     print this\n"
    "  --version  print the version\n"
    "\n"
    "It needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.8.\n";

/* For mistakes of whoever runs it; there may be no socket to tell it. */
static int refuse(const char *what, const char *argument)
{
    fprintf(stderr, "qemu-xdp-helper: %s%s (see qemu-xdp-helper --help)\n",
            what, argument);
    return EXIT_FAILURE;
}

static bool parse_option(const char *argument, Options *options)
{
    static const char stubs[] = "--stubs=";
    bool *option = !strcmp(argument, "--inetd") ? &options->inetd
                 : !strcmp(argument, "--trusted") ? &options->trusted
                 : !strcmp(argument, "--no-types") ? &options->no_types
                 : !strcmp(argument, "--cls-bpf") ? &options->by_filter : NULL;

    if (g_str_has_prefix(argument, stubs) && !options->stubs) {
        options->stubs = argument + strlen(stubs);
        return true;
    }
    if (!option || *option) {
        return false;
    }
    *option = true;
    return true;
}

/* One line for the journal. */
static void tell(const XdpHelperRequest *request, const char *what)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    fprintf(stderr, "%s, for process %ld of user %lu: %s\n",
            request->name[0] ? request->name : "no name", (long)peer.pid,
            (unsigned long)peer.uid, what);
}

/* Above 0 if there is one, 0 if the time is over; below 0: it cannot wait. */
static int wait_for_message(int timeout_ms)
{
    struct pollfd ready = { .fd = STDIN_FILENO, .events = POLLIN };
    int n;

    do {
        n = poll(&ready, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n;
}

static bool request_is_good(const XdpHelperRequest *request)
{
    static const char magic[XDP_HELPER_MAGIC_LEN] = XDP_HELPER_MAGIC;
    size_t len = strnlen(request->name, XDP_HELPER_NAME_LEN), i;

    for (i = 0; i < len; i++) {
        if (!g_ascii_isalnum(request->name[i]) &&
            !strchr("_.-", request->name[i])) {
            return false;
        }
    }
    return !memcmp(request->magic, magic, sizeof(magic)) && len > 0 &&
           len < XDP_HELPER_NAME_LEN && !request->reserved &&
           !(request->flags & ~(XDP_HELPER_REWRITE | XDP_HELPER_TRUSTED |
                                XDP_HELPER_GSO_PASS));
}

/* The tap's descriptor, or -1 with @why set. */
static int read_request(XdpHelperRequest *request, const char **why)
{
    int fd = -1;
    ssize_t len = wait_for_message(XDP_HELPER_REQUEST_MS) > 0
                  ? receive_fd(STDIN_FILENO, request, sizeof(*request),
                               MSG_TRUNC, &fd)
                  : 0;

    if (len <= 0) {
        *why = "no request";
    } else if (len != sizeof(*request) || !request_is_good(request)) {
        *why = "not a request that this helper knows";
    } else if (fd < 0) {
        *why = "no descriptor of a tap came with the request";
    } else {
        return fd;
    }
    if (len != sizeof(*request) || !request_is_good(request)) {
        memset(request, 0, sizeof(*request));   /* it has no name */
    }
    return -1;
}

static XdpSession *open_session(const XdpHelperRequest *request, int tap,
                                const Options *options, GError **error)
{
    char name[IF_NAMESIZE];
    const XdpSessionConfig config = {
        .ifindex = xdp_attach_find_tap(tap, name, error),
        .max_insns = request->max_insns, .max_maps = request->max_maps,
        .max_memory = request->max_memory,
        .rewrite = request->flags & XDP_HELPER_REWRITE,
        .trusted = request->flags & XDP_HELPER_TRUSTED,
        .gso_pass = request->flags & XDP_HELPER_GSO_PASS,
        .no_types = options->no_types, .by_filter = options->by_filter,
        .stubs = options->stubs, .tap = name,
    };

    if (!config.ifindex) {
        return NULL;
    }
    if (config.trusted && !options->trusted) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_HOST,
                    "\"trusted\" is not allowed (qemu-xdp-helper --trusted)");
        return NULL;
    }
    return xdp_session_new(&config, error);
}

/* What QEMU is told before the guest's answer: see xdp_helper_wire.h. */
static bool tell_redirected(XdpSession *session)
{
    g_autofree char *what = xdp_session_take_redirected(session);
    g_autofree char *text = g_strconcat(XDP_HELPER_REDIRECTED, what, NULL);

    return !what || helper_answer(STDIN_FILENO, MSG_DONTWAIT, text, NULL, 0);
}

/* Until the other end is closed, or does not take its answers. */
static const char *serve(XdpSession *session)
{
    /* One byte more shows what is too long. */
    g_autofree uint8_t *frame = g_malloc(XDP_WIRE_MAX + 1);
    ssize_t len;

    for (;;) {
        g_autoptr(GByteArray) answer = NULL;
        int ready = wait_for_message(xdp_session_renew(session));

        if (ready == 0) {
            continue;
        }
        if (ready < 0) {
            return "ended: it cannot wait for the guest";
        }
        len = recv(STDIN_FILENO, frame, XDP_WIRE_MAX + 1, MSG_DONTWAIT);
        if (len < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (len <= 0) {
            return "ended";
        }
        answer = xdp_session_answer(session, frame, len);
        if (!answer) {
            return "ended: what came was no frame";
        }
        if (!tell_redirected(session) ||
            send(STDIN_FILENO, answer->data, answer->len,
                 MSG_NOSIGNAL | MSG_DONTWAIT) != answer->len) {
            return "ended: the answers are not read";
        }
    }
}

static int serve_connection(const Options *options)
{
    XdpHelperRequest request = { 0 };
    g_autoptr(XdpSession) session = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *ready = NULL;
    const char *why;
    size_t n_counters;
    int tap = read_request(&request, &why), counters;

    if (tap < 0) {
        helper_answer(STDIN_FILENO, MSG_DONTWAIT, why, NULL, 0);
        tell(&request, why);
        return EXIT_SUCCESS;
    }
    session = open_session(&request, tap, options, &error);
    /* It would keep the device, where that goes with its last descriptor. */
    close(tap);
    if (!session) {
        helper_answer(STDIN_FILENO, MSG_DONTWAIT, error->message, NULL, 0);
        tell(&request, error->message);
        return EXIT_FAILURE;
    }
    counters = xdp_session_counters_fd(session, &n_counters);
    ready = g_strdup_printf(XDP_HELPER_READY ", %zu counters", n_counters);
    if (!helper_answer(STDIN_FILENO, MSG_DONTWAIT, ready, &counters, 1)) {
        tell(&request, "the client is gone");
        return EXIT_SUCCESS;
    }
    tell(&request, "ready");
    tell(&request, serve(session));
    return EXIT_SUCCESS;
}

/*
 * For the administrator, who needs no confinement: no byte of a guest comes
 * here. Only the service's user may fill what is made.
 */
static int make_stub(const char *tap, const char *folder)
{
    const struct passwd *user = getpwnam("qemu-xdp-helper");
    g_autoptr(GError) error = NULL;

    if (!*tap || strlen(tap) >= IF_NAMESIZE || strchr(tap, '/')) {
        return refuse("no name of a tap: ", tap);
    }
    umask(022);
    if (!xdp_stub_make(folder, tap, user ? user->pw_uid : getuid(),
                       user ? user->pw_gid : getgid(), &error)) {
        fprintf(stderr, "qemu-xdp-helper: %s\n", error->message);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static bool wants(int argc, char **argv, const char *option)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], option)) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static const char stub[] = "--make-stub=";
    Options options = { 0 };
    const char *failed;
    int i;

    if (argc > 1 && g_str_has_prefix(argv[1], stub) &&
        (argc == 2 || (argc == 3 && parse_option(argv[2], &options) &&
                       options.stubs))) {
        return make_stub(argv[1] + strlen(stub),
                         options.stubs ? options.stubs : XDP_STUB_FOLDER);
    }
    umask(077);
    helper_raise_locked_memory();
    failed = confine(wants(argc, argv, "--trusted") ? CONFINE_TAP_TRUSTED
                                                    : CONFINE_TAP);
    if (failed) {
        fprintf(stderr, "qemu-xdp-helper: cannot %s: %s\n", failed,
                strerror(errno));
        return EXIT_FAILURE;
    }
    clearenv();

    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(help, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        puts("qemu-xdp-helper " QEMU_EBPF_VERSION);
        return EXIT_SUCCESS;
    }
    for (i = 1; i < argc; i++) {
        if (!parse_option(argv[i], &options)) {
            return refuse("bad argument ", argv[i]);
        }
    }
    if (!options.inetd) {
        return refuse("it takes --inetd", "");
    }
    if (!helper_socket_is_good(STDIN_FILENO)) {
        return refuse("standard input",
                      " is no connected socket of the right kind");
    }
    helper_close_others(STDIN_FILENO);
    return serve_connection(&options);
}
