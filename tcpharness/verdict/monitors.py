"""What each monitor said, against what is expected of it; one monitor's trouble is not another's.

Two-sided, as for our own findings: at a vantage that is named, what is not listed fails the case, from a
level up. A monitor that could not do its work makes its own verdict void; one that is not installed skips it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tcpharness.analysis.finding import LEVELS
from tcpharness.evidence import Evidence, MonitorOutcome
from tcpharness.record.finding import MonitorFinding
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import MonitorExpect, MonitorFindingExpect
from tcpharness.verdict.binding import entries_of
from tcpharness.verdict.blind import Sight
from tcpharness.verdict.canary import deaf, unproven
from tcpharness.verdict.findings import descends
from tcpharness.verdict.packets import Packets
from tcpharness.verdict.result import Failure, MonitorVerdict
from tcpharness.verdict.watched import digest, names_of

SHOWN = 8


@dataclass(slots=True)
class MonitorVerdicts:
    """All of a case's, and what they come to for the case."""

    verdicts: list[MonitorVerdict] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)  # silences for which no canary vouches

    @property
    def failures(self) -> list[Failure]:
        return [failure for verdict in self.verdicts for failure in verdict.failures]

    @property
    def blind(self) -> list[str]:
        """Of those of which something is expected."""
        return [v.reason for v in self.verdicts if v.outcome == "void" and v.expected]

    @property
    def lacking(self) -> list[str]:
        return list(dict.fromkeys(v.reason for v in self.verdicts if v.outcome == "skip" and v.expected))

    @property
    def notes(self) -> list[str]:
        own = [v.reason for v in self.verdicts if v.outcome in ("void", "skip") and not v.expected]
        return own + self.unproven


def judge_monitors(sight: Sight) -> MonitorVerdicts:
    """A verdict for each monitor at each of its vantages."""
    wanted_of = {(e.monitor, e.vantage): e for e in sight.case.expect.monitors}
    expected = dict(wanted_of)
    found = [
        judge_one(outcome, expected.pop((outcome.monitor, outcome.vantage), None), sight)
        for outcome in sight.evidence.monitors
    ]
    for wanted in expected.values():
        why = f"{wanted.at}: {wanted.monitor} did not run at {wanted.vantage}"
        found.append(MonitorVerdict(wanted.monitor, wanted.vantage, "void", True, why))
    silent = {(v.monitor, v.vantage) for v in found if v.expected and v.outcome == "pass"}
    heard = {(o.monitor, o.vantage): o for o in sight.evidence.monitors}
    notes = [unproven(heard[place], wanted_of[place], sight) for place in heard if place in silent]
    return MonitorVerdicts(found, [note for note in notes if note is not None])


def judge_one(outcome: MonitorOutcome, wanted: MonitorExpect | None, sight: Sight) -> MonitorVerdict:
    at = f"{wanted.at if wanted else place_of(outcome, sight.case)}: "
    verdict = MonitorVerdict(outcome.monitor, outcome.vantage, "pass", wanted is not None)
    if outcome.lacking:
        verdict.outcome, verdict.reason = "skip", f"{at}{outcome.monitor}: {outcome.lacking}"
    elif outcome.error:
        verdict.outcome, verdict.reason = "void", f"{at}{outcome}: {outcome.error}"
    elif wanted is not None:
        verdict.failures = list(judge_findings_of(outcome, wanted, sight))
        verdict.outcome = "fail" if verdict.failures else "pass"
        if (why := deaf(outcome, wanted, sight)) is not None:
            verdict.outcome, verdict.reason = "void", f"{at}{why}"
    return verdict


def place_of(outcome: MonitorOutcome, case: Case) -> str:
    return next((str(use.at) for use in case.monitors if use.name == outcome.monitor), str(case.at))


# --- what is listed, and nothing else


def judge_findings_of(outcome: MonitorOutcome, wanted: MonitorExpect, sight: Sight) -> Iterator[Failure]:
    capture = sight.evidence.captures.get(outcome.vantage)
    file = capture.file if capture else ""
    packets = Packets(sight.frames.get(outcome.vantage, ()), names_of(sight.plan), file)
    explained: set[int] = set()
    for line in wanted.findings:
        fitting = [f for f in outcome.findings if is_meant(f, line, sight)]
        explained.update(id(f) for f in fitting)
        number = sum(f.count for f in fitting)
        if not line.count.holds(number):
            near = next((f.frame for f in fitting if f.frame), 0)
            shown = packets.around(near) if near else ()
            said = f"{number}; it reported {listed(outcome.findings)}"
            yield Failure(line.at, f"{wish(line)} by {outcome}", said, shown, file if shown else None)
    rest = [f for f in outcome.findings if id(f) not in explained and is_loud(f, wanted)]
    expected = f"nothing else of level {wanted.level} or above by {outcome}"
    for finding in rest[:SHOWN]:
        shown = packets.around(finding.frame) if finding.frame else ()
        yield Failure(wanted.at, expected, told(finding), shown, file if shown else None)
    if rest[SHOWN:]:
        yield Failure(wanted.at, expected, f"{len(rest) - SHOWN} more: {listed(rest[SHOWN:])}")


