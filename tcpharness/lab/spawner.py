"""Starts every process of every lab, from main's side: what init_process.py does is asked for here.

Asking takes some tens of microseconds and never waits; answers come in through the running loop.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tcpharness.lab.init_process import MAX_MESSAGE, Call, Run, spawner_main
from tcpharness.lab.netns import NetNs, nursery

# What `call` is used for. Imported by the spawner while main imports its own things.
PRELOAD = (
    "tcpharness.lab.forward",
    "tcpharness.lab.endpoint_process",
    "tcpharness.lab.sampler",
    "tcpharness.lab.tracer",
)
GONE_S = 5.0  # how long the spawner may take to end with all labs


class Child:
    """One process of a lab, as main sees it."""

    def __init__(self, processes: LabProcesses, number: int, name: str) -> None:
        self.name = name  # of the program, or module:function
        self.pid: int | None = None  # in our own PID namespace; None until the process has said it
        self.error: str | None = None  # why it could not start, or what it raised
        self._processes = processes
        self._number = number
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._signals: list[asyncio.Future[None]] = []  # sent, and not known to have been delivered

    @property
    def exited(self) -> bool:
        return self._end.done()

    @property
    def status(self) -> int | None:
        """How it has ended, as wait() gives it; None while it lives."""
        return self._end.result() if self._end.done() else None

    def kill(self, number: int) -> None:
        """Sends a signal; nothing, when the process has ended."""
        if not self.exited:
            self._signals.append(asyncio.get_running_loop().create_future())
            self._processes.tell("kill", self._number, int(number))

    async def wait_signalled(self) -> None:
        """Returns when every signal sent so far has been delivered, or the process has ended."""
        if self._signals:
            await asyncio.wait(list(self._signals))

    async def wait(self) -> int:
        """The exit status; negative: the signal that killed it; 127, with `error` set: it never started."""
        return await asyncio.shield(self._end)

    def heard(self, what: str, *rest: Any) -> None:
        """What its init, or the process itself, has said."""
        if what == "started":
            self.pid = rest[0]
        elif what == "failed":
            self.error = str(rest[0])
        elif what == "signalled":
            self._signals.pop(0).set_result(None)
        elif not self._end.done():
            self._end.set_result(rest[0])
            for each in self._signals:
                each.set_result(None)
            self._signals.clear()


class LabProcesses:
    """The processes of one lab: a PID namespace, which dies as a whole.

    Children are started and waited for from a running loop; the lab itself needs none.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._children: dict[int, Child] = {}
        self._started = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        return self._sock.fileno() >= 0

    def run(
        self,
        argv: Sequence[str],
        *,
        netns: int,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        hosts_file: str | None = None,
        most_bytes: int | None = None,
    ) -> Child:
        """Executes a program in the network namespace `netns`, with the given descriptors or nothing.

        With `hosts_file` it has that file as its /etc/hosts, and the host's own /proc and /sys; no file
        that it writes becomes larger than `most_bytes`.
        Raises OSError when the lab's init is gone; why a program could not start is in its `error`.
        """
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            standard = [nothing if fd is None else fd for fd in (stdin, stdout, stderr)]
            work = Run(list(argv), cwd, env, hosts_file, most_bytes)
            return self._start("run", argv[0], work, [netns, *standard])
        finally:
            os.close(nothing)

    def call(self, entry: str, payload: bytes, fds: Sequence[int], netns: int | None) -> Child:
        """Forks a process that does `module:function(payload, fds)` and exits with what that returns.

        `fds` are its own duplicates; everything else but stderr is closed.
        """
        inside = [] if netns is None else [netns]
        return self._start("call", entry, Call(entry, payload, bool(inside)), [*inside, *fds])

    def keep(self, fd: int) -> None:
        """Has the lab hold a duplicate of `fd` to its end, for what is slow to close."""
        self.tell("keep", fds=[fd])

    def tell(self, what: str, *rest: Any, fds: Sequence[int] = ()) -> None:
        """One message to the init, which always has room: it reads faster than anybody asks."""
        if not self.is_open:
            return
        message = pickle.dumps((what, *rest))
        if fds:
            socket.send_fds(self._sock, [message], list(fds))
        else:
            with suppress(BrokenPipeError, ConnectionResetError):  # gone, and its children with it
                self._sock.send(message)

    def close(self) -> None:
        """Ends every process of the lab, at once and without waiting for it."""
        if self.is_open and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._all_gone()

    def _start(self, what: str, name: str, work: Run | Call, fds: list[int]) -> Child:
        self._listen()
        self._started += 1
        child = Child(self, self._started, name)
        body = os.memfd_create("work", os.MFD_CLOEXEC)  # of any size, which a message is not
        try:
            with open(body, "wb", closefd=False) as file:
                pickle.dump(work, file)
            self.tell(what, self._started, fds=[body, *fds])
        finally:
            os.close(body)
        self._children[self._started] = child
        return child

    def _listen(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._sock.fileno(), self._hear)

    def _hear(self) -> None:
        while True:
            try:
                message = self._sock.recv(MAX_MESSAGE * 8, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            if not message:
                self.close()
                return
            what, number, *rest = pickle.loads(message)
            child = self._children[number]
            child.heard(what, *rest)
            if child.exited:
                del self._children[number]

    def _all_gone(self) -> None:
        for child in self._children.values():
            child.heard("exited", -signal.SIGKILL)
        self._children.clear()


class Spawner:
    """The process that starts the labs' inits. Started once, at the door, from the main thread."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self._sock = sock
        self._pid = pid
        self._labs: list[LabProcesses] = []
        self._nursery: NetNs | None = None

    @property
    def nursery(self) -> NetNs:
        """The namespace in which those of labs are made; made itself when it is first asked for."""
        if self._nursery is None:
            self._nursery = nursery()
        return self._nursery

    @classmethod
    def start(cls, preload: Sequence[str] = PRELOAD) -> Spawner:
        """Forks it: before anything heavy is imported, so that it stays small and its forks fast."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                spawner_main(theirs, parent, preload)
            finally:
                os._exit(1)
        theirs.close()
        return cls(ours, pid)

    def lab(self) -> LabProcesses:
        """A new PID namespace, empty but for its init. Raises OSError when the spawner is gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(self._sock, [b"lab"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._labs = [lab for lab in self._labs if lab.is_open]
        self._labs.append(LabProcesses(ours))
        return self._labs[-1]

    def close(self) -> None:
        """Ends everything that was started, and returns when it is gone."""
        for lab in self._labs:
            lab.close()
        self._labs.clear()
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
        if self._sock.fileno() < 0:
            return
        self._sock.close()
        pidfd = os.pidfd_open(self._pid)
        try:
            if not select.select([pidfd], [], [], GONE_S)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
        os.waitpid(self._pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
