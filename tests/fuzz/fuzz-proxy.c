/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of bpfhv proxy messages behind two bytes: who sends them, and with
 * how many descriptors. What is decoded must be the same once it is encoded.
 */
#include <errno.h>

#include "message.h"
#include "net/bpfhv_proxy.h"

/* Takes one message off the stream; bytes that it had, or 0. */
static size_t take(const uint8_t *data, size_t size, bool answer,
                   unsigned n_fds)
{
    int len = bpfhv_proxy_frame_len(data, size);
    g_autofree uint8_t *frame = NULL;
    BpfhvProxyMessage message;

    if (len <= 0 || (size_t)len > size) {
        return 0;
    }
    frame = g_memdup2(data, len);   /* so that a byte too far is seen */
    switch (bpfhv_proxy_decode(frame, len, answer, n_fds, &message)) {
    case 0:
        must_be(bpfhv_proxy_encode(&message), frame, len);
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

    if (size < 2) {
        return 0;
    }
    for (size_t at = 2; (used = take(data + at, size - at, data[0] & 1,
                                     data[1])) != 0; at += used) {
    }
    return 0;
}
