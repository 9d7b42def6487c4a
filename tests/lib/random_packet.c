/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar, with | for a choice:
 *
 *     frame      eth tags network payload
 *     tags       up to 9, in most frames none
 *     network    ip4 transport | ip6 extensions transport | another type
 *     extensions up to 17, in half of the frames none
 *
 * Then the frame may be cut off anywhere, and some of its bytes be changed.
 */
#include "packet.h"
#include "random_packet.h"

/* True in one of @n cases. */
static gboolean one_in(GRand *rand, int n)
{
    return g_rand_int_range(rand, 0, n) == 0;
}

static const char *pick(GRand *rand, const char *const *words, int n)
{
    return words[g_rand_int_range(rand, 0, n)];
}

#define PICK(rand, words) pick(rand, words, G_N_ELEMENTS(words))

static void add_tags(GRand *rand, GString *recipe)
{
    static const char *const tags[] = { " vlan", " svlan" };
    int n = one_in(rand, 4) ? g_rand_int_range(rand, 1, 10) : 0;

    while (n--) {
        g_string_append(recipe, PICK(rand, tags));
    }
}

static void add_transport(GRand *rand, GString *recipe)
{
    static const char *const others[] = {
        "", " icmp6", " esp", " ah tcp", " hop udp", " frag tcp",
    };
    static const char *const usual[] = { " tcp", " udp" };

    g_string_append(recipe, one_in(rand, 6) ? PICK(rand, others)
                                            : PICK(rand, usual));
}

static void add_ip4(GRand *rand, GString *recipe)
{
    g_string_append(recipe, " ip4:");
    if (one_in(rand, 3)) {
        g_string_append_printf(recipe, "ihl=%d,",
                               g_rand_int_range(rand, 0, 16));
    }
    if (one_in(rand, 2)) {
        g_string_append(recipe, "df,");
    }
    if (one_in(rand, 8)) {
        g_string_append(recipe, "mf,");
    }
    if (one_in(rand, 8)) {
        g_string_append_printf(recipe, "off=%d,",
                               1 << g_rand_int_range(rand, 0, 16));
    }
    if (one_in(rand, 20)) {
        g_string_append_printf(recipe, "ver=%d,",
                               g_rand_int_range(rand, 0, 16));
    }
    add_transport(rand, recipe);
}

static void add_options(GRand *rand, GString *recipe)
{
    int n = g_rand_int_range(rand, 0, one_in(rand, 8) ? 20 : 4);

    while (n--) {
        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
            g_string_append(recipe, "pad1,");
            break;
        case 1:
            g_string_append_printf(recipe, "padn=%d,",
                                   g_rand_int_range(rand, 0, 8));
            break;
        case 2:
            g_string_append_printf(recipe, "opt=%d,",
                                   g_rand_int_range(rand, 0, 24));
            break;
        case 3:
            g_string_append_printf(recipe, "home=%d,",
                                   g_rand_int_range(rand, 14, 19));
            break;
        default:
            g_string_append(recipe, "home,");
            break;
        }
    }
}

static void add_extension(GRand *rand, GString *recipe)
{
    static const char *const plain[] = {
        " hop", " mob", " hip", " shim", " hop:len=3", " shim:len=9",
        " ah", " ah:len=1", " frag", " frag", " rt", " rt:type=0",
    };
    static const char *const odd[] = {
        " frag:m", " frag:off=1", " frag:bits=3,reserved=7", " esp",
        " ah:len=0", " ah:len=33", " rt:len=1", " rt:len=3",
        " rt:type=4", " hop:next=59", " mob:len=255", " dst:len=0,home",
        " hop:next=255",
    };

    if (one_in(rand, 10)) {
        g_string_append(recipe, PICK(rand, odd));
    } else if (one_in(rand, 3)) {
        g_string_append(recipe, " dst:");
        add_options(rand, recipe);
    } else {
        g_string_append(recipe, PICK(rand, plain));
    }
}

static void add_ip6(GRand *rand, GString *recipe)
{
    int n = 0;

    g_string_append(recipe, " ip6");
    if (one_in(rand, 20)) {
        g_string_append_printf(recipe, ":ver=%d",
                               g_rand_int_range(rand, 0, 16));
    }
    if (one_in(rand, 2)) {
        n = g_rand_int_range(rand, 1, one_in(rand, 4) ? 18 : 4);
    }
    while (n--) {
        add_extension(rand, recipe);
    }
    add_transport(rand, recipe);
}

static void add_network(GRand *rand, GString *recipe)
{
    if (one_in(rand, 30)) {
        g_string_append_printf(recipe, " type:%d raw:40",
                               g_rand_int_range(rand, 0, 0x10000));
    } else if (one_in(rand, 2)) {
        add_ip4(rand, recipe);
    } else {
        add_ip6(rand, recipe);
    }
}

static void cut(GRand *rand, GByteArray *frame, size_t len, GString *recipe)
{
    if (frame->len > len) {
        g_byte_array_set_size(frame, len);
        g_string_append_printf(recipe, " [cut off at %zu]", len);
    }
}

static void change_bytes(GRand *rand, GByteArray *frame, GString *recipe)
{
    int n = g_rand_int_range(rand, 1, 4);

    while (n-- && frame->len > 12) {
        guint at = g_rand_int_range(rand, 12, MIN(frame->len, 120));

        frame->data[at] = g_rand_int(rand);
        g_string_append_printf(recipe, " [byte %u: %02x]", at,
                               frame->data[at]);
    }
}

RandomPacket *random_packet(GRand *rand, size_t max_len)
{
    RandomPacket *packet = g_new(RandomPacket, 1);
    GString *recipe = g_string_new("eth");
    PacketFlow flow;

    add_tags(rand, recipe);
    add_network(rand, recipe);
    g_string_append_printf(recipe, " raw:%d", g_rand_int_range(rand, 0, 30));

    packet_random_flow(rand, &flow);
    packet->frame = packet_build(recipe->str, &flow);
    cut(rand, packet->frame, max_len, recipe);
    if (one_in(rand, 4)) {
        cut(rand, packet->frame,
            g_rand_int_range(rand, 0, packet->frame->len + 1), recipe);
    }
    if (one_in(rand, 6)) {
        change_bytes(rand, packet->frame, recipe);
    }
    packet->recipe = g_string_free(recipe, FALSE);
    return packet;
}

void random_packet_free(RandomPacket *packet)
{
    g_byte_array_unref(packet->frame);
    g_free(packet->recipe);
    g_free(packet);
}
