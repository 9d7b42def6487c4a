/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Toeplitz hash and the masks of its bits. */
#include <arpa/inet.h>
#include <string.h>

#include "configs.h"
#include "net/rss_toeplitz.h"

/* The RSS verification suite. */
static const struct {
    const char *src, *dst;
    uint16_t sport, dport;
    uint32_t addresses, with_ports;
} answers[] = {
    { "66.9.149.187", "161.142.100.80", 2794, 1766,
      0x323e8fc2, 0x51ccc178 },
    { "199.92.111.2", "65.69.140.83", 14230, 4739,
      0xd718262a, 0xc626b0ea },
    { "24.19.198.95", "12.22.207.184", 12898, 38024,
      0xd2d0a5de, 0x5c2b394a },
    { "38.27.205.30", "209.142.163.6", 48228, 2217,
      0x82989176, 0xafc7327f },
    { "153.39.163.191", "202.188.127.2", 44251, 1303,
      0x5d1809c5, 0x10e828a2 },
    { "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766,
      0x2cc18cd5, 0x40207d3d },
    { "3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739,
      0x0f0c461c, 0xdde51bbf },
    { "3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf",
      44251, 38024, 0x4b61e985, 0x02d1feef },
};

/* Writes addresses and ports as they are on the wire; returns their length. */
static size_t make_input(size_t row, uint8_t *input)
{
    bool v6 = strchr(answers[row].src, ':');
    size_t len = v6 ? 16 : 4;
    int family = v6 ? AF_INET6 : AF_INET;
    uint16_t ports[2] = { htons(answers[row].sport),
                          htons(answers[row].dport) };

    g_assert_cmpint(inet_pton(family, answers[row].src, input), ==, 1);
    g_assert_cmpint(inet_pton(family, answers[row].dst, input + len), ==, 1);
    memcpy(input + 2 * len, ports, sizeof(ports));
    return 2 * len + sizeof(ports);
}

/* The hash by each way that this processor has; they must agree. */
static uint32_t hash_all_ways(const uint8_t *key, const uint8_t *input,
                              size_t len)
{
    RssToeplitz best, plain;
    uint32_t hash;

    rss_toeplitz_init(&best, key);
    rss_toeplitz_init_plain(&plain, key);
    hash = rss_toeplitz_hash(&plain, input, len);
    g_assert_cmphex(rss_toeplitz_hash(&best, input, len), ==, hash);
    return hash;
}

static void test_known_answer(gconstpointer data)
{
    size_t row = GPOINTER_TO_SIZE(data);
    uint8_t input[RSS_INPUT_MAX];
    size_t len = make_input(row, input);

    g_assert_cmphex(hash_all_ways(suite_key, input, len - 4), ==,
                    answers[row].addresses);
    g_assert_cmphex(hash_all_ways(suite_key, input, len), ==,
                    answers[row].with_ports);
    /* The tests' own reference is held to them, too. */
    g_assert_cmphex(oracle_toeplitz(suite_key, input, len - 4), ==,
                    answers[row].addresses);
    g_assert_cmphex(oracle_toeplitz(suite_key, input, len), ==,
                    answers[row].with_ports);
}

static void random_bytes(GRand *rand, uint8_t *to, size_t len)
{
    while (len--) {
        *to++ = g_rand_int(rand);
    }
}

/* The hash whose bits are the parities of the input under the masks. */
static uint32_t hash_by_masks(const uint8_t *key, const uint8_t *input,
                              size_t len)
{
    uint8_t mask[RSS_INPUT_MAX];
    uint32_t hash = 0;
    unsigned bit, parity;
    size_t i;

    for (bit = 0; bit < 32; bit++) {
        rss_toeplitz_mask(key, bit, mask);
        for (i = 0, parity = 0; i < len; i++) {
            parity ^= __builtin_parity(input[i] & mask[i]);
        }
        hash |= (uint32_t)parity << bit;
    }
    return hash;
}

static void test_random(void)
{
    g_autoptr(GRand) rand = config_seeded_rand();
    uint8_t key[RSS_KEY_SIZE], input[RSS_INPUT_MAX];
    uint32_t expected;
    size_t len;
    int i;

    for (i = 0; i < 2000; i++) {
        random_bytes(rand, key, sizeof(key));
        random_bytes(rand, input, sizeof(input));
        len = i * 4 % (RSS_INPUT_MAX + 4);
        expected = oracle_toeplitz(key, input, len);
        g_assert_cmphex(hash_all_ways(key, input, len), ==, expected);
        g_assert_cmphex(hash_by_masks(key, input, len), ==, expected);
    }
}

/* One bit of the input and one of the key, at every place that there is. */
static void test_single_bits(void)
{
    uint8_t key[RSS_KEY_SIZE], input[RSS_INPUT_MAX];
    RssToeplitz t, plain;
    int k, n;

    for (k = 0; k < 8 * RSS_KEY_SIZE; k++) {
        memset(key, 0, sizeof(key));
        key[k / 8] = 0x80 >> k % 8;
        rss_toeplitz_init(&t, key);
        rss_toeplitz_init_plain(&plain, key);
        for (n = 0; n < 8 * RSS_INPUT_MAX; n++) {
            uint32_t expected = k >= n && k < n + 32 ?
                                0x80000000u >> (k - n) : 0;

            memset(input, 0, sizeof(input));
            input[n / 8] = 0x80 >> n % 8;
            g_assert_cmphex(rss_toeplitz_hash(&t, input, RSS_INPUT_MAX),
                            ==, expected);
            g_assert_cmphex(rss_toeplitz_hash(&plain, input, RSS_INPUT_MAX),
                            ==, expected);
        }
    }
}

static void test_zeros(void)
{
    uint8_t input[RSS_INPUT_MAX] = { 0 }, key[RSS_KEY_SIZE] = { 0 };

    g_assert_cmphex(hash_all_ways(suite_key, input, RSS_INPUT_MAX), ==, 0);
    g_assert_cmphex(hash_all_ways(suite_key, input, 0), ==, 0);

    memset(input, 0xff, sizeof(input));
    g_assert_cmphex(hash_all_ways(key, input, RSS_INPUT_MAX), ==, 0);
}

int main(int argc, char **argv)
{
    size_t row;

    g_test_init(&argc, &argv, NULL);
    for (row = 0; row < G_N_ELEMENTS(answers); row++) {
        g_autofree char *name = g_strdup_printf("/toeplitz/known/%s",
                                                answers[row].src);

        g_test_add_data_func(name, GSIZE_TO_POINTER(row), test_known_answer);
    }
    g_test_add_func("/toeplitz/random", test_random);
    g_test_add_func("/toeplitz/single-bits", test_single_bits);
    g_test_add_func("/toeplitz/zeros", test_zeros);
    return g_test_run();
}
