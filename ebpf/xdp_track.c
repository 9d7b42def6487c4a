/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking the context
 *
 * Walks all ways through the program and notes what each register and each
 * eight bytes of the stack can hold: the context, a pointer into the packet or
 * into the stack, or anything else. Where ways meet, kinds are joined; what
 * may be the context on one way only is XDP_KIND_UNKNOWN and may be moved, but
 * not used. A function is walked anew at each call, with the stacks of its
 * callers, until nothing changes any more.
 *
 * Invariants
 *  - No instruction can have the context as its base that is not noted as
 *    such: if it could, a guest could write to the host's sk_buff, and to the
 *    budget that is kept there.
 *  - No pointer gets below what @depth says, where the translation keeps its
 *    own: only eight bytes hold one, and these have a place that is known.
 *  - The other way round does no harm. Where this walk sees a context and
 *    there is none, because a helper wrote over it, the kernel's verifier
 *    refuses the program.
 *  - Each register that is read was written before, on each way. So those that
 *    are not may be used in between.
 *
 * The kernel's verifier reads what comes out of the translation, and has the
 * last word on everything else.
 */
#include <string.h>

#include "xdp_track.h"

enum {
    SLOT = 8,                                   /* bytes */
    SLOTS = XDP_MAX_STACK / SLOT,
    MAX_STEPS = 32 * XDP_MAX_INSNS,             /* of the walk */
    ADDRESSES_LEN = 12,                         /* of Ethernet, bytes */
    MAX_PACKET_OFFSET = 255,                    /* that is followed */
};

/* What a register holds. From KIND_PACKET_AT on there is a place, too. */
enum {
    KIND_OTHER,
    KIND_CONTEXT,
    KIND_UNKNOWN,           /* may be the context */
    KIND_UNSET,             /* on some way; may not be read */
    KIND_PACKET,            /* somewhere in it, or its end */
    KIND_STACK,             /* somewhere in any frame */
    KIND_PACKET_AT = 0x4000,    /* + bytes from its start */
    KIND_STACK_AT = 0x8000,     /* + frame * 1024 + 512 + bytes from its top */
};
typedef uint16_t Kind;

enum {
    FRAME_SPAN = 2 * XDP_MAX_STACK,
    SCRATCHED = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5,
};

/**
 * State: of the machine before an instruction
 * @initial: registers that still hold what the caller has set, as bits
 * @slot: the stacks of the function and of those above it
 */
typedef struct State {
    Kind reg[BPF_REG_10];
    uint16_t initial;
    Kind slot[XDP_MAX_FRAMES][SLOTS];
} State;

/**
 * Walk: of a program
 * @seen: per instruction: it was reached
 * @plain: per instruction: it loads from something else than the context
 * @function, @frame: the call that is walked just now
 * @owner: per frame: the function that it belongs to
 */
typedef struct Walk {
    const XdpCode *code;
    XdpTrack *track;
    XdpMayChange may_change;
    bool *seen, *plain;
    unsigned steps;
    unsigned function, frame;
    unsigned owner[XDP_MAX_FRAMES];
    GError **error;
} Walk;

static State *copy_state(const State *s)
{
    State *copy = g_new(State, 1);

    *copy = *s;
    return copy;
}

static bool is_packet(Kind kind)
{
    return kind == KIND_PACKET ||
           (kind >= KIND_PACKET_AT && kind < KIND_STACK_AT);
}

static bool is_stack(Kind kind)
{
    return kind == KIND_STACK || kind >= KIND_STACK_AT;
}

static bool may_be_context(Kind kind)
{
    return kind == KIND_CONTEXT || kind == KIND_UNKNOWN;
}

static Kind join(Kind a, Kind b)
{
    if (a == b) {
        return a;
    }
    if (a == KIND_UNSET || b == KIND_UNSET) {
        return KIND_UNSET;
    }
    if (may_be_context(a) || may_be_context(b) ||
        (is_stack(a) && is_packet(b)) || (is_packet(a) && is_stack(b))) {
        return KIND_UNKNOWN;
    }
    return is_stack(a) || is_stack(b) ? KIND_STACK : KIND_PACKET;
}

