/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "ebpf/steer_program.h"
#include "net/rss.h"
#include "say.h"

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

bool refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(RSS_ERROR, RSS_ERROR_COMMAND,
                                                format, args));
    va_end(args);
    return false;
}

bool have_capabilities(unsigned capabilities, GError **error)
{
    const char *lacks = steer_lacks(EPERM, capabilities);

    return !*lacks || refuse(error, "not permitted%s", lacks);
}

void json_add_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            g_string_append_printf(out, "\\%c", *text);
        } else if ((unsigned char)*text < 0x20) {
            g_string_append_printf(out, "\\u%04x", *text);
        } else {
            g_string_append_c(out, *text);
        }
    }
    g_string_append_c(out, '"');
}
