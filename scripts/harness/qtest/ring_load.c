/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream through a card on a tap, each packet of which is judged.
 *
 *     ring_load PACKETS MEMORY SOCKET HEADER CHOICES QUEUE... <FRAMES
 *
 * MEMORY     descriptor of the machine's memory
 * SOCKET     descriptor of a packet socket on the tap
 * HEADER     length of virtio-net's header
 * QUEUE      SIZE:DESC:AVAIL:USED:NEXT, a receive queue: where in memory its
 *            parts are, and its next used index; the device has all its buffers
 * FRAMES     for each: its length, 4 bytes; CHOICES times struct Choice; it
 *            itself. All in host order, and then comes uint32 0.
 *
 * The frames are sent again and again, each with its number in the source
 * address: so many packets, or fewer if the input ends. No more are on their
 * way at a time than half a ring has room for, so a lost packet is a fault.
 * Queue and hash of each packet must be of a choice; both need not be of the
 * same one, as a configuration may have been replaced between the two.
 *
 * Prints lines of NAME TAB COUNT. Exit status 1: packets were lost, or what is
 * in a ring or in the input makes no sense.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_FRAME = 2048,
    MAX_QUEUES = 16,
    MAX_CHOICES = 16,
    NUMBER_AT = 8,          /* in a frame: the end of the source address */
    BURST = 32,             /* frames in a call */
    REPORTS = 10,           /* VIRTIO_NET_HASH_REPORT_*: those below */
    TOLD = 3,               /* packets that are shown of what is wrong */
    PATIENCE_S = 60,        /* without a packet */
    PAUSE_US = 50,          /* when there is none */
    ANY_QUEUE = 0xffff,
};

/* What a configuration says of a frame. */
typedef struct Choice {
    uint32_t value;
    uint16_t report;
    uint16_t queue;
} Choice;

typedef struct Frame {
    uint32_t length;
    int32_t on_its_way;
    Choice choices[MAX_CHOICES];
    uint8_t bytes[MAX_FRAME];
} Frame;

typedef struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
} Descriptor;

typedef struct Queue {
    unsigned size;
    const Descriptor *descriptors;
    uint16_t *avail;        /* flags, index, heads */
    uint16_t *used;         /* flags, index, then pairs of 32 bits */
    uint16_t next;
    uint64_t received;
} Queue;

enum {
    WRONG_HASH, IMPOSSIBLE_REPORT, WRONG_QUEUE, WRONG_HEADER, CHANGED, TWICE,
    FAULTS,
};
static const char *const fault_names[] = {
    "wrong hash", "impossible report", "wrong queue", "wrong header",
    "changed", "twice",
};
_Static_assert(sizeof(fault_names) / sizeof(fault_names[0]) == FAULTS,
               "each fault has a name");

typedef struct Load {
    uint64_t packets, sent, received;
    int socket;
    uint8_t *memory;
    uint64_t memory_size;
    unsigned header, n_choices, n_queues, n_frames, most;
    Queue queues[MAX_QUEUES];
    Frame *frames;
    uint64_t of_choice[MAX_CHOICES];
    uint64_t faults[FAULTS];
} Load;

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "ring_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void __attribute__((noreturn)) nonsense(const char *what)
{
    errno = EINVAL;
    die(what);
}

/* --- what is given ---------------------------------------------------- */

static void read_input(void *to, size_t length)
{
    ssize_t got;

    for (; length; length -= got, to = (char *)to + got) {
        got = read(STDIN_FILENO, to, length);
        if (got <= 0) {
            die("cannot read the frames");
        }
    }
}

static void read_frames(Load *load)
{
    uint32_t length;
    Frame *frame;

    for (;;) {
        read_input(&length, sizeof(length));
        if (length == 0) {
            break;
        }
        if (length < NUMBER_AT + 4 || length > MAX_FRAME) {
            nonsense("length of a frame");
        }
        load->frames = realloc(load->frames,
                               (load->n_frames + 1) * sizeof(*frame));
        if (!load->frames) {
            die("no memory");
        }
        frame = &load->frames[load->n_frames];
        memset(frame, 0, sizeof(*frame));
        frame->length = length;
        read_input(frame->choices, load->n_choices * sizeof(Choice));
        read_input(frame->bytes, length);
        memcpy(frame->bytes + NUMBER_AT, &load->n_frames, 4);
        load->n_frames++;
    }
    if (!load->n_frames) {
        nonsense("no frames");
    }
}

