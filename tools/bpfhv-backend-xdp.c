/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets from and to the queues of a network device, by AF_XDP
 *
 * Each queue has a socket with memory of its own: FRAMES that the kernel fills,
 * and as many to send from. Guest memory is none of the kernel's business, so
 * packets are copied. A program of the device's (ebpf/xsk.bpf.c) puts what
 * arrives into the sockets. It is attached by a descriptor, so nothing of it
 * remains when this process ends, however it does.
 *
 * A frame to send is in idle[], or in the ring tx, or with the kernel until it
 * comes back by the ring done; one to receive into in the ring fill, with the
 * kernel, or in the ring rx. No ring can overflow: each has room for all.
 * Packets gather until xdp_flush(), or until there are no more frames: then one
 * call sends many.
 *
 * Limits
 *  - a packet is in one frame: those in several are for Linux 6.6 and later;
 *  - there are no offloads: the kernel says nothing of checksums and segments.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "bpfhv-backend.h"
#include "xsk.skel.h"

enum {
    FRAMES = 1024,              /* each way; a power of two */
    FRAME_SIZE = 4096,          /* the most there can be */
    HEADROOM = 256,             /* the kernel's, in a frame that it fills */
    MAX_MTU = FRAME_SIZE - HEADROOM - ETH_HLEN - 4,     /* and a VLAN tag */
    MEMORY_SIZE = 2 * FRAMES * FRAME_SIZE,
    BATCH = 64,                 /* frames to receive, taken and given back */
    MAX_FIRST = 65535,
    TRIES = 200,                /* for a queue that its last user has left */
    TRY_EVERY_MS = 10,
};

typedef struct Queue {
    uint8_t *memory;
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons done, rx;
    uint64_t idle[FRAMES];
    unsigned n_idle;
    unsigned gathered;          /* in the ring tx, hidden from the kernel */
    unsigned taken, left;       /* of the ring rx; what of it is not read yet */
    uint32_t rx_at, fill_at;
} Queue;

struct Xdp {
    char *device;
    unsigned first, n_queues, n_used;
    uint16_t bind_flags;
    bool gone;                  /* the device was deleted */
    struct xsk_bpf *program;
    int link;
    Queue *queue;
};

static bool parse_word(Xdp *xdp, const char *word, GError **error)
{
    guint64 number;

    if (g_str_has_prefix(word, "queue=") &&
        g_ascii_string_to_unsigned(word + strlen("queue="), 10, 0, MAX_FIRST,
                                   &number, NULL)) {
        xdp->first = number;
    } else if (g_str_equal(word, "mode=copy")) {
        xdp->bind_flags |= XDP_COPY;
    } else if (g_str_equal(word, "mode=zerocopy")) {
        xdp->bind_flags |= XDP_ZEROCOPY;
    } else if (!g_str_equal(word, "mode=auto")) {
        return refuse(error, "--xdp: not \"%s\", but queue=N and mode=auto,"
                      " mode=copy or mode=zerocopy", word);
    }
    return true;
}

static bool parse(Xdp *xdp, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    xdp->device = g_strdup(words[0] ? words[0] : "");
    for (unsigned i = 1; words[0] && words[i]; i++) {
        if (!parse_word(xdp, words[i], error)) {
            return false;
        }
    }
    return !(xdp->bind_flags & XDP_COPY) ||
           !(xdp->bind_flags & XDP_ZEROCOPY) ||
           refuse(error, "--xdp: mode is given twice");
}

