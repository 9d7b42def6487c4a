/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Putting a program into the tap's own hook, and taking it out. */
#include <string.h>
#include <unistd.h>

#include "net/tap_steering.h"
#include "tap-steer.h"

bool may_change_tap(const View *view, const Options *options, GError **error)
{
    const LinkInfo *link = &view->device->link;
    g_autofree char *in_use = view_in_use(view);

    if (!link->is_tun) {
        return refuse(error, "%s is not a tap: only --fallback can steer it",
                      link->name);
    }
    return !in_use || options->force ||
           refuse(error, "%s: %s. To attach or remove a program there makes"
                  " what its guest configures void; --force does it anyway",
                  link->name, in_use);
}

/*
 * The owner's descriptor, or one of our own, which the caller closes; -1 with
 * @error set.
 */
static int any_queue(const View *view, const Options *options, GError **error)
{
    const LinkInfo *link = &view->device->link;
    TapOwner *owner = view->owner;
    bool open = link->attached || link->detached;
    int fd;

    if (options->own_queue) {
        say("%s: with a queue of our own: packets that go to it meanwhile are"
            " lost, and others come out of other queues", link->name);
    } else if (owner->fd >= 0) {
        fd = owner->fd;
        owner->fd = -1;
        return fd;
    } else if (open || (owner->unread && !link->multi_queue)) {
        refuse(error, "%s: cannot get at the process that has it open: %s."
               " --own-queue attaches by a queue of our own, which loses"
               " packets", link->name,
               steer_caps_missing(STEER_CAP_SYS_PTRACE)
               ? "CAP_SYS_PTRACE is missing"
               : "the kernel or a security module forbids it, or it is in"
                 " another PID namespace");
        return -1;
    }
    return tap_open_queue(link, error);
}

/* Does the kernel have what we attached? True, too, if it does not tell. */
static bool check_attached(const Target *target, uint32_t id, GError **error)
{
    const Device *device = target->device;
    struct steer_answer answer;

    if (!target->reader ||
        !steer_reader_ask(target->reader, device->netns, device->link.ifindex,
                          &answer, NULL) ||
        answer.program_id == id) {
        return true;
    }
    return refuse(error, "%s: another process has changed the steering program"
                  " at the same time: now it is %u", device->link.name,
                  answer.program_id);
}

/* What was attached before still is. */
static void put_record_back(const Target *target)
{
    if (target->view->record) {
        record_write(target->device, SLOT_TAP, target->view->record, NULL);
    } else {
        record_remove(target->device, SLOT_TAP);
    }
}

bool attach_to_tap(const Target *target, const SteerProgram *program,
                   Record *record, const Options *options, GError **error)
{
    int fd = any_queue(target->view, options, error);
    bool done;

    if (fd < 0) {
        return false;
    }
    record->id = program->id;
    record->loaded_ns = program->loaded_ns;
    memcpy(record->tag, program->tag, STEER_TAG_LEN);
    done = tap_steering_probe(fd, error) &&
           record_write(target->device, SLOT_TAP, record, error);
    if (done && !tap_steering_attach(fd, program->fd, error)) {
        put_record_back(target);
        done = false;
    }
    close(fd);
    return done && check_attached(target, program->id, error);
}

bool detach_from_tap(const Target *target, const Options *options,
                     GError **error)
{
    int fd = any_queue(target->view, options, error);
    bool done;

    if (fd < 0) {
        return false;
    }
    done = tap_steering_detach(fd, error);
    close(fd);
    if (done) {
        record_remove(target->device, SLOT_TAP);
    }
    return done && check_attached(target, 0, error);
}

Target *target_open(const char *name, unsigned capabilities, GError **error)
{
    g_autoptr(Target) target = g_new0(Target, 1);
    g_autoptr(GError) why = NULL;

    if (!have_capabilities(capabilities, error)) {
        return NULL;
    }
    target->device = device_open(name, error);
    if (!target->device) {
        return NULL;
    }
    target->reader = steer_reader_new(&why);
    target->view = view_new(target->device, target->reader, why);
    return g_steal_pointer(&target);
}

void target_free(Target *target)
{
    if (target) {
        view_free(target->view);
        steer_reader_free(target->reader);
        device_free(target->device);
        g_free(target);
    }
}
