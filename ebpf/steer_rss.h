/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Getting at the maps of an RSS program that is attached, by their numbers. */
#ifndef EBPF_STEER_RSS_H
#define EBPF_STEER_RSS_H

#include <stdbool.h>

#include "ebpf/ebpf_rss_fds.h"
#include "net/rss.h"
#include "rss_abi.h"
#include "steer_attached_abi.h"

/**
 * steer_rss_fds:
 * @program: what is attached; of this project's loaders, or of anybody
 * @fds: receives the descriptors, the caller's, for ebpf_rss_adopt().
 *       @fds[EBPF_RSS_FD_GRACE] is -1: nobody can find this map.
 *
 * Takes CAP_SYS_ADMIN.
 *
 * Returns: 0; or an errno: EPERM, or ENOENT if it is not our RSS program. Then
 * all of @fds are -1.
 */
int steer_rss_fds(const struct steer_answer *program, int fds[EBPF_RSS_FDS]);

void steer_rss_close(int fds[EBPF_RSS_FDS]);

/**
 * steer_rss_read:
 * @map: receives the configurations, of which map->active is in force
 * @counters: receives what was counted
 *
 * Returns: false if the kernel does not let them be read
 */
bool steer_rss_read(const int fds[EBPF_RSS_FDS], struct rss_map *map,
                    RssCounters *counters);

#endif