static bool check_mtu(const Xdp *xdp, GError **error)
{
    struct ifreq request = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

    g_strlcpy(request.ifr_name, xdp->device, IFNAMSIZ);
    ret = ioctl(fd, SIOCGIFMTU, &request);
    if (ret < 0) {
        refuse(error, "cannot read the MTU of %s: %s", xdp->device,
               g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ret == 0 && (request.ifr_mtu <= MAX_MTU || refuse(
        error, "the MTU of %s is %d: AF_XDP takes up to %d", xdp->device,
        request.ifr_mtu, MAX_MTU));
}

/* @why says more than the errno does. */
static bool fail(GError **error, const Xdp *xdp, const char *what, int number,
                 const char *why)
{
    if (number == EPERM) {
        why = " (it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF)";
    }
    return refuse(error, "%s: cannot %s: %s%s", xdp->device, what,
                  g_strerror(number), why);
}

static bool load_program(Xdp *xdp, GError **error)
{
    int ret;

    libbpf_set_print(NULL);
    xdp->program = xsk_bpf__open();
    if (!xdp->program) {
        return fail(error, xdp, "read the XDP program", errno, "");
    }
    bpf_map__set_max_entries(xdp->program->maps.sockets,
                             xdp->first + xdp->n_queues);
    ret = xsk_bpf__load(xdp->program);
    return ret == 0 || fail(error, xdp, "load the XDP program", -ret, "");
}

static int attach(Xdp *xdp, int ifindex, uint32_t flags)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

    xdp->link = bpf_link_create(
        bpf_program__fd(xdp->program->progs.to_socket), ifindex, BPF_XDP,
        &options);
    return xdp->link < 0 ? errno : 0;
}

/* By the driver, or, if it does not want to, in front of the network stack. */
static bool attach_program(Xdp *xdp, int ifindex, GError **error)
{
    int number = attach(xdp, ifindex, 0);

    if (number && number != EBUSY && number != EPERM &&
        !(xdp->bind_flags & XDP_ZEROCOPY)) {
        number = attach(xdp, ifindex, XDP_FLAGS_SKB_MODE);
        xdp->bind_flags |= XDP_COPY;
    }
    return !number || fail(
        error, xdp, "attach the XDP program", number,
        number == EBUSY ? " (it has one already, of another backend perhaps)" :
        number == ERANGE ? " (the MTU may be too much for it)" : "");
}

static const char *why_no_socket(int number)
{
    return number == EINVAL ? " (there is no such queue)" :
           number == EBUSY ? " (another process has a socket there)" :
           number == EOPNOTSUPP ? " (the driver has no zero copy)" :
           number == ENOBUFS ? " (the limit of locked memory is too low:"
                               " ulimit -l)" :
           number == EAFNOSUPPORT ? " (the kernel has no AF_XDP)" : "";
}

static int try_socket(const Xdp *xdp, Queue *q, unsigned number)
{
    const struct xsk_umem_config memory = {
        .fill_size = FRAMES, .comp_size = FRAMES, .frame_size = FRAME_SIZE,
    };
    const struct xsk_socket_config socket = {
        .rx_size = FRAMES, .tx_size = FRAMES,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags = xdp->bind_flags | XDP_USE_NEED_WAKEUP,
    };
    int ret = xsk_umem__create(&q->umem, q->memory, MEMORY_SIZE, &q->fill,
                               &q->done, &memory);

    if (!ret) {
        ret = xsk_socket__create(&q->socket, xdp->device, number, q->umem,
                                 &q->rx, &q->tx, &socket);
        if (ret) {
            xsk_umem__delete(q->umem);
            q->umem = NULL;
        }
    }
    return ret;
}

/*
 * A process has ended some time before its queues are free: xp_put_pool() in
 * net/xdp/xsk_buff_pool.c leaves that to a worker, which waits for the lock of
 * all network devices.
 */
static int make_socket(const Xdp *xdp, Queue *q, unsigned number)
{
    int ret = try_socket(xdp, q, number);

    for (int i = 1; ret == -EBUSY && i < TRIES; i++) {
        g_usleep(TRY_EVERY_MS * 1000);
        ret = try_socket(xdp, q, number);
    }
    return ret;
}

/* The first FRAMES are the kernel's to fill. */
static void spread_frames(Queue *q)
{
    uint32_t at = 0;

    xsk_ring_prod__reserve(&q->fill, FRAMES, &at);
    for (unsigned i = 0; i < FRAMES; i++) {
        *xsk_ring_prod__fill_addr(&q->fill, at + i) = i * FRAME_SIZE;
        q->idle[q->n_idle++] = (FRAMES + i) * FRAME_SIZE;
    }
    xsk_ring_prod__submit(&q->fill, FRAMES);
}

/* The kernel may have a copy of each frame that is sent. */
static void set_send_buffer(int fd)
{
    const int bytes = FRAMES * FRAME_SIZE;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes))) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
}

