/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translating an XDP program into one for tc
 *
 *     prologue    lease; budget; GSO; VLAN tag; make it linear; in a devmap:
 *                 budget
 *     body        the guest's first function, nearly as it is
 *     epilogue    what it returns, as tc says it
 *     functions   the guest's others
 *     ours        what XDP has a helper for and tc has not
 *
 * The frame. What a program sees is what the guest gets: a VLAN tag that
 * stands beside the packet is put into it, and the first XDP_MAX_LINEAR bytes
 * are made linear. Where either fails the packet goes to the guest.
 *
 * The budget is kept in the sk_buff's control block (cb[0]), which a guest's
 * program cannot reach: it would need a context that xdp_track.c does not know
 * of. In a devmap there is no such place, so there it is in a map, with a
 * value for each processor. As the verifier takes whatever it reads there for
 * unknown, it is as strict with loops as it was. A function that pays gets a
 * pointer to it from its caller, to the sk_buff or to the value, in an argument
 * register that it does not read, and keeps it below its own stack. No pointer
 * of the guest gets there (xdp_track.c); where a helper overwrites it, the
 * verifier refuses the program.
 *
 * When the budget is used up, the packet goes to the guest, whose own program
 * sees it then; if the program may have changed it already, it is dropped. A
 * function then returns, and its caller looks.
 *
 * Registers. What is inserted uses such as the guest cannot read before it
 * writes them, or else saves them below the stack.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include "insn.h"
#include "xdp_track.h"
#include "xdp_translate.h"

#define SKB(field) offsetof(struct __sk_buff, field)

enum {
    /* Places that are jumped to or called, behind those of the guest's code */
    AT_DROP = XDP_MAX_INSNS,
    AT_PASS,
    AT_TX,
    AT_UNEXAMINED,
    AT_EPILOGUE,
    AT_LINEAR,
    AT_UNTAGGED,
    AT_INSERT_TAG,
    AT_ADJUST_HEAD,
    AT_ADJUST_TAIL,
    AT_SHRINK_HEAD,
    AT_FAIL_HEAD,
    AT_FAIL_TAIL,
    AT_FUNCTION,                                    /* + its number */
    AT_USED_UP = AT_FUNCTION + XDP_MAX_FUNCTIONS,   /* + its number */
    N_PLACES = AT_USED_UP + XDP_MAX_FUNCTIONS,

    NOWHERE = -1,
    NOT_SUPPORTED = -524,       /* the kernel's ENOTSUPP, in no header */

    /* Below a function's own stack, in bytes from there */
    SAVED_BUDGET = 8,
    SAVED_FIRST = 16,
    SAVED_SECOND = 24,

    ETHERNET_LEN = 14,          /* bytes */
    ADDRESSES_LEN = 12,
    TAG_LEN = 4,
    ROOM_MAC = 1,               /* BPF_ADJ_ROOM_MAC */
};

/* A jump or a call, of the output, and where it goes. */
typedef struct Link {
    unsigned from, place;
} Link;

/**
 * Output: the program that grows
 * @place: where each place is; NOWHERE
 * @function: the one that is being translated
 * @adjusts_head, @adjusts_tail: ours, that must follow
 */
typedef struct Output {
    const XdpCode *code;
    const XdpTrack *track;
    const XdpTarget *target;
    GArray *insns, *links;
    int place[N_PLACES];
    unsigned function;
    bool adjusts_head, adjusts_tail;
} Output;

static void emit(Output *o, struct bpf_insn insn)
{
    g_array_append_val(o->insns, insn);
}

/* A jump or a call to @place. */
static void emit_to(Output *o, struct bpf_insn insn, unsigned place)
{
    Link link = { o->insns->len, place };

    g_array_append_val(o->links, link);
    emit(o, insn);
}

static void emit_all(Output *o, const struct bpf_insn *insns, size_t count)
{
    g_array_append_vals(o->insns, insns, count);
}

static void place_here(Output *o, unsigned place)
{
    o->place[place] = o->insns->len;
}

