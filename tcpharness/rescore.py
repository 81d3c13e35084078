"""A scorecard over captures that were kept (`--out`), not new ones: the same packets for every monitor."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

from tcpharness.analysis.capture import analyze
from tcpharness.evidence import CaptureOutcome, Evidence
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.post import posts_of
from tcpharness.monitor.room import MonitorRoom
from tcpharness.run import Audience
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import MonitorUse
from tcpharness.scenario.place import Place
from tcpharness.scenario.plan import make_plan
from tcpharness.score import prepared, watches_hosts
from tcpharness.verdict.result import Failure, Result, Verdict
from tcpharness.verdict.watched import names_of

OF_CAPTURE = frozenset(field.name for field in fields(CaptureOutcome)) - {"file", "report"}


def replayed(
    cases: Sequence[Case], uses: Sequence[MonitorUse], folder: Path, seed: int, audience: Audience
) -> list[Result]:
    """The kept cases, with what the monitors make of their captures now. Raises ValueError."""
    for use in uses:
        if watches_hosts(use):
            raise ValueError(
                f"{use.name} watches hosts, and no kept capture has one; leave it or --captures out"
            )
    kept = kept_cases(folder)
    missing = [case.id for case in cases if case.id not in kept]
    if missing:
        more = f", nor {len(missing) - 1} others" if missing[1:] else ""
        raise ValueError(f"{folder} has no {missing[0]}{more}; --out keeps them")
    spawner = Spawner.start(preload=())
    try:
        found = [(case, prepared(case, uses, seed), *kept[case.id]) for case in cases]
        results: list[Result] = []
        asyncio.run(_all(found, spawner, audience, results))
        return results
    finally:
        spawner.close()


def kept_cases(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """By id: where each lies, and its result. Raises ValueError."""
    found = {}
    for path in sorted(folder.glob("*/result.json")):
        try:
            result = json.loads(path.read_bytes())
            found[str(result["id"])] = (path.parent, result)
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}: not the result of a case") from None
    return found


async def _all(
    cases: Sequence[tuple[Case, Case, Path, dict[str, Any]]],
    spawner: Spawner,
    audience: Audience,
    results: list[Result],
) -> None:
    """Fills `results`, and returns nothing: asyncio.run() makes a text of what its coroutine returns."""
    with tempfile.TemporaryDirectory(prefix="tcpharness-score-") as scratch:
        async with MonitorRoom(spawner, Path(scratch)) as room:

            async def one(own: Case, case: Case, kept: Path, said: dict[str, Any]) -> Result:
                result = await _one(case, kept, said, room, Path(scratch))
                result.verdict = verdict_of(said, own)
                audience.ended(result)
                return result

            results += await asyncio.gather(*(one(*each) for each in cases))


async def _one(case: Case, kept: Path, said: dict[str, Any], room: MonitorRoom, scratch: Path) -> Result:
    plan = make_plan(case, number_of(kept, said))
    evidence = Evidence(captures={v: capture_of(kept, one) for v, one in said["captures"].items()})
    own = scratch / kept.name
    own.mkdir()
    evidence.monitors = await room.read(posts_of(plan, own), evidence.captures, own)
    return Result(
        case, Verdict("pass"), evidence, seed=said["seed"], started=said["started"], duration_ns=0,
        environment={}, versions=said["versions"], out_dir=str(kept), names=names_of(plan),
    )  # fmt: skip


def number_of(kept: Path, said: dict[str, Any]) -> int:
    """The number that a kept case's addresses come from. Raises ValueError."""
    if type(said.get("lab")) is not int:
        raise ValueError(f"{kept / 'result.json'}: it does not say the lab's number; keep the cases anew")
    return int(said["lab"])


def capture_of(kept: Path, said: dict[str, Any]) -> CaptureOutcome:
    """The capture, analysed as the analysis is now."""
    file = kept / Path(said["file"]).name
    outcome = CaptureOutcome(file=str(file), **{key: said[key] for key in OF_CAPTURE if key in said})
    if not outcome.text and file.exists():
        outcome.report = analyze(BytesIO(file.read_bytes()))
    return outcome


def verdict_of(said: dict[str, Any], case: Case) -> Verdict:
    """As it was, but for what the case expects of monitors of its own."""
    failures = [Failure(place_of(f["at"]), f["expected"], f["actual"]) for f in said["failures"]]
    own = {place for e in case.expect.monitors for place in (e.at, *(line.at for line in e.findings))}
    return Verdict(said["outcome"], said["reason"], [f for f in failures if f.at not in own])


def place_of(text: str) -> Place:
    file, line, column = text.rsplit(":", 2)
    return Place(file, int(line), int(column))
