"""The witnesses against each other: ledger against captures, and captures against captures.

Every frame that a host sent must have reached the middlebox, and every frame that a middlebox sent
must have reached the host, byte for byte; where a link has no middlebox the hosts' captures must
agree with one another. A frame that nobody can explain voids the run.

What a middlebox sent must have arrived in that order, and before the end marker that came the same way.

With offload on a host's frames are no wire's: several segments in one. The ledger has each of those
in its own right, so their bytes are counted; where captures alone speak, streams are compared.

A capture that is not whole (filter, snaplen, drops) is no witness here, and that is noted. Frames
after the first end marker explain others but need no explanation: traffic may still have been going
on while the captures ended one after another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations

from tcpharness.evidence import Evidence, LinkOutcome
from tcpharness.fault.ledger import Entry
from tcpharness.fault.offload import handed_down
from tcpharness.packet.segment import decode
from tcpharness.scenario.impairment import Act, Impairment
from tcpharness.scenario.plan import LinkPlan, Plan, cut_links
from tcpharness.verdict.arrival import untimely
from tcpharness.verdict.coverage import streams_against_each_other
from tcpharness.verdict.watched import (
    Frames,
    Reconciliation,
    Watched,
    digest,
    line,
    mac_of,
    names_of,
    watched_at,
)


def reconcile(plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> Reconciliation:
    """All links of a case."""
    result = Reconciliation()
    offload = {host.name for host in plan.hosts if host.offload}
    for link in plan.links:
        ends = [watched_at(plan, evidence, frames, end, result) for end in link.ends]
        names, ledger = names_of(plan), evidence.links.get(link.name)
        cut = any(end.host in offload for end in link.ends)
        if ledger is not None:
            allowed = Allowed(dict(link.impairments), link.name in cut_links(plan.case))
            against_ledger(ends, ledger, names, result, offload=cut, allowed=allowed)
            if evidence.in_order:
                result.discrepancies += untimely(ends, ledger, names, lanes=bool(link.impairments))
        elif cut:
            streams_against_each_other(ends, names, result)
        else:
            against_each_other(link, ends, names, result)
    return result


# --- with a middlebox


def against_ledger(
    ends: list[Watched],
    ledger: LinkOutcome,
    names: dict[str, str],
    result: Reconciliation,
    *,
    offload: bool = False,
    allowed: Allowed | None = None,
) -> None:
    """What came in was captured leaving its host, what went out was captured arriving; and the reverse."""
    result.discrepancies += unasked(ledger, names, pieces_of(ends, ledger) if offload else None, allowed)
    heads = {d: e for e in ledger.entries for _, d in e.went_out}
    heads |= {e.came_in[1]: e for e in ledger.entries if e.came_in}
    macs = {mac_of(watched.end) for watched in ends}
    for watched in ends:
        if watched.all is None:
            continue
        host, v = watched.end.host, watched.vantage
        sent, received = watched.sent(watched.all), watched.received(watched.all)
        book = Book(heads, names, result)
        came_in = book.arrivals(host, ledger, macs, {digest(f): f for _, f in sent})
        # What was consumed came after the end: the capture may have ended as well.
        late = Counter(e.came_in[1] for e in ledger.entries if e.came_in and e.fate == "consume")
        went_out = Counter(d for e in ledger.entries for h, d in e.went_out if h == host)
        never_came = f"left {host} (captured at {v}) and never reached the middlebox"
        report(watched.sent(watched.sure), came_in, never_came, names, result)
        never_went = f"arrived at {host} (captured at {v}) and the middlebox never sent it"
        report(watched.received(watched.sure), went_out, never_went, names, result)
        book.report(came_in - late, sent, f"reached the middlebox from {host} and was not captured at {v}")
        book.report(went_out, received, f"went out to {host} and was not captured at {v}")


Pieces = Mapping[int, frozenset[int]]  # a frame's digest -> those of what a device would make of it


def pieces_of(ends: list[Watched], ledger: LinkOutcome) -> Pieces:
    """Of every frame that was captured leaving a host with offload on."""
    longest: dict[int, int] = {}
    for e in ledger.entries:
        if e.came_in is not None:
            size = decode(e.head, wire_len=e.len_bytes).payload_len
            longest[e.came_in[1]] = max(size, longest.get(e.came_in[1], 0))
    return {
        key: frozenset(map(digest, handed_down(frame, longest[key])))
        for watched in ends
        for key, frame in {digest(f): f for _, f in watched.sent(watched.all)}.items()
        if key in longest
    }


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a link may do to frames that no fault names."""

    impairments: Mapping[str, Impairment] = field(default_factory=dict)  # by sending host
    is_cut: bool = False  # it is taken down at some time

    def explains(self, entry: Entry, what: str | None) -> bool:
        """True when the acts that the ledger names are the link's to do, and make what was done."""
        sender = entry.came_in[0] if entry.came_in else ""
        if entry.acts == ("down",):
            return self.is_cut and what == EFFECTS["down"]
        impairment = self.impairments.get(sender)
        may = impairment is not None and all(impairment.does(act) for act in entry.acts)
        return may and (what is None or any(what.startswith(EFFECTS[act]) for act in entry.acts))


