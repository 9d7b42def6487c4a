/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the steering program in another process, which has the privilege
 *
 *     this process ── posix_spawn ──▶ helper --fd=3 --name=NAME
 *          ▲                             │ ebpf_rss_open()
 *          └────── descriptors, or why not, over a socket
 *
 * A VMM may be huge and may have many threads: so posix_spawn(), not fork().
 * The helper gets descriptors 0, 1, 2 and its socket, and no others.
 *
 * The helper is not trusted to behave: whatever it does or does not, the
 * caller gets its descriptors or an error within the time limit, there is no
 * descriptor too many, and no child is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rss_helper.h"

/* One descriptor more than there should be, to see that there are more. */
typedef union Control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE((EBPF_RSS_FDS + 1) * sizeof(int))];
} Control;

/* The helper's message; @text is cut to what may be printed. */
typedef struct Answer {
    char text[RSS_HELPER_TEXT_MAX + 1];
    int fds[sizeof(Control) / sizeof(int)];
    unsigned n_fds;
    bool cut;               /* there was more than fits */
} Answer;

typedef enum Outcome {
    ANSWERED,
    ENDED,                  /* it closed the socket */
    TOO_LATE,
} Outcome;

G_GNUC_PRINTF(2, 3)
static void set_helper_error(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(RSS_ERROR,
                                                RSS_ERROR_PRIVILEGE,
                                                format, args));
    va_end(args);
}

static void close_all(const int *fds, unsigned n_fds)
{
    unsigned i;

    for (i = 0; i < n_fds; i++) {
        close(fds[i]);
    }
}

/* "--name=" and what a helper accepts of @name: the rest becomes '_'. */
static char *name_argument(const char *name)
{
    g_autofree char *part = g_strndup(*name ? name : "_",
                                      RSS_HELPER_NAME_MAX);
    char *p;

    for (p = part; *p; p++) {
        if (!rss_helper_name_char(*p)) {
            *p = '_';
        }
    }
    return g_strconcat("--name=", part, NULL);
}

static int set_files(posix_spawn_file_actions_t *files, int socket)
{
    /* Also clears close-on-exec if it is this descriptor already. */
    int err = posix_spawn_file_actions_adddup2(files, socket, RSS_HELPER_FD);

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    /* Elsewhere it takes close-on-exec to keep a descriptor from it. */
    if (!err) {
        err = posix_spawn_file_actions_addclosefrom_np(files,
                                                       RSS_HELPER_FD + 1);
    }
#endif
    return err;
}

/* Signals as in a new process; a process group by which to kill it. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, normal;
    int err;

    sigemptyset(&none);
    sigemptyset(&normal);
    sigaddset(&normal, SIGCHLD);
    sigaddset(&normal, SIGPIPE);
    err = posix_spawnattr_setsigmask(attributes, &none);
    if (!err) {
        err = posix_spawnattr_setsigdefault(attributes, &normal);
    }
    if (!err) {
        err = posix_spawnattr_setflags(attributes,
                                       POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF |
                                       POSIX_SPAWN_SETPGROUP);
    }
    return err;
}

/* Starts the helper. Returns 0, or an errno value. */
static int start(const char *helper, const char *name, int socket,
                 pid_t *pid)
{
    g_autofree char *fd_arg = g_strdup_printf("--fd=%d", RSS_HELPER_FD);
    g_autofree char *name_arg = name_argument(name);
    char *argv[] = { (char *)helper, fd_arg, name_arg, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int err = posix_spawn_file_actions_init(&files);

    if (err) {
        return err;
    }
    err = posix_spawnattr_init(&attributes);
    if (!err) {
        err = set_files(&files, socket);
        if (!err) {
            err = set_attributes(&attributes);
        }
        if (!err) {
            err = posix_spawn(pid, helper, &files, &attributes, argv,
                              environ);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return err;
}

/* Waits until there is something to read; false when it takes too long. */
static bool wait_readable(int socket, gint64 deadline)
{
    struct pollfd ready = { .fd = socket, .events = POLLIN };
    gint64 left_us;

    do {
        left_us = MAX(deadline - g_get_monotonic_time(), 0);
        if (poll(&ready, 1, (left_us + 999) / 1000) > 0) {
            return true;
        }
    } while (left_us > 0);
    return false;
}

static void take_fds(Answer *answer, struct msghdr *message)
{
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(message); part;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET &&
            part->cmsg_type == SCM_RIGHTS) {
            size_t size = part->cmsg_len - CMSG_LEN(0);

            memcpy(answer->fds + answer->n_fds, CMSG_DATA(part), size);
            answer->n_fds += size / sizeof(int);
        }
    }
}

/* What the helper says may end up in a log. */
static void take_text(Answer *answer, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!g_ascii_isprint(answer->text[i])) {
            answer->text[i] = '?';
        }
    }
    answer->text[len] = '\0';
}

