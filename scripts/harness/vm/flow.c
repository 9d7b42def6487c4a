/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow: send packets, or a stream, and look at each byte where it arrives.
 *
 * Runs in our guests and on the host.
 *
 *     flow udp-receive PORT MAX [GAP]
 *     flow udp-send ADDRESS PORT MAX COUNT [RATE]
 *     flow tcp-receive PORT
 *     flow tcp-send ADDRESS PORT COUNT
 *     flow flood DEVICE BYTES
 *
 * A datagram has its number in 8 bytes, and then what follows from the number:
 * how many bytes up to MAX, and which.  A stream repeats a pattern whose length
 * is a prime.  COUNT is one of datagrams, or of bytes; 0: until SIGTERM.  RATE
 * is how many a second; 0: as fast as the receiver tells of them, which may be
 * WINDOW datagrams behind.
 *
 * Each prints one line at its end, and receivers exit with 1 if a byte is wrong
 * or a datagram comes twice:
 *
 *     sent N
 *     received N, lost N, twice N, wrong N
 *
 * With GAP the receiver prints "gap BEGIN END" besides for each time of more
 * than so many microseconds in which none came, in microseconds of
 * CLOCK_REALTIME.
 *
 * flood sends datagrams of so many bytes into a device as fast as it takes
 * them, until SIGTERM, to where nobody answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD = 65521,             /* bytes of the pattern, a prime */
    MAX_LEN = 65507,
    HEAD = 8,
    WINDOW = 128,
    TELL = 32,                  /* the receiver tells of each so many */
    BUFFER = 8 << 20,
    LOST_AFTER = 100,           /* ms without a word: what is sent is lost */
    LINGER = 300,               /* ms after the end, for what comes twice */
    SILENCE = 60000,            /* ms */
    CHUNK = 1 << 16,
};

/* Numbers that are none: both sides say them, until they hear them. */
#define BEGIN UINT64_MAX
#define END (UINT64_MAX - 1)
#define MAX_NUMBER (1ULL << 30)

static uint8_t pattern[PERIOD + MAX_LEN];
static volatile sig_atomic_t stopped;

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void on_signal(int number)
{
    stopped = 1;
}

/* A number that looks random (splitmix64). */
static uint64_t mix(uint64_t x)
{
    x = (x + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void make_pattern(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = mix(i % PERIOD);
    }
}

static size_t length(uint64_t number, size_t max)
{
    return HEAD + mix(number) % (max - HEAD + 1);
}

static const uint8_t *content(uint64_t number)
{
    return pattern + mix(~number) % PERIOD;
}

static struct sockaddr_in address_of(const char *name, const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(atoi(port)),
    };

    if (inet_pton(AF_INET, name, &address.sin_addr) != 1) {
        fprintf(stderr, "flow: %s is no address\n", name);
        exit(2);
    }
    return address;
}

static int open_socket(int type)
{
    const int size = BUFFER, yes = 1;
    int fd = socket(AF_INET, type, 0);

    if (fd < 0) {
        fail("socket");
    }
    if (type == SOCK_DGRAM) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    return fd;
}

static bool wait_for(int fd, int milliseconds)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };

    return poll(&one, 1, milliseconds) > 0;
}

/* Datagrams */

/*
 * Say a number until the receiver says it, too. It may not be there yet; at the
 * end, it may not be there any more.
 */
static void agree(int fd, uint64_t number)
{
    for (int i = 0; i < SILENCE / LOST_AFTER; i++) {
        uint64_t answer = 0;
        bool refused = send(fd, &number, sizeof(number), 0) < 0 &&
                       errno == ECONNREFUSED;

        while (!refused && wait_for(fd, LOST_AFTER)) {
            if (recv(fd, &answer, sizeof(answer), 0) < 0) {
                refused = errno == ECONNREFUSED;
            } else if (answer == number) {
                return;
            }
        }
        if (refused && number == END) {
            return;
        }
        if (refused) {
            usleep(LOST_AFTER * 1000);
        }
    }
    fprintf(stderr, "flow: the receiver does not answer\n");
    exit(2);
}

/* Wait until fewer than WINDOW datagrams are on their way, or lost. */
static void wait_for_room(int fd, uint64_t sent, uint64_t *told)
{
    uint64_t answer = BEGIN;

    while (recv(fd, &answer, sizeof(answer), MSG_DONTWAIT) ==
           sizeof(answer) || sent - *told >= WINDOW) {
        if (answer < sent && answer >= *told) {
            *told = answer + 1;
        }
        if (sent - *told >= WINDOW && !wait_for(fd, LOST_AFTER)) {
            *told = sent;
        }
        answer = BEGIN;
    }
}

