/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For LD_PRELOAD: a tap takes no steering program while the file named by
 * REFUSE_PROGRAM exists. Real taps do that for want of memory alone, which no
 * test can bring about.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (request == TUNSETSTEERINGEBPF && *(int *)argument >= 0 &&
        access(getenv("REFUSE_PROGRAM"), F_OK) == 0) {
        errno = ENOMEM;
        return -1;
    }
    return syscall(SYS_ioctl, fd, request, argument);
}
