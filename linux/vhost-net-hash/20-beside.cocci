// SPDX-License-Identifier: GPL-2.0-or-later
//
// vhost-net: a node of its own
//
// The module is loaded beside vhost_net: it has another node, whose number is
// free, and takes no alias of the other's.
//
// file: drivers/vhost/net.c

@node@
position p;
@@
struct miscdevice vhost_net_misc = {
- .minor = VHOST_NET_MINOR@p,
- .name = "vhost-net",
+ .minor = MISC_DYNAMIC_MINOR,
+ .name = "vhost-net-hash",
...
};

@node_alias@
declarer name MODULE_ALIAS_MISCDEV;
position p;
@@
- MODULE_ALIAS_MISCDEV(VHOST_NET_MINOR@p);

@name_alias@
declarer name MODULE_ALIAS;
constant alias;
position p;
@@
- MODULE_ALIAS(alias@p);