static void jump(Output *o, unsigned place)
{
    emit_to(o, insn(INSN_JUMP, 0, 0, 0, 0), place);
}

static void call_helper(Output *o, int32_t number)
{
    emit(o, insn(INSN_CALL, 0, 0, 0, number));
}

static void call_place(Output *o, unsigned place)
{
    emit_to(o, insn(INSN_CALL, 0, BPF_PSEUDO_CALL, 0, 0), place);
}

static void load32(Output *o, unsigned dst, unsigned base, int off)
{
    emit(o, insn(INSN_LOAD32, dst, base, off, 0));
}

/* Bytes from the frame pointer to what is saved below the stack. */
static int saved(const Output *o, int which)
{
    return -((o->track->depth[o->function] + 7) & ~7) - which;
}

/* Where the budget is, from the pointer to it on. */
static int budget_off(const Output *o)
{
    return o->target->hook == XDP_HOOK_TC ? SKB(cb[0]) : 0;
}

/* The register in which a function gets the pointer; 0 if none is free. */
static unsigned budget_register(const Output *o, unsigned function)
{
    unsigned reg;

    for (reg = BPF_REG_5; reg > 0; reg--) {
        if (!(o->track->args[function] >> reg & 1)) {
            break;
        }
    }
    return reg;
}

/* Two registers that may be used before instruction @at; whether to save. */
typedef struct Scratch {
    unsigned reg[2];
    bool save[2];
} Scratch;

static Scratch find_scratch(const Output *o, unsigned at)
{
    uint16_t set = o->track->set[at];
    Scratch scratch = { { 0 } };
    unsigned pass, reg, n = 0;

    for (pass = 0; pass < 2; pass++) {
        for (reg = 0; reg < BPF_REG_10 && n < 2; reg++) {
            if ((set >> reg & 1) == pass) {
                scratch.reg[n] = reg;
                scratch.save[n++] = pass;
            }
        }
    }
    return scratch;
}

/* Takes @cost off the budget, before what follows for instruction @at. */
static void pay(Output *o, unsigned at, uint32_t cost)
{
    static const int places[] = { SAVED_FIRST, SAVED_SECOND };
    Scratch scratch = find_scratch(o, at);
    unsigned to = scratch.reg[0], left = scratch.reg[1], i;

    for (i = 0; i < 2; i++) {
        if (scratch.save[i]) {
            emit(o, insn(INSN_STORE64, BPF_REG_10, scratch.reg[i],
                         saved(o, places[i]), 0));
        }
    }
    emit(o, insn(INSN_LOAD64, to, BPF_REG_10, saved(o, SAVED_BUDGET), 0));
    load32(o, left, to, budget_off(o));
    emit_to(o, insn(INSN_IF_LESS32, left, 0, 0, cost + 1),
            AT_USED_UP + o->function);
    emit(o, insn(INSN_SUBTRACT32, left, 0, 0, cost));
    emit(o, insn(INSN_STORE32, to, left, budget_off(o), 0));
    for (i = 0; i < 2; i++) {
        if (scratch.save[i]) {
            emit(o, insn(INSN_LOAD64, scratch.reg[i], BPF_REG_10,
                         saved(o, places[i]), 0));
        }
    }
}

static bool needs_charge(const XdpCode *code)
{
    unsigned i;

    for (i = 0; i < code->n_functions; i++) {
        if (code->functions[i].charged) {
            return true;
        }
    }
    return false;
}

static void keep_budget(Output *o, unsigned reg)
{
    if (o->code->functions[o->function].charged) {
        emit(o, insn(INSN_STORE64, BPF_REG_10, reg, saved(o, SAVED_BUDGET),
                     0));
    }
}

/*
 * A packet whose tag stands beside it, and that has another one or is GSO,
 * goes to the guest as it is: what it consists of then could not be told to
 * the kernel.
 */
