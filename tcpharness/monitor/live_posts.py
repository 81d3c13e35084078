"""All live monitors of a case: when each is asked for the last time, and by which canary it is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tcpharness.evidence import MonitorOutcome
from tcpharness.lab.kernel_canary import Failed, KernelCanary
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.canary import part_live
from tcpharness.monitor.live import LiveMonitor
from tcpharness.monitor.post import Post
from tcpharness.monitor.room import MonitorRoom


class WatchedLab(Protocol):
    """What live monitors need of a lab."""

    @property
    def hosts(self) -> Mapping[str, NetNs]: ...
    @property
    def hosts_file(self) -> Path: ...


class LivePosts:
    """start(), then finish() before and behind the canary of frames, and prove() when all is read."""

    def __init__(self, posts: Sequence[Post], lab: WatchedLab, spawner: Spawner) -> None:
        self._lab = lab
        watching = [post for post in posts if post.description.read is None]
        self._monitors = [
            LiveMonitor(post, lab.hosts[post.host], lab.hosts_file, spawner) for post in watching
        ]
        self._of_kernel = [m for m in self._monitors if m.post.description.asks_kernel]
        self._others = [m for m in self._monitors if not m.post.description.asks_kernel]

    async def start(self, room: MonitorRoom) -> None:
        await asyncio.gather(*(monitor.start(room) for monitor in self._monitors))

    async def finish(self, *, with_canary: bool) -> list[MonitorOutcome]:
        """Before the canary of frames those that could not tell it from the scenario; then the others."""
        ending = [m for m in self._others if m.post.description.tells_canary() == with_canary]
        concluding = () if with_canary else self._of_kernel
        await asyncio.gather(*(m.finish() for m in ending), *(m.conclude() for m in concluding))
        for monitor in ending if with_canary else ():
            part_live(monitor.outcome, monitor.post.description)
        return [monitor.outcome for monitor in ending]

    async def prove(self) -> list[MonitorOutcome]:
        """Ends those that ask a kernel, once all else has been read: sockets are their canary."""
        hosts = dict.fromkeys(monitor.post.host for monitor in self._of_kernel)
        await asyncio.gather(*(self._prove_at(host) for host in hosts))
        return [monitor.outcome for monitor in self._of_kernel]

    async def _prove_at(self, host: str) -> None:
        there = [monitor for monitor in self._of_kernel if monitor.post.host == host]
        trouble = None
        canary = KernelCanary(self._lab.hosts[host], there[0].post.number, there[0].post.version)
        try:
            await canary.play()
        except Failed as error:
            trouble = str(error)
        try:
            await asyncio.gather(*(monitor.prove(trouble) for monitor in there))
        finally:
            canary.close()

    @property
    def hosts(self) -> set[str]:
        return {monitor.post.host for monitor in self._monitors}

    def close(self) -> None:
        for monitor in self._monitors:
            monitor.close()
