"""How many cases may run at once: up to a number, and only while the loop keeps up.

Most of a case is waiting for TCP, so far more cases than cores can run side by side; but a loop that
lags makes endpoints read late, and that is visible in the traffic. So a new case is let in only
while the loop answers in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_S = 0.005
LAG_LIMIT_S = 0.030


class Admission:
    """`async with admission.place():` around each case."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.running = 0
        self.lag_s = 0.0
        self._changed = asyncio.Condition()
        self._building = asyncio.Semaphore(2)  # building and judging are work, not waiting

    async def watch(self) -> None:
        """Measures how late the loop is, for as long as it is awaited."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late = max(0.0, time.monotonic() - due)
            self.lag_s = max(late, self.lag_s * 0.8)
            if self.lag_s < LAG_LIMIT_S:
                async with self._changed:
                    self._changed.notify_all()

    def _may_enter(self) -> bool:
        return self.running == 0 or (self.running < self.places and self.lag_s < LAG_LIMIT_S)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(self._may_enter)
            self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            async with self._changed:
                self._changed.notify_all()

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Around work that would keep the loop from others."""
        async with self._building:
            yield