static void prologue_tag(Output *o)
{
    load32(o, BPF_REG_2, BPF_REG_6, SKB(vlan_present));
    emit_to(o, insn(INSN_IF_EQUAL, BPF_REG_2, 0, 0, 0), AT_UNTAGGED);
    load32(o, BPF_REG_2, BPF_REG_6, SKB(gso_size));
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_2, 0, 0, 0), AT_UNEXAMINED);
    load32(o, BPF_REG_2, BPF_REG_6, SKB(protocol));
    emit_to(o, insn(INSN_IF_EQUAL, BPF_REG_2, 0, 0, GUINT16_TO_BE(0x8100)),
            AT_UNEXAMINED);
    emit_to(o, insn(INSN_IF_EQUAL, BPF_REG_2, 0, 0, GUINT16_TO_BE(0x88a8)),
            AT_UNEXAMINED);
    call_place(o, AT_INSERT_TAG);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_UNEXAMINED);
    place_here(o, AT_UNTAGGED);
}

/* Most packets are linear: to compare pointers is cheaper than a helper. */
static void prologue_linear(Output *o)
{
    load32(o, BPF_REG_2, BPF_REG_6, SKB(len));
    emit(o, insn(INSN_IF_AT_MOST, BPF_REG_2, 0, 1, XDP_MAX_LINEAR));
    emit(o, insn(INSN_SET, BPF_REG_2, 0, 0, XDP_MAX_LINEAR));
    if (o->target->trusted) {
        load32(o, BPF_REG_3, BPF_REG_6, SKB(data));
        load32(o, BPF_REG_4, BPF_REG_6, SKB(data_end));
        emit(o, insn(INSN_ADD, BPF_REG_3, BPF_REG_2, 0, 0));
        emit_to(o, insn(INSN_IF_AT_MOST_REG, BPF_REG_3, BPF_REG_4, 0, 0),
                AT_LINEAR);
    }
    emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
    call_helper(o, BPF_FUNC_skb_pull_data);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_UNEXAMINED);
    place_here(o, AT_LINEAR);
    emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
}

/* The verifier does not know what a map holds that programs do not write. */
static void prologue_lease(Output *o)
{
    call_helper(o, BPF_FUNC_ktime_get_ns);
    emit(o, insn(INSN_LOAD_CONST, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, 0,
                 o->target->lease_fd));
    emit(o, insn(0, 0, 0, 0, 0));
    emit(o, insn(INSN_LOAD64, BPF_REG_1, BPF_REG_1, 0, 0));
    emit_to(o, insn(INSN_IF_AT_MOST_REG, BPF_REG_1, BPF_REG_0, 0, 0),
            AT_UNEXAMINED);
    emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
}

static void prologue(Output *o)
{
    emit(o, insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0));
    if (o->target->lease_fd) {
        prologue_lease(o);
    }
    if (needs_charge(o->code)) {
        emit(o, insn(INSN_SET, BPF_REG_2, 0, 0, o->target->budget));
        emit(o, insn(INSN_STORE32, BPF_REG_1, BPF_REG_2, budget_off(o), 0));
    }
    if (o->target->gso_pass) {
        load32(o, BPF_REG_2, BPF_REG_6, SKB(gso_size));
        emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_2, 0, 0, 0), AT_UNEXAMINED);
    }
    prologue_tag(o);
    prologue_linear(o);
    keep_budget(o, BPF_REG_1);
}

/* Only what has loops or functions looks its budget up. */
static void prologue_devmap(Output *o)
{
    const struct bpf_insn body[] = {
        insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0),
        insn(INSN_SET, BPF_REG_2, 0, 0, 0),
        insn(INSN_STORE64, BPF_REG_10, BPF_REG_2, -8, 0),
        insn(INSN_MOVE, BPF_REG_2, BPF_REG_10, 0, 0),
        insn(INSN_ADD_CONST, BPF_REG_2, 0, 0, -8),
        insn(INSN_LOAD_CONST, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
             o->target->budget_fd),
        insn(0, 0, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
    };

    if (needs_charge(o->code)) {
        emit_all(o, body, G_N_ELEMENTS(body));
        emit_to(o, insn(INSN_IF_EQUAL, BPF_REG_0, 0, 0, 0), AT_UNEXAMINED);
        emit(o, insn(INSN_SET, BPF_REG_1, 0, 0, o->target->budget));
        emit(o, insn(INSN_STORE32, BPF_REG_0, BPF_REG_1, budget_off(o), 0));
        emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
        keep_budget(o, BPF_REG_0);
    }
}

