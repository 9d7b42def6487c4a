# SPDX-License-Identifier: GPL-2.0-or-later
"""A grammar of frames, which scapy builds; with | for a choice:

    frame      Ethernet tags network | Ethernet tags random bytes
    tags       0 to 10, 802.1Q | 802.1ad
    network    IPv4 options transport | IPv6 chain transport | another type
    chain      0 to 40 extension headers in any order, see ext_headers.py
    transport  TCP | UDP | ICMP | SCTP | a tunnel | cut short | ... payload
    payload    some bytes, so that a frame may have more than 64 KiB

Each recipe has labels, and MUST lists those that any run has to show.
"""

from collections import namedtuple

from scapy.layers.inet import (ICMP, IP, TCP, UDP, IPOption, IPOption_EOL,
                               IPOption_LSRR, IPOption_NOP, IPOption_RR,
                               IPOption_Router_Alert, IPOption_Timestamp)
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

import ext_headers as ext

# What was built.  meant: what was meant by it, or None if it breaks a rule
# or a limit on purpose.
Recipe = namedtuple("Recipe", "frame labels meant")
Meant = namedtuple("Meant", "version src dst transport ports has_extension "
                   "alt_src alt_dst")
Transport = namedtuple("Transport", "number layer label ports")

TCP_NUMBER, UDP_NUMBER, NO_NEXT = 6, 17, 59
MEANT_HEADERS = 5           # with more, nothing is meant
LONG_CHAINS = range(17, 23) # headers; a walk goes along 20
SIZES = {"to 9,000": (1515, 9018), "to 64 KiB": (9019, 65500),
         "GSO, about 64 KiB": (65501, 65600)}

MUST = (
    [f"tags: {n}" for n in range(11)]
    + ["tags: 802.1Q", "tags: 802.1ad", "tags: both", "no IP", "runt type"]
    + ["IPv4", "IPv4 options", "IPv4 don't fragment", "IPv4 fragment: first",
       "IPv4 fragment: later", "IPv4 fragment: last", "IPv4 reserved bit",
       "IPv4 header length below 5", "IPv4 header longer than its bytes",
       "IP version wrong", "IP length lies", "IPv6",
       "IPv6 without extension headers", "IPv6 with 6 to 15 headers",
       "IPv6 with 16 to 40 headers"]
    + [f"header: {name}" for name in ext.KINDS.values()]
    + [f"order: {a}, {b}" for a in ext.KINDS.values()
       for b in ext.KINDS.values()]
    + [f"IPv6 fragment: {which}"
       for which in ("atomic", "first", "later", "last")]
    + ["home address", "home address behind other options",
       "two home addresses", "home address in a hop-by-hop header",
       "home address of a wrong length", "home address cut off by its header",
       "option longer than its header", "option of 128 bytes or more",
       "many options",
       "type 2 routing, segments left 0", "type 2 routing, segments left 1",
       "type 2 routing, segments left many",
       "type 2 routing of a wrong length", "routing of another type",
       "segment routing", "header of a wrong length", "header of 2,048 bytes",
       "no next header", "unknown next header"]
    + [f"a chain of {n} headers" for n in LONG_CHAINS]
    + [f"transport: {name}" for name in (
        "TCP", "TCP options", "UDP", "ICMP", "SCTP", "tunnel", "TCP cut",
        "UDP cut", "none")]
    + [f"size: {size}" for size in SIZES]
    + ["random bytes"])


