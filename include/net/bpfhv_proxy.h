/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU and the process that serves a bpfhv card's queues say to each
 * other: messages over a stream socket. docs/bpfhv_proxy.rst has the same for
 * others.
 *
 * QEMU asks, the backend answers each request in its turn, with a message of
 * the same type. Numbers are little-endian. Descriptors come with the first
 * byte of their message (SCM_RIGHTS).
 */
#ifndef NET_BPFHV_PROXY_H
#define NET_BPFHV_PROXY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BPFHV_PROXY_VERSION = 2,
    BPFHV_PROXY_HEADER = 12,            /* bytes */
    BPFHV_PROXY_MAX_BODY = 32768,       /* bytes: a program of the largest */
    BPFHV_PROXY_MAX_TEXT = 256,         /* bytes */
    BPFHV_PROXY_MAX_REGIONS = 8,
    BPFHV_PROXY_MAX_FDS = BPFHV_PROXY_MAX_REGIONS,
};

typedef enum BpfhvProxyType {
    BPFHV_PROXY_GET_FEATURES = 1,
    BPFHV_PROXY_SET_FEATURES,
    BPFHV_PROXY_SET_PARAMETERS,
    BPFHV_PROXY_GET_PROGRAM,
    BPFHV_PROXY_SET_MEMORY,
    BPFHV_PROXY_SET_QUEUE_CTX,
    BPFHV_PROXY_SET_QUEUE_KICK,
    BPFHV_PROXY_SET_QUEUE_IRQ,
    BPFHV_PROXY_SET_UPGRADE,
    BPFHV_PROXY_RX_ENABLE,
    BPFHV_PROXY_TX_ENABLE,
    BPFHV_PROXY_RX_DISABLE,
    BPFHV_PROXY_TX_DISABLE,
    BPFHV_PROXY_UPGRADE,
    BPFHV_PROXY_END,            /* the first number that is no type */
} BpfhvProxyType;

/**
 * BpfhvProxyRegion: guest memory
 * @gpa: its address in the guest
 * @size: bytes
 * @offset: bytes from the begin of its descriptor's file
 */
typedef struct BpfhvProxyRegion {
    uint64_t gpa, size, offset;
} BpfhvProxyRegion;

/**
 * BpfhvProxyMessage: a request, or an answer
 * @type: of both
 * @answer: it is one. The message does not say so: who receives it knows.
 * @refused: of an answer: nothing was changed; @text says why. Then there is
 *           no other field.
 * @features: BPFHV_F_*; of GET_FEATURES's answer and of SET_FEATURES
 * @parameters: of SET_PARAMETERS
 * @sizes: of its answer; contexts in bytes, the common part included
 * @program: of GET_PROGRAM: BPFHV_RX_PUBLISH and so on
 * @queue: of SET_QUEUE_*; receive queues first
 * @gpa: of SET_QUEUE_CTX: the context's address; 0: there is none
 * @data: instructions, of GET_PROGRAM's answer: @count of 8 bytes; part of
 *        what was decoded
 * @region: of SET_MEMORY, @count of them, each with a descriptor
 * @text: printable ASCII, @count bytes and a zero
 * @n_fds: descriptors that come with the message: SET_QUEUE_KICK,
 *         SET_QUEUE_IRQ and SET_UPGRADE have one, or none to take it away
 */
typedef struct BpfhvProxyMessage {
    BpfhvProxyType type;
    bool answer, refused;
    uint64_t features;
    struct {
        uint32_t rx_queues, tx_queues;
    } parameters;
    struct {
        uint32_t rx_ctx, tx_ctx;
        uint32_t rx_bufs, tx_bufs;
    } sizes;
    uint32_t program;
    uint32_t queue;
    uint64_t gpa;
    uint32_t count;
    const uint8_t *data;
    BpfhvProxyRegion region[BPFHV_PROXY_MAX_REGIONS];
    char text[BPFHV_PROXY_MAX_TEXT + 1];
    unsigned n_fds;
} BpfhvProxyMessage;

/**
 * bpfhv_proxy_frame_len:
 * @bytes: the begin of a message
 * @len: how many are there
 *
 * Returns: the message's length in bytes; 0 if there are fewer than
 * BPFHV_PROXY_HEADER; -EPROTONOSUPPORT if it has another version, -EMSGSIZE if
 * it says that it is longer than any: then nobody knows where the next begins
 */
int bpfhv_proxy_frame_len(const uint8_t *bytes, size_t len);

/**
 * bpfhv_proxy_decode:
 * @bytes: a message, @len long
 * @answer: it comes from the backend
 * @n_fds: how many descriptors came with it
 * @message: receives it; with -EINVAL @message->type is valid
 *
 * What is accepted has values within the ABI's bounds, and regions that do not
 * wrap and do not overlap. The descriptors remain the caller's.
 *
 * Returns: 0; -EBADMSG if @len is not what the header says; -EOPNOTSUPP for a
 * type that is not known; -EINVAL for what may not be in a message of its type
 */
int bpfhv_proxy_decode(const uint8_t *bytes, size_t len, bool answer,
                       unsigned n_fds, BpfhvProxyMessage *message);

/**
 * bpfhv_proxy_encode:
 * @message: without @text's length, which is counted
 *
 * Returns: the message, for the caller to free; NULL if it is one that decode
 * would not accept
 */
GByteArray *bpfhv_proxy_encode(const BpfhvProxyMessage *message);

/* What the request is called in messages, as "SET_MEMORY". */
const char *bpfhv_proxy_name(BpfhvProxyType type);

#endif
