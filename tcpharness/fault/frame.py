"""Just enough of a frame to follow its flow: one pass of struct, no objects for what nobody asks."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tcpharness.packet.segment import SYN

ETHERNET = 14
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"
TCP = 6
PORTS_TO_WIN = struct.Struct("!HHIIHH")  # sport, dport, seq, ack, offset and flags, win


@dataclass(slots=True)
class Seen:
    """A TCP segment inside an Ethernet frame, by offsets."""

    data: bytes
    version: int
    ip: int  # offset of the IP header
    tcp: int  # offset of the TCP header
    payload: int  # offset of the payload
    end: int  # offset behind the payload
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    win: int

    @property
    def payload_len(self) -> int:
        return self.end - self.payload

    @property
    def body(self) -> bytes:
        return self.data[self.payload : self.end]

    @property
    def options(self) -> bytes:
        return self.data[self.tcp + 20 : self.payload]


def see(data: bytes) -> Seen | None:
    """The segment in a frame; None for what is no whole, unfragmented TCP segment."""
    kind = data[12:14]
    if kind == IPV4 and len(data) >= ETHERNET + 40:
        tcp = ETHERNET + (data[14] & 15) * 4
        if data[23] != TCP or data[20] & 0x3F or data[21]:
            return None
        version, src, dst, end = 4, data[26:30], data[30:34], ETHERNET + (data[16] << 8 | data[17])
    elif kind == IPV6 and len(data) >= ETHERNET + 60 and data[20] == TCP:
        tcp = ETHERNET + 40
        version, src, dst, end = 6, data[22:38], data[38:54], tcp + (data[18] << 8 | data[19])
    else:
        return None
    if end > len(data) or tcp + 20 > end:
        return None
    sport, dport, seq, ack, mixed, win = PORTS_TO_WIN.unpack_from(data, tcp)
    payload = tcp + (mixed >> 12) * 4
    if payload > end or mixed < 0x5000:
        return None
    return Seen(
        data, version, ETHERNET, tcp, payload, end, src, dst, sport, dport, seq, ack, mixed & 0x1FF, win
    )


def option(options: bytes, kind: int) -> bytes | None:
    """The value of a TCP option; None when it is not there (RFC 9293 3.1)."""
    at = 0
    while at < len(options):
        this = options[at]
        if this == 0:
            return None
        if this == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            return None
        if this == kind:
            return options[at + 2 : at + options[at + 1]]
        at += options[at + 1]
    return None


def is_syn(flags: int) -> bool:
    return bool(flags & SYN)
