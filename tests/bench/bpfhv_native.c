/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verifier of bpfhv's driver refuses is not known here either. */
#include <dlfcn.h>
#include <glib.h>
#include <stdbool.h>

#include "bpfhv_native.h"
#include "linux/bpfhv/bpfhv_verify.h"

enum { NUM_REGS = 12 };

static void unknown(const struct bpf_insn *insn)
{
    g_error("instruction 0x%02x is not known", insn->code);
}

/* The second operand of @insn, as signed or as unsigned bits. */
static char *operand(const struct bpf_insn *insn, const char *type)
{
    return BPF_SRC(insn->code) == BPF_X
           ? g_strdup_printf("(%s)r%u", type, insn->src_reg)
           : g_strdup_printf("(%s)(%d)", type, insn->imm);
}

static void write_alu(FILE *file, const struct bpf_insn *insn)
{
    static const char *const signs[] = {
        [BPF_ADD >> 4] = "+", [BPF_SUB >> 4] = "-", [BPF_MUL >> 4] = "*",
        [BPF_DIV >> 4] = "/", [BPF_MOD >> 4] = "%", [BPF_OR >> 4] = "|",
        [BPF_AND >> 4] = "&", [BPF_XOR >> 4] = "^", [BPF_LSH >> 4] = "<<",
        [BPF_RSH >> 4] = ">>", [BPF_ARSH >> 4] = ">>",
    };
    bool is64 = BPF_CLASS(insn->code) == BPF_ALU64;
    const char *type = is64 ? "uint64_t" : "uint32_t";
    unsigned op = BPF_OP(insn->code), dst = insn->dst_reg;
    g_autofree char *b = operand(insn, BPF_SRC(insn->code) == BPF_X ? type :
                                 is64 ? "uint64_t)(int64_t" : "uint32_t");

    if (op == BPF_MOV) {
        fprintf(file, "r%u = %s;\n", dst, b);
    } else if (op == BPF_NEG) {
        fprintf(file, "r%u = (%s)-r%u;\n", dst, type, dst);
    } else if (op == BPF_ARSH) {
        fprintf(file, "r%u = (%s)((%s)r%u >> (%s));\n", dst, type,
                is64 ? "int64_t" : "int32_t", dst, b);
    } else if (op >> 4 < G_N_ELEMENTS(signs) && signs[op >> 4]) {
        fprintf(file, "r%u = (%s)((%s)r%u %s %s);\n", dst, type, type, dst,
                signs[op >> 4], b);
    } else {
        unknown(insn);
    }
}

static void write_jump(FILE *file, const struct bpf_insn *insn, uint32_t at)
{
    static const struct { const char *sign; bool is_signed; } kinds[] = {
        [BPF_JEQ >> 4] = { "==" }, [BPF_JNE >> 4] = { "!=" },
        [BPF_JGT >> 4] = { ">" }, [BPF_JGE >> 4] = { ">=" },
        [BPF_JLT >> 4] = { "<" }, [BPF_JLE >> 4] = { "<=" },
        [BPF_JSET >> 4] = { "&" },
        [BPF_JSGT >> 4] = { ">", true }, [BPF_JSGE >> 4] = { ">=", true },
        [BPF_JSLT >> 4] = { "<", true }, [BPF_JSLE >> 4] = { "<=", true },
    };
    unsigned op = BPF_OP(insn->code);
    bool is64 = BPF_CLASS(insn->code) == BPF_JMP;

    if (op == BPF_EXIT) {
        fprintf(file, "return r0;\n");
    } else if (op == BPF_JA) {
        fprintf(file, "goto l%u;\n", at + 1 + insn->off);
    } else if (op >> 4 < G_N_ELEMENTS(kinds) && kinds[op >> 4].sign) {
        bool is_signed = kinds[op >> 4].is_signed;
        const char *type = is64 ? is_signed ? "int64_t" : "uint64_t"
                                : is_signed ? "int32_t" : "uint32_t";
        g_autofree char *b = operand(insn, BPF_SRC(insn->code) == BPF_X ? type
                                     : is64 && !is_signed
                                     ? "uint64_t)(int64_t" : type);

        fprintf(file, "if ((%s)r%u %s %s) goto l%u;\n", type, insn->dst_reg,
                kinds[op >> 4].sign, b, at + 1 + insn->off);
    } else {
        unknown(insn);
    }
}

