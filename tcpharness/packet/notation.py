"""The one-line notation, written by people and printed by tools.

    12.345678 client.40000 > server.105: P. 1:11(10) ack 1 win 502 <nop,nop,TS val 7 ecr 3>

Time in seconds; who to whom; tcpdump's flag letters; sequence numbers from:to(payload bytes), where
SYN and FIN count in neither; ack and win when there are any; options as tcpdump prints them. In
examples the addresses may be left out: `>` is the first host, `<` the other. What else matters
stands in brackets at the end: [ttl 3, id 12, tos 3, cksum bad, payload "abc"].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import error as StructError
from struct import pack
from typing import NamedTuple

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import (
    ACK,
    EOL,
    MSS,
    NOP,
    SACK,
    SACK_OK,
    SEQ_SPACE,
    SYN,
    TIMESTAMP,
    TWO_NUMBERS,
    WSCALE,
    Segment,
    decode,
    flags_text,
    flags_value,
)

FIRST, OTHER = ("10.0.0.1", 40000), ("10.0.0.2", 105)  # the two sides of a short line

PATTERN = bytes(n * 31 & 0xFF for n in range(256))  # of payloads

LINE = re.compile(
    r"""\s*(?P<time>\d+(?:\.\d+)?)\s+
    (?:(?P<src>\S+)\.(?P<sport>\d+)\s+>\s+(?P<dst>\S+)\.(?P<dport>\d+):\s+|(?P<side>[<>])\s+)
    (?P<flags>none|[FSRP.UEWe]+)
    (?:\s+(?P<seq>\d+):(?P<end>\d+)\((?P<len>\d+)\))?
    (?:\s+ack\s+(?P<ack>\d+))?
    (?:\s+win\s+(?P<win>\d+))?
    (?:\s+urg\s+(?P<urg>\d+))?
    (?:\s+<(?P<options>[^>]*)>)?
    (?:\s+\[(?P<extra>.*)\])?\s*$""",
    re.VERBOSE,
)


class Isn(NamedTuple):
    """What sequence numbers are printed relative to: of the segment's own side, of the other one."""

    own: int = 0
    other: int = 0


def format_segment(
    segment: Segment, *, names: Mapping[str, str] | None = None, start_ns: int = 0, isn: Isn | None = None
) -> str:
    """One line. `names` gives hosts for addresses; numbers are absolute unless `isn` is given.

    What is not TCP is printed as its kind.
    """
    seconds = f"{(segment.time_ns - start_ns) / 1e9:.6f}"
    if not segment.is_tcp:
        return f"{seconds} {_who(segment, names)}{segment.kind}, {segment.wire_len} bytes"
    parts = [seconds, f"{_who(segment, names)}{flags_text(segment.flags)}", *_numbers(segment, isn or Isn())]
    options = segment.options
    if options:
        parts.append(f"<{options_text(segment, isn.other if isn else 0)}>")
    if segment.malformed:
        parts.append(f"[malformed: {segment.malformed}]")
    return " ".join(parts)


def _who(segment: Segment, names: Mapping[str, str] | None) -> str:
    if not segment.version:
        return ""
    table = names or {}
    src, dst = table.get(segment.src, segment.src), table.get(segment.dst, segment.dst)
    if not segment.is_tcp:
        return f"{src} > {dst}: "
    return f"{src}.{segment.sport} > {dst}.{segment.dport}: "


def _numbers(segment: Segment, isn: Isn) -> list[str]:
    seq = (segment.seq - isn.own) % SEQ_SPACE
    parts = [f"{seq}:{(seq + segment.payload_len) % SEQ_SPACE}({segment.payload_len})"]
    if segment.flags & ACK:
        parts.append(f"ack {(segment.ack - isn.other) % SEQ_SPACE}")
    parts.append(f"win {segment.win}")
    if segment.urg:
        parts.append(f"urg {segment.urg}")
    return parts


def options_text(segment: Segment, base: int = 0) -> str:
    """The options as tcpdump prints them; the edges of SACK blocks are relative to `base`."""
    return ",".join(option_text(kind, value, base) for kind, value in segment.options)


def option_text(kind: int, value: bytes, base: int = 0) -> str:
    if kind == TIMESTAMP and len(value) == 8:
        return "TS val {} ecr {}".format(*TWO_NUMBERS.unpack(value))
    if kind == SACK and len(value) % 8 == 0:
        blocks = [TWO_NUMBERS.unpack_from(value, at) for at in range(0, len(value), 8)]
        edges = (((left - base) % SEQ_SPACE, (right - base) % SEQ_SPACE) for left, right in blocks)
        return f"sack {len(blocks)} " + "".join(f"{{{left}:{right}}}" for left, right in edges)
    plain = {EOL: "eol", NOP: "nop", SACK_OK: "sackOK"}.get(kind)
    if plain and not value:
        return plain
    named = {MSS: ("mss", 2), WSCALE: ("wscale", 1)}.get(kind)
    if named and len(value) == named[1]:
        return f"{named[0]} {int.from_bytes(value, 'big')}"
    return f"unknown-{kind}" + (f" 0x{value.hex()}" if value else "")


