// SPDX-License-Identifier: GPL-2.0-or-later
//
// vhost-net: report hashes
//
// A program of user space computes them; vhost_net_hash.h runs it and writes
// what it says into the header. The feature is VIRTIO_NET_F_HASH_REPORT. From
// 6.17 on features are more than 64 bits.
//
// file: drivers/vhost/net.c

@include_ours@
@@
#include "vhost.h"
+ #include "vhost_net_hash.h"

@program@
position p;
@@
struct vhost_net_virtqueue {
...
struct vhost_net_buf rxq@p;
+ struct bpf_prog *hash_prog;
...
};

@feature_in_word@
position p;
@@
- VHOST_NET_FEATURES@p
+ (VHOST_NET_FEATURES | BIT_ULL(VIRTIO_NET_F_HASH_REPORT))

// expect: feature_in_word = 2, 6.17+: 0

@feature_in_list@
position p;
@@
- VHOST_FEATURES@p
+ VHOST_NET_HASH_FEATURES

// bases: feature_in_list = 6.17+

@header_by_word@
expression these;
position p;
@@
+ if (vhost_net_hash_refuses(features))
+ 	return -EOPNOTSUPP;
hdr_len@p = (features & these) ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
            : sizeof(struct virtio_net_hdr);
+ if (vhost_net_hash_wanted(features))
+ 	hdr_len = sizeof(struct virtio_net_hdr_v1_hash);

// expect: header_by_word = 1, 6.17+: 0

@header_by_list@
expression one, other;
position p;
@@
+ if (vhost_net_hash_refuses(features[0]))
+ 	return -EOPNOTSUPP;
hdr_len@p = virtio_features_test_bit(features, one) || other
            ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
            : sizeof(struct virtio_net_hdr);
+ if (vhost_net_hash_wanted(features[0]))
+ 	hdr_len = sizeof(struct virtio_net_hdr_v1_hash);

// expect: header_by_list = 0, 6.17+: 1

@receive@
expression flags;
position p;
@@
- sock->ops->recvmsg@p(sock, &msg, sock_len, flags)
+ vhost_net_hash_recvmsg(vq, nvq->hash_prog, sock, &msg, sock_len, flags)

@set_program@
position p;
@@
- vhost_dev_ioctl@p(&n->dev, ioctl, argp)
+ vhost_net_hash_ioctl(&n->dev, &n->vqs[VHOST_NET_VQ_RX].vq,
+                      &n->vqs[VHOST_NET_VQ_RX].hash_prog, ioctl, argp)

@begin@
position p;
@@
n->vqs[i].rx_ring@p = NULL;
+ n->vqs[i].hash_prog = NULL;

@end@
position p;
@@
+ vhost_net_hash_release(n->vqs[VHOST_NET_VQ_RX].hash_prog);
kfree@p(n->vqs[VHOST_NET_VQ_RX].rxq.queue);
