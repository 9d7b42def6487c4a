/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a program and getting rid of it
 *
 * A VMM may be huge and may have many threads: so posix_spawn(), not fork().
 *
 * The child may ignore signals, stop, leave its process group, become another
 * user, or be reaped behind our back: the caller may have a handler for
 * SIGCHLD or ignore it. A pidfd (Linux 5.3, and waiting by it 5.4) means the
 * child and nobody else, whatever becomes of its number, and can be waited
 * for with a limit of time. Where there is none, the number is used, and asked
 * for every few milliseconds; a number is taken again only after all others.
 *
 * What has no limit is the time that the kernel takes to start the program,
 * from a file system that hangs for instance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rss_child.h"

enum {
    ID_PIDFD = 3,               /* P_PIDFD, which older headers lack */
    ASK_MS = 5,                 /* how often, without a pidfd */
};

typedef enum State {
    RUNNING,
    ENDED,
    REAPED,                     /* by somebody else */
} State;

static int set_files(posix_spawn_file_actions_t *files, int socket)
{
    /* Also clears close-on-exec if it is this descriptor already. */
    int err = posix_spawn_file_actions_adddup2(files, socket,
                                               RSS_CHILD_SOCKET_FD);

    if (!err) {
        err = posix_spawn_file_actions_addopen(files, STDIN_FILENO,
                                               "/dev/null", O_RDONLY, 0);
    }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    /* Elsewhere it takes close-on-exec to keep a descriptor from it. */
    if (!err) {
        err = posix_spawn_file_actions_addclosefrom_np(
            files, RSS_CHILD_SOCKET_FD + 1);
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

/* waitid() that goes on after a signal. */
static State look(const RssChild *child, int flags, siginfo_t *info)
{
    int result;

    info->si_pid = 0;
    do {
        result = child->pidfd >= 0
               ? waitid((idtype_t)ID_PIDFD, child->pidfd, info, flags)
               : waitid(P_PID, child->pid, info, flags);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? REAPED : info->si_pid ? ENDED : RUNNING;
}

/*
 * The child may be reaped already, and its number somebody else's: then the
 * pidfd is no child of ours.
 */
static int open_pidfd(pid_t pid)
{
    RssChild child = { pid, syscall(SYS_pidfd_open, pid, 0) };
    siginfo_t info;

    if (child.pidfd >= 0 &&
        look(&child, WEXITED | WNOHANG | WNOWAIT, &info) == REAPED) {
        close(child.pidfd);
        child.pidfd = -1;
    }
    return child.pidfd;
}

int rss_child_start(char *const argv[], int socket, RssChild *child)
{
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
            err = posix_spawn(&child->pid, argv[0], &files, &attributes, argv,
                              environ);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    if (!err) {
        child->pidfd = open_pidfd(child->pid);
    }
    return err;
}

static State wait_for_end(const RssChild *child, int timeout_ms,
                          siginfo_t *info)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000LL;
    struct pollfd ended = { .fd = child->pidfd, .events = POLLIN };

    for (;;) {
        State state = look(child, WEXITED | WNOHANG, info);
        int left_ms = (deadline - g_get_monotonic_time() + 999) / 1000;

        if (state != RUNNING || left_ms <= 0) {
            return state;
        }
        if (child->pidfd >= 0) {
            poll(&ended, 1, left_ms);
        } else {
            poll(NULL, 0, MIN(left_ms, ASK_MS));
        }
    }
}

/* It was running a moment ago, so its number is its own. */
static void kill_child(const RssChild *child)
{
    kill(-child->pid, SIGKILL);     /* also its children; not if it left */
    if (child->pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
    } else {
        kill(child->pid, SIGKILL);
    }
}

static void close_pidfd(const RssChild *child)
{
    if (child->pidfd >= 0) {
        close(child->pidfd);
    }
}

static gpointer reap(gpointer data)
{
    g_autofree RssChild *child = data;
    siginfo_t info;

    look(child, WEXITED, &info);
    close_pidfd(child);
    return NULL;
}

/* A process that can have no thread more keeps a zombie. */
static void reap_later(const RssChild *child)
{
    RssChild *copy = g_new(RssChild, 1);
    sigset_t all, old;
    GThread *thread;

    *copy = *child;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    thread = g_thread_try_new("rss-reap", reap, copy, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (thread) {
        g_thread_unref(thread);
    } else {
        close_pidfd(copy);
        g_free(copy);
    }
}

int rss_child_end(const RssChild *child)
{
    siginfo_t info;
    State state = wait_for_end(child, 0, &info);

    if (state == RUNNING) {
        kill_child(child);
        state = wait_for_end(child, RSS_CHILD_END_MS, &info);
    }
    if (state == RUNNING) {
        reap_later(child);
        return -1;
    }
    close_pidfd(child);
    return state == ENDED && info.si_code == CLD_EXITED ? info.si_status : -1;
}
