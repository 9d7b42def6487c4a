/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How our programs talk to people and to other programs. */
#ifndef TOOLS_SAY_H
#define TOOLS_SAY_H

#include <glib.h>
#include <stdbool.h>

/* One line for the user, on standard error. */
void say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Sets @error to a mistake or a refusal in words; returns false. */
bool refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* False with @error set, which names what is missing (STEER_CAP_*). */
bool have_capabilities(unsigned capabilities, GError **error);

/* A string as JSON has it, with its quotes. */
void json_add_string(GString *out, const char *text);

#endif
