/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated XDP programs at the egress of a real tap: what becomes of a
 * frame, and that packets which are not in one piece, or whose tag is not in
 * them, are seen as the guest will see them.
 *
 *     packet socket ──▶ egress: program ──▶ tap ──▶ descriptor
 *                            │ TX
 *     packet socket ◀── ingress
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bpf_run.h"
#include "ebpf/insn.h"
#include "ebpf/xdp_translate.h"
#include "packet.h"
#include "tap_net.h"

enum {
    PLACE = 3000,           /* bytes: far behind all headers */
    MARK = 0x5a,            /* the byte there, of what is dropped */
    RECEIVE_MS = 5000,
};

static GArray *translate(const struct bpf_insn *program, size_t count,
                         XdpTarget target)
{
    g_autoptr(GError) error = NULL;
    GArray *insns = xdp_translate(program, count, &target, &error);

    g_assert_no_error(error);
    return insns;
}

/* Drops what has MARK at @place, and gives the rest @verdict. */
static GArray *drop_marked(uint16_t place, int verdict, XdpTarget target)
{
    const struct bpf_insn program[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_SET, 0, 0, 0, verdict),
        insn(INSN_MOVE, 4, 2, 0, 0),
        insn(INSN_ADD_CONST, 4, 0, 0, place + 1),
        insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 3, 0),
        insn(BPF_LDX | BPF_MEM | BPF_B, 5, 2, place, 0),
        insn(INSN_IF_NOT_EQUAL, 5, 0, 1, MARK),
        insn(INSN_SET, 0, 0, 0, XDP_DROP),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return translate(program, G_N_ELEMENTS(program), target);
}

/* False, and the test is skipped, if this kernel has no tc programs. */
static bool attach(TapNet *net, GArray *insns)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = net->ifindex,
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts);
    int err;

    opts.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "translated", "GPL",
                                 (const struct bpf_insn *)(const void *)
                                 insns->data, insns->len, NULL);
    g_assert_cmpint(opts.prog_fd, >=, 0);
    g_array_free(insns, TRUE);
    err = bpf_tc_hook_create(&hook);
    err = err ? err : bpf_tc_attach(&hook, &opts);
    close(opts.prog_fd);
    if (err) {
        g_test_skip("this kernel has no tc programs");
    }
    return !err;
}

/*
 * Sends a frame of which only the headers are in one piece. Whoever sends is
 * told when it is dropped: false.
 */
static bool send_in_pieces(TapNet *net, GByteArray *frame,
                           struct virtio_net_hdr header)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = net->ifindex,
        .sll_protocol = htons(ETH_P_IP),
    };
    struct iovec parts[] = {
        { &header, sizeof(header) }, { frame->data, frame->len },
    };
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = parts,
        .msg_iovlen = G_N_ELEMENTS(parts),
    };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;
    bool sent;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on,
                               sizeof(on)), ==, 0);
    sent = sendmsg(fd, &message, 0) >= 0;
    g_assert_true(sent || errno == ENOBUFS);
    close(fd);
    return sent;
}

static const struct virtio_net_hdr in_pieces = { .hdr_len = 64 };

/* Of two frames only the second comes, unchanged. */
static void check_received(TapNet *net, const GByteArray *second)
{
    g_autoptr(GByteArray) came = g_byte_array_new();

    g_assert_cmpint(tap_net_receive(net, came, RECEIVE_MS), ==, 0);
    g_assert_cmpmem(came->data, came->len, second->data, second->len);
}

static void test_in_pieces(gconstpointer trusted)
{
    g_autoptr(GByteArray) frame = NULL;
    g_autoptr(TapNet) net = NULL;
    XdpTarget target = { .trusted = trusted != NULL };

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    net = tap_net_new(1);
    target.tap_ifindex = net->ifindex;
    if (!attach(net, drop_marked(PLACE, XDP_PASS, target))) {
        return;
    }
    frame = packet_build("eth ip4 udp raw:9000", &packet_flow);
    frame->data[PLACE] = MARK;
    g_assert_false(send_in_pieces(net, frame, in_pieces));
    frame->data[PLACE] = MARK + 1;
    g_assert_true(send_in_pieces(net, frame, in_pieces));
    check_received(net, frame);
}

