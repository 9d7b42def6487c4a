/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One card: what QEMU has told of it, and the packets of its queues
 *
 * A queue's ring begins when its direction is enabled with a new context, and
 * stays when it is disabled. A packet that waits for room outlives it. What the
 * guest or QEMU may not do is refused, with nothing changed; a ring whose
 * content makes no sense is left alone from then on, until the guest sets
 * another context.
 *
 * Kicks: a transmit queue wants them while it is empty, a receive queue while a
 * packet waits for room. With --busy-wait none ever does.
 *
 * Limits
 *  - up to BATCH packets of a queue, then it is the next one's turn;
 *  - MAX_FAULTS faults of guests are told on standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "bpfhv-backend.h"

enum {
    MAX_QUEUES = 2 * BPFHV_MAX_QUEUE_PAIRS,
    BATCH = 64,
    MAX_FAULTS = 16,
    CTX_ALIGNMENT = 128,
};

typedef struct Queue {
    uint64_t gpa;               /* of its context; 0: there is none */
    BpfhvRing *ring;
    int kick, irq;              /* -1: there is none */
    bool awake;                 /* it wants no kicks */
    bool faulty;                /* and that was told */
    size_t pending;             /* bytes of a packet that waits for room */
    BpfhvVnetHdr pending_hdr;
    uint8_t *pending_packet;    /* BPFHV_MAX_PACKET bytes, or NULL */
    uint64_t packets, bytes, dropped, interrupts, kicks;
} Queue;

typedef enum Direction { RX, TX, NUM_DIRECTIONS } Direction;

struct Card {
    const Options *options;
    Port *port;
    const BpfhvModel *model;
    BpfhvCode *code;
    const BpfhvModel *next_model;       /* NULL: no upgrade is asked for */
    BpfhvCode *next_code;
    uint64_t features;                  /* chosen */
    unsigned n_queues[NUM_DIRECTIONS];  /* 0: SET_PARAMETERS is to come */
    bool enabled[NUM_DIRECTIONS];
    Memory *memory;
    Queue queue[MAX_QUEUES];
    int upgrade;                        /* -1: there is none */
    unsigned faults, upgrades;
};

static Direction direction_of(const Card *card, unsigned i)
{
    return i < card->n_queues[RX] ? RX : TX;
}

static unsigned first_of(const Card *card, Direction direction)
{
    return direction == RX ? 0 : card->n_queues[RX];
}

static unsigned num_queues(const Card *card)
{
    return card->n_queues[RX] + card->n_queues[TX];
}

/* The port's queue for the card's queue @i. */
static unsigned port_queue(const Card *card, unsigned i)
{
    return i - first_of(card, direction_of(card, i));
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Models */

/* The programs of the library, or those in a folder of the user's. */
static BpfhvCode *read_model(const Options *options, const char *name,
                             const BpfhvModel **model, GError **error)
{
    g_autofree char *path = NULL, *elf = NULL;
    BpfhvCode *code;
    gsize size;

    *model = bpfhv_model_find(name);
    if (!*model) {
        g_autofree char *names = bpfhv_model_names();

        refuse(error, "there is no model %s; there are %s", name, names);
        return NULL;
    }
    if (!options->programs) {
        return bpfhv_code_of(*model, error);
    }
    path = g_strdup_printf("%s/%s.o", options->programs, name);
    if (!g_file_get_contents(path, &elf, &size, error)) {
        return NULL;
    }
    code = bpfhv_code_read(elf, size, error);
    if (!code) {
        g_prefix_error(error, "%s: ", path);
    }
    return code;
}

static void queue_reset(Queue *queue)
{
    g_clear_pointer(&queue->ring, bpfhv_ring_free);
    queue->gpa = 0;
    queue->awake = queue->faulty = false;
}

/* As after the start: all that depends on a model is gone. */
static void card_reset(Card *card)
{
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        queue_reset(&card->queue[i]);
        close_fd(&card->queue[i].kick);
        close_fd(&card->queue[i].irq);
    }
    card->features = 0;
    memset(card->n_queues, 0, sizeof(card->n_queues));
    memset(card->enabled, 0, sizeof(card->enabled));
}

Card *card_new(const Options *options, Port *port, GError **error)
{
    const BpfhvModel *model;
    BpfhvCode *code = read_model(options, options->model, &model, error);
    Card *card;

    if (!code) {
        return NULL;
    }
    card = g_new0(Card, 1);
    card->options = options;
    card->port = port;
    card->model = model;
    card->code = code;
    card->upgrade = -1;
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        card->queue[i].kick = card->queue[i].irq = -1;
    }
    return card;
}

