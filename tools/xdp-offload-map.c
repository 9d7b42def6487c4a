/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xdp-offload map: on the guest's map and the host's at once. A change that one
 * side refuses is undone on the other.
 *
 * Values may differ by design: each side runs the program on other packets, so
 * what the program itself counts is split between them.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebpf/steer_program.h"
#include "xdp-offload.h"

enum {
    BATCH = 64,                 /* entries that are asked for at once */
};

/**
 * Both: a map on both sides
 * @keeper: NULL if it is in the guest alone, because of @why
 * @guest, @host: processors
 */
typedef struct Both {
    Native *native;
    const GuestMap *map;
    Port *keeper;
    GError *why;
    unsigned guest, host;
} Both;

static void both_clear(Both *both)
{
    native_free(both->native);
    port_close(both->keeper);
    g_clear_error(&both->why);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Both, both_clear)

/* By its name, of which the kernel keeps 15 characters, or its number. */
static const GuestMap *find_map(const Native *native, const char *name,
                                GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    const GuestMap *found = NULL;
    unsigned hits = 0;
    guint i;

    for (i = 0; i < native->maps->len; i++) {
        const GuestMap *map = &g_array_index(native->maps, GuestMap, i);
        g_autofree char *number = g_strdup_printf("%u", map->info.id);

        g_string_append_printf(names, "%s %s", i ? "," : "", map->info.name);
        if (!strcmp(name, number)) {
            return map;
        }
        if (!strncmp(name, map->info.name, sizeof(map->info.name) - 1)) {
            found = map;
            hits++;
        }
    }
    if (!hits) {
        refuse(error, "%s: no map has the name \"%s\"; there are:%s",
               native->name, name, names->str);
    } else if (hits > 1) {
        refuse(error, "%s: %u maps have the name \"%s\": use the number"
               " (xdp-offload map list)", native->name, hits, name);
    }
    return hits == 1 ? found : NULL;
}

static bool both_open(Both *both, const char *name, const Options *options,
                      GError **error)
{
    XdpWireMessage hello = { XDP_OP_HELLO };

    both->native = native_open(options->device, error);
    both->map = both->native ? find_map(both->native, name, error) : NULL;
    if (!both->map) {
        return false;
    }
    both->guest = guest_processors();
    both->keeper = keeper_connect(both->native->place, options->timeout,
                                  &both->why);
    if (both->keeper &&
        port_ask(both->keeper, &hello, "the host", &both->why)) {
        both->host = hello.hello.processors;
        return true;
    }
    g_clear_pointer(&both->keeper, port_close);
    return true;
}

/* A change was made in the guest alone. */
static void say_alone(const Both *both)
{
    if (!both->keeper) {
        say("%s: in the guest alone: %s", both->native->name,
            both->why->message);
    }
}

static bool parse_number(const char *word, int base, uint64_t most,
                         uint64_t *number)
{
    char *end;

    errno = 0;
    *number = g_ascii_strtoull(word, &end, base);
    return g_ascii_isxdigit(*word) && !*end && !errno && *number <= most;
}

/*
 * The words behind @name, up to the next name: one number for 1, 2, 4 or 8
 * bytes, in this machine's order, or a number for each byte, with "hex" before
 * them in hex. Moves @words on. NULL with @error set.
 */
static uint8_t *parse_data(char ***words, const char *name, size_t size,
                           GError **error)
{
    g_autofree uint8_t *bytes = g_malloc0(MAX(size, sizeof(uint64_t)));
    char **word = *words;
    uint64_t number;
    int base = 0;
    size_t i;

    if (!*word || strcmp(*word, name)) {
        refuse(error, "\"%s\" is missing (see xdp-offload --help)", name);
        return NULL;
    }
    word++;
    if (*word && !strcmp(*word, "hex")) {
        base = 16;
        word++;
    }
    if (base == 0 && (size == 2 || size == 4 || size == 8) && word[0] &&
        (!word[1] || !g_ascii_isdigit(*word[1])) &&
        parse_number(word[0], 0, UINT64_MAX >> (64 - 8 * size), &number)) {
        memcpy(bytes, (uint8_t *)&number +
               (G_BYTE_ORDER == G_LITTLE_ENDIAN ? 0 : 8 - size), size);
        *words = word + 1;
        return g_steal_pointer(&bytes);
    }
    for (i = 0; i < size; i++, word++) {
        if (!*word || !parse_number(*word, base, UINT8_MAX, &number)) {
            refuse(error, "%s: it has %zu bytes, and takes one number%s for"
                   " each%s%s%s", name, size, base ? " in hex" : "",
                   *word ? ": \"" : "", *word ? *word : "", *word ? "\"" : "");
            return NULL;
        }
        bytes[i] = number;
    }
    *words = word;
    return g_steal_pointer(&bytes);
}