/* The tag stands beside the frame, and the program looks behind it. */
static void test_tag(void)
{
    static const uint8_t tag[] = { 0x81, 0, 0, TAP_VLAN_ID };
    const struct bpf_insn push[] = {
        insn(INSN_MOVE, 6, 1, 0, 0),
        insn(INSN_SET, 2, 0, 0, htons(ETH_P_8021Q)),
        insn(INSN_SET, 3, 0, 0, TAP_VLAN_ID),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_vlan_push),
        insn(INSN_MOVE, 1, 6, 0, 0),
    };
    g_autoptr(GByteArray) frame = NULL, tagged = g_byte_array_new();
    g_autoptr(TapNet) net = NULL;
    XdpTarget target = { .trusted = true };
    GArray *insns;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    net = tap_net_new(1);
    target.tap_ifindex = net->ifindex;
    insns = drop_marked(44, XDP_PASS, target);
    g_array_prepend_vals(insns, push, G_N_ELEMENTS(push));
    if (!attach(net, insns)) {
        return;
    }
    frame = packet_build("eth ip4 udp raw:100", &packet_flow);
    frame->data[40] = MARK;
    g_assert_false(tap_net_send(net, frame->data, frame->len));
    frame->data[40] = MARK + 1;
    frame->data[44] = MARK;
    g_assert_true(tap_net_send(net, frame->data, frame->len));
    g_byte_array_append(tagged, frame->data, 12);
    g_byte_array_append(tagged, tag, sizeof(tag));
    g_byte_array_append(tagged, frame->data + 12, frame->len - 12);
    check_received(net, tagged);
}

/* What is sent back comes in at the tap's other side. */
static void test_tx(void)
{
    g_autoptr(GByteArray) frame = NULL;
    g_autoptr(TapNet) net = NULL;
    XdpTarget target = { .trusted = true };
    struct sockaddr_ll here = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
    };
    socklen_t here_len = sizeof(here);
    struct pollfd ready = { .events = POLLIN };
    uint8_t came[2000];
    ssize_t len;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    net = tap_net_new(1);
    target.tap_ifindex = net->ifindex;
    if (!attach(net, drop_marked(60, XDP_TX, target))) {
        return;
    }
    here.sll_ifindex = net->ifindex;
    ready.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(ready.fd, (struct sockaddr *)&here, sizeof(here)),
                    ==, 0);
    frame = packet_build("eth ip4 udp raw:100", &packet_flow);
    g_assert_true(tap_net_send(net, frame->data, frame->len));
    do {
        g_assert_cmpint(poll(&ready, 1, RECEIVE_MS), ==, 1);
        len = recvfrom(ready.fd, came, sizeof(came), 0,
                       (struct sockaddr *)&here, &here_len);
    } while (here.sll_pkttype == PACKET_OUTGOING ||
             len != (ssize_t)frame->len);
    g_assert_cmpmem(came, len, frame->data, frame->len);
    close(ready.fd);
}

enum {
    ADDRESSES = 26,             /* where they are in IPv4, UDP behind them */
    UDP = 34,
    CHECKSUM = UDP + 6,
    PAYLOAD = UDP + 8,
};

