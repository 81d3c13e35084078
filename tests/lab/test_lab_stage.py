"""Conditions: reached before, reached later, never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Literal

import pytest

from tcpharness.lab.stage import NeverHeld, Stage
from tcpharness.scenario.model import Place, Until

Name = Literal["blocked", "established", "closed", "done", "listening", "fired"]


def until(subject: str, state: Name) -> Until:
    return Until(subject, state, Place("x.yaml", 1, 1))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_what_has_been_reached_holds() -> None:
    async def play() -> None:
        stage = Stage()
        stage.reach("client", "established")
        stage.reach("client", "done")
        await stage.wait(until("client", "established"))
        await stage.wait(until("client", "done"))

    run(play())


def test_all_who_wait_are_told() -> None:
    async def play() -> None:
        stage = Stage()
        waits = [asyncio.ensure_future(stage.wait(until("cut", "fired"))) for _ in range(2)]
        await asyncio.sleep(0)
        stage.reach("other", "fired")
        await asyncio.sleep(0)
        assert not any(wait.done() for wait in waits)
        stage.reach("cut", "fired")
        await asyncio.gather(*waits)

    run(play())


def test_blocked_has_to_be_reported_after_the_wait_began() -> None:
    async def play() -> None:
        stage = Stage()
        stage.reach("client", "blocked")
        wait = asyncio.ensure_future(stage.wait(until("client", "blocked")))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not wait.done()
        stage.reach("client", "blocked")
        await wait

    run(play())


def test_a_deadline_says_what_was_seen_instead() -> None:
    async def play() -> None:
        stage = Stage()
        stage.reach("client", "established")
        stage.reach("client", "blocked")
        stage.leave("client", "blocked")
        with pytest.raises(NeverHeld) as caught:
            await stage.wait(until("client", "closed"), time.monotonic_ns() + 1_000_000)
        assert str(caught.value) == (
            "waited until client closed; client was established, blocked, no longer blocked"
        )
        with pytest.raises(NeverHeld, match="waited until storm fired; storm was nothing yet"):
            await stage.wait(until("storm", "fired"), 0)

    run(play())


def test_who_is_done_reaches_nothing_more() -> None:
    async def play() -> None:
        stage = Stage()
        wait = asyncio.ensure_future(stage.wait(until("client", "blocked")))
        await asyncio.sleep(0)
        stage.reach("client", "done")
        with pytest.raises(NeverHeld, match="client was done"):
            await wait
        with pytest.raises(NeverHeld, match="client was done"):
            await stage.wait(until("client", "listening"))

    run(play())