static Kind stack_at(Walk *w, unsigned frame, int off)
{
    uint16_t *depth = &w->track->depth[w->owner[frame]];

    if (off < -XDP_MAX_STACK || off >= XDP_MAX_STACK) {
        return KIND_STACK;
    }
    *depth = MAX(*depth, -off);
    return KIND_STACK_AT + frame * FRAME_SPAN + XDP_MAX_STACK + off;
}

static unsigned stack_frame(Kind kind)
{
    return (kind - KIND_STACK_AT) / FRAME_SPAN;
}

static int stack_offset(Kind kind)
{
    return (kind - KIND_STACK_AT) % FRAME_SPAN - XDP_MAX_STACK;
}

/* A pointer, @by bytes further. */
static Kind moved(Walk *w, Kind kind, int64_t by)
{
    int64_t to;

    by = CLAMP(by, -FRAME_SPAN, FRAME_SPAN);
    if (kind >= KIND_STACK_AT) {
        return stack_at(w, stack_frame(kind), stack_offset(kind) + by);
    }
    if (kind >= KIND_PACKET_AT) {
        to = kind - KIND_PACKET_AT + by;
        return to >= 0 && to <= MAX_PACKET_OFFSET ? KIND_PACKET_AT + to
                                                  : KIND_PACKET;
    }
    return kind;
}

/* Reads a register. */
static bool take(Walk *w, State *s, unsigned at, unsigned reg, Kind *kind)
{
    if (reg == BPF_REG_10) {
        *kind = stack_at(w, w->frame, 0);
        return true;
    }
    if (s->reg[reg] == KIND_UNSET) {
        return xdp_refuse(w->error, at, "r%u is read, which is not written"
                          " before on every way", reg);
    }
    if (s->initial >> reg & 1) {
        w->track->args[w->function] |= 1 << reg;
    }
    *kind = s->reg[reg];
    return true;
}

static void put(State *s, unsigned reg, Kind kind)
{
    s->reg[reg] = kind;
    s->initial &= ~(1 << reg);
}

/* The slot that eight bytes at @base + @off are; NULL if they are none. */
static Kind *slot(Walk *w, State *s, Kind base, int off)
{
    int at = stack_offset(base) + off;

    stack_at(w, stack_frame(base), at);
    if (at < -XDP_MAX_STACK || at > -SLOT || at % SLOT) {
        return NULL;
    }
    return &s->slot[stack_frame(base)][(at + XDP_MAX_STACK) / SLOT];
}

/* A part of a slot was written. */
static void spoil(Walk *w, State *s, Kind base, int off)
{
    int at = stack_offset(base) + off;

    stack_at(w, stack_frame(base), at);
    if (at >= -XDP_MAX_STACK && at < 0) {
        s->slot[stack_frame(base)][(at + XDP_MAX_STACK) / SLOT] = KIND_OTHER;
    }
}

static bool load_context(Walk *w, unsigned at, const struct bpf_insn *insn,
                         Kind *kind)
{
    if (insn->code != (BPF_LDX | BPF_MEM | BPF_W)) {
        return xdp_refuse(w->error, at, "the context has fields of four bytes"
                          " only");
    }
    switch (insn->off) {
    case offsetof(struct xdp_md, data):
        *kind = KIND_PACKET_AT;
        return true;
    case offsetof(struct xdp_md, data_end):
    case offsetof(struct xdp_md, data_meta):
        *kind = KIND_PACKET;
        return true;
    case offsetof(struct xdp_md, ingress_ifindex):
    case offsetof(struct xdp_md, rx_queue_index):
        *kind = KIND_OTHER;
        return true;
    default:
        return xdp_refuse(w->error, at, "the context has no field at %d that"
                          " could be read here", insn->off);
    }
}

