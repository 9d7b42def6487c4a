/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sources: virtio 1.4, device-types/net, "Hash calculation for incoming
 * packets" and "RSS processing"; RFC 791, RFC 4302 (AH), RFC 6275 (Home
 * Address option, type 2 routing header), RFC 6946 (atomic fragments),
 * RFC 8200 (IPv6); IANA's "IPv6 Extension Header Types".
 *
 * A frame is a piece of memory from whose front headers are taken. What
 * cannot be taken whole is not there.
 */
#include "rss_oracle.h"

#include <stdbool.h>
#include <string.h>

/* What the project decided where the sources leave it open. */
enum {
    TAGS_MAX = 8,               /* VLAN tags */
    STEPS_MAX = 20,             /* along IPv6 extension headers */
};

typedef struct Bytes {
    const uint8_t *p;
    size_t n;
} Bytes;

/* What was found. Pointers are into the frame; NULL: there is no such. */
typedef struct Found {
    int ip_version;             /* 0: neither */
    bool extensions;
    const uint8_t *src, *dst;
    const uint8_t *home, *routed_to;
    const uint8_t *tcp, *udp;
} Found;

/* The next @n bytes, or NULL if there are fewer left; then none is taken. */
static const uint8_t *take(Bytes *from, size_t n)
{
    const uint8_t *p = from->p;

    if (from->n < n) {
        return NULL;
    }
    from->p += n;
    from->n -= n;
    return p;
}

uint32_t oracle_toeplitz(const uint8_t key[ORACLE_KEY_LEN],
                         const uint8_t *input, size_t len)
{
    uint8_t k[ORACLE_KEY_LEN];
    uint32_t result = 0;
    size_t bit, i;

    memcpy(k, key, sizeof(k));
    for (bit = 0; bit < 8 * len; bit++) {
        if (input[bit / 8] & (1 << (7 - bit % 8))) {
            result ^= ((uint32_t)k[0] << 24) | ((uint32_t)k[1] << 16) |
                      ((uint32_t)k[2] << 8) | k[3];
        }
        /* The key moves one bit to the left. */
        for (i = 0; i < ORACLE_KEY_LEN; i++) {
            k[i] = (uint8_t)(k[i] << 1);
            if (i + 1 < ORACLE_KEY_LEN && (k[i + 1] & 0x80)) {
                k[i] |= 1;
            }
        }
    }
    return result;
}

static void read_transport(Found *found, int protocol, Bytes rest)
{
    switch (protocol) {
    case 6:
        found->tcp = take(&rest, 20);
        break;
    case 17:
        found->udp = take(&rest, 8);
        break;
    }
}

static void read_ipv4(Found *found, Bytes packet)
{
    const uint8_t *header = take(&packet, 20);
    size_t words;
    bool more_fragments, later_fragment;

    if (!header || (header[0] & 0xf0) != 0x40) {
        return;
    }
    words = header[0] & 0x0f;
    if (words < 5 || !take(&packet, 4 * (words - 5))) {
        return;
    }
    found->ip_version = 4;
    found->src = header + 12;
    found->dst = header + 16;

    more_fragments = header[6] & 0x20;
    later_fragment = (header[6] & 0x1f) || header[7];
    if (!more_fragments && !later_fragment) {
        read_transport(found, header[9], packet);
    }
}

static bool is_extension(int protocol)
{
    static const uint8_t protocols[] = {
        0, 43, 44, 50, 51, 60, 135, 139, 140
    };

    return memchr(protocols, protocol, sizeof(protocols)) != NULL;
}

/* A step is a header or an option. False if there are none left. */
static bool step(int *steps)
{
    return (*steps)-- > 0;
}

/* @options: what a destination options header holds. */
static const uint8_t *find_home_address(Bytes options, int *steps)
{
    const uint8_t *type, *length, *value;

    while (options.n > 0 && step(steps)) {
        type = take(&options, 1);
        if (*type == 0) {
            continue;                       /* Pad1 has no length */
        }
        length = take(&options, 1);
        if (!length) {
            return NULL;
        }
        value = take(&options, *length);
        if (!value) {
            return NULL;
        }
        if (*type == 0xc9 && *length == 16) {
            return value;
        }
    }
    return NULL;
}

/* The whole extension header in front of @rest, or NULL. */
static const uint8_t *take_extension(int protocol, Bytes *rest, size_t *len)
{
    if (rest->n < 8) {
        return NULL;
    }
    switch (protocol) {
    case 44:
        *len = 8;
        break;
    case 51:
        *len = 4 * (rest->p[1] + 2);
        break;
    default:
        *len = 8 * (rest->p[1] + 1);
        break;
    }
    return take(rest, *len);
}

