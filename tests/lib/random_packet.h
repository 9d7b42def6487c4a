/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random frames from a small grammar: mostly sensible, often odd. */
#ifndef TESTS_RANDOM_PACKET_H
#define TESTS_RANDOM_PACKET_H

#include <glib.h>

/* @recipe: what was built (see packet.h), and what was done to it then */
typedef struct RandomPacket {
    char *recipe;
    GByteArray *frame;
} RandomPacket;

/* A frame of at most @max_len bytes. */
RandomPacket *random_packet(GRand *rand, size_t max_len);

void random_packet_free(RandomPacket *packet);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RandomPacket, random_packet_free)

#endif
