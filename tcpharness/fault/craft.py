"""Segments to inject: scapy writes a template before the traffic, `fill` makes it a flow's own in no time.

A template is a whole Ethernet frame with what the scenario gives in it: options, payload, fields. What
only the live flow knows is filled in when it is sent: addresses, ports, numbers, and whatever header
field was left out, as the genuine sender last had it. The checksums are right unless they were given.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tcpharness.fault.alter import IP_AT, LONG, Layout, fix_ip_checksum, fix_tcp_checksum, put_fields
from tcpharness.fault.flow import SEQ_MASK, Direction
from tcpharness.packet.segment import ACK, OFFSET_RESERVED, flags_value
from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario.model import Action

DEFAULT_TTL = 64
FAR_OUTSIDE = 1 << 20  # beyond the window's end; no window update makes up for that
WORDS = re.compile(r"(next|rcv_nxt|in_window|out_of_window)([+-]\d+)?")


def build_template(action: Action, version: int) -> bytes:
    """An Ethernet frame for IPv4 or IPv6, with zeros where the flow comes in. Takes scapy, and its time."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    spec = action.fields
    link: Any = Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")
    # Addresses are given, or scapy would look them up in the routing table.
    ip: Any = IP(src="0.0.0.0", dst="0.0.0.0", id=0) if version == 4 else IPv6(src="::", dst="::")
    tcp: Any = TCP(sport=0, dport=0, flags=0, options=_options(spec))
    packet = link / ip / tcp
    if action.payload:
        packet = packet / Raw(action.payload)
    return bytes(packet)


def _options(spec: SegmentSpec) -> list[tuple[str, Any]]:
    """In the order of a Linux SYN; scapy pads to whole words."""
    options: list[tuple[str, Any]] = []
    if spec.mss is not None:
        options.append(("MSS", spec.mss))
    if spec.sack_ok:
        options.append(("SAckOK", b""))
    if spec.tsval is not None or spec.tsecr is not None:
        options.append(("Timestamp", (spec.tsval or 0, spec.tsecr or 0)))
    if spec.wscale is not None:
        options += [("NOP", None), ("WScale", spec.wscale)]
    return options


def fill(
    template: bytes,
    action: Action,
    direction: Direction,
    macs: tuple[bytes, bytes],
    addresses: tuple[bytes, bytes],
) -> bytes:
    """The segment as a frame from `macs[0]` to `macs[1]`, in the place of one in `direction`."""
    data = bytearray(template)
    layout = layout_of(data)
    width = len(addresses[0])
    data[0:12] = macs[1] + macs[0]
    at = IP_AT + (12 if layout.version == 4 else 8)
    data[at : at + 2 * width] = addresses[0] + addresses[1]
    data[layout.tcp_at : layout.tcp_at + 4] = direction.key[-4:]
    spec = _with_defaults(action.fields, direction)
    put_fields(data, layout, spec)
    flags = flags_value(spec.flags or ".")
    LONG.pack_into(data, layout.tcp_at + 4, seq_number(action.seq or "next", direction))
    if action.ack is not None or flags & ACK:
        LONG.pack_into(data, layout.tcp_at + 8, ack_number(action.ack or "rcv_nxt", direction))
    fix_ip_checksum(data, layout)
    fix_tcp_checksum(data, layout)
    put_fields(data, layout, SegmentSpec(cksum=spec.cksum, ip_cksum=spec.ip_cksum))
    return bytes(data)


def layout_of(data: bytes | bytearray) -> Layout:
    """Of a template: no IP options, no extension headers."""
    version = data[IP_AT] >> 4
    tcp_at = IP_AT + (20 if version == 4 else 40)
    return Layout(version, tcp_at, tcp_at + (data[tcp_at + OFFSET_RESERVED] >> 4) * 4, len(data))


def _with_defaults(spec: SegmentSpec, direction: Direction) -> SegmentSpec:
    """Left out: as the genuine sender last had it, so that only what is given looks forged."""
    last, spec = direction.last, replace(spec, flags=spec.flags or ".")
    if not last:
        return replace(spec, ttl=DEFAULT_TTL if spec.ttl is None else spec.ttl)
    if len(direction.src) == 4:
        ttl, tos, df = last[IP_AT + 8], last[IP_AT + 1], bool(last[IP_AT + 6] & 0x40)
    else:
        ttl, tos, df = last[IP_AT + 7], int.from_bytes(last[IP_AT : IP_AT + 2], "big") >> 4 & 0xFF, False
    return replace(
        spec,
        ttl=ttl if spec.ttl is None else spec.ttl,
        # Not its ECN bits: they are of that packet, not of the sender.
        tos=tos & 0xFC if spec.tos is None else spec.tos,
        df=df if spec.df is None else spec.df,
        win=direction.win if spec.win is None else spec.win,
    )


# --- sequence and acknowledgment numbers


def seq_number(words: str, direction: Direction) -> int:
    """`next` is what the sender would send next, `rcv_nxt` what its receiver expects (its last ACK).

    `in_window` is inside the receiver's window but not at its beginning, so that a reset there
    provokes a challenge ACK (RFC 5961 3.2); `out_of_window` is far beyond its end.
    """
    receiver = direction.reverse
    assert receiver is not None
    following = direction.nxt if direction.nxt is not None else _expected_by(receiver, 0)
    expected = _expected_by(receiver, following)
    window = receiver.window
    return _number(
        words,
        next=following,
        rcv_nxt=expected,
        in_window=expected + max(1, window // 2),
        out_of_window=expected + window + FAR_OUTSIDE,
    )


def ack_number(words: str, direction: Direction) -> int:
    """The same words, about the stream that is acknowledged.

    `rcv_nxt` is what the sender has acknowledged last, `next` everything its receiver has sent;
    `in_window` between the two where anything is, `out_of_window` what was never sent.
    """
    receiver = direction.reverse
    assert receiver is not None
    sent = receiver.nxt if receiver.nxt is not None else 0
    acked = direction.ack if direction.ack is not None else sent
    return _number(
        words,
        next=sent,
        rcv_nxt=acked,
        in_window=acked + ((sent - acked) & SEQ_MASK) // 2,
        out_of_window=sent + FAR_OUTSIDE,
    )


def _expected_by(receiver: Direction, default: int) -> int:
    return receiver.ack if receiver.ack is not None else default


def _number(words: str, **meanings: int) -> int:
    """A number as it is, or a word and what is added to it; modulo 2**32."""
    found = WORDS.fullmatch(words)
    if found is None:
        return int(words) & SEQ_MASK
    return (meanings[found[1]] + int(found[2] or 0)) & SEQ_MASK
