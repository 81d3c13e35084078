"""Monitors whose start is dear: one process that is given capture after capture.

By its standard input, as one capture without end; the frame that ends each capture is known by its record.
Or by words over a Unix socket, which also tells when it is done. What can't be told apart must not go into
one process: a pair of addresses that it has seen already is given to another one.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from tcpharness.lab.spawner import Child
from tcpharness.monitor.command import filled, replaced, write_files
from tcpharness.monitor.process import Ground, ending
from tcpharness.monitor.reading import Place
from tcpharness.monitor.words import STDOUT, flood, is_flooded, last_words
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.record.formats import read_records
from tcpharness.record.mapping import holds
from tcpharness.scenario.monitor import Description, Feed

POLL_S = 0.003
MARK = b"\xff" * 12 + b"\x88\xb5" + b"tcpharness capture ends".ljust(46, b"\0")
HEAD_LEN = 24  # of a capture file
LAST_LINES = 8  # in which a capture's end is looked for
MOST_SERVICES = 4  # of one kind
CROWDED = 8  # captures that wait for one process: another one is worth its start
WORN_FRAMES = 2_000_000  # after so many a process is replaced: what it remembers is worth a start


class Failed(Exception):
    """It can't go on; the text says why, and `folder` has its words."""


class Spent(Exception):
    """This process is no more; another one has to do it."""


class Service:
    """One process of the session."""

    def __init__(self, description: Description, feed: Feed, place: Place, folder: Path) -> None:
        self.description = description
        self.feed = feed
        self.folder = folder
        self.lock = asyncio.Lock()
        self.waiting = 0  # captures that are, or are to be, read by it
        self.pairs: set[bytes] = set()  # addresses that it has seen
        self.started = False
        self.spent = False
        self.ground: Ground = place.ground()
        self._child: Child | None = None

    async def start(self, words: Mapping[str, str]) -> None:
        """Raises Failed, OSError."""
        raise NotImplementedError

    async def read(self, given: Given, words: Mapping[str, str], folder: Path) -> tuple[str, int]:
        """What it says of a capture, and how many frames it had been given before. Raises Failed, OSError."""
        raise NotImplementedError

    def close(self) -> None:
        self.spent = True
        self.ground.processes.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self, words: Mapping[str, str], stdin: int | None = None) -> None:
        self.started = True
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        own = {**words, "out": str(self.folder.absolute())}
        write_files(self.description, self.folder, own)
        assert self.description.read is not None
        argv = filled(self.description.read, own)
        self._child = self.ground.spawn(argv, self.folder, self.description, stdin=stdin)

    def _alive(self) -> None:
        """Raises Failed when it has ended."""
        child = self._child
        if child is not None and child.exited:
            if is_flooded(self.description, self.folder):
                raise Failed(flood(self.description))
            raise Failed(child.error or f"it ended {ending(child.status or 0)}")


class PipeService(Service):
    """Fed by its standard input."""

    def __init__(self, description: Description, feed: Feed, place: Place, folder: Path) -> None:
        super().__init__(description, feed, place, folder)
        self._stdin = -1
        self._frames = 0
        self._at = 0  # of its output, where the next capture's begins
        self._head = b""  # the line that names the columns

    async def start(self, words: Mapping[str, str]) -> None:
        reading, self._stdin = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._stdin, False)
        try:
            self._spawn(words, reading)
        finally:
            os.close(reading)
        head = BytesIO()
        Writer(head)
        await self._write(head.getvalue())

    async def read(self, given: Given, words: Mapping[str, str], folder: Path) -> tuple[str, int]:
        before = self._frames
        self._frames += given.frames + 1
        self.spent = self._frames > WORN_FRAMES
        await self._write(given.stream)
        said = await self._wait_mark()
        self.spent = self.spent or self._at > self.description.most_bytes // 2
        (folder / STDOUT).write_bytes(said)
        return said.decode("utf-8", "replace"), before

    def close(self) -> None:
        super().close()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    async def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._stdin, left) :]
            except BlockingIOError:
                self._alive()
                await asyncio.sleep(POLL_S)
            except BrokenPipeError:
                await asyncio.sleep(POLL_S)  # its end is on its way
                self._alive()
                raise Failed("it reads no further") from None

    async def _wait_mark(self) -> bytes:
        """Everything up to the record of the frame that ends the capture, below the columns' names."""
        seen = -1
        while True:
            ended = self._child is not None and self._child.exited
            new = self._new_lines()
            if len(new) != seen:
                seen = len(new)
                if self._is_marked(new):
                    break
            elif ended:
                self._alive()
            await asyncio.sleep(POLL_S)
        self._at += len(new)
        if self._head:
            return self._head + new
        self._head = new[: new.find(b"\n") + 1] if self._has_head() else b""
        return new

    def _new_lines(self) -> bytes:
        """Whole ones only."""
        with (self.folder / STDOUT).open("rb") as file:
            file.seek(self._at)
            data = file.read()
        return data[: data.rfind(b"\n") + 1]

    def _is_marked(self, new: bytes) -> bool:
        """Among the last few lines that there are so far is the mark's."""
        head = (self._head or new[: new.find(b"\n") + 1]) if self._has_head() else b""
        last = new.rstrip(b"\n").rsplit(b"\n", LAST_LINES)[-LAST_LINES:]
        texts = (
            (head + line).decode("utf-8", "replace") for line in last
        )  # each by itself: one may be broken
        records = (record for text in texts for record in read_records(self.description.output, text).records)
        return any(all(holds(test, record) for test in self.feed.mark) for record in records)

    def _has_head(self) -> bool:
        output = self.description.output
        return output.format in ("csv", "tsv") and output.header


