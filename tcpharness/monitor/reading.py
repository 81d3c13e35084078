"""One monitor that reads one capture: its process from start to end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.canary import at_their_times
from tcpharness.monitor.command import filled, write_files
from tcpharness.monitor.process import Ended, Ground, wait_end
from tcpharness.monitor.words import fail, take
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.scenario.monitor import Command, Description

CANARY_AFTER_NS = 1_000_000_000  # behind the scenario's last frame
MARKER = b"\x88\xb5"  # ethertype of a capture's end markers, which are not the monitors' business


class Place:
    """A network namespace with nothing but lo; a PID namespace for each process and its children."""

    def __init__(self, spawner: Spawner, workdir: Path) -> None:
        self.spawner = spawner
        self._netns: NetNs | None = None
        self._hosts_file = workdir / "hosts"

    def ground(self) -> Ground:
        """For one process and its children, which end when its `processes` are closed."""
        if self._netns is None:
            self._netns = NetNs(self.spawner.nursery)
            self._hosts_file.write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
        return Ground(self.spawner.lab(), self._netns.fd, self._hosts_file)

    async def run(
        self,
        description: Description,
        command: Command,
        words: Mapping[str, str],
        folder: Path,
        *,
        before: Sequence[str] = (),
    ) -> Ended:
        """From its start to its end, which is all its children's too; `before` stands before its words."""
        ground = self.ground()
        try:
            child = ground.spawn([*before, *filled(command, words)], folder, description)
            return await wait_end(child, description, folder)
        finally:
            ground.processes.close()

    def close(self) -> None:
        if self._netns is not None:
            self._netns.close()
            self._netns = None
        self._hosts_file.unlink(missing_ok=True)


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


def copy_capture(capture: CaptureOutcome, path: Path, *, canary: bool) -> int:
    """The capture as a monitor gets it: without our end markers, the canary behind it. Returns its frames."""
    kept, last_ns = 0, 0
    with open(capture.file, "rb") as source, path.open("wb") as target:
        reader = Reader(source)
        frames = iter(reader)
        first = next(frames, None)
        writer = Writer(target, reader.linktype)
        while first is not None:
            if first.data[12:14] != MARKER:
                writer.write(first.time_ns, first.data, first.wire_len)
                kept, last_ns = kept + 1, max(last_ns, first.time_ns)
            first = next(frames, None)
        for offset_ns, frame in at_their_times(capture.canary) if canary else ():
            writer.write(last_ns + CANARY_AFTER_NS + offset_ns, frame)
    return kept
