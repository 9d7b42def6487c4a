/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a guest's XDP program
 *
 * What is not listed here is refused: an instruction that is not known cannot
 * be tracked, and a helper that is not known could tell the guest of the host
 * or take its time.
 *
 * Costs: an instruction costs 1, one that divides, is atomic or calls a helper
 * more. On its way between two jumps back a program only goes forward, so what
 * it does there costs less than the difference of the costs of both ends.
 * Where each jump back from s to t pays cost[s + 1] - cost[t] these differences
 * add up: all that was executed is paid for, but for what the function costs if
 * it runs once from its start to its end. For the first function the limits on
 * its length bound that; for all others it is paid at the call.
 */
#include "xdp_code.h"

enum {
    MEMORY_SIGNED = 0x80,   /* BPF_MEMSX, which Debian 12's header lacks */

    DIVIDE_COST = 64,       /* of 64 bits, by a processor of before 2019 */
    ATOMIC_COST = 32,

    /*
     * What a call costs besides, as measured where a unit was 0.35 ns: 5.6 ns
     * for a bit of a key in a trie; 200 ns to hash a key of 512 bytes; 110 ns
     * to copy a value of 4,096; to change a map goes through it twice, and
     * takes memory or an old entry.
     */
    BIT_COST = 16,
    COPIED_PER_UNIT = 8,    /* bytes */
    CHANGE_COST = 128,
    BYTES_COST = 256,       /* of a packet: up to XDP_MAX_LINEAR are copied */
    HEAD_COST = 512,        /* likewise, into memory that is looked for */
    LPM_PREFIX = 4,         /* bytes of a key that are no bits to look at */
};

G_DEFINE_QUARK(xdp-error-quark, xdp_error)

bool xdp_refuse(GError **error, size_t at, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, XDP_ERROR, XDP_ERROR_PROGRAM, "instruction %zu: %s",
                at, text);
    return false;
}

XdpHelper xdp_helper(int32_t number)
{
    static const XdpHelper helpers[] = {
        [BPF_FUNC_map_lookup_elem] = { XDP_HELPER_KEPT, 2 },
        [BPF_FUNC_map_update_elem] = { XDP_HELPER_KEPT, 4 },
        [BPF_FUNC_map_delete_elem] = { XDP_HELPER_KEPT, 2 },
        [BPF_FUNC_ktime_get_ns] = { XDP_HELPER_KEPT, 0 },
        [BPF_FUNC_get_prandom_u32] = { XDP_HELPER_KEPT, 0 },
        [BPF_FUNC_get_smp_processor_id] = { XDP_HELPER_KEPT, 0 },
        [BPF_FUNC_csum_diff] = { XDP_HELPER_CSUM_DIFF, 5 },
        [BPF_FUNC_ktime_get_boot_ns] = { XDP_HELPER_KEPT, 0 },
        [BPF_FUNC_ktime_get_coarse_ns] = { XDP_HELPER_KEPT, 0 },
        [BPF_FUNC_xdp_adjust_head] = { XDP_HELPER_ADJUST_HEAD, 2 },
        [BPF_FUNC_xdp_adjust_meta] = { XDP_HELPER_ADJUST_META, 2 },
        [BPF_FUNC_xdp_adjust_tail] = { XDP_HELPER_ADJUST_TAIL, 2 },
        [BPF_FUNC_xdp_get_buff_len] = { XDP_HELPER_GET_LEN, 1 },
        [BPF_FUNC_xdp_load_bytes] = { XDP_HELPER_LOAD_BYTES, 4 },
        [BPF_FUNC_xdp_store_bytes] = { XDP_HELPER_STORE_BYTES, 4 },
    };

    if (number < 0 || number >= G_N_ELEMENTS(helpers)) {
        return (XdpHelper) { XDP_HELPER_REFUSED };
    }
    return helpers[number];
}

static uint32_t map_cost(const XdpMap *map, int32_t helper)
{
    uint32_t find = map->type == BPF_MAP_TYPE_LPM_TRIE ?
                    BIT_COST * 8 * (MAX(map->key_size, LPM_PREFIX) -
                                    LPM_PREFIX) :
                    map->key_size;

    return helper == BPF_FUNC_map_lookup_elem ? find :
           2 * find + map->value_size / COPIED_PER_UNIT + CHANGE_COST;
}

