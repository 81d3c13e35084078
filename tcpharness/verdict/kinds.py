"""Kinds of retransmission, as the analysis found them at the sender, beside the kernel's own counts.

Shown, never a law: which kind one is is the analysis' judgement, and several of the kernel's counters
count causes (a timeout, a probe) of which not every one sends a segment again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tcpharness.analysis.finding import Finding
from tcpharness.verdict.blind import Sight
from tcpharness.verdict.result import Agreement

WHY = "kinds are the analysis' judgement"
FAMILY = (
    "retransmission",
    "syn_retransmission",
    "synack_retransmission",
    "spurious_retransmission",
    "spurious_timeout",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """Findings of these kinds (or of this name) and the counters that should know of them."""

    what: str
    kinds: tuple[str, ...]
    counters: tuple[str, ...]
    name: str | None = None
    at_most: bool = False  # the kernel may count more of them


COMPARED = (
    Compared("fast retransmissions", ("fast", "recovery"), ("TcpExtTCPFastRetrans",)),
    Compared("retransmissions in slow start", ("slow_start",), ("TcpExtTCPSlowStartRetrans",)),
    Compared("retransmissions by timeout", ("rto",), ("TcpExtTCPTimeouts",), at_most=True),
    Compared("tail-loss probes that were sent again", ("tlp",), ("TcpExtTCPLossProbes",), at_most=True),
    Compared("SYNs and SYN-ACKs sent again", ("syn",), ("TcpExtTCPSynRetrans",)),
    Compared(
        "spurious retransmissions",
        (),
        ("TcpExtTCPDSACKRecv", "TcpExtTCPDSACKOfoRecv"),
        "spurious_retransmission",
        at_most=True,
    ),
    # The kernel counts those of SYN-ACKs and FINs as well, and without SACK one of them twice.
    Compared("timeouts taken back", (), ("TcpExtTCPLossUndo",), "spurious_timeout", at_most=True),
    Compared("timeouts taken back by F-RTO", ("f_rto",), ("TcpExtTCPSpuriousRTOs",), at_most=True),
)


def kind_agreements(sight: Sight) -> Iterator[Agreement]:
    """For each host with a capture that was analysed."""
    hosts = {i.address: host.name for host in sight.plan.hosts for i in host.interfaces}
    found = list(sent_again(sight, hosts))
    for host in {name: None for name, _ in found}:
        counted = sight.evidence.counters.get(host, {})
        kinds = Counter(finding.kind for name, finding in found if name == host)
        names = Counter(finding.name for name, finding in found if name == host)
        for each in COMPARED:
            if any(counter not in counted for counter in each.counters):
                continue
            captured = names[each.name] if each.name else sum(kinds[kind] for kind in each.kinds)
            number = sum(counted[counter] for counter in each.counters)
            holds = captured <= number if each.at_most else captured == number
            if captured or number:
                yield Agreement(host, each.what, captured, " + ".join(each.counters), number, holds, WHY)


def sent_again(sight: Sight, hosts: dict[str, str]) -> Iterator[tuple[str, Finding]]:
    """(host, finding) of every retransmission that was found where it was sent."""
    at = {vantage: host for vantage, host, _ in sight.plan.vantages}
    for vantage, outcome in sight.evidence.captures.items():
        for finding in outcome.report.findings if outcome.report else ():
            sender = hosts.get(finding.flow.src) if finding.flow else None
            if finding.name in FAMILY and sender is not None and sender == at[vantage]:
                yield sender, finding
