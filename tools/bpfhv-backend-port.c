/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where packets come from and go to: a tap, a device's queues by AF_XDP (which
 * bpfhv-backend-xdp.c does), a sink, or a source.
 *
 * A tap has a header before each packet, with any model: it is empty where the
 * driver has chosen no offloads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bpfhv-backend.h"

/* The made-up packets: to all, from nobody, with a number behind. */
typedef struct __attribute__((packed)) SourcePacket {
    uint8_t to[6], from[6];
    uint8_t ethertype[2];       /* IEEE 802, local experimental */
    uint64_t number;
} SourcePacket;

static Port *port_new(unsigned n_queues)
{
    Port *port = g_new0(Port, 1);

    port->n_queues = n_queues;
    port->features = ~0ull;
    return port;
}

Port *port_new_xdp(const char *text, unsigned n_queues, GError **error)
{
    Xdp *xdp = xdp_new(text, n_queues, error);
    Port *port;

    if (!xdp) {
        return NULL;
    }
    port = port_new(n_queues);
    port->xdp = xdp;
    port->features = BPFHV_F_SG;
    return port;
}

Port *port_new_sink(unsigned n_queues, unsigned source_len)
{
    Port *port = port_new(n_queues);

    port->source_len = source_len;
    return port;
}

static int open_queue(const char *name, bool is_multi, GError **error)
{
    struct ifreq request = {
        .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
                     (is_multi ? IFF_MULTI_QUEUE : 0),
    };
    int fd, header = sizeof(BpfhvVnetHdr);

    if (g_strlcpy(request.ifr_name, name, IFNAMSIZ) >= IFNAMSIZ) {
        refuse(error, "%s: the name is too long", name);
        return -1;
    }
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
        ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) {
        refuse(error, "cannot open the tap %s%s: %s", name,
               is_multi ? " with several queues" : "", g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

Port *port_new_tap(const char *name, unsigned n_queues, GError **error)
{
    Port *port = port_new(n_queues);

    port->fds = g_new(int, n_queues);
    memset(port->fds, -1, n_queues * sizeof(int));
    for (unsigned i = 0; i < n_queues; i++) {
        port->fds[i] = open_queue(name, n_queues > 1, error);
        if (port->fds[i] < 0) {
            port_free(port);
            return NULL;
        }
    }
    return port;
}

void port_free(Port *port)
{
    for (unsigned i = 0; port && port->fds && i < port->n_queues; i++) {
        if (port->fds[i] >= 0) {
            close(port->fds[i]);
        }
    }
    if (port) {
        xdp_free(port->xdp);
        g_free(port->fds);
    }
    g_free(port);
}

/* Fails where it is so already, which is as well. */
static void use_queue(int fd, bool use)
{
    struct ifreq request = {
        .ifr_flags = use ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
    };

    ioctl(fd, TUNSETQUEUE, &request);
}

bool port_configure(Port *port, unsigned n_queues, uint64_t features,
                    GError **error)
{
    unsigned long offload = 0;

    if (port->gone) {
        return true;
    }
    if (port->xdp) {
        return xdp_use(port->xdp, n_queues, error);
    }
    if (!port->fds) {
        return true;
    }
    if (features & BPFHV_F_RX_CSUM) {
        offload = TUN_F_CSUM |
                  (features & BPFHV_F_LRO4 ? TUN_F_TSO4 : 0) |
                  (features & BPFHV_F_LRO6 ? TUN_F_TSO6 : 0);
    }
    if (ioctl(port->fds[0], TUNSETOFFLOAD, offload) < 0) {
        return refuse(error, "cannot set the tap's offloads: %s",
                      g_strerror(errno));
    }
    for (unsigned i = 0; port->n_queues > 1 && i < port->n_queues; i++) {
        use_queue(port->fds[i], i < n_queues);
    }
    return true;
}

int port_fd(const Port *port, unsigned queue)
{
    return port->gone ? PORT_NEVER_READY :
           port->fds ? port->fds[queue] :
           port->xdp ? xdp_fd(port->xdp, queue) :
           port->source_len ? PORT_ALWAYS_READY : PORT_NEVER_READY;
}

void port_failed(Port *port)
{
    if (!port->gone) {
        port->gone = true;
        say("the network device has gone: nothing is received any more, and"
            " what the guest sends is dropped");
    }
}

bool port_send(Port *port, unsigned queue, const BpfhvPacket *packet)
{
    ssize_t sent;

    if (port->gone) {
        return false;
    }
    if (port->xdp) {
        return xdp_send(port->xdp, queue, packet);
    }
    if (!port->fds) {
        return true;
    }
    do {
        sent = writev(port->fds[queue], packet->iov, packet->num_iov);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

bool port_flush(Port *port, unsigned queue)
{
    bool more = port->xdp && !port->gone && xdp_flush(port->xdp, queue);

    if (port->xdp && xdp_gone(port->xdp)) {
        port_failed(port);
    }
    return more;
}

static size_t make_packet(Port *port, BpfhvVnetHdr *hdr, uint8_t *packet)
{
    SourcePacket head = {
        .from = { 2 }, .ethertype = { 0x88, 0xb5 },
        .number = GUINT64_TO_LE(port->source_count++),
    };

    memset(head.to, 0xff, sizeof(head.to));
    memset(hdr, 0, sizeof(*hdr));
    memset(packet, 0, port->source_len);
    memcpy(packet, &head, MIN(sizeof(head), port->source_len));
    return port->source_len;
}

size_t port_receive(Port *port, unsigned queue, BpfhvVnetHdr *hdr,
                    uint8_t *packet)
{
    const struct iovec iov[] = {
        { hdr, sizeof(*hdr) }, { packet, BPFHV_MAX_PACKET },
    };
    ssize_t got;

    if (port->source_len) {
        return make_packet(port, hdr, packet);
    }
    if (port->xdp) {
        *hdr = (BpfhvVnetHdr) { 0 };
        return xdp_receive(port->xdp, queue, packet);
    }
    if (!port->fds) {
        return 0;
    }
    do {
        got = readv(port->fds[queue], iov, G_N_ELEMENTS(iov));
    } while (got < 0 && errno == EINTR);
    return got > (ssize_t)sizeof(*hdr) ? got - sizeof(*hdr) : 0;
}

uint64_t port_lost(const Port *port, unsigned queue)
{
    return port->xdp ? xdp_lost(port->xdp, queue) : 0;
}
