/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frame behind two bytes of hash types: the engine against the oracle. */
#include "steer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    RssConfig config = config_plain((data[0] | data[1] << 8) & RSS_TYPES_ALL,
                                    RSS_TABLE_MAX);

    steer_as_the_oracle(&config, data + 2, size - 2);
    return 0;
}
