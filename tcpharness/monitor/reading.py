"""One monitor that reads one capture: its process from start to end, with bounds on time and output."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Child, LabProcesses, Spawner
from tcpharness.monitor.command import environment, filled, write_files
from tcpharness.monitor.words import STDERR, STDOUT, fail, flood, is_flooded, take
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.scenario.monitor import Command, Description

MARKER = b"\x88\xb5"  # ethertype of a capture's end markers, which are not the monitors' business


async def read_capture(
    description: Description,
    outcome: MonitorOutcome,
    words: Mapping[str, str],
    place: Place,
    folder: Path,
) -> None:
    """Runs `read` over the capture that `words` names, and takes what it wrote into the outcome."""
    assert description.read is not None
    write_files(description, folder, words)
    started = time.monotonic_ns()
    outcome.started_ns = time.time_ns()
    ended = await place.run(description, description.read, words, folder)
    outcome.duration_ns = time.monotonic_ns() - started
    outcome.status = ended.status
    if ended.problem:
        fail(outcome, ended.problem, folder)
    else:
        take(description, folder, outcome)


class Ended:
    """How a process has ended: its status, and what was wrong about it."""

    def __init__(self, status: int | None, problem: str | None) -> None:
        self.status = status
        self.problem = problem


class Place:
    """A network namespace with nothing but lo; a PID namespace for each process and its children."""

    def __init__(self, spawner: Spawner, workdir: Path) -> None:
        self._spawner = spawner
        self._netns: NetNs | None = None
        self._hosts_file = workdir / "hosts"

    @property
    def netns(self) -> NetNs:
        if self._netns is None:
            self._netns = NetNs(self._spawner.nursery)
            self._hosts_file.write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
        return self._netns

    async def run(
        self, description: Description, command: Command, words: Mapping[str, str], folder: Path
    ) -> Ended:
        """From its start to its end, which is that of all its children too."""
        namespace = self.netns
        processes = self._spawner.lab()
        try:
            child = spawn(
                processes, filled(command, words), namespace.fd, folder, self._hosts_file, description
            )
            return await wait_end(child, description, folder)
        finally:
            processes.close()

    def close(self) -> None:
        if self._netns is not None:
            self._netns.close()
            self._netns = None
        self._hosts_file.unlink(missing_ok=True)


def spawn(
    processes: LabProcesses,
    argv: list[str],
    netns: int,
    folder: Path,
    hosts_file: Path,
    description: Description,
    stdin: int | None = None,
) -> Child:
    """Its output goes into files, none of which grows beyond the bound."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    out, err = (os.open(folder / name, flags, 0o644) for name in (STDOUT, STDERR))
    try:
        return processes.run(
            argv,
            netns=netns,
            stdin=stdin,
            stdout=out,
            stderr=err,
            cwd=str(folder),
            env=environment(folder),
            hosts_file=str(hosts_file),
            most_bytes=description.most_bytes,
        )
    finally:
        os.close(out)
        os.close(err)


async def wait_end(child: Child, description: Description, folder: Path) -> Ended:
    """Waits for its end, at most as long as it may take."""
    limit_s = description.timeout_ns / 1e9
    try:
        status = await asyncio.wait_for(child.wait(), limit_s)
    except TimeoutError:
        child.kill(signal.SIGKILL)
        return Ended(None, f"it was not done within {limit_s:g} s")
    if child.error:
        return Ended(status, f"it can't be started: {child.error}")
    if is_flooded(description, folder):
        return Ended(status, flood(description))
    if status in description.status:
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


def copy_capture(capture: CaptureOutcome, path: Path) -> None:
    """The capture as a monitor gets it: without our end markers."""
    with open(capture.file, "rb") as source, path.open("wb") as target:
        reader = Reader(source)
        frames = iter(reader)
        first = next(frames, None)
        writer = Writer(target, reader.linktype)
        while first is not None:
            if first.data[12:14] != MARKER:
                writer.write(first.time_ns, first.data, first.wire_len)
            first = next(frames, None)