static bool load(Walk *w, State *s, unsigned at, const struct bpf_insn *insn)
{
    unsigned size = xdp_access_size(insn);
    Kind base, *from, kind = KIND_OTHER;

    if (!take(w, s, at, insn->src_reg, &base)) {
        return false;
    }
    w->track->on_context[at] |= base == KIND_CONTEXT;
    w->plain[at] |= base != KIND_CONTEXT;
    if (base == KIND_UNKNOWN || (w->track->on_context[at] && w->plain[at])) {
        return xdp_refuse(w->error, at, "it loads from what may be the"
                          " context or not");
    }
    if (base == KIND_CONTEXT) {
        if (!load_context(w, at, insn, &kind)) {
            return false;
        }
    } else if (is_stack(base) && size == SLOT) {
        from = base == KIND_STACK ? NULL : slot(w, s, base, insn->off);
        if (!from) {
            return xdp_refuse(w->error, at, "it loads eight bytes from an"
                              " unknown place of the stack");
        }
        kind = *from;
    }
    put(s, insn->dst_reg, kind);
    return true;
}

static bool change_packet(Walk *w, unsigned at, Kind base, int off,
                          unsigned size)
{
    int64_t from = base - KIND_PACKET_AT + off;
    bool address = base != KIND_PACKET && from >= 0 &&
                   from + size <= ADDRESSES_LEN;

    w->track->changes = true;
    if (w->may_change == XDP_CHANGE_ALL ||
        (w->may_change == XDP_CHANGE_ADDRESSES && address)) {
        return true;
    }
    return xdp_refuse(w->error, at, "it changes the packet%s",
                      w->may_change == XDP_CHANGE_ADDRESSES
                      ? " behind its two Ethernet addresses; that needs"
                        " rewrite=on" : "");
}

static bool store(Walk *w, State *s, unsigned at, Kind base, Kind value)
{
    const struct bpf_insn *insn = &w->code->insns[at];
    unsigned size = xdp_access_size(insn);
    Kind *to;

    if (may_be_context(base)) {
        return xdp_refuse(w->error, at, "it writes to what may be the"
                          " context");
    }
    if (base >= KIND_STACK_AT && size == SLOT) {
        to = slot(w, s, base, insn->off);
        if (to) {
            *to = value;
            return true;
        }
    }
    if (may_be_context(value)) {
        return xdp_refuse(w->error, at, "the context is stored where it"
                          " cannot be followed");
    }
    if (base == KIND_STACK && size == SLOT &&
        BPF_CLASS(insn->code) == BPF_STX) {
        return xdp_refuse(w->error, at, "it stores eight bytes at an unknown"
                          " place of the stack");
    }
    if (base >= KIND_STACK_AT) {
        spoil(w, s, base, insn->off);
    } else if (is_packet(base)) {
        return change_packet(w, at, base, insn->off, size);
    }
    return true;
}

static bool atomic(Walk *w, State *s, unsigned at, const struct bpf_insn *insn)
{
    Kind base, value;

    if (!take(w, s, at, insn->dst_reg, &base) ||
        !take(w, s, at, insn->src_reg, &value) ||
        (insn->imm == BPF_CMPXCHG && !take(w, s, at, BPF_REG_0, &value))) {
        return false;
    }
    if (base != KIND_OTHER || may_be_context(value)) {
        return xdp_refuse(w->error, at, "an atomic operation is only supported"
                          " on what is in a map");
    }
    if (insn->imm == BPF_CMPXCHG) {
        put(s, BPF_REG_0, KIND_OTHER);
    } else if (insn->imm & BPF_FETCH) {
        if (insn->src_reg == BPF_REG_10) {
            return xdp_refuse(w->error, at, "the frame pointer cannot be"
                              " written");
        }
        put(s, insn->src_reg, KIND_OTHER);
    }
    return true;
}

