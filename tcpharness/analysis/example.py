"""The examples of the detectors' documentation, played."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tcpharness.analysis.capture import Analysis, capture_drops
from tcpharness.analysis.compare import compare, syns
from tcpharness.analysis.finding import Finding
from tcpharness.packet.encode import in_ethernet
from tcpharness.packet.icmp import icmp_error
from tcpharness.packet.notation import parse_line
from tcpharness.packet.segment import Segment, decode

END = re.compile(r"(\d+(?:\.\d+)?)\s+end\s*$")
DROPS = re.compile(r"\S+\s+drops\s+(\d+)\s+of\s+(\d+)\s*$")
MANY = re.compile(r"(\d+\.\d{3})\s+x(\d+)\+(\d+\.\d{3})\s+(.*)$")
ICMP = re.compile(r"(\d+(?:\.\d+)?)\s+icmp\s+(\w+)\s+(?:mtu\s+(\d+)\s+)?about\s+(.*)$")
FAR = re.compile(r"far\s+")
PLACE = re.compile(r"\{n(?:\*(\d+))?(?:\+(\d+))?\}")
ROUTER, ROUTER6 = "10.0.0.254", "2001:db8::fe"


def play(lines: Iterable[str]) -> list[Finding]:
    """The findings of segments in the one-line notation, and of what only examples have:

    `9.000 end`: the capture goes on until then. `0.000 drops 5 of 100`: the capturing program's word.
    `0.000 x20+0.010 10.0.0.1.40000 > 10.0.0.2.{n+1}: S 0:0(0)`: twenty such, each 10 ms after the last, with
    n from 0 (`{n*1000+1}`); all lines are then in order of time.
    `far 0.001 > S 0:0(0)`: in a second capture, with which the first is compared.
    `0.001 icmp frag_needed mtu 1300 about > . 1:1461(1460) ack 1`: a router's error that quotes the segment.
    """
    lines = list(lines)
    here, far = [[line for line in lines if bool(FAR.match(line)) is there] for there in (False, True)]
    if far:
        there = [parse_line(FAR.sub("", line), frame=number) for number, line in enumerate(far, 1)]
        near = [parse_line(line, frame=number) for number, line in enumerate(here, 1)]
        return [finding for _, finding in compare(syns(near), syns(there))]
    analysis = Analysis()
    said: list[Finding] = []
    for number, line in enumerate(in_order(lines), 1):
        if end := END.match(line):
            analysis.last_ns = int(float(end[1]) * 1e9)
        elif drops := DROPS.match(line):
            said += [capture_drops(int(drops[1]), int(drops[2]))] if int(drops[1]) else []
        else:
            analysis.see(frame_of(line, number))
    return analysis.finish().findings + said


def in_order(lines: Iterable[str]) -> list[str]:
    """Lines that stand for many, written out."""
    written: list[str] = []
    many = False
    for line in lines:
        if not (match := MANY.match(line)):
            written.append(line)
            continue
        many = True
        start_ms, step_ms = (round(float(match[n]) * 1000) for n in (1, 3))
        for number in range(int(match[2])):
            ms = start_ms + number * step_ms
            text = PLACE.sub(
                lambda place, n=number: str(n * int(place[1] or 1) + int(place[2] or 0)), match[4]
            )
            written.append(f"{ms // 1000}.{ms % 1000:03} {text}")
    return sorted(written, key=lambda line: float(line.split()[0])) if many else written


def frame_of(line: str, frame: int) -> Segment:
    match = ICMP.match(line)
    if match is None:
        return parse_line(line, frame=frame)
    about = parse_line(f"{match[1]} {match[4]}", frame=frame)
    router = ROUTER if about.version == 4 else ROUTER6
    packet = icmp_error(match[2], router, about.src, about.data[about.ip_at :], int(match[3] or 0))
    return decode(in_ethernet(packet, about.version), time_ns=about.time_ns, frame=frame)
