/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "net/rss.h"
#include "steer_attached.h"
#include "steer_attached.skel.h"
#include "steer_program.h"

struct SteerReader {
    struct steer_attached_bpf *skeleton;
    struct bpf_link *link;
};

static bool fail(GError **error, int err)
{
    unsigned needed = STEER_CAP_BPF | STEER_CAP_PERFMON;

    if (!steer_caps_missing(needed)) {
        needed = STEER_CAP_SYS_ADMIN;   /* for the BTF of the module tun */
    }
    g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                "this kernel does not tell which program is attached: %s%s",
                g_strerror(err), steer_lacks(err, needed));
    return false;
}

SteerReader *steer_reader_new(GError **error)
{
    g_autoptr(SteerReader) reader = g_new0(SteerReader, 1);
    libbpf_print_fn_t print = libbpf_set_print(steer_no_print);

    reader->skeleton = steer_attached_bpf__open_and_load();
    if (reader->skeleton) {
        reader->link = bpf_program__attach_iter(
            reader->skeleton->progs.steer_attached, NULL);
    }
    if (!reader->link) {
        fail(error, errno);
    }
    libbpf_set_print(print);
    return reader->link ? g_steal_pointer(&reader) : NULL;
}

void steer_reader_free(SteerReader *reader)
{
    if (reader) {
        bpf_link__destroy(reader->link);
        steer_attached_bpf__destroy(reader->skeleton);
        g_free(reader);
    }
}

/* All bytes that there are, up to @len: the kernel may give them in parts. */
static ssize_t read_all(int fd, void *buffer, size_t len)
{
    size_t have = 0;
    ssize_t got = 1;

    while (have < len && got > 0) {
        got = read(fd, (char *)buffer + have, len - have);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            got = 1;
        } else if (got > 0) {
            have += got;
        }
    }
    return got < 0 ? -1 : have;
}

bool steer_reader_ask(SteerReader *reader, uint32_t netns, int ifindex,
                      struct steer_answer *answer, GError **error)
{
    struct steer_attached_bpf *skeleton = reader->skeleton;
    ssize_t got;
    int fd;

    skeleton->bss->question.netns = netns;
    skeleton->bss->question.ifindex = ifindex;
    skeleton->bss->answered = false;
    fd = bpf_iter_create(bpf_link__fd(reader->link));
    if (fd < 0) {
        return fail(error, errno);
    }
    got = read_all(fd, answer, sizeof(*answer));
    if (got < 0) {
        fail(error, errno);
    } else if (got < sizeof(*answer)) {
        g_set_error(error, RSS_ERROR, RSS_ERROR_KERNEL,
                    "the kernel's tun driver is not as this program knows it,"
                    " or the device is gone");
    }
    close(fd);
    return got == sizeof(*answer);
}
