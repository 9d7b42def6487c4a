/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tap-steer rss, tap-steer set: this project's RSS, by the host's own policy */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ebpf/ebpf_rss.h"
#include "ebpf/steer_rss.h"
#include "tap-steer.h"

enum {
    FORCE_MS = 2000,            /* for a configuration to be in force */
};

/* As ethtool and virtio name them. */
static const struct {
    const char *name;
    uint32_t types;
} type_names[] = {
    { "ipv4", RSS_TYPE_IPV4 }, { "tcpv4", RSS_TYPE_TCPV4 },
    { "udpv4", RSS_TYPE_UDPV4 }, { "ipv6", RSS_TYPE_IPV6 },
    { "tcpv6", RSS_TYPE_TCPV6 }, { "udpv6", RSS_TYPE_UDPV6 },
    { "ip_ex", RSS_TYPE_IP_EX }, { "tcp_ex", RSS_TYPE_TCP_EX },
    { "udp_ex", RSS_TYPE_UDP_EX }, { "all", RSS_TYPES_ALL }, { "none", 0 },
};

static bool parse_types(const char *text, uint32_t *types, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    size_t i, k;

    *types = 0;
    for (i = 0; words[i]; i++) {
        for (k = 0; k < G_N_ELEMENTS(type_names); k++) {
            if (!strcmp(words[i], type_names[k].name)) {
                break;
            }
        }
        if (k == G_N_ELEMENTS(type_names)) {
            return refuse(error, "--types: no hash type \"%s\"; there are ipv4,"
                          " tcpv4, udpv4, ipv6, tcpv6, udpv6, ip_ex, tcp_ex,"
                          " udp_ex, all, none", words[i]);
        }
        *types |= type_names[k].types;
    }
    return true;
}

char *rss_type_names(uint32_t types)
{
    g_autoptr(GString) names = g_string_new(NULL);
    size_t k;

    for (k = 0; k < RSS_COUNTED_TYPES - 1; k++) {
        if (types & type_names[k].types) {
            g_string_append_printf(names, "%s%s", names->len ? "," : "",
                                   type_names[k].name);
        }
    }
    return g_strdup(names->len ? names->str : "none");
}

static bool parse_key(const char *text, uint8_t key[RSS_KEY_SIZE],
                      GError **error)
{
    size_t digits = 0;

    memset(key, 0, RSS_KEY_SIZE);
    for (; *text; text++) {
        if (*text == ':') {
            continue;
        }
        if (!g_ascii_isxdigit(*text) || digits == 2 * RSS_KEY_SIZE) {
            return refuse(error, "--key: not up to %d bytes in hex",
                          RSS_KEY_SIZE);
        }
        key[digits / 2] |= g_ascii_xdigit_value(*text) << (digits % 2 ? 0 : 4);
        digits++;
    }
    return digits && digits % 2 == 0 ? true :
           refuse(error, "--key: not a whole number of bytes");
}

/* Entries in turn, as "ethtool -X DEV equal N" gives them. */
static bool equal_table(RssConfig *config, int queues, unsigned on,
                        GError **error)
{
    int i;

    if (queues < 1 || queues > on) {
        return refuse(error, "--queues: %d is not one of the device's %u"
                      " queues", queues, on);
    }
    config->table_len = RSS_TABLE_MAX;
    for (i = 0; i < RSS_TABLE_MAX; i++) {
        config->table[i] = i % queues;
    }
    return true;
}

/* Entries in proportion; what is left over by rounding, to the first ones. */
static bool weighted_table(RssConfig *config, const char *text, unsigned on,
                           GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    guint n = g_strv_length(words), i, at = 0;
    guint64 weight[RSS_TABLE_MAX], sum = 0, before = 0;

    if (n > on || n > RSS_TABLE_MAX) {
        return refuse(error, "--weights: %u weights for %u queues", n, on);
    }
    for (i = 0; i < n; i++) {
        if (!g_ascii_string_to_unsigned(words[i], 10, 0, 1000000, &weight[i],
                                        NULL)) {
            return refuse(error, "--weights: \"%s\" is not a weight",
                          words[i]);
        }
        sum += weight[i];
    }
    if (!sum) {
        return refuse(error, "--weights: all are 0");
    }
    config->table_len = RSS_TABLE_MAX;
    for (i = 0; i < n; i++) {
        before += weight[i];
        while (at * sum < before * RSS_TABLE_MAX) {
            config->table[at++] = i;
        }
    }
    return true;
}