static void give_verdict(Output *o, unsigned place, int verdict)
{
    place_here(o, place);
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, verdict));
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
}

/*
 * The program is over: registers and stack are free. But without CAP_PERFMON
 * only eight bytes together may take the place of a pointer on the stack.
 */
static void count(Output *o, XdpCounter counter)
{
    const int key = G_BYTE_ORDER == G_LITTLE_ENDIAN ? -8 : -4;
    const struct bpf_insn body[] = {
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_get_smp_processor_id),
        insn(INSN_MULTIPLY32, BPF_REG_0, 0, 0, XDP_COUNTERS),
        insn(BPF_ALU | BPF_ADD | BPF_K, BPF_REG_0, 0, 0, counter),
        insn(INSN_STORE64, BPF_REG_10, BPF_REG_0, -8, 0),
        insn(INSN_MOVE, BPF_REG_2, BPF_REG_10, 0, 0),
        insn(INSN_ADD_CONST, BPF_REG_2, 0, 0, key),
        insn(INSN_LOAD_CONST, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
             o->target->counters_fd),
        insn(0, 0, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
        insn(INSN_IF_EQUAL, BPF_REG_0, 0, 3, 0),
        insn(INSN_LOAD64, BPF_REG_1, BPF_REG_0, 0, 0),
        insn(INSN_ADD_CONST, BPF_REG_1, 0, 0, 1),
        insn(INSN_STORE64, BPF_REG_0, BPF_REG_1, 0, 0),
    };

    if (o->target->counters_fd) {
        emit_all(o, body, G_N_ELEMENTS(body));
    }
}

static void count_and_give(Output *o, unsigned place, XdpCounter counter,
                           int verdict)
{
    place_here(o, place);
    count(o, counter);
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, verdict));
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
}

/* Whatever is neither PASS nor TX drops, as in XDP without a redirect. */
static void epilogue(Output *o)
{
    place_here(o, AT_EPILOGUE);
    emit_to(o, insn(INSN_IF_EQUAL32, BPF_REG_0, 0, 0, XDP_PASS), AT_PASS);
    if (o->target->hook == XDP_HOOK_DEVMAP) {
        emit_to(o, insn(INSN_IF_EQUAL32, BPF_REG_0, 0, 0, XDP_TX), AT_PASS);
        count_and_give(o, AT_DROP, XDP_DROPPED, XDP_DROP);
        count_and_give(o, AT_PASS, XDP_PASSED, XDP_PASS);
        if (needs_charge(o->code)) {
            count_and_give(o, AT_UNEXAMINED, XDP_UNEXAMINED, XDP_PASS);
        }
        return;
    }
    emit_to(o, insn(INSN_IF_EQUAL32, BPF_REG_0, 0, 0, XDP_TX), AT_TX);
    count_and_give(o, AT_DROP, XDP_DROPPED, TC_ACT_SHOT);
    place_here(o, AT_TX);
    count(o, XDP_SENT);
    emit(o, insn(INSN_SET, BPF_REG_1, 0, 0, o->target->tap_ifindex));
    emit(o, insn(INSN_SET, BPF_REG_2, 0, 0, BPF_F_INGRESS));
    call_helper(o, BPF_FUNC_redirect);
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
    /* Other programs of the host may still have their say. */
    count_and_give(o, AT_PASS, XDP_PASSED, TC_ACT_UNSPEC);
    count_and_give(o, AT_UNEXAMINED, XDP_UNEXAMINED, TC_ACT_UNSPEC);
}

