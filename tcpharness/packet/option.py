"""TCP options as a script writes them: `mss 1460`, `TS val 100 ecr last`, `sack 1 {101:201}`, `no wscale`.

In what is expected a value may be left out (`TS`, `mss`), and `no` before a name means that it must
not be there. The edges of SACK blocks are numbers of the other side's stream, relative as all are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

from tcpharness.packet.notation import Isn
from tcpharness.packet.segment import EOL, MSS, NOP, SACK, SACK_OK, SEQ_SPACE, TIMESTAMP, WSCALE

KINDS = {
    "eol": EOL,
    "nop": NOP,
    "mss": MSS,
    "wscale": WSCALE,
    "sackOK": SACK_OK,
    "sack": SACK,
    "TS": TIMESTAMP,
}
PADDING = ("eol", "nop")
BARE = (*PADDING, "sackOK")
# name -> what follows it, and the bytes of each number
FORMS: dict[str, tuple[re.Pattern[str], tuple[int, ...]]] = {
    "eol": (re.compile(""), ()),
    "nop": (re.compile(""), ()),
    "sackOK": (re.compile(""), ()),
    "mss": (re.compile(r"(\d{1,9})?"), (2,)),
    "wscale": (re.compile(r"(\d{1,9})?"), (1,)),
    "TS": (re.compile(r"(?:val (\d{1,12}))? ?(?:ecr (\d{1,12}|last))?"), (4, 4)),
    "sack": (re.compile(r"(?:(\d) ?((?:\{\d{1,12}:\d{1,12}\} ?)+))?"), ()),
}
EXPECTED = "mss N, wscale N, sackOK, TS val N ecr N, sack N {FROM:TO}, nop, eol, or unknown-KIND 0xHEX"
BLOCK = re.compile(r"\{(\d+):(\d+)\}")


@dataclass(frozen=True, slots=True)
class Option:
    """One option; a number that is None was left out, or is `last`: what the other side sent last."""

    text: str
    name: str  # as in KINDS, or "unknown-254"
    kind: int
    numbers: tuple[int | None, ...] = ()
    value: bytes | None = None  # of one without a name
    absent: bool = False  # it must not be there

    @property
    def is_whole(self) -> bool:
        """Nothing of it was left out."""
        return self.value is not None or self.name in BARE or bool(self.numbers and None not in self.numbers)

    def encode(self, isn: Isn, tsval: int) -> bytes:
        """As on the wire. `isn`: own and other side's; `tsval`: what the other side sent last."""
        if self.name in PADDING:
            return bytes((self.kind,))
        body = self._body(isn, tsval)
        return bytes((self.kind, len(body) + 2)) + body

    def _body(self, isn: Isn, tsval: int) -> bytes:
        if self.value is not None:
            return self.value
        if self.name == "sack":
            edges = [(isn.other + (n or 0)) % SEQ_SPACE for n in self.numbers]
            return pack(f"!{len(edges)}I", *edges)
        sizes = FORMS[self.name][1]
        given = [tsval if n is None else n for n in self.numbers]
        return b"".join(n.to_bytes(size, "big") for n, size in zip(given, sizes, strict=True))

    def fits(self, options: Sequence[tuple[int, bytes]], isn: Isn) -> bool:
        """True when it is among the options of a segment that came; `isn`: its side's, and the other's."""
        if self.name in PADDING:
            return True
        held = next((value for kind, value in options if kind == self.kind), None)
        if self.absent or held is None:
            return self.absent == (held is None)
        if self.value is not None:
            return held == self.value
        return all(
            want in (None, have) for want, have in zip(self.numbers, self._numbers(held, isn), strict=False)
        )

    def _numbers(self, held: bytes, isn: Isn) -> list[int]:
        if self.name == "sack":
            edges = [int.from_bytes(held[at : at + 4], "big") for at in range(0, len(held) - 3, 4)]
            relative = [(edge - isn.other) % SEQ_SPACE for edge in edges]
            return relative + [-1] * (len(self.numbers) - len(relative))  # fewer blocks than wanted
        sizes, found, at = FORMS[self.name][1], [], 0
        for size in sizes:
            found.append(int.from_bytes(held[at : at + size], "big"))
            at += size
        return found

    def overlaps(self, other: Option) -> bool:
        """True when one segment could fit both; they have the same name."""
        if self.name in PADDING:
            return True
        if self.absent or other.absent:
            return self.absent == other.absent
        pairs = zip(self.numbers, other.numbers, strict=False)
        return self.value == other.value and all(None in (a, b) or a == b for a, b in pairs)


def parse_options(text: str, *, sent: bool) -> tuple[Option, ...]:
    """The options between < and >. ValueError names the one that is not understood."""
    return tuple(_parse(" ".join(word.split()), sent=sent) for word in text.split(",") if word.strip())


def _parse(text: str, *, sent: bool) -> Option:
    absent = text.startswith("no ")
    name, _, rest = text.removeprefix("no ").partition(" ")
    if absent and (sent or rest):
        raise ValueError(f"has the option `{text}`; expected `no` and a name alone, in what is expected")
    if name.startswith("unknown-") and name[8:].isdecimal() and int(name[8:]) < 256:
        value = _hex(rest, text)
        return Option(text, name, int(name[8:]), value=None if absent else value, absent=absent)
    form = FORMS.get(name)
    found = form[0].fullmatch(rest) if form else None
    if found is None:
        raise ValueError(f"has the option `{text}`, which is not known; expected {EXPECTED}")
    numbers = _blocks(found, text) if name == "sack" else _values(name, found, text)
    if sent and not absent and name not in BARE and (not numbers or numbers[0] is None):
        raise ValueError(f"has the option `{text}` without its value; expected {EXPECTED}")
    return Option(text, name, KINDS[name], numbers, absent=absent)


def _hex(rest: str, text: str) -> bytes:
    try:
        return bytes.fromhex(rest.removeprefix("0x"))
    except ValueError:
        raise ValueError(
            f"has the option `{text}`, whose value is not hexadecimal; expected {EXPECTED}"
        ) from None


def _values(name: str, found: re.Match[str], text: str) -> tuple[int | None, ...]:
    numbers = tuple(None if group in (None, "last") else int(group) for group in found.groups())
    for number, size in zip(numbers, FORMS[name][1], strict=False):
        if number is not None and number >= 1 << (8 * size):
            raise ValueError(f"has the option `{text}`, whose {number} takes more than {size} bytes")
    return numbers


def _blocks(found: re.Match[str], text: str) -> tuple[int | None, ...]:
    if found[1] is None:
        return ()
    edges = tuple(int(edge) for block in BLOCK.findall(found[2]) for edge in block)
    if len(edges) != 2 * int(found[1]) or not 1 <= int(found[1]) <= 4:
        raise ValueError(f"has the option `{text}`; expected as many blocks as it says, at most 4")
    return edges
