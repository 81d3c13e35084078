"""What a host with offload on hands over, as the frames of a wire."""

from __future__ import annotations

import struct

import pytest

from tcpharness.fault.offload import wire_frames
from tcpharness.packet.checksum import ip_verdict, verdict
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import ACK, CWR, FIN, PSH, decode

ADDRESSES = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
TCP_AT = {4: 34, 6: 54}
GSO = {4: 1, 6: 4}


def handed(ip: int, payload: bytes, *, gso_size: int = 0, flags: int = ACK | PSH, ecn: int = 0) -> bytes:
    """A frame behind its virtio_net_hdr, the checksum left to the device."""
    src, dst = ADDRESSES[ip]
    frame = encode(Frame(src, dst, 1, 2, seq=100, flags=flags, payload=payload, cksum="offload", id=65535))
    gso = GSO[ip] | ecn if gso_size else 0
    return struct.pack("=BBHHHH", 1, gso, 0, gso_size, TCP_AT[ip], 16) + frame


@pytest.mark.parametrize("ip", [4, 6])
def test_a_checksum_is_completed(ip: int) -> None:
    (frame,) = wire_frames(handed(ip, b"abc"))
    assert verdict(decode(frame)).word == "correct"
    assert decode(frame).payload == b"abc"


def test_what_is_complete_stays_as_it_is() -> None:
    frame = encode(Frame("10.0.0.1", "10.0.0.2", 1, 2, payload=b"abc"))
    assert wire_frames(bytes(10) + frame) == [frame]


@pytest.mark.parametrize("ip", [4, 6])
def test_a_super_packet_is_cut(ip: int) -> None:
    payload = bytes(range(250))
    frames = [
        decode(f)
        for f in wire_frames(handed(ip, payload, gso_size=100, flags=ACK | PSH | FIN | CWR, ecn=0x80))
    ]
    assert [(s.seq, s.payload_len) for s in frames] == [(100, 100), (200, 100), (300, 50)]
    assert b"".join(s.payload for s in frames) == payload
    assert [s.flags for s in frames] == [ACK | CWR, ACK, ACK | PSH | FIN]
    assert {verdict(s).word for s in frames} == {"correct"}
    if ip == 4:
        assert [s.id for s in frames] == [65535, 0, 1]
        assert {ip_verdict(s).word for s in frames} == {"correct"}
