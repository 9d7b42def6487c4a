/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the kernel by rtnetlink, one question at a time. */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include <glib.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>

/* A socket in the network namespace in which it was opened. */
typedef struct Netlink Netlink;

Netlink *netlink_open(GError **error);

void netlink_close(Netlink *nl);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netlink, netlink_close)

/**
 * netlink_request:
 * @type: RTM_*
 * @flags: NLM_F_*, but NLM_F_REQUEST
 * @extra: the fixed part behind the header, to be filled by the caller
 * @extra_size: its size in bytes
 *
 * Returns: a new message in a buffer of @nl's, valid until the next one. There
 * is room for some kilobytes of attributes.
 */
struct nlmsghdr *netlink_request(Netlink *nl, uint16_t type, uint16_t flags,
                                 void **extra, size_t extra_size);

/* Called with each message of an answer. */
typedef void NetlinkEach(const struct nlmsghdr *message, void *opaque);

/**
 * netlink_talk:
 * @each: or NULL
 *
 * Sends the request and waits for the whole answer.
 *
 * Returns: 0, or the errno with which the kernel refuses; then
 * netlink_reason() has its own words
 */
int netlink_talk(Netlink *nl, NetlinkEach *each, void *opaque);

/* What the kernel said to the last error beside its number, or "". */
const char *netlink_reason(const Netlink *nl);

/* Sets @error to "cannot WHAT: REASON"; returns false. */
bool netlink_fail(const Netlink *nl, int err, const char *what,
                  GError **error);

/**
 * netlink_attr:
 * @message: or NULL
 * @offset: bytes of the fixed part
 *
 * Returns: the first attribute of this type, long enough for @size bytes, or
 * NULL
 */
const struct nlattr *netlink_attr(const struct nlmsghdr *message,
                                  size_t offset, uint16_t type, size_t size);

/* The same among the attributes that are nested in @parent, or NULL. */
const struct nlattr *netlink_nested(const struct nlattr *parent,
                                    uint16_t type, size_t size);

/* The text in @attr, which may be NULL, cut to fit. */
void netlink_copy_text(char *out, size_t size, const struct nlattr *attr);

#endif
