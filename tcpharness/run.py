"""The only file that knows the order of a run.

One case, top to bottom: plan, build the lab, put the middleboxes in, start the captures, note the
counters, start the endpoints and wait for them, let the lab fall quiet, end the captures by their
markers, fetch the ledgers, read the counters again, analyse, judge. Everything that is opened is
opened in one exit stack, and closed in reverse order whatever happens.

Many cases share one asyncio loop: waiting for TCP's timers is most of a case's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tcpharness.analysis.capture import analyze, capture_drops
from tcpharness.analysis.compare import Seen, Sent, compare, syns
from tcpharness.evidence import CaptureOutcome, Evidence
from tcpharness.lab import counters, doctor
from tcpharness.lab.actors import Actors
from tcpharness.lab.admission import Admission
from tcpharness.lab.build import Lab, LabError
from tcpharness.lab.canary import Canaries
from tcpharness.lab.director import Director, tell_of_faults
from tcpharness.lab.middlebox import Middlebox
from tcpharness.lab.numbers import Numbers
from tcpharness.lab.sampling import Watch, name_endpoints
from tcpharness.lab.socket_table import settle
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.stage import Stage
from tcpharness.lab.tcpdump import Tcpdump, stall
from tcpharness.lab.tracing import Tracing
from tcpharness.monitor.live_posts import LivePosts
from tcpharness.monitor.post import Post, posts_of
from tcpharness.monitor.room import MonitorRoom
from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import decode
from tcpharness.report.as_json import result_as_json
from tcpharness.scenario.event import CaptureStart
from tcpharness.scenario.model import Case
from tcpharness.scenario.plan import make_plan
from tcpharness.verdict.judge import judge
from tcpharness.verdict.result import Result, Verdict, broken, skipped
from tcpharness.verdict.transcript import transcript
from tcpharness.verdict.watched import names_of

STEERING = "rps_default_mask"  # without it frames of one sender may overtake each other
SETTLE_NS = 1_000_000_000  # how long sockets may take to finish closing after the endpoints have


class Lacking(Exception):
    """The machine lacks something without which nothing runs; the text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, as the command line says it."""

    jobs: int = 12
    timeout_ns: int | None = None  # instead of each case's own
    seed: int | None = None
    out: Path | None = None
    keep: bool = False
    fail_fast: bool = False
    repeat: int = 1  # how often each case is played, always with the same seed


class Audience(Protocol):
    """Who hears of cases as they start and end."""

    def started(self, case: Case) -> None: ...
    def ended(self, result: Result) -> None: ...


# --- one case ----------------------------------------------------------------------------------


class CaseRun:
    """One case on its way from the file to its verdict."""

    def __init__(self, case: Case, number: int, seed: int, directory: Path) -> None:
        self.case = case
        self.seed = seed
        self.plan = make_plan(case, number)
        self.directory = directory
        self.evidence = Evidence()
        self.frames: dict[str, list[tuple[int, bytes]]] = {}
        self.posts: list[Post] = []  # of monitors

    async def play(
        self,
        spawner: Spawner,
        timeout_ns: int,
        tracing: Tracing | None = None,
        room: MonitorRoom | None = None,
    ) -> None:
        """From nothing to evidence; the lab is gone when it returns. Raises LabError."""
        async with AsyncExitStack() as stack:
            self.posts = posts_of(self.plan, self.directory)
            if room is not None:
                room.warm(self.posts)
            lab = stack.enter_context(Lab(self.plan, spawner, self.directory))
            self.evidence.in_order = not any(STEERING in note for note in lab.notes)
            stage, watch, canaries = Stage(), Watch(lab), Canaries(self.plan, self.case.ip)
            stack.callback(watch.close)
            watching = asyncio.create_task(self._start_watching(watch, tracing))
            stack.callback(watching.cancel)
            boxes = await self._put_in_middleboxes(lab, stack)
            captures = await self._start_captures(lab, stack)
            live = await self._start_monitors(lab, spawner, room, stack)
            before = {host: counters.read(ns) for host, ns in lab.hosts.items()}
            on_lo = {host: counters.loopback(ns) for host, ns in lab.hosts.items()}
            base = Path(self.case.file).parent
            await watching
            actors = await stack.enter_async_context(Actors(self.plan, lab, stage, self.seed, base))
            director = Director(
                self.plan,
                lab,
                stage,
                {box.link.name: box for box in boxes},
                {capture.outcome.vantage: capture for capture in captures},
                actors.wait_killed,
            )
            for box in boxes:
                tell_of_faults(box, [b for b in boxes if b is not box], stage, actors, director)
            await self._drive(actors, captures, watch, director, stage, time.monotonic_ns() + timeout_ns)
            await self._fall_quiet(lab, boxes, live.hosts)
            self.evidence.monitors += await live.finish(with_canary=False)
            self.evidence.loopback = {h: counters.loopback(ns) - on_lo[h] for h, ns in lab.hosts.items()}
            await canaries.pass_by(captures)
            self.evidence.monitors += await live.finish(with_canary=True)
            watched = asyncio.create_task(self._end_watching(watch, tracing))
            stack.callback(watched.cancel)
            await self._end_captures(captures)
            for box in boxes:
                outcome = await box.finish()
                self.evidence.links[outcome.link] = outcome
            await watched
            after = {host: counters.read(ns) for host, ns in lab.hosts.items()}
            self.evidence.environment = lab.environment()
            self.evidence.monitors += await live.prove()
        self.evidence.counters = {host: counters.difference(before[host], after[host]) for host in after}
        canaries.take_out(self.evidence.captures)

    async def _start_watching(self, watch: Watch, tracing: Tracing | None) -> None:
        await watch.start()
        if tracing is not None:
            await tracing.watch(self.plan.number, names_of(self.plan), traced(self.case))

    async def _end_watching(self, watch: Watch, tracing: Tracing | None) -> None:
        """What became of all sockets, and what the kernel traced of them."""
        taking = asyncio.create_task(tracing.take(self.plan.number)) if tracing is not None else None
        self.evidence.sampling, self.evidence.sockets = await watch.finish()
        name_endpoints(self.evidence, listeners(self.case))
        self.evidence.trace = await taking if taking is not None else None

    async def _put_in_middleboxes(self, lab: Lab, stack: AsyncExitStack) -> list[Middlebox]:
        links = [link for link in self.plan.links if link.kind == "middlebox"]
        boxes = [Middlebox(self.plan, link, lab, self.seed) for link in links]
        for box in boxes:
            stack.callback(box.close)
        await asyncio.gather(*(box.start() for box in boxes))
        return boxes

    async def _start_captures(self, lab: Lab, stack: AsyncExitStack) -> list[Tcpdump]:
        wanted = {capture.vantage: capture for capture in self.case.captures}
        captures = [
            Tcpdump(wanted.get(vantage), vantage, host, interface, lab, self.directory / f"{vantage}.pcap")
            for vantage, host, interface in self.plan.vantages
        ]
        for capture in captures:
            stack.callback(capture.close)
        late = {c.vantage for fault in self.case.faults for c in fault.changes if isinstance(c, CaptureStart)}
        for capture in captures:
            capture.outcome.late = capture.outcome.vantage in late
        await asyncio.gather(*(capture.start() for capture in captures if not capture.outcome.late))
        return captures

    async def _drive(
        self,
        actors: Actors,
        captures: list[Tcpdump],
        watch: Watch,
        director: Director,
        stage: Stage,
        deadline_ns: int,
    ) -> None:
        """The traffic: servers first, then clients, until all have ended; some captures stalled meanwhile."""
        stalled = [asyncio.create_task(stall(c, stage, deadline_ns)) for c in captures if c.stall is not None]
        try:
            await actors.start()
            await watch.look()
            director.start()
            self.evidence.endpoints = await actors.finish(deadline_ns)
            for problem in await asyncio.gather(*stalled):
                self.evidence.problems += problem
        finally:
            for task in stalled:
                task.cancel()
            await director.stop()
        self.evidence.events, self.evidence.waits = director.events, director.waits
        self.evidence.problems += director.problems

    async def _start_monitors(
        self, lab: Lab, spawner: Spawner, room: MonitorRoom | None, stack: AsyncExitStack
    ) -> LivePosts:
        """Those that watch hosts, ready."""
        live = LivePosts(self.posts, lab, spawner)
        stack.callback(live.close)
        await live.start(room or MonitorRoom(spawner, self.directory))
        return live

    async def _fall_quiet(self, lab: Lab, boxes: list[Middlebox], busy: Collection[str]) -> None:
        """Until every socket is closed and no frame waits; then the middleboxes let nothing more pass."""
        for box in boxes:
            await box.idle()
        scripted = {address for own in self.plan.scripted.values() for address in own}
        self.evidence.unsettled = await settle(lab, time.monotonic_ns() + SETTLE_NS, scripted, busy)
        for box in boxes:
            await box.idle()
            await box.stop()

    async def _end_captures(self, captures: list[Tcpdump]) -> None:
        """All markers first, then all ends: each capture holds those of its link's other hosts too."""
        await asyncio.gather(*(capture.mark() for capture in captures))
        for outcome in await asyncio.gather(*(capture.finish() for capture in captures)):
            self.evidence.captures[outcome.vantage] = outcome

    async def hear_monitors(self, room: MonitorRoom) -> None:
        """What those that read captures make of these."""
        if self.case.monitors:
            self.evidence.monitors += await room.read(self.posts, self.evidence.captures, self.directory)

    def judge(self) -> Verdict:
        """Reads the captures, analyses them and weighs everything."""
        for vantage, outcome in self.evidence.captures.items():
            if not outcome.text and Path(outcome.file).exists():
                self._read_capture(vantage, outcome)
        self._compare()
        return judge(self.case, self.plan, self.evidence, frames=self.frames)

    def transcript(self) -> list[str]:
        return transcript(self.plan, self.evidence, self.frames)

    def _read_capture(self, vantage: str, outcome: CaptureOutcome) -> None:
        data = Path(outcome.file).read_bytes()
        self.frames[vantage] = [(frame.time_ns, frame.data) for frame in Reader(BytesIO(data))]
        outcome.report = analyze(BytesIO(data))
        if outcome.dropped:
            outcome.report.findings.append(capture_drops(outcome.dropped, outcome.received or 0))

    def _compare(self) -> None:
        """What left one end of a link, and was not as it was at the other, is found there."""
        captures = self.evidence.captures
        at = {(o.host, o.interface): vantage for vantage, o in captures.items() if o.report is not None}
        for link in self.plan.links:
            ends = [at[end.host, end.name] for end in link.ends if (end.host, end.name) in at]
            for one, two in itertools.combinations(ends, 2):
                for is_two, finding in compare(self._syns(one), self._syns(two)):
                    report = captures[two if is_two else one].report
                    assert report is not None
                    report.findings.append(finding)

    def _syns(self, vantage: str) -> dict[Sent, Seen]:
        frames = enumerate(self.frames[vantage], 1)
        return syns(decode(data, time_ns=time_ns, frame=number) for number, (time_ns, data) in frames)


