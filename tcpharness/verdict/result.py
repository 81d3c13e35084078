"""What a run comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case, Place

Outcome = Literal["pass", "fail", "void", "skip"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that does not hold: where it stands, both sides, and the packets around."""

    at: Place
    expected: str
    actual: str
    packets: tuple[str, ...] = ()
    capture: str | None = None  # the file that the packets are from

    def __str__(self) -> str:
        lines = [f"{self.at}: expected {self.expected}", f"    found {self.actual}"]
        if self.capture:
            lines.append(f"    in {self.capture}:")
        return "\n".join([*lines, *(f"      {line}" for line in self.packets)])


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a host's captures show and what its kernel counted of the same thing."""

    host: str
    what: str
    captured: int  # at least so many, or exactly
    counter: str
    counted: int
    holds: bool
    why: str | None  # it proves nothing, because; None: it has to hold
    packets: tuple[str, ...] = ()  # the first few that were counted, where it does not hold


@dataclass(slots=True)
class MonitorVerdict:
    """Of one monitor at one vantage."""

    monitor: str
    vantage: str
    outcome: Outcome
    expected: bool  # something is expected of it, so that the case hangs on it
    reason: str = ""  # of a skip or a void
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    outcome: Outcome
    reason: str = ""  # of a skip or a void, in one line
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # which witnesses were left out, and why
    discrepancies: list[str] = field(default_factory=list)  # what makes it void
    agreements: list[Agreement] = field(default_factory=list)  # captures and kernels
    monitors: list[MonitorVerdict] = field(default_factory=list)  # each by itself


def skipped(reason: str) -> Verdict:
    return Verdict("skip", reason)


def broken(at: Place, reason: str) -> Verdict:
    """The lab could not be built or did not last."""
    return Verdict("void", f"{at}: {reason}", discrepancies=[f"{at}: {reason}"])


@dataclass(slots=True)
class Result:
    """One case, played and judged."""

    case: Case
    verdict: Verdict
    evidence: Evidence
    seed: int
    started: float  # seconds since the epoch
    duration_ns: int
    environment: dict[str, Any]
    versions: dict[str, str]
    out_dir: str | None
    names: dict[str, str] = field(default_factory=dict)  # address -> host
    lab: int = 0  # its number, from which the addresses come
    transcript: list[str] = field(default_factory=list)  # transcript.py
