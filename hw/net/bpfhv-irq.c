/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts that a backend makes: from its eventfd to the guest, either way:
 *
 *     q->irq ── irqfd ──▶ KVM                  the vector is in use, and KVM can
 *     q->irq ── main loop ──▶ msix_notify()    else, also while it is masked
 *
 * One of the two waits for the eventfd at any time while a backend is listened
 * to, and takes what is in it from before. The main loop's way marks a masked
 * vector as pending, so there is nothing to poll for.
 */
#include "qemu/osdep.h"

#include "bpfhv-internal.h"

static void on_interrupt(EventNotifier *notifier)
{
    BpfhvQueue *q = container_of(notifier, BpfhvQueue, irq);

    if (event_notifier_test_and_clear(notifier)) {
        msix_notify(PCI_DEVICE(q->s), q->index);
    }
}

static bool attach(BpfhvQueue *q)
{
    KVMRouteChange change = kvm_irqchip_begin_route_changes(kvm_state);
    int route = kvm_irqchip_add_msi_route(&change, q->index, PCI_DEVICE(q->s));

    if (route < 0) {
        return false;
    }
    kvm_irqchip_commit_route_changes(&change);
    if (kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, &q->irq, NULL,
                                           route) < 0) {
        kvm_irqchip_release_virq(kvm_state, route);
        return false;
    }
    q->irq_route = route;
    return true;
}

static void detach(BpfhvQueue *q)
{
    kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, &q->irq, q->irq_route);
    kvm_irqchip_release_virq(kvm_state, q->irq_route);
}

/* What KVM refuses goes by the main loop. */
static void choose_way(BpfhvQueue *q)
{
    bool by_kvm = q->irq_listens && q->vector_used &&
                  kvm_msi_via_irqfd_enabled();

    if (q->irq_by_kvm && !by_kvm) {
        detach(q);
        q->irq_by_kvm = false;
    } else if (!q->irq_by_kvm && by_kvm) {
        q->irq_by_kvm = attach(q);
    }
    event_notifier_set_handler(&q->irq, q->irq_listens && !q->irq_by_kvm ?
                               on_interrupt : NULL);
}

void bpfhv_irq_listen(BpfhvQueue *q, bool on)
{
    q->irq_listens = on;
    choose_way(q);
}

/* A vector is unmasked, or masked; the last one is not a queue's. */
static void set_used(PCIDevice *pci, unsigned int vector, bool used)
{
    BpfhvState *s = BPFHV(pci);

    if (vector < bpfhv_num_queues(s)) {
        s->queues[vector].vector_used = used;
        choose_way(&s->queues[vector]);
    }
}

static int vector_use(PCIDevice *pci, unsigned int vector, MSIMessage msg)
{
    set_used(pci, vector, true);
    return 0;
}

static void vector_release(PCIDevice *pci, unsigned int vector)
{
    set_used(pci, vector, false);
}

void bpfhv_irqs_init(BpfhvState *s)
{
    if (kvm_msi_via_irqfd_enabled()) {
        msix_set_vector_notifiers(PCI_DEVICE(s), vector_use, vector_release,
                                  NULL);
    }
}

void bpfhv_irqs_cleanup(BpfhvState *s)
{
    if (kvm_msi_via_irqfd_enabled()) {
        msix_unset_vector_notifiers(PCI_DEVICE(s));
    }
}
