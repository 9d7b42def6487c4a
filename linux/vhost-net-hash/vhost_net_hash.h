/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hash reports for vhost-net: value and type in each packet's header.
 *
 * Theory of operation
 *
 * User space gives the receive queue a socket filter. Where handle_rx() has
 * a packet that it is about to copy to the guest, the filter is run on it, and
 * what it leaves in cb[0] and cb[1] goes into the header that the copy begins
 * with (struct virtio_net_hdr_v1_hash). So it is the final packet that is
 * hashed, and nothing needs to be kept in it on its way here.
 *
 * Invariants
 *  - The program is run, read and replaced under the receive queue's mutex.
 *    It is put after that, so it needs no RCU. What it reads (maps) does: the
 *    run is an RCU read-side section.
 *  - Where the feature is acknowledged, the hash fields are written in each
 *    header, by this file alone. A packet that no program can run on, and one
 *    without a program, have VIRTIO_NET_HASH_REPORT_NONE.
 *  - What a program does not write is 0: nothing of the kernel's is reported.
 *
 * Limits: a frame that a device has put into the tap's ring by XDP_REDIRECT is
 * no skb, and is not hashed; nor are packets of a socket without a ring.
 *
 * The format is that of virtio 1.2, "Hash reporting for incoming packets".
 */
#ifndef VHOST_NET_HASH_H
#define VHOST_NET_HASH_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/net.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/uio.h>
#include <linux/virtio_net.h>

#include "vhost.h"

/*
 * The descriptor of a program of type BPF_PROG_TYPE_SOCKET_FILTER, or -1 for
 * none. The program stays until it is replaced or the node is closed.
 */
#define VHOST_NET_SET_HASH_PROG _IOW(VHOST_VIRTIO, 0x3f, int)

/* Where features are a list, in place of VHOST_FEATURES in it. */
#define VHOST_NET_HASH_FEATURES VHOST_FEATURES, VIRTIO_NET_F_HASH_REPORT

/*
 * What the tap leaves as it was. Where buffers are merged, their number is
 * written anew behind us.
 */
struct vhost_net_hash_fields {
	__le16 num_buffers;
	__le32 value;
	__le16 report;
	__le16 padding;
} __packed;

static_assert(sizeof(struct virtio_net_hdr) +
	      sizeof(struct vhost_net_hash_fields) ==
	      sizeof(struct virtio_net_hdr_v1_hash));

static inline bool vhost_net_hash_wanted(u64 features)
{
	return features & BIT_ULL(VIRTIO_NET_F_HASH_REPORT);
}

/*
 * Whether features must be refused: the fields are written into the header
 * that the tap supplies, and here vhost would.
 */
static inline bool vhost_net_hash_refuses(u64 features)
{
	return vhost_net_hash_wanted(features) &&
	       features & BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR);
}

/* Runs @prog on @skb, which is the caller's alone. */
static inline void vhost_net_hash_run(const struct bpf_prog *prog,
				      struct sk_buff *skb,
				      struct vhost_net_hash_fields *fields)
{
	struct net_device *dev = skb->dev;
	u32 *cb = (u32 *)bpf_skb_cb(skb);

	memset(cb, 0, BPF_SKB_CB_LEN);
	skb->dev = NULL;	/* the packet may have outlived its tap */
	rcu_read_lock();
	bpf_prog_run_pin_on_cpu(prog, skb);
	rcu_read_unlock();
	skb->dev = dev;

	fields->value = cpu_to_le32(cb[0]);
	fields->report = cpu_to_le16(cb[1]);
}

/*
 * Receives a packet as recvmsg() does, with the hash fields in its header.
 * Returns less than 0 if they cannot be written: like any other number than
 * @len, this makes the caller drop the packet and use its buffers again.
 */
static inline int vhost_net_hash_recvmsg(struct vhost_virtqueue *vq,
					 const struct bpf_prog *prog,
					 struct socket *sock,
					 struct msghdr *msg, size_t len,
					 int flags)
{
	struct vhost_net_hash_fields fields = {
		.num_buffers = cpu_to_le16(1),
	};
	struct iov_iter place = msg->msg_iter;
	void *packet = msg->msg_control;
	int ret;

	if (!vhost_has_feature(vq, VIRTIO_NET_F_HASH_REPORT))
		return sock->ops->recvmsg(sock, msg, len, flags);

	if (prog && packet && !tun_is_xdp_frame(packet))
		vhost_net_hash_run(prog, packet, &fields);
	ret = sock->ops->recvmsg(sock, msg, len, flags);
	if (ret != len)
		return ret;
	iov_iter_advance(&place, sizeof(struct virtio_net_hdr));
	if (copy_to_iter(&fields, sizeof(fields), &place) != sizeof(fields))
		return -EFAULT;
	return ret;
}

/* Under the device's mutex. @where: the program of the receive queue @vq. */
static inline long vhost_net_hash_set_prog(struct vhost_virtqueue *vq,
					   struct bpf_prog **where,
					   const int __user *argp)
{
	struct bpf_prog *prog = NULL;
	int fd;

	if (get_user(fd, argp))
		return -EFAULT;
	if (fd != -1) {
		prog = bpf_prog_get_type(fd, BPF_PROG_TYPE_SOCKET_FILTER);
		if (IS_ERR(prog))
			return PTR_ERR(prog);
	}

	mutex_lock(&vq->mutex);
	swap(*where, prog);
	mutex_unlock(&vq->mutex);
	if (prog)
		bpf_prog_put(prog);
	return 0;
}

/* In place of vhost_dev_ioctl(): the same, and VHOST_NET_SET_HASH_PROG. */
static inline long vhost_net_hash_ioctl(struct vhost_dev *dev,
					struct vhost_virtqueue *vq,
					struct bpf_prog **where,
					unsigned int ioctl, void __user *argp)
{
	if (ioctl == VHOST_NET_SET_HASH_PROG)
		return vhost_net_hash_set_prog(vq, where, argp);
	return vhost_dev_ioctl(dev, ioctl, argp);
}

/* When the node is closed, and no queue runs any more. */
static inline void vhost_net_hash_release(struct bpf_prog *prog)
{
	if (prog)
		bpf_prog_put(prog);
}

#endif
