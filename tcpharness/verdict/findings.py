"""What each watched vantage found, against what the scenario lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import Finding
from tcpharness.scenario.model import FindingExpect, VantageExpect
from tcpharness.verdict.binding import Binding
from tcpharness.verdict.blind import Sight, serves
from tcpharness.verdict.packets import Packets
from tcpharness.verdict.result import Failure
from tcpharness.verdict.watched import names_of

LOUD = ("warning", "error")
SHOWN = 8  # unlisted findings that are reported one by one


@dataclass(slots=True)
class Scene:
    """One vantage: what was found there, and its packets."""

    vantage: str
    found: list[Finding]
    packets: Packets
    binding: Binding


def judge_findings(sight: Sight) -> Iterator[Failure]:
    """Each watched vantage by its list; `any` at all captures."""
    binding = Binding(sight.evidence, sight.frames)
    scenes = {vantage: scene_of(vantage, sight, binding) for vantage in sight.evidence.captures}
    named = {watched.vantage for watched in sight.case.expect.findings}
    for watched in sight.case.expect.findings:
        if watched.vantage == "any":
            yield from judge_any(watched, scenes, [v for v in scenes if v not in named and serves(v, sight)])
        else:
            scene = scenes.get(watched.vantage) or Scene(watched.vantage, [], Packets((), {}), binding)
            yield from judge_vantage(watched, scene)


def scene_of(vantage: str, sight: Sight, binding: Binding) -> Scene:
    capture = sight.evidence.captures[vantage]
    found = capture.report.findings if capture.report else []
    packets = Packets(sight.frames.get(vantage, ()), names_of(sight.plan), capture.file)
    return Scene(vantage, found, packets, binding)


def judge_vantage(watched: VantageExpect, scene: Scene) -> Iterator[Failure]:
    """What is listed is there, and nothing else from warning up."""
    explained: set[int] = set()
    for expected in watched.findings:
        yield from judge_line(expected, scene, explained)
    if watched.one_of:
        yield from judge_alternatives(watched, scene, explained)
    yield from judge_rest(watched, scene, explained)


# --- one line of expectation


def judge_line(expected: FindingExpect, scene: Scene, explained: set[int]) -> Iterator[Failure]:
    """What is of that name (or a child's), kind and fault is counted, and is listed thereby."""
    family = [f for f in scene.found if descends(f.name, expected.name)]
    fitting = [f for f in family if fits(f, expected, scene.binding)]
    explained.update(id(f) for f in fitting)
    if expected.count.holds(len(fitting)):
        yield from judge_order(expected, fitting, scene)
        return
    near = next(iter(fitting or family or scene.found), None)
    found = f"{len(fitting)}; there were {listed(family or scene.found)}"
    yield failure(expected, wish(expected, scene.vantage), found, scene, near.frame if near else 0)


def failure(
    at: FindingExpect | VantageExpect, expected: str, found: str, scene: Scene, frame: int
) -> Failure:
    packets = scene.packets.around(frame)
    return Failure(at.at, expected, found, packets, scene.packets.file if packets else None)


def descends(name: str, ancestor: str) -> bool:
    """A child counts as its parent."""
    step: str | None = name
    while step is not None:
        if step == ancestor:
            return True
        step = BY_NAME[step].parent if step in BY_NAME else None
    return False


def fits(finding: Finding, expected: FindingExpect, binding: Binding) -> bool:
    if expected.kind is not None and finding.kind != expected.kind:
        return False
    return expected.of is None or binding.concerns(finding, expected.of)


def judge_order(expected: FindingExpect, fitting: Sequence[Finding], scene: Scene) -> Iterator[Failure]:
    """`before: x`: the first of these is at an earlier frame than the first x; `after` the reverse."""
    if not fitting:
        return
    mine = min(f.frame for f in fitting)
    for other, word, sign in ((expected.before, "before", 1), (expected.after, "after", -1)):
        if other is None:
            continue
        theirs = min((f.frame for f in scene.found if descends(f.name, other)), default=None)
        if theirs is None or (theirs - mine) * sign <= 0:
            there = f"{other} at {theirs}" if theirs is not None else f"no {other}"
            found = f"{expected.name} at frame {mine}, {there}"
            yield failure(expected, f"{expected.name} {word} {other} at {scene.vantage}", found, scene, mine)


# --- alternatives


def judge_alternatives(watched: VantageExpect, scene: Scene, explained: set[int]) -> Iterator[Failure]:
    """Exactly one of the alternatives holds; what it lists is explained.

    One that lists no more than another that holds as well is not exactly what is there.
    """
    holding = holding_alternatives(watched, scene)
    fullest = [mine for mine in distinct(holding) if not any(mine < other for other in holding)]
    if len(fullest) == 1:
        explained |= fullest[0]
        return
    number = len(holding) or "none"
    found = f"{number} of them holds" if not holding else f"{number} of them hold"
    near = next(iter(scene.found), None)
    yield failure(
        watched,
        f"exactly one of: {alternatives(watched)} at {scene.vantage}",
        f"{found}; there were {listed(scene.found)}",
        scene,
        near.frame if near else 0,
    )


def distinct(sets: list[set[int]]) -> list[set[int]]:
    return [one for n, one in enumerate(sets) if one not in sets[:n]]


def holding_alternatives(watched: VantageExpect, scene: Scene) -> list[set[int]]:
    """What is explained by each alternative that holds."""
    holding = []
    for option in watched.one_of:
        mine: set[int] = set()
        if not [f for e in option for f in judge_line(e, scene, mine)]:
            holding.append(mine)
    return holding


def alternatives(watched: VantageExpect) -> str:
    return " or ".join(", ".join(map(wanted, option)) for option in watched.one_of)


# --- what nobody listed


def judge_rest(watched: VantageExpect, scene: Scene, explained: set[int]) -> Iterator[Failure]:
    """Nothing else from warning up."""
    rest = [f for f in scene.found if f.level in LOUD and id(f) not in explained]
    expected = f"nothing else of level warning or error at {scene.vantage}"
    for finding in rest[:SHOWN]:
        where = f"frame {finding.frame}" if finding.frame else "the whole capture"
        yield failure(watched, expected, f"{where}: {title(finding)}: {finding.text}", scene, finding.frame)
    if rest[SHOWN:]:
        yield Failure(watched.at, expected, f"{len(rest) - SHOWN} more: {listed(rest[SHOWN:])}")


# --- any


def judge_any(
    watched: VantageExpect, scenes: Mapping[str, Scene], others: Iterable[str]
) -> Iterator[Failure]:
    """What is listed is found at one capture or another; what may be absent must fit at every one.

    Captures without a list of their own (`others`) are watched as well: what is not listed under
    `any` must not be there.
    """
    explained: set[int] = set()
    for expected in watched.findings:
        trials = {v: list(judge_line(expected, scene, explained)) for v, scene in scenes.items()}
        held = [v for v, failures in trials.items() if not failures]
        if len(held) < len(trials) if expected.count.holds(0) else not held:
            found = "; ".join(f"{v}: {f.actual}" for v, failures in trials.items() for f in failures[:1])
            yield Failure(expected.at, wish(expected, "any vantage"), found or "nothing was captured")
    if watched.one_of:
        holding = [mine for s in scenes.values() if len(mine := holding_alternatives(watched, s)) == 1]
        for each in holding:
            explained |= each[0]
        if not holding:
            found = "; ".join(f"{v}: {listed(s.found)}" for v, s in scenes.items())
            yield Failure(watched.at, f"exactly one of: {alternatives(watched)} at any vantage", found)
    for vantage in others:
        yield from judge_rest(watched, scenes[vantage], explained)


# --- words


def wish(expected: FindingExpect, vantage: str) -> str:
    return f"{wanted(expected)} at {vantage}"


def wanted(expected: FindingExpect) -> str:
    """`1 retransmission (rto) of lost`"""
    kind = f" ({expected.kind})" if expected.kind else ""
    of = f" of {expected.of}" if expected.of else ""
    return f"{expected.count} {expected.name}{kind}{of}"


def title(finding: Finding) -> str:
    return f"{finding.name} ({finding.kind})" if finding.kind else finding.name


def listed(found: Sequence[Finding]) -> str:
    """`2 retransmission (rto), 1 gap`"""
    counts = Counter(map(title, found))
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "no findings at all"
