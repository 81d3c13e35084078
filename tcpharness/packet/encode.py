"""A segment as bytes: Ethernet, IPv4 or IPv6, TCP, with right checksums unless asked otherwise.

For tests, examples and small captures; hostile or odd packets for live traffic are crafted in fault/.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack

from tcpharness.packet.address import address_bytes
from tcpharness.packet.checksum import ip_checksum, pseudo_header_sum, tcp_checksum

MAC_SRC, MAC_DST = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


@dataclass(slots=True)
class Frame:
    """What to encode. `cksum` and `ip_cksum`: None for the right one, "bad", "offload", or a number."""

    src: str
    dst: str
    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = 0
    win: int = 0
    urg: int = 0
    options: bytes = b""
    payload: bytes = b""
    ttl: int = 64
    tos: int = 0
    id: int = 0
    df: bool = True
    mf: bool = False
    frag_offset: int = 0
    offset: int | None = None
    reserved: int = 0
    cksum: int | str | None = None
    ip_cksum: int | str | None = None
    ip_len: int | None = None


def encode(frame: Frame) -> bytes:
    """The Ethernet frame."""
    tcp = tcp_bytes(frame)
    packet = ipv6_bytes(frame, tcp) if ":" in frame.src else ipv4_bytes(frame, tcp)
    return in_ethernet(packet, 6 if ":" in frame.src else 4)


def in_ethernet(packet: bytes, version: int) -> bytes:
    """An IP packet of either version as a frame."""
    return MAC_DST + MAC_SRC + (b"\x86\xdd" if version == 6 else b"\x08\x00") + packet


def tcp_bytes(frame: Frame) -> bytes:
    options = frame.options + b"\0" * (-len(frame.options) % 4)
    words = frame.offset if frame.offset is not None else 5 + len(options) // 4
    header = pack(
        "!HHIIBBHHH", frame.sport, frame.dport, frame.seq % (1 << 32), frame.ack % (1 << 32),
        (words & 15) << 4 | frame.reserved << 1 | frame.flags >> 8, frame.flags & 0xFF,
        frame.win, 0, frame.urg,
    )  # fmt: skip
    plain = header + options + frame.payload
    return plain[:16] + pack("!H", _cksum(frame, plain)) + plain[18:]


def _cksum(frame: Frame, plain: bytes) -> int:
    if isinstance(frame.cksum, int):
        return frame.cksum
    right = tcp_checksum(frame.src, frame.dst, plain)
    if frame.cksum == "offload":
        return pseudo_header_sum(address_bytes(frame.src), address_bytes(frame.dst), len(plain))
    return right ^ 0x5A5A if frame.cksum == "bad" else right


def ipv4_bytes(frame: Frame, tcp: bytes) -> bytes:
    length = 20 + len(tcp) if frame.ip_len is None else frame.ip_len
    bits = frame.df << 14 | frame.mf << 13 | frame.frag_offset >> 3
    plain = pack("!BBHHHBBH", 0x45, frame.tos, length, frame.id, bits, frame.ttl, 6, 0)
    plain += address_bytes(frame.src) + address_bytes(frame.dst)
    right = ip_checksum(plain)
    cksum = frame.ip_cksum if isinstance(frame.ip_cksum, int) else right ^ 0x5A5A if frame.ip_cksum else right
    return plain[:10] + pack("!H", cksum) + plain[12:] + tcp


def ipv6_bytes(frame: Frame, tcp: bytes) -> bytes:
    length = len(tcp) if frame.ip_len is None else frame.ip_len
    head = pack("!IHBB", 6 << 28 | frame.tos << 20, length, 6, frame.ttl)
    return head + address_bytes(frame.src) + address_bytes(frame.dst) + tcp
