"""ICMP errors: what is written is read again, and nothing that is cut short is believed."""

from __future__ import annotations

import pytest

from tcpharness.packet.icmp import KINDS, icmp_error, read_error
from tcpharness.packet.notation import parse_line

V4 = parse_line("0.0 10.0.0.1.4000 > 10.0.0.2.80: P. 1000:1500(500) ack 7")
V6 = parse_line("0.0 2001:db8::1.4000 > 2001:db8::2.80: P. 1000:1500(500) ack 7")
CASES = [(V4, "10.0.0.9", 4, 20), (V6, "2001:db8::9", 6, 40)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("segment", "router", "version", "header_len"), CASES)
def test_what_is_written_is_read(segment, router, version, header_len, kind) -> None:  # type: ignore[no-untyped-def]
    packet = icmp_error(kind, router, segment.src, segment.data[segment.ip_at :], mtu=1300)
    error = read_error(packet, header_len, len(packet), version)
    assert error is not None
    assert (error.kind, error.type, error.code) == (kind, *KINDS[kind][version == 6])
    assert (error.sport, error.dport, error.seq) == (4000, 80, 1000)
    assert (error.about.src, error.about.dst) == (segment.src_bytes, segment.dst_bytes)
    assert error.mtu == (1300 if kind == "frag_needed" else 0)


@pytest.mark.parametrize(("segment", "router", "version", "header_len"), CASES)
def test_what_is_cut_says_nothing(segment, router, version, header_len) -> None:  # type: ignore[no-untyped-def]
    packet = icmp_error("port_unreachable", router, segment.src, segment.data[segment.ip_at :])
    least = header_len + 8 + header_len + 8  # the quoted ports and number are RFC 792's 64 bits
    found = [read_error(packet[:length], header_len, length, version) for length in range(len(packet))]
    assert all(error is None for error in found[:least])
    assert all(error is not None for error in found[least:])


def test_a_quoted_datagram_is_none_of_tcp() -> None:
    about = bytearray(V4.data[V4.ip_at :])
    about[9] = 17
    packet = icmp_error("port_unreachable", "10.0.0.9", V4.src, bytes(about))
    assert read_error(packet, 20, len(packet), 4) is None


def test_an_echo_is_no_error() -> None:
    packet = icmp_error("port_unreachable", "10.0.0.9", V4.src, V4.data[V4.ip_at :])
    echo = packet[:20] + b"\x08" + packet[21:]
    assert read_error(echo, 20, len(echo), 4) is None


def test_a_code_without_a_name_is_told_by_number() -> None:
    packet = icmp_error("port_unreachable", "10.0.0.9", V4.src, V4.data[V4.ip_at :])
    other = packet[:21] + b"\x06" + packet[22:]
    error = read_error(other, 20, len(other), 4)
    assert error is not None
    assert (error.kind, error.family) == ("unreachable_6", "unreachable")