void card_free(Card *card)
{
    if (!card) {
        return;
    }
    card_reset(card);
    close_fd(&card->upgrade);
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        g_free(card->queue[i].pending_packet);
    }
    memory_unmap(card->memory);
    bpfhv_code_free(card->code);
    bpfhv_code_free(card->next_code);
    g_free(card);
}

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    ssize_t ret;

    /* It is full, or not one that can be written to: the peer's loss. */
    ret = write(fd, &one, sizeof(one));
    (void)ret;
}

bool card_upgrade(Card *card, const char *name, GError **error)
{
    const BpfhvModel *model;
    BpfhvCode *code;

    if (card->upgrade < 0) {
        return refuse(error, "QEMU has not said how to ask for an upgrade");
    }
    code = read_model(card->options, name, &model, error);
    if (!code) {
        return false;
    }
    bpfhv_code_free(card->next_code);
    card->next_code = code;
    card->next_model = model;
    signal_fd(card->upgrade);
    return true;
}

/* Packets */

static void *map_buffer(void *opaque, uint64_t address, uint32_t len,
                        bool write)
{
    const Card *card = opaque;

    return memory_find(card->memory, address, len);
}

static void interrupt(Queue *queue)
{
    queue->interrupts++;
    if (queue->irq >= 0) {
        signal_fd(queue->irq);
    }
}

static void look_for_fault(Card *card, unsigned i)
{
    Queue *queue = &card->queue[i];
    const char *fault = bpfhv_ring_fault(queue->ring);

    if (!fault || queue->faulty) {
        return;
    }
    queue->faulty = true;
    if (card->faults++ < MAX_FAULTS) {
        say("queue %u stops until the guest resets it: the guest has"
            " published %s%s", i, fault, card->faults < MAX_FAULTS ? "" :
            "; more of this kind is not told");
    }
}

/* Not kicked from now on. */
static void wake(Queue *queue)
{
    if (!queue->awake) {
        queue->awake = true;
        bpfhv_ring_kicks_off(queue->ring);
    }
}

/* Kicked from now on; return whether it is too late for that. */
static bool fall_asleep(const Card *card, Queue *queue)
{
    if (card->options->busy || !queue->awake) {
        return false;
    }
    queue->awake = bpfhv_ring_kicks_on(queue->ring);
    if (queue->awake) {
        bpfhv_ring_kicks_off(queue->ring);
    }
    return queue->awake;
}

static bool serve_tx(Card *card, unsigned i)
{
    Queue *queue = &card->queue[i];
    BpfhvPacket packet;
    unsigned n = 0;
    bool more;

    for (; n < BATCH && bpfhv_ring_next_to_send(queue->ring, &packet); n++) {
        wake(queue);
        if (packet.len &&
            port_send(card->port, port_queue(card, i), &packet)) {
            queue->packets++;
            queue->bytes += packet.len;
        } else {
            queue->dropped++;
        }
        bpfhv_ring_sent(queue->ring);
    }
    more = port_flush(card->port, port_queue(card, i));
    if (n && bpfhv_ring_flush(queue->ring)) {
        interrupt(queue);
    }
    look_for_fault(card, i);
    return n || more || fall_asleep(card, queue);
}

/* Have a packet for the guest; return whether there is one. */
static bool fetch(Card *card, unsigned i)
{
    Queue *queue = &card->queue[i];

    if (!queue->pending) {
        queue->pending = port_receive(card->port, port_queue(card, i),
                                      &queue->pending_hdr,
                                      queue->pending_packet);
    }
    return queue->pending;
}

static void copy_packet(const BpfhvPacket *to, const uint8_t *bytes,
                        size_t len)
{
    for (uint32_t i = 1; i < to->num_iov && len; i++) {
        size_t part = MIN(to->iov[i].iov_len, len);

        memcpy(to->iov[i].iov_base, bytes, part);
        bytes += part;
        len -= part;
    }
}

/* Give the pending packet to the guest; false: there is no room. */
static bool deliver(Queue *queue)
{
    BpfhvPacket packet;
    size_t len = queue->pending;

    if (!bpfhv_ring_next_room(queue->ring, len, &packet)) {
        return false;
    }
    queue->pending = 0;
    packet.hdr = queue->pending_hdr;
    if (packet.len < len) {
        queue->dropped++;
        return true;
    }
    copy_packet(&packet, queue->pending_packet, len);
    if (bpfhv_ring_received(queue->ring, &packet, len)) {
        queue->packets++;
        queue->bytes += len;
    } else {
        queue->dropped++;
    }
    return true;
}