static bool open_queue(Xdp *xdp, unsigned i, GError **error)
{
    g_autofree char *what = g_strdup_printf("open queue %u by AF_XDP",
                                            xdp->first + i);
    Queue *q = &xdp->queue[i];
    int ret;

    q->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (q->memory == MAP_FAILED) {
        q->memory = NULL;
        return fail(error, xdp, what, errno, "");
    }
    ret = make_socket(xdp, q, xdp->first + i);
    if (ret) {
        return fail(error, xdp, what, -ret, why_no_socket(-ret));
    }
    set_send_buffer(xsk_socket__fd(q->socket));
    spread_frames(q);
    return true;
}

/* Only these queues' packets come to us. With 0 it is not known yet. */
bool xdp_use(Xdp *xdp, unsigned n_queues, GError **error)
{
    n_queues = n_queues ? n_queues : xdp->n_used;
    for (unsigned i = 0; i < xdp->n_queues; i++) {
        uint32_t key = xdp->first + i;
        int fd = xsk_socket__fd(xdp->queue[i].socket);
        int ret = 0;

        if (i < n_queues && i >= xdp->n_used) {
            ret = bpf_map__update_elem(xdp->program->maps.sockets, &key,
                                       sizeof(key), &fd, sizeof(fd), BPF_ANY);
        } else if (i >= n_queues && i < xdp->n_used) {
            ret = bpf_map__delete_elem(xdp->program->maps.sockets, &key,
                                       sizeof(key), 0);
        }
        if (ret) {
            return fail(error, xdp, "use another number of queues", -ret, "");
        }
    }
    xdp->n_used = n_queues;
    return true;
}

Xdp *xdp_new(const char *text, unsigned n_queues, GError **error)
{
    g_autoptr(Xdp) xdp = g_new0(Xdp, 1);
    int ifindex;

    xdp->link = -1;
    if (!parse(xdp, text, error)) {
        return NULL;
    }
    ifindex = if_nametoindex(xdp->device);
    if (!ifindex) {
        refuse(error, "there is no network device \"%s\"", xdp->device);
        return NULL;
    }
    xdp->n_queues = n_queues;
    xdp->queue = g_new0(Queue, n_queues);
    if (!check_mtu(xdp, error) || !load_program(xdp, error) ||
        !attach_program(xdp, ifindex, error)) {
        return NULL;
    }
    for (unsigned i = 0; i < n_queues; i++) {
        if (!open_queue(xdp, i, error)) {
            return NULL;
        }
    }
    return xdp_use(xdp, n_queues, error) ? g_steal_pointer(&xdp) : NULL;
}

void xdp_free(Xdp *xdp)
{
    if (!xdp) {
        return;
    }
    if (xdp->link >= 0) {
        close(xdp->link);
    }
    for (unsigned i = 0; xdp->queue && i < xdp->n_queues; i++) {
        Queue *q = &xdp->queue[i];

        xsk_socket__delete(q->socket);
        xsk_umem__delete(q->umem);
        if (q->memory) {
            munmap(q->memory, MEMORY_SIZE);
        }
    }
    xsk_bpf__destroy(xdp->program);
    g_free(xdp->queue);
    g_free(xdp->device);
    g_free(xdp);
}

int xdp_fd(const Xdp *xdp, unsigned queue)
{
    return xsk_socket__fd(xdp->queue[queue].socket);
}

bool xdp_gone(const Xdp *xdp)
{
    return xdp->gone;
}

/* Sending */

static unsigned waiting(Queue *q)
{
    return FRAMES - xsk_prod_nb_free(&q->tx, FRAMES);
}