/* Where a function goes that cannot pay. */
static void used_up(Output *o)
{
    if (!o->code->functions[o->function].charged) {
        return;
    }
    place_here(o, AT_USED_UP + o->function);
    if (o->function == 0) {
        jump(o, o->track->changes ? AT_DROP : AT_UNEXAMINED);
        return;
    }
    emit(o, insn(INSN_LOAD64, BPF_REG_1, BPF_REG_10, saved(o, SAVED_BUDGET),
                 0));
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, 0));
    emit(o, insn(INSN_STORE32, BPF_REG_1, BPF_REG_0, budget_off(o), 0));
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
}

static void context_load(Output *o, const struct bpf_insn *load)
{
    bool tc = o->target->hook == XDP_HOOK_TC;
    int off = load->off;

    switch (load->off) {
    case offsetof(struct xdp_md, ingress_ifindex):
        emit(o, insn(INSN_SET32, load->dst_reg, 0, 0,
                     o->target->guest_ifindex));
        return;
    case offsetof(struct xdp_md, rx_queue_index):
        emit(o, insn(INSN_SET32, load->dst_reg, 0, 0, 0));
        return;
    case offsetof(struct xdp_md, data):
        off = tc ? SKB(data) : off;
        break;
    case offsetof(struct xdp_md, data_end):
        off = tc ? SKB(data_end) : off;
        break;
    case offsetof(struct xdp_md, data_meta):
        off = tc ? SKB(data_meta) : off;
        break;
    default:
        g_assert_not_reached();     /* xdp_track.c refuses it */
    }
    load32(o, load->dst_reg, load->src_reg, off);
}

/* An error of the helper before becomes the one that XDP has. */
static void only_einval(Output *o)
{
    emit(o, insn(INSN_IF_EQUAL, BPF_REG_0, 0, 1, 0));
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, -EINVAL));
}

/*
 * Since Linux 6.13 it takes any number of bytes, and the time for them; before,
 * it said EINVAL to more than 512 of both together.
 */
static void checksum_difference(Output *o, const struct bpf_insn *call)
{
    emit(o, insn(INSN_IF_ABOVE, BPF_REG_2, 0, 1, XDP_MAX_CHECKSUM));
    emit(o, insn(INSN_IF_AT_MOST, BPF_REG_4, 0, 2, XDP_MAX_CHECKSUM));
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, -EINVAL));
    emit(o, insn(INSN_JUMP, 0, 0, 1, 0));
    emit(o, *call);
}

static void helper(Output *o, const struct bpf_insn *call)
{
    XdpHelperUse use = xdp_helper(call->imm).use;

    if (use == XDP_HELPER_ADJUST_META) {
        emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, NOT_SUPPORTED));
        return;
    }
    if (use == XDP_HELPER_CSUM_DIFF) {
        checksum_difference(o, call);
        return;
    }
    if (o->target->hook == XDP_HOOK_DEVMAP) {
        emit(o, *call);
        return;
    }
    switch (use) {
    case XDP_HELPER_GET_LEN:
        load32(o, BPF_REG_0, BPF_REG_1, SKB(len));
        break;
    case XDP_HELPER_LOAD_BYTES:
        call_helper(o, BPF_FUNC_skb_load_bytes);
        only_einval(o);
        break;
    case XDP_HELPER_STORE_BYTES:
        emit(o, insn(INSN_SET, BPF_REG_5, 0, 0, 0));
        call_helper(o, BPF_FUNC_skb_store_bytes);
        only_einval(o);
        break;
    case XDP_HELPER_ADJUST_HEAD:
        o->adjusts_head = true;
        call_place(o, AT_ADJUST_HEAD);
        break;
    case XDP_HELPER_ADJUST_TAIL:
        o->adjusts_tail = true;
        call_place(o, AT_ADJUST_TAIL);
        break;
    default:
        emit(o, *call);
    }
}

