/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frame behind two bytes of hash types: the engine against the oracle. */
#include <stdlib.h>

#include "configs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    RssConfig config = config_plain((data[0] | data[1] << 8) & RSS_TYPES_ALL,
                                    RSS_TABLE_MAX);
    OracleConfig oracle = config_for_oracle(&config);
    OracleAnswer answer = oracle_classify(&oracle, data + 2, size - 2);
    g_autoptr(RssEngine) engine = rss_engine_new(&config);
    RssResult result = rss_engine_classify(engine, data + 2, size - 2);

    if (result.type != answer.type || result.hash != answer.hash ||
        result.queue != answer.queue ||
        result.queue != rss_engine_steer(engine, data + 2, size - 2)) {
        abort();
    }
    return 0;
}