static bool serve_rx(Card *card, unsigned i)
{
    Queue *queue = &card->queue[i];
    bool full = false;
    unsigned n = 0;

    while (n < BATCH && !full && fetch(card, i)) {
        full = !deliver(queue);
        n += !full;
    }
    if (n && bpfhv_ring_flush(queue->ring)) {
        interrupt(queue);
    }
    look_for_fault(card, i);
    if (full) {
        return fall_asleep(card, queue);
    }
    wake(queue);
    return n == BATCH;
}

bool card_serve(Card *card)
{
    bool again = false;

    for (unsigned i = 0; i < num_queues(card); i++) {
        if (!card->enabled[direction_of(card, i)] || card->queue[i].faulty) {
            continue;
        }
        again |= direction_of(card, i) == RX ? serve_rx(card, i)
                                             : serve_tx(card, i);
    }
    return again;
}

static void add_poll(GArray *fds, int fd)
{
    const struct pollfd one = { .fd = fd, .events = POLLIN };

    g_array_append_val(fds, one);
}

/* Two for each queue, kick and port; those that do not matter are negative. */
void card_poll(Card *card, GArray *fds)
{
    for (unsigned i = 0; i < num_queues(card); i++) {
        const Queue *queue = &card->queue[i];
        bool enabled = card->enabled[direction_of(card, i)];
        bool wants = direction_of(card, i) == RX && enabled &&
                     !queue->pending && !queue->faulty;

        add_poll(fds, enabled && !queue->faulty ? queue->kick : -1);
        add_poll(fds, wants ? port_fd(card->port, port_queue(card, i)) : -1);
    }
}

void card_polled(Card *card, const struct pollfd *fds, unsigned n_fds)
{
    for (unsigned i = 0; i < n_fds / 2 && i < num_queues(card); i++) {
        Queue *queue = &card->queue[i];
        uint64_t count;

        if (fds[2 * i + 1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
            port_failed(card->port);
        }
        if (!fds[2 * i].revents || fds[2 * i].fd != queue->kick) {
            continue;
        }
        if (read(queue->kick, &count, sizeof(count)) == sizeof(count)) {
            queue->kicks++;
        } else if (errno != EAGAIN && errno != EINTR) {
            close_fd(&queue->kick);     /* it would be ready for ever */
        }
    }
}

/* Requests */

static bool any_enabled(const Card *card)
{
    return card->enabled[RX] || card->enabled[TX];
}

static uint64_t features_of(const Card *card)
{
    return card->model->features & card->port->features;
}

static bool get_features(Card *card, const BpfhvProxyMessage *message,
                         int *fds, BpfhvProxyMessage *answer, GError **error)
{
    answer->features = features_of(card);
    return true;
}

static bool has_ring(const Card *card)
{
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        if (card->queue[i].ring) {
            return true;
        }
    }
    return false;
}

static bool set_features(Card *card, const BpfhvProxyMessage *message,
                         int *fds, BpfhvProxyMessage *answer, GError **error)
{
    uint64_t more = message->features & ~features_of(card);

    if (more) {
        return refuse(error, "the model %s does not have the features 0x%"
                      PRIx64 " here", card->model->name, more);
    }
    if (has_ring(card)) {
        return refuse(error, "contexts are in use");
    }
    if (!port_configure(card->port, card->n_queues[RX], message->features,
                        error)) {
        return false;
    }
    card->features = message->features;
    return true;
}

static bool set_parameters(Card *card, const BpfhvProxyMessage *message,
                           int *fds, BpfhvProxyMessage *answer, GError **error)
{
    if (message->parameters.rx_queues > card->port->n_queues ||
        message->parameters.tx_queues > card->port->n_queues) {
        return refuse(error, "there are %u queue pairs (bpfhv-backend"
                      " --queues)", card->port->n_queues);
    }
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        if (card->queue[i].gpa) {
            return refuse(error, "contexts are set");
        }
    }
    if (!port_configure(card->port, message->parameters.rx_queues,
                        card->features, error)) {
        return false;
    }
    card->n_queues[RX] = message->parameters.rx_queues;
    card->n_queues[TX] = message->parameters.tx_queues;
    answer->sizes.rx_ctx = answer->sizes.tx_ctx = card->model->ctx_size;
    answer->sizes.rx_bufs = answer->sizes.tx_bufs = card->model->max_bufs;
    return true;
}

