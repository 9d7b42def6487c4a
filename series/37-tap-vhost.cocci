// SPDX-License-Identifier: GPL-2.0-or-later
//
// tap: a netdev that cannot be made whole is an error
//
// With vhost=on and no /dev/vhost-net, QEMU warned, deleted the netdev, and
// then ended by an assertion because it was not there, also while a guest was
// running (netdev_add). Descriptors in fds= that are not open did the same. A
// netdev of which only some queues could be made stayed, and could be neither
// used nor deleted; and a descriptor was closed twice, the second time perhaps
// as one of somebody else.
//
// file: net/tap.c

@insisted@
expression E;
position p;
@@
- if (tap->has_vhostforce@p && tap->vhostforce) {
(
error_propagate(errp, E);
|
error_setg(errp, ...);
|
error_setg_errno(errp, ...);
)
- } else { ... }
goto failed;

// expect: insisted = 3, 10.0+: 0

@closed_already@
position p;
@@
net_init_tap_one(...);
if (err) {
error_propagate(errp, err);
- close@p(fd);
return -1;
}

// expect: closed_already = 3

@not_open@
position p;
@@
ret = g_unix_set_fd_nonblocking@p(fd, true, NULL);
if (!ret) {
error_setg_errno(...);
+ ret = -1;
goto free_fail;
}

// expect: not_open = 1, 10.2+: 0

// file: net/net.c

@undo@
identifier fn = net_client_init1;
position p;
@@
fn(...) {
<...
if (net_client_init_fun@p[netdev->type](...) < 0) {
+ nc = is_netdev ? qemu_find_netdev(netdev->id) : NULL;
+ if (nc) {
+     /* Those of its queues that could be made. */
+     qemu_del_net_client(nc);
+ }
...
return -1;
}
...>
}
