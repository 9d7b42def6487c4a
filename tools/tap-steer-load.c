/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tap-steer load, tap-steer unload */
#include <string.h>
#include <unistd.h>

#include "tap-steer.h"

/* How it was loaded, for its record. */
static char *command_line(const Options *options)
{
    g_autofree char *path = g_canonicalize_filename(options->obj, NULL);

    return g_strdup_printf("load%s obj %s%s%s",
                           options->fallback ? " --fallback" : "", path,
                           options->sec ? " sec " : "",
                           options->sec ? options->sec : "");
}

static void say_attached(const Target *target, const SteerProgram *program)
{
    const Device *device = target->device;
    const View *before = target->view;

    if (before->attached.program_id) {
        say("%s: program %u \"%s\" is attached, in the place of %u \"%s\"",
            device->link.name, program->id, program->name,
            before->attached.program_id, before->attached.name);
    } else {
        say("%s: program %u \"%s\" is attached", device->link.name,
            program->id, program->name);
    }
    if (device->link.is_tun && device->link.multi_queue &&
        device->link.attached == 1) {
        say("%s: the program is not asked while there is one queue only",
            device->link.name);
    }
}

static bool load_for_tap(const Target *target, const Options *options,
                         GError **error)
{
    g_autoptr(SteerProgram) program = NULL;
    g_autoptr(Record) record = g_new0(Record, 1);

    if (!may_change_tap(target->view, options, error)) {
        return false;
    }
    program = steer_program_load(options->obj, options->sec, STEER_FOR_TAP, 0,
                                 error);
    record->command = command_line(options);
    if (!program ||
        !attach_to_tap(target, program, record, options, error)) {
        return false;
    }
    say_attached(target, program);
    return true;
}

/* The hook of tc, if it is there or the user accepts what adding it costs. */
static bool ensure_hook(const Device *device, const Options *options,
                        GError **error)
{
    const LinkInfo *link = &device->link;
    const char *price = "adding clsact to a device that is up loses packets,"
                        " some tens or for some milliseconds, this once";

    if (tc_steering_has_hook(device->nl, link->ifindex)) {
        return true;
    }
    if (link->up && !options->yes && isatty(STDIN_FILENO)) {
        return refuse(error, "%s: %s; --yes does it", link->name, price);
    }
    if (link->up) {
        say("%s: %s", link->name, price);
    }
    return tc_steering_add_hook(device->nl, link->ifindex, error);
}

/* Limit and program; the kernel cuts nothing off a name this short. */
static char *filter_name(unsigned limit, const SteerProgram *program)
{
    return g_strdup_printf(TC_STEERING_PREFIX ":%u:%.32s", limit,
                           program->name);
}

static bool attach_filter(const Target *target, const SteerProgram *program,
                          unsigned limit, const Options *options,
                          GError **error)
{
    const Device *device = target->device;
    Record *old = target->view->filter_record;
    g_autofree char *name = filter_name(limit, program);
    g_autoptr(Record) record = g_new0(Record, 1);

    record->id = program->id;
    record->loaded_ns = program->loaded_ns;
    memcpy(record->tag, program->tag, STEER_TAG_LEN);
    record->command = command_line(options);
    if (!record_write(device, SLOT_FILTER, record, error)) {
        return false;
    }
    if (tc_steering_attach(device->nl, device->link.ifindex, program->fd,
                           name, error)) {
        return true;
    }
    if (old) {
        record_write(device, SLOT_FILTER, old, NULL);
    } else {
        record_remove(device, SLOT_FILTER);
    }
    return false;
}

static bool load_filter(const Target *target, const Options *options,
                        GError **error)
{
    const Device *device = target->device;
    unsigned limit = options->queues ? options->queues : device->link.queues;
    g_autoptr(SteerProgram) program = NULL;

    if (!tc_steering_probe(error)) {
        return false;
    }
    if (limit < 2 || limit > UINT16_MAX) {
        return refuse(error, "%s: it has %u transmit queues: there is nothing"
                      " to choose", device->link.name, limit);
    }
    program = steer_program_load(options->obj, options->sec, STEER_FOR_FILTER,
                                 limit, error);
    if (!program || !ensure_hook(device, options, error) ||
        !attach_filter(target, program, limit, options, error)) {
        return false;
    }
    say("%s: program %u \"%s\" is attached as a filter, for queues 0 to %u;"
        " any other value is no opinion", device->link.name, program->id,
        program->name, limit - 1);
    return true;
}

bool command_load(const char *name, const Options *options, GError **error)
{
    g_autoptr(Target) target = target_open(name, STEER_CAP_BPF |
                                           STEER_CAP_NET_ADMIN, error);

    return target && (options->fallback ? load_filter(target, options, error)
                                        : load_for_tap(target, options,
                                                       error));
}

static bool unload_filter(const Target *target, GError **error)
{
    const Device *device = target->device;

    if (!tc_steering_detach(device->nl, device->link.ifindex,
                            target->view->ours, error)) {
        return false;
    }
    record_remove(device, SLOT_FILTER);
    say("%s: the filter is removed; clsact stays, as removing it loses"
        " packets", device->link.name);
    return true;
}

/* Whether something is, or may be, in the tap's hook that we are to remove. */
static bool tap_has_program(const View *view)
{
    return view->device->link.is_tun &&
           (view->tap == KNOWN_NOT || view->attached.program_id);
}

static bool unload_tap(const Target *target, const Options *options,
                       GError **error)
{
    const struct steer_answer *attached = &target->view->attached;
    const char *name = target->device->link.name;

    if (!may_change_tap(target->view, options, error) ||
        !detach_from_tap(target, options, error)) {
        return false;
    }
    if (attached->program_id) {
        say("%s: program %u \"%s\" is detached", name, attached->program_id,
            attached->name);
    } else {
        say("%s: whatever program was attached is detached", name);
    }
    return true;
}

bool command_unload(const char *name, const Options *options, GError **error)
{
    g_autoptr(Target) target = target_open(name, STEER_CAP_NET_ADMIN, error);
    g_autofree char *in_use = NULL;
    const View *view;
    bool tap;

    if (!target) {
        return false;
    }
    view = target->view;
    in_use = view_in_use(view);
    tap = tap_has_program(view) && !options->fallback;
    if (view->ours && in_use && !options->force) {
        tap = false;            /* the filter is ours, the program is not */
    }
    if (!view->ours && !tap) {
        say("%s: nothing is attached", name);
        return true;
    }
    return (!tap || unload_tap(target, options, error)) &&
           (!view->ours || unload_filter(target, error));
}
