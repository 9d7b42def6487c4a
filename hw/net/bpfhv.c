/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpfhv-pci: a network card that hands its driver the code for its rings.
 * docs/bpfhv_abi.rst is the specification; bpfhv-queue.c serves the queues, or
 * bpfhv-remote.c has a backend do it.
 *
 *     a model works ◀───────────────────┐
 *           │ "model" is set              │
 *           ▼                             │ UPGRADE_READY, or reset:
 *     it works, an upgrade is wanted ─────┘ the next one works
 *
 * Invariants
 *  - a write that makes no sense changes nothing;
 *  - contexts and features change only while queues are disabled;
 *  - what is behind the BARs has no pointer into itself that a guest writes.
 *
 * Limits
 *  - no migration: the rings' state is in a format that only the model knows;
 *  - no contexts behind a virtual IOMMU, which are mapped for long.
 */
#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"

#include "bpfhv-internal.h"

enum {
    REGISTERS_SIZE = 256,
    PROGRAM_SIZE = BPFHV_MAX_INSNS * 8,
    EXPRESS_CAPABILITY = 0xa0,
};

#define DEFAULT_MODEL "sring_gso"

static uint32_t status(const BpfhvState *s)
{
    uint32_t status = s->enabled |
                      (s->remote ? bpfhv_remote_status(s->remote) :
                       BPFHV_STATUS_LINK) |
                      (s->next_model ? BPFHV_STATUS_UPGRADE : 0);

    return qemu_get_queue(s->nic)->link_down ? status & ~BPFHV_STATUS_LINK
                                             : status;
}

/* What model and netdev can do together. */
static uint32_t offered(const BpfhvState *s)
{
    return s->remote ? bpfhv_remote_offered(s->remote) :
           s->model->features & (s->has_vnet_hdr ? ~0u : BPFHV_F_SG);
}

static bool has_ctx(const BpfhvState *s)
{
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        if (s->queues[i].ctx_address) {
            return true;
        }
    }
    return false;
}

static bool is_enabled(const BpfhvState *s, bool receive)
{
    return s->enabled & (receive ? BPFHV_STATUS_RX_ENABLED :
                                   BPFHV_STATUS_TX_ENABLED);
}

static void choose_features(BpfhvState *s, uint32_t features)
{
    s->features = features;
    for (uint32_t i = 0; s->has_vnet_hdr && i < s->num_pairs; i++) {
        bpfhv_set_offload(qemu_get_subqueue(s->nic, i)->peer,
                          features & BPFHV_F_RX_CSUM,
                          features & BPFHV_F_LRO4, features & BPFHV_F_LRO6);
    }
}

static void set_features(BpfhvState *s, uint32_t features)
{
    if (features & ~offered(s) || s->enabled || has_ctx(s)) {
        return;
    }
    choose_features(s, features);
    if (s->remote) {
        bpfhv_remote_set_features(s->remote);
    }
}

static void set_ctx(BpfhvState *s, uint32_t high)
{
    bool receive = s->queue_select < s->num_pairs;
    BpfhvQueue *q;

    if (s->queue_select >= bpfhv_num_queues(s) || is_enabled(s, receive)) {
        return;
    }
    q = &s->queues[s->queue_select];
    if (bpfhv_queue_set_ctx(q, (uint64_t)high << 32 | s->ctx_lo) &&
        s->remote) {
        bpfhv_remote_set_ctx(s->remote, q);
    }
}

static void enable(BpfhvState *s, bool receive)
{
    uint32_t first = receive ? 0 : s->num_pairs;

    for (uint32_t i = 0; i < s->num_pairs; i++) {
        if (!s->queues[first + i].ctx_address) {
            return;
        }
    }
    s->enabled |= receive ? BPFHV_STATUS_RX_ENABLED : BPFHV_STATUS_TX_ENABLED;
    if (s->remote) {
        bpfhv_remote_enable(s->remote);
    } else {
        bpfhv_queues_start(s, receive);
    }
}

static void disable(BpfhvState *s, bool receive)
{
    s->enabled &= receive ? ~BPFHV_STATUS_RX_ENABLED :
                            ~BPFHV_STATUS_TX_ENABLED;
    if (s->remote) {
        bpfhv_remote_enable(s->remote);
    } else {
        bpfhv_queues_stop(s, receive);
    }
}

/* As after power on: no contexts, no features. */
static void begin_anew(BpfhvState *s)
{
    disable(s, true);
    disable(s, false);
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        bpfhv_queue_set_ctx(&s->queues[i], 0);
    }
    choose_features(s, 0);
    s->queue_select = s->prog_select = s->ctx_lo = s->dump_ofs = 0;
}

