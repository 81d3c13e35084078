"""Captures against kernels: what a host sent and received, and what its kernel counted of it.

A law is an equality, or a bound, that holds on every Linux whatever TCP decides, so that breaking it
means that a witness is wrong: the run is void. It is relied on only where nothing else can explain a
difference (whole captures of every interface, no offload, no traffic on lo, sockets at rest, ...);
where something can, the comparison is made and kept all the same, and `why` says what keeps it from
being a law. While a host has not come to rest its counters may only be ahead of its captures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tcpharness.evidence import Evidence
from tcpharness.packet.notation import format_segment
from tcpharness.packet.segment import decode
from tcpharness.scenario.plan import HostPlan, Plan
from tcpharness.verdict.result import Agreement
from tcpharness.verdict.tallies import Tallier, Tally
from tcpharness.verdict.watched import Frames, names_of

Counted = Mapping[str, int]
KERNELS = ("listen", "connect")  # endpoints whose segments are all the kernel's


@dataclass(frozen=True, slots=True)
class Law:
    """`captured` (low, high) against the counters' sum; equal ends where only one number will do.

    `hindrances` are counters that make it no law when they have moved: name -> what that means.
    """

    name: str  # in words, of the captures' side
    counters: tuple[str, ...]  # of the kernel's side: their sum
    captured: Callable[[Tally], tuple[int, int]]
    sort: str | None = None  # of the frames that are shown when it does not hold
    by_firewall: bool = False  # a firewall may answer or swallow segments uncounted
    incoming: bool = False
    hindrances: dict[str, str] = field(default_factory=dict)


def exactly(number: Callable[[Tally], int]) -> Callable[[Tally], tuple[int, int]]:
    return lambda tally: (number(tally), number(tally))


# Counted before the segment is given to IP, which may have no way for it.
UNSENT = {
    "IpOutNoRoutes": "packets without a route",
    "IpOutDiscards": "packets that were never sent",
    "Ip6OutNoRoutes": "packets without a route",
    "Ip6OutDiscards": "packets that were never sent",
    "TcpExtTCPRetransFail": "retransmissions that were never sent",
    "TcpExtTCPFastOpenActive": "data on SYNs",
    "TcpExtTCPFastOpenPassive": "data on SYNs",
}
REFUSED = {
    "TcpExtIPReversePathFilter": "packets that came the wrong way",
    "IpInAddrErrors": "packets with unfit addresses",
    "Ip6InAddrErrors": "packets with unfit addresses",
    "IpInDiscards": "packets that IP discarded",
    "Ip6InDiscards": "packets that IP discarded",
}
COOKIES = {"TcpExtSyncookiesSent": "SYN cookies, which are sent again uncounted"}

LAWS = (
    # A SYN-ACK that is sent again is counted as sent and as sent again (tcp_rtx_synack).
    Law(
        "segments sent",
        ("TcpOutSegs", "TcpRetransSegs"),
        exactly(lambda t: t.sent + t.syn_ack_again),
        by_firewall=True,
        hindrances=UNSENT | COOKIES,
    ),
    Law(
        "segments sent again",
        ("TcpRetransSegs",),
        exactly(lambda t: t.sent_again),
        "sent_again",
        hindrances=UNSENT | COOKIES,
    ),
    Law(
        "SYNs and SYN-ACKs sent again",
        ("TcpExtTCPSynRetrans",),
        exactly(lambda t: t.syn_again + t.syn_ack_again),
        "sent_again",
        hindrances=UNSENT | COOKIES,
    ),
    # Those that recovery sent are counted one by one; timeouts and probes send one, or none.
    Law(
        "data sent again, at least what recovery sent",
        ("TcpExtTCPFastRetrans", "TcpExtTCPSlowStartRetrans"),
        lambda t: (0, t.sent_again - t.syn_again - t.syn_ack_again),
        "sent_again",
        hindrances=UNSENT | COOKIES,
    ),
    Law(
        "resets sent",
        ("TcpOutRsts",),
        exactly(lambda t: t.resets_sent),
        "resets_sent",
        by_firewall=True,
        hindrances={**UNSENT, "TcpExtTCPAbortFailed": "resets that were never sent"},
    ),
    # Whoever leaves ESTABLISHED or CLOSE-WAIT at once was reset, resets, or gives up in silence.
    Law(
        "resets, at least the connections cut by them",
        ("TcpEstabResets",),
        lambda t: (0, t.resets),
        "resets",
        by_firewall=True,
        hindrances={
            **UNSENT,
            "TcpExtTCPAbortFailed": "resets that were never sent",
            "TcpExtTCPAbortOnTimeout": "connections given up in silence",
            "TcpExtTCPAbortOnMemory": "connections given up for lack of memory",
        },
    ),
    # Lack of memory closes a window uncounted, so that the captures may show more.
    Law(
        "windows closed, at least",
        ("TcpExtTCPToZeroWindowAdv",),
        lambda t: (0, t.closed + t.closed_by_reset),
        "closed",
        hindrances=UNSENT,
    ),
    Law(
        "segments received",
        ("TcpInSegs",),
        exactly(lambda t: t.received),
        by_firewall=True,
        incoming=True,
        hindrances=REFUSED,
    ),
    Law(
        "segments received with a bad checksum",
        ("TcpInCsumErrors",),
        exactly(lambda t: t.received_bad),
        "received_bad",
        by_firewall=True,
        incoming=True,
        hindrances=REFUSED,
    ),
)


def agreements(plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> Iterator[Agreement]:
    """Every law at every host that has counters and a capture."""
    names = names_of(plan)
    for host in plan.hosts:
        counted = evidence.counters.get(host.name)
        if counted and host.interfaces:
            yield from _of_host(Witnessed(plan, host, evidence, frames, names), counted)


def broken_laws(found: list[Agreement]) -> Iterator[str]:
    """Those that a run can't stand with, each with the packets that it counts."""
    for each in found:
        if not each.holds and each.why is None:
            said = (
                f"{each.host}: {each.captured} {each.what} by its captures, {each.counted} by {each.counter}"
            )
            yield "\n      ".join([said, *each.packets])


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A host and all that was seen of it."""

    plan: Plan
    host: HostPlan
    evidence: Evidence
    frames: Mapping[str, Frames]
    names: dict[str, str]  # of everybody here, by address

    def tally(self) -> Tally:
        seen = [frame for vantage, _ in self.vantages() for frame in self.frames.get(vantage, ())]
        if len(self.host.interfaces) > 1:
            seen.sort(key=lambda frame: frame[0])
        macs = {bytes.fromhex(i.mac.replace(":", "")) for i in self.host.interfaces}
        return Tallier([i.address for i in self.host.interfaces], self.names).count(seen, macs)

    def vantages(self) -> Iterator[tuple[str, str]]:
        for vantage, host, interface in self.plan.vantages:
            if host == self.host.name and interface != "lo":
                yield vantage, interface

    def doubts(self) -> Iterator[str]:
        """What keeps every law from being one here."""
        name = self.host.name
        seen = {interface: vantage for vantage, interface in self.vantages()}
        for interface in self.host.interfaces:
            outcome = self.evidence.captures.get(seen.get(interface.name, ""))
            if outcome is None or not outcome.complete():
                yield f"not everything was captured at {interface.name}"
        if self.host.offload:
            yield "offload is on"
        if any(name in event.hosts for event in self.evidence.events):
            yield "an event has changed it"
        if self.evidence.loopback.get(name, 0):
            yield "there was traffic on lo"
        if any(e.host == name and e.kind not in KERNELS for e in self.evidence.endpoints.values()):
            yield "something other than its kernel may have sent segments"

    def at_rest(self) -> bool:
        """True when nothing could be sent any more by the time that the counters were read."""
        moving = any(e.unfinished is not None for e in self.evidence.endpoints.values())
        at = f"{self.host.name}: "
        return not moving and not any(line.startswith(at) for line in self.evidence.unsettled)


def _of_host(seen: Witnessed, counted: Counted) -> Iterator[Agreement]:
    tally, at_rest = seen.tally(), seen.at_rest()
    doubt = next(seen.doubts(), None)
    for law in LAWS:
        low, high = law.captured(tally)
        number = sum(counted.get(name, 0) for name in law.counters)
        holds = low <= number <= high
        why = doubt or _hindrance(law, tally, counted, seen.host.firewall is not None)
        if number > high and why is None and not at_rest:
            why = "it had not come to rest, and counted on"
        shown = () if holds else tally.shown.get(law.sort or "", ())
        yield Agreement(
            host=seen.host.name,
            what=law.name,
            captured=high,
            counter=" + ".join(law.counters),
            counted=number,
            holds=holds,
            why=why,
            packets=tuple(format_segment(decode(f, time_ns=at), names=seen.names) for at, f in shown),
        )


def _hindrance(law: Law, tally: Tally, counted: Counted, firewall: bool) -> str | None:
    """What makes this law none, at this host, in this run."""
    lacking = [name for name in law.counters if name not in counted]
    if lacking:
        return f"this kernel has no counter {lacking[0]}"
    if law.by_firewall and firewall:
        return "a firewall answers and swallows segments that no TCP counts"
    odd = tally.odd_received if law.incoming else tally.odd_sent
    if odd:
        return f"{odd} segments are no plain TCP, or from nobody here"
    return next((f"{counted[n]} {what}" for n, what in law.hindrances.items() if counted.get(n)), None)
