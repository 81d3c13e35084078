"""Several files at once: a process each, their answers in order."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Given = TypeVar("Given")
Answer = TypeVar("Answer")


def in_processes(job: Callable[[Given], Answer], tasks: Sequence[Given], processes: int) -> Iterator[Answer]:
    """The job's answers in the order of the tasks. Whatever it raises is raised here; the rest is ended then.

    Forked, so that detectors of somebody's own are there without being found again.
    """
    with multiprocessing.get_context("fork").Pool(processes, left_alone) as pool:
        yield from pool.imap(job, tasks)


def left_alone() -> None:
    """Ctrl-C is for the parent, which ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
