"""Crafted segments. scapy builds a template of each before the traffic starts; only here is it imported.

At the moment of firing the engine patches addresses, ports, numbers and checksums into the template:
no import and no object tree then.
"""

from __future__ import annotations

import struct

from tcpharness.fault.edit import change, fix_checksums, set_checksums
from tcpharness.fault.flow import Direction
from tcpharness.fault.frame import Seen, see
from tcpharness.packet.segment import seq_add
from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario.model import Action

LETTERS = {"F": "F", "S": "S", "R": "R", "P": "P", ".": "A", "U": "U", "E": "E", "W": "C", "e": "N"}
PLACEHOLDER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}


def build_template(action: Action, family: int) -> bytes:
    """An Ethernet frame with everything that does not depend on the live connection."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    spec = action.fields
    letters = "" if spec.flags in (None, "none") else "".join(LETTERS[c] for c in spec.flags or "")
    if spec.flags is None:
        letters = "A"
    src, dst = PLACEHOLDER[family]
    network = IP(src=src, dst=dst, flags="DF") if family == 4 else IPv6(src=src, dst=dst)
    tcp = TCP(flags=letters, options=options_of(spec))
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / network / tcp
    return bytes(frame / Raw(action.payload) if action.payload else frame)


def options_of(spec: SegmentSpec) -> list[tuple[str, object]]:
    """Only the options that are asked for, in the order Linux sends them."""
    options: list[tuple[str, object]] = []
    if spec.mss is not None:
        options.append(("MSS", spec.mss))
    if spec.sack_ok:
        options.append(("SAckOK", b""))
    if spec.tsval is not None or spec.tsecr is not None:
        options.append(("Timestamp", (spec.tsval or 0, spec.tsecr or 0)))
    if spec.wscale is not None:
        options.append(("WScale", spec.wscale))
    return options


def aim(
    template: bytes, action: Action, mine: Direction, other: Direction, macs: tuple[bytes, bytes]
) -> bytes:
    """The template as a segment of this connection, in the name of `mine`'s host, to `other`'s."""
    seen = see(template)
    assert seen is not None
    frame = bytearray(template)
    src, sport, dst, dport = ends_of(mine, other)
    frame[0:6], frame[6:12] = macs[1], macs[0]
    size = len(src)
    at = seen.ip + (12 if seen.version == 4 else 8)
    frame[at : at + size], frame[at + size : at + 2 * size] = src, dst
    numbers = (
        sport,
        dport,
        number(action.seq or "next", mine, other),
        number(action.ack or "next", other, mine),
    )
    struct.pack_into("!HHII", frame, seen.tcp, *numbers)
    struct.pack_into("!H", frame, seen.tcp + 14, mine.win)
    given = action.fields.given()
    defaults = SegmentSpec(ttl=mine.ttl, tos=mine.tos)
    plain = change(bytes(frame), defaults, (), fix=False)
    wanted = {
        k: v for k, v in given.items() if k not in ("flags", "mss", "wscale", "sack_ok", "tsval", "tsecr")
    }
    plain = change(plain, SegmentSpec(**{k: v for k, v in wanted.items() if "cksum" not in k}), (), fix=False)  # type: ignore[arg-type]
    aimed = seen_again(plain, src, dst, seen)
    fixed = fix_checksums(plain, aimed) if action.fix else plain
    return set_checksums(fixed, aimed, given)


def seen_again(frame: bytes, src: bytes, dst: bytes, template: Seen) -> Seen:
    """The template's offsets with the real addresses: the frame itself may be malformed on purpose."""
    t = template
    return Seen(frame, t.version, t.ip, t.tcp, t.payload, t.end, src, dst, 0, 0, 0, 0, 0, 0)


def ends_of(mine: Direction, other: Direction) -> tuple[bytes, int, bytes, int]:
    """Addresses and ports, from whichever side has been seen."""
    if mine.template is not None:
        t = mine.template
        return t.src, t.sport, t.dst, t.dport
    assert other.template is not None
    t = other.template
    return t.dst, t.dport, t.src, t.sport


def number(text: str, mine: Direction, other: Direction) -> int:
    """A sequence number for `mine`: next, rcv_nxt, in_window, out_of_window, each with +n or -n, or a number.

    rcv_nxt is what the other side expects (its last ACK); in_window lies in the middle of its window.
    """
    if text.isdigit():
        return int(text) % (1 << 32)
    for sign in "+-":
        if sign in text:
            word, apart = text.split(sign)
            return seq_add(number(word, mine, other), int(sign + apart))
    expected = other.rcv_nxt if other.rcv_nxt is not None else mine.snd_nxt or 0
    window = max(other.window(), 2)
    words = {
        "next": mine.snd_nxt if mine.snd_nxt is not None else expected,
        "rcv_nxt": expected,
        "in_window": seq_add(expected, max(1, window // 2)),
        "out_of_window": seq_add(expected, window + 100_000),
    }
    return words[text]
