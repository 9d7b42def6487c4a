/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes what fuzz-flow starts from, the rows of flow_cases.c, to a folder. */
#include <glib/gstdio.h>

#include "flow_cases.h"

int main(int argc, char **argv)
{
    size_t i;

    g_mkdir_with_parents(argv[1], 0777);
    for (i = 0; i < n_flow_cases; i++) {
        const FlowCase *c = &flow_cases[i];
        const guint8 types[2] = { c->enabled & 0xff, c->enabled >> 8 };
        g_autoptr(GByteArray) frame = flow_case_frame(c);
        g_autofree char *path = g_strdup_printf("%s/%zu", argv[1], i);

        g_byte_array_prepend(frame, types, sizeof(types));
        if (frame->len <= 4096 &&
            !g_file_set_contents(path, (char *)frame->data, frame->len,
                                 NULL)) {
            return 1;
        }
    }
    return 0;
}