def parse_line(text: str, *, frame: int = 1) -> Segment:
    """A line as the segment that it describes, encoded and decoded again.

    The payload is made from the sequence number, so that the same bytes of a stream are the same
    wherever they are sent again. ValueError says what is not understood.
    """
    match = LINE.match(text)
    if match is None:
        raise ValueError(f"{text.strip()!r} is no segment; expected like `0.000 > P. 1:11(10) ack 1 win 100`")
    found = match.groupdict()
    spec = _frame(found)
    extra = Extra(spec)
    for word in _words(found["extra"] or ""):
        extra.take(word)
    # Fractions of a second are read as text: 0.1 s in binary floating point is not 100,000,000 ns.
    seconds, _, fraction = found["time"].partition(".")
    time_ns = int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
    try:
        data = encode(spec)
    except (StructError, OverflowError) as error:
        raise ValueError(
            f"{text.strip()!r} is no segment: a number is too large for its field ({error})"
        ) from None
    snapped = data[: extra.snap]
    return decode(snapped, time_ns=time_ns, frame=frame, wire_len=len(data))


def _frame(found: dict[str, str | None]) -> Frame:
    sides = (FIRST, OTHER) if found["side"] != "<" else (OTHER, FIRST)
    src = (found["src"], int(found["sport"] or 0)) if found["src"] else sides[0]
    dst = (found["dst"], int(found["dport"] or 0)) if found["dst"] else sides[1]
    seq, length = int(found["seq"] or 0), int(found["len"] or 0)
    flags = flags_value(str(found["flags"]))
    ends = (found["end"] is None, int(found["end"] or 0) == (seq + length) % SEQ_SPACE)
    if not any(ends):
        raise ValueError(f"{seq}:{found['end']}({length}) does not add up; expected the end {seq + length}")
    return Frame(
        src=str(src[0]), sport=src[1], dst=str(dst[0]), dport=dst[1], seq=seq, flags=flags,
        ack=int(found["ack"] or 0), win=int(found["win"] or (65535 if flags & SYN else 1000)),
        urg=int(found["urg"] or 0), options=options_bytes(found["options"] or ""),
        payload=made_payload(seq, length),
    )  # fmt: skip


def made_payload(seq: int, length: int) -> bytes:
    """Bytes that depend on their place in the stream alone."""
    start = seq % len(PATTERN)
    return (PATTERN * ((start + length) // len(PATTERN) + 1))[start : start + length]


def options_bytes(text: str) -> bytes:
    """`mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7` as on the wire; ValueError names what is not known."""
    found = b""
    for word in filter(None, map(str.strip, text.split(","))):
        try:
            found += _option_bytes(word)
        except (IndexError, StructError):
            raise ValueError(f"option {word!r} lacks a number, or has one that is too large") from None
    return found


def _option_bytes(word: str) -> bytes:
    name, *rest = word.split()
    numbers = [int(number) for number in re.findall(r"\d+", " ".join(rest))]
    if name.startswith("unknown-"):
        value = bytes.fromhex(rest[0].removeprefix("0x")) if rest else b""
        return bytes((int(name[8:]), len(value) + 2)) + value
    if name == "sack":
        return bytes((SACK, 2 + 8 * numbers[0])) + b"".join(pack("!I", number) for number in numbers[1:])
    writer = WRITERS.get(name)
    if writer is None:
        raise ValueError(f"option {word!r} is not known; expected one of {', '.join([*WRITERS, 'sack'])}")
    return writer(numbers)


WRITERS: dict[str, Callable[[list[int]], bytes]] = {
    "eol": lambda n: b"\0",
    "nop": lambda n: b"\1",
    "sackOK": lambda n: bytes((SACK_OK, 2)),
    "mss": lambda n: pack("!BBH", MSS, 4, n[0]),
    "wscale": lambda n: pack("!BBB", WSCALE, 3, n[0]),
    "TS": lambda n: pack("!BBII", TIMESTAMP, 10, n[0], n[1]),
}


def _words(text: str) -> list[str]:
    return [word.strip() for word in re.findall(r'(?:"[^"]*"|[^,"])+', text)]


class Extra:
    """The words in brackets, taken over into a frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.snap: int | None = None

    def take(self, word: str) -> None:
        name, _, value = word.partition(" ")
        if name == "payload":
            self.frame.payload = value.strip('"').encode()
        elif name == "snap":
            self.snap = int(value)
        elif name in ("mf", "df"):
            setattr(self.frame, name, value != "off")
        elif name in ("cksum", "ip_cksum") and not value.startswith("0x"):
            setattr(self.frame, name, value)
        elif name in ("ttl", "tos", "id", "offset", "reserved", "frag_offset", "ip_len", "cksum", "ip_cksum"):
            setattr(self.frame, name, int(value, 0))
        else:
            raise ValueError(f"[{word}] is not understood")