/* Read the programs of @model, and have it from now on. */
static bool use_model(BpfhvState *s, const BpfhvModel *model, Error **errp)
{
    GError *error = NULL;
    BpfhvCode *code = bpfhv_code_of(model, &error);

    if (!code) {
        error_setg(errp, "cannot load the programs of %s: %s", model->name,
                   error->message);
        g_error_free(error);
        return false;
    }
    bpfhv_code_free(s->code);
    s->code = code;
    s->model = model;
    s->sizes = (BpfhvSizes) {
        .rx_ctx = model->ctx_size, .tx_ctx = model->ctx_size,
        .rx_bufs = model->max_bufs, .tx_bufs = model->max_bufs,
    };
    return true;
}

/* The upgrade that is wanted, if one is. */
static void upgrade(BpfhvState *s)
{
    const BpfhvModel *next = s->next_model;
    Error *err = NULL;

    if (s->remote) {
        bpfhv_remote_renew(s->remote);
        return;
    }
    s->next_model = NULL;
    if (next && !use_model(s, next, &err)) {
        warn_reportf_err(err, "%s: the model remains %s: ",
                         qemu_get_queue(s->nic)->name, s->model->name);
    }
}

static void upgrade_ready(BpfhvState *s)
{
    if (status(s) & BPFHV_STATUS_UPGRADE && !s->enabled) {
        begin_anew(s);
        upgrade(s);
    }
}

static char *describe_queue(const BpfhvQueue *q)
{
    return q->ring ? bpfhv_ring_describe(q->ring) :
           q->ctx_address ? g_strdup("the backend's") :
           g_strdup("no context");
}

static void make_dump(BpfhvState *s)
{
    g_string_printf(s->dump, "%s, model %s, next %s, status %#x, "
                    "features %#x of %#x\n", qemu_get_queue(s->nic)->name,
                    s->remote ? bpfhv_remote_describe(s->remote) :
                    s->model->name,
                    s->next_model ? s->next_model->name : "none", status(s),
                    s->features, offered(s));
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        const BpfhvQueue *q = &s->queues[i];
        g_autofree char *line = describe_queue(q);

        g_string_append_printf(s->dump, "%u: %s%s\n", i, line,
                               q->ring && !q->ctx.ptr ? ", out of reach" : "");
    }
}

static uint32_t read_dump(const BpfhvState *s)
{
    uint32_t value = 0;

    if (s->dump_ofs < s->dump->len) {
        memcpy(&value, s->dump->str + s->dump_ofs,
               MIN(sizeof(value), s->dump->len - s->dump_ofs));
    }
    return le32_to_cpu(value);
}

static void control(BpfhvState *s, uint32_t bit)
{
    switch (bit) {
    case BPFHV_CTRL_RX_ENABLE:
    case BPFHV_CTRL_TX_ENABLE:
        enable(s, bit == BPFHV_CTRL_RX_ENABLE);
        break;
    case BPFHV_CTRL_RX_DISABLE:
    case BPFHV_CTRL_TX_DISABLE:
        disable(s, bit == BPFHV_CTRL_RX_DISABLE);
        break;
    case BPFHV_CTRL_UPGRADE_READY:
        upgrade_ready(s);
        break;
    case BPFHV_CTRL_QUEUES_DUMP:
        make_dump(s);
        break;
    default:
        break;
    }
}

static uint32_t program_size(const BpfhvState *s)
{
    return s->prog_select < BPFHV_NUM_PROGRAMS ?
           s->code->count[s->prog_select] : 0;
}

static uint64_t registers_read(void *opaque, hwaddr addr, unsigned size)
{
    const BpfhvState *s = opaque;
    const uint8_t *mac = s->conf.macaddr.a;

    if (size != 4) {
        return 0;
    }
    switch (addr) {
    case BPFHV_REG_STATUS:
        return status(s);
    case BPFHV_REG_MAC_LO:
        return ldl_be_p(mac + 2);
    case BPFHV_REG_MAC_HI:
        return lduw_be_p(mac);
    case BPFHV_REG_NUM_RX_QUEUES:
    case BPFHV_REG_NUM_TX_QUEUES:
        return s->num_pairs;
    case BPFHV_REG_NUM_RX_BUFS:
        return s->sizes.rx_bufs;
    case BPFHV_REG_NUM_TX_BUFS:
        return s->sizes.tx_bufs;
    case BPFHV_REG_RX_CTX_SIZE:
        return s->sizes.rx_ctx;
    case BPFHV_REG_TX_CTX_SIZE:
        return s->sizes.tx_ctx;
    case BPFHV_REG_DOORBELL_SIZE:
        return BPFHV_DOORBELL_SIZE;
    case BPFHV_REG_PROG_SIZE:
        return program_size(s);
    case BPFHV_REG_VERSION:
        return BPFHV_ABI_VERSION;
    case BPFHV_REG_FEATURES:
        return offered(s);
    case BPFHV_REG_DUMP_LEN:
        return s->dump->len;
    case BPFHV_REG_DUMP_INPUT:
        return read_dump(s);
    default:
        return 0;
    }
}