def is_loud(finding: MonitorFinding, wanted: MonitorExpect) -> bool:
    return LEVELS.index(finding.level) >= LEVELS.index(wanted.level)


def is_meant(finding: MonitorFinding, line: MonitorFindingExpect, sight: Sight) -> bool:
    """Of that name, or a child's; of that endpoint's connections; so soon after the fault."""
    if not (finding.is_called(line.name) or descends(finding.name, line.name)):
        return False
    if line.flow is not None and not concerns(finding, line.flow, sight):
        return False
    return line.within_ns is None or comes_within(finding, line.within_ns, line.of, sight)


def concerns(finding: MonitorFinding, endpoint: str, sight: Sight) -> bool:
    """In either direction."""
    if finding.flow is None:
        return False
    ends = {(finding.flow.src, finding.flow.sport), (finding.flow.dst, finding.flow.dport)}
    known = [{local, remote} for local, remote in connections_of(endpoint, sight.evidence)]
    if known:
        return ends in known
    target = target_of(endpoint, sight)  # refused, so that no socket was left to ask
    return target in ends


def target_of(endpoint: str, sight: Sight) -> tuple[str, int] | None:
    """Where a client connects to."""
    endpoints = {e.name: e for e in sight.case.endpoints}
    target = endpoints[endpoint].target
    if target is None:
        return None
    if target.endpoint is not None:
        other = endpoints[target.endpoint]
        return sight.plan.names[other.on], other.port or 0
    host = target.host or ""
    return sight.plan.names.get(host, host), target.port or 0


def connections_of(endpoint: str, evidence: Evidence) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """(local, remote) of each connection of an endpoint, a program's by its sockets."""
    outcome = evidence.endpoints.get(endpoint)
    for c in outcome.connections if outcome is not None else ():
        if c.local is not None and c.remote is not None:
            yield c.local, c.remote
    for history in evidence.sockets:
        if history.endpoint == endpoint:
            yield (plain(history.local), plain(history.remote))


def plain(end: tuple[str, int]) -> tuple[str, int]:
    return end[0].removeprefix("::ffff:"), end[1]


def comes_within(finding: MonitorFinding, within_ns: int, fault: str | None, sight: Sight) -> bool:
    """False too where the monitor does not say when, or the fault has never fired."""
    fired_ns = first_fired(fault or first_fault(sight), sight)
    if finding.time_ns is None or fired_ns is None:
        return False
    return fired_ns - SLACK_NS <= finding.time_ns <= fired_ns + within_ns


SLACK_NS = 1_000_000  # a frame's times at two places of one machine


def first_fault(sight: Sight) -> str:
    return next((fault.name for fault in sight.case.faults), "")


def first_fired(fault: str, sight: Sight) -> int | None:
    """CLOCK_REALTIME."""
    entries = list(entries_of(fault, sight.evidence))
    times = [entry.time_ns for entry in entries]
    # The frame that made it fire was seen where it was sent before the middlebox looked at it.
    made = {entry.came_in[1] for entry in entries if entry.came_in is not None}
    times += [ns for frames in sight.frames.values() for ns, frame in frames if digest(frame) in made]
    times += [event.time_ns for event in sight.evidence.events if event.name == fault]
    return min(times, default=None)


# --- words


def wish(line: MonitorFindingExpect) -> str:
    """`1 retransmission of client within 2 s of lost`"""
    flow = f" of {line.flow}" if line.flow else ""
    within = f" within {line.within_ns / 1e9:g} s" if line.within_ns is not None else ""
    return f"{line.count} {line.name}{flow}{within}{f' of {line.of}' if line.of else ''}"


def told(finding: MonitorFinding) -> str:
    where = f"frame {finding.frame}: " if finding.frame else ""
    said = [word for word in finding.own[:1] if word not in (finding.name, finding.text)]
    own = f" ({said[0]})" if said else ""
    text = f": {finding.text}" if finding.text not in ("", finding.name) else ""
    times = f" x {finding.count}" if finding.count > 1 else ""
    return f"{where}{finding.level} {finding.name}{times}{own}{text}"


def listed(found: Sequence[MonitorFinding]) -> str:
    counts: Counter[str] = Counter()
    for finding in found:
        counts[finding.name] += finding.count
    return ", ".join(f"{count} {name}" for name, count in counts.most_common(20)) or "nothing at all"