static Outcome receive(int socket, gint64 deadline, Answer *answer)
{
    struct iovec iov = { answer->text, RSS_HELPER_TEXT_MAX };
    Control control;
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t len;

    do {
        if (!wait_readable(socket, deadline)) {
            return TOO_LATE;
        }
        len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (len < 0 && (errno == EINTR || errno == EAGAIN));
    if (len < 0) {
        return ENDED;
    }

    take_fds(answer, &message);
    take_text(answer, len);
    answer->cut = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    return len == 0 && answer->n_fds == 0 ? ENDED : ANSWERED;
}

/* waitpid() that goes on after a signal. -1: someone else took the child. */
static pid_t wait_child(pid_t pid, int *status, int flags)
{
    pid_t done;

    do {
        done = waitpid(pid, status, flags);
    } while (done < 0 && errno == EINTR);
    return done;
}

/* The helper has no more to do. Returns its exit status, -1 if none. */
static int end(pid_t pid)
{
    int status;
    pid_t done = wait_child(pid, &status, WNOHANG);

    if (done == 0) {
        kill(-pid, SIGKILL);
        done = wait_child(pid, &status, 0);
    }
    return done == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Takes the descriptors out of an answer that has what it must have. */
static bool check_answer(const char *helper, const Answer *answer,
                         int fds[EBPF_RSS_FDS], GError **error)
{
    bool loaded = !strcmp(answer->text, RSS_HELPER_LOADED);

    if (loaded && !answer->cut && answer->n_fds == EBPF_RSS_FDS) {
        memcpy(fds, answer->fds, EBPF_RSS_FDS * sizeof(*fds));
        return true;
    }
    close_all(answer->fds, answer->n_fds);
    if (loaded || answer->n_fds) {
        set_helper_error(error, "%s does not fit to this program: it sent"
                         " '%s' with %u%s descriptors, not '%s' with %d",
                         helper, answer->text, answer->n_fds,
                         answer->cut ? " or more" : "", RSS_HELPER_LOADED,
                         EBPF_RSS_FDS);
    } else {
        set_helper_error(error, "%s: %s", helper, answer->text);
    }
    return false;
}

bool rss_helper_open(const char *helper, const char *name, int timeout_ms,
                     int fds[EBPF_RSS_FDS], GError **error)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000LL;
    Answer answer = { .n_fds = 0 };
    Outcome outcome;
    int sockets[2], err, status;
    pid_t pid;

    /*
     * Besides being in vain, it would be the end of a QEMU with "-sandbox
     * on,spawn=deny": its filter kills who starts a process. A filter that an
     * ordinary user sets up goes with no_new_privs.
     */
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        set_helper_error(error, "%s is of no use: this process has given up"
                         " to gain privileges (no_new_privs)", helper);
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        set_helper_error(error, "cannot make a socket for %s: %s", helper,
                         g_strerror(errno));
        return false;
    }
    err = start(helper, name, sockets[1], &pid);
    close(sockets[1]);
    if (err) {
        close(sockets[0]);
        set_helper_error(error, "cannot run %s: %s", helper,
                         g_strerror(err));
        return false;
    }
    outcome = receive(sockets[0], deadline, &answer);
    close(sockets[0]);
    status = end(pid);

    switch (outcome) {
    case ANSWERED:
        return check_answer(helper, &answer, fds, error);
    case TOO_LATE:
        set_helper_error(error, "%s did not answer within %g s", helper,
                         timeout_ms / 1000.0);
        return false;
    default:
        set_helper_error(error, status < 0 ? "%s ended without an answer" :
                         "%s ended without an answer, with exit status %d",
                         helper, status);
        return false;
    }
}

bool ebpf_rss_open_by_helper(const char *helper, const char *name,
                             int fds[EBPF_RSS_FDS], GError **error)
{
    return rss_helper_open(helper, name, RSS_HELPER_TIMEOUT_MS, fds, error);
}