/* The guest's call of one of its functions. */
static bool function_call(Output *o, unsigned at, GError **error)
{
    const XdpCode *code = o->code;
    unsigned callee = xdp_code_function(code, at + 1 + code->insns[at].imm);
    const XdpFunction *f = &code->functions[callee];
    unsigned reg = budget_register(o, callee);

    if (f->charged && !reg) {
        return xdp_refuse(error, at, "a function with five arguments may not"
                          " have loops or call others");
    }
    pay(o, at, code->cost[f->end] - code->cost[f->start]);
    if (f->charged) {
        emit(o, insn(INSN_LOAD64, reg, BPF_REG_10, saved(o, SAVED_BUDGET),
                     0));
    }
    call_place(o, AT_FUNCTION + callee);
    if (f->charged) {
        emit(o, insn(INSN_LOAD64, BPF_REG_1, BPF_REG_10,
                     saved(o, SAVED_BUDGET), 0));
        load32(o, BPF_REG_1, BPF_REG_1, budget_off(o));
        emit_to(o, insn(INSN_IF_EQUAL, BPF_REG_1, 0, 0, 0),
                AT_USED_UP + o->function);
    }
    return true;
}

static void map(Output *o, const struct bpf_insn *load)
{
    struct bpf_insn first = *load;

    if (first.src_reg) {
        first.imm = o->target->maps[first.imm].fd;
    }
    emit(o, first);
    emit(o, load[1]);
}

static bool body_insn(Output *o, unsigned at, GError **error)
{
    const XdpCode *code = o->code;
    const struct bpf_insn *from = &code->insns[at];

    if (BPF_CLASS(from->code) == BPF_LD) {
        map(o, from);
    } else if (BPF_CLASS(from->code) == BPF_LDX && o->track->on_context[at]) {
        context_load(o, from);
    } else if (xdp_is_call(from)) {
        return function_call(o, at, error);
    } else if (from->code == INSN_CALL) {
        helper(o, from);
    } else if (xdp_is_exit(from) && o->function == 0) {
        jump(o, AT_EPILOGUE);
    } else if (xdp_is_jump(from)) {
        unsigned to = at + 1 + from->off;

        if (xdp_is_back(from)) {
            pay(o, at, code->cost[at + 1] - code->cost[to]);
        }
        emit_to(o, *from, to);
    } else {
        emit(o, *from);
    }
    return true;
}

static bool function(Output *o, unsigned number, GError **error)
{
    const XdpFunction *f = &o->code->functions[number];
    unsigned at;

    o->function = number;
    if (number > 0) {
        place_here(o, AT_FUNCTION + number);
        keep_budget(o, budget_register(o, number));
    } else if (o->target->hook == XDP_HOOK_TC) {
        prologue(o);
    } else {
        prologue_devmap(o);
    }
    for (at = f->start; at < f->end; at += xdp_insn_len(&o->code->insns[at])) {
        place_here(o, at);
        if (!body_insn(o, at, error)) {
            return false;
        }
    }
    used_up(o);
    if (number == 0) {
        epilogue(o);
    }
    return true;
}

/*
 * int insert_tag(skb): 0, or what the kernel says against it
 *
 * There is one tag, beside the packet. It is taken away there, four bytes are
 * added in front, and the addresses moved over them.
 */
