/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames between the guest of bpfhv_rig.h and a network device, whatever joins
 * the two.
 */
#ifndef TESTS_BPFHV_FRAMES_H
#define TESTS_BPFHV_FRAMES_H

#include "bpfhv_rig.h"

enum {
    BPFHV_FRAMES_EACH_WAY = 200,
};

/* Opens a packet socket on a device, which is brought up. */
int bpfhv_frames_open(const char *name);

/* A frame of 60 to 1,514 bytes, of a protocol of nobody's. */
void bpfhv_frames_random(RigFrame *frame);

/* Sends it from the device. */
void bpfhv_frames_give(const RigFrame *frame, int device);

/*
 * BPFHV_FRAMES_EACH_WAY, each byte compared, and TCP that has yet to be cut in
 * pieces: by whoever does it, the payload arrives.
 */
void bpfhv_frames_exchange(Rig *rig, const char *device);

/* bpfhv-ctl asks for another model, and the guest follows. */
void bpfhv_frames_upgrade(Rig *rig, const char *model);

/* The line must succeed. */
void bpfhv_frames_shell(const char *line);

/*
 * Deletes the device: the guest's packets are dropped from then on, and all
 * else goes on.
 */
void bpfhv_frames_device_goes(Rig *rig, const char *name);

#endif
