/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DPDK's software hashes: rte_softrss_be(), and rte_thash_gfni() where this
 * processor has GFNI. Compiled at bench time, with the headers of Debian's
 * libdpdk-dev and one object of its librte_hash.a, which prepares the key.
 */
#define ALLOW_EXPERIMENTAL_API
#include <rte_thash.h>
#include <rte_thash_gfni.h>

#include "peer.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    KEY_LEN = 40,
};

/* What that object needs when it is loaded, without the rest of DPDK. */
struct rte_tailq_elem;
int rte_eal_tailq_register(struct rte_tailq_elem *tailq);
extern __thread int per_lcore__rte_errno;
__thread int per_lcore__rte_errno;

int rte_eal_tailq_register(struct rte_tailq_elem *tailq)
{
    return 0;
}

static uint8_t swapped_key[KEY_LEN];

#ifdef RTE_THASH_GFNI_DEFINED
static uint64_t matrix[KEY_LEN * sizeof(uint64_t)];
#endif

static bool init_softrss(const uint8_t *key)
{
    rte_convert_rss_key((const uint32_t *)key, (uint32_t *)swapped_key,
                        KEY_LEN);
    return true;
}

static uint32_t softrss(const uint8_t *tuple, size_t len)
{
    return rte_softrss_be((uint32_t *)tuple, len / 4, swapped_key);
}

#ifdef RTE_THASH_GFNI_DEFINED

static bool init_gfni(const uint8_t *key)
{
    if (!__builtin_cpu_supports("gfni")) {
        return false;
    }
    rte_thash_complete_matrix(matrix, key, KEY_LEN);
    return true;
}

static uint32_t gfni(const uint8_t *tuple, size_t len)
{
    return rte_thash_gfni(matrix, tuple, len);
}

static void gfni_bulk(uint8_t **tuple, size_t len, uint32_t *hash, unsigned n)
{
    rte_thash_gfni_bulk(matrix, len, tuple, hash, n);
}

#endif

EXPORT const BenchPeer bench_peers[] = {
    { .name = "rte_softrss_be", .init = init_softrss, .tuple = softrss,
      .host_order = true },
#ifdef RTE_THASH_GFNI_DEFINED
    { .name = "rte_thash_gfni", .init = init_gfni, .tuple = gfni,
      .tuples = gfni_bulk },
#endif
    { .name = NULL },
};
