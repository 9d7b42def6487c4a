/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a privileged program does not need, it cannot be made to use
 *
 * The capabilities that remain are enough to load a program of any kind. So
 * the system calls are limited to those that this takes and what libbpf and
 * the C library do meanwhile: bpf() cannot pin anything, opens only what a file
 * gives this user, and attaches only what is for a tap; no file can be written,
 * nothing started, nothing mapped to be executed.
 *
 * A call that is missing here fails with EPERM and does not kill: libraries
 * try calls that they can do without, each version others. A call by another
 * architecture's numbers is no library's, so that kills.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCHITECTURE AUDIT_ARCH_PPC64LE
#endif

static uint64_t wanted_capabilities(ConfineUse use)
{
    static const uint64_t wanted[] = {
        [CONFINE_LOAD] = 1ull << CAP_BPF | 1ull << CAP_PERFMON,
        [CONFINE_TAP] = 1ull << CAP_BPF | 1ull << CAP_NET_ADMIN,
        [CONFINE_TAP_TRUSTED] = 1ull << CAP_BPF | 1ull << CAP_NET_ADMIN |
                                1ull << CAP_PERFMON,
    };
    bool known = prctl(PR_CAPBSET_READ, CAP_BPF, 0, 0, 0) >= 0;

    return known || use != CONFINE_LOAD ? wanted[use] : 1ull << CAP_SYS_ADMIN;
}

