/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"

struct Guard {
    uint8_t *memory;
    size_t room, page;      /* bytes: before the guard page, of it */
};

Guard *guard_new(size_t max)
{
    Guard *guard = g_new0(Guard, 1);

    guard->page = sysconf(_SC_PAGESIZE);
    guard->room = (max + guard->page - 1) / guard->page * guard->page;
    guard->memory = mmap(NULL, guard->room + guard->page,
                         PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(guard->memory != MAP_FAILED);
    g_assert(mprotect(guard->memory + guard->room, guard->page,
                      PROT_NONE) == 0);
    return guard;
}

const uint8_t *guard_copy(Guard *guard, const void *data, size_t len)
{
    uint8_t *to = guard->memory + guard->room - len;

    g_assert(len <= guard->room);
    if (len) {
        memcpy(to, data, len);
    }
    return to;
}

void guard_free(Guard *guard)
{
    munmap(guard->memory, guard->room + guard->page);
    g_free(guard);
}