static void wait_for_time(const struct timespec *begin, uint64_t number,
                          uint64_t rate)
{
    struct timespec until = *begin;
    uint64_t nanoseconds = until.tv_nsec + number % rate * 1000000000 / rate;

    until.tv_sec += number / rate + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int udp_send(const struct sockaddr_in *to, size_t max, uint64_t count,
                    uint64_t rate)
{
    int fd = open_socket(SOCK_DGRAM);
    uint64_t number = 0, told = 0;
    uint8_t packet[MAX_LEN];
    struct timespec begin;

    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
        fail("connect");
    }
    agree(fd, BEGIN);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (; !stopped && (!count || number < count); number++) {
        size_t len = length(number, max);

        if (rate) {
            wait_for_time(&begin, number, rate);
        } else {
            wait_for_room(fd, number, &told);
        }
        memcpy(packet, &number, HEAD);
        memcpy(packet + HEAD, content(number), len - HEAD);
        while (send(fd, packet, len, 0) < 0 &&
               (errno == ENOBUFS || errno == EINTR || errno == ECONNREFUSED)) {
        }
    }
    agree(fd, END);
    printf("sent %llu\n", (unsigned long long)number);
    return 0;
}

typedef struct Receiver {
    int fd;
    size_t max;
    uint64_t gap;               /* us; 0: they do not matter */
    uint8_t *seen;              /* a bit for each number */
    uint64_t last;              /* us, when the last one came */
    uint64_t received, twice, wrong, highest;
} Receiver;

static uint64_t stamp_of(struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    struct timespec time = { 0 };

    if (control && control->cmsg_type == SO_TIMESTAMPNS) {
        memcpy(&time, CMSG_DATA(control), sizeof(time));
    }
    return time.tv_sec * 1000000ULL + time.tv_nsec / 1000;
}

static void note(Receiver *r, const uint8_t *packet, size_t len, uint64_t now)
{
    uint64_t number;
    uint8_t bit;

    if (r->gap && r->last && now > r->last + r->gap) {
        printf("gap %llu %llu\n", (unsigned long long)r->last,
               (unsigned long long)now);
    }
    r->last = now;
    r->received++;
    memcpy(&number, packet, HEAD);
    if (number >= MAX_NUMBER || len != length(number, r->max) ||
        memcmp(packet + HEAD, content(number), len - HEAD)) {
        r->wrong++;
        return;
    }
    bit = 1 << number % 8;
    r->twice += !!(r->seen[number / 8] & bit);
    r->seen[number / 8] |= bit;
    if (number >= r->highest) {
        r->highest = number + 1;
    }
}

/* Receive one; return its number, or BEGIN if none came. */
static uint64_t receive(Receiver *r, int patience)
{
    static uint8_t packet[MAX_LEN];
    struct iovec iov = { packet, sizeof(packet) };
    struct sockaddr_in from;
    char control[64];
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov,
        .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    uint64_t number = BEGIN;
    ssize_t len;

    if (!wait_for(r->fd, patience)) {
        return BEGIN;
    }
    len = recvmsg(r->fd, &message, 0);
    if (len < HEAD) {
        r->wrong++;
        return 0;
    }
    memcpy(&number, packet, HEAD);
    if (number == BEGIN || number == END) {
        sendto(r->fd, &number, HEAD, 0, (struct sockaddr *)&from,
               sizeof(from));
        return number == END ? END : 0;
    }
    note(r, packet, len, stamp_of(&message));
    if (r->received % TELL == 0) {
        sendto(r->fd, &number, HEAD, 0, (struct sockaddr *)&from,
               sizeof(from));
    }
    return number;
}

static int udp_receive(const struct sockaddr_in *here, size_t max, uint64_t gap)
{
    Receiver r = { .fd = open_socket(SOCK_DGRAM), .max = max, .gap = gap };
    const int yes = 1;
    uint64_t number;

    if (gap) {
        setsockopt(r.fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes));
    }
    r.seen = calloc(MAX_NUMBER / 8, 1);
    if (!r.seen || bind(r.fd, (const struct sockaddr *)here, sizeof(*here))) {
        fail("bind");
    }
    do {
        number = receive(&r, SILENCE);
    } while (number != END && number != BEGIN);
    if (number == BEGIN) {
        fprintf(stderr, "flow: no end\n");
        r.wrong++;
    }
    while (receive(&r, LINGER) != BEGIN) {
    }
    printf("received %llu, lost %llu, twice %llu, wrong %llu\n",
           (unsigned long long)r.received,
           (unsigned long long)(r.highest - (r.received - r.twice - r.wrong)),
           (unsigned long long)r.twice, (unsigned long long)r.wrong);
    return r.twice || r.wrong;
}