/* Of two values that are added or otherwise combined, all 64 bits of them. */
static Kind combined(Kind a, Kind b, bool difference)
{
    if (difference && is_packet(a) && is_packet(b)) {
        return KIND_OTHER;      /* a length */
    }
    a = is_stack(a) ? KIND_STACK : is_packet(a) ? KIND_PACKET : a;
    b = is_stack(b) ? KIND_STACK : is_packet(b) ? KIND_PACKET : b;
    return join(a, b);
}

static bool arithmetic(Walk *w, State *s, unsigned at,
                       const struct bpf_insn *insn)
{
    bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
    uint8_t op = BPF_OP(insn->code);
    bool uses_reg = op != BPF_END && op != BPF_NEG && xdp_takes_register(insn);
    Kind dst = KIND_OTHER, src = KIND_OTHER;

    if ((op != BPF_MOV && !take(w, s, at, insn->dst_reg, &dst)) ||
        (uses_reg && !take(w, s, at, insn->src_reg, &src))) {
        return false;
    }
    if (wide && op == BPF_MOV && insn->off == 0) {
        put(s, insn->dst_reg, src);
        return true;
    }
    if (may_be_context(dst) || may_be_context(src)) {
        return xdp_refuse(w->error, at, "arithmetic with what may be the"
                          " context");
    }
    if (!wide || op == BPF_MOV) {
        dst = KIND_OTHER;
    } else if (!uses_reg && (op == BPF_ADD || op == BPF_SUB)) {
        dst = moved(w, dst, op == BPF_ADD ? (int64_t)insn->imm
                                          : -(int64_t)insn->imm);
    } else {
        dst = combined(dst, src, op == BPF_SUB);
    }
    put(s, insn->dst_reg, dst);
    return true;
}

/* What a call leaves of the registers. */
static void returned(State *s, Kind value)
{
    unsigned reg;

    for (reg = BPF_REG_1; reg <= BPF_REG_5; reg++) {
        s->reg[reg] = KIND_UNSET;
    }
    s->reg[BPF_REG_0] = value;
    s->initial &= ~SCRATCHED;
}

static bool call_helper(Walk *w, State *s, unsigned at, int32_t number)
{
    XdpHelper helper = xdp_helper(number);
    unsigned reg;
    Kind kind;

    for (reg = BPF_REG_1; reg <= helper.n_args; reg++) {
        if (!take(w, s, at, reg, &kind)) {
            return false;
        }
        if (reg == BPF_REG_1 && helper.use >= XDP_HELPER_GET_LEN) {
            if (kind != KIND_CONTEXT) {
                return xdp_refuse(w->error, at, "helper %d takes the context,"
                                  " and r1 is not surely that", number);
            }
            w->track->on_context[at] = true;
        } else if (may_be_context(kind)) {
            return xdp_refuse(w->error, at, "helper %d gets the context in"
                              " r%u", number, reg);
        }
    }
    if (helper.use >= XDP_HELPER_STORE_BYTES) {
        w->track->changes = true;
        if (w->may_change != XDP_CHANGE_ALL) {
            return xdp_refuse(w->error, at, "helper %d changes the packet%s",
                              number, w->may_change == XDP_CHANGE_ADDRESSES
                              ? "; that needs rewrite=on" : "");
        }
    }
    returned(s, KIND_OTHER);
    return true;
}

static bool walk(Walk *w, unsigned function, unsigned frame, State *in,
                 bool *returns);

