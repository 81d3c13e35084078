"""`split` and `fragment`: one frame goes on as two, which together say what it said.

What a middlebox on the way may do to a segment: hand it on as two segments (segmentation offload, evasion
tools), or as two IP fragments (RFC 791 3.2, RFC 8200 4.5). Bytes in, bytes out.
"""

from __future__ import annotations

from struct import pack
from zlib import crc32

from tcpharness.fault.alter import (
    IP_AT,
    SHORT,
    Layout,
    fix_ip_checksum,
    fix_tcp_checksum,
    spoil_tcp_checksum,
    tcp_checksum_holds,
)
from tcpharness.packet.segment import FIN, FLAGS, PSH, SYN
from tcpharness.scenario.model import Action

SEQ_AT, CWR = 4, 0x80  # in the TCP header
IPV6_HEADER_LEN, FRAGMENT_HEADER = 40, 44
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
UNIT = 8  # of an IP fragment's offset


def pieces(frame: bytes, layout: Layout, action: Action) -> list[bytes]:
    """The two of them, in the order in which they are to go."""
    made = CUTS[action.do](frame, layout, action)
    return made[::-1] if action.swapped else made


def can_be_cut(frame: bytes, layout: Layout, action: Action) -> bool:
    """False where nothing would be left for the second piece."""
    begin = layout.payload_at if action.do == "split" else _ip_payload_at(frame, layout)
    return action.cut_at < layout.end - begin


# --- into segments


def _segments(frame: bytes, layout: Layout, action: Action) -> list[bytes]:
    """SYN and CWR stay on the first, FIN and PSH on the last; the second may begin before the first ends."""
    payload = frame[layout.payload_at : layout.end]
    starts = (0, action.cut_at - min(action.overlap, action.cut_at))
    parts = (payload[: action.cut_at], payload[starts[1] :])
    off = (FIN | PSH, SYN | CWR)
    return [
        _segment(frame, layout, start, part, without, number)
        for number, (start, part, without) in enumerate(zip(starts, parts, off, strict=True))
    ]


def _segment(frame: bytes, layout: Layout, start: int, part: bytes, without: int, number: int) -> bytes:
    data = bytearray(frame[: layout.payload_at] + part)
    tcp_at = layout.tcp_at
    # A SYN takes a sequence number before the first byte (RFC 9293 3.4).
    ahead = start + (number if frame[tcp_at + FLAGS] & SYN else 0)
    seq = int.from_bytes(frame[tcp_at + SEQ_AT : tcp_at + SEQ_AT + 4], "big") + ahead
    data[tcp_at + SEQ_AT : tcp_at + SEQ_AT + 4] = (seq & 0xFFFFFFFF).to_bytes(4, "big")
    data[tcp_at + FLAGS] &= ~without & 0xFF
    piece = Layout(layout.version, tcp_at, layout.payload_at, len(data))
    _put_length(data, layout.version)
    if layout.version == 4:
        ident = SHORT.unpack_from(data, IP_AT + 4)[0]
        SHORT.pack_into(data, IP_AT + 4, (ident + number) & 0xFFFF)
    fix_ip_checksum(data, piece)
    fix_tcp_checksum(data, piece)
    if not tcp_checksum_holds(frame, layout):
        spoil_tcp_checksum(data, piece)
    return bytes(data)


# --- into IP fragments


def _fragments(frame: bytes, layout: Layout, action: Action) -> list[bytes]:
    """The TCP checksum stays what it was: it is the whole segment's. Don't fragment is not obeyed."""
    at = _ip_payload_at(frame, layout)
    head, whole = frame[:at], frame[at : layout.end]
    parts = ((0, True, whole[: action.cut_at]), (action.cut_at // UNIT, False, whole[action.cut_at :]))
    make = _fragment4 if layout.version == 4 else _fragment6
    return [make(head, offset, more, part, frame) for offset, more, part in parts]


def _fragment4(head: bytes, offset: int, more: bool, part: bytes, frame: bytes) -> bytes:
    data = bytearray(head + part)
    SHORT.pack_into(data, IP_AT + 6, (MORE_FRAGMENTS if more else 0) | offset)
    _put_length(data, 4)
    fix_ip_checksum(data, Layout(4, len(head), len(head), len(data)))
    return bytes(data)


def _fragment6(head: bytes, offset: int, more: bool, part: bytes, frame: bytes) -> bytes:
    # The identification has to differ from those of other packets at the time (RFC 8200 4.5).
    header = pack("!BBHI", head[IP_AT + 6], 0, offset * UNIT | more, crc32(frame))
    data = bytearray(head + header + part)
    data[IP_AT + 6] = FRAGMENT_HEADER
    _put_length(data, 6)
    return bytes(data)


def _ip_payload_at(frame: bytes, layout: Layout) -> int:
    return IP_AT + ((frame[IP_AT] & 15) * 4 if layout.version == 4 else IPV6_HEADER_LEN)


def _put_length(data: bytearray, version: int) -> None:
    """Of the IP packet, or of what follows IPv6's header."""
    if version == 4:
        SHORT.pack_into(data, IP_AT + 2, len(data) - IP_AT)
    else:
        SHORT.pack_into(data, IP_AT + 4, len(data) - IP_AT - IPV6_HEADER_LEN)


CUTS = {"split": _segments, "fragment": _fragments}