static void take_back(Queue *q)
{
    uint32_t at;
    unsigned n = xsk_ring_cons__peek(&q->done, FRAMES, &at);

    for (unsigned i = 0; i < n; i++) {
        q->idle[q->n_idle++] = *xsk_ring_cons__comp_addr(&q->done, at + i);
    }
    xsk_ring_cons__release(&q->done, n);
}

bool xdp_flush(Xdp *xdp, unsigned queue)
{
    Queue *q = &xdp->queue[queue];
    unsigned n, before = FRAMES + 1;
    bool fails = false;

    if (q->gathered) {
        xsk_ring_prod__submit(&q->tx, q->gathered);
        q->gathered = 0;
    }
    /* The kernel sends some 32 in a call. */
    while ((n = waiting(q)) && n < before &&
           xsk_ring_prod__needs_wakeup(&q->tx)) {
        before = n;
        fails = sendto(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL,
                       0) < 0;
        if (fails && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) {
            xdp->gone = errno == ENXIO;
            return false;       /* if it is down they wait until it is not */
        }
    }
    return n && fails;
}

bool xdp_send(Xdp *xdp, unsigned queue, const BpfhvPacket *packet)
{
    Queue *q = &xdp->queue[queue];
    struct xdp_desc *desc;
    uint8_t *to;
    uint32_t at;

    if (packet->len < ETH_HLEN || packet->len > FRAME_SIZE) {
        return false;
    }
    if (!q->n_idle) {
        xdp_flush(xdp, queue);
        take_back(q);
    }
    if (!q->n_idle || !xsk_ring_prod__reserve(&q->tx, 1, &at)) {
        return false;
    }
    desc = xsk_ring_prod__tx_desc(&q->tx, at);
    *desc = (struct xdp_desc) { .addr = q->idle[--q->n_idle],
                                .len = packet->len };
    to = xsk_umem__get_data(q->memory, desc->addr);
    for (uint32_t i = 1; i < packet->num_iov; i++) {
        memcpy(to, packet->iov[i].iov_base, packet->iov[i].iov_len);
        to += packet->iov[i].iov_len;
    }
    q->gathered++;
    return true;
}

/* Receiving */

/* The frames that have been read go back, and others are taken. */
static void take_frames(Queue *q)
{
    if (q->taken) {
        xsk_ring_cons__release(&q->rx, q->taken);
        xsk_ring_prod__submit(&q->fill, q->taken);
        if (xsk_ring_prod__needs_wakeup(&q->fill)) {
            recvfrom(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL,
                     NULL);
        }
    }
    q->taken = xsk_ring_cons__peek(&q->rx, BATCH, &q->rx_at);
    /* The kernel gives a frame a moment before its place in the ring fill. */
    if (q->taken && !xsk_ring_prod__reserve(&q->fill, q->taken,
                                            &q->fill_at)) {
        xsk_ring_cons__cancel(&q->rx, q->taken);
        q->taken = 0;
    }
    q->left = q->taken;
}

size_t xdp_receive(Xdp *xdp, unsigned queue, uint8_t *packet)
{
    Queue *q = &xdp->queue[queue];
    struct xdp_desc desc;

    if (!q->left) {
        take_frames(q);
    }
    if (!q->left) {
        return 0;
    }
    q->left--;
    desc = *xsk_ring_cons__rx_desc(&q->rx, q->rx_at++);
    *xsk_ring_prod__fill_addr(&q->fill, q->fill_at++) =
        desc.addr & ~(uint64_t)(FRAME_SIZE - 1);
    memcpy(packet, xsk_umem__get_data(q->memory, desc.addr), desc.len);
    return desc.len;
}

uint64_t xdp_lost(const Xdp *xdp, unsigned queue)
{
    struct xdp_statistics statistics = { 0 };
    socklen_t len = sizeof(statistics);

    getsockopt(xsk_socket__fd(xdp->queue[queue].socket), SOL_XDP,
               XDP_STATISTICS, &statistics, &len);
    return statistics.rx_dropped + statistics.rx_ring_full;
}
