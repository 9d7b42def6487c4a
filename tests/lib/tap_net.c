/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap_net.h"

#define TAP_NAME "steer0"

/* The source address in the frames that packet_build() makes. */
static const uint8_t our_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

/* The kernel's own IPv6 packets on new devices are only noise. */
static void disable_ipv6(void)
{
    int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);

    if (fd >= 0) {
        if (write(fd, "1", 1) != 1) {
            g_test_message("IPv6 stays on: %s", g_strerror(errno));
        }
        close(fd);
    }
}

bool tap_net_allowed(void)
{
    static bool done;

    if (done) {
        return true;
    }
    if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        g_autofree char *why = g_strdup_printf("/dev/net/tun: %s",
                                               g_strerror(errno));

        g_test_skip(why);
        return false;
    }
    if (unshare(CLONE_NEWNET) != 0) {
        g_test_skip("a network namespace of its own needs root");
        return false;
    }
    disable_ipv6();
    done = true;
    return true;
}

static int open_queue(void)
{
    struct ifreq ifr = {
        .ifr_name = TAP_NAME,
        .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE,
    };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0) {
        g_error("cannot make a tap: %s", g_strerror(errno));
    }
    return fd;
}

static void device_ioctl(TapNet *net, unsigned long request,
                         struct ifreq *ifr)
{
    if (ioctl(net->socket, request, ifr) != 0) {
        g_error("%s: ioctl 0x%lx: %s", ifr->ifr_name, request,
                g_strerror(errno));
    }
}

/* Sets the MTU, brings the device up, returns its index. */
static int bring_up(TapNet *net, const char *name, int mtu)
{
    struct ifreq ifr = { 0 };

    g_strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
    ifr.ifr_mtu = mtu;
    device_ioctl(net, SIOCSIFMTU, &ifr);
    device_ioctl(net, SIOCGIFFLAGS, &ifr);
    ifr.ifr_flags |= IFF_UP;
    device_ioctl(net, SIOCSIFFLAGS, &ifr);
    device_ioctl(net, SIOCGIFINDEX, &ifr);
    return ifr.ifr_ifindex;
}

TapNet *tap_net_new(int n_queues)
{
    TapNet *net = g_new0(TapNet, 1);
    int i;

    g_assert_cmpint(n_queues, <=, TAP_MAX_QUEUES);
    net->n_queues = n_queues;
    for (i = 0; i < n_queues; i++) {
        net->queue[i] = open_queue();
    }
    net->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(net->socket, >=, 0);
    net->ifindex = bring_up(net, TAP_NAME, TAP_MTU);
    return net;
}

void tap_net_free(TapNet *net)
{
    int i;

    for (i = 0; i < net->n_queues; i++) {
        close(net->queue[i]);
    }
    close(net->socket);
    g_free(net);
}

void tap_net_enable_queue(TapNet *net, int queue, bool on)
{
    struct ifreq ifr = {
        .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
    };

    if (ioctl(net->queue[queue], TUNSETQUEUE, &ifr) != 0) {
        g_error("queue %d: %s", queue, g_strerror(errno));
    }
}

static uint64_t device_counter(const char *name, unsigned number)
{
    g_autofree char *start = g_strconcat(name, ":", NULL), *text = NULL;
    char *at;

    /* This thread's namespace; the others may have been here before it. */
    g_assert_true(g_file_get_contents("/proc/thread-self/net/dev", &text,
                                      NULL, NULL));
    at = strstr(text, start);
    g_assert_nonnull(at);
    at += strlen(start);
    while (number--) {
        strtoull(at, &at, 10);
    }
    return strtoull(at, NULL, 10);
}

uint64_t tap_net_dropped(void)
{
    /* Eight counters of what was received, then bytes, packets, errors. */
    return device_counter(TAP_NAME, 8 + 3);
}

uint64_t tap_net_received_by(const char *device)
{
    return device_counter(device, 1);
}

