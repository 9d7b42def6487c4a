/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend: serves the queues of one bpfhv card, for a QEMU that does the
 * control. See docs/bpfhv-backend.rst.
 *
 *     QEMU ── net/bpfhv_link.c ──▶ -card.c ──▶ ebpf/bpfhv/bpfhv_ring.c
 *                                      │  ├──▶ -memory.c     the guest's
 *     bpfhv-ctl ──▶ -control.c ────────┘  └──▶ -port.c       tap, sink, source
 *                                                └─▶ -xdp.c       AF_XDP
 *
 * One thread does everything, so nothing needs a lock; between two batches of
 * packets it looks at the sockets. Nothing that QEMU or the guest sends can end
 * it but the end of the connection, which is its own.
 */
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpfhv-backend.h"
#include "confine.h"

enum {
    BUSY_ROUNDS = 256,          /* without a look at the sockets */

    /* The first descriptors that are polled; those of the card follow. */
    POLL_SOCKET = 0,
    POLL_SIGNAL,
    POLL_CONTROL,
    NUM_POLL,
};

/* An upgrade reads files of --programs, and the end removes the socket. */
#define KEPT_CAPABILITIES (1ull << CAP_DAC_OVERRIDE | \
                           1ull << CAP_DAC_READ_SEARCH)

#define DEFAULT_MODEL "sring_gso"

typedef struct Backend {
    Options options;
    Port *port;
    Card *card;
    BpfhvLink link;
    int signals, control;       /* -1: there is none */
    bool ends;
} Backend;

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("bpfhv-backend: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

bool refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(
        g_quark_from_static_string("bpfhv-backend"), 0, format, args));
    va_end(args);
    return false;
}

static bool parse_options(Options *options, int *argc, char ***argv,
                          GError **error)
{
    g_autofree char *names = bpfhv_model_names();
    g_autofree char *models = g_strdup_printf(
        "format of the rings: %s (default: " DEFAULT_MODEL ")", names);
    const GOptionEntry entries[] = {
        { "socket", 's', 0, G_OPTION_ARG_FILENAME, &options->socket,
          "where QEMU's chardev listens", "PATH" },
        { "tap", 't', 0, G_OPTION_ARG_STRING, &options->tap,
          "packets go to this tap and come from there", "NAME" },
        { "xdp", 'x', 0, G_OPTION_ARG_STRING, &options->xdp,
          "packets go to queues of this network device, by AF_XDP",
          "NAME[,queue=FIRST][,mode=auto|copy|zerocopy]" },
        { "sink", 0, 0, G_OPTION_ARG_NONE, &options->sink,
          "packets of the guest are thrown away", NULL },
        { "source", 0, 0, G_OPTION_ARG_INT, &options->source,
          "the same, and the guest gets packets of so many bytes", "BYTES" },
        { "model", 'm', 0, G_OPTION_ARG_STRING, &options->model,
          models, "MODEL" },
        { "queues", 'q', 0, G_OPTION_ARG_INT, &options->queues,
          "queue pairs, 1 (default) to 32", "N" },
        { "busy-wait", 'b', 0, G_OPTION_ARG_NONE, &options->busy,
          "look for packets all the time", NULL },
        { "control", 'c', 0, G_OPTION_ARG_FILENAME, &options->control,
          "make a socket for bpfhv-ctl", "PATH" },
        { "programs", 0, 0, G_OPTION_ARG_FILENAME, &options->programs,
          "other programs than those built in: folder of MODEL.o", "DIR" },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version,
          "print the version", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context,
        "Serves the queues of one bpfhv card for QEMU (-netdev bpfhv-proxy).");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error)) {
        return false;
    }
    if (!options->model) {
        options->model = g_strdup(DEFAULT_MODEL);
    }
    return true;
}

static bool check_options(const Options *options, int argc, GError **error)
{
    if (argc > 1 || !options->socket ||
        !!options->tap + !!options->xdp + options->sink +
        !!options->source != 1) {
        return refuse(error, "it takes --socket and one of --tap, --xdp, --sink"
                      " and --source (see bpfhv-backend --help)");
    }
    if (options->queues < 1 || options->queues > BPFHV_MAX_QUEUE_PAIRS) {
        return refuse(error, "--queues: 1 to %d", BPFHV_MAX_QUEUE_PAIRS);
    }
    if (options->source && (options->source < 14 ||
                            options->source > BPFHV_MAX_PACKET)) {
        return refuse(error, "--source: 14 to %d bytes", BPFHV_MAX_PACKET);
    }
    return true;
}

