"""The sampler's own process: asks each host for its TCP sockets, again and again, and notes the answers.

A process of its own, because a busy loop elsewhere would leave gaps, and asking must not disturb what
is observed. It never spends more than a share of one CPU: where asking costs more it asks less often.
Two sources for each host: dumps, and the kernel's word about every socket as it ends, so that one
that lives between two dumps is known as well.

It talks to sampling.py over a socket: {"did": "ready"}; {"do": "look"} has it look at once, and is answered;
{"do": "finish"} takes the last dump, reads all answers, writes them to the descriptor it was given, and is
answered by {"did": "finish"}.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import pickle
import select
import socket
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from struct import Struct

from tcpharness.evidence import Sampling, SocketHistory
from tcpharness.lab.inet_diag import (
    ALL_STATES,
    INODE_AT,
    LISTEN,
    NLMSG_DONE,
    NLMSG_ERROR,
    SYN_RECV,
    TIME_WAIT,
    WITH_INFO,
    cookies,
    error_of,
    read,
    request,
)
from tcpharness.lab.timerfd import Timer

READ_LEN = 1 << 16
SHARE = 50  # of the time at most one part in so many goes into asking: 2 %
SMOOTHED = 8  # rounds
MOST_BYTES = 64 << 20  # of answers kept; then every other one goes, and half as many are asked for
# The kernel's table of listeners is the whole machine's: asking for them costs three times the rest.
LISTENERS_EVERY = 20
EVERYTHING = request(ALL_STATES, WITH_INFO)
LAST = request(ALL_STATES, WITH_INFO)  # kept though it be like the one before
CONNECTIONS = request(ALL_STATES & ~(1 << LISTEN), WITH_INFO)
# The kernel lists them among the sockets, and frees them without a word.
NO_SOCKETS = frozenset({SYN_RECV, TIME_WAIT})
PATIENCE_NS = 200_000_000  # for its word of sockets that are gone
OWNERS_NS = 20_000_000  # looking for a socket's process costs too much to do it more often
LENGTH_AND_KIND, INODE = Struct("=IH"), Struct("=I")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be watched. Descriptors: control, result, then for each host: its dumps, its endings
    (or its dumps again, where nobody may hear of those)."""

    hosts: tuple[str, ...]
    namespaces: tuple[int, ...]  # inode numbers of the hosts' network namespaces
    hears_ends: bool
    interval_ns: int
    main: int  # process id of the harness, which holds the endpoints' sockets