def traced(case: Case) -> list[str]:
    """The tracepoints that a scenario asks for."""
    return sorted({wanted.name for wanted in case.expect.tracepoints})


def listeners(case: Case) -> dict[tuple[str, int], str]:
    """The endpoint behind each port that a scenario has opened, by (host, port)."""
    return {(e.on, e.port): e.name for e in case.endpoints if e.port is not None and e.kind != "connect"}


# --- many cases --------------------------------------------------------------------------------


class Runner:
    """Plays cases side by side: `async with Runner(options) as runner: result = await runner.play(case)`."""

    def __init__(self, options: Options, spawner: Spawner | None = None) -> None:
        self.options = options
        self.admission = Admission(options.jobs)
        self.versions = doctor.versions()
        self._seeds = random.Random()
        self._drawn: dict[str, int] = {}  # case -> seed, when it is played more than once
        self._stack = AsyncExitStack()
        self._numbers = self._stack.enter_context(Numbers())
        self._tracing = Tracing()
        self._spawner = spawner or self._stack.enter_context(Spawner.start())
        self._directory = options.out or Path(tempfile.mkdtemp(prefix="tcpharness-"))
        self._directory.mkdir(parents=True, exist_ok=True)
        self._monitors = MonitorRoom(self._spawner, self._directory)

    async def __aenter__(self) -> Self:
        watch = asyncio.create_task(self.admission.watch())
        self._stack.callback(watch.cancel)
        await self._tracing.start(self._spawner)
        self._stack.push_async_callback(self._tracing.close)
        await self._stack.enter_async_context(self._monitors)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if self.options.out is None:
            with contextlib.suppress(OSError):  # not empty: something was kept
                self._directory.rmdir()

    async def play(self, case: Case, audience: Audience | None = None) -> Result:
        """One case, from admission to its result on disk."""
        async with self.admission.place():
            if audience is not None:
                audience.started(case)
            result = await self._play(case)
        if audience is not None:
            audience.ended(result)
        return result

    async def _play(self, case: Case) -> Result:
        number, lab = self._numbers.next()
        seed = self.seed_of(case)
        directory = self._directory / f"{number:03}-{slug(case.id)}"
        directory.mkdir(parents=True, exist_ok=True)
        started, start = time.time(), time.monotonic_ns()
        run = CaseRun(case, lab, seed, directory)
        try:
            verdict = await self._verdict(run, self.options.timeout_ns or case.timeout_ns)
        except asyncio.CancelledError:  # interrupted: half a case is nothing to keep
            shutil.rmtree(directory, ignore_errors=True)
            raise
        result = Result(
            case=case,
            verdict=verdict,
            evidence=run.evidence,
            seed=seed,
            started=started,
            duration_ns=time.monotonic_ns() - start,
            environment=run.evidence.environment,
            versions=self.versions,
            out_dir=str(directory),
            names=names_of(run.plan),
            lab=lab,
            transcript=run.transcript(),
        )
        self._keep_or_forget(result, directory)
        return result

    async def _verdict(self, run: CaseRun, timeout_ns: int) -> Verdict:
        """Every problem of one case ends up in its verdict; other cases go on."""
        reason = doctor.lacking_for(run.case)
        if reason:
            return skipped(reason)
        try:
            await run.play(self._spawner, timeout_ns, self._tracing, self._monitors)
            await run.hear_monitors(self._monitors)
            return run.judge()
        except LabError as error:
            return broken(error.at or run.case.at, str(error.text))
        except OSError as error:
            return broken(run.case.at, f"the lab failed: {error}")

    def seed_of(self, case: Case) -> int:
        if case.seed is not None:
            return case.seed
        if self.options.seed is not None:
            return self.options.seed
        seed = self._seeds.getrandbits(32)
        return self._drawn.setdefault(case.id, seed) if self.options.repeat > 1 else seed

    def _keep_or_forget(self, result: Result, directory: Path) -> None:
        passed = result.verdict.outcome in ("pass", "skip")
        if passed and self.options.out is None and not self.options.keep:
            shutil.rmtree(directory)
            result.out_dir = None
            return
        (directory / "result.json").write_text(json.dumps(result_as_json(result), indent=2) + "\n")