static int connect_to(const char *path, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
    } else if (fd >= 0 && connect(fd, (struct sockaddr *)&address,
                                  sizeof(address)) == 0) {
        return fd;
    }
    refuse(error, "cannot connect to QEMU at %s: %s", path,
           g_strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* SIGPIPE is QEMU's to cause: an error of write() is enough. */
static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool backend_open(Backend *backend, GError **error)
{
    const Options *options = &backend->options;

    backend->signals = open_signals();
    if (backend->signals < 0) {
        return refuse(error, "cannot wait for signals: %s",
                      g_strerror(errno));
    }
    backend->port = options->tap
        ? port_new_tap(options->tap, options->queues, error)
        : options->xdp
        ? port_new_xdp(options->xdp, options->queues, error)
        : port_new_sink(options->queues, options->source);
    if (!backend->port) {
        return false;
    }
    backend->card = card_new(options, backend->port, error);
    if (!backend->card) {
        return false;
    }
    if (options->control) {
        backend->control = control_open(options->control, error);
        if (backend->control < 0) {
            return false;
        }
    }
    backend->link.socket = connect_to(options->socket, error);
    return backend->link.socket >= 0 &&
           (confine_capabilities(KEPT_CAPABILITIES) ||
            refuse(error, "cannot give up privileges: %s",
                   g_strerror(errno)));
}

static void backend_close(Backend *backend)
{
    card_free(backend->card);
    port_free(backend->port);
    bpfhv_link_clear(&backend->link);
    if (backend->link.socket >= 0) {
        close(backend->link.socket);
    }
    if (backend->control >= 0) {
        unlink(backend->options.control);
        close(backend->control);
    }
    if (backend->signals >= 0) {
        close(backend->signals);
    }
    g_free(backend->options.socket);
    g_free(backend->options.control);
    g_free(backend->options.model);
    g_free(backend->options.programs);
    g_free(backend->options.tap);
    g_free(backend->options.xdp);
}

static void end(Backend *backend, const char *why)
{
    backend->ends = true;
    say("%s", why);
}

/* One message at most: packets are not to wait for many. */
static void serve_link(Backend *backend)
{
    BpfhvLink *link = &backend->link;
    BpfhvProxyMessage message, answer;

    if (link->out) {
        if (!bpfhv_link_flush(link)) {
            end(backend, "QEMU has closed the connection");
        }
        return;
    }
    switch (bpfhv_link_receive(link, &message)) {
    case BPFHV_LINK_WAITS:
        return;
    case BPFHV_LINK_MESSAGE:
        card_request(backend->card, &message, link->fds, &answer);
        break;
    case BPFHV_LINK_BAD_MESSAGE:
        answer = (BpfhvProxyMessage) {
            .type = message.type, .answer = true, .refused = true,
            .text = "the request makes no sense",
        };
        break;
    case BPFHV_LINK_ENDED:
        end(backend, link->len ? "QEMU does not speak version 2 of the"
            " protocol" : "QEMU has closed the connection");
        return;
    }
    bpfhv_link_next(link);
    if (!bpfhv_link_send(link, &answer, NULL)) {
        end(backend, "QEMU has closed the connection");
    }
}

static void serve_signal(Backend *backend)
{
    struct signalfd_siginfo info;

    if (read(backend->signals, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    if (info.ssi_signo == SIGUSR1) {
        g_autofree char *text = card_statistics(backend->card);

        fputs(text, stderr);
    } else {
        backend->ends = true;
    }
}

/* Wait, or only look, and do what the sockets want. */
static void serve_sockets(Backend *backend, GArray *fds, bool waits)
{
    const BpfhvLink *link = &backend->link;
    struct pollfd first[NUM_POLL] = {
        [POLL_SOCKET] = { link->socket, link->out ? POLLOUT : POLLIN },
        [POLL_SIGNAL] = { backend->signals, POLLIN },
        [POLL_CONTROL] = { backend->control, POLLIN },
    };
    const struct pollfd *polled;

    g_array_set_size(fds, 0);
    g_array_append_vals(fds, first, NUM_POLL);
    card_poll(backend->card, fds);
    if (poll((struct pollfd *)(void *)fds->data, fds->len,
             waits ? -1 : 0) <= 0) {
        return;
    }
    polled = (const struct pollfd *)(const void *)fds->data;
    card_polled(backend->card, polled + NUM_POLL, fds->len - NUM_POLL);
    if (polled[POLL_SIGNAL].revents) {
        serve_signal(backend);
    }
    if (polled[POLL_CONTROL].revents) {
        control_serve(backend->control, backend->card);
    }
    if (polled[POLL_SOCKET].revents) {
        serve_link(backend);
    }
}

static void backend_run(Backend *backend)
{
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    bool more = false;

    while (!backend->ends) {
        unsigned rounds = backend->options.busy ? BUSY_ROUNDS : 1;

        serve_sockets(backend, fds, !more && !backend->options.busy);
        while (rounds--) {
            more = card_serve(backend->card);
        }
    }
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    Backend backend = {
        .options.queues = 1,
        .link.socket = -1, .signals = -1, .control = -1,
    };
    bool good = parse_options(&backend.options, &argc, &argv, &error);

    if (good && backend.options.version) {
        puts("bpfhv-backend " QEMU_EBPF_VERSION);
    } else {
        good = good && check_options(&backend.options, argc, &error) &&
               backend_open(&backend, &error);
        if (good) {
            backend_run(&backend);
        } else {
            say("%s", error->message);
        }
    }
    backend_close(&backend);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
