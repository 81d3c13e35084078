"""One tcpdump: ready by its own word, complete when its end marker is read back, its closing figures kept.

tcpdump loses what is still in its ring when it is stopped. So a capture ends with a marker, sent
again until it is in the file: then everything before it is, too.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tcpharness.analysis.canary import Sent
from tcpharness.evidence import CaptureOutcome
from tcpharness.lab.doctor import find_program
from tcpharness.lab.marker import Markers, count_markers, without_markers
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Child, LabProcesses
from tcpharness.lab.stage import NeverHeld, Stage
from tcpharness.packet.canary import NOT_CANARY
from tcpharness.scenario.model import Capture, Until
from tcpharness.scenario.plan import Plan

START_S, MARK_S, END_S = 15.0, 10.0, 10.0
POLL_S = 0.002
RESEND_S = 0.02
BEAT_S = 0.001  # between two times of the canary
READY = "listening on "
FIGURES = {
    "captured": re.compile(r"^(\d+) packets? captured$", re.MULTILINE),
    "received": re.compile(r"^(\d+) packets? received by filter$", re.MULTILINE),
    "dropped": re.compile(r"^(\d+) packets? dropped by kernel$", re.MULTILINE),
}
# The ring has a slot as large as the largest frame for each frame: 2 KiB, or 128 KiB where frames may
# be 64 KiB. With either, a whole window (6 MiB) fits in while tcpdump waits for a CPU.
RING_KIB, LARGE_FRAMES_RING_KIB = 8 * 1024, 32 * 1024


class CaptureLab(Protocol):
    """What a capture needs of a lab."""

    @property
    def far_ends(self) -> dict[tuple[str, str], tuple[NetNs, str]]: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def hosts(self) -> dict[str, NetNs]: ...
    @property
    def processes(self) -> LabProcesses: ...
    @property
    def hosts_file(self) -> Path: ...


class Tcpdump:
    """tcpdump at one vantage: start(), mark(), finish(); close() whatever happened.

    Nothing here raises for what tcpdump does or is lacking: `finish()` has it in the outcome's `error`.
    """

    def __init__(
        self, capture: Capture | None, vantage: str, host: str, interface: str, lab: CaptureLab, file: Path
    ) -> None:
        self.child: Child | None = None
        self.stall: Until | None = capture.stall if capture else None
        self._capture = capture or Capture(vantage, lab.plan.case.at)
        self._lab = lab
        self._file = file.with_suffix(".txt") if self._capture.text else file
        self._markers: Markers | None = None
        self._said = ""  # on stderr
        self._stderr = -1
        self.outcome = CaptureOutcome(
            vantage,
            host,
            interface,
            str(self._file),
            filter=self._capture.filter,
            snaplen=self._capture.snaplen,
            text=self._capture.text,
        )

    # --- what a run does with it, in this order

    async def start(self) -> None:
        """Returns when tcpdump says that it listens, or has said why it does not."""
        program = find_program("tcpdump")
        if program is None:
            self._fail("tcpdump is not installed: apt-get install tcpdump")
            return
        namespace = self._lab.hosts[self.outcome.host]
        try:
            self._markers = self._make_markers(namespace)
            self.child = self._spawn([program, *self._arguments()], namespace)
        except OSError as error:
            self._fail(f"can't start tcpdump: {error}")
            return
        await self._wait_until(lambda: READY in self._said, START_S, "did not begin to listen")

    def stop(self) -> None:
        """Stops it for a while (SIGSTOP): what does not fit into its buffer meanwhile is dropped."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    async def pass_canary(self, sent: Sequence[Sent]) -> None:
        """Sends a canary by the captured interface, for all who watch there."""
        if self._markers is None or self.child is None:
            return
        self.outcome.has_canary = not self._without_canary
        own, beat = self._markers.all[0], 0
        for one in sent:
            if one.beat != beat:
                beat = one.beat
                await asyncio.sleep(BEAT_S)
            with suppress(OSError):  # an interface that is down: then it is missing, which is found out
                own.send(one.frame)

    async def mark(self) -> None:
        """Sends the marker until it has been read back, or tcpdump has ended (-c)."""
        if self.outcome.marker_seen or self._markers is None or self.outcome.error:
            return
        self.go_on()
        markers, resend = self._markers, 0.0

        def marked() -> bool:
            nonlocal resend
            if markers.found():
                return True
            if time.monotonic() >= resend:
                markers.send()
                resend = time.monotonic() + RESEND_S
            return False

        try:
            self.outcome.marker_seen = await self._wait_until(marked, MARK_S, "did not record the end marker")
        except OSError as error:
            self._fail(f"can't send the end marker: {error}")

    async def finish(self) -> CaptureOutcome:
        """Marks, if that has not been done, ends tcpdump, and gives what it said and left."""
        await self.mark()
        if self.child is not None:
            self._signal(signal.SIGINT)
            # Its figures are its last words. The kernel then takes tens of milliseconds to take its
            # ring away, and nobody needs to wait for that.
            await self._wait_until(
                lambda: self._figure("dropped") is not None, END_S, "did not end on SIGINT"
            )
            self._read_figures()
        self.close()
        return self.outcome

    def close(self) -> None:
        if self.child is not None:
            self.child.kill(signal.SIGKILL)
        if self._markers is not None:
            self._markers.close()
        if self._stderr >= 0:
            asyncio.get_running_loop().remove_reader(self._stderr)
            os.close(self._stderr)
            self._stderr = -1

    # --- starting

    def _arguments(self) -> list[str]:
        wanted = self._capture
        arguments = ["-i", self.outcome.interface, "--immediate-mode", "-Z", "root"]
        arguments += ["--time-stamp-precision=nano", "-B", str(wanted.buffer_kib or self._ring_kib())]
        # Without names it need not read /etc/services either, which takes it a millisecond.
        arguments += [] if wanted.names and wanted.text else ["-n"]
        arguments += ["-l"] if wanted.text else ["-U", "-w", str(self._file)]
        arguments += ["-s", str(wanted.snaplen)] if wanted.snaplen else []
        arguments += ["-c", str(wanted.count)] if wanted.count else []
        return arguments + self._expression()

    def _expression(self) -> list[str]:
        """The user's filter, but for our own frames: the marker always, the canary where it does no harm."""
        asked = [f"({self._capture.filter})"] if self._capture.filter else []
        asked += [NOT_CANARY] if self._without_canary else []
        return [f"({' and '.join(asked)}) or ether proto 0x88b5"] if asked else []

    @property
    def _without_canary(self) -> bool:
        """True for a capture that people read, that counts its packets, or that has no room for more."""
        wanted = self._capture
        return wanted.text or bool(wanted.count or wanted.buffer_kib or wanted.stall)

    def _make_markers(self, namespace: NetNs) -> Markers:
        own = (self.outcome.host, self.outcome.interface)
        ends = [(namespace, self.outcome.interface)]
        ends += [self._lab.far_ends[own]] if own in self._lab.far_ends else []
        markers = Markers(ends, self._file, text=self._capture.text)
        for marker in markers.all:
            # To close a packet socket takes the kernel 10 ms (synchronize_net); not on this loop.
            self._lab.processes.keep(marker.fileno())
        if len(ends) > 1:
            self.outcome.far_marker = (markers.all[1].mac * 2).hex()
        return markers

    def _ring_kib(self) -> int:
        offload = any(host.offload for host in self._lab.plan.hosts if host.name == self.outcome.host)
        return LARGE_FRAMES_RING_KIB if offload or self.outcome.interface == "lo" else RING_KIB

    def _spawn(self, argv: list[str], namespace: NetNs) -> Child:
        self._stderr, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writing, True)
        stdout = None
        if self._capture.text:
            stdout = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        hosts_file = str(self._lab.hosts_file) if self._capture.text and self._capture.names else None
        asyncio.get_running_loop().add_reader(self._stderr, self._hear)
        try:
            return self._lab.processes.run(
                argv, netns=namespace.fd, stdout=stdout, stderr=writing, hosts_file=hosts_file
            )
        finally:
            os.close(writing)
            if stdout is not None:
                os.close(stdout)

    # --- waiting

    async def _wait_until(self, holds: Callable[[], bool], within_s: float, otherwise: str) -> bool:
        """Looks every two milliseconds while tcpdump lives. False: it never held, and why is kept."""
        assert self.child is not None
        deadline = time.monotonic() + within_s
        while not holds():
            if self.child.exited:
                self._hear()
                return holds() or self._ended_early()
            if time.monotonic() > deadline:
                self._fail(f"tcpdump {otherwise} within {within_s:g} s{self._last_words()}")
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _ended_early(self) -> bool:
        """With -c that is its end; always False, since what was waited for has not come."""
        self.outcome.ended_by_count = self._capture.count is not None and self._figure("captured") is not None
        if not self.outcome.ended_by_count:
            assert self.child is not None
            why = f": {self.child.error}" if self.child.error else self._last_words()
            self._fail(f"tcpdump ended too early, {_ending(self.child.status or 0)}{why}")
        return False

    def _hear(self) -> None:
        """Everything that there is on its stderr now."""
        with suppress(BlockingIOError):
            while self._stderr >= 0:
                data = os.read(self._stderr, 4096)
                if not data:
                    asyncio.get_running_loop().remove_reader(self._stderr)
                    return
                self._said += data.decode("utf-8", "replace")

    def _last_words(self) -> str:
        lines = [line for line in self._said.splitlines() if READY not in line]
        return f", saying: {' '.join(lines).removeprefix('tcpdump: ')}" if lines else ""

    # --- its end

    def _read_figures(self) -> None:
        ours = count_markers(self._file, text=self._capture.text)
        for name in FIGURES:
            count = self._figure(name)
            if count is not None:
                setattr(self.outcome, name, count if name == "dropped" else max(0, count - ours))
        if self._capture.text and self._file.exists():
            without_markers(self._file)

    def _figure(self, name: str) -> int | None:
        found = FIGURES[name].search(self._said)
        return int(found[1]) if found is not None else None

    def _signal(self, number: int) -> None:
        if self.child is not None:
            self.child.kill(number)

    def _fail(self, text: str) -> None:
        """The first reason is the one that matters."""
        if self.outcome.error is None:
            self.outcome.error = f"host {self.outcome.host}, {self.outcome.interface}: {text}"


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


async def stall(capture: Tcpdump, stage: Stage, deadline_ns: int) -> list[str]:
    """Keeps a tcpdump stopped until its condition holds; what went wrong, in words."""
    assert capture.stall is not None
    capture.stop()
    try:
        await stage.wait(capture.stall, deadline_ns)
    except NeverHeld as error:
        return [f"{capture.stall.at}: {error}"]
    finally:
        capture.go_on()
    return []
