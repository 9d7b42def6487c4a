// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A queue: its context, the table of its buffers, and its programs.
 *
 * The table alone says which buffers the device has. A cookie of the device's
 * is an index that is checked, and a buffer comes back once.
 */
#include <linux/dma-mapping.h>
#include <linux/filter.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "bpfhv.h"
#include "bpfhv_verify.h"

static const char *kind_of(const struct bpfhv_queue *q)
{
    return q->is_tx ? "transmit" : "receive";
}

void bpfhv_set_context(struct bpfhv_card *card, u32 number, dma_addr_t paddr)
{
    bpfhv_write(card, BPFHV_REG_QUEUE_SELECT, number);
    bpfhv_write(card, BPFHV_REG_CTX_PADDR_LO, lower_32_bits(paddr));
    bpfhv_write(card, BPFHV_REG_CTX_PADDR_HI, upper_32_bits(paddr));
}

int bpfhv_queue_create(struct bpfhv_card *card, struct bpfhv_queue *q,
                       u32 number)
{
    q->card = card;
    q->number = number;
    q->is_tx = number >= card->num_rx;
    q->index = q->is_tx ? number - card->num_rx : number;
    q->programs = card->programs[q->is_tx];
    q->doorbell = card->doorbells + (size_t)number * card->doorbell_size;
    q->num_slots = q->is_tx ? card->tx_slots : card->rx_slots;
    q->num_free = 0;
    q->num_outstanding = 0;
    q->num_pending = 0;
    q->is_armed = false;

    q->slots = kvcalloc(q->num_slots, sizeof(*q->slots), GFP_KERNEL);
    q->free = kvcalloc(q->num_slots, sizeof(*q->free), GFP_KERNEL);
    q->ctx_size = q->is_tx ? card->tx_ctx_size : card->rx_ctx_size;
    q->ctx = dma_alloc_coherent(&card->pdev->dev, q->ctx_size, &q->ctx_paddr,
                                GFP_KERNEL | __GFP_ZERO);
    if (!q->slots || !q->free || !q->ctx) {
        bpfhv_queue_destroy(q);
        return -ENOMEM;
    }
    while (q->num_free < q->num_slots) {
        q->free[q->num_free] = q->num_slots - 1 - q->num_free;
        q->num_free++;
    }
    bpfhv_set_context(card, number, q->ctx_paddr);
    return 0;
}

void bpfhv_queue_destroy(struct bpfhv_queue *q)
{
    if (q->ctx) {
        bpfhv_set_context(q->card, q->number, 0);
        dma_free_coherent(&q->card->pdev->dev, q->ctx_size, q->ctx,
                          q->ctx_paddr);
        q->ctx = NULL;
    }
    kvfree(q->free);
    kvfree(q->slots);
    q->free = NULL;
    q->slots = NULL;
}

struct bpfhv_slot *bpfhv_queue_give(struct bpfhv_queue *q, u16 *cookie)
{
    struct bpfhv_slot *slot;

    *cookie = q->free[--q->num_free];
    slot = &q->slots[*cookie];
    slot->is_outstanding = true;
    q->num_outstanding++;
    return slot;
}

struct bpfhv_slot *bpfhv_queue_take(struct bpfhv_queue *q, u16 cookie)
{
    struct bpfhv_slot *slot = NULL;

    if (cookie < q->num_slots) {
        slot = &q->slots[array_index_nospec(cookie, q->num_slots)];
    }
    if (!slot || !slot->is_outstanding) {
        bpfhv_break(q->card, "%s queue %u returned a buffer that it does not "
                    "have (%u)", kind_of(q), q->index, cookie);
        return NULL;
    }
    slot->is_outstanding = false;
    q->num_outstanding--;
    return slot;
}

void bpfhv_queue_release(struct bpfhv_queue *q, struct bpfhv_slot *slot)
{
    slot->data = NULL;
    q->free[q->num_free++] = slot - q->slots;
}

/* Run a program; an answer of less than 0 or more than @max breaks the card. */
static int run(struct bpfhv_queue *q, enum bpfhv_step step, int max)
{
    static const char *const names[] = {
        [BPFHV_PUBLISH] = "publish",
        [BPFHV_COMPLETE] = "complete",
        [BPFHV_INTERRUPTS] = "interrupts",
    };
    int ret = bpf_prog_run_pin_on_cpu(q->programs[step], q->ctx);

    if (ret < 0 || ret > max) {
        bpfhv_break(q->card, "the program %s of %s queue %u %s (%d)",
                    names[step], kind_of(q), q->index,
                    ret == BPFHV_OUT_OF_FUEL ? "ran too long" : "failed", ret);
        return -EIO;
    }
    return ret;
}

int bpfhv_queue_publish(struct bpfhv_queue *q, u32 count)
{
    WRITE_ONCE(q->ctx->num_bufs, count);
    dma_wmb();
    if (run(q, BPFHV_PUBLISH, 0)) {
        return -EIO;
    }
    if (READ_ONCE(q->ctx->out) & BPFHV_OUT_KICK) {
        bpfhv_count(&q->counters.kicks, 1);
        iowrite32(0, q->doorbell);
    }
    return 0;
}

u32 bpfhv_queue_complete(struct bpfhv_queue *q)
{
    u32 count;

    if (run(q, BPFHV_COMPLETE, 1) <= 0) {
        return 0;
    }
    count = READ_ONCE(q->ctx->num_bufs);
    if (!count || count > BPFHV_CTX_BUFS) {
        bpfhv_break(q->card, "%s queue %u returned %u buffers at once",
                    kind_of(q), q->index, count);
        return 0;
    }
    dma_rmb();
    memcpy(q->completed, q->ctx->bufs, count * sizeof(*q->completed));
    barrier();          /* from here on the copy is read, not the original */
    return count;
}

bool bpfhv_queue_arm(struct bpfhv_queue *q, u32 count)
{
    WRITE_ONCE(q->ctx->min_completed_bufs, count);
    return run(q, BPFHV_INTERRUPTS, 1) > 0;
}
