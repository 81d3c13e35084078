"""A vantage's packets, for showing: those around a frame, in the one-line notation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tcpharness.packet.notation import Isn, format_segment
from tcpharness.packet.segment import SYN, Segment, decode
from tcpharness.verdict.watched import MARKER, Frames

AROUND = 5  # packets shown before and after
Side = tuple[str, int, str, int]  # source, port, destination, port


@dataclass(slots=True)
class Packets:
    """A capture's frames with its hosts' names; `file` is where it lies."""

    frames: Frames
    names: dict[str, str]
    file: str | None = None
    _isns: dict[Side, int] | None = field(default=None, init=False)

    def around(self, frame: int) -> tuple[str, ...]:
        """The packets around a frame (from 1), numbers relative, the frame itself marked; none for 0."""
        if not 0 < frame <= len(self.frames):
            return ()
        low, high = max(0, frame - 1 - AROUND), min(len(self.frames), frame + AROUND)
        start_ns = self.frames[0][0]
        isns = self._relative_to()
        lines = []
        for index in range(low, high):
            time_ns, data = self.frames[index]
            if data[12:14] != MARKER:
                s = decode(data, time_ns=time_ns, frame=index + 1)
                mark = "> " if s.frame == frame else "  "
                lines.append(
                    mark + format_segment(s, names=self.names, start_ns=start_ns, isn=isn_of(s, isns))
                )
        return tuple(lines)

    def _relative_to(self) -> dict[Side, int]:
        if self._isns is None:
            self._isns = relative_to(decode(data) for _, data in self.frames)
        return self._isns


def relative_to(segments: Iterable[Segment]) -> dict[Side, int]:
    """What each direction's numbers are relative to: its latest SYN's, or its first one's."""
    isns: dict[Side, int] = {}
    for s in segments:
        if s.is_tcp and (s.flags & SYN or side_of(s) not in isns):
            isns[side_of(s)] = s.seq
    return isns


def side_of(s: Segment) -> Side:
    return s.src, s.sport, s.dst, s.dport


def isn_of(s: Segment, isns: dict[Side, int]) -> Isn:
    return Isn(isns.get(side_of(s), 0), isns.get((s.dst, s.dport, s.src, s.sport), 0))