/* Walks the function that is called. @goes_on: whether it comes back. */
static bool call(Walk *w, State *s, unsigned at, bool *goes_on)
{
    unsigned callee = xdp_code_function(w->code,
                                        at + 1 + w->code->insns[at].imm);
    unsigned caller = w->function, frame = w->frame, reg;
    State *inner;
    bool good;
    Kind kind;

    if (frame + 1 == XDP_MAX_FRAMES) {
        return xdp_refuse(w->error, at, "calls within calls: more than %d",
                          XDP_MAX_FRAMES);
    }
    inner = copy_state(s);
    for (reg = 0; reg < BPF_REG_10; reg++) {
        if (reg < BPF_REG_1 || reg > BPF_REG_5) {
            inner->reg[reg] = KIND_UNSET;
        }
    }
    inner->initial = SCRATCHED & ~1;
    memset(inner->slot[frame + 1], 0, sizeof(inner->slot[0]));
    good = walk(w, callee, frame + 1, inner, goes_on);
    w->function = caller;
    w->frame = frame;

    for (reg = BPF_REG_1; good && reg <= BPF_REG_5; reg++) {
        if (w->track->args[callee] >> reg & 1) {
            good = take(w, s, at, reg, &kind);
        }
    }
    if (good && *goes_on) {
        kind = inner->reg[BPF_REG_0];
        if (may_be_context(kind)) {
            good = xdp_refuse(w->error, at, "the function returns the"
                              " context");
        }
        memcpy(s->slot, inner->slot, sizeof(s->slot));
        returned(s, is_stack(kind) ? KIND_STACK : kind);
    }
    g_free(inner);
    return good;
}

/* One instruction. @goes_on: whether the next one is reached from it. */
static bool step(Walk *w, State *s, unsigned at, bool *goes_on)
{
    const struct bpf_insn *insn = &w->code->insns[at];
    Kind a, b;

    *goes_on = true;
    switch (BPF_CLASS(insn->code)) {
    case BPF_LD:
        put(s, insn->dst_reg, KIND_OTHER);
        return true;
    case BPF_LDX:
        return load(w, s, at, insn);
    case BPF_ST:
        return take(w, s, at, insn->dst_reg, &a) &&
               store(w, s, at, a, KIND_OTHER);
    case BPF_STX:
        if (BPF_MODE(insn->code) == BPF_ATOMIC) {
            return atomic(w, s, at, insn);
        }
        return take(w, s, at, insn->dst_reg, &a) &&
               take(w, s, at, insn->src_reg, &b) && store(w, s, at, a, b);
    case BPF_ALU:
    case BPF_ALU64:
        return arithmetic(w, s, at, insn);
    }
    if (xdp_is_call(insn)) {
        return call(w, s, at, goes_on);
    }
    switch (BPF_OP(insn->code)) {
    case BPF_CALL:
        return call_helper(w, s, at, insn->imm);
    case BPF_EXIT:
        *goes_on = false;
        return w->frame > 0 || take(w, s, at, BPF_REG_0, &a);
    case BPF_JA:
        *goes_on = false;
        return true;
    default:
        return take(w, s, at, insn->dst_reg, &a) &&
               (!xdp_takes_register(insn) ||
                take(w, s, at, insn->src_reg, &b));
    }
}

/* Joins @s into @to. Returns whether that changed it. */
static bool join_state(State *to, const State *s, unsigned frames)
{
    bool changed = (to->initial | s->initial) != to->initial;
    unsigned i, j;
    Kind kind;

    to->initial |= s->initial;
    for (i = 0; i < BPF_REG_10; i++) {
        kind = join(to->reg[i], s->reg[i]);
        changed |= kind != to->reg[i];
        to->reg[i] = kind;
    }
    for (i = 0; i < frames; i++) {
        for (j = 0; j < SLOTS; j++) {
            kind = join(to->slot[i][j], s->slot[i][j]);
            changed |= kind != to->slot[i][j];
            to->slot[i][j] = kind;
        }
    }
    return changed;
}

/**
 * Ways: through one call of a function
 * @states: per instruction: before it; only where one jumps to
 * @waits: per instruction: its state has changed since it was walked
 * @next: no instruction before this one waits
 */
typedef struct Ways {
    unsigned start, len, frames, next;
    State **states;
    bool *waits;
} Ways;

static void arrive(Ways *ways, unsigned at, const State *s)
{
    unsigned i = at - ways->start;

    if (!ways->states[i]) {
        ways->states[i] = copy_state(s);
    } else if (!join_state(ways->states[i], s, ways->frames)) {
        return;
    }
    ways->waits[i] = true;
    ways->next = MIN(ways->next, i);
}

