"""Where monitors read: shared by all cases of a run, since starting one may be dear."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.lab.doctor import is_root
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.command import filled, options_of
from tcpharness.monitor.reading import Place, copy_capture, lacking, read_capture
from tcpharness.monitor.words import STDERR, STDOUT, fail
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.scenario.plan import Plan

Post = tuple[MonitorUse, Description, str, str, str]  # what stands where: vantage, host, interface


class MonitorRoom:
    """`async with MonitorRoom(spawner, workdir) as room: outcomes = await room.read(...)`."""

    def __init__(self, spawner: Spawner, workdir: Path) -> None:
        self._place = Place(spawner, workdir)
        self._workdir = workdir
        self._at_once = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self._versions: dict[tuple[str, ...], asyncio.Task[str]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._versions.values():
            task.cancel()
        await asyncio.gather(*self._versions.values(), return_exceptions=True)
        self._place.close()

    async def read(
        self, plan: Plan, captures: Mapping[str, CaptureOutcome], folder: Path
    ) -> list[MonitorOutcome]:
        """All monitors of a case that read captures, each at each of its vantages."""
        posts = [post for post in posts_of(plan) if post[1].read is not None]
        copies: dict[str, Path | None] = {}
        for _, _, vantage, _, _ in posts:
            if vantage not in copies:
                copies[vantage] = self._copy(captures.get(vantage), folder, vantage)
        return list(
            await asyncio.gather(*(self._read(post, plan, copies[post[2]], folder) for post in posts))
        )

    def _copy(self, capture: CaptureOutcome | None, folder: Path, vantage: str) -> Path | None:
        if capture is None or capture.text or not Path(capture.file).exists():
            return None
        path = folder / "monitors" / f"{vantage}.pcap"
        path.parent.mkdir(exist_ok=True)
        copy_capture(capture, path)
        return path

    async def _read(self, post: Post, plan: Plan, capture: Path | None, folder: Path) -> MonitorOutcome:
        use, description, vantage, host, interface = post
        outcome = MonitorOutcome(use.name, vantage, host, interface)
        outcome.lacking = self.lacking(description)
        if outcome.lacking is not None:
            return outcome
        own = folder / "monitors" / f"{use.name}-{vantage}"
        own.mkdir(parents=True)
        outcome.directory = str(own)
        if capture is None:
            fail(outcome, f"there is no capture at {vantage} that it could read", own)
            return outcome
        base = Path(plan.case.file).parent
        words = {
            "pcap": str(capture.absolute()),
            "out": str(own.absolute()),
            "host": host,
            "vantage": vantage,
            **options_of(use, description, base),
        }
        assert description.read is not None
        outcome.command = " ".join(filled(description.read, words))
        async with self._at_once:
            outcome.version = await self.version(description)
            await read_capture(description, outcome, words, self._place, own)
        return outcome

    def lacking(self, description: Description) -> str | None:
        if description.root and not is_root():
            return f"{description.name} needs root"
        return lacking(description)

    async def version(self, description: Description) -> str:
        """What the program says of its version, asked once in a run; "" when nothing."""
        if description.version is None:
            return ""
        key = description.version.words
        if key not in self._versions:
            self._versions[key] = asyncio.create_task(self._ask_version(description))
        return await asyncio.shield(self._versions[key])

    async def _ask_version(self, description: Description) -> str:
        assert description.version is not None
        folder = self._workdir / f"version-{description.name}"
        folder.mkdir(exist_ok=True)
        await self._place.run(description, description.version, {}, folder)
        said = [(folder / name).read_text(errors="replace") for name in (STDOUT, STDERR)]
        for file in folder.iterdir():
            if file.is_file():
                file.unlink()
        return next((line.strip() for text in said for line in text.splitlines() if line.strip()), "")


def posts_of(plan: Plan) -> list[Post]:
    """Each monitor at each of its vantages: those it names, those something is expected at, or all."""
    where = {vantage: (host, interface) for vantage, host, interface in plan.vantages}
    posts: list[Post] = []
    for use in plan.case.monitors:
        assert use.description is not None
        for vantage in vantages_of(use, plan.case) or tuple(where):
            host, interface = where.get(vantage, (vantage.partition(".")[0], ""))
            posts.append((use, use.description, vantage, host, interface))
    return posts


def vantages_of(use: MonitorUse, case: Case) -> tuple[str, ...]:
    expected = [e.vantage for e in case.expect.monitors if e.monitor == use.name]
    return tuple(dict.fromkeys([*use.vantages, *expected]))
