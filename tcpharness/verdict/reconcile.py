"""The witnesses against each other: ledger against captures, and captures against captures.

Every frame that a host sent must have reached the middlebox, and every frame that a middlebox sent
must have reached the host, byte for byte; where a link has no middlebox the hosts' captures must
agree with one another. A frame that nobody can explain voids the run.

A capture that is not whole (filter, snaplen, drops) is no witness here, and that is noted. Frames
after the first end marker explain others but need no explanation: traffic may still have been going
on while the captures ended one after another.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tcpharness.evidence import Evidence, LinkOutcome
from tcpharness.packet.notation import format_segment
from tcpharness.packet.segment import decode
from tcpharness.scenario.plan import Interface, LinkPlan, Plan

MARKER = b"\x88\xb5"
Frames = Sequence[tuple[int, bytes]]  # (time_ns, frame)


@dataclass(slots=True)
class Reconciliation:
    discrepancies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0  # frames


def reconcile(plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> Reconciliation:
    """All links of a case."""
    result = Reconciliation()
    offload = {host.name for host in plan.hosts if host.offload}
    for link in plan.links:
        if any(end.host in offload for end in link.ends):
            result.notes.append(
                f"link {link.name} is not reconciled: offload is on, and captures hold other frames than wires"
            )
            continue
        ends = [Watched(end, *whole(plan, evidence, frames, end, result)) for end in link.ends]
        if link.name in evidence.links:
            against_ledger(link, ends, evidence.links[link.name], names_of(plan), result)
        else:
            against_each_other(link, ends, names_of(plan), result)
    return result


@dataclass(slots=True)
class Watched:
    """One end of a link, and what was captured there: None when it can't serve as a witness."""

    end: Interface
    vantage: str | None
    sure: Frames | None  # before the first end marker: these must be explained
    all: Frames | None  # these may explain others

    def sent(self, frames: Frames | None) -> list[tuple[int, bytes]]:
        """Those that left this host."""
        own = bytes.fromhex(self.end.mac.replace(":", ""))
        return [f for f in frames or () if f[1][6:12] == own and f[1][12:14] != MARKER]

    def received(self, frames: Frames | None) -> list[tuple[int, bytes]]:
        own = bytes.fromhex(self.end.mac.replace(":", ""))
        return [f for f in frames or () if f[1][6:12] != own and f[1][12:14] != MARKER]


def names_of(plan: Plan) -> dict[str, str]:
    return {i.address: host.name for host in plan.hosts for i in host.interfaces}


def whole(
    plan: Plan, evidence: Evidence, frames: Mapping[str, Frames], end: Interface, result: Reconciliation
) -> tuple[str | None, Frames | None, Frames | None]:
    """The end's vantage and its frames, when its capture can serve as a witness."""
    for vantage, host, interface in plan.vantages:
        if (host, interface) == (end.host, end.name):
            outcome = evidence.captures.get(vantage)
            if outcome is not None and outcome.complete():
                everything = frames.get(vantage, ())
                return vantage, before_markers(everything), everything
            result.notes.append(
                f"the capture at {vantage} is not whole, so it is no witness of the reconciliation"
            )
            return vantage, None, None
    return None, None, None


def before_markers(frames: Frames) -> Frames:
    for index, (_, frame) in enumerate(frames):
        if frame[12:14] == MARKER:
            return frames[:index]
    return frames


def digest(frame: bytes) -> int:
    return zlib.crc32(frame)


def against_ledger(
    link: LinkPlan, ends: list[Watched], ledger: LinkOutcome, names: dict[str, str], result: Reconciliation
) -> None:
    """What came in was captured leaving its host, what went out was captured arriving; and the reverse."""
    for watched in ends:
        if watched.all is None:
            continue
        host = watched.end.host
        came_in = Counter(e.came_in[1] for e in ledger.entries if e.came_in and e.came_in[0] == host)
        went_out = Counter(d for e in ledger.entries for h, d in e.went_out if h == host)
        heads = {e.came_in[1]: e.head for e in ledger.entries if e.came_in}
        heads |= {d: e.head for e in ledger.entries for _, d in e.went_out}
        firm = Counter(
            e.came_in[1] for e in ledger.entries if e.came_in and e.came_in[0] == host and e.fate != "consume"
        )  # fmt: skip
        v = watched.vantage
        report(
            watched.sent(watched.sure),
            came_in,
            f"left {host} (captured at {v}) and never reached the middlebox",
            names,
            result,
        )
        report(
            watched.received(watched.sure),
            went_out,
            f"arrived at {host} (captured at {v}) and the middlebox never sent it",
            names,
            result,
        )
        report_ledger(
            firm,
            watched.sent(watched.all),
            heads,
            f"reached the middlebox from {host} and was not captured at {v}",
            names,
            result,
        )
        report_ledger(
            went_out,
            watched.received(watched.all),
            heads,
            f"went out to {host} and was not captured at {v}",
            names,
            result,
        )


def against_each_other(
    link: LinkPlan, ends: list[Watched], names: dict[str, str], result: Reconciliation
) -> None:
    """Each unicast frame between two watched hosts is in both captures."""
    by_mac = {bytes.fromhex(w.end.mac.replace(":", "")): w for w in ends if w.all is not None}
    for here in by_mac.values():
        for there in by_mac.values():
            if here is there:
                continue
            mac_here, mac_there = (bytes.fromhex(w.end.mac.replace(":", "")) for w in (here, there))
            sent = [f for f in here.sent(here.sure) if f[1][:6] == mac_there]
            arrived = Counter(digest(f) for _, f in there.received(there.all))
            report(sent, arrived, f"left {here.end.host} and never reached {there.end.host}", names, result)
            came = [f for f in there.received(there.sure) if f[1][6:12] == mac_here]
            left = Counter(digest(f) for _, f in here.sent(here.all))
            report(came, left, f"arrived at {there.end.host} and never left {here.end.host}", names, result)


def report(
    frames: Iterable[tuple[int, bytes]],
    explained_by: Counter[int],
    what: str,
    names: dict[str, str],
    result: Reconciliation,
) -> None:
    """Each frame takes one of its equals away; one that finds none is a discrepancy."""
    left = explained_by.copy()
    for time_ns, frame in frames:
        result.compared += 1
        key = digest(frame)
        if left[key] > 0:
            left[key] -= 1
        else:
            result.discrepancies.append(f"{line(time_ns, frame, names)}: {what}")


def report_ledger(
    wanted: Counter[int],
    frames: Iterable[tuple[int, bytes]],
    heads: dict[int, bytes],
    what: str,
    names: dict[str, str],
    result: Reconciliation,
) -> None:
    missing = wanted - Counter(digest(frame) for _, frame in frames)
    for key in missing.elements():
        result.discrepancies.append(f"{line(0, heads[key], names)}: {what}")


def line(time_ns: int, frame: bytes, names: dict[str, str]) -> str:
    return format_segment(decode(frame, time_ns=time_ns), names=names)
