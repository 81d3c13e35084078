"""What a monitor reports: plain data."""

from __future__ import annotations

from dataclasses import dataclass

from tcpharness.analysis.finding import FlowKey, Level


@dataclass(slots=True)
class MonitorFinding:
    """One report. `name` is a detector's where the description maps it, else the monitor's own."""

    name: str
    level: Level
    own: tuple[str, ...] = ()  # what the monitor calls it
    time_ns: int | None = None  # None: it does not say
    frame: int = 0  # in the capture it has read, from 1; 0: it does not say
    flow: FlowKey | None = None
    count: int = 1  # reported as one, or counted
    text: str = ""

    def is_called(self, name: str) -> bool:
        return name == self.name or name in self.own
