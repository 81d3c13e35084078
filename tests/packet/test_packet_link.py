"""Every link layer, extension headers, tunnels: the same TCP segment comes out of all of them."""

from __future__ import annotations

from struct import pack

import pytest

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.ip import read_ip
from tcpharness.packet.segment import decode

ETHERNET = encode(Frame("10.0.0.1", "10.0.0.2", 40000, 105, seq=7, payload=b"abc"))
IP4 = ETHERNET[14:]
ETHERNET6 = encode(Frame("fd00::1", "fd00::2", 40000, 105, seq=7, payload=b"abc"))
IP6 = ETHERNET6[14:]
MACS = ETHERNET[:12]


def udp(port: int, payload: bytes) -> bytes:
    """An IPv4 packet of UDP, without checksums."""
    body = pack("!HHHH", 5555, port, 8 + len(payload), 0) + payload
    return (
        pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, b"\x0a\0\0\x09", b"\x0a\0\0\x08")
        + body
    )


def ipv4(proto: int, body: bytes, bits: int = 0) -> bytes:
    return (
        pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, bits, 64, proto, 0, b"\x0a\0\0\x09", b"\x0a\0\0\x08"
        )
        + body
    )


def ipv6(first: int, body: bytes) -> bytes:
    return IP6[:4] + pack("!HB", len(body), first) + IP6[7:40] + body


