/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a bpfhv device, its backend, its programs and the guest's driver agree
 * on: version 2 of the ABI. docs/bpfhv_abi.rst is the specification.
 *
 * Read by compilers for user space, for the kernel and for BPF. All numbers in
 * memory and registers are little-endian; programs run where the processor is.
 */
#ifndef LINUX_BPFHV_ABI_H
#define LINUX_BPFHV_ABI_H

#include <linux/types.h>

#define BPFHV_ABI_VERSION 2

#define BPFHV_PCI_VENDOR 0x1b36
#define BPFHV_PCI_DEVICE 0x000e     /* also a bridge's: match the class, too */
#define BPFHV_PCI_CLASS 0x020000

enum bpfhv_bar {
    BPFHV_BAR_REGISTERS = 0,
    BPFHV_BAR_DOORBELLS = 1,
    BPFHV_BAR_MSIX = 2,
    BPFHV_BAR_PROGRAM = 3,
};

/* In BPFHV_BAR_REGISTERS: 32 bits each, accessed whole. */
enum bpfhv_register {
    BPFHV_REG_STATUS = 0,           /* read only: bpfhv_status */
    BPFHV_REG_CTRL = 4,             /* write only: bpfhv_ctrl, one bit */
    BPFHV_REG_MAC_LO = 8,           /* bytes 2 to 5, the first on top */
    BPFHV_REG_MAC_HI = 12,          /* bytes 0 and 1, the same */
    BPFHV_REG_NUM_RX_QUEUES = 16,
    BPFHV_REG_NUM_TX_QUEUES = 20,
    BPFHV_REG_NUM_RX_BUFS = 24,     /* at most so many published, per queue */
    BPFHV_REG_NUM_TX_BUFS = 28,
    BPFHV_REG_RX_CTX_SIZE = 32,     /* bytes, the common part included */
    BPFHV_REG_TX_CTX_SIZE = 36,
    BPFHV_REG_DOORBELL_SIZE = 40,   /* bytes from one doorbell to the next */
    BPFHV_REG_QUEUE_SELECT = 44,    /* receive queues first */
    BPFHV_REG_CTX_PADDR_LO = 48,
    BPFHV_REG_CTX_PADDR_HI = 52,    /* writing it takes both; 0: no context */
    BPFHV_REG_PROG_SELECT = 56,     /* bpfhv_program */
    BPFHV_REG_PROG_SIZE = 60,       /* instructions of the selected program */
    /* 64 and 68 were kernel addresses in version 1 */
    BPFHV_REG_VERSION = 72,         /* BPFHV_ABI_VERSION */
    BPFHV_REG_FEATURES = 76,        /* read: offered; write: chosen */
    BPFHV_REG_DUMP_LEN = 80,
    BPFHV_REG_DUMP_INPUT = 84,
    BPFHV_REG_DUMP_OFS = 88,
};

enum bpfhv_status {
    BPFHV_STATUS_LINK = 1 << 0,
    BPFHV_STATUS_UPGRADE = 1 << 1,
    BPFHV_STATUS_RX_ENABLED = 1 << 2,
    BPFHV_STATUS_TX_ENABLED = 1 << 3,
};

enum bpfhv_ctrl {
    BPFHV_CTRL_RX_ENABLE = 1 << 0,
    BPFHV_CTRL_TX_ENABLE = 1 << 1,
    BPFHV_CTRL_RX_DISABLE = 1 << 2,
    BPFHV_CTRL_TX_DISABLE = 1 << 3,
    BPFHV_CTRL_UPGRADE_READY = 1 << 4,
    BPFHV_CTRL_QUEUES_DUMP = 1 << 5,
};

/* 7 and 8 were UDP fragmentation offload, which Linux has no more. */
enum bpfhv_feature {
    BPFHV_F_SG = 1 << 0,            /* packets of several buffers */
    BPFHV_F_TX_CSUM = 1 << 1,
    BPFHV_F_RX_CSUM = 1 << 2,
    BPFHV_F_TSO4 = 1 << 3,
    BPFHV_F_LRO4 = 1 << 4,
    BPFHV_F_TSO6 = 1 << 5,
    BPFHV_F_LRO6 = 1 << 6,
};

