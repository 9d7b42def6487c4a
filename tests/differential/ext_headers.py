# SPDX-License-Identifier: GPL-2.0-or-later
"""The grammar's IPv6 extension headers, as scapy builds them.

Each function returns a Header.  Its layer has a field `nh`, which whoever
puts a chain together sets; and it says what the header means, if it says so
by the book.
"""

from collections import namedtuple

from scapy.fields import (ByteField, FieldLenField, StrField)
from scapy.layers.inet6 import (HAO, HBHOptUnknown, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting,
                                Jumbo, MIP6MH_CoT, MIP6MH_HoTI, Pad1, PadN,
                                RouterAlert)
from scapy.layers.ipsec import AH, ESP
from scapy.packet import Packet

HOP, ROUTING, FRAGMENT, ESP_NUMBER, AH_NUMBER = 0, 43, 44, 50, 51
DESTINATION, MOBILITY, HIP, SHIM6 = 60, 135, 139, 140
KINDS = {HOP: "hop-by-hop", ROUTING: "routing", FRAGMENT: "fragment",
         ESP_NUMBER: "ESP", AH_NUMBER: "AH", DESTINATION: "destination",
         MOBILITY: "mobility", HIP: "HIP", SHIM6: "shim6"}

# number: of the header.  labels: what is in it.  home, routed: the address
# that is in it, or None.  opaque: what follows it cannot be looked into.
# lie: it is not by the book, and says nothing of what follows.
Header = namedtuple("Header", "number layer labels home routed opaque lie",
                    defaults=((), None, None, False, False))


