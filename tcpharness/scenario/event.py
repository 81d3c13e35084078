"""What an event changes in the lab: part of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcpharness.scenario.model import Firewall, Route


@dataclass(frozen=True, slots=True)
class Cut:
    """A link stops carrying frames, or carries them again. The middlebox does it: hosts notice nothing."""

    link: str
    down: bool


@dataclass(frozen=True, slots=True)
class FirewallChange:
    """Ports of a host's firewall are moved to another list, or its policy becomes another one."""

    host: str
    rules: Firewall  # only what changes; its policy counts where `policy` says so
    policy: bool
    established: bool  # for every segment of these ports, not only for new connections


@dataclass(frozen=True, slots=True)
class RouteChange:
    host: str
    route: Route
    unreachable: bool  # nothing gets there any more


@dataclass(frozen=True, slots=True)
class SysctlChange:
    host: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class AddressChange:
    """The address of a host's interface (`eth0`) is taken away, or comes back."""

    host: str
    interface: str
    gone: bool


@dataclass(frozen=True, slots=True)
class CaptureStart:
    """The capture at this vantage begins only now."""

    vantage: str


Change = Cut | FirewallChange | RouteChange | SysctlChange | AddressChange | CaptureStart