/* Changes what the user has named. */
static bool change_config(RssConfig *config, const Device *device,
                          const Options *options, GError **error)
{
    unsigned on = device->link.queues;

    if (options->queues && options->weights) {
        return refuse(error, "--queues and --weights exclude each other");
    }
    return (!options->types ||
            parse_types(options->types, &config->hash_types, error)) &&
           (!options->key || parse_key(options->key, config->key, error)) &&
           (!options->queues ||
            equal_table(config, options->queues, on, error)) &&
           (!options->weights ||
            weighted_table(config, options->weights, on, error)) &&
           rss_config_check(config, MIN(on, UINT16_MAX), error);
}

/* All types, a key that nobody knows, all queues alike. */
static bool default_config(RssConfig *config, const Device *device,
                           GError **error)
{
    memset(config, 0, sizeof(*config));
    config->hash_types = RSS_TYPES_ALL;
    if (getrandom(config->key, RSS_KEY_SIZE, 0) != RSS_KEY_SIZE) {
        return refuse(error, "cannot make a key: %s", g_strerror(errno));
    }
    return equal_table(config, device->link.queues, device->link.queues,
                       error);
}

/* False with @error set unless @config is in force. */
static bool put_in_force(EBPFRSS *rss, const RssConfig *config,
                         const Options *options, GError **error)
{
    EBPFRSSState state = ebpf_rss_set_all(rss, config);

    if (state == EBPF_RSS_DEFERRED) {
        state = ebpf_rss_wait(rss, FORCE_MS);
    }
    if (state != EBPF_RSS_IN_FORCE) {
        return refuse(error, "the configuration is not in force: the kernel"
                      " lets nobody wait until the one before it is not used"
                      " any more");
    }
    if (options->count || options->no_count) {
        ebpf_rss_set_counting(rss, options->count);
    }
    return true;
}

static bool attach_rss(const Target *target, const Options *options,
                       GError **error)
{
    const Device *device = target->device;
    g_autoptr(SteerProgram) program = NULL;
    g_autoptr(Record) record = g_new0(Record, 1);
    g_autoptr(EBPFRSS) rss = NULL;
    int fd;

    if (!may_change_tap(target->view, options, error) ||
        !default_config(&record->config, device, error) ||
        !change_config(&record->config, device, options, error)) {
        return false;
    }
    rss = ebpf_rss_load(device->link.name, NULL, NULL, error);
    if (!rss || !put_in_force(rss, &record->config, options, error)) {
        return false;
    }
    fd = fcntl(ebpf_rss_program_fd(rss), F_DUPFD_CLOEXEC, 3);
    program = fd < 0 ? NULL : steer_program_adopt(fd, "RSS", error);
    record->command = g_strdup("rss");
    if (fd < 0) {
        return refuse(error, "cannot keep the program: %s",
                      g_strerror(errno));
    }
    if (!program ||
        !attach_to_tap(target, program, record, options, error)) {
        return false;
    }
    say("%s: RSS is attached, as program %u", device->link.name, program->id);
    return true;
}

bool command_rss(const char *name, const Options *options, GError **error)
{
    g_autoptr(Target) target = target_open(name, STEER_CAP_BPF |
                                           STEER_CAP_PERFMON |
                                           STEER_CAP_NET_ADMIN, error);

    return target && attach_rss(target, options, error);
}

/*
 * The configuration first, its record behind it: a record that is not in force
 * is noticed, as show compares both.
 */
static bool set_rss(const Target *target, const Options *options,
                    GError **error)
{
    const Device *device = target->device;
    const View *view = target->view;
    RssConfig config = view->record->config;
    g_autoptr(EBPFRSS) rss = NULL;
    int fds[EBPF_RSS_FDS], err;

    if (!change_config(&config, device, options, error)) {
        return false;
    }
    err = steer_rss_fds(&view->attached, fds);
    if (err) {
        return refuse(error, "%s: cannot open the program's maps: %s%s",
                      device->link.name, g_strerror(err),
                      steer_lacks(err, STEER_CAP_SYS_ADMIN));
    }
    rss = ebpf_rss_adopt(fds, NULL, NULL, error);
    if (!rss) {
        steer_rss_close(fds);
        return false;
    }
    if (!put_in_force(rss, &config, options, error)) {
        return false;
    }
    view->record->config = config;
    if (!record_write(device, SLOT_TAP, view->record, error)) {
        return false;
    }
    say("%s: the configuration is in force", device->link.name);
    return true;
}

bool command_set(const char *name, const Options *options, GError **error)
{
    g_autoptr(Target) target = target_open(name, STEER_CAP_BPF |
                                           STEER_CAP_NET_ADMIN |
                                           STEER_CAP_SYS_ADMIN, error);

    if (!target) {
        return false;
    }
    if (!target->view->record ||
        !target->view->record->config.table_len) {
        return refuse(error, "%s: no RSS of tap-steer is attached: attach it"
                      " by \"tap-steer rss %s\"", name, name);
    }
    return set_rss(target, options, error);
}
