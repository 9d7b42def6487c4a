/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qstats: print how many packets each receive queue of an interface got.
 *
 * Runs in our guests.  From Linux 6.12 on virtio_net shows these counters no
 * longer with "ethtool -S" but through the generic netlink family "netdev"
 * (Documentation/netlink/specs/netdev.yaml of the kernel).  The output has
 * ethtool's form, so that one reader does for both.
 *
 * The numbers of that family are written here since the headers of Debian 12
 * do not have them.
 */

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CMD_QSTATS_GET = 12,
    A_IFINDEX = 1,
    A_QUEUE_TYPE = 2,
    A_QUEUE_ID = 3,
    A_SCOPE = 4,
    A_RX_PACKETS = 8,
    SCOPE_QUEUE = 1,
    TYPE_RX = 0,
};

struct request {
    struct nlmsghdr nl;
    struct genlmsghdr ge;
    char attrs[256];
};

static void start(struct request *r, int family, int flags, int command)
{
    memset(r, 0, sizeof(*r));
    r->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
    r->nl.nlmsg_type = family;
    r->nl.nlmsg_flags = NLM_F_REQUEST | flags;
    r->ge.cmd = command;
    r->ge.version = 1;
}

static void add(struct request *r, int type, const void *data, int len)
{
    struct nlattr *attr = (void *)((char *)r + r->nl.nlmsg_len);

    attr->nla_type = type;
    attr->nla_len = NLA_HDRLEN + len;
    memcpy(attr + 1, data, len);
    r->nl.nlmsg_len += NLA_ALIGN(attr->nla_len);
}

/* Returns attribute @type of a message as a number, or @none. */
static uint64_t number(const struct nlmsghdr *nl, int type, uint64_t none)
{
    const char *at = (const char *)nl + NLMSG_LENGTH(GENL_HDRLEN);
    const char *end = (const char *)nl + nl->nlmsg_len;

    while (at + NLA_HDRLEN <= end) {
        const struct nlattr *attr = (const void *)at;
        uint64_t value = 0;
        size_t len = attr->nla_len - NLA_HDRLEN;

        if ((attr->nla_type & NLA_TYPE_MASK) == type && len <= sizeof(value)) {
            memcpy(&value, attr + 1, len);      /* guests are x86 */
            return value;
        }
        at += NLA_ALIGN(attr->nla_len);
    }
    return none;
}

/* Returns the number of generic netlink family @name, or -1. */
static int family_number(int fd, const char *name)
{
    struct request r;
    char buf[8192];
    ssize_t len;

    start(&r, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY);
    add(&r, CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
    if (send(fd, &r, r.nl.nlmsg_len, 0) < 0) {
        return -1;
    }
    len = recv(fd, buf, sizeof(buf), 0);
    if (len < (ssize_t)sizeof(struct nlmsghdr) ||
        ((struct nlmsghdr *)buf)->nlmsg_type == NLMSG_ERROR) {
        return -1;
    }
    return number((void *)buf, CTRL_ATTR_FAMILY_ID, -1);
}

/* Prints the answers until the last; returns 0, or 1 after an error. */
static int print_answers(int fd)
{
    static char buf[65536];

    for (;;) {
        int len = recv(fd, buf, sizeof(buf), 0);
        struct nlmsghdr *nl = (void *)buf;

        if (len <= 0) {
            return 1;
        }
        for (; NLMSG_OK(nl, len); nl = NLMSG_NEXT(nl, len)) {
            if (nl->nlmsg_type == NLMSG_DONE) {
                return 0;
            }
            if (nl->nlmsg_type == NLMSG_ERROR) {
                return 1;
            }
            if (number(nl, A_QUEUE_TYPE, TYPE_RX) == TYPE_RX) {
                printf("rx_queue_%llu_packets: %llu\n",
                       (unsigned long long)number(nl, A_QUEUE_ID, 0),
                       (unsigned long long)number(nl, A_RX_PACKETS, 0));
            }
        }
    }
}

int main(int argc, char **argv)
{
    uint32_t index = argc == 2 ? if_nametoindex(argv[1]) : 0;
    uint32_t scope = SCOPE_QUEUE;
    struct request r;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    int family = fd < 0 ? -1 : family_number(fd, "netdev");

    if (index == 0 || family < 0) {
        fprintf(stderr, "usage: qstats INTERFACE (Linux 6.12 or later)\n");
        return 2;
    }
    start(&r, family, NLM_F_DUMP, CMD_QSTATS_GET);
    add(&r, A_IFINDEX, &index, sizeof(index));
    add(&r, A_SCOPE, &scope, sizeof(scope));
    if (send(fd, &r, r.nl.nlmsg_len, 0) < 0 || print_answers(fd)) {
        fprintf(stderr, "qstats: the kernel gave no counters\n");
        return 1;
    }
    return 0;
}