class Opaque(Packet):
    """A header that scapy does not know: HIP, shim6."""
    name = "opaque extension header"
    fields_desc = [ByteField("nh", 59),
                   FieldLenField("len", None, fmt="B", length_of="data",
                                 adjust=lambda packet, n: (n + 2) // 8 - 1),
                   StrField("data", bytes(6))]


def address(rand):
    return ":".join(f"{rand.getrandbits(16):x}" for _ in range(8))


def _padding(rand, length):
    """Options that fill a number of bytes, in one of many ways."""
    options = []
    while length:
        size = rand.randint(1, length)
        if size == 1:
            options.append(Pad1())
        else:
            size = min(size, 200)
            options.append(PadN(optdata=bytes(size - 2)))
        length -= size
    return options


def _other_option(rand):
    """An option that is no Home Address."""
    return rand.choice((
        Pad1, PadN, lambda: PadN(optdata=rand.randbytes(rand.randint(0, 9))),
        lambda: HBHOptUnknown(otype=rand.choice((1, 4, 0x1e, 0x49, 0xc8)),
                              optdata=rand.randbytes(rand.randint(0, 20))),
        lambda: RouterAlert(value=rand.randint(0, 3)),
        lambda: Jumbo(jumboplen=1 << 17)))()


def _options_header(rand, layer, options):
    """A header with options, padded behind them by us or by scapy."""
    if rand.random() < 0.3:
        return layer(options=options, autopad=1)
    length = sum(len(bytes(option)) for option in options)
    return layer(options=options + _padding(rand, -(length + 2) % 8),
                 autopad=0)


def hop_by_hop(rand):
    options = [_other_option(rand) for _ in range(rand.randint(0, 3))]
    labels = ()
    if rand.random() < 0.2:         # means nothing there
        options.append(HAO(hoa=address(rand)))
        labels = ("home address in a hop-by-hop header",)
    return Header(HOP, _options_header(rand, IPv6ExtHdrHopByHop, options),
                  labels)


def destination(rand):
    """Destination options: none, others, or a Home Address among others."""
    before = [_other_option(rand) for _ in range(rand.choice((0, 0, 1, 3)))]
    after = [_other_option(rand) for _ in range(rand.choice((0, 0, 2)))]
    home = address(rand) if rand.random() < 0.6 else None
    labels = []
    if rand.random() < 0.1:
        before.append(PadN(optdata=bytes(rand.randint(126, 253))))
        labels.append("option of 128 bytes or more")
    options = before + after
    if home:
        labels.append("home address" + (" behind other options" if before
                                        else ""))
        options = before + [HAO(hoa=home)] + after
        if rand.random() < 0.2:
            options.append(HAO(hoa=address(rand)))
            labels.append("two home addresses")
    layer = _options_header(rand, IPv6ExtHdrDestOpt, options)
    return Header(DESTINATION, layer, tuple(labels), home=home)


def odd_destination(rand):
    """Options that lie of their length, or too many of them."""
    way = rand.randint(0, 3)
    home = HAO(hoa=address(rand))
    if way == 0:                    # 16 is the one right length
        home.optlen = rand.choice((0, 14, 15, 17, 18, 255))
        options = [home]
        label = "home address of a wrong length"
    elif way == 1:                  # it ends behind its header
        options = [PadN(optdata=bytes(rand.randint(0, 5))), home]
        label = "home address cut off by its header"
    elif way == 2:
        options = [PadN(optlen=rand.choice((30, 60, 255))), home]
        label = "option longer than its header"
    else:
        options = [Pad1()] * rand.choice((16, 17, 18, 19, 20, 60)) + [home]
        label = "many options"
    layer = _options_header(rand, IPv6ExtHdrDestOpt, options)
    if way == 1:
        layer.len = rand.randint(0, 1)
    return Header(DESTINATION, layer, (label,), lie=True)


def routing(rand):
    way = rand.randint(0, 9)
    if way < 5:
        target = address(rand)
        segments = rand.choice((0, 1, 1, 1, 2, 255))
        layer = IPv6ExtHdrRouting(type=2, segleft=segments,
                                  addresses=[target])
        label = "type 2 routing, segments left " + (
            "1" if segments == 1 else "0" if segments == 0 else "many")
        return Header(ROUTING, layer, (label,), routed=target)
    if way == 5:                    # must hold exactly one address
        layer = IPv6ExtHdrRouting(
            type=2, segleft=1,
            addresses=[address(rand) for _ in range(rand.choice((0, 2, 3)))])
        return Header(ROUTING, layer, ("type 2 routing of a wrong length",))
    addresses = [address(rand) for _ in range(rand.randint(1, 3))]
    if way == 6:
        layer = IPv6ExtHdrSegmentRouting(addresses=addresses,
                                         segleft=rand.randint(0, 3))
        return Header(ROUTING, layer, ("segment routing",))
    kind = rand.choice((0, 1, 3, 5, 253))
    layer = IPv6ExtHdrRouting(type=kind, addresses=addresses)
    return Header(ROUTING, layer, ("routing of another type",))


def fragment(rand):
    """Fragments; in half of the cases an atomic one."""
    way = rand.choice(("atomic", "atomic", "atomic", "first", "later",
                       "last"))
    offset = 1 << rand.randint(0, 12)
    layer = IPv6ExtHdrFragment(offset=offset if way[0] == "l" else 0,
                               m=int(way in ("first", "later")),
                               res1=rand.choice((0, 0, 255)),
                               res2=rand.choice((0, 0, 3)),
                               id=rand.getrandbits(32))
    return Header(FRAGMENT, layer, (f"IPv6 fragment: {way}",),
                  opaque=way != "atomic")


def authentication(rand):
    words = rand.choice((0, 1, 3, 4, 5, 8, 33))
    return Header(AH_NUMBER, AH(payloadlen=words + 1, spi=1,
                                icv=rand.randbytes(4 * words)))


def esp(rand):
    """Encrypted bytes, some of which look like a header before TCP."""
    spi, data = rand.getrandbits(32), rand.randbytes(rand.randint(0, 20))
    if rand.random() < 0.5:
        spi, data = 6 << 24, b""
    return Header(ESP_NUMBER, ESP(spi=spi, seq=1, data=data), opaque=True)


def mobility(rand):
    layer = rand.choice((MIP6MH_CoT, MIP6MH_HoTI))(cksum=rand.getrandbits(16))
    layer.len = len(bytes(layer)) // 8 - 1  # scapy counts what follows, too
    return Header(MOBILITY, layer)


def opaque(rand, number):
    units = rand.choice((0, 0, 1, 3))
    return Header(number, Opaque(data=rand.randbytes(6 + 8 * units)))


def header(rand, number):
    """A header of a given kind, by the book."""
    if number in (HIP, SHIM6):
        return opaque(rand, number)
    return {HOP: hop_by_hop, ROUTING: routing, FRAGMENT: fragment,
            ESP_NUMBER: esp, AH_NUMBER: authentication,
            DESTINATION: destination, MOBILITY: mobility}[number](rand)


def odd_header(rand):
    """A header that is not by the book."""
    if rand.random() < 0.6:
        return odd_destination(rand)
    odd = header(rand, rand.choice((HOP, ROUTING, DESTINATION, SHIM6)))
    odd.layer.len = rand.choice((0, 1, 3, 20, 255))
    return odd._replace(lie=True, labels=("header of a wrong length",))


def one_step(rand):
    """A header of which there is nothing to look at."""
    return opaque(rand, rand.choice((HIP, SHIM6)))


def huge_header(rand):
    """The longest header that there can be."""
    return Header(SHIM6, Opaque(data=bytes(6 + 8 * 255)), lie=True,
                  labels=("header of 2,048 bytes",))