static void note_registers(Walk *w, const State *s, unsigned at)
{
    uint16_t set = 0;
    unsigned reg;

    for (reg = 0; reg < BPF_REG_10; reg++) {
        set |= (s->reg[reg] != KIND_UNSET) << reg;
    }
    w->track->set[at] = w->seen[at] ? w->track->set[at] & set : set;
    w->seen[at] = true;
}

/* From @at to where another way may join. @out: joined states at exits. */
static bool walk_block(Walk *w, Ways *ways, unsigned at, State *s, State *out,
                       bool *returns)
{
    bool goes_on;

    for (;;) {
        const struct bpf_insn *insn = &w->code->insns[at];

        if (++w->steps > MAX_STEPS) {
            return xdp_refuse(w->error, at, "the program is too complex");
        }
        note_registers(w, s, at);
        if (!step(w, s, at, &goes_on)) {
            return false;
        }
        if (xdp_is_exit(insn)) {
            if (*returns) {
                join_state(out, s, ways->frames);
            } else {
                *out = *s;
            }
            *returns = true;
        } else if (xdp_is_jump(insn)) {
            arrive(ways, at + 1 + insn->off, s);
        }
        if (!goes_on) {
            return true;
        }
        at += xdp_insn_len(insn);
        if (w->code->target[at]) {
            arrive(ways, at, s);
            return true;
        }
    }
}

/*
 * One call of @function, with @in before it. @in becomes what is there when it
 * returns, and @returns whether it does.
 */
static bool walk(Walk *w, unsigned function, unsigned frame, State *in,
                 bool *returns)
{
    const XdpFunction *f = &w->code->functions[function];
    Ways ways = {
        .start = f->start,
        .len = f->end - f->start,
        .frames = frame + 1,
    };
    g_autofree State *s = copy_state(in);
    bool good = true;
    unsigned i;

    w->owner[frame] = function;
    ways.states = g_new0(State *, ways.len);
    ways.waits = g_new0(bool, ways.len);
    *returns = false;
    arrive(&ways, f->start, s);
    while (good && ways.next < ways.len) {
        i = ways.next++;
        if (ways.waits[i]) {
            ways.waits[i] = false;
            *s = *ways.states[i];
            w->function = function;
            w->frame = frame;
            good = walk_block(w, &ways, f->start + i, s, in, returns);
        }
    }
    for (i = 0; i < ways.len; i++) {
        g_free(ways.states[i]);
    }
    g_free(ways.states);
    g_free(ways.waits);
    return good;
}

static bool all_reached(const Walk *w, GError **error)
{
    unsigned at;

    for (at = 0; at < w->code->count;
         at += xdp_insn_len(&w->code->insns[at])) {
        if (!w->seen[at]) {
            return xdp_refuse(error, at, "it is never reached");
        }
    }
    return true;
}

XdpTrack *xdp_track_new(const XdpCode *code, XdpMayChange may_change,
                        GError **error)
{
    g_autoptr(XdpTrack) track = g_new0(XdpTrack, 1);
    g_autofree bool *seen = g_new0(bool, code->count);
    g_autofree bool *plain = g_new0(bool, code->count);
    g_autofree State *start = g_new0(State, 1);
    Walk w = {
        .code = code, .track = track, .may_change = may_change,
        .seen = seen, .plain = plain, .error = error,
    };
    unsigned reg;
    bool returns;

    track->on_context = g_new0(bool, code->count);
    track->set = g_new0(uint16_t, code->count);
    for (reg = 0; reg < BPF_REG_10; reg++) {
        start->reg[reg] = KIND_UNSET;
    }
    start->reg[BPF_REG_1] = KIND_CONTEXT;
    if (!walk(&w, 0, 0, start, &returns) || !all_reached(&w, error)) {
        return NULL;
    }
    return g_steal_pointer(&track);
}

void xdp_track_free(XdpTrack *track)
{
    if (track) {
        g_free(track->on_context);
        g_free(track->set);
        g_free(track);
    }
}