static bool no_more(char **words, GError **error)
{
    return !*words || refuse(error, "map: unexpected argument \"%s\"", *words);
}

/* One datum, as a number where it has the size of one, else in hex. */
static void add_datum(GString *out, const uint8_t *bytes, size_t size,
                      bool json)
{
    uint64_t number = 0;
    size_t i;

    if (size == 1 || size == 2 || size == 4 || size == 8) {
        memcpy((uint8_t *)&number +
               (G_BYTE_ORDER == G_LITTLE_ENDIAN ? 0 : 8 - size), bytes, size);
        g_string_append_printf(out, "%" PRIu64, number);
        return;
    }
    g_string_append(out, json ? "\"" : "");
    for (i = 0; i < size; i++) {
        g_string_append_printf(out, "%s%02x", i && !json ? " " : "",
                               bytes[i]);
    }
    g_string_append(out, json ? "\"" : "");
}

/* A side's value, or none. */
static void add_value(GString *out, const char *side,
                      const struct bpf_map_info *info, const uint8_t *value,
                      unsigned processors, bool json)
{
    size_t one = map_value_len(info, 1);
    unsigned i;

    g_string_append_printf(out, json ? ",\"%s\":" : "  %s", side);
    if (!value) {
        g_string_append(out, json ? "null" : " none");
    } else if (!map_is_per_cpu(info)) {
        g_string_append(out, json ? "" : " ");
        add_datum(out, value, info->value_size, json);
    } else {
        g_string_append(out, json ? "[" : "");
        for (i = 0; i < processors; i++) {
            g_string_append(out, !json ? " " : i ? "," : "");
            add_datum(out, value + i * one, info->value_size, json);
        }
        g_string_append(out, json ? "]" : "");
    }
}

static void add_entry(GString *out, const Both *both, const uint8_t *key,
                      const uint8_t *guest, const uint8_t *host, bool json)
{
    const struct bpf_map_info *info = &both->map->info;

    g_string_append(out, json ? "{\"key\":" : "key ");
    add_datum(out, key, info->key_size, json);
    add_value(out, "guest", info, guest, both->guest, json);
    if (both->keeper) {
        add_value(out, "host", info, host, both->host, json);
    }
    g_string_append(out, json ? "}" : "\n");
}

/* 0, or an errno, ENOENT if there is no such entry. */
static int guest_lookup(const Both *both, const uint8_t *key, uint8_t **value)
{
    g_autofree uint8_t *found =
        g_malloc0(map_value_len(&both->map->info, both->guest) + 1);

    if (bpf_map_lookup_elem(both->map->fd, key, found) < 0) {
        return errno;
    }
    *value = g_steal_pointer(&found);
    return 0;
}

/*
 * Asks the host about one key, which is @data with the value behind it for an
 * update. Returns 0 or what the host says; -1 with @error set if it says
 * nothing. @answer is valid until the next question.
 */