class SocketService(Service):
    """Told by words over a Unix socket."""

    def __init__(self, description: Description, feed: Feed, place: Place, folder: Path) -> None:
        super().__init__(description, feed, place, folder)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def start(self, words: Mapping[str, str]) -> None:
        self._spawn(words)
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._streams = await self._connect(f"/proc/self/fd/{folder}/{self.feed.socket}")
        finally:
            os.close(folder)
        if self.feed.hello:
            await self._say(self.feed.hello)

    async def _connect(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """`path` must be short: a socket's may have 107 bytes."""
        while True:
            self._alive()
            with suppress(FileNotFoundError, ConnectionRefusedError):
                return await asyncio.open_unix_connection(path)
            await asyncio.sleep(POLL_S)

    async def read(self, given: Given, words: Mapping[str, str], folder: Path) -> tuple[str, int]:
        own = {**words, "pcap": str(given.capture.absolute()), "out": str(folder.absolute())}
        await self._say(replaced(self.feed.send, own))
        while True:
            for word in self.feed.done:
                if not re.search(self.feed.idle, await self._say(replaced(word, own))):
                    break  # the others would say nothing new
            else:
                return "", 0
            await asyncio.sleep(POLL_S)

    async def _say(self, words: str) -> str:
        """Its answer, one line."""
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(words.encode() + b"\n")
        answer = await reader.readline()
        if not answer:
            while self._child is not None and not self._child.exited:
                await asyncio.sleep(POLL_S)
            self._alive()
        return answer.decode("utf-8", "replace")

    def close(self) -> None:
        super().close()
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Sessions:
    """All processes of the session, by what they are."""

    def __init__(self, place: Place, workdir: Path) -> None:
        self._place = place
        self._workdir = workdir
        self._services: dict[str, list[Service]] = {}
        self._started = 0
        self._warming: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()  # somebody waits for less, somewhere

    def warm(self, description: Description, words: Mapping[str, str], captures: int) -> None:
        """Starts processes for so many captures that have the same addresses, before there is one.

        One over a socket does for all of them; a second one is started when it can't keep up.
        """
        assert description.feed is not None
        known = self._services.setdefault(key_of(description, words), [])
        known[:] = [service for service in known if not service.spent]
        wanted = min(captures, MOST_SERVICES) if description.feed.pipe else 1
        for _ in range(wanted - len(known)):
            known.append(self._new(description, description.feed))
            task = asyncio.create_task(self._start(known[-1], words))
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def _start(self, service: Service, words: Mapping[str, str]) -> None:
        """What goes wrong here goes wrong again where somebody waits for it."""
        async with service.lock:
            if service.started or service.spent:
                return
            try:
                async with asyncio.timeout(service.description.timeout_ns / 1e9):
                    await service.start(words)
            except (TimeoutError, Failed, OSError):
                service.close()

    async def read(
        self, description: Description, capture: Path, words: Mapping[str, str], folder: Path
    ) -> tuple[str, int, int]:
        """What it says of a capture, the frames before it, and how long that took. Raises Failed, OSError."""
        assert description.feed is not None
        given = as_stream(capture) if description.feed.pipe else Given(capture)
        while (service := self._service(description, words, given.pairs)) is None:
            self._freed.clear()
            await self._freed.wait()
        service.waiting += 1
        try:
            return await self._read(service, given, words, folder)
        except Spent:
            return await self.read(description, capture, words, folder)
        finally:
            service.waiting -= 1
            self._freed.set()

    async def _read(
        self, service: Service, given: Given, words: Mapping[str, str], folder: Path
    ) -> tuple[str, int, int]:
        """As read(), by this process, when its turn has come. Raises Spent, Failed, OSError."""
        description = service.description
        async with service.lock:
            started = time.monotonic_ns()
            if service.spent:  # it could not be warmed up
                raise Spent
            try:
                async with asyncio.timeout(description.timeout_ns / 1e9):
                    if not service.started:
                        await service.start(words)
                    text, before = await service.read(given, words, folder)
            except TimeoutError:
                raise self._lost(
                    service, f"it was not done within {description.timeout_ns / 1e9:g} s"
                ) from None
            except (Failed, OSError) as error:
                raise self._lost(service, str(error)) from None
            if service.spent:
                service.close()
            return text, before, time.monotonic_ns() - started

    async def close(self) -> None:
        for task in self._warming:
            task.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)
        for services in self._services.values():
            for service in services:
                service.close()
        self._services.clear()

    def _lost(self, service: Service, text: str) -> Failed:
        """The end of a process that can't go on; the next capture gets a new one."""
        said = last_words(service.folder)
        service.close()
        return Failed(f"{text}; it said: {said}" if said else text)

    def _service(
        self, description: Description, words: Mapping[str, str], pairs: set[bytes]
    ) -> Service | None:
        """One that has seen none of these addresses; it is theirs from here on. None while all are busy."""
        assert description.feed is not None
        key = key_of(description, words)
        known = self._services.setdefault(key, [])
        known[:] = [service for service in known if not service.spent]
        # Over a socket captures are told apart by the monitor itself.
        fitting = [s for s in known if not description.feed.pipe or not s.pairs & pairs]
        service = min(fitting, key=lambda s: s.waiting, default=None)
        if service is None or (service.waiting >= CROWDED and len(known) < MOST_SERVICES):
            if len(known) >= MOST_SERVICES and not self._make_room(known):
                return None
            service = self._new(description, description.feed)
            known.append(service)
        service.pairs |= pairs
        return service

    def _make_room(self, known: list[Service]) -> bool:
        """Ends one that nobody waits for, where there is one."""
        idle = next((one for one in known if not one.waiting and not one.lock.locked()), None)
        if idle is not None:
            idle.close()
            known.remove(idle)
        return idle is not None

    def _new(self, description: Description, feed: Feed) -> Service:
        self._started += 1
        folder = self._workdir / f"session-{self._started}-{description.name}"
        return (PipeService if feed.pipe else SocketService)(description, feed, self._place, folder)


