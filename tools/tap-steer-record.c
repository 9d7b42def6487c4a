/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records: who attached what, and RSS configurations.
 *
 * A file for each slot of a device, named by namespace and device. It is
 * believed only together with the program that the kernel says is attached:
 * number, time and tag must be the same. It is written, whole or not at all,
 * before a program is attached; so one that was killed in between leaves a
 * record of a program that does not exist any more, which nobody believes and
 * the next one that is written removes.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap-steer.h"

static const char folder[] = "/run/tap-steer";
static const char group[] = "program";

static char *record_path(const Device *device, Slot slot)
{
    return g_strdup_printf("%s/%lu-%d-%s", folder,
                           (unsigned long)device->netns, device->link.ifindex,
                           slot == SLOT_TAP ? "tap" : "filter");
}

static char *hex(const uint8_t *bytes, size_t len)
{
    GString *text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < len; i++) {
        g_string_append_printf(text, "%02x", bytes[i]);
    }
    return g_string_free(text, FALSE);
}

/* False if @text is anything but @len bytes in hex. */
static bool unhex(const char *text, uint8_t *bytes, size_t len)
{
    size_t i;

    if (!text || strlen(text) != 2 * len) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if (!g_ascii_isxdigit(text[2 * i]) ||
            !g_ascii_isxdigit(text[2 * i + 1])) {
            return false;
        }
        bytes[i] = g_ascii_xdigit_value(text[2 * i]) << 4 |
                   g_ascii_xdigit_value(text[2 * i + 1]);
    }
    return true;
}

static void put_config(GKeyFile *file, const RssConfig *config)
{
    g_autofree char *key = hex(config->key, sizeof(config->key));
    int table[RSS_TABLE_MAX], i;

    for (i = 0; i < config->table_len; i++) {
        table[i] = config->table[i];
    }
    g_key_file_set_integer(file, group, "types", config->hash_types);
    g_key_file_set_string(file, group, "key", key);
    g_key_file_set_integer_list(file, group, "table", table,
                                config->table_len);
}

static void get_config(GKeyFile *file, RssConfig *config)
{
    g_autofree char *key = g_key_file_get_string(file, group, "key", NULL);
    gsize len = 0, i;
    g_autofree int *table = g_key_file_get_integer_list(file, group, "table",
                                                        &len, NULL);

    if (!table || len > RSS_TABLE_MAX ||
        !unhex(key, config->key, sizeof(config->key))) {
        return;
    }
    config->hash_types = g_key_file_get_integer(file, group, "types", NULL);
    config->table_len = len;
    for (i = 0; i < len; i++) {
        config->table[i] = table[i];
    }
    if (!rss_config_check(config, UINT16_MAX, NULL)) {
        config->table_len = 0;
    }
}

static Record *read_file(const char *path)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(Record) record = g_new0(Record, 1);
    g_autofree char *tag = NULL;

    if (!g_key_file_load_from_file(file, path, 0, NULL)) {
        return NULL;
    }
    record->id = g_key_file_get_uint64(file, group, "id", NULL);
    record->loaded_ns = g_key_file_get_uint64(file, group, "loaded", NULL);
    record->command = g_key_file_get_string(file, group, "command", NULL);
    tag = g_key_file_get_string(file, group, "tag", NULL);
    if (!record->command || !unhex(tag, record->tag, STEER_TAG_LEN)) {
        return NULL;
    }
    get_config(file, &record->config);
    return g_steal_pointer(&record);
}

/* Those of programs that do not exist any more. */
static void remove_stale(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(Record) record = read_file(path);
        int fd = record ? bpf_prog_get_fd_by_id(record->id) : -1;

        if (fd >= 0) {
            close(fd);
        } else if (record && errno == ENOENT) {
            unlink(path);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
}

bool record_write(const Device *device, Slot slot, const Record *record,
                  GError **error)
{
    g_autofree char *path = record_path(device, slot);
    g_autofree char *tag = hex(record->tag, STEER_TAG_LEN);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *text = NULL;

    remove_stale();
    g_key_file_set_uint64(file, group, "id", record->id);
    g_key_file_set_uint64(file, group, "loaded", record->loaded_ns);
    g_key_file_set_string(file, group, "tag", tag);
    g_key_file_set_string(file, group, "command", record->command);
    if (record->config.table_len) {
        put_config(file, &record->config);
    }
    text = g_key_file_to_data(file, NULL, NULL);
    if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
        return refuse(error, "cannot make %s: %s", folder, g_strerror(errno));
    }
    /* A key is nobody else's business. */
    return g_file_set_contents_full(path, text, -1,
                                    G_FILE_SET_CONTENTS_CONSISTENT,
                                    record->config.table_len ? 0600 : 0644,
                                    error);
}

Record *record_read(const Device *device, Slot slot)
{
    g_autofree char *path = record_path(device, slot);

    return read_file(path);
}

bool record_is_of(const Record *record, const struct steer_answer *answer)
{
    return record->id == answer->program_id &&
           record->loaded_ns == answer->loaded_ns &&
           !memcmp(record->tag, answer->tag, STEER_TAG_LEN);
}

void record_remove(const Device *device, Slot slot)
{
    g_autofree char *path = record_path(device, slot);

    unlink(path);
}

void record_free(Record *record)
{
    if (record) {
        g_free(record->command);
        g_free(record);
    }
}
