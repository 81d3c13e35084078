"""Network namespaces as open file descriptors: no name, no child process, gone with the last descriptor.

A namespace is entered by the calling thread, for as long as a `with` block that does not await.
Sockets that were opened inside stay in it for good, and are used from anywhere.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from tcpharness.lab.syscall import CLONE_NEWNET, setns, unshare

THREAD_NETNS = "/proc/thread-self/ns/net"
TABLE_SIZE = "/proc/sys/net/ipv4/tcp_child_ehash_entries"
TABLE_PLACES = 1024


class NetNs:
    """One network namespace. Made by the calling thread, which returns to where it was (about 0.6 ms).

    With `parent`, what a namespace takes over from the one that it is made in comes from there.
    """

    fd: int

    def __init__(self, parent: NetNs | None = None) -> None:
        self._home = open_own_netns()
        try:
            if parent is not None:
                setns(parent.fd, CLONE_NEWNET)
            unshare(CLONE_NEWNET)
            try:
                self.fd = open_own_netns()
            finally:
                setns(self._home, CLONE_NEWNET)
        except BaseException:
            os.close(self._home)
            raise

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside for the length of the block. Nothing may await in it."""
        setns(self.fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(self._home, CLONE_NEWNET)

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """A socket of this namespace."""
        with self.entered():
            return socket.socket(family, kind, proto)

    def close(self) -> None:
        """Lets go of it. The kernel destroys it in its own time; nobody waits for that."""
        if self.fd >= 0:
            os.close(self.fd)
            os.close(self._home)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def nursery() -> NetNs:
    """A namespace to make others in: those have a table of TCP sockets of their own, a small one.

    Listing a host's sockets walks the whole table, and the machine's has hundreds of thousands of
    places: 350 microseconds, against 15. Kernels before 6.1 have but one table.
    """
    namespace = NetNs()
    with namespace.entered(), suppress(OSError), open(TABLE_SIZE, "w") as file:
        file.write(str(TABLE_PLACES))
    return namespace


def open_own_netns() -> int:
    """A descriptor of the calling thread's network namespace."""
    return os.open(THREAD_NETNS, os.O_RDONLY | os.O_CLOEXEC)