/* This takes CAP_SETPCAP, which setuid root has. */
static void empty_bounding_set(void)
{
    int capability;

    for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         capability++) {
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

/* Keeps what is permitted; what is effective goes with root's id. */
static bool become_caller(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();

    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    return setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
}

bool confine_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    int i;

    if (syscall(SYS_capget, &header, data) < 0) {
        return false;
    }
    for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= wanted >> (32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           syscall(SYS_capset, &header, data) == 0;
}

#ifdef ARCHITECTURE

#define LOW_WORD(n) (offsetof(struct seccomp_data, args[n]) + \
                     (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##action)
#define DENY RETURN(ERRNO | EPERM)

/* The next N statements are for this value only. */
#define IF_IT_IS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define ALLOW(value) IF_IT_IS(value, 1), RETURN(ALLOW)

/* A call whose argument N has none of these bits. */
#define ALLOW_WITHOUT(call, n, bits) \
    IF_IT_IS(call, 4), \
    LOAD(LOW_WORD(n)), \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1), \
    DENY, \
    RETURN(ALLOW)

/* For each use */
static const struct sock_filter common[] = {
    LOAD(offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    RETURN(KILL_PROCESS),

    LOAD(offsetof(struct seccomp_data, nr)),
    /* The helper itself */
    ALLOW(__NR_capget),
    ALLOW(__NR_close),
    ALLOW(__NR_close_range),
    ALLOW(__NR_eventfd2),
    ALLOW(__NR_exit),
    ALLOW(__NR_exit_group),
    ALLOW(__NR_fcntl),
    ALLOW(__NR_getpeername),
    ALLOW(__NR_getsockopt),
#ifdef __NR_poll                /* newer architectures have ppoll alone */
    ALLOW(__NR_poll),
#endif
    ALLOW(__NR_ppoll),
    ALLOW(__NR_recvfrom),
    ALLOW(__NR_sendmsg),
    ALLOW(__NR_write),
    /* The C library: memory, standard output, signals */
    ALLOW(__NR_brk),
    ALLOW(__NR_fstat),
    ALLOW(__NR_futex),
    ALLOW(__NR_getrandom),
    ALLOW(__NR_lseek),
    ALLOW_WITHOUT(__NR_mmap, 2, PROT_EXEC),
    ALLOW_WITHOUT(__NR_mprotect, 2, PROT_EXEC),
    ALLOW(__NR_mremap),
    ALLOW(__NR_munmap),
    ALLOW(__NR_newfstatat),
    ALLOW(__NR_read),
    ALLOW(__NR_restart_syscall),
    ALLOW(__NR_rt_sigreturn),
    /* libbpf; it opens "/" or a memfd to have a descriptor's number */
    ALLOW(__NR_dup3),
    ALLOW(__NR_memfd_create),
    ALLOW_WITHOUT(__NR_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC),
    ALLOW(__NR_uname),
};

static const struct sock_filter for_load[] = {
    IF_IT_IS(__NR_bpf, 9),
    LOAD(LOW_WORD(0)),
    ALLOW(BPF_BTF_LOAD),
    ALLOW(BPF_MAP_CREATE),
    ALLOW(BPF_OBJ_GET_INFO_BY_FD),
    ALLOW(BPF_PROG_LOAD),
    DENY,
};

static const struct sock_filter for_tap[] = {
    /* A tap by its descriptor; libbpf's rtnetlink */
    ALLOW(__NR_bind),
    ALLOW(__NR_clock_gettime),
    ALLOW(__NR_getpid),
    ALLOW(__NR_getsockname),
    ALLOW(__NR_recvmsg),
    ALLOW(__NR_sched_getaffinity),
    ALLOW(__NR_sendto),
    ALLOW(__NR_setsockopt),
    IF_IT_IS(__NR_ioctl, 8),
    LOAD(LOW_WORD(1)),
    ALLOW(SIOCGIFINDEX),
    ALLOW(TUNGETDEVNETNS),
    ALLOW(TUNGETIFF),
    DENY,
    IF_IT_IS(__NR_socket, 6),
    LOAD(LOW_WORD(0)),
    ALLOW(AF_NETLINK),
    ALLOW(AF_UNIX),
    DENY,

    IF_IT_IS(__NR_bpf, 25),
    LOAD(LOW_WORD(0)),
    ALLOW(BPF_BTF_LOAD),
    ALLOW(BPF_LINK_CREATE),
    ALLOW(BPF_LINK_UPDATE),
    ALLOW(BPF_MAP_CREATE),
    ALLOW(BPF_MAP_DELETE_ELEM),
    ALLOW(BPF_MAP_FREEZE),
    ALLOW(BPF_MAP_GET_NEXT_KEY),
    ALLOW(BPF_MAP_LOOKUP_ELEM),
    ALLOW(BPF_MAP_UPDATE_ELEM),
    ALLOW(BPF_OBJ_GET),         /* a stub's slot: the file's mode decides */
    ALLOW(BPF_OBJ_GET_INFO_BY_FD),
    ALLOW(BPF_PROG_LOAD),
    DENY,
};

enum {
    COMMON_LEN = sizeof(common) / sizeof(*common),
    FOR_LOAD_LEN = sizeof(for_load) / sizeof(*for_load),
    FOR_TAP_LEN = sizeof(for_tap) / sizeof(*for_tap),
};

static bool limit_calls(ConfineUse use)
{
    struct sock_filter filter[COMMON_LEN + FOR_TAP_LEN];
    bool load = use == CONFINE_LOAD;
    const struct sock_fprog program = {
        COMMON_LEN + (load ? FOR_LOAD_LEN : FOR_TAP_LEN), filter,
    };

    memcpy(filter, common, sizeof(common));
    if (load) {
        memcpy(filter + COMMON_LEN, for_load, sizeof(for_load));
    } else {
        memcpy(filter + COMMON_LEN, for_tap, sizeof(for_tap));
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

/* Nobody has tried it there: the capabilities are the limit. */
static bool limit_calls(ConfineUse use)
{
    return true;
}

#endif

const char *confine(ConfineUse use)
{
    uint64_t wanted = wanted_capabilities(use);

    empty_bounding_set();
    if (!become_caller()) {
        return "become the user who runs it";
    }
    if (!confine_capabilities(wanted)) {
        return "give up capabilities";
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return "give up to gain privileges";
    }
    if (!limit_calls(use)) {
        return "limit its system calls (seccomp)";
    }
    return NULL;
}
