"""A scenario's text to its cases, ready to be run: what it takes from other files is found and read.

The language itself opens nothing (scenario/load.py).
"""

from __future__ import annotations

from dataclasses import replace

from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case


def load_whole(text: str | bytes, file: str) -> list[Case]:
    """The cases of a file. Raises ScenarioErrors, also for a monitor that nothing describes."""
    cases = load(text, file)
    if not any(case.monitors for case in cases):
        return cases
    from tcpharness.monitor.library import described

    return [replace(case, monitors=described(case)) for case in cases]