def key_of(description: Description, words: Mapping[str, str]) -> str:
    """The same for posts that one process can serve."""
    shared = {name: words[name] for name in description.options}
    assert description.read is not None
    return repr((description.read.words, description.files, sorted(shared.items())))


@dataclass(slots=True)
class Given:
    """A capture as a process is given it."""

    capture: Path
    stream: bytes = b""  # its frames as records, with the mark at the end
    frames: int = 0
    pairs: set[bytes] = field(default_factory=set)  # addresses that talk in it


def as_stream(capture: Path) -> Given:
    """For who is fed through a pipe. What is not IP on Ethernet is one pair."""
    given, target, time_ns = Given(capture), BytesIO(), 0
    writer = Writer(target)
    with capture.open("rb") as source:
        for frame in Reader(source):
            writer.write(frame.time_ns, frame.data, frame.wire_len)
            given.pairs.add(pair_of(frame.data))
            given.frames, time_ns = given.frames + 1, frame.time_ns
    writer.write(time_ns, MARK)
    given.stream = target.getvalue()[HEAD_LEN:]
    return given


def pair_of(frame: bytes) -> bytes:
    if frame[12:14] == b"\x08\x00":
        one, other = frame[26:30], frame[30:34]
    elif frame[12:14] == b"\x86\xdd":
        one, other = frame[22:38], frame[38:54]
    else:
        return b""
    return min(one, other) + max(one, other)
