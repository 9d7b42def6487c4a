/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of xdp-offload share. */
#ifndef TOOLS_XDP_OFFLOAD_H
#define TOOLS_XDP_OFFLOAD_H

#include <bpf/bpf.h>
#include <glib.h>
#include <linux/if.h>
#include <sys/types.h>

#include "ebpf/program_file.h"
#include "ebpf/xdp_wire.h"
#include "tools/say.h"

enum {
    XDP_EXIT_NATIVE = 2,        /* exit status: it runs in the guest alone */
};

/* The command line. Strings are NULL where they were not given. */
typedef struct Options {
    char *device, *port;
    int timeout;                /* seconds, for an answer of the host */
    gboolean json, foreground, version;
} Options;

/* xdp-offload-port.c: frames through a port, or to the keeper of one */

typedef struct Port Port;

/* Codes of XDP_PORT_ERROR */
typedef enum XdpPortError {
    XDP_PORT_ABSENT,            /* there is no such port, or it is busy */
    XDP_PORT_SILENT,            /* nobody answers, or not as it has to be */
    XDP_PORT_REFUSED,           /* the answer has an error */
} XdpPortError;

#define XDP_PORT_ERROR xdp_port_error_quark()
GQuark xdp_port_error_quark(void);

/**
 * port_open:
 * @timeout: seconds, for each answer
 *
 * Bytes that were for another opener are skipped, until the first answer.
 *
 * Returns: NULL with @error set
 */
Port *port_open(const char *path, int timeout, GError **error);

/* The same of a descriptor, which it takes over; nothing is skipped. */
Port *port_of_fd(int fd, int timeout);

/* For poll(): whatever is to be read behind the last answer is a fault. */
int port_fd(const Port *port);

/**
 * port_send:
 *
 * Returns: false with @error set (XDP_PORT_SILENT)
 */
bool port_send(Port *port, const XdpWireMessage *message, GError **error);

/* The same for what comes; @message is valid until the next one. */
bool port_receive(Port *port, XdpWireMessage *message, GError **error);

/**
 * port_ask:
 * @message: the request, then the answer; the sequence is set here
 * @what: for the message of a refusal, as "map \"ports\""
 *
 * Returns: false with @error set; with XDP_PORT_REFUSED @message has the error
 */
bool port_ask(Port *port, XdpWireMessage *message, const char *what,
              GError **error);

void port_close(Port *port);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Port, port_close)

/* xdp-offload-native.c: the program in the guest */

/**
 * GuestMap: of a program in the guest
 * @fd: owned
 * @handle: in the host, once it is there
 * @types: BTF for the host, or NULL
 * @key_type, @value_type: in @types
 */
typedef struct GuestMap {
    int fd;
    struct bpf_map_info info;
    uint32_t handle;
    GBytes *types;
    uint32_t key_type, value_type;
} GuestMap;

/* Bytes of a value, of all @processors where the map is per-CPU. */
size_t map_value_len(const struct bpf_map_info *info, unsigned processors);

bool map_is_per_cpu(const struct bpf_map_info *info);

bool map_is_array(const struct bpf_map_info *info);

/* Possible processors of the guest. */
unsigned guest_processors(void);

/**
 * Native: a device with a program that xdp-offload has attached
 * @place: names it in our folders: its network namespace and its number
 * @maps: GuestMap
 */
typedef struct Native {
    char name[IFNAMSIZ];
    int ifindex;
    char *place;
    struct bpf_prog_info program;
    bool generic;
    GArray *maps;
} Native;

/**
 * native_open:
 * @name: NULL if there is only one
 *
 * Returns: NULL with @error set if nothing of ours is attached, which the
 * kernel is asked for
 */
Native *native_open(const char *name, GError **error);

/* All Native of the network namespace. */
GPtrArray *native_list(GError **error);

void native_free(Native *native);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Native, native_free)

/**
 * native_attach:
 * @file: loaded
 *
 * In the place of another program of ours, or where there is none; natively,
 * or else as generic XDP, and says so.
 *
 * Returns: false with @error set, and nothing changed
 */
bool native_attach(const char *name, const ProgramFile *file, GError **error);

/* Detaches it. */
bool native_detach(const Native *native, GError **error);

/* Is this program the device's? */
bool native_is(int ifindex, uint32_t program_id);

/* The place of a device, see Native. */
char *place_of(int ifindex);

/* GuestMap of a descriptor, which it takes over; false with @error set. */
bool guest_map_init(GuestMap *map, int fd, GError **error);

void guest_map_clear(void *map);

/* xdp-offload-types.c: sets @types, if @btf, the object's or NULL, has them. */
void guest_map_take_types(GuestMap *map, const struct btf *btf);

/* xdp-offload-offer.c: what is offered to the host */

/**
 * Offer: a program and its maps
 * @insns: struct bpf_insn; a map in them is the number of one of @maps
 * @maps: GuestMap
 * @hello: what the host said of itself
 * @untyped: why the host has no types of maps that have some; or NULL
 */
typedef struct Offer {
    char name[XDP_WIRE_NAME];
    int ifindex;
    uint32_t program_id;
    bool gpl;
    GArray *insns, *maps;
    XdpWireMessage hello;
    char *untyped;
} Offer;

/* NULL with @error set. It is independent of @file. */
Offer *offer_new(int ifindex, const ProgramFile *file, GError **error);

/**
 * offer_make:
 *
 * HELLO, the maps with what is in them now, and then the program. Can be done
 * again, with another port.
 *
 * Returns: false with @error set (XDP_PORT_*): the host has nothing
 */
bool offer_make(Offer *offer, Port *port, GError **error);

/* The host's value of a map, made of the guest's, or the other way round. */
void convert_value(const struct bpf_map_info *info, const uint8_t *from,
                   unsigned from_processors, uint8_t *to,
                   unsigned to_processors);

void offer_free(Offer *offer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_free)

/* xdp-offload-keeper.c: the process that has the port */

/* A socket on which the keeper of this device shall listen, or -1. */
int keeper_listen(const char *place, GError **error);

/**
 * keeper_run:
 * @listener: taken over
 * @port: taken over; NULL if the host has not got the offer, because of @why
 * @why: taken over
 *
 * Returns when the program is not the device's any more, or it was told to.
 */
void keeper_run(const char *device, Offer *offer, int listener, Port *port,
                GError *why, const Options *options);

/**
 * keeper_connect:
 *
 * Returns: what speaks to the keeper as to a host, with the numbers of the
 * guest's maps in the place of handles. NULL with @error set.
 */
Port *keeper_connect(const char *place, int timeout, GError **error);

/**
 * keeper_end:
 *
 * The host has no program when this returns true, also because there is no
 * keeper.
 */
bool keeper_end(const char *place, int timeout, GError **error);

/* Only one process at a time changes something; -1 with @error set. */
int lock_take(GError **error);

/* The commands: false with @error set if they failed. */
bool command_load(char **words, const Options *options, int *status,
                  GError **error);
bool command_map(char **words, const Options *options, int *status,
                 GError **error);
bool command_show(char **words, const Options *options, int *status,
                  GError **error);
bool command_stats(char **words, const Options *options, int *status,
                   GError **error);
bool command_unload(char **words, const Options *options, int *status,
                    GError **error);

#endif