@dataclass(slots=True)
class Owners:
    """Which process holds a socket, by its inode, as /proc tells. Short-lived ones may go unseen."""

    namespaces: frozenset[int]
    main: int
    known: dict[int, tuple[int, str] | None] = field(default_factory=lambda: {0: None})  # 0: nobody any more
    next_ns: int = 0

    def doubt(self) -> None:
        """For the last time: whoever was not found is looked for again, and at once."""
        self.known = {inode: owner for inode, owner in self.known.items() if owner or not inode}
        self.hurry()

    def hurry(self) -> None:
        """Whoever asks for a look believes that it was taken."""
        self.next_ns = 0

    def look_for(self, inodes: set[int], now_ns: int) -> bool:
        """What is new among these; not more often than OWNERS_NS: then False."""
        if now_ns < self.next_ns:
            return False
        new = inodes - self.known.keys()
        self.next_ns = now_ns + OWNERS_NS
        for pid in self._candidates():
            held = self._held_by(pid) & new
            if held:
                name = _name_of(pid)
                self.known.update(dict.fromkeys(held, (pid, name)))
                new -= held
                if not new:
                    return True
        self.known.update(dict.fromkeys(new))
        return True

    def _candidates(self) -> list[int]:
        """Processes in one of the hosts' namespaces, then the harness."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    if os.stat(f"/proc/{entry}/ns/net").st_ino in self.namespaces:
                        found.append(int(entry))
        return [*found, self.main]

    def _held_by(self, pid: int) -> set[int]:
        held: set[int] = set()
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if target.startswith("socket:["):
                        held.add(int(target[8:-1]))
        return held


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"


class Sampler:
    """The loop."""

    def __init__(self, order: Order, fds: list[int]) -> None:
        self._order = order
        self._control = socket.socket(fileno=fds[0])
        self._result = fds[1]
        pairs = [socket.socket(fileno=fd) for fd in fds[2:]]
        self._dumps, self._ends = pairs[::2], pairs[1::2]
        for sock in self._ends:
            sock.setblocking(False)
        self._interval_ns = order.interval_ns
        self._timer = Timer()
        self._answers: list[tuple[int, int, bytes, bool]] = []  # time, host, answer, ended
        self._bytes = 0
        self._round_ns = 0  # what a round takes
        self._new: set[int] = set()  # sockets whose owner is not known yet, by inode
        self._last = [b""] * len(order.hosts)
        self._owners = Owners(frozenset(order.namespaces), order.main)
        self._told = Sampling(interval_ns=order.interval_ns)

    def run(self) -> None:
        """Until it is told to finish, or nobody is there to tell it anything."""
        self._control.sendall(b'{"did": "ready"}\n')
        poll = select.epoll()
        poll.register(self._control, select.EPOLLIN)
        poll.register(self._timer.fd, select.EPOLLIN)
        if self._order.hears_ends:
            for sock in self._ends:
                poll.register(sock, select.EPOLLIN)
        ends = {sock.fileno(): number for number, sock in enumerate(self._ends)}
        start_ns = due_ns = time.monotonic_ns()
        while True:
            self._timer.set(due_ns)
            for fd, _ in poll.poll():
                if fd in ends and self._order.hears_ends:
                    self._hear(ends[fd])
                elif fd == self._control.fileno():
                    heard = self._control.recv(READ_LEN)
                    if not heard:
                        return
                    if b"finish" not in heard:
                        self._owners.hurry()
                        self._ask_all(EVERYTHING)
                        self._control.sendall(b'{"did": "look"}\n')
                        continue
                    self._told.duration_ns = time.monotonic_ns() - start_ns
                    self._finish()
                    return
            if time.monotonic_ns() >= due_ns:
                due_ns = time.monotonic_ns() + self._ask_all()

    def close(self) -> None:
        os.close(self._timer.fd)
        for sock in (self._control, *self._dumps, *self._ends):
            sock.close()

    def _ask_all(self, question: bytes = b"") -> int:
        """One dump of each host; how long to wait before the next."""
        before_ns = time.thread_time_ns()
        if not question:
            question = CONNECTIONS if self._told.samples % LISTENERS_EVERY else EVERYTHING
        for host, sock in enumerate(self._dumps):
            self._ask(host, sock, question)
        spent_ns = time.thread_time_ns() - before_ns
        if self._new:  # where there are new connections there may be new listeners
            if question is CONNECTIONS:
                for host, sock in enumerate(self._dumps):
                    self._ask(host, sock, EVERYTHING)
            if self._owners.look_for(self._new, time.monotonic_ns()):
                self._new = set()
        self._told.samples += 1
        self._told.cpu_ns += time.thread_time_ns() - before_ns
        if self._bytes > MOST_BYTES:
            self._thin()
        # Of the last few, so that one slow round leaves no gap.
        self._round_ns += (spent_ns - self._round_ns) // SMOOTHED if self._round_ns else spent_ns
        return max(self._interval_ns, self._round_ns * SHARE)

    def _ask(self, host: int, sock: socket.socket, question: bytes) -> None:
        time_ns = time.time_ns()
        parts: list[bytes] = []
        inodes: set[int] = set()
        try:
            sock.send(question)
            while True:
                answer = sock.recv(READ_LEN)
                if self._is_last(answer, inodes):
                    break
                parts.append(answer)
        except OSError as error:
            self._note(self._told.unseen, host, error.strerror or str(error))
            return
        whole = b"".join(parts)
        if whole != self._last[host] or question is LAST:
            self._last[host] = whole
            self._answers.append((time_ns, host, whole, False))
            self._bytes += len(whole)
            self._new |= inodes - self._owners.known.keys()

    def _is_last(self, answer: bytes, inodes: set[int]) -> bool:
        """The kernel ends an answer with a message of its own, behind all others. Raises OSError."""
        at = 0
        while at < len(answer):
            length, kind = LENGTH_AND_KIND.unpack_from(answer, at)
            if kind == NLMSG_DONE:
                return True
            if kind == NLMSG_ERROR:
                raise error_of(answer, at)
            inodes.add(INODE.unpack_from(answer, at + INODE_AT)[0])
            at += (length + 3) & ~3
        return False

    def _hear(self, host: int) -> None:
        """All sockets that have ended meanwhile."""
        try:
            while True:
                answer = self._ends[host].recv(READ_LEN)
                self._answers.append((time.time_ns(), host, answer, True))
        except BlockingIOError:
            return
        except OSError as error:
            lost = error.errno == errno.ENOBUFS
            what = "more sockets ended than could be noted" if lost else error.strerror
            self._note(self._told.unheard, host, what or str(error))

    def _thin(self) -> None:
        self._answers = [a for n, a in enumerate(self._answers) if n % 2 or a[3]]
        self._bytes = sum(len(answer) for _, _, answer, _ in self._answers)
        self._interval_ns *= 2

    def _note(self, lacking: dict[str, str], host: int, why: str) -> None:
        """Once for each host."""
        name = self._order.hosts[host]
        if name not in lacking:
            lacking[name] = why
            self._told.notes.append(f"{name}: {why}")

    # --- the end

    def _finish(self) -> None:
        self._told.end_ns = time.time_ns()
        self._owners.doubt()
        self._ask_all(LAST)
        if self._order.hears_ends:
            self._hear_all()
        self._told.effective_ns = self._told.duration_ns // max(1, self._told.samples)
        with open(self._result, "wb", closefd=False) as file:
            pickle.dump((self._told, self._histories()), file)
        self._control.sendall(json.dumps({"did": "finish"}).encode() + b"\n")

    def _hear_all(self) -> None:
        """The kernel tells of a socket's end a moment after it is gone, when it gets round to it."""
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while True:
            for host in range(len(self._ends)):
                self._hear(host)
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns <= 0 or self._told.notes or not self._unheard():
                return
            select.select(self._ends, [], [], left_ns / 1e9)

    def _unheard(self) -> set[tuple[int, int]]:
        """Connections, by host and cookie, that the last dumps no longer list, and whose end was not told."""
        seen: set[tuple[int, int]] = set()
        ended: set[tuple[int, int]] = set()
        listed: dict[int, set[tuple[int, int]]] = {}
        for _, host, answer, is_end in self._answers:
            found = {(host, cookie) for state, cookie in cookies(answer) if is_end or state not in NO_SOCKETS}
            if is_end:
                ended |= found
            else:
                seen |= found
                listed[host] = found
        return seen.difference(ended, *listed.values())

    def _histories(self) -> list[SocketHistory]:
        """Of a listener the kernel puts its queue where TCP_INFO has other things, and it has no connection:
        that is left out (its queue is recv_q and send_q)."""
        found: dict[tuple[int, int], SocketHistory] = {}
        inodes: dict[tuple[int, int], int] = {}
        for time_ns, host, answer, ended in self._answers:
            for row in read(answer, time_ns, ended=ended):
                key = (host, row.cookie)
                history = found.get(key)
                if history is None:
                    name = self._order.hosts[host]
                    history = found[key] = SocketHistory(name, row.local, row.remote, row.uid)
                history.congestion = row.congestion or history.congestion
                history.samples.append(row.sample)
                inodes[key] = row.inode or inodes.get(key, 0)
        for key, history in found.items():
            owner = self._owners.known.get(inodes[key])
            if owner is not None:
                history.pid, history.program = owner
            if history.listens:
                history.samples = [replace(sample, info={}) for sample in history.samples]
        return list(found.values())


def main(payload: bytes, fds: list[int]) -> int:
    """The process's entry: a pickled Order; descriptors as it says."""
    gc.disable()
    with closing(Sampler(pickle.loads(payload), fds)) as sampler:
        sampler.run()
    return 0