/* @map: the one it is called for; NULL: it may be any of them */
static uint32_t helper_cost(int32_t helper, const XdpMap *map,
                            const XdpMap *maps, size_t n_maps)
{
    uint32_t cost = 0;
    size_t i;

    switch (helper) {
    case BPF_FUNC_map_lookup_elem:
    case BPF_FUNC_map_update_elem:
    case BPF_FUNC_map_delete_elem:
        for (i = 0; i < n_maps; i++) {
            if (!map || map == &maps[i]) {
                cost = MAX(cost, map_cost(&maps[i], helper));
            }
        }
        break;
    case BPF_FUNC_xdp_load_bytes:
    case BPF_FUNC_xdp_store_bytes:
        cost = BYTES_COST;
        break;
    case BPF_FUNC_xdp_adjust_head:
        cost = HEAD_COST;
        break;
    }
    return XDP_HELPER_COST + cost;
}

static bool known_arithmetic(const struct bpf_insn *insn)
{
    uint8_t op = BPF_OP(insn->code);

    if (op > BPF_END) {
        return false;
    }
    if (op == BPF_MOV && xdp_takes_register(insn)) {
        /* Behind 0: extends the sign of so many bits. */
        return insn->off == 0 || insn->off == 8 || insn->off == 16 ||
               insn->off == 32;
    }
    if (op == BPF_DIV || op == BPF_MOD) {
        return insn->off == 0 || insn->off == 1;        /* with a sign */
    }
    return insn->off == 0;
}

static bool known_jump(const struct bpf_insn *insn)
{
    bool narrow = BPF_CLASS(insn->code) == BPF_JMP32;

    switch (BPF_OP(insn->code)) {
    case BPF_JA:
    case BPF_CALL:
    case BPF_EXIT:
        return !narrow && !xdp_takes_register(insn);
    default:
        return BPF_OP(insn->code) <= BPF_JSLE;
    }
}

static bool known_atomic(const struct bpf_insn *insn)
{
    if (BPF_SIZE(insn->code) != BPF_W && BPF_SIZE(insn->code) != BPF_DW) {
        return false;
    }
    switch (insn->imm) {
    case BPF_ADD:
    case BPF_ADD | BPF_FETCH:
    case BPF_AND:
    case BPF_AND | BPF_FETCH:
    case BPF_OR:
    case BPF_OR | BPF_FETCH:
    case BPF_XOR:
    case BPF_XOR | BPF_FETCH:
    case BPF_XCHG:
    case BPF_CMPXCHG:
        return true;
    default:
        return false;
    }
}

static bool known(const struct bpf_insn *insn)
{
    uint8_t mode = BPF_MODE(insn->code);

    switch (BPF_CLASS(insn->code)) {
    case BPF_LD:
        return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
    case BPF_LDX:
        return mode == BPF_MEM ||
               (mode == MEMORY_SIGNED && BPF_SIZE(insn->code) != BPF_DW);
    case BPF_ST:
        return mode == BPF_MEM;
    case BPF_STX:
        return mode == BPF_MEM || (mode == BPF_ATOMIC && known_atomic(insn));
    case BPF_ALU:
    case BPF_ALU64:
        return known_arithmetic(insn);
    default:
        return known_jump(insn);
    }
}

/* Whether it writes @dst_reg; a store does not. */
static bool writes_dst(const struct bpf_insn *insn)
{
    switch (BPF_CLASS(insn->code)) {
    case BPF_LD:
    case BPF_LDX:
    case BPF_ALU:
    case BPF_ALU64:
        return true;
    default:
        return false;
    }
}

