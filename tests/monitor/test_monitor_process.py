"""Waiting for a monitor's process: as long as it may take, and no longer than anybody wants to know."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tcpharness.monitor.process import Ended, wait_end

SECOND = 1_000_000_000


class Child:
    """A process that ends when it is told to."""

    error = ""

    def __init__(self) -> None:
        self.end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.signals: list[int] = []

    async def wait(self) -> int:
        return await asyncio.shield(self.end)

    def kill(self, number: int) -> None:
        self.signals.append(number)


def description(timeout_ns: int) -> Any:
    return SimpleNamespace(timeout_ns=timeout_ns, status=(0,), most_bytes=1 << 20)


@pytest.mark.parametrize("steps", range(6))
def test_to_be_cancelled_is_not_forgotten_when_it_ends_at_that_moment(steps: int, tmp_path: Path) -> None:
    async def cancel_beside_the_end() -> tuple[bool, bool]:
        child: Any = Child()
        waiting = asyncio.create_task(wait_end(child, description(SECOND), tmp_path))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        child.end.set_result(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        is_heard = waiting.cancel()
        await asyncio.wait([waiting])
        return is_heard, waiting.cancelled()

    is_heard, is_cancelled = asyncio.run(cancel_beside_the_end())
    assert is_heard == is_cancelled


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    async def outlive() -> tuple[Ended, list[int]]:
        child: Any = Child()
        return await wait_end(child, description(SECOND // 1000), tmp_path), child.signals

    ended, signals = asyncio.run(outlive())
    assert (ended.status, ended.problem, signals) == (None, "it was not done within 0.001 s", [9])
