"""What a monitor says of the canary, apart from what it says of the scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tcpharness.analysis.canary import FAST_NAMES, KERNEL_NAMES, NAMES, condition_of, conversations
from tcpharness.evidence import MonitorOutcome
from tcpharness.packet.canary import is_kernels, number_of, vantage_of
from tcpharness.record.finding import MonitorFinding
from tcpharness.scenario.monitor import Description

NO_NUMBERS = 1 << 62


def at_their_times(frames: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """(nanoseconds from the first, frame): what has been captured, at the times that the table gives it."""
    for frame in frames:
        version = 6 if frame[12:14] == b"\x86\xdd" else 4
        whole = conversations(vantage_of(frame), version)
        number = number_of(frame)
        if number < len(whole):
            yield whole[number].offset_ns, frame


def part_canary(outcome: MonitorOutcome, description: Description, frames: int) -> None:
    """Takes the canary's findings out of the outcome; `frames` is how many of the scenario come before it."""
    about = [finding for finding in outcome.findings if is_about_canary(finding, frames)]
    outcome.findings = [finding for finding in outcome.findings if not is_about_canary(finding, frames)]
    outcome.was_asked = True
    outcome.of_canary = words(about)
    outcome.heard = frozenset(heard(about))
    known = {rule.name for rule in description.names}
    outcome.could_hear = frozenset(known & NAMES - set(description.unproven))


def part_live(outcome: MonitorOutcome, description: Description) -> None:
    """As part_canary, of one that watched an interface: frames have no numbers, slow conditions no time."""
    sees = description.sees == "frames"
    part_canary(outcome, description, NO_NUMBERS)
    outcome.was_asked = sees and outcome.error is None
    outcome.could_hear = outcome.could_hear & FAST_NAMES if sees else frozenset()


def is_about_canary(finding: MonitorFinding, frames: int) -> bool:
    return condition_of(finding) is not None or finding.frame > frames


def heard(about: Sequence[MonitorFinding]) -> Iterator[str]:
    """A finding counts in the conversation made for it, or where the monitor does not say in which."""
    for finding in about:
        condition = condition_of(finding)
        if condition is None or finding.name in condition.names:
            yield finding.name


# --- the kernel's, of sockets


def part_kernel(
    outcome: MonitorOutcome,
    description: Description,
    before: Sequence[MonitorFinding],
    after: Sequence[MonitorFinding],
) -> None:
    """What it says of the canary's sockets, or says `after` them more often than `before`."""
    about = [*those_about_kernels(after), *grown(before, after)]
    outcome.findings = [finding for finding in outcome.findings if not is_about_kernels(finding)]
    outcome.was_asked = outcome.error is None
    outcome.of_canary = words(about)
    outcome.heard = frozenset(finding.name for finding in about)
    known = {rule.name for rule in description.names}
    outcome.could_hear = frozenset(known & KERNEL_NAMES - set(description.unproven))


def is_about_kernels(finding: MonitorFinding) -> bool:
    return finding.flow is not None and (is_kernels(finding.flow.src) or is_kernels(finding.flow.dst))


def those_about_kernels(after: Iterable[MonitorFinding]) -> Iterator[MonitorFinding]:
    return (finding for finding in after if is_about_kernels(finding))


def grown(before: Iterable[MonitorFinding], after: Iterable[MonitorFinding]) -> Iterator[MonitorFinding]:
    """Of what names no connection: those of which there are more than before."""
    counts: Counter[str] = Counter()
    for finding in before:
        counts[finding.name] += finding.count if finding.flow is None else 0
    for finding in after:
        if finding.flow is None:
            counts[finding.name] -= finding.count
            if counts[finding.name] < 0:
                yield finding


def words(about: Iterable[MonitorFinding]) -> frozenset[str]:
    """All that these are called."""
    return frozenset(name for finding in about for name in (finding.name, *finding.own))