/* Returns where @size bytes of the memory are. */
static void *at(const Load *load, uint64_t place, uint64_t size)
{
    if (place > load->memory_size || size > load->memory_size - place) {
        nonsense("a place that is not in the memory");
    }
    return load->memory + place;
}

static void map_memory(Load *load, int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        die("no memory of a machine");
    }
    load->memory_size = status.st_size;
    load->memory = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED, fd, 0);
    if (load->memory == MAP_FAILED) {
        die("cannot map the machine's memory");
    }
}

static void read_queue(Load *load, const char *text)
{
    Queue *queue = &load->queues[load->n_queues++];
    unsigned long long descriptors, avail, used;

    if (sscanf(text, "%u:%llu:%llu:%llu:%hu", &queue->size, &descriptors,
               &avail, &used, &queue->next) != 5 ||
        queue->size < 2 * BURST || queue->size > 32768) {
        nonsense(text);
    }
    queue->descriptors = at(load, descriptors,
                            queue->size * sizeof(Descriptor));
    queue->avail = at(load, avail, 4 + 2 * queue->size);
    queue->used = at(load, used, 4 + 8 * queue->size);
    if (!load->most || queue->size / 2 < load->most) {
        load->most = queue->size / 2;
    }
}

static void read_arguments(Load *load, int argc, char **argv)
{
    int i;

    if (argc < 7 || argc > 6 + MAX_QUEUES) {
        nonsense("number of arguments");
    }
    load->packets = strtoull(argv[1], NULL, 10);
    map_memory(load, atoi(argv[2]));
    load->socket = atoi(argv[3]);
    load->header = atoi(argv[4]);
    load->n_choices = atoi(argv[5]);
    if (load->header < 20 || load->n_choices < 1 ||
        load->n_choices > MAX_CHOICES) {
        nonsense("header or choices");
    }
    for (i = 6; i < argc; i++) {
        read_queue(load, argv[i]);
    }
}

/* --- what comes -------------------------------------------------------- */

static uint16_t le16(const uint8_t *bytes)
{
    return bytes[0] | bytes[1] << 8;
}

static void note(Load *load, int fault, unsigned queue, const uint8_t *data,
                 uint32_t length)
{
    uint32_t i;

    if (load->faults[fault]++ >= TOLD) {
        return;
    }
    fprintf(stderr, "%s on queue %u: ", fault_names[fault], queue);
    for (i = 0; i < length && i < load->header + 80; i++) {
        fprintf(stderr, "%02x%s", data[i], i + 1 == load->header ? " " : "");
    }
    fprintf(stderr, "\n");
}

/* Returns the frame that this packet is, unchanged, or NULL. */
static Frame *find_frame(const Load *load, const uint8_t *bytes,
                         uint32_t length)
{
    uint32_t number;
    Frame *frame;

    if (length < NUMBER_AT + 4) {
        return NULL;
    }
    memcpy(&number, bytes + NUMBER_AT, 4);
    if (number >= load->n_frames) {
        return NULL;
    }
    frame = &load->frames[number];
    return frame->length == length && !memcmp(frame->bytes, bytes, length)
           ? frame : NULL;
}

static void judge_hash(Load *load, const Frame *frame, unsigned queue,
                       const uint8_t *data, uint32_t length)
{
    uint32_t value = le16(data + 12) | (uint32_t)le16(data + 14) << 16;
    uint16_t report = le16(data + 16);
    unsigned i;

    if (report >= REPORTS) {
        note(load, IMPOSSIBLE_REPORT, queue, data, length);
    }
    for (i = 0; i < load->n_choices; i++) {
        if (frame->choices[i].value == value &&
            frame->choices[i].report == report) {
            load->of_choice[i]++;
            return;
        }
    }
    note(load, WRONG_HASH, queue, data, length);
}

static void judge_queue(Load *load, const Frame *frame, unsigned queue,
                        const uint8_t *data, uint32_t length)
{
    unsigned i;

    for (i = 0; i < load->n_choices; i++) {
        if (frame->choices[i].queue == queue ||
            frame->choices[i].queue == ANY_QUEUE) {
            return;
        }
    }
    note(load, WRONG_QUEUE, queue, data, length);
}