class Grammar:
    """Recipes, all from one source of random numbers."""

    def __init__(self, rand):
        self.rand = rand
        self.missing = set(MUST)    # labels that no recipe had yet

    def recipes(self):
        """Yield recipes without end."""
        for recipe in self._recipes():
            self.missing -= recipe.labels
            yield recipe

    def _recipes(self):
        """Yield what is rare by chance: each order, ...; then any recipe."""
        r = self.rand
        for count in range(11):
            yield self.recipe(tags=count)
        for a in ext.KINDS:
            for b in ext.KINDS:
                yield self.recipe(chain=[a, b])
        for count in LONG_CHAINS:
            yield self.recipe(chain=["one step"] * count)
        for size in SIZES:
            for network in (4, 6, 6):
                yield self.recipe(network=network, size=size)
        while True:
            size = r.choice(list(SIZES)) if r.random() < 0.03 else None
            yield self.recipe(size=size)

    def recipe(self, tags=None, network=None, chain=None, size=None):
        """A recipe; whatever is not asked for is chosen."""
        r = self.rand
        labels = set()
        frame = self.tags(tags, labels)
        base = frame
        if network is None:
            network = 6 if chain else r.choice((4, 4, 4, 4, 6, 6, 6, 6, 6, 0))
        if network == 0:
            upper, meant = self.no_ip(labels), None
        else:
            transport = self.transport(network, labels)
            make = self.ipv4 if network == 4 else self.ipv6
            upper, meant = make(transport, chain, size, labels)
        frame = bytes(frame / upper)
        if size:
            low, high = SIZES[size]
            frame += bytes(max(0, r.randint(low, high) - len(frame)))
            labels.add("size: " + size)
        if {"tags: 9", "tags: 10"} & labels:
            meant = None
        if size and {"transport: TCP cut", "transport: UDP cut"} & labels:
            meant = None            # it is whole again
        if "random bytes" in labels:
            frame = bytes(base)
            frame = frame[:-2] + r.choice((b"\x08\x00", b"\x86\xdd")) + \
                r.randbytes(r.randint(0, 120))
        return Recipe(frame, frozenset(labels), meant)

    def tags(self, count, labels):
        """Ethernet with VLAN tags, in any mixture; in most cases none."""
        r = self.rand
        if count is None:
            count = r.randint(1, 10) if r.random() < 0.25 else 0
        kinds = [r.choice((Dot1Q, Dot1AD)) for _ in range(count)]
        labels.add(f"tags: {count}")
        for kind, name in ((Dot1Q, "802.1Q"), (Dot1AD, "802.1ad")):
            if kind in kinds:
                labels.add("tags: " + name)
        if len(set(kinds)) == 2:
            labels.add("tags: both")
        frame = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
        for kind in kinds:
            frame = frame / kind(vlan=r.randint(0, 4095), prio=r.randint(0, 7))
        return frame

    def no_ip(self, labels):
        """ARP, an unknown type, a length in place of a type, or noise."""
        r = self.rand
        way = r.randint(0, 3)
        if way == 0:
            labels.add("no IP")
            return ARP()
        labels.add("random bytes" if way > 1 else "runt type")
        return Raw(r.randbytes(r.randint(0, 60)))

    def transport(self, version, labels):
        r = self.rand
        source, target = r.getrandbits(16), r.getrandbits(16)
        ports = source.to_bytes(2, "big") + target.to_bytes(2, "big")
        way = r.choice("TTTTUUUUtuISgtn?")
        tcp = TCP(sport=source, dport=target, chksum=1,
                  flags=r.choice(("S", "A", "PA", "F")))
        udp = UDP(sport=source, dport=target, chksum=1)
        if way == "T" and r.random() < 0.3:
            tcp.options = [("MSS", 1460), ("SAckOK", b""),
                           ("Timestamp", (1, 2))]
            labels.add("transport: TCP options")
        if way == "T":
            found = Transport(TCP_NUMBER, tcp, "TCP", ports)
        elif way == "U":
            found = Transport(UDP_NUMBER, udp, "UDP", ports)
        elif way == "t":
            found = Transport(TCP_NUMBER, Raw(bytes(tcp)[:r.randint(0, 19)]),
                              "TCP cut", None)
        elif way == "u":
            found = Transport(UDP_NUMBER, Raw(bytes(udp)[:r.randint(0, 7)]),
                              "UDP cut", None)
        elif way == "I" and version == 4:
            found = Transport(1, ICMP(chksum=1), "ICMP", None)
        elif way == "I":
            found = Transport(58, ICMPv6EchoRequest(cksum=1), "ICMP", None)
        elif way == "S":
            found = Transport(132, SCTP(sport=source, dport=target), "SCTP",
                              None)
        elif way == "g":
            number, inner = r.choice(((4, IP() / udp), (41, IPv6() / tcp),
                                      (47, GRE() / IP() / udp)))
            found = Transport(number, inner, "tunnel", None)
        elif way == "n":
            found = Transport(NO_NEXT, Raw(bytes(tcp)), "none", None)
            labels.add("no next header")
        else:
            number = r.choice((253, 254, 255, 61, 114, 136, 142, 200))
            found = Transport(number, Raw(bytes(tcp)), "none", None)
            labels.add("unknown next header")
        labels.add("transport: " + found.label)
        if found.label.endswith("cut") or r.random() < 0.5:
            return found
        return found._replace(layer=found.layer /
                              Raw(bytes(r.randint(0, 30))))

    def ip_options(self):
        """IPv4 options: 4 to 40 bytes, in whole words."""
        r = self.rand
        options = []
        room = 40
        for _ in range(r.randint(1, 4)):
            option = r.choice((
                IPOption_NOP, IPOption_EOL, IPOption_Router_Alert,
                lambda: IPOption_RR(routers=["10.0.0.1"] * r.randint(1, 3)),
                lambda: IPOption_LSRR(routers=["10.0.0.2"]),
                lambda: IPOption_Timestamp(),
                lambda: IPOption(option=30, value=r.randbytes(6))))()
            if len(bytes(option)) <= room:
                options.append(option)
                room -= len(bytes(option))
        return options

    def ipv4(self, transport, _chain, size, labels):
        r = self.rand
        source, target = r.randbytes(4), r.randbytes(4)
        packet = IP(src=".".join(map(str, source)), proto=transport.number,
                    dst=".".join(map(str, target)), chksum=1,
                    id=r.getrandbits(16), len=0 if size else None)
        sound, whole = True, True
        labels.add("IPv4")
        if r.random() < 0.4:
            packet.options = self.ip_options()
            labels.add("IPv4 options")
        if r.random() < 0.5:
            packet.flags |= 2
            labels.add("IPv4 don't fragment")
        if r.random() < 0.1:
            packet.flags |= 4
            labels.add("IPv4 reserved bit")
        if r.random() < 0.2:
            way = r.choice(("first", "later", "last"))
            packet.flags |= int(way != "last")
            packet.frag = 0 if way == "first" else 1 << r.randint(0, 12)
            labels.add("IPv4 fragment: " + way)
            whole = False
        if r.random() < 0.1:
            packet.ihl = r.randint(0, 15)
            sound = False
            labels.add("IPv4 header length below 5" if packet.ihl < 5
                       else "IPv4 header length changed")
        if r.random() < 0.06:
            packet.ihl = 15         # and that is all there is
            sound = False
            labels.add("IPv4 header longer than its bytes")
            transport = transport._replace(layer=Raw(bytes(r.randint(0, 9))))
        sound &= self.odd_head(packet, "len", labels)
        ports = transport.ports if whole else None
        meant = Meant(4, source, target, transport.number if ports else None,
                      ports or b"", False, None, None)
        return packet / transport.layer, meant if sound else None

    def odd_head(self, packet, length, labels):
        """Now and then a wrong version or length; False: it is no IP then."""
        r = self.rand
        if r.random() < 0.06:
            setattr(packet, length, r.choice((0, 1, 20, 40, 65535)))
            labels.add("IP length lies")
        if r.random() < 0.03:
            packet.version = r.choice((0, 1, 4, 5, 6, 7, 15))
            labels.add("IP version wrong")
            return False
        return True

    def chain(self, size):
        """The kinds of some extension headers."""
        r = self.rand
        if size and r.random() < 0.6:
            return ["huge"] * r.randint(1, 19)
        if r.random() < 0.05:
            return ["one step"] * r.choice(LONG_CHAINS)
        count = r.choice((0, 0, 0, 1, 1, 2, 2, 3, 4, 5))
        if r.random() < 0.08:
            count = r.randint(6, 20)
        # ESP and many fragments end the walk, so long chains have few.
        usual = [kind for kind in ext.KINDS if kind not in
                 (ext.ESP_NUMBER, ext.FRAGMENT)] + ["odd"]
        return [r.choice(usual) if count > 2 and r.random() < 0.9
                else r.choice(list(ext.KINDS) + ["odd"])
                for _ in range(count)]

    def ipv6(self, transport, chain, size, labels):
        r = self.rand
        make = {"odd": ext.odd_header, "huge": ext.huge_header,
                "one step": ext.one_step}
        kinds = chain or self.chain(size)
        headers = [make[kind](r) if kind in make else ext.header(r, kind)
                   for kind in kinds]
        if set(kinds) == {"one step"}:
            labels.add(f"a chain of {len(kinds)} headers")
        source, target = ext.address(r), ext.address(r)
        packet = IPv6(src=source, dst=target, fl=r.getrandbits(20), tc=3,
                      plen=0 if size else None)
        label_chain(headers, labels)
        sound = self.odd_head(packet, "plen", labels)
        meant = meaning(packet, headers, transport)
        numbers = [header.number for header in headers] + [transport.number]
        for number, header in zip(numbers, [None] + headers):
            if header is None:
                packet.nh = number
            elif header.number != ext.ESP_NUMBER:
                header.layer.nh = number
        for header in headers:
            packet = packet / header.layer
        return packet / transport.layer, meant if sound else None


