"""One process of a monitor: where it runs, its output in files, its end, and how that is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tcpharness.lab.spawner import Child, LabProcesses
from tcpharness.monitor.command import environment
from tcpharness.monitor.words import STDERR, STDOUT, flood, is_flooded
from tcpharness.scenario.monitor import Description


@dataclass(frozen=True, slots=True)
class Ground:
    """What a process stands on: processes that end together, a network namespace, a file for /etc/hosts."""

    processes: LabProcesses
    netns: int
    hosts_file: Path

    def spawn(
        self,
        argv: Sequence[str],
        folder: Path,
        description: Description,
        *,
        stdin: int | None = None,
        prefix: str = "",
    ) -> Child:
        """In its folder; what it prints goes into files there, none of which grows beyond the bound."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        out, err = (os.open(folder / f"{prefix}{name}", flags, 0o644) for name in (STDOUT, STDERR))
        try:
            return self.processes.run(
                argv,
                netns=self.netns,
                stdin=stdin,
                stdout=out,
                stderr=err,
                cwd=str(folder),
                env=environment(folder),
                hosts_file=str(self.hosts_file),
                most_bytes=description.most_bytes,
            )
        finally:
            os.close(out)
            os.close(err)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process has ended: its status, and what was wrong about it."""

    status: int | None
    problem: str | None


async def wait_end(child: Child, description: Description, folder: Path) -> Ended:
    """Waits for its end, at most as long as it may take."""
    limit_s = description.timeout_ns / 1e9
    try:
        async with asyncio.timeout(limit_s):
            status = await child.wait()
    except TimeoutError:
        child.kill(signal.SIGKILL)
        return Ended(None, f"it was not done within {limit_s:g} s")
    return judged(child, status, description, folder)


def judged(
    child: Child, status: int, description: Description, folder: Path, signalled: int | None = None
) -> Ended:
    """`signalled`: it was told to end by this signal, which is a good end then."""
    if child.error:
        return Ended(status, f"it can't be started: {child.error}")
    if is_flooded(description, folder):
        return Ended(status, flood(description))
    if status in description.status or (signalled is not None and status in (-signalled, 128 + signalled)):
        return Ended(status, None)
    return Ended(status, f"it ended {ending(status)}")


def ending(status: int) -> str:
    """`with status 3`, `by SIGSEGV`."""
    if status >= 0:
        return f"with status {status}"
    known = {each.value: each.name for each in signal.Signals}
    return f"by {known.get(-status, f'signal {-status}')}"


def lacking(description: Description) -> str | None:
    """The program that isn't installed, and what brings it."""
    program = description.program
    if program and shutil.which(program, path=os.environ.get("PATH")) is None:
        return f"{program} is not installed: apt-get install {description.package or program}"
    return None