static void registers_write(void *opaque, hwaddr addr, uint64_t value,
                            unsigned size)
{
    BpfhvState *s = opaque;

    if (size != 4) {
        return;
    }
    switch (addr) {
    case BPFHV_REG_CTRL:
        control(s, value);
        break;
    case BPFHV_REG_QUEUE_SELECT:
        s->queue_select = value;
        break;
    case BPFHV_REG_CTX_PADDR_LO:
        s->ctx_lo = value;
        break;
    case BPFHV_REG_CTX_PADDR_HI:
        set_ctx(s, value);
        break;
    case BPFHV_REG_PROG_SELECT:
        s->prog_select = value;
        break;
    case BPFHV_REG_FEATURES:
        set_features(s, value);
        break;
    case BPFHV_REG_DUMP_OFS:
        s->dump_ofs = value;
        break;
    default:
        break;
    }
}

static const MemoryRegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 1, .max_access_size = 8 },
    .valid = { .min_access_size = 1, .max_access_size = 8 },
};

static uint64_t doorbells_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void doorbells_write(void *opaque, hwaddr addr, uint64_t value,
                            unsigned size)
{
    BpfhvState *s = opaque;
    uint32_t queue = addr / BPFHV_DOORBELL_SIZE;

    if (addr % BPFHV_DOORBELL_SIZE == 0 && queue < bpfhv_num_queues(s)) {
        bpfhv_queue_kick(&s->queues[queue]);
    }
}

static const MemoryRegionOps doorbells_ops = {
    .read = doorbells_read,
    .write = doorbells_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 1, .max_access_size = 8 },
    .valid = { .min_access_size = 1, .max_access_size = 8 },
};

/* The window on the program that PROG_SELECT names; 0 behind its end. */
static uint64_t programs_read(void *opaque, hwaddr addr, unsigned size)
{
    const BpfhvState *s = opaque;

    if (addr + size > program_size(s) * 8ull) {
        return 0;
    }
    return ldl_le_p((uint8_t *)s->code->insns[s->prog_select] + addr);
}

static void programs_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
}

static const MemoryRegionOps programs_ops = {
    .read = programs_read,
    .write = programs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static void memory_changed(MemoryListener *listener)
{
    BpfhvState *s = container_of(listener, BpfhvState, listener);

    if (s->remote) {
        bpfhv_remote_memory_changed(s->remote);
        return;
    }
    for (uint32_t i = 0; i < bpfhv_num_queues(s); i++) {
        bpfhv_queue_remap(&s->queues[i]);
    }
}

static void bpfhv_reset(DeviceState *dev)
{
    BpfhvState *s = BPFHV(dev);

    begin_anew(s);
    upgrade(s);
    g_string_truncate(s->dump, 0);
}

static void unknown_model(const char *name, Error **errp)
{
    g_autofree char *names = bpfhv_model_names();

    error_setg(errp, "model '%s' is unknown; there are %s", name, names);
}

static bool find_model(BpfhvState *s, Error **errp)
{
    const BpfhvModel *model = bpfhv_model_find(s->model_name ?: DEFAULT_MODEL);

    if (s->remote && s->model_name) {
        error_setg(errp, "the backend of bpfhv-proxy chooses the model");
        return false;
    }
    if (!model) {
        unknown_model(s->model_name, errp);
        return false;
    }
    return use_model(s, model, errp);
}

static void add_regions(BpfhvState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_init_io(&s->registers, OBJECT(s), &registers_ops, s,
                          "bpfhv-registers", REGISTERS_SIZE);
    memory_region_init_io(&s->doorbells, OBJECT(s), &doorbells_ops, s,
                          "bpfhv-doorbells",
                          MAX(16, pow2ceil(bpfhv_num_queues(s) *
                                           BPFHV_DOORBELL_SIZE)));
    memory_region_init_io(&s->programs, OBJECT(s), &programs_ops, s,
                          "bpfhv-programs", PROGRAM_SIZE);
    pci_register_bar(pci, BPFHV_BAR_REGISTERS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->registers);
    pci_register_bar(pci, BPFHV_BAR_DOORBELLS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->doorbells);
    pci_register_bar(pci, BPFHV_BAR_PROGRAM, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->programs);
}

static bool add_vectors(BpfhvState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);
    uint32_t vectors = bpfhv_num_queues(s) + 1;

    if (msix_init_exclusive_bar(pci, vectors, BPFHV_BAR_MSIX, errp) < 0) {
        return false;
    }
    for (uint32_t i = 0; i < vectors; i++) {
        msix_vector_use(pci, i);
    }
    return true;
}

