/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program's interface, as of QEMU 10.0: three array maps that can be
 * mapped into memory. "configurations" holds one packed structure, see
 * set_all below; "toeplitz_key" the key, its first 32 bits in host order;
 * "indirection_table" a 16-bit queue in each element.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stock_program.h"

enum {
    CONFIG,
    KEY,
    TABLE,
    N_MAPS,
    ELEMENT_SIZE = 8,       /* of an array map, whose values are rounded up */
};

static const char *const map_names[N_MAPS] = {
    [CONFIG] = "tap_rss_map_configurations",
    [KEY] = "tap_rss_map_toeplitz_key",
    [TABLE] = "tap_rss_map_indirection_table",
};

struct StockProgram {
    struct bpf_object *object;
    int prog_fd;
    uint8_t *memory[N_MAPS];
    size_t size[N_MAPS];
};

static void map_memory(StockProgram *stock, const struct bpf_map *map, int i)
{
    size_t value = (bpf_map__value_size(map) + 7) & ~7u;
    size_t page = sysconf(_SC_PAGESIZE);

    stock->size[i] = (value * bpf_map__max_entries(map) + page - 1) / page *
                     page;
    stock->memory[i] = mmap(NULL, stock->size[i], PROT_READ | PROT_WRITE,
                            MAP_SHARED, bpf_map__fd(map), 0);
    if (stock->memory[i] == MAP_FAILED) {
        g_error("cannot map %s of QEMU's program: %s", map_names[i],
                g_strerror(errno));
    }
}

StockProgram *stock_program_load(const char *file)
{
    StockProgram *stock = g_new0(StockProgram, 1);
    struct bpf_program *program;
    struct bpf_map *map;
    int i;

    stock->object = bpf_object__open(file);
    if (!stock->object || bpf_object__load(stock->object) < 0) {
        g_error("cannot load QEMU's program from %s: %s", file,
                g_strerror(errno));
    }
    program = bpf_object__next_program(stock->object, NULL);
    stock->prog_fd = bpf_program__fd(program);
    for (i = 0; i < N_MAPS; i++) {
        map = bpf_object__find_map_by_name(stock->object, map_names[i]);
        if (!map) {
            g_error("QEMU's program in %s has no map %s", file, map_names[i]);
        }
        map_memory(stock, map, i);
    }
    return stock;
}

int stock_program_fd(const StockProgram *stock)
{
    return stock->prog_fd;
}

void stock_program_set_all(StockProgram *stock, const RssConfig *config)
{
    struct {
        uint8_t redirect;
        uint8_t populate_hash;
        uint32_t hash_types;
        uint16_t table_len;
        uint16_t default_queue;
    } __attribute__((packed)) c = {
        .redirect = 1,
        .hash_types = config->hash_types,
        .table_len = config->table_len,
        .default_queue = config->unclassified_queue,
    };
    uint32_t first = ntohl(*(const uint32_t *)config->key);
    unsigned i;

    memcpy(stock->memory[CONFIG], &c, sizeof(c));
    for (i = 0; i < config->table_len; i++) {
        memcpy(stock->memory[TABLE] + ELEMENT_SIZE * i, &config->table[i],
               sizeof(config->table[i]));
    }
    memcpy(stock->memory[KEY], config->key, sizeof(config->key));
    memcpy(stock->memory[KEY], &first, sizeof(first));
}

void stock_program_free(StockProgram *stock)
{
    int i;

    if (!stock) {
        return;
    }
    for (i = 0; i < N_MAPS; i++) {
        munmap(stock->memory[i], stock->size[i]);
    }
    bpf_object__close(stock->object);
    g_free(stock);
}
