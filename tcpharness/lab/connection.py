"""One connection of an endpoint: its socket, driven through the endpoint's steps.

Everything is the real socket call, so its effects are the kernel's: `close` with bytes unread in
the receive buffer sends RST, not FIN, as close(2) does (RFC 9293 section 3.10.4, RFC 2525 section
2.17); `abort` is SO_LINGER 0. An endpoint whose steps do not close is closed, in that same way, when
they end.

The loop is shared with other scenarios: sends and reads go in chunks, with a turn for others in
between.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tcpharness.evidence import ConnectionOutcome
from tcpharness.lab import socket_options, tcp_info
from tcpharness.lab.payload import Verifier
from tcpharness.lab.script import Script, describe
from tcpharness.lab.stage import NeverHeld
from tcpharness.scenario.model import Step, Until

CHUNK_LEN = 64 * 1024
BLOCKED_POLL_S = 0.002
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
NO_LINGER = struct.pack("ii", 0, 0)

Accepted = tuple[socket.socket, tuple[str, int]]  # with the other side's address

# Read into and compared between two awaits, so one buffer serves every connection of the process.
_arriving = bytearray(CHUNK_LEN)


class Conditions(Protocol):
    """The part of a Stage that a connection uses."""

    def reach(self, subject: str, state: str) -> None: ...
    def leave(self, subject: str, state: str) -> None: ...
    async def wait(self, until: Until, deadline_ns: int | None = None) -> None: ...


class StepFailed(Exception):
    """A step could not do what it says though no system call failed: `error` is its name in the outcome."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


async def wait_ready(
    sock: socket.socket,
    *,
    write: bool = False,
    timeout_s: float | None = None,
    stop: asyncio.Future[None] | None = None,
) -> bool:
    """Waits until a socket can be read (or written); False when `timeout_s` or `stop` came first."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()

    def settle(ready: bool) -> None:
        if not future.done():
            future.set_result(ready)

    def stopped(_: asyncio.Future[None]) -> None:
        settle(False)

    fd = sock.fileno()
    (loop.add_writer if write else loop.add_reader)(fd, settle, True)
    timer = loop.call_later(timeout_s, settle, False) if timeout_s is not None else None
    if stop is not None:
        stop.add_done_callback(stopped)
    try:
        return await future
    finally:
        (loop.remove_writer if write else loop.remove_reader)(fd)
        if timer is not None:
            timer.cancel()
        if stop is not None:
            stop.remove_done_callback(stopped)


def waiting(sock: socket.socket) -> int:
    """Bytes that have come and are not read yet (SIOCINQ, tcp(7))."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