static bool check_constant(const struct bpf_insn *insn, size_t at,
                           const XdpMap *maps, size_t n_maps, GError **error)
{
    const struct bpf_insn *second = insn + 1;
    uint32_t number = insn->imm;

    if (second->code || second->dst_reg || second->src_reg || second->off ||
        insn->off) {
        return xdp_refuse(error, at, "the second half of a constant is not"
                          " one");
    }
    if (insn->src_reg == 0) {
        return true;
    }
    if (insn->src_reg != BPF_PSEUDO_MAP_FD &&
        insn->src_reg != BPF_PSEUDO_MAP_VALUE) {
        return xdp_refuse(error, at, "a constant of kind %u is not supported,"
                          " only numbers and maps", insn->src_reg);
    }
    if (number >= n_maps) {
        return xdp_refuse(error, at, "there is no map %u; the card has %zu",
                          number, n_maps);
    }
    if (insn->src_reg == BPF_PSEUDO_MAP_FD) {
        return second->imm == 0 ||
               xdp_refuse(error, at, "a map has no offset");
    }
    if (maps[number].type != BPF_MAP_TYPE_ARRAY) {
        return xdp_refuse(error, at, "map %u is not an array, so it has no"
                          " global data", number);
    }
    return (uint32_t)second->imm < maps[number].value_size ||
           xdp_refuse(error, at, "offset %u is outside of map %u, whose value"
                      " has %u bytes", (uint32_t)second->imm, number,
                      maps[number].value_size);
}

static bool check_call(const struct bpf_insn *insn, size_t at, GError **error)
{
    switch (insn->src_reg) {
    case 0:
        return xdp_helper(insn->imm).use != XDP_HELPER_REFUSED ||
               xdp_refuse(error, at, "helper %d is not supported", insn->imm);
    case BPF_PSEUDO_CALL:
        return true;
    default:
        return xdp_refuse(error, at, "functions of the kernel are not"
                          " supported");
    }
}

/* What can be seen by looking at one instruction alone. */
static bool check_insn(const XdpCode *code, size_t at, const XdpMap *maps,
                       size_t n_maps, GError **error)
{
    const struct bpf_insn *insn = &code->insns[at];

    if (!known(insn)) {
        return xdp_refuse(error, at, "code 0x%02x is not supported",
                          insn->code);
    }
    if (insn->dst_reg > BPF_REG_10 || insn->src_reg > BPF_REG_10) {
        return xdp_refuse(error, at, "there is no such register");
    }
    if (writes_dst(insn) && insn->dst_reg == BPF_REG_10) {
        return xdp_refuse(error, at, "the frame pointer cannot be written");
    }
    if (at + xdp_insn_len(insn) > code->count) {
        return xdp_refuse(error, at, "the program ends within it");
    }
    if (BPF_CLASS(insn->code) == BPF_LD) {
        return check_constant(insn, at, maps, n_maps, error);
    }
    return insn->code != (BPF_JMP | BPF_CALL) || check_call(insn, at, error);
}

/* Reads the instructions one by one. @first: where each one begins. */
static bool read_insns(XdpCode *code, bool *first, const XdpMap *maps,
                       size_t n_maps, GError **error)
{
    unsigned at;

    for (at = 0; at < code->count; at += xdp_insn_len(&code->insns[at])) {
        if (!check_insn(code, at, maps, n_maps, error)) {
            return false;
        }
        first[at] = true;
    }
    return true;
}

/* Finds the functions: the beginning, and all that is called. */
static bool find_functions(XdpCode *code, const bool *first, GError **error)
{
    g_autofree bool *start = g_new0(bool, code->count);
    unsigned at;

    start[0] = true;
    for (at = 0; at < code->count; at++) {
        int64_t callee = (int64_t)at + 1 + code->insns[at].imm;

        if (!first[at] || !xdp_is_call(&code->insns[at])) {
            continue;
        }
        if (callee < 0 || callee >= code->count || !first[callee]) {
            return xdp_refuse(error, at, "there is no function to call");
        }
        start[callee] = true;
    }
    for (at = 0; at < code->count; at++) {
        if (!start[at]) {
            continue;
        }
        if (code->n_functions == XDP_MAX_FUNCTIONS) {
            return xdp_refuse(error, at, "more than %d functions",
                              XDP_MAX_FUNCTIONS);
        }
        if (code->n_functions) {
            code->functions[code->n_functions - 1].end = at;
        }
        code->functions[code->n_functions++].start = at;
    }
    code->functions[code->n_functions - 1].end = code->count;
    return true;
}

