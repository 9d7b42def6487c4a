/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network card's other end by QEMU's libvhost-user, which throws away what
 * the guest sends: what bpfhv-backend --sink is for a bpfhv card.
 *
 *     peer-vhost_sink SOCKET
 *
 * QEMU connects, once. Compiled at bench time with libvhost-user.c of the
 * base's source.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvhost-user.h"

enum {
    QUEUES = 2,
    TRANSMIT = 1,
    MAX_FDS = 16,
    F_EVENT_IDX = 29,           /* virtio 1.1, 6 */
    F_VERSION_1 = 32,
};

typedef struct Watch {
    vu_watch_cb call;
    void *data;
} Watch;

static struct pollfd fds[MAX_FDS];
static Watch watches[MAX_FDS];
static int n_fds;

static void panic(VuDev *dev, const char *text)
{
    fprintf(stderr, "vhost_sink: %s\n", text);
    exit(1);
}

static void remove_watch(VuDev *dev, int fd)
{
    for (int i = 0; i < n_fds; i++) {
        if (fds[i].fd == fd) {
            n_fds--;
            fds[i] = fds[n_fds];
            watches[i] = watches[n_fds];
        }
    }
}

static void set_watch(VuDev *dev, int fd, int events, vu_watch_cb call,
                      void *data)
{
    remove_watch(dev, fd);
    if (n_fds == MAX_FDS) {
        panic(dev, "too many descriptors");
    }
    fds[n_fds] = (struct pollfd) { .fd = fd, .events = POLLIN };
    watches[n_fds++] = (Watch) { call, data };
}

static void throw_away(VuDev *dev, int number)
{
    VuVirtq *queue = vu_get_queue(dev, number);
    VuVirtqElement *element;

    while ((element = vu_queue_pop(dev, queue, sizeof(*element)))) {
        vu_queue_push(dev, queue, element, 0);
        free(element);
    }
    vu_queue_notify(dev, queue);
}

static void set_started(VuDev *dev, int number, bool started)
{
    if (number == TRANSMIT) {
        vu_set_queue_handler(dev, vu_get_queue(dev, number),
                             started ? throw_away : NULL);
    }
}

static uint64_t get_features(VuDev *dev)
{
    return 1ull << F_VERSION_1 | 1ull << F_EVENT_IDX;
}

static void set_features(VuDev *dev, uint64_t features)
{
}

static void control(VuDev *dev, int events, void *data)
{
    if (!vu_dispatch(dev)) {
        exit(0);                /* QEMU has ended */
    }
}

int main(int argc, char **argv)
{
    static const VuDevIface interface = {
        .get_features = get_features, .set_features = set_features,
        .queue_set_started = set_started,
    };
    static VuDev dev;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int fd;

    strncpy(address.sun_path, argc == 2 ? argv[1] : "",
            sizeof(address.sun_path) - 1);
    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
        listen(listener, 1) || (fd = accept(listener, NULL, NULL)) < 0) {
        perror("vhost_sink");
        return 1;
    }
    if (!vu_init(&dev, QUEUES, fd, panic, NULL, set_watch, remove_watch,
                 &interface)) {
        return 1;
    }
    set_watch(&dev, fd, POLLIN, control, NULL);
    for (;;) {
        poll(fds, n_fds, -1);
        for (int i = n_fds - 1; i >= 0; i--) {
            if (i < n_fds && fds[i].revents) {
                watches[i].call(&dev, fds[i].revents, watches[i].data);
            }
        }
    }
}
