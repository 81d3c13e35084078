"""One end of a link and what was captured there, and what a comparison of the witnesses comes to."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tcpharness.evidence import Evidence
from tcpharness.packet.notation import format_segment
from tcpharness.packet.segment import decode
from tcpharness.scenario.plan import Interface, Plan

MARKER = b"\x88\xb5"  # ethertype of the end markers
Frames = Sequence[tuple[int, bytes]]  # (time_ns, frame)


@dataclass(slots=True)
class Reconciliation:
    discrepancies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0  # frames


@dataclass(slots=True)
class Watched:
    """One end of a link, and what was captured there: None when it can't serve as a witness."""

    end: Interface
    vantage: str | None
    sure: Frames | None  # before the first end marker: these must be explained
    all: Frames | None  # these may explain others
    far_marker: bytes | None = None  # both addresses of the end marker that came by the link

    def sent(self, frames: Frames | None) -> list[tuple[int, bytes]]:
        """Those that left this host."""
        own = mac_of(self.end)
        return [f for f in frames or () if f[1][6:12] == own and f[1][12:14] != MARKER]

    def received(self, frames: Frames | None) -> list[tuple[int, bytes]]:
        own = mac_of(self.end)
        return [f for f in frames or () if f[1][6:12] != own and f[1][12:14] != MARKER]


def mac_of(end: Interface) -> bytes:
    return bytes.fromhex(end.mac.replace(":", ""))


def names_of(plan: Plan) -> dict[str, str]:
    scripts = {address: name for name, own in plan.scripted.items() for address in own}
    return {i.address: host.name for host in plan.hosts for i in host.interfaces} | scripts


def watched_at(
    plan: Plan, evidence: Evidence, frames: Mapping[str, Frames], end: Interface, result: Reconciliation
) -> Watched:
    """The end's vantage and its frames, when its capture can serve as a witness."""
    for vantage, host, interface in plan.vantages:
        if (host, interface) == (end.host, end.name):
            outcome = evidence.captures.get(vantage)
            if outcome is not None and outcome.complete():
                everything = frames.get(vantage, ())
                far = bytes.fromhex(outcome.far_marker) if outcome.far_marker else None
                return Watched(end, vantage, before_markers(everything), everything, far)
            result.notes.append(
                f"the capture at {vantage} is not whole, so it is no witness of the reconciliation"
            )
            return Watched(end, vantage, None, None)
    return Watched(end, None, None, None)


def before_markers(frames: Frames) -> Frames:
    for index, (_, frame) in enumerate(frames):
        if frame[12:14] == MARKER:
            return frames[:index]
    return frames


def digest(frame: bytes) -> int:
    return zlib.crc32(frame)


def line(time_ns: int, frame: bytes, names: dict[str, str]) -> str:
    return format_segment(decode(frame, time_ns=time_ns), names=names)
