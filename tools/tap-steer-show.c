/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tap-steer show */
#include "tap-steer.h"

static void add_view(GPtrArray *views, const Device *device,
                     SteerReader *reader, const GError *why, bool always)
{
    View *view = view_new(device, reader, why);

    if (always || view_is_worth_showing(view)) {
        g_ptr_array_add(views, view);
    } else {
        view_free(view);
    }
}

bool command_show(const char *name, const Options *options, GError **error)
{
    g_autoptr(GPtrArray) views =
        g_ptr_array_new_with_free_func((GDestroyNotify)view_free);
    g_autoptr(GPtrArray) devices = NULL;
    g_autoptr(SteerReader) reader = NULL;
    g_autoptr(Device) device = NULL;
    g_autoptr(GError) why = NULL;
    guint i;

    if (name) {
        device = device_open(name, error);
    } else {
        devices = device_list(error);
    }
    if (!device && !devices) {
        return false;
    }
    reader = steer_reader_new(&why);
    for (i = 0; devices && i < devices->len; i++) {
        add_view(views, g_ptr_array_index(devices, i), reader, why, false);
    }
    if (device) {
        add_view(views, device, reader, why, true);
    }
    if (options->json) {
        views_print_json(views);
    } else if (options->prometheus) {
        views_print_prometheus(views);
    } else {
        for (i = 0; i < views->len; i++) {
            view_print(g_ptr_array_index(views, i));
        }
    }
    return true;
}
