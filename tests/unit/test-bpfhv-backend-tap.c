/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-backend at a tap, with QEMU and the guest of lib/bpfhv_rig.h. Without
 * root all of it is skipped.
 *
 *     test-bpfhv-backend-tap BACKEND CTL
 */
#include <unistd.h>

#include "bpfhv_frames.h"
#include "tap_net.h"

#define TAP_NAME "bpfhv0"

static void test_tap(const void *words)
{
    g_autofree char *options = g_strdup_printf("--tap " TAP_NAME " %s",
                                               (const char *)words);
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new(options);
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_exchange(rig, TAP_NAME);
}

/* A model without offloads, whose driver chooses none, after one with. */
static void test_tap_upgrade(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new("--tap " TAP_NAME " --model sring_gso");
    bpfhv_rig_begin(rig, 1);
    bpfhv_frames_upgrade(rig, "sring");
    bpfhv_frames_exchange(rig, TAP_NAME);
}

static void test_tap_gone(void)
{
    g_autoptr(Rig) rig = NULL;

    if (!tap_net_allowed()) {
        return;
    }
    rig = bpfhv_rig_new("--tap " TAP_NAME);
    bpfhv_rig_begin(rig, 1);
    close(bpfhv_frames_open(TAP_NAME));
    bpfhv_frames_device_goes(rig, TAP_NAME);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 3);
    bpfhv_rig_init(argv[1], argv[2]);
    bpfhv_rig_add("tap", "sring", "--model sring", test_tap);
    bpfhv_rig_add("tap", "sring_gso", "--model sring_gso", test_tap);
    bpfhv_rig_add("tap", "vring_packed", "--model vring_packed", test_tap);
    bpfhv_rig_add("tap", "sring_sum", "--model sring_sum", test_tap);
    bpfhv_rig_add("tap", "one-queue-of-four", "--queues 4", test_tap);
    g_test_add_func("/bpfhv/backend/tap/upgrade", test_tap_upgrade);
    g_test_add_func("/bpfhv/backend/tap/gone", test_tap_gone);
    return g_test_run();
}
