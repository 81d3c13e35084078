"""A segment as a script writes it: the one-line notation without time and names, fields left out.

    S 0:0(0) win 1000 <mss 1460>        . 1:1(0) ack 1 <sack 1 {101:201}>
    P. [payload "HELLO"]                R =7:7(0)
    icmp frag_needed mtu 1280

Sequence numbers are relative to the initial ones, as they are printed: the SYN is at 0, the first
byte at 1. `=` before a number means the one on the wire, `?` after a flag that it may be set or not.
What is left out does not matter where a segment is expected, and is made up where one is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from struct import error as StructError
from typing import NamedTuple

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.icmp import KINDS as ICMP_KINDS
from tcpharness.packet.notation import Extra, Isn
from tcpharness.packet.option import Option, parse_options
from tcpharness.packet.segment import ACK, FIN, SEQ_SPACE, SYN, Segment, flags_value

LIKE = "`S 0:0(0) win 1000 <mss 1460>`, `P. 1:6(5) ack 1` or `R.`"

EXTRA_LIKE = '`[ttl 3, id 12, tos 3, df off, cksum bad, payload "abc"]`'
MOST_OPTIONS = 40  # bytes: a data offset of 15 words (RFC 9293 3.1)
MOST_PAYLOAD = 65535 - 40 - MOST_OPTIONS

LINE = re.compile(
    r"""\s*(?P<flags>none|(?:[FSRP.UEWe]\??)+)
    (?:\s+(?P<seq>=?-?\d{1,12}):=?(?P<end>-?\d{1,12})\((?P<len>\d{1,5})\))?
    (?:\s+ack\s+(?P<ack>=?-?\d{1,12}))?
    (?:\s+win\s+(?P<win>\d{1,9}))?
    (?:\s+urg\s+(?P<urg>\d{1,9}))?
    (?:\s+<(?P<options>[^>]*)>)?
    (?:\s+\[(?P<extra>.*)\])?\s*$""",
    re.VERBOSE,
)
ICMP = re.compile(r"\s*icmp\s+(?P<kind>\S+)(?:\s+mtu\s+(?P<mtu>\d{1,9}))?\s*$")
WORD = re.compile(r'((?:"[^"]*"|[^,"])+)')
# What in brackets can be compared with a segment that came, and what it is called there.
COMPARED = ("ttl", "tos", "id", "df", "mf", "payload", "reserved", "cksum")


class Number(NamedTuple):
    """A sequence or acknowledgment number: relative to an initial one, or as on the wire."""

    value: int
    on_wire: bool = False

    def absolute(self, isn: int) -> int:
        return (self.value if self.on_wire else isn + self.value) % SEQ_SPACE


@dataclass(frozen=True, slots=True)
class Line:
    """One segment, or an ICMP error about one; None is what was left out."""

    text: str
    flags: int = 0
    maybe: int = 0  # flags that may be set or not: `P?.`
    seq: Number | None = None
    length: int | None = None  # payload bytes
    ack: Number | None = None
    win: int | None = None
    urg: int | None = None
    options: tuple[Option, ...] | None = None
    extra: tuple[str, ...] = ()  # the words in brackets
    payload: bytes | None = None
    icmp: str | None = None  # a kind of ICMP error, about the last segment that came
    mtu: int = 0  # of icmp frag_needed

    def differs(self, segment: Segment, isn: Isn, *, damaged: bool = False) -> list[str]:
        """The fields in which a segment is another than this one; empty when it fits.

        `isn` is what numbers are relative to: of the segment's own side, of the other. `damaged`: its
        TCP checksum is wrong, which fits only where it is asked for.
        """
        found = {
            "flags": not (self.flags ^ segment.flags) & ~self.maybe,
            "seq": self.seq is None or self.seq.absolute(isn.own) == segment.seq,
            "len": self.length in (None, segment.payload_len),
            "ack": self.ack is None or self.ack.absolute(isn.other) == segment.ack,
            "win": self.win in (None, segment.win),
            "urg": self.urg in (None, segment.urg),
            "payload": self.payload in (None, segment.payload),
            "checksum": damaged == ("cksum bad" in self.extra),
        }
        wrong = [name for name, fits in found.items() if not fits]
        held = segment.options if self.options is not None else ()
        wrong += [option.text for option in self.options or () if not option.fits(held, isn)]
        return wrong + [word for word in self.extra if not _holds(word, segment)]

    def overlaps(self, other: Line) -> bool:
        """True when one segment could fit both."""
        maybe = self.maybe | other.maybe
        pairs = (
            (self.flags | maybe, other.flags | maybe), (self.seq, other.seq), (self.length, other.length),
            (self.ack, other.ack), (self.win, other.win), (self.urg, other.urg),
            (self.payload, other.payload),
        )  # fmt: skip
        if any(a is not None and b is not None and a != b and _comparable(a, b) for a, b in pairs):
            return False
        mine, theirs = ({o.name: o for o in line.options or ()} for line in (self, other))
        return all(mine[name].overlaps(theirs[name]) for name in mine.keys() & theirs.keys())

    @property
    def occupies(self) -> int:
        """Sequence space besides the payload (RFC 9293 3.4 SEG.LEN)."""
        return bool(self.flags & SYN) + bool(self.flags & FIN)


def _comparable(a: object, b: object) -> bool:
    """A relative number may be any number on the wire."""
    return not isinstance(a, Number) or not isinstance(b, Number) or a.on_wire == b.on_wire


def parse(text: str, *, sent: bool) -> Line:
    """A line of a script. ValueError says what is not understood, in words that follow the line itself.

    `sent`: everything in it must be known; otherwise it is compared, and options may leave values out.
    """
    icmp = ICMP.match(text)
    if icmp is not None:
        return _icmp(text, icmp, sent=sent)
    match = LINE.match(text)
    if match is None:
        raise ValueError(f"is no segment; expected like {LIKE}{' or `icmp frag_needed mtu 1280`' * sent}")
    found = match.groupdict()
    extra = tuple(word.strip() for word in WORD.findall(found["extra"] or "") if word.strip())
    line = Line(
        text=" ".join(text.split()),
        flags=_flags(str(found["flags"]).replace("?", "")),
        maybe=_maybe(str(found["flags"]), sent=sent),
        seq=_number(found["seq"]),
        length=_length(found),
        ack=_number(found["ack"]),
        win=_bounded("win", found["win"]),
        urg=_bounded("urg", found["urg"]),
        options=None if found["options"] is None else parse_options(found["options"], sent=sent),
        extra=tuple(word for word in extra if not word.startswith("payload ")),
        payload=next((_payload(word) for word in extra if word.startswith("payload ")), None),
    )
    _check(line, extra, sent=sent)
    return line


def _flags(text: str) -> int:
    if text != "none" and len(set(text)) < len(text):
        raise ValueError(f"has a flag twice in {text}; expected each letter once")
    return flags_value(text)


def _maybe(text: str, *, sent: bool) -> int:
    letters = "".join(letter for letter, mark in pairwise(text) if mark == "?")
    if letters and sent:
        raise ValueError(f"leaves the flag {letters} open; expected it set or not, in what is sent")
    return flags_value(letters) if letters else 0


def _number(text: str | None) -> Number | None:
    if text is None:
        return None
    on_wire, value = text.startswith("="), int(text.lstrip("="))
    if not -SEQ_SPACE < value < SEQ_SPACE or (on_wire and value < 0):
        raise ValueError(f"has the number {text}; expected at most {SEQ_SPACE - 1}")
    return Number(value, on_wire)


def _length(found: Mapping[str, str | None]) -> int | None:
    if found["len"] is None:
        return None
    start, length = int(str(found["seq"]).lstrip("=")), int(found["len"])
    if (int(str(found["end"])) - start - length) % SEQ_SPACE:
        given = f"{found['seq']}:{found['end']}({length})"
        raise ValueError(f"has {given}, which does not add up; expected the end {start + length}")
    return length


def _bounded(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if int(text) > 0xFFFF:
        raise ValueError(f"has {name} {text}; expected at most 65535, the field itself")
    return int(text)


def _payload(word: str) -> bytes:
    return word.removeprefix("payload ").strip().strip('"').encode()


def _check(line: Line, extra: tuple[str, ...], *, sent: bool) -> None:
    """What each part allows by itself must agree with the rest."""
    for word in extra:
        if not sent and (
            word.split()[0] not in COMPARED or (word.startswith("cksum ") and word != "cksum bad")
        ):
            raise ValueError(f"has [{word}], which is for what is sent; expected {', '.join(COMPARED)}")
    _check_frame(line, extra, sent=sent)
    if line.payload is not None and line.length not in (None, len(line.payload)):
        raise ValueError(f"has {line.length} bytes and a payload of {len(line.payload)}; expected them equal")
    if line.ack is not None and not line.flags & ACK and not sent:
        raise ValueError("has an ack and no ACK flag, so nothing fits; expected `.` among the flags")


def _check_frame(line: Line, extra: tuple[str, ...], *, sent: bool) -> None:
    """It must fit into a header."""
    options = b"".join(
        o.encode(Isn(), 0) for o in line.options or () if sent or (o.is_whole and not o.absent)
    )
    if len(options) > MOST_OPTIONS:
        raise ValueError(f"has {len(options)} bytes of options; expected at most {MOST_OPTIONS}")
    payload = bytes(line.length or 0) if line.payload is None else line.payload
    frame = Frame("10.0.0.1", "10.0.0.2", 1, 1, options=options, payload=payload)
    for word in extra:
        try:
            Extra(frame).take(word)
            encode(frame)
        except (ValueError, StructError):
            raise ValueError(f"has [{word}], which fits no header; expected like {EXTRA_LIKE}") from None
    if len(payload) > MOST_PAYLOAD:
        raise ValueError(f"has {len(payload)} bytes of payload; expected at most {MOST_PAYLOAD}")


def _icmp(text: str, match: re.Match[str], *, sent: bool) -> Line:
    kind = match["kind"]
    if not sent:
        raise ValueError("is ICMP, and a script expects segments; expected it under send")
    if kind not in ICMP_KINDS:
        raise ValueError(f"has the unknown ICMP error {kind}; expected one of {', '.join(ICMP_KINDS)}")
    if (kind == "frag_needed") != (match["mtu"] is not None):
        raise ValueError("is incomplete; expected `icmp frag_needed mtu 1280`, and mtu with it alone")
    return Line(" ".join(text.split()), icmp=kind, mtu=_bounded("mtu", match["mtu"]) or 0)


def _holds(word: str, segment: Segment) -> bool:
    name, _, value = word.partition(" ")
    compare = COMPARISONS.get(name)
    return compare is None or compare(segment, value)


COMPARISONS: Mapping[str, Callable[[Segment, str], bool]] = {
    "ttl": lambda segment, value: segment.ttl == int(value, 0),
    "tos": lambda segment, value: segment.tos == int(value, 0),
    "id": lambda segment, value: segment.id == int(value, 0),
    "reserved": lambda segment, value: segment.reserved == int(value, 0),
    "df": lambda segment, value: segment.df == (value != "off"),
    "mf": lambda segment, value: segment.mf == (value != "off"),
}