void tap_net_bypass_qdisc(TapNet *net)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_IP),
        .sll_ifindex = net->ifindex,
    };
    int on = 1;

    g_assert_cmpint(setsockopt(net->socket, SOL_PACKET, PACKET_QDISC_BYPASS,
                               &on, sizeof(on)), ==, 0);
    g_assert_cmpint(bind(net->socket, (struct sockaddr *)&to, sizeof(to)),
                    ==, 0);
}

int tap_net_add_vlan(TapNet *net)
{
    struct vlan_ioctl_args args = {
        .cmd = ADD_VLAN_CMD,
        .device1 = TAP_NAME,
        .u.VID = TAP_VLAN_ID,
    };
    g_autofree char *name = g_strdup_printf("%s.%d", TAP_NAME, TAP_VLAN_ID);
    struct vlan_ioctl_args naming = {
        .cmd = SET_VLAN_NAME_TYPE_CMD,
        .u.name_type = VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD,
    };

    if (ioctl(net->socket, SIOCSIFVLAN, &naming) != 0 ||
        ioctl(net->socket, SIOCSIFVLAN, &args) != 0) {
        g_test_message("no VLAN device: %s", g_strerror(errno));
        return 0;
    }
    return bring_up(net, name, TAP_MTU - 4);
}

/* Loads a tc program that pushes a tag and lets the frame go on. */
static int load_tagger(uint16_t ethertype)
{
    const struct bpf_insn program[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2,
          .imm = htons(ethertype) },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3,
          .imm = TAP_VLAN_ID },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
        { .code = BPF_JMP | BPF_EXIT },
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "test_tagger", "GPL",
                         program, G_N_ELEMENTS(program), NULL);
}

bool tap_net_tag_all(TapNet *net, uint16_t ethertype)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = net->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = load_tagger(ethertype));
    int err;

    g_assert_cmpint(opts.prog_fd, >=, 0);
    err = bpf_tc_hook_create(&hook);
    err = err ? err : bpf_tc_attach(&hook, &opts);
    if (err) {
        g_test_message("no tc program: %s", g_strerror(-err));
    }
    close(opts.prog_fd);
    return !err;
}

bool tap_net_send_to(TapNet *net, int ifindex,
                     const uint8_t *frame, size_t len)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = ifindex,
        .sll_halen = ETH_ALEN,
    };
    socklen_t to_len = sizeof(to);
    struct sockaddr_ll bound;

    /* A socket that is bound keeps the protocol that it was bound with. */
    if (getsockname(net->socket, (struct sockaddr *)&bound, &to_len) == 0) {
        to.sll_protocol = bound.sll_protocol;
    }
    return sendto(net->socket, frame, len, 0, (struct sockaddr *)&to,
                  sizeof(to)) == (ssize_t)len;
}

bool tap_net_send(TapNet *net, const uint8_t *frame, size_t len)
{
    return tap_net_send_to(net, net->ifindex, frame, len);
}

/* Reads a frame from a queue that may have one; false if it was not ours. */
static bool read_queue(TapNet *net, int queue, GByteArray *frame)
{
    ssize_t len;

    g_byte_array_set_size(frame, TAP_MTU + 100);
    len = read(net->queue[queue], frame->data, frame->len);
    g_byte_array_set_size(frame, MAX(len, 0));
    return len >= ETH_HLEN &&
           memcmp(frame->data + ETH_ALEN, our_mac, sizeof(our_mac)) == 0;
}

int tap_net_receive(TapNet *net, GByteArray *frame, int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;
    struct pollfd ready[TAP_MAX_QUEUES];
    int i;

    do {
        for (i = 0; i < net->n_queues; i++) {
            if (read_queue(net, i, frame)) {
                return i;
            }
            ready[i] = (struct pollfd) { net->queue[i], POLLIN, 0 };
        }
        poll(ready, net->n_queues,
             MAX((end - g_get_monotonic_time()) / 1000, 0));
    } while (g_get_monotonic_time() < end);
    return TAP_NO_QUEUE;
}
