"""Where monitors read: shared by all cases of a run, since starting one may be dear."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.lab.doctor import is_root
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.canary import part_canary
from tcpharness.monitor.command import filled
from tcpharness.monitor.post import FOLDER, Post
from tcpharness.monitor.process import lacking
from tcpharness.monitor.reading import Place, copy_capture, read_capture
from tcpharness.monitor.session import Failed, Sessions
from tcpharness.monitor.versions import Versions, default_file
from tcpharness.monitor.words import STDERR, STDOUT, fail, take, take_text
from tcpharness.scenario.monitor import Command, Description

WHEN_IDLE = ("nice", "-n", "19")  # nobody waits for what is asked once in a run


class MonitorRoom:
    """`async with MonitorRoom(spawner, workdir) as room: await room.read(posts, captures, folder)`."""

    def __init__(self, spawner: Spawner, workdir: Path) -> None:
        self._place = Place(spawner, workdir)
        self._workdir = workdir
        self._sessions = Sessions(self._place, workdir)
        self._at_once = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self._said: dict[tuple[str, ...], asyncio.Task[Said]] = {}
        self._versions = Versions(default_file(os.environ))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._said.values():
            task.cancel()
        await asyncio.gather(*self._said.values(), return_exceptions=True)
        await self._sessions.close()
        self._place.close()

    def warm(self, posts: Sequence[Post]) -> None:
        """What takes long to start is begun while the scenario's traffic runs."""
        reading = [post for post in posts if post.description.read is not None]
        vantages = Counter(post.use.name for post in reading)
        for name, post in {post.use.name: post for post in reading}.items():
            description = post.description
            if lacking(description) is not None or description.needs is not None:
                continue
            if description.version is not None and self._versions.known(description) is None:
                self._asked(description, description.version)
            if description.feed is not None:
                self._sessions.warm(description, {"pcap": "", **post.words()}, vantages[name])

    async def read(
        self, posts: Sequence[Post], captures: Mapping[str, CaptureOutcome], folder: Path
    ) -> list[MonitorOutcome]:
        """All monitors of a case that read captures, each at each of its vantages."""
        reading = [post for post in posts if post.description.read is not None]
        wanted = {(post.vantage, post.description.tells_canary()) for post in reading}
        copies = {(v, canary): copied(captures.get(v), folder, v, canary=canary) for v, canary in wanted}
        return list(
            await asyncio.gather(
                *(self._read(post, copies[post.vantage, post.description.tells_canary()]) for post in reading)
            )
        )

    async def _read(self, post: Post, copy: Copy | None) -> MonitorOutcome:
        outcome, description = post.outcome(), post.description
        outcome.lacking = await self.lacking(description)
        if outcome.lacking is not None:
            return outcome
        post.empty_folder()
        if copy is None:
            fail(outcome, f"there is no capture at {post.vantage} that it could read", post.folder)
            return outcome
        if copy.is_empty:
            fail(outcome, f"there is not one packet in the capture at {post.vantage}", post.folder)
            return outcome
        words = {"pcap": str(copy.path.absolute()), **post.words()}
        assert description.read is not None
        outcome.command = " ".join(filled(description.read, words))
        if description.feed is None:
            async with self._at_once:
                await read_capture(description, outcome, words, self._place, post.folder)
        else:  # of which there are few, and each takes one capture after the other
            await self._feed(description, outcome, words, copy.path, post.folder)
        outcome.version = await self.version(description)
        if copy.has_canary:
            part_canary(outcome, description, copy.frames)
        return outcome

    async def _feed(
        self,
        description: Description,
        outcome: MonitorOutcome,
        words: Mapping[str, str],
        capture: Path,
        folder: Path,
    ) -> None:
        """By the process that lives for the session."""
        outcome.started_ns = time.time_ns()
        try:
            text, before, outcome.duration_ns = await self._sessions.read(description, capture, words, folder)
        except (Failed, OSError) as error:
            outcome.error = str(error)
            return
        if description.feed is not None and description.feed.pipe:
            take_text(unmarked(description), text, folder, outcome)
            for finding in outcome.findings:
                finding.frame = max(0, finding.frame - before)
        else:
            take(description, folder, outcome)

    async def lacking(self, description: Description) -> str | None:
        """What this machine hasn't got for it, in words."""
        if description.root and not is_root():
            return "it needs root"
        why = lacking(description)
        if why is not None or description.needs is None:
            return why
        said = await self._once(description, description.needs)
        return None if said.fine else f"this machine can't run it: {said.last or 'its `needs` fails'}"

    async def version(self, description: Description) -> str:
        """What the program says of its version, asked unless it is that of last time; "" when nothing."""
        if description.version is None:
            return ""
        known = self._versions.known(description)
        if known is None:
            said = await self._once(description, description.version)
            known = said.first
            if said.fine:
                self._versions.keep(description, known)
        return known

    async def _once(self, description: Description, command: Command) -> Said:
        """A command whose answer is the same in all of a run."""
        return await asyncio.shield(self._asked(description, command))

    def _asked(self, description: Description, command: Command) -> asyncio.Task[Said]:
        key = (description.name, *command.words)
        if key not in self._said:
            self._said[key] = asyncio.create_task(self._ask(description, command, len(self._said)))
        return self._said[key]

    async def _ask(self, description: Description, command: Command, number: int) -> Said:
        folder = self._workdir / f"asked-{number}-{description.name}"
        folder.mkdir(parents=True)
        ended = await self._place.run(description, command, {}, folder, before=WHEN_IDLE)
        said = [(folder / name).read_text(errors="replace") for name in (STDOUT, STDERR)]
        shutil.rmtree(folder)
        lines = [line.strip() for text in said for line in text.splitlines() if line.strip()]
        return Said(ended.problem is None, lines[0] if lines else "", lines[-1] if lines else "")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command went, and the first and last line of what it said."""

    fine: bool
    first: str
    last: str


def unmarked(description: Description) -> Description:
    """Without the records of the frames that end captures."""
    assert description.feed is not None
    output = description.output
    return replace(description, output=replace(output, unless=description.feed.mark))


@dataclass(frozen=True, slots=True)
class Copy:
    """A capture for monitors."""

    path: Path
    frames: int  # the scenario's; the canary's come behind them
    has_canary: bool  # one was sent, whether it came or not
    is_empty: bool


def copied(capture: CaptureOutcome | None, folder: Path, vantage: str, *, canary: bool) -> Copy | None:
    """The capture for monitors; None when there is none that could be read."""
    if capture is None or capture.text or not Path(capture.file).exists():
        return None
    canary = canary and capture.has_canary
    path = folder / FOLDER / f"{vantage}{'' if canary else '-alone'}.pcap"
    path.parent.mkdir(exist_ok=True)
    frames = copy_capture(capture, path, canary=canary)
    return Copy(path, frames, canary, is_empty=not frames and not (canary and capture.canary))