static bool read_function(XdpCode *code, XdpFunction *function,
                          const bool *first, GError **error)
{
    unsigned at, last = function->start;

    for (at = function->start; at < function->end; at++) {
        const struct bpf_insn *insn = &code->insns[at];
        int64_t target = (int64_t)at + 1 + insn->off;

        if (!first[at]) {
            continue;
        }
        last = at;
        function->charged |= xdp_is_call(insn) || xdp_is_back(insn);
        if (!xdp_is_jump(insn)) {
            continue;
        }
        if (target < function->start || target >= function->end ||
            !first[target]) {
            return xdp_refuse(error, at, "it jumps out of its function or"
                              " into an instruction");
        }
        code->target[target] = true;
    }
    return xdp_is_exit(&code->insns[last]) ||
           code->insns[last].code == (BPF_JMP | BPF_JA) ||
           xdp_refuse(error, last, "a function does not end here");
}

/* @map: what r1 is, or NULL if that is not known */
static uint32_t insn_cost(const struct bpf_insn *insn, const XdpMap *map,
                          const XdpMap *maps, size_t n_maps)
{
    uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

    if (insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg) {
        return helper_cost(insn->imm, map, maps, n_maps);
    }
    if ((class == BPF_ALU || class == BPF_ALU64) &&
        (op == BPF_DIV || op == BPF_MOD)) {
        return DIVIDE_COST;
    }
    return class == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC ?
           ATOMIC_COST : 1;
}

/* The map that r1 is after @insn, if it was @before; NULL: not known. */
static const XdpMap *map_in_r1(const XdpMap *before,
                               const struct bpf_insn *insn, const XdpMap *maps)
{
    if (insn->code == (BPF_LD | BPF_IMM | BPF_DW) &&
        insn->src_reg == BPF_PSEUDO_MAP_FD && insn->dst_reg == BPF_REG_1) {
        return &maps[insn->imm];
    }
    /* The source, too: an atomic instruction may write it. */
    return insn->code == (BPF_JMP | BPF_CALL) || insn->dst_reg == BPF_REG_1 ||
           insn->src_reg == BPF_REG_1 ? NULL : before;
}

static bool add_costs(XdpCode *code, const XdpFunction *function,
                      const bool *first, const XdpMap *maps, size_t n_maps,
                      uint32_t *slow, GError **error)
{
    const XdpMap *map = NULL;
    unsigned at;

    for (at = function->start; at < function->end; at++) {
        const struct bpf_insn *insn = &code->insns[at];
        uint32_t cost;

        code->cost[at + 1] = code->cost[at];
        if (!first[at]) {
            continue;
        }
        if (code->target[at]) {
            map = NULL;
        }
        cost = insn_cost(insn, map, maps, n_maps);
        code->cost[at + 1] += cost;
        *slow += cost > 1 ? cost : 0;
        if (*slow > XDP_MAX_SLOW) {
            return xdp_refuse(error, at, "the helpers that are called, with"
                              " what is divided or atomic, take too long: %u"
                              " units up to here, of %d", *slow,
                              XDP_MAX_SLOW);
        }
        map = map_in_r1(map, insn, maps);
    }
    return true;
}

XdpCode *xdp_code_new(const struct bpf_insn *insns, size_t count,
                      const XdpMap *maps, size_t n_maps, GError **error)
{
    g_autoptr(XdpCode) code = NULL;
    g_autofree bool *first = NULL;
    uint32_t slow = 0;
    unsigned i;

    if (count == 0 || count > XDP_MAX_INSNS) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_PROGRAM, "a program has 1 to"
                    " %d instructions, not %zu", XDP_MAX_INSNS, count);
        return NULL;
    }
    code = g_new0(XdpCode, 1);
    code->insns = insns;
    code->count = count;
    code->target = g_new0(bool, count);
    code->cost = g_new0(uint32_t, count + 1);
    first = g_new0(bool, count);
    if (!read_insns(code, first, maps, n_maps, error) ||
        !find_functions(code, first, error)) {
        return NULL;
    }
    for (i = 0; i < code->n_functions; i++) {
        if (!read_function(code, &code->functions[i], first, error) ||
            !add_costs(code, &code->functions[i], first, maps, n_maps,
                       &slow, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&code);
}

void xdp_code_free(XdpCode *code)
{
    if (code) {
        g_free(code->target);
        g_free(code->cost);
        g_free(code);
    }
}

unsigned xdp_code_function(const XdpCode *code, unsigned at)
{
    unsigned i = 0;

    while (code->functions[i].end <= at) {
        i++;
    }
    return i;
}
