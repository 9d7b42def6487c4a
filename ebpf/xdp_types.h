/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types of a guest's maps (BTF), before the host's kernel reads them. */
#ifndef EBPF_XDP_TYPES_H
#define EBPF_XDP_TYPES_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * xdp_types_check:
 * @btf, @len: from a guest, little-endian; anything at all
 * @key, @value: numbers of the types of a map's key and value
 * @why: receives the reason
 *
 * Pure. Returns: whether it is what docs/xdp_offload_wire.rst allows. Sizes and
 * offsets are not looked at: they are the kernel's to check.
 */
bool xdp_types_check(const uint8_t *btf, size_t len, uint32_t key,
                     uint32_t value, GString *why);

#endif
