/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rxhash: print which hash each packet of an interface came with.
 *
 * Runs in our guests.  Only a filter sees the hash that the driver has put into
 * a packet, as it is (SKF_AD_RXHASH); what a filter returns is how many bytes
 * of the packet a socket gets.  So there are eight sockets, one for each four
 * bits of the hash, and each gets the packet's flow and 0 to 15 bytes more.
 *
 *     rxhash INTERFACE COUNT
 *
 * prints "ready", then, when it has COUNT TCP or UDP packets (IPv4 without
 * options, or IPv6), or none has come for a while, for each "FLOW HASH" in
 * hexadecimal.  FLOW is the last 12 bytes up to and with the ports.  Flows have
 * one packet each, of SEEN_V6 + 15 bytes at least, SEEN_V4 + 15 with IPv4.
 */

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
    SOCKETS = 8,
    BUFFER = 16 << 20,              /* of a socket, in bytes */
    SEEN_V4 = 14 + 20 + 4,          /* a frame up to its ports */
    SEEN_V6 = 14 + 40 + 4,
    FLOW = 12,
    SILENCE = 30000,                /* ms */
    PAUSE = 50000,                  /* us, in which packets gather */
    WHOLE = (1 << SOCKETS) - 1,
};

struct packet {
    uint8_t flow[FLOW];
    uint8_t known;                  /* a bit for each four bits of the hash */
    uint32_t hash;
};

static struct packet *packets;
static size_t n_places, n_flows, n_whole;

/* Returns the packet of a flow, or where it is going to be. */
static struct packet *find(const uint8_t flow[FLOW])
{
    uint32_t ports;
    size_t at;

    memcpy(&ports, flow + FLOW - sizeof(ports), sizeof(ports));
    at = ports * 2654435761U % n_places;
    while (packets[at].known && memcmp(packets[at].flow, flow, FLOW)) {
        at = (at + 1) % n_places;
    }
    return &packets[at];
}

static int open_socket(const char *interface, int place)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_RXHASH),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4 * place),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 15),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
        BPF_STMT(BPF_LD | BPF_IMM, SEEN_V4),
        BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 3),
        BPF_STMT(BPF_LD | BPF_IMM, SEEN_V6),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(interface),
    };
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, size = BUFFER;

    if (fd < 0 || !address.sll_ifindex ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                   sizeof(filter)) ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
                   sizeof(one)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        return -1;
    }
    return fd;
}

/* Takes note of four bits of the hash of a packet with so many bytes. */
static void note(const uint8_t *frame, ssize_t len, int place)
{
    ssize_t seen = frame[12] == 0x86 ? SEEN_V6 : SEEN_V4;
    struct packet *packet;

    if (len < seen) {
        return;
    }
    packet = find(frame + seen - FLOW);
    if (packet->known & 1 << place ||
        (!packet->known && n_flows == n_places / 2)) {
        return;                     /* half of the places stay free */
    }
    n_flows += !packet->known;
    memcpy(packet->flow, frame + seen - FLOW, FLOW);
    packet->known |= 1 << place;
    packet->hash |= (uint32_t)(len - seen) << 4 * place;
    n_whole += packet->known == WHOLE;
}

static void receive(int fd, int place)
{
    uint8_t frame[SEEN_V6 + 16];
    ssize_t len;

    while ((len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
        note(frame, len, place);
    }
}

static void print(const struct packet *packet)
{
    for (int i = 0; i < FLOW; i++) {
        printf("%02x", packet->flow[i]);
    }
    printf(" %08x\n", packet->hash);
}

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct pollfd fds[SOCKETS];

    n_places = 2 * count;
    packets = calloc(n_places, sizeof(*packets));
    if (!count || !packets) {
        fprintf(stderr, "usage: rxhash INTERFACE COUNT\n");
        return 2;
    }
    for (int i = 0; i < SOCKETS; i++) {
        fds[i] = (struct pollfd){ open_socket(argv[1], i), POLLIN, 0 };
        if (fds[i].fd < 0) {
            perror("rxhash: a socket");
            return 1;
        }
    }
    puts("ready");
    fflush(stdout);
    while (n_whole < count && poll(fds, SOCKETS, SILENCE) > 0) {
        usleep(PAUSE);
        for (int i = 0; i < SOCKETS; i++) {
            receive(fds[i].fd, i);
        }
    }
    for (size_t i = 0; i < n_places; i++) {
        if (packets[i].known == WHOLE) {
            print(&packets[i]);
        }
    }
    return 0;
}
