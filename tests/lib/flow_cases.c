/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <string.h>

#include "flow_cases.h"
#include "packet.h"
#include "rss_oracle.h"

#define VLANS_7 "vlan vlan vlan vlan vlan vlan vlan "
#define HOPS_19 "hop hop hop hop hop hop hop hop hop hop " \
                "hop hop hop hop hop hop hop hop hop "
#define LONG_HOPS_10 "hop:len=255 hop:len=255 hop:len=255 hop:len=255 " \
                     "hop:len=255 hop:len=255 hop:len=255 hop:len=255 " \
                     "hop:len=255 hop:len=255 "
#define PADS_14 "pad1,pad1,pad1,pad1,pad1,pad1,pad1," \
                "pad1,pad1,pad1,pad1,pad1,pad1,pad1,"

const FlowCase flow_cases[] = {
    /* Ethernet */
    { "eth/empty", "", 0, ALL, 0, "" },
    { "eth/mac-only", "eth", 0, ALL, 0, "" },
    { "eth/arp", "eth type:0x0806 raw:28", 0, ALL, 0, "" },
    { "eth/arp-long", "eth type:0x0806 raw:200", 0, ALL, 0, "" },
    { "eth/802.3", "eth type:0x05dc raw:1500", 0, ALL, 0, "" },
    { "eth/mpls", "eth type:0x8847 raw:60", 0, ALL, 0, "" },
    { "eth/old-qinq-type", "eth type:0x9100 raw:2 ip4 tcp", 0, ALL, 0, "" },
    { "eth/type-ipv4-nothing", "eth type:0x0800", 0, ALL, 0, "" },
    { "eth/type-ipv6-nothing", "eth type:0x86dd", 0, ALL, 0, "" },

    /* VLAN tags */
    { "vlan/1", "eth vlan ip4 tcp", 0, ALL, TCP4, "sdp" },
    { "vlan/1-ipv6", "eth vlan ip6 udp", 0, ALL, UDP6, "sdp" },
    { "vlan/1-svlan", "eth svlan ip4 udp", 0, ALL, UDP4, "sdp" },
    { "vlan/2-qinq", "eth svlan vlan ip6 tcp", 0, ALL, TCP6, "sdp" },
    { "vlan/3", "eth vlan vlan vlan ip4 tcp", 0, ALL, TCP4, "sdp" },
    { "vlan/7", "eth " VLANS_7 "ip4 tcp", 0, ALL, TCP4, "sdp" },
    { "vlan/8", "eth " VLANS_7 "svlan ip4 tcp", 0, ALL, TCP4, "sdp" },
    { "vlan/8-ipv6", "eth " VLANS_7 "vlan ip6 tcp", 0, ALL, TCP6, "sdp" },
    { "vlan/8-ext", "eth " VLANS_7 "vlan ip6 hop dst:home rt tcp", 0, ALL,
      XTCP, "hrp" },
    { "vlan/9", "eth " VLANS_7 "vlan vlan ip4 tcp", 0, ALL, 0, "" },
    { "vlan/9-ipv6", "eth " VLANS_7 "vlan vlan ip6 tcp", 0, ALL, 0, "" },
    { "vlan/1-arp", "eth vlan type:0x0806 raw:60", 0, ALL, 0, "" },
    { "vlan/1-no-type", "eth vlan raw:1", 0, ALL, 0, "" },
    { "vlan/udp-ends-frame", "eth vlan ip4 udp", 0, ALL, UDP4, "sdp" },
    { "vlan/udp-7-bytes", "eth vlan ip4 udp", 1, ALL, V4, "sd" },

    /* IPv4 */
    { "ipv4/tcp", "eth ip4 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/tcp-payload", "eth ip4 tcp raw:1400", 0, ALL, TCP4, "sdp" },
    { "ipv4/udp", "eth ip4 udp", 0, ALL, UDP4, "sdp" },
    { "ipv4/udp-payload", "eth ip4 udp raw:1472", 0, ALL, UDP4, "sdp" },
    { "ipv4/tcp-19-bytes", "eth ip4 tcp", 1, ALL, V4, "sd" },
    { "ipv4/tcp-4-bytes", "eth ip4 tcp", 16, ALL, V4, "sd" },
    { "ipv4/tcp-0-bytes", "eth ip4 tcp", 20, ALL, V4, "sd" },
    { "ipv4/udp-7-bytes", "eth ip4 udp", 1, ALL, V4, "sd" },
    { "ipv4/udp-0-bytes", "eth ip4 udp", 8, ALL, V4, "sd" },
    { "ipv4/19-bytes", "eth ip4", 1, ALL, 0, "" },
    { "ipv4/20-bytes", "eth ip4", 0, ALL, V4, "sd" },
    { "ipv4/icmp", "eth ip4:proto=1 raw:8", 0, ALL, V4, "sd" },
    { "ipv4/sctp", "eth ip4:proto=132 raw:40", 0, ALL, V4, "sd" },
    { "ipv4/udplite", "eth ip4:proto=136 raw:40", 0, ALL, V4, "sd" },
    { "ipv4/gre", "eth ip4:proto=47 raw:4 ip4 tcp", 0, ALL, V4, "sd" },
    { "ipv4/ipip", "eth ip4:proto=4 raw:60", 0, ALL, V4, "sd" },
    { "ipv4/esp", "eth ip4 esp", 0, ALL, V4, "sd" },
    { "ipv4/ah-is-not-walked", "eth ip4 ah tcp", 0, ALL, V4, "sd" },
    { "ipv4/hop-is-not-walked", "eth ip4 hop tcp", 0, ALL, V4, "sd" },
    { "ipv4/version-0", "eth ip4:ver=0 tcp", 0, ALL, 0, "" },
    { "ipv4/version-5", "eth ip4:ver=5 tcp", 0, ALL, 0, "" },
    { "ipv4/version-6", "eth ip4:ver=6 tcp raw:60", 0, ALL, 0, "" },

    { "ipv4/ihl-0", "eth ip4:ihl=0 tcp", 0, ALL, 0, "" },
    { "ipv4/ihl-4", "eth ip4:ihl=4 tcp", 0, ALL, 0, "" },
    { "ipv4/ihl-6", "eth ip4:ihl=6 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/ihl-6-udp", "eth ip4:ihl=6 udp", 0, ALL, UDP4, "sdp" },
    { "ipv4/ihl-7", "eth ip4:ihl=7 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/ihl-14", "eth ip4:ihl=14 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/ihl-15", "eth ip4:ihl=15 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/ihl-15-udp", "eth ip4:ihl=15 udp", 0, ALL, UDP4, "sdp" },
    { "ipv4/ihl-15-tcp-19-bytes", "eth ip4:ihl=15 tcp", 1, ALL, V4, "sd" },
    { "ipv4/ihl-15-header-only", "eth ip4:ihl=15", 0, ALL, V4, "sd" },
    { "ipv4/ihl-15-header-cut", "eth ip4:ihl=15", 1, ALL, 0, "" },
    { "ipv4/ihl-15-vlan", "eth vlan ip4:ihl=15 tcp", 0, ALL, TCP4, "sdp" },

    { "ipv4/df", "eth ip4:df tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/df-udp", "eth ip4:df udp", 0, ALL, UDP4, "sdp" },
    { "ipv4/reserved-bit", "eth ip4:off=0x8000 tcp", 0, ALL, TCP4, "sdp" },
    { "ipv4/reserved-and-df", "eth ip4:df,off=0x8000 udp", 0, ALL,
      UDP4, "sdp" },
    { "ipv4/first-fragment", "eth ip4:mf tcp", 0, ALL, V4, "sd" },
    { "ipv4/first-fragment-df", "eth ip4:mf,df udp", 0, ALL, V4, "sd" },
    { "ipv4/later-fragment", "eth ip4:mf,off=185 tcp", 0, ALL, V4, "sd" },
    { "ipv4/offset-1", "eth ip4:off=1 tcp", 0, ALL, V4, "sd" },
    { "ipv4/offset-256", "eth ip4:off=256 tcp", 0, ALL, V4, "sd" },
    { "ipv4/offset-4096", "eth ip4:off=0x1000 udp", 0, ALL, V4, "sd" },
    { "ipv4/offset-8191", "eth ip4:off=8191 udp", 0, ALL, V4, "sd" },

    { "ipv4/types/no-tcp", "eth ip4 tcp", 0, ALL & ~TCP4, V4, "sd" },
    { "ipv4/types/no-udp", "eth ip4 udp", 0, ALL & ~UDP4, V4, "sd" },
    { "ipv4/types/tcp-only", "eth ip4 tcp", 0, TCP4, TCP4, "sdp" },
    { "ipv4/types/tcp-only-udp", "eth ip4 udp", 0, TCP4, 0, "" },
    { "ipv4/types/tcp-only-fragment", "eth ip4:mf tcp", 0, TCP4, 0, "" },
    { "ipv4/types/ipv6-only", "eth ip4 tcp", 0, ALL & ~7, 0, "" },
    { "ipv4/types/none", "eth ip4 tcp", 0, 0, 0, "" },

    /* IPv6 without extension headers */
    { "ipv6/tcp", "eth ip6 tcp", 0, ALL, TCP6, "sdp" },
    { "ipv6/tcp-payload", "eth ip6 tcp raw:1440", 0, ALL, TCP6, "sdp" },
    { "ipv6/udp", "eth ip6 udp", 0, ALL, UDP6, "sdp" },
    { "ipv6/tcp-19-bytes", "eth ip6 tcp", 1, ALL, V6, "sd" },
    { "ipv6/tcp-3-bytes", "eth ip6 tcp", 17, ALL, V6, "sd" },
    { "ipv6/udp-7-bytes", "eth ip6 udp", 1, ALL, V6, "sd" },
    { "ipv6/udp-0-bytes", "eth ip6 udp", 8, ALL, V6, "sd" },
    { "ipv6/40-bytes", "eth ip6", 0, ALL, V6, "sd" },
    { "ipv6/39-bytes", "eth ip6", 1, ALL, 0, "" },
    { "ipv6/40-bytes-vlan", "eth vlan ip6", 0, ALL, V6, "sd" },
    { "ipv6/39-bytes-vlan", "eth vlan ip6", 1, ALL, 0, "" },
    { "ipv6/icmp6", "eth ip6 icmp6", 0, ALL, V6, "sd" },
    { "ipv6/icmp6-is-no-extension", "eth ip6 icmp6 tcp", 0, XIP, 0, "" },
    { "ipv6/no-next-header", "eth ip6:next=59 tcp", 0, ALL, V6, "sd" },
    { "ipv6/no-next-is-no-ext", "eth ip6:next=59 tcp", 0, XIP, 0, "" },
    { "ipv6/experiment-is-no-ext", "eth ip6:next=253 tcp", 0, XIP, 0, "" },
    { "ipv6/sctp", "eth ip6:next=132 raw:40", 0, ALL, V6, "sd" },
    { "ipv6/ipv4-in-ipv6", "eth ip6:next=4 raw:60", 0, ALL, V6, "sd" },
    { "ipv6/version-4", "eth ip6:ver=4 tcp", 0, ALL, 0, "" },
    { "ipv6/version-7", "eth ip6:ver=7 tcp", 0, ALL, 0, "" },
    { "ipv6/ex-types-do-not-apply", "eth ip6 tcp", 0, XIP | XTCP, 0, "" },
    { "ipv6/ex-types-beside-plain", "eth ip6 tcp", 0, XIP | XTCP | V6,
      V6, "sd" },
    { "ipv6/types/no-tcp", "eth ip6 tcp", 0, ALL & ~TCP6, V6, "sd" },
    { "ipv6/types/udp-only", "eth ip6 udp", 0, UDP6, UDP6, "sdp" },
    { "ipv6/types/udp-only-tcp", "eth ip6 tcp", 0, UDP6, 0, "" },
    { "ipv6/types/ipv4-only", "eth ip6 tcp", 0, 7, 0, "" },

    /* IPv6 extension headers, one of each kind */
    { "ext/hop", "eth ip6 hop tcp", 0, ALL, XTCP, "sdp" },
    { "ext/hop-udp", "eth ip6 hop udp", 0, ALL, XUDP, "sdp" },
    { "ext/hop-icmp6", "eth ip6 hop icmp6", 0, ALL, XIP, "sd" },
    { "ext/routing-type-0", "eth ip6 rt:type=0 tcp", 0, ALL, XTCP, "sdp" },
    { "ext/dst", "eth ip6 dst tcp", 0, ALL, XTCP, "sdp" },
    { "ext/mobility", "eth ip6 mob tcp", 0, ALL, XTCP, "sdp" },
    { "ext/mobility-alone", "eth ip6 mob", 0, ALL, XIP, "sd" },
    { "ext/hip", "eth ip6 hip udp", 0, ALL, XUDP, "sdp" },
    { "ext/shim6", "eth ip6 shim tcp", 0, ALL, XTCP, "sdp" },
    { "ext/ah", "eth ip6 ah tcp", 0, ALL, XTCP, "sdp" },
    { "ext/ah-8-bytes", "eth ip6 ah:len=0 tcp", 0, ALL, XTCP, "sdp" },
    { "ext/ah-12-bytes", "eth ip6 ah:len=1 udp", 0, ALL, XUDP, "sdp" },
    { "ext/ah-1028-bytes", "eth ip6 ah:len=255 udp", 0, ALL, XUDP, "sdp" },
    { "ext/ah-1028-cut", "eth ip6 ah:len=255", 1, ALL, XIP, "sd" },
    { "ext/esp", "eth ip6 esp", 0, ALL, XIP, "sd" },
    { "ext/esp-then-tcp", "eth ip6 esp tcp", 0, ALL, XIP, "sd" },
    { "ext/esp-no-ip-ex", "eth ip6 esp", 0, ALL & ~XIP, V6, "sd" },
    { "ext/esp-empty", "eth ip6:next=50", 0, ALL, XIP, "sd" },
    { "ext/hop-2048-bytes", "eth ip6 hop:len=255 tcp", 0, ALL,
      XTCP, "sdp" },
    { "ext/hop-2048-cut", "eth ip6 hop:len=255", 1, ALL, XIP, "sd" },
    { "ext/several", "eth ip6 hop dst rt:type=0 ah dst udp", 0, ALL,
      XUDP, "sdp" },
    { "ext/vlan", "eth vlan ip6 hop tcp", 0, ALL, XTCP, "sdp" },
    { "ext/hop-7-bytes", "eth ip6 hop", 1, ALL, XIP, "sd" },
    { "ext/hop-8-bytes", "eth ip6 hop", 0, ALL, XIP, "sd" },
    { "ext/hop-missing", "eth ip6:next=0", 0, ALL, XIP, "sd" },
    { "ext/hop-16-cut", "eth ip6 hop:len=1", 1, ALL, XIP, "sd" },
    { "ext/tcp-19-bytes", "eth ip6 hop tcp", 1, ALL, XIP, "sd" },
    { "ext/udp-7-bytes", "eth ip6 hop udp", 1, ALL, XIP, "sd" },
    { "ext/udp-8-bytes", "eth ip6 hop udp", 0, ALL, XUDP, "sdp" },

    /* Steps: headers, and options until there is a home address. */
    { "steps/20-headers", "eth ip6 " HOPS_19 "hop tcp", 0, ALL,
      XTCP, "sdp" },
    { "steps/20-headers-tcp-cut", "eth ip6 " HOPS_19 "hop tcp", 1, ALL,
      XIP, "sd" },
    { "steps/21-headers", "eth ip6 " HOPS_19 "hop hop tcp", 0, ALL,
      XIP, "sd" },
    { "steps/40-headers", "eth ip6 " HOPS_19 HOPS_19 "hop hop tcp", 0, ALL,
      XIP, "sd" },
    { "steps/20-plain-types", "eth ip6 " HOPS_19 "hop udp", 0, NO_X,
      UDP6, "sdp" },
    { "steps/21-plain-types", "eth ip6 " HOPS_19 "hop hop udp", 0, NO_X,
      V6, "sd" },
    { "steps/20-of-2048-bytes", "eth " VLANS_7 "vlan ip6 "
      LONG_HOPS_10 LONG_HOPS_10 "tcp", 0, ALL, XTCP, "sdp" },
    { "steps/20-of-2048-bytes-cut", "eth " VLANS_7 "vlan ip6 "
      LONG_HOPS_10 LONG_HOPS_10 "tcp", 1, ALL, XIP, "sd" },
    { "steps/21-of-2048-bytes", "eth " VLANS_7 "vlan ip6 "
      LONG_HOPS_10 LONG_HOPS_10 "hop:len=255 tcp", 0, ALL, XIP, "sd" },
    { "steps/route-20th", "eth ip6 " HOPS_19 "rt tcp", 0, ALL,
      XTCP, "srp" },
    { "steps/route-21st", "eth ip6 " HOPS_19 "hop rt tcp", 0, ALL,
      XIP, "sd" },
    { "steps/home-20th", "eth ip6 dst:" PADS_14 "pad1,pad1,pad1,pad1,home"
      " tcp", 0, ALL, XTCP, "hdp" },
    { "steps/home-21st", "eth ip6 dst:" PADS_14 "pad1,pad1,pad1,pad1,pad1,"
      "home tcp", 0, ALL, XIP, "sd" },
    { "steps/home-20th-padn", "eth ip6 dst:" PADS_14 "pad1,pad1,pad1,padn=9,"
      "home tcp", 0, ALL, XTCP, "hdp" },
    { "steps/home-20th-mixed", "eth ip6 hop hop hop hop dst:" PADS_14
      "home udp", 0, ALL, XUDP, "hdp" },
    { "steps/home-21st-mixed", "eth ip6 hop hop hop hop hop dst:" PADS_14
      "home udp", 0, ALL, XIP, "sd" },
    { "steps/option-20th", "eth ip6 hop hop hop hop hop dst:" PADS_14
      " tcp", 0, ALL, XTCP, "sdp" },
    { "steps/option-21st", "eth ip6 hop hop hop hop hop hop dst:" PADS_14
      " tcp", 0, ALL, XIP, "sd" },
    { "steps/none-behind-home", "eth ip6 dst:home," PADS_14 PADS_14
      " tcp", 0, ALL, XTCP, "hdp" },
    { "steps/none-in-second-dst", "eth ip6 dst:home dst:" PADS_14 PADS_14
      " tcp", 0, ALL, XTCP, "hdp" },
    { "steps/none-in-hop", "eth ip6 hop:" PADS_14 PADS_14 " tcp", 0,
      ALL, XTCP, "sdp" },
    { "steps/many-pads", "eth ip6 dst:len=255 tcp", 0, ALL, XIP, "sd" },
    { "steps/options-of-two-headers", "eth ip6 dst:" PADS_14
      " dst:pad1,pad1,pad1,home tcp", 0, ALL, XTCP, "hdp" },
    { "steps/options-of-two-headers-more", "eth ip6 dst:" PADS_14
      " dst:pad1,pad1,pad1,pad1,home tcp", 0, ALL, XIP, "sd" },

    /* Fragment headers */
    { "frag/atomic", "eth ip6 frag tcp", 0, ALL, XTCP, "sdp" },
    { "frag/atomic-plain-types", "eth ip6 frag tcp", 0, NO_X, TCP6, "sdp" },
    { "frag/atomic-reserved-bits", "eth ip6 frag:bits=3 tcp", 0, ALL,
      XTCP, "sdp" },
    { "frag/atomic-reserved-byte", "eth ip6 frag:reserved=255 tcp", 0, ALL,
      XTCP, "sdp" },
    { "frag/first", "eth ip6 frag:m tcp", 0, ALL, XIP, "sd" },
    { "frag/first-plain-types", "eth ip6 frag:m tcp", 0, NO_X, V6, "sd" },
    { "frag/offset-1", "eth ip6 frag:off=1 tcp", 0, ALL, XIP, "sd" },
    { "frag/offset-32", "eth ip6 frag:off=32 tcp", 0, ALL, XIP, "sd" },
    { "frag/offset-8191", "eth ip6 frag:off=8191,m udp", 0, ALL,
      XIP, "sd" },
    { "frag/tcp-types-only", "eth ip6 frag:m tcp", 0, TCP6 | XTCP, 0, "" },
    { "frag/7-bytes", "eth ip6 frag", 1, ALL, XIP, "sd" },
    { "frag/after-hop", "eth ip6 hop frag:m tcp", 0, ALL, XIP, "sd" },
    { "frag/before-home", "eth ip6 frag:m dst:home tcp", 0, ALL,
      XIP, "sd" },
    { "frag/behind-home", "eth ip6 dst:home frag:m tcp", 0, ALL,
      XIP, "hd" },
    { "frag/behind-route", "eth ip6 rt frag:off=9 tcp", 0, ALL,
      XIP, "sr" },
    { "frag/atomic-then-ext", "eth ip6 frag dst:home tcp", 0, ALL,
      XTCP, "hdp" },

    /* Home Address option */
    { "home/tcp", "eth ip6 dst:home tcp", 0, ALL, XTCP, "hdp" },
    { "home/udp", "eth ip6 dst:home udp", 0, ALL, XUDP, "hdp" },
    { "home/alone", "eth ip6 dst:home", 0, ALL, XIP, "hd" },
    { "home/plain-types", "eth ip6 dst:home tcp", 0, NO_X, TCP6, "sdp" },
    { "home/plain-type-ipv6", "eth ip6 dst:home tcp", 0, V6, V6, "sd" },
    { "home/ip-ex-and-tcp6", "eth ip6 dst:home tcp", 0, XIP | TCP6,
      XIP, "hd" },
    { "home/udp-ex-not-for-tcp", "eth ip6 dst:home tcp", 0, XUDP | TCP6,
      TCP6, "sdp" },
    { "home/tcp-ex-only", "eth ip6 dst:home tcp", 0, XTCP, XTCP, "hdp" },
    { "home/tcp-ex-only-udp", "eth ip6 dst:home udp", 0, XTCP, 0, "" },
    { "home/behind-padn", "eth ip6 dst:padn=4,home tcp", 0, ALL,
      XTCP, "hdp" },
    { "home/behind-padn-0", "eth ip6 dst:padn=0,home tcp", 0, ALL,
      XTCP, "hdp" },
    { "home/behind-other-option", "eth ip6 dst:opt=30,home tcp", 0, ALL,
      XTCP, "hdp" },
    { "home/behind-longest-option", "eth ip6 dst:opt=255,home tcp", 0, ALL,
      XTCP, "hdp" },
    { "home/inside-other-option", "eth ip6 dst:opt=40 tcp", 0, ALL,
      XTCP, "sdp" },
    { "home/length-15", "eth ip6 dst:home=15 tcp", 0, ALL, XTCP, "sdp" },
    { "home/length-17", "eth ip6 dst:home=17,pad1 tcp", 0, ALL,
      XTCP, "sdp" },
    { "home/length-0", "eth ip6 dst:home=0 tcp", 0, ALL, XTCP, "sdp" },
    { "home/length-255", "eth ip6 dst:home=255 tcp", 0, ALL, XTCP, "sdp" },
    /* The option says 16 bytes, its header is over after two of them. */
    { "home/beyond-its-header", "eth ip6 dst:len=0,next=58,opt=0,home"
      " raw:40", 0, ALL, XIP, "sd" },
    { "home/length-18-then-right", "eth ip6 dst:home=18,pad1,pad1,home tcp",
      0, ALL, XTCP, "hdp" },
    { "home/in-hop-by-hop", "eth ip6 hop:home tcp", 0, ALL, XTCP, "sdp" },
    { "home/second-header", "eth ip6 dst dst:home tcp", 0, ALL,
      XTCP, "hdp" },
    { "home/behind-rt", "eth ip6 rt dst:home tcp", 0, ALL, XTCP, "hrp" },
    { "home/header-cut", "eth ip6 dst:home", 1, ALL, XIP, "sd" },
    { "home/transport-cut", "eth ip6 dst:home tcp", 1, ALL, XIP, "hd" },

    /* Type 2 routing header */
    { "rt2/tcp", "eth ip6 rt tcp", 0, ALL, XTCP, "srp" },
    { "rt2/udp", "eth ip6 rt udp", 0, ALL, XUDP, "srp" },
    { "rt2/icmp6", "eth ip6 rt icmp6", 0, ALL, XIP, "sr" },
    { "rt2/plain-types", "eth ip6 rt tcp", 0, NO_X, TCP6, "sdp" },
    { "rt2/and-home", "eth ip6 dst:home rt tcp", 0, ALL, XTCP, "hrp" },
    { "rt2/and-home-ip-ex", "eth ip6 dst:home rt udp", 0, XIP, XIP, "hr" },
    { "rt2/type-0", "eth ip6 rt:type=0 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/type-3", "eth ip6 rt:type=3 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/type-4", "eth ip6 rt:type=4 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/length-0", "eth ip6 rt:len=0 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/length-1", "eth ip6 rt:len=1 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/length-3", "eth ip6 rt:len=3 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/length-4", "eth ip6 rt:len=4 tcp", 0, ALL, XTCP, "sdp" },
    { "rt2/behind-type-0", "eth ip6 rt:type=0 rt tcp", 0, ALL,
      XTCP, "srp" },
    { "rt2/header-cut", "eth ip6 rt", 1, ALL, XIP, "sd" },
    { "rt2/transport-cut", "eth ip6 rt tcp", 1, ALL, XIP, "sr" },

    /* Large frames */
    { "large/jumbo-tcp4", "eth ip4 tcp raw:8960", 0, ALL, TCP4, "sdp" },
    { "large/jumbo-tcp6", "eth ip6 tcp raw:8940", 0, ALL, TCP6, "sdp" },
    { "large/gso-tcp4", "eth ip4 tcp raw:65495", 0, ALL, TCP4, "sdp" },
    { "large/big-tcp6", "eth ip6 hop tcp raw:180000", 0, ALL,
      XTCP, "sdp" },
};

const size_t n_flow_cases = G_N_ELEMENTS(flow_cases);

GByteArray *flow_case_frame(const FlowCase *c)
{
    GByteArray *frame = packet_build(c->recipe, &packet_flow);

    g_assert_cmpuint(c->cut, <=, frame->len);
    g_byte_array_set_size(frame, frame->len - c->cut);
    return frame;
}

uint32_t flow_case_hash(const FlowCase *c, const uint8_t *key)
{
    bool v4 = c->type == V4 || c->type == TCP4 || c->type == UDP4;
    size_t address_len = v4 ? 4 : 16;
    uint8_t input[36];
    size_t len = 0;
    const char *letter;

    for (letter = c->input; *letter; letter++) {
        const uint8_t *piece =
            *letter == 's' ? (v4 ? packet_flow.src4 : packet_flow.src6) :
            *letter == 'd' ? (v4 ? packet_flow.dst4 : packet_flow.dst6) :
            *letter == 'h' ? packet_flow.home :
            *letter == 'r' ? packet_flow.routed_to : packet_flow.ports;
        size_t n = *letter == 'p' ? 4 : address_len;

        memcpy(input + len, piece, n);
        len += n;
    }
    return oracle_toeplitz(key, input, len);
}