static void our_insert_tag(Output *o)
{
    const struct bpf_insn body[] = {
        insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0),
        insn(INSN_LOAD32, BPF_REG_2, BPF_REG_6, SKB(vlan_proto), 0),
        insn(INSN_STORE16, BPF_REG_10, BPF_REG_2, -4, 0),
        insn(INSN_LOAD32, BPF_REG_2, BPF_REG_6, SKB(vlan_tci), 0),
        insn(INSN_TO_BE, BPF_REG_2, 0, 0, 16),
        insn(INSN_STORE16, BPF_REG_10, BPF_REG_2, -2, 0),
        /* The addresses */
        insn(INSN_SET, BPF_REG_2, 0, 0, 0),
        insn(INSN_MOVE, BPF_REG_3, BPF_REG_10, 0, 0),
        insn(INSN_ADD_CONST, BPF_REG_3, 0, 0, -(ADDRESSES_LEN + TAG_LEN)),
        insn(INSN_SET, BPF_REG_4, 0, 0, ADDRESSES_LEN),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes),
        insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 17, 0),
        /* Room, before anything is lost */
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(INSN_SET, BPF_REG_2, 0, 0, TAG_LEN),
        insn(INSN_SET, BPF_REG_3, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_change_head),
        insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 12, 0),
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(INSN_SET, BPF_REG_2, 0, 0, 0),
        insn(INSN_MOVE, BPF_REG_3, BPF_REG_10, 0, 0),
        insn(INSN_ADD_CONST, BPF_REG_3, 0, 0, -(ADDRESSES_LEN + TAG_LEN)),
        insn(INSN_SET, BPF_REG_4, 0, 0, ADDRESSES_LEN + TAG_LEN),
        insn(INSN_SET, BPF_REG_5, 0, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_store_bytes),
        insn(INSN_MOVE, BPF_REG_7, BPF_REG_0, 0, 0),
        insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0),
        insn(INSN_CALL, 0, 0, 0, BPF_FUNC_skb_vlan_pop),
        insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 1, 0),
        insn(INSN_MOVE, BPF_REG_0, BPF_REG_7, 0, 0),
        insn(INSN_EXIT, 0, 0, 0, 0),
    };

    place_here(o, AT_INSERT_TAG);
    emit_all(o, body, G_N_ELEMENTS(body));
}

/*
 * int adjust_head(skb, delta): as XDP has it
 *
 * In front tc can only add. What is to go is taken out behind the Ethernet
 * header, and then what would be the first bytes is written over it.
 */
static void our_adjust_head(Output *o)
{
    place_here(o, AT_ADJUST_HEAD);
    emit_to(o, insn(INSN_IF_ABOVE_SIGNED32, BPF_REG_2, 0, 0, 0),
            AT_SHRINK_HEAD);
    emit(o, insn(INSN_SET, BPF_REG_0, 0, 0, 0));
    emit(o, insn(INSN_IF_EQUAL32, BPF_REG_2, 0, 4, 0));
    emit(o, insn(INSN_NEGATE32, BPF_REG_2, 0, 0, 0));
    emit(o, insn(INSN_SET, BPF_REG_3, 0, 0, 0));
    call_helper(o, BPF_FUNC_skb_change_head);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_FAIL_HEAD);
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));

    place_here(o, AT_SHRINK_HEAD);
    emit(o, insn(INSN_MOVE, BPF_REG_6, BPF_REG_1, 0, 0));
    emit(o, insn(INSN_MOVE32, BPF_REG_7, BPF_REG_2, 0, 0));
    emit(o, insn(INSN_MOVE, BPF_REG_3, BPF_REG_10, 0, 0));
    emit(o, insn(INSN_ADD_CONST, BPF_REG_3, 0, 0, -16));
    emit(o, insn(INSN_SET, BPF_REG_4, 0, 0, ETHERNET_LEN));
    call_helper(o, BPF_FUNC_skb_load_bytes);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_FAIL_HEAD);
    emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
    emit(o, insn(INSN_MOVE32, BPF_REG_2, BPF_REG_7, 0, 0));
    emit(o, insn(INSN_NEGATE32, BPF_REG_2, 0, 0, 0));
    emit(o, insn(INSN_SET, BPF_REG_3, 0, 0, ROOM_MAC));
    emit(o, insn(INSN_SET, BPF_REG_4, 0, 0, 0));
    call_helper(o, BPF_FUNC_skb_adjust_room);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_FAIL_HEAD);
    emit(o, insn(INSN_MOVE, BPF_REG_1, BPF_REG_6, 0, 0));
    emit(o, insn(INSN_SET, BPF_REG_2, 0, 0, 0));
    emit(o, insn(INSN_MOVE, BPF_REG_3, BPF_REG_10, 0, 0));
    emit(o, insn(INSN_ADD_CONST, BPF_REG_3, 0, 0, -16));
    emit(o, insn(INSN_SET, BPF_REG_4, 0, 0, ETHERNET_LEN));
    emit(o, insn(INSN_SET, BPF_REG_5, 0, 0, 0));
    call_helper(o, BPF_FUNC_skb_store_bytes);
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
    give_verdict(o, AT_FAIL_HEAD, -EINVAL);
}

