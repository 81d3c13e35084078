"""Conditions that parts of a run wait for: what has been reached, by whom.

A subject is an endpoint (listening, established, blocked, closed, done) or a fault (fired). A state
once reached stays reached, except `blocked`, which comes and goes: a wait for it is answered only by
a report that is newer than the wait, so that a window that was opened a moment ago does not count.
Endpoints report `blocked` again and again while it lasts.

When a subject is done, whatever it has not reached it never will: waits for that end at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from tcpharness.scenario.model import Until

PASSING = frozenset({"blocked"})


class NeverHeld(Exception):
    """A condition did not come true; the text says which, and what was seen instead."""


class Stage:
    """Who has reached what. Belongs to one event loop."""

    def __init__(self) -> None:
        self._now: dict[str, set[str]] = defaultdict(set)
        self._history: dict[str, list[str]] = defaultdict(list)
        self._waiting: dict[tuple[str, str], list[asyncio.Future[None]]] = defaultdict(list)

    def reach(self, subject: str, state: str) -> None:
        """`subject` is in `state` now (reported again: still)."""
        if state not in self._now[subject]:
            self._now[subject].add(state)
            self._history[subject].append(state)
        for future in self._waiting.pop((subject, state), ()):
            if not future.done():
                future.set_result(None)
        if state == "done":
            self._give_up(subject)

    def leave(self, subject: str, state: str) -> None:
        """`subject` is no longer in `state`."""
        if state in self._now[subject]:
            self._now[subject].remove(state)
            self._history[subject].append(f"no longer {state}")

    def holds(self, subject: str, state: str) -> bool:
        return state in self._now[subject]

    def saw(self, subject: str) -> str:
        """What is known of a subject, as text: `client was established, closed, done`."""
        history = self._history.get(subject)
        return f"{subject} was {', '.join(history)}" if history else f"{subject} was nothing yet"

    async def wait(self, until: Until, deadline_ns: int | None = None) -> None:
        """Returns when the condition holds. Raises NeverHeld at the (monotonic) deadline, or as soon
        as it is certain that it never will."""
        key = (until.subject, until.state)
        if until.state not in PASSING and self.holds(*key):
            return
        if self.holds(until.subject, "done"):
            raise self._never(*key)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        left_s = None if deadline_ns is None else max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)
        try:
            async with asyncio.timeout(left_s):
                await future
        except TimeoutError:
            raise self._never(*key) from None
        finally:
            if future in self._waiting.get(key, ()):
                self._waiting[key].remove(future)

    def _give_up(self, subject: str) -> None:
        for key in [key for key in self._waiting if key[0] == subject]:
            for future in self._waiting.pop(key):
                if not future.done():
                    future.set_exception(self._never(*key))

    def _never(self, subject: str, state: str) -> NeverHeld:
        return NeverHeld(f"waited until {subject} {state}; {self.saw(subject)}")
