/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints random frames and what the oracle says of them, a line each:
 *
 *     types type hash frame recipe
 *
 * under the key of the RSS verification suite, numbers in hex. For
 * compare-references.py. An argument is how many.
 */
#include <stdio.h>
#include <stdlib.h>

#include "configs.h"
#include "packet.h"
#include "random_packet.h"

int main(int argc, char **argv)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    int i, n = argc > 1 ? atoi(argv[1]) : 1;

    for (i = 0; i < n; i++) {
        g_autoptr(RandomPacket) packet = random_packet(rand, 4096);
        guint32 types = g_rand_int_range(rand, 0, RSS_TYPES_ALL + 1);
        RssConfig config = config_plain(types, 1);
        OracleConfig oracle = config_for_oracle(&config);
        OracleAnswer answer = oracle_classify(&oracle, packet->frame->data,
                                              packet->frame->len);
        g_autofree char *hex = packet_hex(packet->frame->data,
                                          packet->frame->len);

        printf("%x %x %x =%s %s\n", types, answer.type, answer.hash, hex,
               packet->recipe);
    }
    return 0;
}
