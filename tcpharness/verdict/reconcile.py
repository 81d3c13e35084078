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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from tcpharness.evidence import Evidence, LinkOutcome
from tcpharness.fault.ledger import Entry
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
                f"link {link.name} is not reconciled: offload is on, so captures hold no wire's frames"
            )
            continue
        ends = [Watched(end, *whole(plan, evidence, frames, end, result)) for end in link.ends]
        if link.name in evidence.links:
            against_ledger(ends, evidence.links[link.name], names_of(plan), result)
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
        own = mac_of(self.end)
        return [f for f in frames or () if f[1][6:12] == own and f[1][12:14] != MARKER]

    def received(self, frames: Frames | None) -> list[tuple[int, bytes]]:
        own = mac_of(self.end)
        return [f for f in frames or () if f[1][6:12] != own and f[1][12:14] != MARKER]


def mac_of(end: Interface) -> bytes:
    return bytes.fromhex(end.mac.replace(":", ""))


def names_of(plan: Plan) -> dict[str, str]:
    scripts = {address: name for name, own in plan.scripted.items() for address in own}
    return {i.address: host.name for host in plan.hosts for i in host.interfaces} | scripts


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


# --- with a middlebox


def against_ledger(
    ends: list[Watched], ledger: LinkOutcome, names: dict[str, str], result: Reconciliation
) -> None:
    """What came in was captured leaving its host, what went out was captured arriving; and the reverse."""
    result.discrepancies += unasked(ledger, names)
    heads = {d: e for e in ledger.entries for _, d in e.went_out}
    heads |= {e.came_in[1]: e for e in ledger.entries if e.came_in}
    for watched in ends:
        if watched.all is None:
            continue
        host, v = watched.end.host, watched.vantage
        came_in = arrivals(host, ledger, ends)
        # What was consumed came after the end: the capture may have ended as well.
        late = Counter(e.came_in[1] for e in ledger.entries if e.came_in and e.fate == "consume")
        went_out = Counter(d for e in ledger.entries for h, d in e.went_out if h == host)
        sent, received = watched.sent(watched.all), watched.received(watched.all)
        book = Book(heads, names, result)
        never_came = f"left {host} (captured at {v}) and never reached the middlebox"
        report(watched.sent(watched.sure), came_in, never_came, names, result)
        never_went = f"arrived at {host} (captured at {v}) and the middlebox never sent it"
        report(watched.received(watched.sure), went_out, never_went, names, result)
        book.report(came_in - late, sent, f"reached the middlebox from {host} and was not captured at {v}")
        book.report(went_out, received, f"went out to {host} and was not captured at {v}")


def arrivals(host: str, ledger: LinkOutcome, ends: list[Watched]) -> Counter[int]:
    """The frames that came from a host. One to all may have an entry for each of them."""
    macs = {mac_of(watched.end) for watched in ends}
    found: Counter[int] = Counter()
    to_all: dict[int, Counter[tuple[str, ...]]] = {}
    for e in ledger.entries:
        if e.came_in is None or e.came_in[0] != host:
            continue
        if e.head[:6] in macs:
            found[e.came_in[1]] += 1
        else:
            to_all.setdefault(e.came_in[1], Counter())[tuple(h for h, _ in e.went_out)] += 1
    for key, copies in to_all.items():
        found[key] += max(copies.values())
    return found


def unasked(ledger: LinkOutcome, names: dict[str, str]) -> Iterator[str]:
    """What the middlebox did to a frame that no fault had named, besides passing it on."""
    for entry in ledger.entries:
        what = None if entry.fault is not None or entry.fate == "consume" else liberty(entry)
        if what:
            shown = line(entry.time_ns, entry.head, names)
            yield f"{shown}: {what} by the middlebox, and no fault asked for it"


def liberty(entry: Entry) -> str | None:
    """In a word; None when it was passed on, once to each host."""
    if entry.came_in is None:
        return "injected"
    if not entry.went_out:
        return "dropped"
    sender, digest = entry.came_in
    hosts = [host for host, _ in entry.went_out]
    if sender in hosts:
        return f"sent back to {sender}"
    if any(went != digest for _, went in entry.went_out):
        return "altered"
    return f"sent {len(hosts)} times" if len(set(hosts)) != len(hosts) else None


@dataclass(slots=True)
class Book:
    """The ledger's side of a comparison: digests, with entries to show for them."""

    heads: Mapping[int, Entry]
    names: dict[str, str]
    result: Reconciliation

    def report(self, wanted: Counter[int], frames: Iterable[tuple[int, bytes]], what: str) -> None:
        """Each digest takes one equal frame away; one that finds none is a discrepancy."""
        missing = wanted - Counter(digest(frame) for _, frame in frames)
        for key in missing.elements():
            entry = self.heads[key]
            self.result.discrepancies.append(f"{line(entry.time_ns, entry.head, self.names)}: {what}")


# --- without one


def against_each_other(
    link: LinkPlan, ends: list[Watched], names: dict[str, str], result: Reconciliation
) -> None:
    """Each unicast frame between two watched hosts is in both captures."""
    for here, there in permutations([w for w in ends if w.all is not None], 2):
        sent = [f for f in here.sent(here.sure) if f[1][:6] == mac_of(there.end)]
        arrived = Counter(digest(f) for _, f in there.received(there.all))
        report(sent, arrived, f"left {here.end.host} and never reached {there.end.host}", names, result)
        came = [f for f in there.received(there.sure) if f[1][6:12] == mac_of(here.end)]
        left = Counter(digest(f) for _, f in here.sent(here.all))
        report(came, left, f"arrived at {there.end.host} and never left {here.end.host}", names, result)
    if link.kind == "pair":  # a bridge may have words of its own
        macs = {mac_of(end) for end in link.ends}
        for watched in ends:
            strange = [f for f in watched.received(watched.sure) if f[1][6:12] not in macs]
            what = f"arrived at {watched.end.host} from nobody on this link"
            report(strange, Counter(), what, names, result)


# --- the comparison


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


def line(time_ns: int, frame: bytes, names: dict[str, str]) -> str:
    return format_segment(decode(frame, time_ns=time_ns), names=names)
