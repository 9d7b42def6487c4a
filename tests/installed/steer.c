/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program as others write it: it has what "meson install" has installed, and
 * nothing else. It makes a tap of two queues, in a network namespace of its
 * own, and steers it. test_installed.py builds it, as C and as C++.
 *
 * Exit status: 77, with the reason, where it may not do that.
 */
#ifndef _GNU_SOURCE             /* C++ compilers define it */
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ebpf/ebpf_rss.h>
#include <net/rss.h>
#include <net/tap_steering.h>

enum {
    QUEUES = 2,
    SKIP = 77,
    WAIT_MS = 5000,
    ETHERTYPE = 0x88b5,         /* IEEE 802: for local experiments */
    FRAME_LEN = 60,
};

static int fail(const char *what, GError *error)
{
    fprintf(stderr, "%s: %s\n", what, error ? error->message : "failed");
    return 1;
}

/* Another queue of the tap "steer0", which the first one makes. */
static int open_queue(void)
{
    struct ifreq request;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    memset(&request, 0, sizeof(request));
    strcpy(request.ifr_name, "steer0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
    return fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 ? fd : -1;
}

/* Turns the tap on. Returns a socket that sends frames into it, or -1. */
static int open_sender(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE));
    struct sockaddr_ll address;
    struct ifreq request;

    memset(&request, 0, sizeof(request));
    strcpy(request.ifr_name, "steer0");
    request.ifr_flags = IFF_UP;
    memset(&address, 0, sizeof(address));
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETHERTYPE);
    address.sll_ifindex = if_nametoindex("steer0");
    return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0 &&
           bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0
           ? fd : -1;
}

/* Sends a frame. Returns the queue that it comes out of, or -1. */
static int queue_of_frame(int sender, const int queue[QUEUES])
{
    unsigned char frame[FRAME_LEN], seen[2048];
    struct pollfd ready[QUEUES];
    int i;

    memset(frame, 0, sizeof(frame));
    frame[0] = frame[6] = 2;    /* addresses that are local ones */
    frame[12] = ETHERTYPE >> 8;
    frame[13] = ETHERTYPE & 0xff;
    for (i = 0; i < QUEUES; i++) {
        ready[i].fd = queue[i];
        ready[i].events = POLLIN;
    }
    if (send(sender, frame, sizeof(frame), 0) != sizeof(frame)) {
        return -1;
    }
    while (poll(ready, QUEUES, WAIT_MS) > 0) {
        for (i = 0; i < QUEUES; i++) {
            if (read(queue[i], seen, sizeof(seen)) >= FRAME_LEN &&
                memcmp(seen, frame, FRAME_LEN) == 0) {
                return i;
            }
        }
    }
    return -1;
}

/* Everything to one queue, whatever the packet. */
static RssConfig all_to(uint16_t queue)
{
    RssConfig config;

    memset(&config, 0, sizeof(config));
    config.hash_types = RSS_TYPES_ALL;
    config.table_len = 1;
    config.table[0] = config.unclassified_queue = queue;
    return config;
}

static int steer(EBPFRSS *rss, const int queue[QUEUES], int sender)
{
    RssConfig config;
    GError *error = NULL;
    int i, seen;

    if (tap_steering_attach(queue[0], -1, &error) || !error) {
        return fail("no descriptor is not refused", NULL);
    }
    g_clear_error(&error);
    for (i = 0; i < 4 * QUEUES; i++) {
        config = all_to(i % QUEUES);
        if (!rss_config_check(&config, QUEUES, &error)) {
            return fail("rss_config_check", error);
        }
        ebpf_rss_set_all(rss, &config);
        if (ebpf_rss_wait(rss, WAIT_MS) != EBPF_RSS_IN_FORCE) {
            return fail("ebpf_rss_wait", NULL);
        }
        if (!tap_steering_attach(queue[0], ebpf_rss_program_fd(rss),
                                 &error)) {
            return fail("tap_steering_attach", error);
        }
        seen = queue_of_frame(sender, queue);
        if (seen != i % QUEUES) {
            fprintf(stderr, "queue %d, not %d\n", seen, i % QUEUES);
            return 1;
        }
    }
    return tap_steering_detach(queue[1], &error)
           ? 0 : fail("tap_steering_detach", error);
}

int main(void)
{
    GError *error = NULL;
    int queue[QUEUES], sender, status;
    EBPFRSS *rss;

    if (unshare(CLONE_NEWNET) != 0) {
        printf("a network namespace of its own needs root\n");
        return SKIP;
    }
    rss = ebpf_rss_load("installed", NULL, NULL, &error);
    if (!rss && g_error_matches(error, RSS_ERROR, RSS_ERROR_PRIVILEGE)) {
        printf("%s\n", error->message);
        return SKIP;
    }
    if (!rss) {
        return fail("ebpf_rss_load", error);
    }
    queue[0] = open_queue();
    queue[1] = open_queue();
    if (queue[0] < 0 || queue[1] < 0) {
        printf("cannot make a tap\n");
        return SKIP;
    }
    sender = open_sender();
    status = sender < 0 ? fail("a packet socket", NULL)
                        : steer(rss, queue, sender);
    ebpf_rss_unload(rss);
    return status;
}