/* Streams */

static int tcp_send(const struct sockaddr_in *to, uint64_t count)
{
    int fd = open_socket(SOCK_STREAM);
    uint64_t sent = 0;
    uint8_t end;

    for (int n = 0; connect(fd, (const struct sockaddr *)to, sizeof(*to));
         n++) {
        if (errno != ECONNREFUSED || n == SILENCE / LOST_AFTER) {
            fail("connect");
        }
        usleep(LOST_AFTER * 1000);
        close(fd);
        fd = open_socket(SOCK_STREAM);
    }
    while (!stopped && (!count || sent < count)) {
        size_t len = count && count - sent < CHUNK ? count - sent : CHUNK;
        ssize_t done = send(fd, pattern + sent % PERIOD,
                            len < MAX_LEN ? len : MAX_LEN, MSG_NOSIGNAL);

        if (done < 0 && errno != EINTR) {
            fail("send");
        }
        sent += done < 0 ? 0 : done;
    }
    shutdown(fd, SHUT_WR);
    if (recv(fd, &end, sizeof(end), 0) != 0) {      /* the peer has all */
        fail("recv");
    }
    printf("sent %llu\n", (unsigned long long)sent);
    return 0;
}

static int tcp_receive(const struct sockaddr_in *here)
{
    int listener = open_socket(SOCK_STREAM);
    static uint8_t bytes[CHUNK / 2];
    uint64_t received = 0, wrong = 0;
    ssize_t len;
    int fd;

    if (bind(listener, (const struct sockaddr *)here, sizeof(*here)) ||
        listen(listener, 1)) {
        fail("bind");
    }
    fd = wait_for(listener, SILENCE) ? accept(listener, NULL, NULL) : -1;
    if (fd < 0) {
        fail("accept");
    }
    do {
        if (!wait_for(fd, SILENCE)) {
            fprintf(stderr, "flow: the stream stands still\n");
            return 2;
        }
        len = recv(fd, bytes, sizeof(bytes), 0);
        if (len < 0) {
            fail("recv");
        }
        wrong += !!memcmp(bytes, pattern + received % PERIOD, len);
        received += len;
    } while (len);
    printf("received %llu, lost 0, twice 0, wrong %llu\n",
           (unsigned long long)received, (unsigned long long)wrong);
    return wrong > 0;
}

/* To a multicast group: neither ARP nor ICMP comes of it. */
static int flood(const char *device, size_t len)
{
    const struct sockaddr_in group = address_of("239.1.2.3", "9");
    int fd = open_socket(SOCK_DGRAM);

    if (len > MAX_LEN ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)) ||
        connect(fd, (const struct sockaddr *)&group, sizeof(group))) {
        fail(device);
    }
    while (!stopped) {
        send(fd, pattern, len, 0);
    }
    return 0;
}

static uint64_t number_of(char **words, int argc, int i)
{
    return i < argc ? strtoull(words[i], NULL, 0) : 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    bool sends = strstr(what, "-send");
    struct sockaddr_in address;
    size_t max;

    if (argc < (sends ? 5 : 3)) {
        fprintf(stderr, "usage: see flow.c\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    make_pattern();
    if (!strcmp(what, "flood")) {
        return flood(argv[2], number_of(argv, argc, 3));
    }
    address = sends ? address_of(argv[2], argv[3])
                    : address_of("0.0.0.0", argv[2]);
    max = number_of(argv, argc, sends ? 4 : 3);
    if (!strncmp(what, "udp", 3) && (max < HEAD || max > MAX_LEN)) {
        fprintf(stderr, "flow: datagrams have %d to %d bytes\n", HEAD, MAX_LEN);
        return 2;
    }
    if (!strcmp(what, "udp-send")) {
        return udp_send(&address, max, number_of(argv, argc, 5),
                        number_of(argv, argc, 6));
    }
    if (!strcmp(what, "udp-receive")) {
        return udp_receive(&address, max, number_of(argv, argc, 4));
    }
    return sends ? tcp_send(&address, max) : tcp_receive(&address);
}
