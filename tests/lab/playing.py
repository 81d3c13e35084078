"""Plays endpoints in a lab, as the tests of all kinds of endpoints do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from small_lab import plan

from tcpharness.evidence import EndpointOutcome
from tcpharness.lab.actors import Actors
from tcpharness.lab.build import Lab
from tcpharness.lab.socket_table import settle
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.stage import Stage
from tcpharness.scenario.model import Endpoint
from tcpharness.scenario.plan import Plan

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Ground:
    """What labs are built on."""

    spawner: Spawner
    workdir: Path

    def lab(self, plan: Plan) -> Lab:
        return Lab(plan, self.spawner, self.workdir)


Meanwhile = Callable[[Actors, Stage], Awaitable[None]]


def play(
    ground: Ground,
    *endpoints: Endpoint,
    ip: int = 4,
    seconds: float = 5,
    base_dir: Path = Path(),
    meanwhile: Meanwhile | None = None,
) -> dict[str, EndpointOutcome]:
    """The endpoints' outcomes. Every play must leave the lab quiet, whatever went wrong in it."""

    async def run() -> dict[str, EndpointOutcome]:
        planned, stage = plan(*endpoints, ip=ip), Stage()
        with ground.lab(planned) as lab:
            async with Actors(planned, lab, stage, seed=7, base_dir=base_dir) as actors:
                await actors.start()
                other = asyncio.ensure_future(meanwhile(actors, stage)) if meanwhile else None
                outcomes = await actors.finish(time.monotonic_ns() + int(seconds * SECOND))
                if other:
                    await other
            assert await settle(lab, time.monotonic_ns() + 2 * SECOND) == []
        return outcomes

    return asyncio.run(run())


def errors(outcomes: dict[str, EndpointOutcome]) -> dict[str, list[str]]:
    return {name: outcome.errors() for name, outcome in outcomes.items() if outcome.errors()}
