"""Numbers for labs, from which their addresses come: of runs at the same time, no two have one in common.

Namespaces keep labs apart, but the kernel's tracepoints are the whole machine's and tell addresses only. So
a run claims a block of numbers, by a name that goes with its process. Where all are taken it shares the first
one, as runs in containers of one kernel do, which don't see each other's names.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

BLOCKS, LABS = 8, 512  # of 4096 labs that have addresses of their own (scenario/plan.py)
NAME = "\0tcpharness labs {}"


class Numbers:
    """`with Numbers() as numbers: numbers.next()`"""

    def __init__(self) -> None:
        self._played = count(1)
        self._block, self._claim = claimed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._claim is not None:
            self._claim.close()

    def next(self) -> tuple[int, int]:
        """The how manieth this is in the run, from 1, and its lab's number."""
        played = next(self._played)
        return played, self._block * LABS + played % LABS


def claimed() -> tuple[int, socket.socket | None]:
    """A block that nobody has, and what holds it."""
    for block in range(BLOCKS):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(OSError):
            claim.bind(NAME.format(block))
            return block, claim
        claim.close()
    return 0, None
