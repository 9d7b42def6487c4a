/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that do what qemu-rss-helper does not, and some that do. */
#ifndef TESTS_FAKE_HELPER_H
#define TESTS_FAKE_HELPER_H

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

/* The last one has no name. */
extern const FakeHelper fake_helpers[];

/*
 * The main function of a helper that was called with @name. If there is no
 * such fake, it answers with @name as its error. Returns the exit status.
 */
int fake_helper_main(const char *name);

#endif