class Connection:
    """`await play()` carries out the steps; `outcome` is what became of them, at any moment."""

    def __init__(
        self,
        script: Script,
        open_socket: Callable[[], socket.socket],
        stage: Conditions,
        note: Callable[[], None] = lambda: None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.script = script
        self._open_socket = open_socket
        self.outcome = ConnectionOutcome()
        self.doing = ""  # for the report of a deadline: what it does now
        self.sock: socket.socket | None = None
        self._stage = stage
        self._note = note  # called when there is something new in the outcome
        self._closed = closed  # called when the socket has been closed
        self._verifier = Verifier(script.candidates, foreign=script.foreign)
        self._blocked = False
        self._at: Step | None = None
        self._steps = {
            "send": self._send, "receive": self._receive, "pause": self._pause, "set": self._set,
            "shutdown": self._shutdown, "close": self._close, "abort": self._abort,
        }  # fmt: skip

    async def play(self, accepted: Accepted | None) -> None:
        """The whole life of a connection: as it was accepted, or None to connect first."""
        try:
            if accepted is None:
                await self._connect()
            else:
                self.sock, self.outcome.remote = accepted
            self._established()
            for number, step in enumerate(self.script.steps):
                self._at = step
                self.doing = f"{describe(step)} at {step.at}"
                self._note()
                await self._steps[step.do](step, self.script.parts[number])
            await self._close_in_order()
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, str(error))
            self._fail(code, error.strerror or str(error))
        except NeverHeld as error:
            self._fail("unmet", str(error))
        except StepFailed as error:
            self._fail(error.error, str(error))
        finally:
            self.drop()
        self.doing = ""

    def waiting_for(self) -> str:
        """What it does now, with how far it has come: the text for a deadline that passed."""
        counted = {"send": self.outcome.sent_bytes, "receive": self.outcome.received_bytes}
        so_far = counted.get(self._at.do) if self._at else None
        return self.doing if so_far is None else f"{self.doing}, {so_far} bytes so far"

    def drop(self) -> None:
        """Closes the socket if it is still open, with a last look at it, and without lingering."""
        if self._is_open():
            if self._lingers():
                self._open().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self._look()
            self._open().close()
            self._note_closed()

    # --- opening

    async def _connect(self) -> None:
        script = self.script
        self.doing = f"connect: to {script.remote[0]} port {script.remote[1]} at {script.at}"
        self.sock = self._open_socket()
        self._note()
        code = self.sock.connect_ex(script.remote)
        if code == errno.EINPROGRESS:
            self.outcome.local = self.sock.getsockname()[:2]
            await wait_ready(self.sock, write=True)
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"{os.strerror(code)}: {script.remote[0]} port {script.remote[1]}")

    def _established(self) -> None:
        assert self.sock is not None
        self.outcome.opened_ns = time.monotonic_ns()
        self.outcome.local = self.sock.getsockname()[:2]
        # One that has been reset already has no peer any more; accept() had told.
        with suppress(OSError):
            self.outcome.remote = self.sock.getpeername()[:2]
        self.outcome.expected_bytes = self._verifier.expected_bytes
        self._stage.reach(self.script.name, "established")

    # --- the steps; `part` is what script.parts has for the step

    async def _send(self, step: Step, part: int | bytes | None) -> None:
        if part is None:
            raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}: {step.file}")
        end = self.outcome.sent_bytes + (part if isinstance(part, int) else len(part))
        chunk = memoryview(b"")
        while self.outcome.sent_bytes < end:
            at = self.outcome.sent_bytes
            chunk = chunk or memoryview(self.script.stream.read(at, min(CHUNK_LEN, end - at)))
            try:
                taken = self._open().send(chunk)
            except BlockingIOError:
                await self._wait_sendable()
                continue
            self.outcome.sent_bytes += taken
            self._moved(taken)
            chunk = chunk[taken:]
            await asyncio.sleep(0)  # others' turn

    async def _wait_sendable(self) -> None:
        """Waits until the kernel takes more, and meanwhile notices when the transfer stands still.

        Blocked is: the kernel takes no more (EAGAIN, or we would not be here), all that was sent is
        acknowledged (unacked == 0), and still it keeps bytes back (notsent_bytes > 0). Only a
        window that is closed, or too small to be worth a segment (RFC 9293 section 3.8.6.2.1),
        does that for long; a paced sender does it for moments, hence the same sight twice in a row.
        With a segment lost in flight unacked stays above 0: that is a repair, not a blockade.
        Zero-window probes carry nothing new and leave unacked at 0.
        """
        sock, before = self._open(), None
        while not await wait_ready(sock, write=True, timeout_s=BLOCKED_POLL_S):
            info = tcp_info.read(sock)
            now = (info.get("notsent_bytes", 0), info.get("bytes_acked", 0))
            if info["unacked"] == 0 and now[0] > 0 and now == before:
                self._blocked = True
                self._stage.reach(self.script.name, "blocked")
            before = now
        if self._blocked:
            self._blocked = False
            self._stage.leave(self.script.name, "blocked")

    async def _receive(self, step: Step, part: int | bytes | None) -> None:
        if step.text is not None:
            await self._receive_text(step.text)
            return
        left = step.size
        while left is None or left > 0:
            count = await self._read(CHUNK_LEN if left is None else min(left, CHUNK_LEN))
            if count == 0:
                if left is None:
                    return
                raise StepFailed("EOF", f"the other side closed {left} bytes short of {step.size}")
            left = None if left is None else left - count

    async def _receive_text(self, text: bytes) -> None:
        """Reads up to and including `text`, and not a byte more: what follows is for the next step."""
        tail = b""
        while True:
            ahead = tail + await self._peek()
            if len(ahead) == len(tail):
                raise StepFailed("EOF", f"the other side closed before it said {text!r}")
            found = ahead.find(text)
            wanted = len(ahead) - len(tail) if found < 0 else found + len(text) - len(tail)
            while wanted:
                wanted -= await self._read(wanted)
            if found >= 0:
                return
            tail = ahead[len(ahead) - len(text) + 1 :] if len(text) > 1 else b""

    async def _peek(self) -> bytes:
        while True:
            try:
                return self._open().recv(CHUNK_LEN, socket.MSG_PEEK)
            except BlockingIOError:
                await wait_ready(self._open())

    async def _read(self, limit: int) -> int:
        """Reads and checks at most `limit` bytes; returns how many, 0 at the end of file."""
        while True:
            try:
                count = self._open().recv_into(_arriving, min(limit, CHUNK_LEN))
            except BlockingIOError:
                await wait_ready(self._open())
                continue
            if count:
                self._arrived(count)
                await asyncio.sleep(0)  # others' turn
            return count

    def _arrived(self, count: int) -> None:
        outcome = self.outcome
        wrong_at = self._verifier.check(outcome.received_bytes, _arriving, count)
        if wrong_at is not None:
            # The steps go on: what TCP does next is part of the proof.
            self._fail("mismatch", f"byte {wrong_at} of the stream (from 0) is not what was sent")
        outcome.received_bytes += count
        outcome.expected_bytes = self._verifier.expected_bytes
        # Who reads late finds more than one read takes; none of it says how fast the rest came.
        self._moved(count if outcome.first_byte_ns else count + waiting(self._open()))

    async def _pause(self, step: Step, part: int | bytes | None) -> None:
        if step.until is not None:
            await self._stage.wait(step.until)
        elif step.wait_ns is not None:
            await asyncio.sleep(step.wait_ns / 1e9)

    async def _set(self, step: Step, part: int | bytes | None) -> None:
        if step.options is not None:
            socket_options.apply(self._open(), step.options, self.script.ip)

    async def _shutdown(self, step: Step, part: int | bytes | None) -> None:
        self._open().shutdown(socket.SHUT_WR)

    async def _close(self, step: Step, part: int | bytes | None) -> None:
        await self._close_in_order()

    async def _close_in_order(self) -> None:
        if not self._is_open():
            return
        self._look()
        if self._lingers():
            # A lingering close(2) waits, also on a nonblocking socket: not on the loop.
            await asyncio.to_thread(self._open().close)
        else:
            self._open().close()
        self._note_closed()

    async def _abort(self, step: Step, part: int | bytes | None) -> None:
        self._open().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        await self._close_in_order()

    # --- keeping the record

    def _open(self) -> socket.socket:
        assert self.sock is not None
        return self.sock

    def _is_open(self) -> bool:
        return self.sock is not None and self.sock.fileno() >= 0

    def _lingers(self) -> bool:
        on, seconds = struct.unpack("ii", self._open().getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        return bool(on and seconds)

    def _note_closed(self) -> None:
        self.outcome.closed_ns = time.monotonic_ns()
        self._note()
        self._closed()

    def _moved(self, count: int) -> None:
        outcome = self.outcome
        outcome.last_byte_ns = time.monotonic_ns()
        if outcome.first_byte_ns is None:
            outcome.first_byte_ns, outcome.first_bytes = outcome.last_byte_ns, count

    def _look(self) -> None:
        self.outcome.tcp_info = tcp_info.read(self._open())

    def _fail(self, error: str, text: str) -> None:
        step = f"{self._at.do} ({self._at.at})" if self._at else f"{self.script.opening} ({self.script.at})"
        outcome = self.outcome
        if outcome.error is None:
            outcome.error, outcome.error_step, outcome.error_text = error, step, text
        else:  # a mismatch, after which the steps went on
            outcome.error_text = f"{outcome.error_text}; then {error} in {step}: {text}"
        self._note()
