/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest and its card say to each other about XDP offload: frames in a
 * stream of bytes. docs/xdp_offload_wire.rst has the same for others.
 *
 * A message is a header of sixteen bytes, a body whose fields depend on the
 * operation, and for some of them data behind that. Numbers are little-endian.
 */
#ifndef EBPF_XDP_WIRE_H
#define EBPF_XDP_WIRE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    XDP_WIRE_MAGIC = 0x4f504458,        /* "XDPO" */
    XDP_WIRE_VERSION = 1,
    XDP_WIRE_ANSWER = 0x8000,           /* in the operation: it is an answer */
    XDP_WIRE_HEADER = 16,               /* bytes */
    XDP_WIRE_MAX = 65536,               /* bytes of a frame, with its header */
    XDP_WIRE_NAME = 16,                 /* bytes of a name, with its zero */
};

typedef enum XdpOp {
    XDP_OP_HELLO = 1,
    XDP_OP_MAP_CREATE,
    XDP_OP_PROG_SET,
    XDP_OP_PROG_UNSET,
    XDP_OP_LOOKUP,
    XDP_OP_UPDATE,
    XDP_OP_DELETE,
    XDP_OP_NEXT,
    XDP_OP_STATS,
    XDP_OP_MAP_TYPED,
    XDP_OP_END,                 /* the first number that is no operation */
} XdpOp;

/* Bits of XdpWireMessage.hello.features */
enum {
    XDP_FEATURE_REWRITE = 1 << 0,       /* programs may change packets */
    XDP_FEATURE_TRUSTED = 1 << 1,       /* and do arithmetic with pointers */
    XDP_FEATURE_TX = 1 << 2,            /* XDP_TX is not left to the guest */
    XDP_FEATURE_TYPES = 1 << 3,         /* there is MAP_TYPED */
};

/* Bits of XdpWireMessage.program.flags */
enum {
    XDP_PROGRAM_GPL = 1 << 0,           /* its licence is GPL-compatible */
};

/* Bits of XdpWireMessage.entries.flags */
enum {
    XDP_ENTRIES_FIRST = 1 << 0,         /* NEXT: from the first entry on */
    XDP_ENTRIES_NO_EXIST = 1 << 1,      /* UPDATE: only new ones */
    XDP_ENTRIES_EXIST = 1 << 2,         /* UPDATE: only those that are there */
};

/**
 * XdpWireMessage: a request, or the answer to one
 * @op, @answer, @sequence: an answer has those of its request
 * @error: of an answer: 0, or a number as Linux has them (EPERM is 1). An
 *         answer with an error has no body; its data is text, such as the end
 *         of the verifier's log.
 * @hello: of both; the guest's has its own limits, where it has any
 * @map: of the request; its answer is @handle. Of MAP_TYPED, its data is BTF
 *       with the types of key and value.
 * @program: of the request; its data is @program.count instructions
 * @entries: of LOOKUP, UPDATE, DELETE, NEXT, and of their answers: data is
 *           @entries.count times what xdp_wire_entry_len() says. For a request
 *           of NEXT that is how many are wanted, and data is the key behind
 *           which they begin, or nothing with XDP_ENTRIES_FIRST.
 * @stats: of the answer
 * @data, @len: what is behind the body. Of a decoded message it is part of
 *              what was decoded.
 */
typedef struct XdpWireMessage {
    XdpOp op;
    bool answer;
    uint32_t sequence;
    uint32_t error;
    union {
        struct {
            uint32_t features;          /* XDP_FEATURE_* */
            uint32_t max_insns, max_maps;
            uint32_t max_key, max_value;        /* bytes */
            uint64_t max_memory;                /* bytes */
            uint32_t processors;        /* of the host, possible ones; or 0 */
        } hello;
        struct {
            uint32_t type;              /* BPF_MAP_TYPE_* */
            uint32_t key_size, value_size;      /* bytes */
            uint32_t max_entries, flags;        /* BPF_F_* */
            char name[XDP_WIRE_NAME];
            uint32_t key_type, value_type;      /* MAP_TYPED: in the BTF */
        } map;
        uint32_t handle;                /* of a map */
        struct {
            uint32_t flags;             /* XDP_PROGRAM_* */
            uint32_t ifindex;           /* that it sees as ingress_ifindex */
            uint32_t count;             /* of instructions, of 8 bytes each */
            char name[XDP_WIRE_NAME];
        } program;
        struct {
            uint32_t handle;
            uint32_t flags;             /* XDP_ENTRIES_* */
            uint32_t count;
        } entries;
        struct {
            uint64_t passed, dropped, sent, unexamined;     /* packets */
            uint64_t memory;                                /* bytes, of maps */
            uint64_t since;             /* ns that the program is there */
        } stats;
    };
    const uint8_t *data;
    size_t len;
} XdpWireMessage;

/**
 * xdp_wire_frame_len:
 * @bytes: the stream, from the beginning of a frame
 * @len: bytes that have come so far
 *
 * Returns: bytes of the frame, from XDP_WIRE_HEADER to XDP_WIRE_MAX; 0 if more
 * must come before that is known; or what is wrong: -EBADMSG, it does not
 * begin with the magic number, -EPROTONOSUPPORT, it is of another version,
 * -EMSGSIZE, it is too long. Behind an error the stream cannot be read any
 * more.
 */
int xdp_wire_frame_len(const uint8_t *bytes, size_t len);

/**
 * xdp_wire_decode:
 * @bytes, @len: one frame, as long as xdp_wire_frame_len() says
 * @message: set as far as is known: @op, @answer and @sequence of a request are
 *           right also for -EINVAL and -EOPNOTSUPP, so that it can be answered
 *
 * Returns: 0; -EBADMSG, it is no frame; -EOPNOTSUPP, there is no such
 * operation; -EINVAL, its body is not as it has to be
 */
int xdp_wire_decode(const uint8_t *bytes, size_t len,
                    XdpWireMessage *message);

/**
 * xdp_wire_encode:
 * @message: with @data, which may be NULL if @len is 0
 *
 * Returns: a frame, or NULL if it would be longer than XDP_WIRE_MAX or
 * xdp_wire_decode() would refuse it. An answer with an error may be one to an
 * operation that is not known.
 */
GByteArray *xdp_wire_encode(const XdpWireMessage *message);

/**
 * xdp_wire_entry_len:
 * @key_size, @value_size: of the map, in bytes; the value of a per-CPU map is
 *                         that of all processors, each rounded up to 8 bytes
 *
 * Returns: bytes that each of the entries takes in @message, which is one of
 * LOOKUP, UPDATE, DELETE, NEXT
 */
size_t xdp_wire_entry_len(const XdpWireMessage *message, size_t key_size,
                          size_t value_size);

/**
 * xdp_wire_check_entries:
 *
 * Returns: whether the data of @message is just what its count says, for a map
 * with these sizes (see above)
 */
bool xdp_wire_check_entries(const XdpWireMessage *message, size_t key_size,
                            size_t value_size);

#endif