# What an act comes to: how the words of `liberty` begin.
EFFECTS: dict[Act, str] = {
    "loss": "dropped",
    "queue": "dropped",
    "down": "dropped",
    "duplicate": "sent",
    "corrupt": "altered",
    "reorder": "late",  # nothing that can be seen of one frame
}


def unasked(
    ledger: LinkOutcome, names: dict[str, str], pieces: Pieces | None, allowed: Allowed | None = None
) -> Iterator[str]:
    """What the middlebox did to a frame that no fault had named, besides passing it on."""
    allowed = allowed or Allowed()
    for entry in ledger.entries:
        if entry.fault is not None or entry.fate == "consume":
            continue
        what = liberty(entry, pieces)
        if entry.acts and not allowed.explains(entry, what):
            acts = " and ".join(entry.acts)
            shown = line(entry.time_ns, entry.head, names)
            yield f"{shown}: {what or 'passed on'} by the middlebox for {acts}, which its link does not do"
        elif what and not entry.acts:
            shown = line(entry.time_ns, entry.head, names)
            yield f"{shown}: {what} by the middlebox, and no fault asked for it"


def liberty(entry: Entry, pieces: Pieces | None) -> str | None:
    """In a word; None when it was passed on, once to each host."""
    if entry.came_in is None:
        return "injected"
    if not entry.went_out:
        return "dropped"
    sender, digest = entry.came_in
    hosts = [host for host, _ in entry.went_out]
    if sender in hosts:
        return f"sent back to {sender}"
    same = frozenset({digest}) if pieces is None else pieces.get(digest)
    if same is not None and any(went not in same for _, went in entry.went_out):
        return "altered"
    return f"sent {len(hosts)} times" if len(set(hosts)) != len(hosts) else None


@dataclass(slots=True)
class Book:
    """The ledger's side of a comparison: digests, with entries to show for them."""

    heads: Mapping[int, Entry]
    names: dict[str, str]
    result: Reconciliation

    def arrivals(
        self, host: str, ledger: LinkOutcome, macs: set[bytes], sent: Mapping[int, bytes]
    ) -> Counter[int]:
        """The frames that came from a host, by digest. One to all may have an entry for each of them, and
        one that was cut (offload) has one for each piece; `sent` are those that were captured."""
        entries: dict[int, list[Entry]] = {}
        to_all: dict[int, Counter[tuple[str, ...]]] = {}
        for e in ledger.entries:
            if e.came_in is None or e.came_in[0] != host:
                continue
            if e.head[:6] in macs:
                entries.setdefault(e.came_in[1], []).append(e)
            else:
                to_all.setdefault(e.came_in[1], Counter())[tuple(h for h, _ in e.went_out)] += 1
        found = Counter({key: max(copies.values()) for key, copies in to_all.items()})
        for key, some in entries.items():
            frame = sent.get(key)
            if frame is None or all(e.len_bytes == len(frame) for e in some):
                found[key] += len(some)
            else:
                found[key] += self._joined(frame, some)
        return found

    def _joined(self, frame: bytes, pieces: list[Entry]) -> int:
        """How many frames like this one all these pieces are, by their payload."""
        payload = decode(frame).payload_len
        there = sum(decode(e.head, wire_len=e.len_bytes).payload_len for e in pieces)
        whole, rest = divmod(there, payload) if payload else (len(pieces), 0)
        if rest:
            what = f"of its {payload} bytes the ledger has {rest}"
            self.result.discrepancies.append(f"{line(pieces[0].time_ns, frame, self.names)}: {what}")
        return whole + bool(rest)

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
