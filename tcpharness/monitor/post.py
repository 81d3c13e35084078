"""Which monitor stands where in a case, in which folder, and the words of its commands."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tcpharness.evidence import MonitorOutcome
from tcpharness.monitor.command import options_of
from tcpharness.packet.canary import kernel_addresses, number_at
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.scenario.plan import Plan

FOLDER = "monitors"  # below a case's


@dataclass(frozen=True, slots=True)
class Post:
    """One monitor at one vantage."""

    use: MonitorUse
    description: Description
    vantage: str
    host: str
    interface: str  # "" when nothing is captured there
    address: str  # of the interface
    base: Path  # the scenario's folder
    folder: Path  # its own
    number: int  # of the host, in the addresses of its canary
    version: int  # of IP

    def empty_folder(self) -> None:
        """Its folder, without what an earlier run of the same name has left there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def outcome(self) -> MonitorOutcome:
        return MonitorOutcome(
            self.use.name, self.vantage, self.host, self.interface, directory=str(self.folder)
        )

    def words(self) -> dict[str, str]:
        """What stands for the placeholders, but for the capture."""
        own = {
            "out": str(self.folder.absolute()),
            "host": self.host,
            "vantage": self.vantage,
            "iface": self.interface,
            "address": self.address,
            "canary": kernel_addresses(self.number, self.version)[0],
        }
        return own | options_of(self.use, self.description, self.base)


def posts_of(plan: Plan, folder: Path) -> list[Post]:
    """Each monitor at each of its vantages: those it names, those something is expected at, or all."""
    where = {vantage: (host, interface) for vantage, host, interface in plan.vantages}
    addresses = {(host.name, i.name): i.address for host in plan.hosts for i in host.interfaces}
    numbers = {host.name: number_at(plan.number, place) for place, host in enumerate(plan.hosts)}
    posts: list[Post] = []
    for use in plan.case.monitors:
        assert use.description is not None
        for vantage in vantages_of(use, plan.case) or tuple(where):
            host, interface = where.get(vantage, (vantage.partition(".")[0], ""))
            posts.append(
                Post(
                    use,
                    use.description,
                    vantage,
                    host,
                    interface,
                    addresses.get((host, interface), "127.0.0.1" if plan.case.ip == 4 else "::1"),
                    Path(plan.case.file).parent,
                    folder / FOLDER / f"{use.name}-{vantage}",
                    numbers[host],
                    plan.case.ip,
                )
            )
    return posts


def vantages_of(use: MonitorUse, case: Case) -> tuple[str, ...]:
    expected = [e.vantage for e in case.expect.monitors if e.monitor == use.name]
    return tuple(dict.fromkeys([*use.vantages, *expected]))
