/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf_run.h"

enum {
    /* The kernel takes these for an Ethernet header; see rss.bpf.c. */
    SKIPPED_LEN = 14,
};

int bpf_run_load_return(enum bpf_prog_type type, int value)
{
    const struct bpf_insn program[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = value },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int fd = bpf_prog_load(type, "test_return", "GPL", program,
                           G_N_ELEMENTS(program), NULL);

    return fd < 0 ? -errno : fd;
}

const char *bpf_run_refusal(void)
{
    int fd = bpf_run_load_return(BPF_PROG_TYPE_SOCKET_FILTER, 0);
    int tc = bpf_run_load_return(BPF_PROG_TYPE_SCHED_CLS, 0);

    if (fd >= 0) {
        close(fd);
    }
    if (tc >= 0) {
        close(tc);
    }
    /* Only the second takes a privilege on each kernel. */
    if (tc == -EPERM || tc == -EACCES) {
        return "loading BPF needs CAP_BPF and CAP_NET_ADMIN, or root";
    }
    if (fd == -ENOSYS) {
        return "this kernel has no bpf()";
    }
    return NULL;
}

bool bpf_run_allowed(void)
{
    const char *refusal = bpf_run_refusal();

    if (refusal) {
        g_test_skip(refusal);
    }
    return !refusal;
}

int64_t bpf_run(int prog_fd, const void *frame, size_t len)
{
    return bpf_run_repeat(prog_fd, frame, len, 1);
}

static int run(int prog_fd, const void *frame, size_t len,
               struct bpf_test_run_opts *opts)
{
    g_autofree uint8_t *input = g_malloc0(SKIPPED_LEN + len);

    opts->data_in = input;
    opts->data_size_in = SKIPPED_LEN + len;
    if (len) {
        memcpy(input + SKIPPED_LEN, frame, len);
    }
    return bpf_prog_test_run_opts(prog_fd, opts) < 0 ? -errno : 0;
}

int64_t bpf_run_repeat(int prog_fd, const void *frame, size_t len, int repeat)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = repeat);
    int err = run(prog_fd, frame, len, &opts);

    return err ? err : opts.retval;
}

int bpf_run_report(int prog_fd, const void *frame, size_t len,
                   uint32_t *hash, uint32_t *report)
{
    struct __sk_buff skb = { 0 };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_out = &skb,
                .ctx_size_out = sizeof(skb), .repeat = 1);
    int err = run(prog_fd, frame, len, &opts);

    *hash = skb.cb[0];
    *report = skb.cb[1];
    return err;
}
