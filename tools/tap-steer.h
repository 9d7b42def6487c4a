/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of tap-steer share. */
#ifndef TOOLS_TAP_STEER_H
#define TOOLS_TAP_STEER_H

#include <glib.h>
#include <sys/types.h>

#include "ebpf/steer_attached.h"
#include "ebpf/steer_program.h"
#include "net/link_info.h"
#include "net/rss.h"
#include "net/tap_owner.h"
#include "net/tc_steering.h"
#include "tools/say.h"

/*
 * The command line. Strings are NULL where they were not given. What stands
 * behind the device is the command line's own, the rest is allocated.
 */
typedef struct Options {
    char *netns;
    char *obj, *sec;            /* the words behind the device */
    gboolean fallback, yes, force, own_queue;
    gboolean json, prometheus, version;
    char *pcap;
    char *key, *types, *weights;
    int queues;                 /* 0: not given */
    gboolean count, no_count;
    int times;                  /* that top draws; 0: until it is ended */
    double interval;            /* seconds, of top */
} Options;

/**
 * Device: one that a command is about
 * @netns: inode number of its network namespace, in which this process is
 */
typedef struct Device {
    Netlink *nl;
    ino_t netns;
    LinkInfo link;
} Device;

/* Where a program can be attached. */
typedef enum Slot {
    SLOT_TAP,                   /* the tap's own hook */
    SLOT_FILTER,                /* our filter in tc's egress hook */
} Slot;

/* tap-steer-device.c */

/* Puts the process into the namespace that the user named, if any. */
bool enter_netns(const char *netns, GError **error);

/* NULL with @error set if there is no such device here. */
Device *device_open(const char *name, GError **error);

void device_free(Device *device);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Device, device_free)

/* All Device of the namespace; g_ptr_array_unref() it. */
GPtrArray *device_list(GError **error);

/* tap-steer-record.c: what the kernel cannot tell of what we attached */

/**
 * Record: of a program that tap-steer attached
 * @command: which attached it
 * @config: of "tap-steer rss"; its table_len is 0 otherwise
 */
typedef struct Record {
    uint32_t id;
    uint64_t loaded_ns;
    uint8_t tag[STEER_TAG_LEN];
    char *command;
    RssConfig config;
} Record;

/* Kept under /run, by namespace and device, in place of an older one. */
bool record_write(const Device *device, Slot slot, const Record *record,
                  GError **error);

/* NULL if there is none, or none that can be read. */
Record *record_read(const Device *device, Slot slot);

/* Is it about this program, and none that had its number before or after? */
bool record_is_of(const Record *record, const struct steer_answer *answer);

void record_remove(const Device *device, Slot slot);

void record_free(Record *record);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Record, record_free)

/* tap-steer-view.c: all that can be known of a device */

typedef enum Known {
    KNOWN_NOT,                  /* why: in @unknown */
    KNOWN_BY_RECORD,            /* a record, and the program still exists */
    KNOWN,                      /* the kernel says it */
} Known;

/**
 * View: of a device
 * @tap: of the tap's own hook
 * @attached: what is in it, if that is known; its program_id is 0 if nothing is
 * @record: of what is in it, or NULL
 * @filters: TcFilter of the egress hook
 * @ours: one of @filters, or NULL; what it runs is @filter_program
 * @tcx: ids of the programs in the egress hook of TCX, which come before
 * @packets: per queue, or NULL (link_queue_packets())
 * @counters: of an RSS program that counts, or NULL
 * @table: of an RSS program, as the kernel has it; else its length is 0
 * @config_in_force: the configuration in @record is the one in the kernel
 */
typedef struct View {
    const Device *device;
    Known tap;
    char *unknown;
    struct steer_answer attached;
    Record *record;
    GArray *filters;
    const TcFilter *ours;
    struct steer_answer filter_program;
    Record *filter_record;
    GArray *tcx;
    GArray *packets;
    RssCounters *counters;
    GArray *table;
    bool config_in_force;
    TapOwner *owner;
} View;

/**
 * view_new:
 * @reader: or NULL, because of @why
 *
 * Never fails: what cannot be known is so in the view.
 */
View *view_new(const Device *device, SteerReader *reader, const GError *why);

void view_free(View *view);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(View, view_free)

/**
 * Target: the device that a command is to change, and what is there
 */
typedef struct Target {
    Device *device;
    SteerReader *reader;        /* NULL where the kernel does not tell */
    View *view;
} Target;

/* NULL with @error set, if only because this process lacks @capabilities. */
Target *target_open(const char *name, unsigned capabilities, GError **error);

void target_free(Target *target);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Target, target_free)

/* Has it anything to do with steering? */
bool view_is_worth_showing(const View *view);

/*
 * Why the tap's own hook is better left alone: it is a VMM's. NULL if nothing
 * is known against it. The caller frees it.
 */
char *view_in_use(const View *view);

/* The limit that the filter's name tells; 0 if it tells none. */
unsigned view_filter_limit(const View *view);

/* What the user should know of what is there, as char *. */
GPtrArray *view_warnings(const View *view);

/* Seconds since 1970 of a time by CLOCK_BOOTTIME, in nanoseconds. */
gint64 time_of_boottime(uint64_t ns);

/* tap-steer-print.c, tap-steer-json.c: views for people and for programs */
void view_print(const View *view);
void views_print_json(const GPtrArray *views);
void views_print_prometheus(const GPtrArray *views);

/* Hash types as --types takes them; the caller frees it. */
char *rss_type_names(uint32_t types);

/* The commands: false with @error set if they failed. */
bool command_load(const char *device, const Options *options, GError **error);
bool command_unload(const char *device, const Options *options,
                    GError **error);
bool command_rss(const char *device, const Options *options, GError **error);
bool command_set(const char *device, const Options *options, GError **error);
bool command_show(const char *device, const Options *options, GError **error);
bool command_top(const char *device, const Options *options, GError **error);
bool command_try(const char *device, const Options *options, GError **error);

/* tap-steer-attach.c */

/**
 * attach_to_tap:
 * @program: to be attached
 * @record: its command and configuration; the rest is filled in
 *
 * Attaches by the owner's own descriptor, and checks what the kernel then has.
 */
bool attach_to_tap(const Target *target, const SteerProgram *program,
                   Record *record, const Options *options, GError **error);

bool detach_from_tap(const Target *target, const Options *options,
                     GError **error);

/* May the tap's own hook be changed? False with @error set if not. */
bool may_change_tap(const View *view, const Options *options,
                    GError **error);

#endif
