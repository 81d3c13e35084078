"""Several files at once, or one in shares: a process each, their answers in order."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from tcpharness.analysis.capture import Options
from tcpharness.analysis.finding import CaptureReport
from tcpharness.analysis.shares import Part, in_one

Given = TypeVar("Given")
Answer = TypeVar("Answer")


def in_processes(job: Callable[[Given], Answer], tasks: Sequence[Given], processes: int) -> Iterator[Answer]:
    """The job's answers in the order of the tasks. Whatever it raises is raised here; the rest is ended then.

    Forked, so that detectors of somebody's own are there without being found again.
    """
    with multiprocessing.get_context("fork").Pool(processes, left_alone) as pool:
        yield from pool.imap(job, tasks)


def in_shares(job: Callable[[int, int], Part | str], shares: int, options: Options) -> CaptureReport | str:
    """The report on one file out of as many parts, a process each; or the first one's reason for none."""
    parts = list(in_processes(partial(one_share, job, shares), range(shares), shares))
    for part in parts:
        if isinstance(part, str):
            return part
    return in_one([part for part in parts if isinstance(part, Part)], options)


def one_share(job: Callable[[int, int], Part | str], shares: int, share: int) -> Part | str:
    return job(share, shares)


def left_alone() -> None:
    """Ctrl-C is for the parent, which ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