static void judge(Load *load, unsigned queue, const uint8_t *data,
                  uint32_t length)
{
    Frame *frame = NULL;

    if (length > load->header) {
        frame = find_frame(load, data + load->header, length - load->header);
    }
    if (!frame) {
        note(load, CHANGED, queue, data, length);
        return;
    }
    if (frame->on_its_way-- <= 0) {
        note(load, TWICE, queue, data, length);
    }
    if (le16(data + 10) != 1 || le16(data + 18) != 0) {
        note(load, WRONG_HEADER, queue, data, length);
    }
    judge_hash(load, frame, queue, data, length);
    judge_queue(load, frame, queue, data, length);
}

/* Judges what has come in a queue; the buffers go back. */
static void receive(Load *load, unsigned number)
{
    Queue *queue = &load->queues[number];
    uint16_t index = __atomic_load_n(&queue->used[1], __ATOMIC_ACQUIRE);
    uint16_t mask = queue->size - 1, offered = queue->avail[1];
    const Descriptor *descriptor;
    uint32_t entry[2];          /* first descriptor, bytes written */

    for (; queue->next != index; queue->next++) {
        memcpy(entry, (uint8_t *)queue->used + 4 + 8 * (queue->next & mask),
               sizeof(entry));
        if (entry[0] >= queue->size) {
            nonsense("a descriptor that is not there");
        }
        descriptor = &queue->descriptors[entry[0]];
        if (entry[1] > descriptor->length) {
            nonsense("more bytes than there is room for");
        }
        judge(load, number, at(load, descriptor->address, entry[1]), entry[1]);
        queue->avail[2 + (offered++ & mask)] = entry[0];
        queue->received++;
        load->received++;
    }
    __atomic_store_n(&queue->avail[1], offered, __ATOMIC_RELEASE);
}

/* --- what goes ---------------------------------------------------------- */

static void send_burst(Load *load)
{
    struct iovec iov[BURST];
    struct mmsghdr messages[BURST];
    uint64_t left = load->packets - load->sent;
    int count = left < BURST ? left : BURST, done = 0, sent, i;
    Frame *frame;

    memset(messages, 0, sizeof(messages));
    for (i = 0; i < count; i++) {
        frame = &load->frames[(load->sent + i) % load->n_frames];
        frame->on_its_way++;
        iov[i] = (struct iovec){ frame->bytes, frame->length };
        messages[i].msg_hdr.msg_iov = &iov[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (; done < count; done += sent) {
        sent = sendmmsg(load->socket, messages + done, count - done, 0);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            die("cannot send");
        }
        sent = sent < 0 ? 0 : sent;
    }
    load->sent += count;
}

static int input_has_ended(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&input, 1, 0) > 0;
}

static void run(Load *load)
{
    time_t last = time(NULL);
    uint64_t before;
    unsigned i;

    while (load->received < load->packets) {
        if (input_has_ended()) {
            load->packets = load->sent;
        }
        if (load->sent < load->packets &&
            load->sent - load->received + BURST <= load->most) {
            send_burst(load);
        }
        before = load->received;
        for (i = 0; i < load->n_queues; i++) {
            receive(load, i);
        }
        if (load->received != before) {
            last = time(NULL);
        } else if (time(NULL) - last > PATIENCE_S) {
            return;
        } else {
            usleep(PAUSE_US);       /* vhost and QEMU need the processor */
        }
    }
}

static void print(const Load *load)
{
    unsigned i;

    printf("packets\t%ju\n", (uintmax_t)load->received);
    printf("lost\t%ju\n", (uintmax_t)(load->sent - load->received));
    for (i = 0; i < FAULTS; i++) {
        printf("%s\t%ju\n", fault_names[i], (uintmax_t)load->faults[i]);
    }
    for (i = 0; i < load->n_choices; i++) {
        printf("choice %u\t%ju\n", i, (uintmax_t)load->of_choice[i]);
    }
    for (i = 0; i < load->n_queues; i++) {
        printf("queue %u\t%ju\n", i, (uintmax_t)load->queues[i].received);
    }
}

int main(int argc, char **argv)
{
    Load load = { 0 };

    read_arguments(&load, argc, argv);
    read_frames(&load);
    run(&load);
    print(&load);
    return load.sent != load.received;
}
