/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap-steer try: asks a program about the packets of a capture, without
 * attaching it.
 *
 * The kernel takes the first 14 bytes of what it is given for an Ethernet
 * header, behind which a socket filter starts; in a tap it starts at the
 * frame's own. So 14 bytes are put before each frame for a socket filter. Of
 * the packet's metadata there are none: no VLAN tag beside the frame, no hash,
 * no mark.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pcap.h"
#include "tap-steer.h"

enum {
    ETHERNET = 14,              /* bytes of a header */
    TUN_TRY_ETHERTYPE_AT = 12,
};

typedef struct Trial {
    const Options *options;
    const SteerProgram *program;
    unsigned queues;
    uint64_t *per_queue;
    uint64_t packets, no_opinion, wrapped, untried;
} Trial;

/* False with an errno if the kernel does not run it on this packet. */
static bool ask(const Trial *trial, const Pcap *pcap, const uint8_t *data,
                size_t len, uint32_t *answer)
{
    g_autofree uint8_t *input = g_malloc0(len + ETHERNET);
    bool add = !trial->options->fallback || pcap_is_ip(pcap);
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = add ? input : data,
                .data_size_in = add ? len + ETHERNET : len,
                .repeat = 1);

    memcpy(input + ETHERNET, data, len);
    if (len && pcap_is_ip(pcap)) {
        input[TUN_TRY_ETHERTYPE_AT] = data[0] >> 4 == 6 ? 0x86 : 0x08;
        input[TUN_TRY_ETHERTYPE_AT + 1] = data[0] >> 4 == 6 ? 0xdd : 0x00;
    }
    if (bpf_prog_test_run_opts(trial->program->fd, &opts) < 0) {
        return false;
    }
    *answer = opts.retval;
    return true;
}

/* The queue, or -1 for no opinion. */
static int64_t judge(Trial *trial, uint32_t answer)
{
    if (answer < trial->queues) {
        return answer;
    }
    if (trial->options->fallback) {
        trial->no_opinion++;
        return -1;
    }
    trial->wrapped++;
    return (uint16_t)answer % trial->queues;    /* as the tun driver does */
}

static void print_packet(const Trial *trial, size_t len, uint32_t answer,
                         int64_t queue)
{
    g_autofree char *where = queue < 0 ? NULL :
                             g_strdup_printf("%" PRId64, queue);

    if (trial->options->json) {
        printf("%s{\"packet\":%" PRIu64 ",\"length\":%zu,\"returned\":%d,"
               "\"queue\":%s}", trial->packets > 1 ? ",\n" : "",
               trial->packets, len, (int32_t)answer, where ? where : "null");
    } else {
        printf("packet %" PRIu64 ", %zu bytes: %s%s%s\n", trial->packets, len,
               where ? "queue " : "no opinion", where ? where : "",
               answer >= trial->queues && where
               ? " (wrapped: it returned more than there are)" : "");
    }
}

static void print_untried(const Trial *trial, size_t len, int err)
{
    if (trial->options->json) {
        printf("%s{\"packet\":%" PRIu64 ",\"length\":%zu,\"queue\":null,"
               "\"error\":\"%s\"}", trial->packets > 1 ? ",\n" : "",
               trial->packets, len, g_strerror(err));
    } else {
        printf("packet %" PRIu64 ", %zu bytes: cannot be tried: %s\n",
               trial->packets, len, g_strerror(err));
    }
}

static void try_packet(Trial *trial, const Pcap *pcap, const uint8_t *data,
                       size_t len)
{
    uint32_t answer;
    int64_t queue;

    trial->packets++;
    if (!ask(trial, pcap, data, len, &answer)) {
        trial->untried++;
        print_untried(trial, len, errno);
        return;
    }
    queue = judge(trial, answer);
    if (queue >= 0) {
        trial->per_queue[queue]++;
    }
    print_packet(trial, len, answer, queue);
}

static void print_sum(const Trial *trial)
{
    unsigned i;

    for (i = 0; i < trial->queues; i++) {
        printf("queue %u: %" PRIu64 " of %" PRIu64 " packets\n", i,
               trial->per_queue[i], trial->packets);
    }
    if (trial->options->fallback) {
        printf("no opinion: %" PRIu64 "\n", trial->no_opinion);
    }
    if (trial->wrapped) {
        printf("%" PRIu64 " of them wrapped: the program returned a queue that"
               " does not exist\n", trial->wrapped);
    }
    if (trial->untried) {
        printf("%" PRIu64 " could not be tried\n", trial->untried);
    }
}

static bool try_all(Trial *trial, Pcap *pcap, GError **error)
{
    g_autofree uint64_t *per_queue = g_new0(uint64_t, trial->queues);
    GError *damaged = NULL;
    const uint8_t *data;
    size_t len;

    trial->per_queue = per_queue;
    if (trial->options->json) {
        printf("[");
    }
    while (pcap_next(pcap, &data, &len, &damaged)) {
        try_packet(trial, pcap, data, len);
    }
    if (trial->options->json) {
        printf("]\n");
    } else {
        print_sum(trial);
    }
    if (damaged) {
        g_propagate_error(error, damaged);
    }
    return !damaged;
}

bool command_try(const char *name, const Options *options, GError **error)
{
    Trial trial = { .options = options };
    g_autoptr(SteerProgram) program = NULL;
    g_autoptr(Device) device = NULL;
    g_autoptr(Pcap) pcap = NULL;

    if (!options->pcap) {
        return refuse(error, "try: the capture is missing: --pcap FILE");
    }
    if (!have_capabilities(STEER_CAP_BPF, error)) {
        return false;
    }
    device = device_open(name, error);
    pcap = device ? pcap_read(options->pcap, error) : NULL;
    if (!pcap) {
        return false;
    }
    trial.queues = options->queues > 0 ? options->queues
                                       : MAX(device->link.queues, 1);
    program = steer_program_load(options->obj, options->sec,
                                 options->fallback ? STEER_TO_TRY_FILTER
                                                   : STEER_FOR_TAP, 0, error);
    trial.program = program;
    return program && try_all(&trial, pcap, error);
}
