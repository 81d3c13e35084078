"""The canaries of a lab: one by each vantage, and out of the captures again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tcpharness.analysis.canary import conversations, heard
from tcpharness.evidence import CaptureOutcome
from tcpharness.lab.tcpdump import Tcpdump
from tcpharness.packet.canary import MOST_VANTAGES, number_at, part, vantage_of
from tcpharness.scenario.plan import Plan


class Canaries:
    """`await canaries.pass_by(captures)` while they run, `canaries.take_out(outcomes)` after."""

    def __init__(self, plan: Plan, version: int) -> None:
        self._version = version
        vantages = enumerate(plan.vantages)
        self._numbers = {vantage: number_at(plan.number, place) for place, (vantage, _, _) in vantages}

    async def pass_by(self, captures: Sequence[Tcpdump]) -> None:
        """One by each vantage, for all who watch there."""
        await asyncio.gather(*(self._pass(capture) for capture in captures[:MOST_VANTAGES]))

    async def _pass(self, capture: Tcpdump) -> None:
        number = self._numbers[capture.outcome.vantage]
        await capture.pass_canary(conversations(number, self._version))

    def take_out(self, captures: Mapping[str, CaptureOutcome]) -> None:
        """The captures are the scenario's alone; what our detectors say of the canary is noted."""
        for vantage, number in self._numbers.items():
            outcome = captures.get(vantage)
            if outcome is not None and not outcome.text and Path(outcome.file).exists():
                self._take_out(outcome, number)

    def _take_out(self, outcome: CaptureOutcome, number: int) -> None:
        parted = part(Path(outcome.file).read_bytes())
        if parted.frames:
            with open(outcome.file, "r+b") as file:
                file.truncate(parted.kept_len)
                file.seek(parted.kept_len)
                file.write(parted.rest)
        outcome.canary = [frame for frame in parted.frames if vantage_of(frame) == number]
        outcome.heard = heard(outcome.canary, number, self._version)
