/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's memory, as QEMU shares it
 *
 * Each region is mapped from the begin of its file, since a file of huge pages
 * can be mapped at multiples of them only. A file that is shorter than it
 * should be is refused. One that QEMU shortens later ends this process by
 * SIGBUS, which harms nobody but the virtual machine that it serves.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpfhv-backend.h"

typedef struct Region {
    uint64_t gpa, size;
    uint8_t *at;
    void *map;
    size_t map_len;
} Region;

struct Memory {
    unsigned n_regions;
    Region region[BPFHV_PROXY_MAX_REGIONS];
};

static bool map_region(Region *region, const BpfhvProxyRegion *asked, int fd,
                       GError **error)
{
    uint64_t end = asked->offset + asked->size;
    struct stat status;
    uint64_t unit;

    if (fstat(fd, &status) < 0) {
        return refuse(error, "cannot look at guest memory: %s",
                      g_strerror(errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_size < 0 ||
        (uint64_t)status.st_size < end) {
        return refuse(error, "guest memory at 0x%" PRIx64 " is not all in its"
                      " file (it takes memory-backend-memfd or"
                      " memory-backend-file, share=on)", asked->gpa);
    }
    unit = MAX(status.st_blksize, 4096);
    region->map_len = (end + unit - 1) / unit * unit;
    region->map = mmap(NULL, region->map_len, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (region->map == MAP_FAILED) {
        return refuse(error, "cannot map guest memory at 0x%" PRIx64 ": %s",
                      asked->gpa, g_strerror(errno));
    }
    region->gpa = asked->gpa;
    region->size = asked->size;
    region->at = (uint8_t *)region->map + asked->offset;
    return true;
}

Memory *memory_map(const BpfhvProxyMessage *message, const int *fds,
                   GError **error)
{
    Memory *memory = g_new0(Memory, 1);

    for (uint32_t i = 0; i < message->count; i++) {
        if (!map_region(&memory->region[i], &message->region[i], fds[i],
                        error)) {
            memory_unmap(memory);
            return NULL;
        }
        memory->n_regions++;
    }
    return memory;
}

void memory_unmap(Memory *memory)
{
    if (!memory) {
        return;
    }
    for (unsigned i = 0; i < memory->n_regions; i++) {
        munmap(memory->region[i].map, memory->region[i].map_len);
    }
    g_free(memory);
}

void *memory_find(const Memory *memory, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; memory && i < memory->n_regions; i++) {
        const Region *region = &memory->region[i];
        uint64_t offset = gpa - region->gpa;

        if (gpa >= region->gpa && offset < region->size) {
            return len <= region->size - offset ? region->at + offset : NULL;
        }
    }
    return NULL;
}
