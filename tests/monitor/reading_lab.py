"""A case with a small real lab, and a monitor's description in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tcpharness.lab.spawner import Spawner
from tcpharness.run import Options, Runner
from tcpharness.scenario_file import load_whole
from tcpharness.verdict.result import MonitorVerdict, Result

PAIR = """\
scenario: A monitor under test
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 40 KiB, close]}
"""
LOST_SYN = "faults: [{name: lost, when: {from: client, flags: S}, do: drop}]\n"


def played(spawner: Spawner, folder: Path, text: str, network: str = PAIR) -> Result:
    """One case; everything is kept below `folder`."""
    (case,) = load_whole(network + text, str(folder / "x.yaml"))

    async def play() -> Result:
        async with Runner(Options(out=folder / "out", keep=True), spawner) as runner:
            return await runner.play(case)

    return asyncio.run(play())


def played_at_once(
    spawner: Spawner, folder: Path, texts: Mapping[str, str], network: str
) -> dict[str, Result]:
    """Several cases beside each other, each in a folder of its own that is there, for what takes its time."""
    cases = {
        name: load_whole(network + text, str(folder / name / "x.yaml"))[0] for name, text in texts.items()
    }

    async def play() -> list[Result]:
        async with Runner(Options(out=folder / "out", keep=True), spawner) as runner:
            return await asyncio.gather(*(runner.play(case) for case in cases.values()))

    return dict(zip(cases, asyncio.run(play()), strict=True))


def verdict_of(result: Result, monitor: str, vantage: str = "client") -> MonitorVerdict:
    return next(v for v in result.verdict.monitors if (v.monitor, v.vantage) == (monitor, vantage))
