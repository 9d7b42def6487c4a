/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A control command behind two bytes: its kind, and the device's queues. */
#include <stdlib.h>

#include "net/rss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RssCommand command;

    if (size < 2) {
        return 0;
    }
    if (data[0] & 1) {
        rss_parse_hash_config(data + 2, size - 2, &command, NULL);
        return 0;
    }
    if (rss_parse_rss_config(data + 2, size - 2, data[1], &command, NULL) &&
        !command.off && !rss_config_check(&command.config, data[1], NULL)) {
        abort();        /* accepted, but not good */
    }
    return 0;
}
