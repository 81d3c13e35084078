"""Where a scripted peer got another segment than expected."""

from __future__ import annotations

from dataclasses import dataclass

from tcpharness.scenario.place import Place


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Both sides of it, at the script's line."""

    error: str  # "unexpected", or "silence" when nothing came
    at: Place
    expected: str
    actual: str
    packets: tuple[str, ...]  # the last ones of the conversation
