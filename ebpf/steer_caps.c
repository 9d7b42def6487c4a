/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which capabilities are missing, in words. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steer_program.h"

static const struct {
    unsigned bit;
    int number;
    const char *name;
} known[] = {
    { STEER_CAP_BPF, CAP_BPF, "CAP_BPF" },
    { STEER_CAP_PERFMON, CAP_PERFMON, "CAP_PERFMON" },
    { STEER_CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN" },
    { STEER_CAP_SYS_PTRACE, CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
    { STEER_CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
};

static uint64_t effective(void)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    syscall(SYS_capget, &header, data);
    return data[0].effective | (uint64_t)data[1].effective << 32;
}

unsigned steer_caps_missing(unsigned capabilities)
{
    uint64_t have = effective();
    unsigned missing = 0;
    size_t i;

    if (have >> CAP_SYS_ADMIN & 1) {
        capabilities &= ~(STEER_CAP_BPF | STEER_CAP_PERFMON);
    }
    for (i = 0; i < G_N_ELEMENTS(known); i++) {
        if (!(have >> known[i].number & 1)) {
            missing |= capabilities & known[i].bit;
        }
    }
    return missing;
}

const char *steer_lacks(int err, unsigned capabilities)
{
    static char text[128];
    unsigned missing = steer_caps_missing(capabilities);
    size_t i;
    int len = 0;

    if ((err != EPERM && err != EACCES) || !missing) {
        return "";
    }
    for (i = 0; i < G_N_ELEMENTS(known); i++) {
        if (missing & known[i].bit) {
            len += snprintf(text + len, sizeof(text) - len, "%s%s",
                            len ? " and " : " (", known[i].name);
        }
    }
    snprintf(text + len, sizeof(text) - len, " %s missing)",
             missing & (missing - 1) ? "are" : "is");
    return text;
}

int steer_no_print(enum libbpf_print_level level, const char *format,
                   va_list args)
{
    return 0;
}