static int ask_host(const Both *both, XdpOp op, uint32_t flags,
                    const uint8_t *data, size_t len, XdpWireMessage *answer,
                    GError **error)
{
    const struct bpf_map_info *info = &both->map->info;
    g_autoptr(GError) why = NULL;

    *answer = (XdpWireMessage) { op, .entries = { info->id, flags, 1 },
                                 .data = data, .len = len };
    if (!port_ask(both->keeper, answer, "the host", &why)) {
        if (g_error_matches(why, XDP_PORT_ERROR, XDP_PORT_REFUSED) &&
            answer->answer && answer->error) {
            return answer->error;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return -1;
    }
    if (answer->entries.count != 1 ||
        !xdp_wire_check_entries(answer, info->key_size,
                                map_value_len(info, both->host))) {
        refuse(error, "the host answers with another size");
        return -1;
    }
    return 0;
}

static int host_lookup(const Both *both, const uint8_t *key, uint8_t **value,
                       GError **error)
{
    XdpWireMessage answer;
    int err = ask_host(both, XDP_OP_LOOKUP, 0, key, both->map->info.key_size,
                       &answer, error);

    if (!err) {
        *value = g_memdup2(answer.data, MAX(answer.len, 1));
    }
    return err;
}

static bool fail(const Both *both, const char *side, int err, GError **error)
{
    return refuse(error, "%s: map \"%s\": %s: %s%s", both->native->name,
                  both->map->info.name, side,
                  err == ENOENT ? "there is no such entry" : g_strerror(err),
                  steer_lacks(err, STEER_CAP_BPF));
}

static bool map_lookup(Both *both, char **words, const Options *options,
                       GError **error)
{
    g_autofree uint8_t *key = parse_data(&words, "key",
                                         both->map->info.key_size, error);
    g_autofree uint8_t *guest = NULL, *host = NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    int err, host_err = ENOENT;

    if (!key || !no_more(words, error)) {
        return false;
    }
    err = guest_lookup(both, key, &guest);
    if (err && err != ENOENT) {
        return fail(both, "the guest", err, error);
    }
    if (both->keeper) {
        host_err = host_lookup(both, key, &host, error);
        if (host_err < 0) {
            return false;
        }
    }
    if (host_err && host_err != ENOENT) {
        return fail(both, "the host", host_err, error);
    }
    if (err && host_err) {
        return fail(both, both->keeper ? "guest and host" : "the guest",
                    ENOENT, error);
    }
    add_entry(out, both, key, guest, host, options->json);
    printf("%s%s", out->str, options->json ? "\n" : "");
    say_alone(both);
    return true;
}

/* Puts back what was there in the guest. */
static void restore(const Both *both, const uint8_t *key, const uint8_t *old)
{
    if (old) {
        bpf_map_update_elem(both->map->fd, key, old, BPF_ANY);
    } else {
        bpf_map_delete_elem(both->map->fd, key);
    }
}

static bool update_host(const Both *both, const uint8_t *key,
                        const uint8_t *value, uint32_t flags, GError **error)
{
    const struct bpf_map_info *info = &both->map->info;
    size_t len = info->key_size + map_value_len(info, both->host);
    g_autofree uint8_t *data = g_malloc0(len);
    XdpWireMessage answer;
    int err;

    memcpy(data, key, info->key_size);
    convert_value(info, value, both->guest, data + info->key_size,
                  both->host);
    err = ask_host(both, XDP_OP_UPDATE, flags, data, len, &answer, error);
    return err <= 0 ? err == 0 : fail(both, "the host", err, error);
}

static bool parse_flags(char ***words, uint64_t *guest, uint32_t *host)
{
    static const struct {
        const char *word;
        uint64_t guest;
        uint32_t host;
    } rows[] = {
        { "any", BPF_ANY, 0 },
        { "exist", BPF_EXIST, XDP_ENTRIES_EXIST },
        { "noexist", BPF_NOEXIST, XDP_ENTRIES_NO_EXIST },
    };
    size_t i;

    for (i = 0; **words && i < G_N_ELEMENTS(rows); i++) {
        if (!strcmp(**words, rows[i].word)) {
            *guest = rows[i].guest;
            *host = rows[i].host;
            ++*words;
            return true;
        }
    }
    return false;
}

static bool map_update(Both *both, char **words, const Options *options,
                       GError **error)
{
    const struct bpf_map_info *info = &both->map->info;
    size_t one = map_value_len(info, 1);
    g_autofree uint8_t *key = parse_data(&words, "key", info->key_size, error);
    g_autofree uint8_t *word = key ? parse_data(&words, "value",
                                                info->value_size, error)
                                   : NULL;
    g_autofree uint8_t *value = g_malloc0(one * both->guest);
    g_autofree uint8_t *old = NULL;
    uint64_t flags = BPF_ANY;
    uint32_t host_flags = 0;
    unsigned i;

    if (!word) {
        return false;
    }
    parse_flags(&words, &flags, &host_flags);
    if (!no_more(words, error)) {
        return false;
    }
    for (i = 0; i < (map_is_per_cpu(info) ? both->guest : 1); i++) {
        memcpy(value + i * one, word, info->value_size);
    }
    guest_lookup(both, key, &old);
    if (bpf_map_update_elem(both->map->fd, key, value, flags) < 0) {
        return fail(both, "the guest", errno, error);
    }
    if (both->keeper && !update_host(both, key, value, host_flags, error)) {
        restore(both, key, old);
        return false;
    }
    say_alone(both);
    return true;
}

static bool map_delete(Both *both, char **words, const Options *options,
                       GError **error)
{
    g_autofree uint8_t *key = parse_data(&words, "key",
                                         both->map->info.key_size, error);
    g_autofree uint8_t *old = NULL;
    XdpWireMessage answer;
    int err, host_err = ENOENT;

    if (!key || !no_more(words, error)) {
        return false;
    }
    guest_lookup(both, key, &old);
    err = bpf_map_delete_elem(both->map->fd, key) < 0 ? errno : 0;
    if (err && err != ENOENT) {
        return fail(both, "the guest", err, error);
    }
    if (both->keeper) {
        host_err = ask_host(both, XDP_OP_DELETE, 0, key,
                            both->map->info.key_size, &answer, error);
    }
    if (host_err && host_err != ENOENT) {
        if (old) {
            restore(both, key, old);
        }
        return host_err < 0 ? false :
               fail(both, "the host", host_err, error);
    }
    if (err && host_err) {
        return fail(both, both->keeper ? "guest and host" : "the guest",
                    ENOENT, error);
    }
    say_alone(both);
    return true;
}

/* All entries of the host: GBytes of the key, GBytes of the value. */
static GHashTable *host_entries(const Both *both, GError **error)
{
    const struct bpf_map_info *info = &both->map->info;
    size_t value_len = map_value_len(info, both->host);
    g_autoptr(GHashTable) found =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
                              (GDestroyNotify)g_bytes_unref,
                              (GDestroyNotify)g_bytes_unref);
    uint64_t batches = 2 * (uint64_t)info->max_entries + 1;
    g_autofree uint8_t *key = NULL;
    g_autoptr(GError) why = NULL;
    uint32_t i;

    for (; batches; batches--) {
        XdpWireMessage m = { XDP_OP_NEXT, .entries = {
            info->id, key ? 0 : XDP_ENTRIES_FIRST, BATCH },
            .data = key, .len = key ? info->key_size : 0 };

        if (!port_ask(both->keeper, &m, "the host", &why)) {
            if (m.answer && m.error == ENOENT) {
                break;
            }
            g_propagate_error(error, g_steal_pointer(&why));
            return NULL;
        }
        if (!xdp_wire_check_entries(&m, info->key_size, value_len) ||
            !m.entries.count) {
            refuse(error, "the host answers with another size");
            return NULL;
        }
        for (i = 0; i < m.entries.count; i++) {
            const uint8_t *at = m.data + i * (info->key_size + value_len);

            g_hash_table_insert(found, g_bytes_new(at, info->key_size),
                                g_bytes_new(at + info->key_size, value_len));
            g_free(key);
            key = g_memdup2(at, info->key_size);
        }
    }
    return g_steal_pointer(&found);
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    size_t i;

    for (i = 0; bytes && i < len; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

/* Entries of arrays that are zero on both sides are left out. */
static void dump_one(GString *out, const Both *both, const uint8_t *key,
                     const uint8_t *guest, const uint8_t *host, bool json)
{
    const struct bpf_map_info *info = &both->map->info;

    if (map_is_array(info) &&
        all_zero(guest, map_value_len(info, both->guest)) &&
        all_zero(host, map_value_len(info, both->host))) {
        return;
    }
    g_string_append(out, json && out->len > 1 ? ",\n" : "");
    add_entry(out, both, key, guest, host, json);
}

static bool map_dump(Both *both, char **words, const Options *options,
                     GError **error)
{
    uint64_t steps = 2 * (uint64_t)both->map->info.max_entries;
    g_autofree uint8_t *key = g_malloc0(both->map->info.key_size);
    g_autoptr(GString) out = g_string_new(options->json ? "[" : "");
    g_autoptr(GHashTable) host = NULL;
    GHashTableIter iter;
    void *before = NULL, *host_key, *host_value;

    if (!no_more(words, error)) {
        return false;
    }
    if (both->keeper && !(host = host_entries(both, error))) {
        return false;
    }
    for (; steps && bpf_map_get_next_key(both->map->fd, before, key) == 0;
         steps--) {
        g_autoptr(GBytes) wanted = g_bytes_new(key,
                                               both->map->info.key_size);
        GBytes *there = host ? g_hash_table_lookup(host, wanted) : NULL;
        g_autofree uint8_t *value = NULL;

        before = key;
        if (guest_lookup(both, key, &value) == 0) {
            dump_one(out, both, key, value,
                     there ? g_bytes_get_data(there, NULL) : NULL,
                     options->json);
            if (there) {
                g_hash_table_remove(host, wanted);
            }
        }
    }
    if (host) {
        g_hash_table_iter_init(&iter, host);
        while (g_hash_table_iter_next(&iter, &host_key, &host_value)) {
            dump_one(out, both, g_bytes_get_data(host_key, NULL), NULL,
                     g_bytes_get_data(host_value, NULL), options->json);
        }
    }
    printf("%s%s", out->str, options->json ? "]\n" : "");
    say_alone(both);
    return true;
}

static void list_one(GString *out, const struct bpf_map_info *info, bool json)
{
    const char *type = libbpf_bpf_map_type_str(info->type);
    g_autoptr(GString) name = g_string_new(NULL);

    json_add_string(name, info->name);
    g_string_append_printf(out, json ? "%s{\"id\":%u,\"name\":%s,\"type\":"
                           "\"%s\",\"key\":%u,\"value\":%u,\"entries\":%u}"
                           : "%s%u: %s %s, key %u bytes, value %u bytes, %u"
                           " entries\n", json && out->len > 1 ? ",\n" : "",
                           info->id, name->str, type ? type : "unknown",
                           info->key_size, info->value_size,
                           info->max_entries);
}

static bool map_list(const Options *options, GError **error)
{
    g_autoptr(Native) native = native_open(options->device, error);
    g_autoptr(GString) out = g_string_new(options->json ? "[" : "");
    guint i;

    if (!native) {
        return false;
    }
    for (i = 0; i < native->maps->len; i++) {
        list_one(out, &g_array_index(native->maps, GuestMap, i).info,
                 options->json);
    }
    printf("%s%s", out->str, options->json ? "]\n" : "");
    return true;
}

bool command_map(char **words, const Options *options, int *status,
                 GError **error)
{
    static const struct {
        const char *name;
        bool (*run)(Both *both, char **words, const Options *options,
                    GError **error);
    } commands[] = {
        { "delete", map_delete },
        { "dump", map_dump },
        { "lookup", map_lookup },
        { "update", map_update },
    };
    g_auto(Both) both = { 0 };
    size_t i;

    if (words[0] && !strcmp(words[0], "list")) {
        return no_more(words + 1, error) && map_list(options, error);
    }
    for (i = 0; words[0] && i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(words[0], commands[i].name)) {
            continue;
        }
        if (!words[1]) {
            return refuse(error, "map %s: the map's name is missing",
                          words[0]);
        }
        return both_open(&both, words[1], options, error) &&
               commands[i].run(&both, words + 2, options, error);
    }
    return refuse(error, "map: list, lookup, update, delete or dump (see"
                  " xdp-offload --help)");
}
