/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrives on a queue that has an AF_XDP socket goes there, the rest to the
 * host's network stack. For bpfhv-backend --xdp.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);             /* user space knows how many */
    __type(key, __u32);                 /* the device's queue */
    __type(value, __u32);               /* a socket's descriptor */
} sockets SEC(".maps");

SEC("xdp")
int to_socket(struct xdp_md *ctx)
{
    return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "GPL";