TCP6 = IP6[40:]
SNAP = b"\xaa\xaa\3\0\0\0\x08\0"
FRAMES = {
    "ethernet": (1, ETHERNET),
    "ethernet 6": (1, ETHERNET6),
    "vlan": (1, MACS + b"\x81\x00\x00\x05\x08\x00" + IP4),
    "qinq": (1, MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd" + IP6),
    "pppoe": (1, MACS + b"\x88\x64\x11\x00\x00\x01\x00\x40\x00\x21" + IP4),
    "cooked": (113, b"\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x08\x00" + IP4),
    "cooked 2": (276, b"\x08\x00\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0" + IP4),
    "cooked 2 vlan": (276, b"\x81\x00\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0\x00\x05\x08\x00" + IP4),
    "raw 4": (101, IP4),
    "raw 6": (12, IP6),
    "ipv6 linktype": (229, IP6),
    "null little": (0, b"\2\0\0\0" + IP4),
    "null big": (0, b"\0\0\0\2" + IP4),
    "loop 6": (108, b"\0\0\0\x1e" + IP6),
    "ppp": (9, b"\xff\x03\x00\x21" + IP4),
    "ppp, shortened": (9, b"\x57" + IP6),
    "ppp, mpls": (9, b"\xff\x03\x02\x81\x18\x93\x0d\x40" + IP4),
    "hdlc": (104, b"\x0f\x00\x86\xdd" + IP6),
    "ppp with hdlc": (50, b"\x0f\x00\x08\x00" + IP4),
    "arcnet, RFC 1051": (129, b"\1\2\xc3\0\xf0" + IP4),
    "arcnet, RFC 1201": (129, b"\1\2\xc3\0\xd4\0\0\7" + IP4),
    "infiniband": (242, bytes(40) + b"\x08\0\0\0" + IP4),
    "mpls": (1, MACS + b"\x88\x47\x03\xe8\x00\x7e\x03\xe8\x01\x7e" + IP4),
    "llc": (1, MACS + pack("!H", len(IP4) + 8) + b"\xaa\xaa\3\0\0\0\x08\0" + IP4),
    "802.11": (105, b"\x08\2" + bytes(22) + b"\xaa\xaa\3\0\0\0\x08\0" + IP4),
    "802.11 between stations": (105, b"\x08\3" + bytes(28) + b"\xaa\xaa\3\0\0\0\x08\0" + IP4),
    "802.11 quality": (105, b"\x88\1" + bytes(24) + b"\xaa\xaa\3\0\0\0\x86\xdd" + IP6),
    "token ring": (6, b"\x10\x40" + MACS + SNAP + IP4),
    "token ring, routed": (6, b"\x10\x40" + MACS[:6] + b"\x82" + MACS[7:] + b"\4\0\0\0" + SNAP + IP4),
    "fddi": (10, b"\x50" + MACS + SNAP + IP4),
    "atm": (100, SNAP + IP4),
    "frame relay": (107, b"\x18\x41\x03\xcc" + IP4),
    "frame relay 6": (107, b"\x18\x41\x03\0\x8e" + IP6),
    "frame relay, subnetwork": (107, b"\x18\x41\x03\0\x80\0\0\0\x08\0" + IP4),
    "frame relay, Cisco": (107, b"\x18\x41\x08\0" + IP4),
    "enc": (109, b"\2\0\0\0" + bytes(8) + IP4),
    "pflog": (117, b"\x3d\2" + bytes(62) + IP4),
    "prism": (119, bytes(144) + b"\x08\2" + bytes(22) + SNAP + IP4),
    "fibre channel": (122, bytes(16) + SNAP + IP4),
    "sunatm": (123, b"\2\0\0\x20" + SNAP + IP4),
    "firewire": (138, bytes(16) + b"\x86\xdd" + IP6),
    "avs": (163, b"\x80\x21\x10\1\0\0\0\x40" + bytes(56) + b"\x08\2" + bytes(22) + SNAP + IP4),
    "ppi": (192, b"\0\0\x08\0" + pack("<I", 105) + b"\x08\2" + bytes(22) + SNAP + IP4),
    "ppp with direction": (204, b"\1\xff\x03\x00\x21" + IP4),
    "nflog": (239, b"\2\0\0\0" + b"\5\0\x0a\0x\0\0\0" + pack("<HH", 4 + len(IP4), 9) + IP4),
    "radiotap": (127, b"\0\0\x0a\0" + bytes(6) + b"\x08\2" + bytes(22) + b"\xaa\xaa\3\0\0\0\x08\0" + IP4),
    "hop by hop": (101, ipv6(0, bytes((6, 0, 1, 4, 0, 0, 0, 0)) + TCP6)),
    "routing, destination": (101, ipv6(43, b"\x3c" + b"\0" * 7 + bytes((6, 0, 1, 4)) + b"\0" * 4 + TCP6)),
    "authentication": (101, ipv6(51, bytes((6, 4)) + b"\0" * 22 + TCP6)),
    "first and only fragment": (101, ipv6(44, bytes((6, 0, 0, 0, 0, 0, 0, 9)) + TCP6)),
    "ipip": (101, ipv4(4, IP4)),
    "6in4": (101, ipv4(41, IP6)),
    "gre": (101, ipv4(47, b"\0\0\x08\0" + IP4)),
    "gre with key": (101, ipv4(47, b"\x20\0\x08\0\0\0\0\1" + IP4)),
    "pptp": (101, ipv4(47, b"\x30\x01\x88\x0b\0\x20\0\1\0\0\0\7\xff\x03\0\x21" + IP4)),
    "pptp, acknowledging": (101, ipv4(47, b"\x30\x81\x88\x0b\0\x20\0\1\0\0\0\7\0\0\0\6\0\x21" + IP4)),
    "l2tp": (101, udp(1701, b"\0\2\0\1\0\2\xff\x03\0\x21" + IP4)),
    "l2tp, all fields": (101, udp(1701, b"\x4a\2\0\x40\0\1\0\2\0\3\0\4\0\2\0\0\xff\x03\0\x57" + IP6)),
    "gre bridged": (101, ipv4(47, b"\0\0\x65\x58" + ETHERNET)),
    "vxlan": (101, udp(4789, b"\x08\0\0\0\0\0\1\0" + ETHERNET)),
    "linux vxlan": (101, udp(8472, b"\x08\0\0\0\0\0\1\0" + ETHERNET)),
    "vlan in vxlan": (101, udp(4789, b"\x08\0\0\0\0\0\1\0" + MACS + b"\x81\0\0\x05\x08\0" + IP4)),
    "vlan in gre": (101, ipv4(47, b"\0\0\x65\x58" + MACS + b"\x88\xa8\0\1\x81\0\0\x05\x08\0" + IP4)),
    "geneve": (101, udp(6081, b"\x01\0\x65\x58\0\0\1\0\0\0\0\0" + ETHERNET6)),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_the_segment_is_found(name: str) -> None:
    linktype, data = FRAMES[name]
    segment = decode(data, linktype)
    assert segment.is_tcp, segment.kind
    assert (segment.sport, segment.dport, segment.seq, segment.payload) == (40000, 105, 7, b"abc")
    assert segment.malformed is None
    kind = next((word for word in ("gre", "vxlan", "geneve", "pptp", "l2tp") if word in name), "")
    assert segment.tunnel == ("ipip" if name in ("ipip", "6in4") else kind)


@pytest.mark.parametrize("name", FRAMES)
def test_cut_anywhere_nothing_raises(name: str) -> None:
    linktype, data = FRAMES[name]
    for length in range(len(data)):
        segment = decode(data[:length], linktype, wire_len=len(data))
        assert segment.is_tcp or segment.kind


@pytest.mark.parametrize(
    ("linktype", "data", "kind"),
    [
        (1, MACS + b"\x08\x06" + b"\0" * 28, "arp"),
        (1, MACS + b"\x88\xb5tcpharness x", "ethertype 0x88b5"),
        (1, MACS + b"\x00\x20" + b"\0" * 32, "802.3"),
        (1, b"\0" * 5, "short frame"),
        (101, udp(53, b"x" * 20), "udp"),
        (101, ipv4(1, b"\0" * 8), "icmp"),
        (101, ipv4(200, b"\0" * 8), "ip protocol 200"),
        (101, ipv4(6, b"\0" * 24, bits=5), "fragment"),
        (101, b"\x30" + b"\0" * 30, "IP version 3"),
        (101, b"", "short frame"),
        (0, b"\x63\0\0\0" + IP4, "family 99"),
        (0, b"\x63\1\1\1" + IP4, "no address family"),
        (105, b"\0" * 40, "802.11"),
    ],
)
def test_what_is_not_tcp_says_what_it_is(linktype: int, data: bytes, kind: str) -> None:
    segment = decode(data, linktype)
    assert (segment.is_tcp, segment.kind) == (False, kind)


def test_a_jumbo_segment_takes_its_length_from_the_option() -> None:
    big = b"x" * 70000
    tcp = TCP6[:20] + big
    jumbo = bytes((6, 0, 0xC2, 4)) + pack("!I", len(tcp) + 8)
    packet = IP6[:4] + pack("!HB", 0, 0) + IP6[7:40] + jumbo + tcp
    assert decode(packet, 101).payload_len == 70000


def test_length_zero_goes_to_the_frames_end() -> None:
    segment = decode(IP4[:2] + b"\0\0" + IP4[4:], 101)
    assert (segment.payload, segment.malformed) == (b"abc", None)


def test_extension_headers_that_lie_are_malformed() -> None:
    header = read_ip(ipv6(0, bytes((6, 255)) + b"\0" * 30), 0, 72)
    assert header.malformed == "an IPv6 extension header is longer than the packet"
    assert header.fatal