static bool get_program(Card *card, const BpfhvProxyMessage *message,
                        int *fds, BpfhvProxyMessage *answer, GError **error)
{
    answer->data = card->code->insns[message->program];
    answer->count = card->code->count[message->program];
    return true;
}

/* Contexts are at other places now. */
static void move_rings(Card *card)
{
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        if (card->queue[i].ring) {
            bpfhv_ring_move(card->queue[i].ring,
                            memory_find(card->memory, card->queue[i].gpa,
                                        card->model->ctx_size));
        }
    }
}

static bool set_memory(Card *card, const BpfhvProxyMessage *message,
                       int *fds, BpfhvProxyMessage *answer, GError **error)
{
    Memory *memory = memory_map(message, fds, error);

    if (!memory) {
        return false;
    }
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        if (card->queue[i].gpa && !memory_find(memory, card->queue[i].gpa,
                                               card->model->ctx_size)) {
            memory_unmap(memory);
            return refuse(error, "queue %u's context is not in it", i);
        }
    }
    memory_unmap(card->memory);
    card->memory = memory;
    move_rings(card);
    return true;
}

static bool is_queue(const Card *card, const BpfhvProxyMessage *message,
                     GError **error)
{
    return message->queue < num_queues(card) ||
           refuse(error, "there is no queue %u", message->queue);
}

/* Is this a queue, and one that rests? */
static bool may_change(const Card *card, const BpfhvProxyMessage *message,
                       GError **error)
{
    return is_queue(card, message, error) &&
           (!card->enabled[direction_of(card, message->queue)] ||
            refuse(error, "queue %u is enabled", message->queue));
}

static bool set_queue_ctx(Card *card, const BpfhvProxyMessage *message,
                          int *fds, BpfhvProxyMessage *answer, GError **error)
{
    if (!may_change(card, message, error)) {
        return false;
    }
    if (message->gpa % CTX_ALIGNMENT) {
        return refuse(error, "a context is aligned to %d bytes",
                      CTX_ALIGNMENT);
    }
    if (message->gpa && !memory_find(card->memory, message->gpa,
                                     card->model->ctx_size)) {
        return refuse(error, "the context is not in guest memory");
    }
    queue_reset(&card->queue[message->queue]);
    card->queue[message->queue].gpa = message->gpa;
    return true;
}

/* Keep the descriptor of @message, or none, in @place. */
static bool take_fd(const BpfhvProxyMessage *message, int *fds, int *place,
                    GError **error)
{
    int flags = message->n_fds ? fcntl(fds[0], F_GETFL) : O_NONBLOCK;

    if (flags < 0 || !(flags & O_NONBLOCK)) {
        return refuse(error, "the descriptor is not non-blocking");
    }
    close_fd(place);
    if (message->n_fds) {
        *place = fds[0];
        fds[0] = -1;
    }
    return true;
}

static bool set_queue_kick(Card *card, const BpfhvProxyMessage *message,
                           int *fds, BpfhvProxyMessage *answer, GError **error)
{
    return may_change(card, message, error) &&
           take_fd(message, fds, &card->queue[message->queue].kick, error);
}

static bool set_queue_irq(Card *card, const BpfhvProxyMessage *message,
                          int *fds, BpfhvProxyMessage *answer, GError **error)
{
    return is_queue(card, message, error) &&
           take_fd(message, fds, &card->queue[message->queue].irq, error);
}

static bool set_upgrade(Card *card, const BpfhvProxyMessage *message,
                        int *fds, BpfhvProxyMessage *answer, GError **error)
{
    if (!take_fd(message, fds, &card->upgrade, error)) {
        return false;
    }
    if (card->upgrade >= 0 && card->next_model) {
        signal_fd(card->upgrade);
    }
    return true;
}

static bool enable(Card *card, Direction direction, GError **error)
{
    unsigned first = first_of(card, direction);
    unsigned end = first + card->n_queues[direction];

    if (first == end) {
        return refuse(error, "SET_PARAMETERS is to come first");
    }
    for (unsigned i = first; i < end; i++) {
        if (!card->queue[i].gpa) {
            return refuse(error, "queue %u has no context", i);
        }
    }
    for (unsigned i = first; i < end; i++) {
        Queue *queue = &card->queue[i];

        if (!queue->pending_packet) {
            queue->pending_packet = g_malloc(BPFHV_MAX_PACKET);
        }
        if (!queue->ring) {
            queue->ring = bpfhv_ring_new(
                card->model, card->features, direction == RX,
                memory_find(card->memory, queue->gpa, card->model->ctx_size),
                map_buffer, card);
        }
        wake(queue);
    }
    card->enabled[direction] = true;
    return true;
}