static bool block_migration(BpfhvState *s, Error **errp)
{
    error_setg(&s->blocker, "bpfhv-pci does not support migration; unplug the "
               "card before");
    return bpfhv_block_migration(&s->blocker, errp);
}

static void bpfhv_exit(PCIDevice *pci)
{
    BpfhvState *s = BPFHV(pci);

    if (s->listening) {
        memory_listener_unregister(&s->listener);
        s->listening = false;
    }
    bpfhv_remote_free(s->remote);
    s->remote = NULL;
    bpfhv_queues_cleanup(s);
    if (msix_present(pci)) {
        msix_uninit_exclusive_bar(pci);
    }
    bpfhv_unblock_migration(&s->blocker);
    bpfhv_code_free(s->code);
    s->code = NULL;
    if (s->dump) {
        g_string_free(s->dump, true);
        s->dump = NULL;
    }
}

static void bpfhv_realize(PCIDevice *pci, Error **errp)
{
    BpfhvState *s = BPFHV(pci);

    s->num_pairs = MAX(1, s->conf.peers.queues);
    if (s->num_pairs > BPFHV_MAX_QUEUE_PAIRS) {
        error_setg(errp, "the netdev has %u queues, bpfhv-pci up to %u",
                   s->num_pairs, BPFHV_MAX_QUEUE_PAIRS);
        return;
    }
    s->remote = bpfhv_remote_new(s);
    if (!find_model(s, errp)) {
        bpfhv_remote_free(s->remote);
        s->remote = NULL;
        return;
    }
    s->dump = g_string_new(NULL);
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    add_regions(s);
    pci->config[PCI_INTERRUPT_PIN] = 0;
    if (pci_bus_is_express(pci_get_bus(pci))) {
        pcie_endpoint_cap_init(pci, EXPRESS_CAPABILITY);
    }
    if (!block_migration(s, errp) || !add_vectors(s, errp) ||
        !bpfhv_queues_init(s, errp) ||
        (s->remote && !bpfhv_remote_start(s->remote, errp))) {
        bpfhv_exit(pci);
        return;
    }
    s->listener = (MemoryListener) {
        .name = "bpfhv", .commit = memory_changed,
    };
    memory_listener_register(&s->listener, pci_get_address_space(pci));
    s->listening = true;
}

static char *get_model(Object *obj, Error **errp)
{
    BpfhvState *s = BPFHV(obj);

    return g_strdup(s->remote ? "the backend's" :
                    s->model ? s->model->name :
                    s->model_name ?: DEFAULT_MODEL);
}

/* Before the device is realized its model; then an upgrade to it. */
static void set_model(Object *obj, const char *value, Error **errp)
{
    BpfhvState *s = BPFHV(obj);
    const BpfhvModel *model = bpfhv_model_find(value);

    if (!DEVICE(s)->realized) {
        g_free(s->model_name);
        s->model_name = g_strdup(value);
        return;
    }
    if (!model) {
        unknown_model(value, errp);
        return;
    }
    if (s->remote) {
        error_setg(errp, "the backend of bpfhv-proxy chooses the model "
                   "(bpfhv-ctl)");
        return;
    }
    s->next_model = model;
    bpfhv_tell_status(s);
}

static void bpfhv_instance_init(Object *obj)
{
    /* Room for the configuration space that PCI Express has. */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
}

static void bpfhv_finalize(Object *obj)
{
    g_free(BPFHV(obj)->model_name);
}

PROPERTIES bpfhv_properties[] = {
    DEFINE_NIC_PROPERTIES(BpfhvState, conf) PROPERTIES_END
};

static void bpfhv_class_init(ObjectClass *klass, CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = bpfhv_realize;
    pc->exit = bpfhv_exit;
    pc->vendor_id = BPFHV_PCI_VENDOR;
    pc->device_id = BPFHV_PCI_DEVICE;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    dc->desc = "network card whose driver code comes from the host";
    device_class_set_legacy_reset(dc, bpfhv_reset);
    device_class_set_props(dc, bpfhv_properties);
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
    object_class_property_add_str(klass, "model", get_model, set_model);
    object_class_property_set_description(
        klass, "model", "format of the rings; to set it on a device that "
        "works is an upgrade");
}

static const TypeInfo bpfhv_info = {
    .name = TYPE_BPFHV,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(BpfhvState),
    .instance_init = bpfhv_instance_init,
    .instance_finalize = bpfhv_finalize,
    .class_init = bpfhv_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void bpfhv_register_types(void)
{
    type_register_static(&bpfhv_info);
}

type_init(bpfhv_register_types)
