// SPDX-License-Identifier: GPL-2.0-or-later
//
// tap: move a queue to another vhost-net
//
// Only the card, which is made after its tap, knows whether the guest is to
// have hash reports, and those come from a vhost-net of another node. A
// descriptor that QEMU was given for vhost-net (vhostfd=) stays.
//
// file: net/tap.c

@add_fields@
type T;
position p;
@@
struct TAPState {
...
T vhost_net@p;
+ VhostNetOptions vhost_options;
+ bool vhost_opened;
...
};

@keep_options@
expression E;
position p;
@@
s->vhost_net = vhost_net_init@p(&E);
+ s->vhost_options = E;
+ s->vhost_opened = !vhostfdname;

@move@
typedef NetClientState, TAPState, VhostNetOptions, VHostNetState, bool;
identifier fn = tap_get_fd;
identifier nc;
type T;
position p;
@@
 T fn@p(NetClientState *nc) { ... }
+ bool tap_move_vhost(NetClientState *nc, int fd)
+ {
+     TAPState *s = DO_UPCAST(TAPState, nc, nc);
+     VhostNetOptions options = s->vhost_options;
+     VHostNetState *net;
+
+     options.opaque = GINT_TO_POINTER(fd);
+     net = vhost_net_init(&options);
+     if (!net) {
+         return false;
+     }
+     vhost_net_cleanup(s->vhost_net);
+     g_free(s->vhost_net);
+     s->vhost_net = net;
+     return true;
+ }

@opened@
typedef NetClientState, TAPState, bool;
identifier fn = tap_get_fd;
identifier nc;
type T;
position p;
@@
 T fn@p(NetClientState *nc) { ... }
+ bool tap_opened_vhost(NetClientState *nc)
+ {
+     return DO_UPCAST(TAPState, nc, nc)->vhost_opened;
+ }