static bool rx_enable(Card *card, const BpfhvProxyMessage *message,
                      int *fds, BpfhvProxyMessage *answer, GError **error)
{
    return enable(card, RX, error);
}

static bool tx_enable(Card *card, const BpfhvProxyMessage *message,
                      int *fds, BpfhvProxyMessage *answer, GError **error)
{
    return enable(card, TX, error);
}

static bool rx_disable(Card *card, const BpfhvProxyMessage *message,
                       int *fds, BpfhvProxyMessage *answer, GError **error)
{
    card->enabled[RX] = false;
    return true;
}

static bool tx_disable(Card *card, const BpfhvProxyMessage *message,
                       int *fds, BpfhvProxyMessage *answer, GError **error)
{
    card->enabled[TX] = false;
    return true;
}

static bool upgrade(Card *card, const BpfhvProxyMessage *message,
                    int *fds, BpfhvProxyMessage *answer, GError **error)
{
    if (any_enabled(card)) {
        return refuse(error, "queues are enabled");
    }
    card_reset(card);
    if (card->next_model) {
        bpfhv_code_free(card->code);
        card->model = g_steal_pointer(&card->next_model);
        card->code = g_steal_pointer(&card->next_code);
        card->upgrades++;
    }
    return true;
}

static bool (*const handlers[BPFHV_PROXY_END])(
    Card *card, const BpfhvProxyMessage *message, int *fds,
    BpfhvProxyMessage *answer, GError **error) = {
    [BPFHV_PROXY_GET_FEATURES] = get_features,
    [BPFHV_PROXY_SET_FEATURES] = set_features,
    [BPFHV_PROXY_SET_PARAMETERS] = set_parameters,
    [BPFHV_PROXY_GET_PROGRAM] = get_program,
    [BPFHV_PROXY_SET_MEMORY] = set_memory,
    [BPFHV_PROXY_SET_QUEUE_CTX] = set_queue_ctx,
    [BPFHV_PROXY_SET_QUEUE_KICK] = set_queue_kick,
    [BPFHV_PROXY_SET_QUEUE_IRQ] = set_queue_irq,
    [BPFHV_PROXY_SET_UPGRADE] = set_upgrade,
    [BPFHV_PROXY_RX_ENABLE] = rx_enable,
    [BPFHV_PROXY_TX_ENABLE] = tx_enable,
    [BPFHV_PROXY_RX_DISABLE] = rx_disable,
    [BPFHV_PROXY_TX_DISABLE] = tx_disable,
    [BPFHV_PROXY_UPGRADE] = upgrade,
};

void card_request(Card *card, const BpfhvProxyMessage *message, int *fds,
                  BpfhvProxyMessage *answer)
{
    g_autoptr(GError) error = NULL;

    *answer = (BpfhvProxyMessage) { .type = message->type, .answer = true };
    if (!handlers[message->type](card, message, fds, answer, &error)) {
        answer->refused = true;
        g_strlcpy(answer->text, error->message, sizeof(answer->text));
    }
}

/* Statistics */

static const char *state_of(const Card *card)
{
    return !card->n_queues[RX] ? "no guest" :
           card->enabled[RX] && card->enabled[TX] ? "works" :
           any_enabled(card) ? "in part enabled" : "disabled";
}

char *card_statistics(const Card *card)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "model %s, features 0x%" PRIx64 ", %s,"
                           " %u upgrades%s%s%s\n", card->model->name,
                           card->features, state_of(card), card->upgrades,
                           card->port->gone ? ", the device has gone" : "",
                           card->next_model ? ", waits for the guest to take "
                           : "", card->next_model ? card->next_model->name
                           : "");
    for (unsigned i = 0; i < num_queues(card); i++) {
        const Queue *queue = &card->queue[i];
        uint64_t lost = direction_of(card, i) == TX ? 0 :
                        port_lost(card->port, port_queue(card, i));

        g_string_append_printf(
            text, "%s%u packets %" PRIu64 " bytes %" PRIu64 " dropped %"
            PRIu64 " kicks %" PRIu64 " interrupts %" PRIu64 "%s\n",
            direction_of(card, i) == RX ? "rx" : "tx", port_queue(card, i),
            queue->packets, queue->bytes, queue->dropped + lost,
            queue->kicks, queue->interrupts, queue->faulty ? " faulty" : "");
    }
    return g_string_free(text, FALSE);
}
