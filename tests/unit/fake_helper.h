/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that do what qemu-rss-helper does not, and some that do. */
#ifndef TESTS_FAKE_HELPER_H
#define TESTS_FAKE_HELPER_H

#include <glib.h>

enum {
    SHORT_MS = 300,             /* for one that does not answer in time */
    LONG_MS = 20000,
};

/**
 * FakeHelper:
 * @name: by which it is asked for, in place of a device's
 * @act: what it does
 * @message: is part of the error that comes of it; NULL: no error
 * @timeout_ms: time to wait for it
 */
typedef struct FakeHelper {
    const char *name;
    void (*act)(void);
    const char *message;
    int timeout_ms;
} FakeHelper;

/**
 * fake_helper_if_asked:
 *
 * Where this program was started as a helper, does what the fake of that name
 * does, and ends. If there is none, it answers with the name as its error.
 */
void fake_helper_if_asked(int argc, char **argv);

/* Adds a test for each FakeHelper, as its data: @prefix and its name. */
void fake_helper_add_tests(const char *prefix, GTestDataFunc test);

#endif
