/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Voice on a queue of its own, and a queue for each of some VLANs.
 *
 *     DSCP EF (46), or VLAN priority 5     queue 0
 *     VLAN 10 to 12                        queues 1 to 3
 *     everything else                      no opinion
 *
 *     tap-steer load tap0 obj by_dscp.bpf.o --fallback
 *
 * Without --fallback "no opinion" is queue 65535 modulo the tap's queues.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
    NO_OPINION = -1,
    EXPEDITED = 46,             /* RFC 3246 */
    VOICE_PRIORITY = 5,         /* IEEE 802.1Q, table I-2: voice is 5 */
    FIRST_VLAN = 10,
    LAST_VLAN = 12,
};

struct tag {
    __be16 tci, ethertype;
};

static __always_inline int of_vlan(__u16 tci)
{
    __u16 vlan = tci & 0xfff;

    if (tci >> 13 == VOICE_PRIORITY) {
        return 0;
    }
    return vlan >= FIRST_VLAN && vlan <= LAST_VLAN ? 1 + vlan - FIRST_VLAN
                                                   : NO_OPINION;
}

/* The DSCP is in the second byte of IPv4, in bits 4 to 9 of IPv6. */
static __always_inline int of_dscp(struct __sk_buff *skb, __u16 ethertype,
                                   __u32 at)
{
    __u8 byte[2] = { 0, 0 };
    __u8 class;

    if (bpf_skb_load_bytes(skb, at, byte, sizeof(byte)) < 0) {
        return NO_OPINION;
    }
    if (ethertype == ETH_P_IP) {
        class = byte[1] >> 2;
    } else if (ethertype == ETH_P_IPV6) {
        class = (byte[0] & 0xf) << 2 | byte[1] >> 6;
    } else {
        return NO_OPINION;
    }
    return class == EXPEDITED ? 0 : NO_OPINION;
}

/* A tag is beside the frame if a VLAN device put it there, else in it. */
static __always_inline int choose(struct __sk_buff *skb)
{
    __u32 at = ETH_HLEN;
    int queue = NO_OPINION;
    __be16 ethertype = 0;
    struct tag tag = { 0, 0 };

    bpf_skb_load_bytes(skb, ETH_HLEN - 2, &ethertype, sizeof(ethertype));
    if (skb->vlan_present) {
        queue = of_vlan(skb->vlan_tci);
    } else if (ethertype == bpf_htons(ETH_P_8021Q) &&
               bpf_skb_load_bytes(skb, at, &tag, sizeof(tag)) == 0) {
        queue = of_vlan(bpf_ntohs(tag.tci));
        ethertype = tag.ethertype;
        at += sizeof(tag);
    }
    return queue != NO_OPINION ? queue
                               : of_dscp(skb, bpf_ntohs(ethertype), at);
}

SEC("socket")
int by_dscp(struct __sk_buff *skb)
{
    return choose(skb);
}

SEC("tc")
int by_dscp_tc(struct __sk_buff *skb)
{
    return choose(skb);
}

char LICENSE[] SEC("license") = "GPL";
