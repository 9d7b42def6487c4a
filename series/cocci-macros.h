/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What spatch must know about QEMU's macros to parse its sources.
 *
 * It has no headers and guesses; these are the guesses that go wrong.  A
 * semantic patch cannot change what is named here.
 */
#define VMStateField int            /* in "(VMStateField[]) {" */
#define QTAILQ_HEAD(name, type) int
#define QTAILQ_ENTRY(type) int
#define G_GNUC_PRINTF(format, args)
#define QEMU_UNINITIALIZED          /* before a type; from 10.1 on */