/* int adjust_tail(skb, delta): as XDP has it */
static void our_adjust_tail(Output *o)
{
    place_here(o, AT_ADJUST_TAIL);
    load32(o, BPF_REG_3, BPF_REG_1, SKB(len));
    emit(o, insn(INSN_ADD32, BPF_REG_2, BPF_REG_3, 0, 0));
    emit_to(o, insn(INSN_IF_LESS32, BPF_REG_2, 0, 0, ETHERNET_LEN),
            AT_FAIL_TAIL);
    emit(o, insn(INSN_SET, BPF_REG_3, 0, 0, 0));
    call_helper(o, BPF_FUNC_skb_change_tail);
    emit_to(o, insn(INSN_IF_NOT_EQUAL, BPF_REG_0, 0, 0, 0), AT_FAIL_TAIL);
    emit(o, insn(INSN_EXIT, 0, 0, 0, 0));
    give_verdict(o, AT_FAIL_TAIL, -EINVAL);
}

/* Tells each jump and each call how far it goes. */
static bool link_places(Output *o, GError **error)
{
    guint i;

    for (i = 0; i < o->links->len; i++) {
        const Link *link = &g_array_index(o->links, Link, i);
        struct bpf_insn *from = &g_array_index(o->insns, struct bpf_insn,
                                               link->from);
        int distance = o->place[link->place] - (int)link->from - 1;

        g_assert(o->place[link->place] != NOWHERE);
        if (from->code == INSN_CALL) {
            from->imm = distance;
        } else if (distance < INT16_MIN || distance > INT16_MAX) {
            g_set_error(error, XDP_ERROR, XDP_ERROR_PROGRAM, "the program is"
                        " too long once it is translated");
            return false;
        } else {
            from->off = distance;
        }
    }
    return true;
}

static bool translate(Output *o, GError **error)
{
    unsigned i;

    for (i = 0; i < o->code->n_functions; i++) {
        if (!function(o, i, error)) {
            return false;
        }
    }
    if (o->target->hook == XDP_HOOK_TC) {
        our_insert_tag(o);
    }
    if (o->adjusts_head) {
        our_adjust_head(o);
    }
    if (o->adjusts_tail) {
        our_adjust_tail(o);
    }
    return link_places(o, error);
}

static XdpMayChange may_change(const XdpTarget *target)
{
    if (target->hook == XDP_HOOK_DEVMAP) {
        return XDP_CHANGE_NOTHING;
    }
    return target->rewrite ? XDP_CHANGE_ALL : XDP_CHANGE_ADDRESSES;
}

GArray *xdp_translate(const struct bpf_insn *insns, size_t count,
                      const XdpTarget *target, GError **error)
{
    g_autoptr(XdpCode) code = NULL;
    g_autoptr(XdpTrack) track = NULL;
    Output o = { .target = target };
    unsigned i;
    bool good;

    g_assert(target->budget <= XDP_BUDGET);
    code = xdp_code_new(insns, count, target->maps, target->n_maps, error);
    if (!code) {
        return NULL;
    }
    if (target->hook == XDP_HOOK_DEVMAP && !target->budget_fd &&
        needs_charge(code)) {
        g_set_error(error, XDP_ERROR, XDP_ERROR_PROGRAM, "loops and functions"
                    " have no budget here");
        return NULL;
    }
    track = xdp_track_new(code, may_change(target), error);
    if (!track) {
        return NULL;
    }
    o.code = code;
    o.track = track;
    o.insns = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));
    o.links = g_array_new(FALSE, FALSE, sizeof(Link));
    for (i = 0; i < N_PLACES; i++) {
        o.place[i] = NOWHERE;
    }
    good = translate(&o, error);
    g_array_free(o.links, TRUE);
    if (!good) {
        g_array_free(o.insns, TRUE);
        return NULL;
    }
    return o.insns;
}
