/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packet.h"

#include <stdbool.h>
#include <string.h>

const PacketFlow packet_flow = {
    .src4 = { 66, 9, 149, 187 },
    .dst4 = { 161, 142, 100, 80 },
    .src6 = { 0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
    .dst6 = { 0xfd, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57,
              0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f },
    .home = { 0x20, 0x03, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76,
              0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e },
    .routed_to = { 0x20, 0x04, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
                   0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae },
    .ports = { 0x0a, 0xea, 0x06, 0xe6 },
};

/* A frame that grows, and where to announce what comes next. */
typedef struct Builder {
    GByteArray *out;
    const PacketFlow *flow;
    int next_at;            /* offset of the "next header" byte, or -1 */
} Builder;

/* The settings behind the colon of a word. */
typedef char **Settings;

static void add(Builder *b, const void *data, size_t len)
{
    g_byte_array_append(b->out, data, len);
}

static void add_byte(Builder *b, uint8_t byte)
{
    add(b, &byte, 1);
}

static void add_be16(Builder *b, uint16_t value)
{
    add_byte(b, value >> 8);
    add_byte(b, value & 0xff);
}

static void add_fill(Builder *b, uint8_t byte, size_t len)
{
    while (len--) {
        add_byte(b, byte);
    }
}

/* Is there a setting @name, with or without a value? */
static bool has(Settings settings, const char *name)
{
    size_t len = strlen(name);

    for (; *settings; settings++) {
        if (g_str_has_prefix(*settings, name) &&
            ((*settings)[len] == '\0' || (*settings)[len] == '=')) {
            return true;
        }
    }
    return false;
}

static unsigned number(const char *text)
{
    char *end;
    guint64 value = g_ascii_strtoull(text, &end, 0);

    g_assert(end != text && *end == '\0' && value <= G_MAXUINT);
    return value;
}

/* The number that a setting name=N gives, or @otherwise. */
static unsigned get(Settings settings, const char *name, unsigned otherwise)
{
    size_t len = strlen(name);

    for (; *settings; settings++) {
        if (g_str_has_prefix(*settings, name) && (*settings)[len] == '=') {
            return number(*settings + len + 1);
        }
    }
    return otherwise;
}

/* The header that begins here has protocol number @proto. */
static void announce(Builder *b, uint8_t proto)
{
    if (b->next_at >= 0) {
        b->out->data[b->next_at] = proto;
    }
    b->next_at = -1;
}

/* The byte that is added next announces the header behind this one. */
static void add_next(Builder *b, Settings settings, const char *name)
{
    b->next_at = has(settings, name) ? -1 : (int)b->out->len;
    add_byte(b, get(settings, name, 59));
}

static void add_eth(Builder *b)
{
    static const uint8_t macs[12] = {
        0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x02, 0, 0, 0, 0, 0x01
    };

    add(b, macs, sizeof(macs));
}

static void add_ip4(Builder *b, Settings s)
{
    unsigned ihl = get(s, "ihl", 5);

    add_be16(b, 0x0800);
    add_byte(b, get(s, "ver", 4) << 4 | ihl);
    add_byte(b, 0);
    add_be16(b, 0);                     /* total length: nobody looks */
    add_be16(b, 0x1234);
    add_be16(b, (has(s, "df") ? 0x4000 : 0) | (has(s, "mf") ? 0x2000 : 0) |
                get(s, "off", 0));
    add_byte(b, 64);
    add_next(b, s, "proto");
    add_be16(b, 0);
    add(b, b->flow->src4, 4);
    add(b, b->flow->dst4, 4);
    add_fill(b, 1, ihl > 5 ? 4 * (ihl - 5) : 0);    /* No Operation */
}

static void add_ip6(Builder *b, Settings s)
{
    add_be16(b, 0x86dd);
    add_byte(b, get(s, "ver", 6) << 4);
    add_fill(b, 0, 3);
    add_be16(b, 0);                     /* payload length: nobody looks */
    add_next(b, s, "next");
    add_byte(b, 64);
    add(b, b->flow->src6, 16);
    add(b, b->flow->dst6, 16);
}

static void add_option(Builder *b, const char *option)
{
    char *one[] = { (char *)option, NULL };
    unsigned len;

    if (has(one, "pad1")) {
        add_byte(b, 0);
    } else if (has(one, "padn")) {
        len = get(one, "padn", 0);
        add_byte(b, 1);
        add_byte(b, len);
        add_fill(b, 0, len);
    } else if (has(one, "opt")) {
        len = get(one, "opt", 0);
        add_byte(b, 0x1e);
        add_byte(b, len);
        add_fill(b, 0xc9, len);         /* looks like a Home Address */
    } else if (has(one, "home")) {
        add_byte(b, 0xc9);
        add_byte(b, get(one, "home", 16));
        add(b, b->flow->home, 16);
    }
}

/* Extension headers of the usual kind: next header, length, options. */
static void add_extension(Builder *b, uint8_t proto, Settings s)
{
    size_t start = b->out->len, len;
    Settings option;

    announce(b, proto);
    add_next(b, s, "next");
    add_byte(b, 0);
    for (option = s; *option; option++) {
        add_option(b, *option);
    }
    len = b->out->len - start;
    len = has(s, "len") ? MAX(len, 8 * get(s, "len", 0) + 8)
                        : (len + 7) / 8 * 8;
    add_fill(b, 0, start + len - b->out->len);
    b->out->data[start + 1] = get(s, "len", len / 8 - 1);
}

static void add_routing(Builder *b, Settings s)
{
    unsigned len = get(s, "len", 2);
    size_t start = b->out->len;

    announce(b, 43);
    add_next(b, s, "next");
    add_byte(b, len);
    add_byte(b, get(s, "type", 2));
    add_byte(b, 1);
    add_fill(b, 0, 4);
    if (len >= 2) {
        add(b, b->flow->routed_to, 16);
    }
    add_fill(b, 0, start + 8 + 8 * len - b->out->len);
}

static void add_fragment(Builder *b, Settings s)
{
    announce(b, 44);
    add_next(b, s, "next");
    add_byte(b, get(s, "reserved", 0));
    add_be16(b, get(s, "off", 0) << 3 | get(s, "bits", 0) << 1 | has(s, "m"));
    add_fill(b, 0x77, 4);
}

static void add_ah(Builder *b, Settings s)
{
    unsigned len = get(s, "len", 4);

    announce(b, 51);
    add_next(b, s, "next");
    add_byte(b, len);
    add_fill(b, 0, 4 * len + 8 - 2);
}

static void add_transport(Builder *b, uint8_t proto, size_t len)
{
    announce(b, proto);
    add(b, b->flow->ports, 4);
    add_fill(b, 0x50, len - 4);
}

static void add_tag(Builder *b, uint16_t ethertype)
{
    add_be16(b, ethertype);
    add_be16(b, 5);
}

static bool add_layer2(Builder *b, const char *name, Settings s)
{
    if (!strcmp(name, "eth")) {
        add_eth(b);
    } else if (!strcmp(name, "vlan")) {
        add_tag(b, 0x8100);
    } else if (!strcmp(name, "svlan")) {
        add_tag(b, 0x88a8);
    } else if (!strcmp(name, "type")) {
        add_be16(b, number(s[0]));
    } else if (!strcmp(name, "raw")) {
        add_fill(b, 0xda, number(s[0]));
    } else {
        return false;
    }
    return true;
}

static bool add_network(Builder *b, const char *name, Settings s)
{
    static const struct {
        const char *name;
        uint8_t proto;
    } extensions[] = {
        { "hop", 0 }, { "dst", 60 }, { "mob", 135 }, { "hip", 139 },
        { "shim", 140 },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(extensions); i++) {
        if (!strcmp(name, extensions[i].name)) {
            add_extension(b, extensions[i].proto, s);
            return true;
        }
    }
    if (!strcmp(name, "ip4")) {
        add_ip4(b, s);
    } else if (!strcmp(name, "ip6")) {
        add_ip6(b, s);
    } else if (!strcmp(name, "rt")) {
        add_routing(b, s);
    } else if (!strcmp(name, "frag")) {
        add_fragment(b, s);
    } else if (!strcmp(name, "ah")) {
        add_ah(b, s);
    } else {
        return false;
    }
    return true;
}

static bool add_layer4(Builder *b, const char *name)
{
    if (!strcmp(name, "tcp")) {
        add_transport(b, 6, 20);
    } else if (!strcmp(name, "udp")) {
        add_transport(b, 17, 8);
    } else if (!strcmp(name, "esp")) {
        add_transport(b, 50, 24);
    } else if (!strcmp(name, "icmp6")) {
        add_transport(b, 58, 8);
    } else {
        return false;
    }
    return true;
}

static void add_word(Builder *b, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, ":", 2);
    g_auto(GStrv) settings = g_strsplit(parts[1] ? parts[1] : "", ",", -1);

    if (!add_layer2(b, parts[0], settings) &&
        !add_network(b, parts[0], settings) &&
        !add_layer4(b, parts[0])) {
        g_error("recipe: what is \"%s\"?", word);
    }
}

GByteArray *packet_build(const char *recipe, const PacketFlow *flow)
{
    g_auto(GStrv) words = g_strsplit(recipe, " ", -1);
    Builder b = { g_byte_array_new(), flow, -1 };
    char **word;

    for (word = words; *word; word++) {
        if (**word) {
            add_word(&b, *word);
        }
    }
    return b.out;
}

void packet_random_flow(GRand *rand, PacketFlow *flow)
{
    uint8_t *p = (uint8_t *)flow;
    size_t i;

    for (i = 0; i < sizeof(*flow); i++) {
        p[i] = g_rand_int(rand);
    }
}

char *packet_hex(const uint8_t *data, size_t len)
{
    GString *hex = g_string_new(NULL);
    size_t i;

    for (i = 0; i < len; i++) {
        g_string_append_printf(hex, "%02x", data[i]);
    }
    return g_string_free(hex, FALSE);
}
