/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stream of frames. What is decoded must be the same once it is encoded. */
#include <errno.h>

#include "ebpf/xdp_wire.h"
#include "message.h"

/* Takes one frame off the stream; bytes that it had, or 0. */
static size_t take(const uint8_t *data, size_t size)
{
    int len = xdp_wire_frame_len(data, size);
    g_autofree uint8_t *frame = NULL;
    XdpWireMessage message;

    if (len <= 0 || (size_t)len > size) {
        return 0;
    }
    frame = g_memdup2(data, len);   /* so that a byte too far is seen */
    switch (xdp_wire_decode(frame, len, &message)) {
    case 0:
        xdp_wire_check_entries(&message, data[8], data[9]);
        must_be(xdp_wire_encode(&message), frame, len);
        break;
    case -EINVAL:
    case -EOPNOTSUPP:
        break;
    default:
        abort();
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used;

    while ((used = take(data, size)) != 0) {
        data += used;
        size -= used;
    }
    return 0;
}