def slug(case_id: str) -> str:
    """A case's id as a file name: handshake-open-ip-4."""
    return re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"\.ya?ml", "", case_id)).strip("-")[-80:]


def run_cases(cases: Sequence[Case], options: Options, audience: Audience) -> list[Result]:
    """Runs them all, many at once; results in the order of the cases. Raises Lacking.

    Of a case that is repeated, the audience hears of every run, and the first that did not pass is returned.
    """
    if doctor.find_program("tcpdump") is None:
        raise Lacking(
            "tcpdump is not installed, and nothing can be captured without it: apt-get install tcpdump"
        )
    sockets = doctor.check_sockets()
    if not sockets.ok:
        raise Lacking(f"{sockets.found}: {sockets.remedy}")
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    spawner = Spawner.start()  # forked while this process is small
    results: dict[int, Result] = {}
    try:
        asyncio.run(_run_all(cases, options, audience, spawner, results))
    finally:
        spawner.close()
    return [results[index] for index in sorted(results)]


async def _run_all(
    cases: Iterable[Case], options: Options, audience: Audience, spawner: Spawner, results: dict[int, Result]
) -> None:
    """Fills `results`, and returns nothing: asyncio.run() makes a text of what its coroutine returns."""

    async def one(index: int, case: Case) -> None:
        result = await runner.play(case, audience)
        if index not in results or results[index].verdict.outcome == "pass":
            results[index] = result
        if options.fail_fast and result.verdict.outcome in ("fail", "void"):
            for task in tasks:
                task.cancel()

    async with Runner(options, spawner) as runner:
        rounds = [each for _ in range(options.repeat) for each in enumerate(cases)]
        tasks = [asyncio.create_task(one(index, case)) for index, case in rounds]
        try:
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
    for problem in ended:
        if isinstance(problem, Exception):
            raise problem
