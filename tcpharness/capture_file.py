"""A capture file, opened for reading: how far it is read, and through a capture filter when one is given.

The filter is libpcap's, so tcpdump reads the file and hands over what the expression lets through
(`tcpdump -r FILE -w - EXPRESSION`); what tcpdump says of an expression or a file is passed on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, TextIO, cast

from tcpharness.packet.compressed import plain
from tcpharness.packet.source import CHUNK, NotReadable, Readable, Source

if TYPE_CHECKING:
    import subprocess

SHOWN_AFTER_NS = 1_000_000_000
TRUNCATED = ("truncated at byte", "the file is empty")
SHOWN_EVERY_NS = 200_000_000
STILL_READING_S = 1.0
FILE_HEADER_LEN = 24  # of pcap, which is what tcpdump writes
PLACES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # where users' paths often lack tcpdump


class NoTcpdump(Exception):
    """A capture filter was given, and there is no tcpdump."""


class Refused(Exception):
    """What tcpdump says of an expression, or of a file that it gives nothing of."""


class Input:
    """What a capture is read from; `problems` is complete when it has been left."""

    def __init__(self, file: Readable, tell: Callable[[int], None] | None = None, begin: bytes = b"") -> None:
        self.file, self.tell, self.begin = file, tell, begin
        self.done = 0
        self.problems: list[str] = []
        self.growing = False  # somebody was still writing it when it was left

    def read(self, size: int = CHUNK, /) -> bytes:
        if self.begin:
            data, self.begin = self.begin, b""
            return data
        data = self.file.read(size if size >= 0 else CHUNK)
        self.done += len(data)
        if self.tell:
            self.tell(self.done)
        return data


def is_being_written(file: BinaryIO) -> bool:
    """True when somebody has the file open for writing, as the kernel tells who asks for a lease of it.

    No lease is given while there is a writer (fcntl(2), F_SETLEASE); one that is given is given back at once.
    False for pipes, and where the file belongs to somebody else.
    """
    import fcntl
    import signal

    try:
        # A writer that comes in between waits for a moment, and is told by a signal that nobody minds.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, ValueError) as error:
        return isinstance(error, BlockingIOError)
    return False


def said_of(problem: str, file: Input) -> str:
    """The problem in other words, when it is only that the file is not complete yet."""
    return f"still being written: {problem}" if file.growing and problem.startswith(TRUNCATED) else problem


@contextmanager
def opened(path: Path, expression: str = "", *, quiet: bool = False) -> Iterator[Input]:
    """The file (`-`: standard input), through the capture filter; unless quiet, progress is shown meanwhile.

    Raises OSError, NoTcpdump, Refused.
    """
    if str(path) == "-":
        # Unbuffered: a pipe gives what it has, and a reader that is left behind holds no lock at the end.
        stdin = cast("BinaryIO", getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
        with watched(stdin, "standard input", 0, quiet) as file, filtered(file, expression) as passed:
            yield passed
            passed.growing = is_being_written(sys.stdin.buffer)
        return
    with path.open("rb") as plain_file:
        size = os.fstat(plain_file.fileno()).st_size
        with watched(plain_file, str(path), size, quiet) as file, filtered(file, expression) as passed:
            yield passed
            passed.growing = is_being_written(plain_file)


# --- progress ----------------------------------------------------------------------------------


@contextmanager
def watched(file: BinaryIO, name: str, size: int, quiet: bool) -> Iterator[Input]:
    if quiet or not sys.stderr.isatty():
        yield Input(file)
        return
    progress = Progress(name, size, sys.stderr)
    try:
        yield Input(file, progress.at)
    finally:
        progress.gone()


class Progress:
    """One line on a terminal, once reading takes longer than a second: the share, the rate, the time left."""

    def __init__(
        self, name: str, size: int, out: TextIO, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.name, self.size, self.out, self.clock = name, size, out, clock
        self.start_ns = clock()
        self.next_ns = self.start_ns + SHOWN_AFTER_NS
        self.shown = False

    def at(self, done: int) -> None:
        now = self.clock()
        if now >= self.next_ns:
            self.next_ns = now + SHOWN_EVERY_NS
            self.shown = True
            line = fitted(self.line(done, now - self.start_ns), columns_of(self.out))
            self.out.write(f"\r{line}\x1b[K")
            self.out.flush()

    def line(self, done: int, took_ns: int) -> str:
        rate = done * 1_000_000_000 / took_ns
        pace = f"{done / 1e6:.0f} MB read, {rate / 1e6:.1f} MB/s"
        if not self.size or not rate:
            return f"{self.name}: {pace}"
        left = max(self.size - done, 0) / rate
        return f"{self.name}: {min(done / self.size, 1):.0%}, {pace}, {left:.0f} s left"

    def gone(self) -> None:
        if self.shown:
            self.out.write("\r\x1b[K")
            self.out.flush()


def columns_of(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except OSError:  # no terminal
        return 80


def fitted(line: str, columns: int) -> str:
    """On one row, or it could not be erased; what is cut is the beginning, a long file name."""
    return line if len(line) < columns else "..." + line[-max(columns - 4, 1) :]


# --- the capture filter ------------------------------------------------------------------------


@contextmanager
def filtered(file: Input, expression: str) -> Iterator[Input]:
    """What tcpdump lets through, as a pcap with nanoseconds; the file itself when there is no expression."""
    if not expression:
        yield file
        return
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("tcpdump", path=PLACES)
    if program is None:
        raise NoTcpdump("--filter needs tcpdump, which is not installed: apt install tcpdump")
    command = [program, "-r", "-", "-w", "-", "--time-stamp-precision=nano", "--", expression]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**os.environ, "LC_ALL": "C"},
        ) as process,
        fed(process, file),
    ):
        out = cast("IO[bytes]", process.stdout)
        begin = out.read(FILE_HEADER_LEN)
        if len(begin) < FILE_HEADER_LEN:
            process.wait()
            raise Refused(next(iter(file.problems), last_word(said)))
        passed = Input(out, begin=begin)
        yield passed
        if not out.read(1) and process.wait():
            passed.problems += file.problems or [last_word(said)]


@contextmanager
def fed(process: subprocess.Popen[bytes], file: Input) -> Iterator[None]:
    """The child reads from us, so that compressed files and progress are the same as without it."""
    import threading

    thread = threading.Thread(target=feed, args=(process.stdin, file), daemon=True)
    thread.start()
    try:
        yield
    finally:
        process.stdout.close()  # type: ignore[union-attr]  # ends a child that is still writing
        process.terminate()
        # A reader that still waits for a pipe which never ends is left behind.
        thread.join(STILL_READING_S)


def feed(pipe: IO[bytes], file: Input) -> None:
    # A child that has refused reads no more.
    with suppress(BrokenPipeError), pipe:
        try:
            source = plain(Source(file))
            while source.have(1):  # whatever has come: a pipe must not be waited out
                pipe.write(source.take(source.left()))
                pipe.flush()
        except (NotReadable, OSError) as problem:
            if not isinstance(problem, BrokenPipeError):
                file.problems.append(str(problem))


def last_word(said: IO[bytes]) -> str:
    """tcpdump's own message, the last line that it wrote."""
    said.seek(0)
    lines = said.read().decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "tcpdump ended without a word")
