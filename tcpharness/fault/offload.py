"""What a host with offloads on sends, as the frames that a wire would carry.

Such a host leaves checksums, and the cutting of large segments, to its device. Between namespaces
no device does it: the receiver gets one huge frame and is told not to mind. A fault has to see
single segments, and what it alters needs a real checksum.

PACKET_VNET_HDR puts a struct virtio_net_hdr (virtio 1.2 section 5.1.6) before each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from tcpharness.fault.alter import IP_AT, SHORT, Layout, fix_ip_checksum, fix_tcp_checksum
from tcpharness.packet.checksum import fold, ones_complement_sum
from tcpharness.packet.checksum import verdict as checksum_verdict
from tcpharness.packet.segment import CKSUM, FLAGS, OFFSET_RESERVED, OPTIONS, decode

# flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; in the machine's own byte order
VNET = Struct("=BBHHHH")
NEEDS_CSUM = 1
GSO_TCP = (1, 4)  # VIRTIO_NET_HDR_GSO_TCPV4, _TCPV6
GSO_ECN = 0x80
FIN_PSH, CWR = 0x09, 0x80


def wire_frames(received: bytes) -> list[bytes]:
    """The frames that `received`, a header and what follows it, would be on a wire. Usually one."""
    flags, gso, _, size, start, offset = VNET.unpack_from(received)
    frame = received[VNET.size :]
    if gso & ~GSO_ECN in GSO_TCP and size:
        return list(_cut(frame, start, size))
    return [_with_checksum(frame, start, start + offset) if flags & NEEDS_CSUM else frame]


def handed_down(frame: bytes, size: int) -> list[bytes]:
    """The same of a captured frame, which has no header: `size` is the payload of its longest piece."""
    s = decode(frame)
    needs = NEEDS_CSUM if checksum_verdict(s).how == "partial" else 0
    gso = GSO_TCP[s.version == 6] if size < s.payload_len else 0
    return wire_frames(VNET.pack(needs, gso, 0, size, s.tcp_at, CKSUM) + frame)


def _with_checksum(frame: bytes, start: int, at: int) -> bytes:
    """The field holds the pseudo-header's sum, so that it is enough to sum from `start` on."""
    if at + 2 > len(frame):
        return frame
    value = 0xFFFF - fold(ones_complement_sum(frame[start:]))
    # RFC 768: a UDP checksum that comes out as zero is sent as its other zero. For TCP both are right.
    return frame[:at] + SHORT.pack(value or 0xFFFF) + frame[at + 2 :]


def _cut(frame: bytes, tcp_at: int, size: int) -> Iterator[bytes]:
    """Segments of `size` payload bytes: FIN and PSH on the last, CWR on the first, IP ids counted up."""
    version = frame[IP_AT] >> 4
    payload_at = tcp_at + (frame[tcp_at + OFFSET_RESERVED] >> 4) * 4
    if payload_at < tcp_at + OPTIONS:
        yield frame
        return
    seq = int.from_bytes(frame[tcp_at + 4 : tcp_at + 8], "big")
    for number, at in enumerate(range(payload_at, len(frame), size)):
        data = bytearray(frame[:payload_at] + frame[at : at + size])
        layout = Layout(version, tcp_at, payload_at, len(data))
        data[tcp_at + 4 : tcp_at + 8] = ((seq + at - payload_at) & 0xFFFFFFFF).to_bytes(4, "big")
        if at + size < len(frame):
            data[tcp_at + FLAGS] &= ~FIN_PSH
        if number:
            data[tcp_at + FLAGS] &= ~CWR & 0xFF
        _size(data, layout, number)
        fix_ip_checksum(data, layout)
        fix_tcp_checksum(data, layout)
        yield bytes(data)


def _size(data: bytearray, layout: Layout, number: int) -> None:
    if layout.version == 4:
        SHORT.pack_into(data, IP_AT + 2, len(data) - IP_AT)
        ident = SHORT.unpack_from(data, IP_AT + 4)[0]
        SHORT.pack_into(data, IP_AT + 4, (ident + number) & 0xFFFF)
    else:
        SHORT.pack_into(data, IP_AT + 4, len(data) - IP_AT - 40)
