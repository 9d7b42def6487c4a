/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "net/rss.h"
#include "net/tap_steering.h"

static bool set_steering(int tap_fd, int prog_fd, const char *what,
                         GError **error)
{
    if (ioctl(tap_fd, TUNSETSTEERINGEBPF, &prog_fd) == 0) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "cannot %s the tap: %s", what, g_strerror(errno));
    return false;
}

bool tap_steering_attach(int tap_fd, int prog_fd, GError **error)
{
    if (prog_fd < 0) {          /* to the kernel -1 means to detach */
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "cannot attach a steering program to the tap: %d is not"
                    " a descriptor", prog_fd);
        return false;
    }
    return set_steering(tap_fd, prog_fd, "attach the steering program to",
                        error);
}

bool tap_steering_detach(int tap_fd, GError **error)
{
    return set_steering(tap_fd, -1, "detach the steering program from",
                        error);
}

bool tap_steering_probe(int tap_fd, GError **error)
{
    int no_program = -2;                /* -1 would detach */

    /* A descriptor that is none: EBADF for the program, not for the tap. */
    if (fcntl(tap_fd, F_GETFD) >= 0 &&
        ioctl(tap_fd, TUNSETSTEERINGEBPF, &no_program) < 0 &&
        errno == EBADF) {
        return true;
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "the tap does not support steering programs: %s",
                g_strerror(errno));
    return false;
}