static void read_extensions(Found *found, int protocol, Bytes rest)
{
    const uint8_t *header;
    int steps = STEPS_MAX;
    size_t len;

    while (is_extension(protocol)) {
        if (!step(&steps) || protocol == 50) {
            return;
        }
        header = take_extension(protocol, &rest, &len);
        if (!header) {
            return;
        }
        if (protocol == 44) {
            bool first = header[2] == 0 && (header[3] & 0xf8) == 0;
            bool last = (header[3] & 0x01) == 0;

            if (!first || !last) {
                return;
            }
        }
        if (protocol == 60 && !found->home) {
            found->home = find_home_address((Bytes) { header + 2, len - 2 },
                                            &steps);
        }
        if (protocol == 43 && len == 24 && header[2] == 2 &&
            !found->routed_to) {
            found->routed_to = header + 8;
        }
        protocol = header[0];
    }
    if (steps >= 0) {
        read_transport(found, protocol, rest);
    }
}

static void read_ipv6(Found *found, Bytes packet)
{
    const uint8_t *header = take(&packet, 40);

    if (!header || (header[0] & 0xf0) != 0x60) {
        return;
    }
    found->ip_version = 6;
    found->src = header + 8;
    found->dst = header + 24;
    found->extensions = is_extension(header[6]);
    read_extensions(found, header[6], packet);
}

static Found read_frame(Bytes frame)
{
    Found found = { 0 };
    const uint8_t *type;
    int tags = 0;

    if (!take(&frame, 12)) {
        return found;
    }
    while ((type = take(&frame, 2)) != NULL) {
        switch (type[0] << 8 | type[1]) {
        case 0x0800:
            read_ipv4(&found, frame);
            return found;
        case 0x86dd:
            read_ipv6(&found, frame);
            return found;
        case 0x8100:
        case 0x88a8:
            if (++tags > TAGS_MAX || !take(&frame, 2)) {
                return found;
            }
            break;
        default:
            return found;
        }
    }
    return found;
}

/* The bits of hash_types, counted in the order of the specification. */
enum {
    IPv4 = 0x001, TCPv4 = 0x002, UDPv4 = 0x004,
    IPv6 = 0x008, TCPv6 = 0x010, UDPv6 = 0x020,
    IP_EX = 0x040, TCP_EX = 0x080, UDP_EX = 0x100,
};

static uint32_t choose_type(const Found *found, uint32_t enabled)
{
    if (found->ip_version == 4) {
        if ((enabled & TCPv4) && found->tcp) {
            return TCPv4;
        }
        if ((enabled & UDPv4) && found->udp) {
            return UDPv4;
        }
        return enabled & IPv4;
    }
    if (found->ip_version != 6) {
        return 0;
    }
    if (found->extensions) {
        if ((enabled & TCP_EX) && found->tcp) {
            return TCP_EX;
        }
        if ((enabled & UDP_EX) && found->udp) {
            return UDP_EX;
        }
        if (enabled & IP_EX) {
            return IP_EX;
        }
    }
    if ((enabled & TCPv6) && found->tcp) {
        return TCPv6;
    }
    if ((enabled & UDPv6) && found->udp) {
        return UDPv6;
    }
    return enabled & IPv6;
}

/* Writes what is hashed to @input; returns its length in bytes. */
static size_t write_input(const Found *found, uint32_t type, uint8_t *input)
{
    size_t address_len = found->ip_version == 4 ? 4 : 16;
    const uint8_t *src = found->src;
    const uint8_t *dst = found->dst;
    size_t len = 0;

    if (type == IP_EX || type == TCP_EX || type == UDP_EX) {
        src = found->home ? found->home : src;
        dst = found->routed_to ? found->routed_to : dst;
    }
    memcpy(input + len, src, address_len);
    len += address_len;
    memcpy(input + len, dst, address_len);
    len += address_len;
    if (type == TCPv4 || type == TCPv6 || type == TCP_EX) {
        memcpy(input + len, found->tcp, 4);
        len += 4;
    } else if (type == UDPv4 || type == UDPv6 || type == UDP_EX) {
        memcpy(input + len, found->udp, 4);
        len += 4;
    }
    return len;
}

OracleAnswer oracle_classify(const OracleConfig *config,
                             const uint8_t *frame, size_t len)
{
    OracleAnswer answer = { .queue = config->unclassified_queue };
    Found found = read_frame((Bytes) { frame, len });
    uint8_t input[36];

    answer.type = choose_type(&found, config->hash_types);
    if (answer.type) {
        answer.hash = oracle_toeplitz(config->key, input,
                                      write_input(&found, answer.type,
                                                  input));
        answer.queue = config->table[answer.hash % config->table_len];
    }
    return answer;
}