/* Numbers of PROG_SELECT; 4, 5, 9 and 10 were others in version 1. */
enum bpfhv_program {
    BPFHV_RX_PUBLISH = 1,
    BPFHV_RX_COMPLETE = 2,
    BPFHV_RX_INTERRUPTS = 3,
    BPFHV_TX_PUBLISH = 6,
    BPFHV_TX_COMPLETE = 7,
    BPFHV_TX_INTERRUPTS = 8,
    BPFHV_NUM_PROGRAMS = 11,        /* one more than the highest number */
};

enum bpfhv_limit {
    BPFHV_MAX_INSNS = 4096,         /* instructions of 8 bytes in a program */
    BPFHV_MAX_STACK = 256,          /* bytes of a program's stack */
    BPFHV_MAX_FUEL = 65536,         /* instructions on the way back in a run */
    BPFHV_MAX_QUEUE_PAIRS = 32,
    BPFHV_MAX_QUEUE_BUFS = 65536,   /* cookies are less: they have 16 bits */
    BPFHV_MAX_CTX_SIZE = 1 << 20,
    BPFHV_CTX_BUFS = 64,
};

enum bpfhv_buf_flag {
    BPFHV_BUF_NEXT = 1 << 0,        /* the packet goes on in the next entry */
    BPFHV_BUF_NEEDS_CSUM = 1 << 1,  /* from csum_start, at + csum_offset */
    BPFHV_BUF_CSUM_VALID = 1 << 2,  /* receive: the checksum is right */
};

enum bpfhv_gso {
    BPFHV_GSO_NONE = 0,
    BPFHV_GSO_TCP4 = 1,
    BPFHV_GSO_TCP6 = 2,
};

/**
 * struct bpfhv_buf: a buffer, and in a packet's first one the packet's metadata
 * @paddr: address for the device's DMA; 0 in what was completed
 * @len: bytes of room (receive, published), or of data
 * @cookie: which buffer it is: an index of the driver's table
 * @flags: bpfhv_buf_flag
 * @gso_type: bpfhv_gso
 * @hdr_len: bytes of all headers, where @gso_type is set
 * @gso_size: bytes of payload in a segment, likewise
 * @csum_start: bytes from the packet's begin, with BPFHV_BUF_NEEDS_CSUM
 * @csum_offset: bytes from @csum_start, likewise
 */
struct bpfhv_buf {
    __u64 paddr;
    __u32 len;
    __u16 cookie;
    __u16 flags;
    __u8 gso_type;
    __u8 unused[3];
    __u16 hdr_len;
    __u16 gso_size;
    __u16 csum_start;
    __u16 csum_offset;
    __u32 unused2;
};

enum bpfhv_out {
    BPFHV_OUT_KICK = 1 << 0,        /* ring the doorbell */
};

/**
 * struct bpfhv_ctx: the common part of a queue's context, in guest memory
 * @num_bufs: how many of @bufs are meant; the driver's for publish, the
 *            program's for complete
 * @out: bpfhv_out, which publish writes
 * @min_completed_bufs: for interrupts: wake the driver when so many buffers
 *                      more are completed; 0: do not
 * @bufs: the buffers of the call; whole packets only
 *
 * The private part, of programs and host, lies behind it. The host may write
 * to any of it at any time: the driver reads each field once and checks it.
 */
struct bpfhv_ctx {
    __u32 num_bufs;
    __u32 out;
    __u32 min_completed_bufs;
    __u32 unused[29];
    struct bpfhv_buf bufs[BPFHV_CTX_BUFS];
};

_Static_assert(sizeof(struct bpfhv_buf) == 32, "a buffer has 32 bytes");
_Static_assert(sizeof(struct bpfhv_ctx) == 2176,
               "the common part has 2,176 bytes");
_Static_assert(sizeof(struct bpfhv_ctx) % 128 == 0,
               "the private part is aligned to two lines of the cache");

#endif
