"""From a case to what must be built: interfaces, addresses, neighbours, routes and settings, all decided.

Pure: the lab only carries it out. The same case and number give the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tcpharness.scenario.model import Case, Firewall, Place


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a link: eth0, eth1, ... of its host, in the order of the links."""

    host: str
    name: str
    link: str
    mac: str  # "02:00:00:00:01:00"
    address: str  # of the case's family, without the prefix length
    prefix_len: int
    mtu: int
    neighbours: tuple[tuple[str, str], ...]  # (address, mac) of every other interface of the link


@dataclass(frozen=True, slots=True)
class RoutePlan:
    dst: str  # CIDR; "0.0.0.0/0" or "::/0" for the default
    via: str | None  # None: on link
    dev: str
    metrics: dict[str, int | str]
    at: Place | None  # None: derived


@dataclass(frozen=True, slots=True)
class HostPlan:
    name: str
    interfaces: tuple[Interface, ...]
    # The quiet defaults, then the scenario's own. at None: a default of ours, which a kernel
    # that lacks the setting may refuse without harm.
    sysctl: tuple[tuple[str, str, Place | None], ...]
    routes: tuple[RoutePlan, ...]
    offload: bool
    firewall: Firewall | None
    at: Place


@dataclass(frozen=True, slots=True)
class LinkPlan:
    name: str
    kind: Literal["pair", "bridge", "middlebox"]  # middlebox: it has faults or a delay
    ends: tuple[Interface, ...]
    mtu: int
    delay_ns: int


@dataclass(frozen=True, slots=True)
class Plan:
    case: Case
    number: int  # of the lab in this run; gives it addresses of its own
    hosts: tuple[HostPlan, ...]
    links: tuple[LinkPlan, ...]
    names: dict[str, str]  # host -> the address by which the others reach it
    vantages: tuple[tuple[str, str, str], ...]  # (vantage, host, interface) to capture at
