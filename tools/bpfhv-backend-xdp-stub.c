/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of bpfhv-backend-xdp.c, without libxdp. */
#include "bpfhv-backend.h"

Xdp *xdp_new(const char *text, unsigned n_queues, GError **error)
{
    refuse(error, "--xdp: this bpfhv-backend was built without libxdp");
    return NULL;
}

void xdp_free(Xdp *xdp)
{
    g_assert(!xdp);
}

bool xdp_use(Xdp *xdp, unsigned n_queues, GError **error)
{
    g_assert_not_reached();
}

int xdp_fd(const Xdp *xdp, unsigned queue)
{
    g_assert_not_reached();
}

bool xdp_gone(const Xdp *xdp)
{
    g_assert_not_reached();
}

bool xdp_send(Xdp *xdp, unsigned queue, const BpfhvPacket *packet)
{
    g_assert_not_reached();
}

bool xdp_flush(Xdp *xdp, unsigned queue)
{
    g_assert_not_reached();
}

size_t xdp_receive(Xdp *xdp, unsigned queue, uint8_t *packet)
{
    g_assert_not_reached();
}

uint64_t xdp_lost(const Xdp *xdp, unsigned queue)
{
    g_assert_not_reached();
}
