"""The sampler's loop, with a kernel played by the test."""

from __future__ import annotations

import json
import os
import pickle
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from tcpharness.evidence import SocketHistory
from tcpharness.lab import sampler
from tcpharness.lab.inet_diag import HEADER, MESSAGE, NLMSG_DONE, TCPDIAG_GETSOCK
from tcpharness.lab.sampler import Order, Sampler

Watch = Callable[[Callable[[], None]], list[SocketHistory]]
ESTABLISHED = 1
COOKIE = 77
DONE = HEADER.pack(HEADER.size, NLMSG_DONE, 0, 0, 0)


def row(state: int) -> bytes:
    address = bytes([10, 0, 0, 1]) + bytes(12)
    body = MESSAGE.pack(
        socket.AF_INET, state, 0, 0, b"\0\x69", b"\0\x70", address, address, 0, COOKIE, *[0] * 5
    )
    return HEADER.pack(HEADER.size + len(body), TCPDIAG_GETSOCK, 0, 0, 0) + body


class Kernel:
    """Lists one connection until it is gone, and tells of its end only when it is waited for."""

    def __init__(self) -> None:
        self.rows = [row(ESTABLISHED)]
        self.asked, self.dumps = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.told, self.ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.waits = 0

    def answer(self) -> None:
        while self.asked.recv(4096):
            for answer in (*self.rows, DONE):
                self.asked.sendall(answer)

    def wait(self, *_: object) -> None:
        self.waits += 1
        self.told.sendall(row(ESTABLISHED))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel()
    late = SimpleNamespace(epoll=select.epoll, EPOLLIN=select.EPOLLIN, select=kernel.wait)
    monkeypatch.setattr(sampler, "select", late)
    thread = Thread(target=kernel.answer)
    thread.start()
    yield kernel
    kernel.dumps.shutdown(socket.SHUT_RDWR)
    thread.join()
    for sock in (kernel.asked, kernel.dumps, kernel.told, kernel.ends):
        sock.close()


@pytest.fixture
def watch(kernel: Kernel, tmp_path: Path) -> Iterator[Watch]:
    """One look, something done, and the last look."""
    control, theirs = socket.socketpair()
    file = (tmp_path / "result").open("w+b")

    def watch(meanwhile: Callable[[], None]) -> list[SocketHistory]:
        order = Order(("client",), (), hears_ends=True, interval_ns=3600 * 10**9, main=0)
        fds = [theirs.fileno(), file.fileno(), kernel.dumps.fileno(), kernel.ends.fileno()]
        watching = Sampler(order, [os.dup(fd) for fd in fds])
        loop = Thread(target=watching.run)
        loop.start()
        with control.makefile("rb") as answers:
            assert json.loads(answers.readline()) == {"did": "ready"}
            control.sendall(b'{"do": "look"}\n')
            assert json.loads(answers.readline()) == {"did": "look"}
            meanwhile()
            control.sendall(b'{"do": "finish"}\n')
            assert json.loads(answers.readline()) == {"did": "finish"}
        loop.join()
        watching.close()
        file.seek(0)
        found: list[SocketHistory]
        _, found = pickle.load(file)
        return found

    yield watch
    for part in (control, theirs, file):
        part.close()


def test_the_end_of_a_connection_that_is_gone_is_waited_for(kernel: Kernel, watch: Watch) -> None:
    """The kernel tells from a queue of work of its own, which a busy machine gets round to late."""
    (history,) = watch(kernel.rows.clear)
    assert [sample.state for sample in history.samples][-1] == "ENDED"
    assert kernel.waits == 1


def test_one_that_is_still_there_is_not_waited_for(kernel: Kernel, watch: Watch) -> None:
    (history,) = watch(lambda: None)
    assert {sample.state for sample in history.samples} == {"ESTABLISHED"}
    assert kernel.waits == 0
