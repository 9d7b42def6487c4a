/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XDP programs that were changed at random: the translator refuses them, or the
 * kernel does, or what runs leaves the sk_buff alone.
 *
 * XDP_OBJECTS is the folder of the objects that tests/bpf/xdp is compiled to.
 */
#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

#include "bpf_run.h"
#include "configs.h"
#include "limit.h"
#include "packet.h"
#include "xdp_pair.h"

enum { MUTANTS = 400 };         /* of each parent */

static int quiet(enum libbpf_print_level level, const char *format,
                 va_list args)
{
    return 0;
}

/* Changes an instruction or two, or takes one for another. */
static void mutate(GArray *insns, GRand *rand)
{
    static const int numbers[] = { 0, 1, -1, 4, 8, -8, -16, 48, 76, 511, -512 };
    int n = g_rand_int_range(rand, 1, 4);

    while (n--) {
        struct bpf_insn *insn = &g_array_index(
            insns, struct bpf_insn, g_rand_int_range(rand, 0, insns->len));
        int number = numbers[g_rand_int_range(rand, 0,
                                              G_N_ELEMENTS(numbers))];

        switch (g_rand_int_range(rand, 0, 6)) {
        case 0:
            insn->dst_reg = g_rand_int_range(rand, 0, 11);
            break;
        case 1:
            insn->src_reg = g_rand_int_range(rand, 0, 11);
            break;
        case 2:
            insn->off = number;
            break;
        case 3:
            insn->imm = number;
            break;
        case 4:
            insn->code = g_rand_int(rand);
            break;
        default:
            *insn = g_array_index(insns, struct bpf_insn,
                                  g_rand_int_range(rand, 0, insns->len));
        }
    }
}

/* What the kernel takes is run. The sk_buff must stay as it was. */
static void run_mutant(int fd, const GByteArray *frame, unsigned budget)
{
    static const uint8_t nothing[4 * sizeof(uint32_t)];
    g_autofree uint8_t *out = g_malloc(XDP_ROOM);
    struct __sk_buff skb = { 0 };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data,
                .data_size_in = frame->len, .data_out = out,
                .data_size_out = XDP_ROOM, .repeat = 1, .ctx_in = &skb,
                .ctx_size_in = sizeof(skb), .ctx_out = &skb,
                .ctx_size_out = sizeof(skb));

    g_assert_cmpint(bpf_prog_test_run_opts(fd, &opts), ==, 0);
    g_assert_true((int)opts.retval == TC_ACT_UNSPEC ||
                  opts.retval == TC_ACT_SHOT ||
                  opts.retval == TC_ACT_REDIRECT);
    g_assert_cmpuint(skb.mark, ==, 0);
    g_assert_cmpuint(skb.priority, ==, 0);
    g_assert_cmpuint(skb.cb[0], <=, budget);
    g_assert_cmpmem(&skb.cb[1], sizeof(nothing), nothing, sizeof(nothing));
}

static void test_mutants(void)
{
    static const char *const parents[][2] = {
        { "change", "swap" }, { "filter", "drop_port" },
        { "functions", "nested" }, { "functions", "structure" },
        { "functions", "spill" }, { "parse", "extensions" },
    };
    g_autoptr(GByteArray) frame = packet_build("eth ip4 udp raw:300",
                                               &packet_flow);
    g_autofree char *log = g_malloc(XDP_LOG_SIZE);
    g_autoptr(GRand) rand = config_seeded_rand();
    unsigned refused = 0, refused_by_kernel = 0, loaded = 0, i, j;

    if (!bpf_run_allowed()) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(parents); i++) {
        g_autofree char *where = xdp_object(parents[i][0], parents[i][1]);
        XdpPair p;

        if (!xdp_pair_open(&p, where)) {
            return;
        }
        for (j = 0; j < limit_part(MUTANTS); j++) {
            g_autoptr(GArray) insns = NULL;
            GArray *guest = xdp_pair_insns(&p);
            int fd;

            mutate(guest, rand);
            insns = xdp_pair_translate(&p, guest, NULL);
            g_array_free(guest, TRUE);
            if (!insns) {
                refused++;
                continue;
            }
            fd = xdp_load_tc(insns, log);
            if (fd < 0) {
                refused_by_kernel++;
                continue;
            }
            loaded++;
            run_mutant(fd, frame, p.how.budget);
            close(fd);
        }
        xdp_pair_close(&p);
    }
    g_test_message("%u refused, %u by the kernel, %u harmless", refused,
                   refused_by_kernel, loaded);
    g_assert_cmpuint(loaded, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(quiet);
    g_test_add_func("/xdp/mutants", test_mutants);
    return g_test_run();
}
