/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <time.h>

#include "net/netlink.h"
#include "net/rss.h"

enum {
    BUFFER = 64 * 1024,         /* bytes; answers of the kernel fit in 32 KiB */
    WAIT_S = 10,                /* for an answer */
};

struct Netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    char reason[256];
    char request[BUFFER];
    char answer[BUFFER];
};

Netlink *netlink_open(GError **error)
{
    g_autoptr(Netlink) nl = g_new0(Netlink, 1);
    const struct timeval wait = { .tv_sec = WAIT_S };
    int on = 1;

    nl->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!nl->socket || mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        netlink_fail(nl, errno, "open an rtnetlink socket", error);
        return NULL;
    }
    /* Without the first there is no reason, without the second no limit. */
    mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &wait,
               sizeof(wait));
    nl->sequence = time(NULL);
    return g_steal_pointer(&nl);
}

void netlink_close(Netlink *nl)
{
    if (nl) {
        if (nl->socket) {
            mnl_socket_close(nl->socket);
        }
        g_free(nl);
    }
}

struct nlmsghdr *netlink_request(Netlink *nl, uint16_t type, uint16_t flags,
                                 void **extra, size_t extra_size)
{
    struct nlmsghdr *message;

    memset(nl->request, 0, sizeof(nl->request));
    message = mnl_nlmsg_put_header(nl->request);
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    if ((flags & NLM_F_DUMP) != NLM_F_DUMP) {   /* NLM_F_EXCL is half of it */
        message->nlmsg_flags |= NLM_F_ACK;
    }
    message->nlmsg_seq = ++nl->sequence;
    *extra = mnl_nlmsg_put_extra_header(message, extra_size);
    return message;
}

/* The errno that an error message carries, 0 for an acknowledgement. */
static int read_error(Netlink *nl, const struct nlmsghdr *message)
{
    const struct nlmsgerr *err = mnl_nlmsg_get_payload(message);
    const struct nlattr *text;
    size_t skip = sizeof(*err);

    if (message->nlmsg_len < mnl_nlmsg_size(sizeof(*err))) {
        return EBADMSG;
    }
    if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
        skip += err->msg.nlmsg_len - sizeof(err->msg);
    }
    if (message->nlmsg_flags & NLM_F_ACK_TLVS &&
        message->nlmsg_len > mnl_nlmsg_size(skip)) {
        text = netlink_attr(message, skip, NLMSGERR_ATTR_MSG, 1);
        netlink_copy_text(nl->reason, sizeof(nl->reason), text);
    }
    return -err->error;
}

/* Reads what one datagram holds; true: that was the last one. */
static bool read_messages(Netlink *nl, int len, NetlinkEach *each,
                          void *opaque, int *err)
{
    const struct nlmsghdr *message = (void *)nl->answer;

    for (; mnl_nlmsg_ok(message, len);
         message = mnl_nlmsg_next(message, &len)) {
        if (message->nlmsg_seq != nl->sequence) {
            continue;           /* to a question that we gave up */
        }
        if (message->nlmsg_type == NLMSG_ERROR) {
            *err = read_error(nl, message);
            return true;
        }
        if (message->nlmsg_type == NLMSG_DONE) {
            return true;
        }
        if (message->nlmsg_type >= NLMSG_MIN_TYPE && each) {
            each(message, opaque);
        }
    }
    return false;
}

int netlink_talk(Netlink *nl, NetlinkEach *each, void *opaque)
{
    const struct nlmsghdr *request = (void *)nl->request;
    ssize_t len;
    int err = 0;

    nl->reason[0] = 0;
    if (mnl_socket_sendto(nl->socket, request, request->nlmsg_len) < 0) {
        return errno;
    }
    do {
        len = mnl_socket_recvfrom(nl->socket, nl->answer, sizeof(nl->answer));
        if (len < 0 && errno != EINTR) {
            return errno == EAGAIN ? ETIMEDOUT : errno;
        }
    } while (len < 0 || !read_messages(nl, len, each, opaque, &err));
    return err;
}

const char *netlink_reason(const Netlink *nl)
{
    return nl->reason;
}

bool netlink_fail(const Netlink *nl, int err, const char *what,
                  GError **error)
{
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL, "cannot %s: %s%s%s%s",
                what, g_strerror(err), nl->reason[0] ? " (" : "", nl->reason,
                nl->reason[0] ? ")" : "");
    return false;
}

static bool is_it(const struct nlattr *attr, uint16_t type, size_t size)
{
    return mnl_attr_get_type(attr) == type &&
           mnl_attr_get_payload_len(attr) >= size;
}

const struct nlattr *netlink_attr(const struct nlmsghdr *message,
                                  size_t offset, uint16_t type, size_t size)
{
    const struct nlattr *attr;

    if (!message || message->nlmsg_len < mnl_nlmsg_size(offset)) {
        return NULL;
    }
    mnl_attr_for_each(attr, message, offset) {
        if (is_it(attr, type, size)) {
            return attr;
        }
    }
    return NULL;
}

const struct nlattr *netlink_nested(const struct nlattr *parent,
                                    uint16_t type, size_t size)
{
    const struct nlattr *attr;

    if (parent) {
        mnl_attr_for_each_nested(attr, parent) {
            if (is_it(attr, type, size)) {
                return attr;
            }
        }
    }
    return NULL;
}

void netlink_copy_text(char *out, size_t size, const struct nlattr *attr)
{
    size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

    len = MIN(len, size - 1);
    if (len) {
        memcpy(out, mnl_attr_get_payload(attr), len);
    }
    out[len] = 0;
}
