"""Two captures of one way: what left one host and did not reach the other as it was.

SYNs are compared, for they say what a connection may do: those that both captures hold, with the same
addresses, ports and number. Which capture is nearer to a SYN's sender is told by its TTL, else by time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.analysis.signs import Sign
from tcpharness.packet.segment import ACK, EOL, FIN, NOP, RST, SYN, Segment

MOST_SYNS = 100_000  # of a capture, the first ones
Sent = tuple[FlowKey, int, bool]  # who, its number, whether it is a SYN-ACK


@dataclass(slots=True)
class Seen:
    """A SYN or SYN-ACK as one vantage captured it."""

    frame: int
    time_ns: int
    ttl: int
    tos: int
    flags: int
    mss: int
    options: dict[int, bytes] = field(default_factory=dict)  # by kind, without padding


def syns(segments: Iterable[Segment]) -> dict[Sent, Seen]:
    """The SYNs of a capture, of each the first copy. Segments may be one that is filled again and again."""
    found: dict[Sent, Seen] = {}
    for segment in segments:
        if not segment.is_tcp or segment.flags & (SYN | FIN | RST) != SYN or segment.malformed:
            continue
        key = FlowKey(segment.src, segment.sport, segment.dst, segment.dport)
        sent = (key, segment.seq, bool(segment.flags & ACK))
        if sent not in found and len(found) < MOST_SYNS and segment.whole:
            found[sent] = seen(segment)
    return found


def seen(segment: Segment) -> Seen:
    options = {kind: value for kind, value in segment.options if kind not in (EOL, NOP)}
    return Seen(segment.frame, segment.time_ns, segment.ttl, segment.tos, segment.flags, segment.mss, options)


def compare(a: dict[Sent, Seen], b: dict[Sent, Seen]) -> list[tuple[bool, Finding]]:
    """Each finding with True when its frame is one of `b`, the capture farther from that SYN's sender."""
    rules = [detector for detector in BY_NAME.values() if detector.signs & Sign.COMPARED]
    found: list[tuple[bool, Finding]] = []
    for sent in a.keys() & b.keys():
        mine, theirs = a[sent], b[sent]
        in_b = (-mine.ttl, mine.time_ns) <= (-theirs.ttl, theirs.time_ns)
        near, far = (mine, theirs) if in_b else (theirs, mine)
        for rule in rules:
            hit = rule.function(near, far)
            if hit is not None:
                finding = Finding(
                    rule.name, hit.level or rule.level, far.time_ns, far.frame, sent[0], hit.text,
                    hit.kind, sent[1], detail=hit.detail,
                )  # fmt: skip
                found.append((in_b, finding))
    return sorted(found, key=lambda each: (each[1].time_ns, each[1].name))