static void write_access(FILE *file, const struct bpf_insn *insn)
{
    static const unsigned sizes[] = { 32, 16, 8, 64 };      /* W, H, B, DW */
    unsigned bits = sizes[BPF_SIZE(insn->code) >> 3];
    bool loads = BPF_CLASS(insn->code) == BPF_LDX;
    g_autofree char *place = g_strdup_printf(
        "*(volatile uint%u_t *)(r%u + %d)", bits,
        loads ? insn->src_reg : insn->dst_reg, insn->off);

    if (BPF_MODE(insn->code) == BPF_ATOMIC && insn->imm == BPF_XCHG) {
        fprintf(file, "r%u = __atomic_exchange_n((uint%u_t *)(r%u + %d), "
                "(uint%u_t)r%u, __ATOMIC_SEQ_CST);\n", insn->src_reg, bits,
                insn->dst_reg, insn->off, bits, insn->src_reg);
    } else if (BPF_MODE(insn->code) != BPF_MEM) {
        unknown(insn);
    } else if (loads) {
        fprintf(file, "r%u = %s;\n", insn->dst_reg, place);
    } else if (BPF_CLASS(insn->code) == BPF_STX) {
        fprintf(file, "%s = r%u;\n", place, insn->src_reg);
    } else {
        fprintf(file, "%s = %d;\n", place, insn->imm);
    }
}

void bpfhv_native_write(FILE *file, const char *name,
                        const struct bpf_insn *insns, uint32_t count)
{
    fprintf(file, "#include <stdint.h>\nint32_t %s(void *ctx)\n{\n"
            "uint64_t stack[%d], r1 = (uint64_t)ctx, "
            "r10 = (uint64_t)(stack + %d);\nuint64_t r0 = 0", name,
            BPFHV_VERIFIED_STACK / 8, BPFHV_VERIFIED_STACK / 8);
    for (unsigned i = 2; i < NUM_REGS; i++) {
        if (i != BPF_REG_10) {
            fprintf(file, ", r%u = 0", i);
        }
    }
    fprintf(file, ";\n");
    for (uint32_t i = 0; i < count; i++) {
        fprintf(file, "l%u: ", i);
        switch (BPF_CLASS(insns[i].code)) {
        case BPF_ALU:
        case BPF_ALU64:
            write_alu(file, &insns[i]);
            break;
        case BPF_JMP:
        case BPF_JMP32:
            write_jump(file, &insns[i], i);
            break;
        case BPF_LDX:
        case BPF_ST:
        case BPF_STX:
            write_access(file, &insns[i]);
            break;
        default:            /* the only one: a constant of 64 bits */
            fprintf(file, "r%u = 0x%08x%08xull;\nl%u: ;\n", insns[i].dst_reg,
                    insns[i + 1].imm, insns[i].imm, i + 1);
            i++;
        }
    }
    fprintf(file, "}\n");
}

void *bpfhv_native_load(const char *path)
{
    g_autofree char *object = g_strdup_printf("%s.so", path);
    g_autofree char *command = g_strdup_printf(
        "cc -O2 -fno-strict-aliasing -w -shared -fPIC -o %s -x c %s", object,
        path);
    void *handle;
    int status;

    if (!g_spawn_command_line_sync(command, NULL, NULL, &status, NULL) ||
        status || !(handle = dlopen(object, RTLD_NOW))) {
        g_error("%s fails", command);
    }
    return handle;
}