/* RFC 1071; @len is even. */
static uint16_t sum_of(const uint8_t *bytes, size_t len, uint32_t sum)
{
    size_t i;

    for (i = 0; i < len; i += 2) {
        sum += bytes[i] << 8 | bytes[i + 1];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

static GArray *change_address(XdpTarget target)
{
    const struct bpf_insn program[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_MOVE, 4, 2, 0, 0),
        insn(INSN_ADD_CONST, 4, 0, 0, ETH_HLEN),
        insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 1, 0),
        insn(BPF_ST | BPF_MEM | BPF_B, 2, 0, 5, MARK),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return translate(program, G_N_ELEMENTS(program), target);
}

/* Makes a 1 of a 0 in the payload, and takes 1 from the checksum. */
static GArray *change_payload(XdpTarget target)
{
    const struct bpf_insn program[] = {
        insn(INSN_LOAD32, 2, 1, offsetof(struct xdp_md, data), 0),
        insn(INSN_LOAD32, 3, 1, offsetof(struct xdp_md, data_end), 0),
        insn(INSN_SET, 0, 0, 0, XDP_PASS),
        insn(INSN_MOVE, 4, 2, 0, 0),
        insn(INSN_ADD_CONST, 4, 0, 0, PAYLOAD + 2),
        insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 6, 0),
        insn(BPF_ST | BPF_MEM | BPF_B, 2, 0, PAYLOAD + 1, 1),
        insn(BPF_LDX | BPF_MEM | BPF_H, 5, 2, CHECKSUM, 0),
        insn(INSN_TO_BE, 5, 0, 0, 16),
        insn(INSN_SUBTRACT32, 5, 0, 0, 1),
        insn(INSN_TO_BE, 5, 0, 0, 16),
        insn(INSN_STORE16, 2, 5, CHECKSUM, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    return translate(program, G_N_ELEMENTS(program), target);
}

typedef struct ChecksumRow {
    const char *name;
    GArray *(*program)(XdpTarget target);
    bool rewrite;
    bool partial;               /* the checksum is left to the card */
    bool right;                 /* where the frame arrives */
} ChecksumRow;

/* The last one is why a host has to allow "rewrite". */
static const ChecksumRow checksum_rows[] = {
    { "address", change_address, false, true, true },
    { "payload", change_payload, true, false, true },
    { "payload-partial", change_payload, true, true, false },
};

static void test_checksum(gconstpointer data)
{
    const ChecksumRow *row = data;
    struct virtio_net_hdr header = {
        .hdr_len = PAYLOAD, .csum_start = UDP, .csum_offset = CHECKSUM - UDP,
        .flags = row->partial ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
    };
    g_autoptr(GByteArray) frame = NULL, came = g_byte_array_new();
    g_autoptr(TapNet) net = NULL;
    XdpTarget target = { .rewrite = row->rewrite };
    uint16_t sum, pseudo;

    if (!bpf_run_allowed() || !tap_net_allowed()) {
        return;
    }
    net = tap_net_new(1);
    target.tap_ifindex = net->ifindex;
    if (!attach(net, row->program(target))) {
        return;
    }
    frame = packet_build("eth ip4 udp raw:100", &packet_flow);
    memset(frame->data + CHECKSUM, 0, 2);
    memset(frame->data + PAYLOAD, 0, 2);
    pseudo = IPPROTO_UDP + frame->len - UDP;
    sum = row->partial ? sum_of(frame->data + ADDRESSES, UDP - ADDRESSES,
                                pseudo)
                       : ~sum_of(frame->data + ADDRESSES,
                                 frame->len - ADDRESSES, pseudo);
    frame->data[CHECKSUM] = sum >> 8;
    frame->data[CHECKSUM + 1] = sum;
    g_assert_true(send_in_pieces(net, frame, header));
    g_assert_cmpint(tap_net_receive(net, came, RECEIVE_MS), ==, 0);
    g_assert_cmpint(memcmp(came->data, frame->data, frame->len), !=, 0);
    if (row->right) {
        g_assert_cmphex(sum_of(came->data + ADDRESSES, came->len - ADDRESSES,
                               pseudo), ==, 0xffff);
    } else {
        g_assert_cmphex(sum_of(came->data + ADDRESSES, came->len - ADDRESSES,
                               pseudo), !=, 0xffff);
    }
}

int main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tap/xdp/in-pieces", NULL, test_in_pieces);
    g_test_add_data_func("/tap/xdp/in-pieces/trusted", GUINT_TO_POINTER(1),
                         test_in_pieces);
    g_test_add_func("/tap/xdp/tag", test_tag);
    g_test_add_func("/tap/xdp/tx", test_tx);
    for (i = 0; i < G_N_ELEMENTS(checksum_rows); i++) {
        g_autofree char *path = g_strdup_printf("/tap/xdp/checksum/%s",
                                                checksum_rows[i].name);

        g_test_add_data_func(path, &checksum_rows[i], test_checksum);
    }
    return g_test_run();
}
