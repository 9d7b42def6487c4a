/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many descriptors this process has. */
#ifndef TESTS_FDS_H
#define TESTS_FDS_H

int count_fds(void);

/*
 * Until there are @n: who has unloaded a program that was configured still has
 * one for a while, which the worker of ebpf/rss_publish.c closes.
 */
void wait_for_fds(int n);

#endif
