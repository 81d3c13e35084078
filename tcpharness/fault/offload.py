"""What a wire would carry, from what a host with offload on hands to its device.

A packet socket with PACKET_VNET_HDR gives each frame a virtio_net_hdr (linux/virtio_net.h): whether
the checksum is still to be completed, and into which segments the frame is still to be cut.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tcpharness.fault.edit import fix_checksums
from tcpharness.fault.frame import see
from tcpharness.packet.segment import FIN, PSH, seq_add

VNET = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CSUM = 1
CWR = 0x80


def wire_frames(data: bytes) -> Iterator[bytes]:
    """The frame behind the header, its checksums complete, cut into segments where that was left to do."""
    flags, gso_type, _, gso_size, _, _ = VNET.unpack_from(data)
    frame = data[VNET.size :]
    if not gso_type and not flags & NEEDS_CSUM:
        yield frame
        return
    seen = see(frame)
    if seen is None:
        yield frame
    elif not gso_type or seen.payload_len <= gso_size:
        yield fix_checksums(frame, seen)
    else:
        yield from cut(frame, gso_size)


def cut(frame: bytes, size: int) -> Iterator[bytes]:
    """Segments of `size` payload bytes: numbers, lengths, IP ids and checksums as a device makes them."""
    seen = see(frame)
    assert seen is not None
    body = seen.body
    for index, start in enumerate(range(0, len(body), size)):
        part = body[start : start + size]
        piece = bytearray(frame[: seen.payload] + part)
        struct.pack_into("!I", piece, seen.tcp + 4, seq_add(seen.seq, start))
        if seen.version == 4:
            struct.pack_into("!H", piece, seen.ip + 2, len(piece) - seen.ip)
            first_id = int.from_bytes(frame[seen.ip + 4 : seen.ip + 6], "big")
            struct.pack_into("!H", piece, seen.ip + 4, (first_id + index) & 0xFFFF)
        else:
            struct.pack_into("!H", piece, seen.ip + 4, len(piece) - seen.tcp)
        if start + size < len(body):
            piece[seen.tcp + 13] &= 0xFF & ~(FIN | PSH)
        if index:
            piece[seen.tcp + 13] &= 0xFF & ~CWR
        segment = see(bytes(piece))
        assert segment is not None
        yield fix_checksums(bytes(piece), segment)