def label_chain(headers, labels):
    """Say what is in a chain of extension headers, and in which order."""
    names = [ext.KINDS[header.number] for header in headers]
    labels.add("IPv6")
    labels.update("header: " + name for name in names)
    labels.update(f"order: {a}, {b}" for a, b in zip(names, names[1:]))
    for header in headers:
        labels.update(header.labels)
    if not headers:
        labels.add("IPv6 without extension headers")
    elif 6 <= len(headers) <= 15:
        labels.add("IPv6 with 6 to 15 headers")
    elif len(headers) > 15:
        labels.add("IPv6 with 16 to 40 headers")


def meaning(packet, headers, transport):
    """What a chain means, as one reads it that knows what was put in."""
    home = routed = None
    ports = transport.ports
    if len(headers) > MEANT_HEADERS:
        return None                 # a matter of limits
    for header in headers:
        if header.lie:
            return None
        home = home or header.home
        routed = routed or header.routed
        if header.opaque:
            ports = None
            break
    return Meant(6, _bytes(packet.src), _bytes(packet.dst),
                 transport.number if ports else None, ports or b"",
                 bool(headers), _bytes(home), _bytes(routed))


def _bytes(address):
    if address is None:
        return None
    return b"".join(int(group, 16).to_bytes(2, "big")
                    for group in address.split(":"))
