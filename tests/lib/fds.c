/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <glib.h>

#include "fds.h"

enum {
    HIGHEST = 1024,
    WAIT_MS = 20000,
    STEP_MS = 5,
};

int count_fds(void)
{
    int fd, n = 0;

    for (fd = 0; fd < HIGHEST; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

void wait_for_fds(int n)
{
    int i;

    for (i = 0; count_fds() != n && i < WAIT_MS / STEP_MS; i++) {
        g_usleep(STEP_MS * 1000);
    }
    g_assert_cmpint(count_fds(), ==, n);
}
