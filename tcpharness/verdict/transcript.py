"""What a run was, without what the kernel chooses anew each time: two runs alike have the same transcript.

Numbers are relative to the initial ones; addresses are hosts; ports that nobody listens on are `*`. Left out
are times, pure ACKs, PSH, and how a stream was cut into segments (whether FIN came with the last of them,
too): the kernel's clocks decide those. What was sent again, to what end each stream came, what each fault and
impairment touched, what was found and how each endpoint ended is all there. Lines are sorted, for an
order between directions is an order in time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.evidence import ConnectionOutcome, EndpointOutcome, Evidence
from tcpharness.fault.ledger import Entry
from tcpharness.packet.segment import (
    ACK,
    EOL,
    FIN,
    MSS,
    NOP,
    PSH,
    RST,
    SACK,
    SACK_OK,
    SYN,
    TIMESTAMP,
    URG,
    WSCALE,
    Segment,
    decode,
    flags_text,
    seq_diff,
)
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.watched import MARKER, Frames, names_of

Ends = tuple[str, int, str, int]
# They tell of times alone, or of this machine's clock.
MEASURED = frozenset({"rtt_spike", "idle", "delayed_ack_stall", "out_of_order_capture_timestamps"})
KINDS = {MSS: "mss", SACK_OK: "sackOK", SACK: "sack", TIMESTAMP: "TS", WSCALE: "wscale"}
COUNTED = ("warning", "error")  # of notes and infos it says only that they are there: many count time


def transcript(plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> list[str]:
    """All lines of it, sorted within their parts: endpoints, faults, ledger, segments, findings."""
    heard = {vantage: [_tcp(data) for data in _until_marker(of)] for vantage, of in frames.items()}
    words = Words(plan, [segment for of in heard.values() for segment in of])
    return [
        *sorted(line for outcome in evidence.endpoints.values() for line in endpoint_lines(outcome)),
        *sorted(fired_lines(evidence)),
        *sorted(line for link in evidence.links.values() for line in ledger_lines(link.entries, words)),
        *sorted(line for vantage, of in heard.items() for line in segment_lines(vantage, of, words)),
        *sorted(finding_lines(evidence, words)),
    ]


def digest(lines: list[str]) -> str:
    """SHA-256 of the transcript, in hex: equal exactly when the lines are."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Words:
    """How ends and sequence numbers are called in a transcript."""

    def __init__(self, plan: Plan, segments: list[Segment]) -> None:
        self.names = names_of(plan)
        self.ports = {e.port for e in plan.case.endpoints if e.port is not None}
        self.ports |= {e.target.port for e in plan.case.endpoints if e.target and e.target.port is not None}
        self.ports |= {port for e in plan.case.endpoints for port in e.ports}
        self.first: dict[Ends, list[int]] = {}
        for segment in segments:
            if segment.is_tcp and segment.flags & (SYN | ACK | FIN | RST) in (SYN, SYN | ACK):
                known = self.first.setdefault(ends(segment), [])
                if segment.seq not in known:
                    known.append(segment.seq)
        for segment in segments:  # without a SYN, what came first is the beginning
            if segment.is_tcp:
                self.first.setdefault(ends(segment), [(segment.seq - 1) & 0xFFFFFFFF])

    def way(self, of: Ends) -> str:
        return f"{self._end(of[0], of[1])} > {self._end(of[2], of[3])}"

    def key(self, flow: FlowKey | None) -> str:
        return self.way((flow.src, flow.sport, flow.dst, flow.dport)) if flow else ""

    def found_at(self, finding: Finding) -> str:
        """` at 1449`: where in its direction's stream."""
        if finding.flow is None or finding.seq is None:
            return ""
        flow = finding.flow
        return f" at {self.place((flow.src, flow.sport, flow.dst, flow.dport), finding.seq)}"

    def relative(self, segment: Segment) -> int:
        """The sequence number from the nearest initial one."""
        return self.place(ends(segment), segment.seq)

    def place(self, of: Ends, seq: int) -> int:
        distances = [seq_diff(seq, first) for first in self.first.get(of, ())]
        return min(distances, key=abs, default=0)

    def segment(self, segment: Segment) -> str:
        """`client.* > server.105: data 1:1449`."""
        if not segment.is_tcp:
            return segment.kind
        return f"{self.way(ends(segment))}: {self.what(segment)}"

    def what(self, segment: Segment) -> str:
        at, flags = self.relative(segment), segment.flags & ~(PSH | ACK)
        if segment.payload_len and not flags:
            return f"data {at}:{at + segment.payload_len}"
        if not flags and segment.flags & ACK:
            return "ack"
        if segment.flags & SYN:
            return f"{flags_text(segment.flags & ~PSH)} {at} <{_offer(segment)}>"
        if flags == FIN:
            return f"FIN {at + segment.payload_len}"
        size = f":{at + segment.payload_len}({segment.payload_len})" if segment.payload_len else ""
        return f"{flags_text(segment.flags & ~PSH)} {at}{size}"

    def not_tcp(self, segment: Segment) -> str:
        if not segment.version:
            return segment.kind
        who = (self.names.get(address, address) for address in (segment.src, segment.dst))
        return f"{' > '.join(who)}: {segment.kind}"

    def _end(self, address: str, port: int) -> str:
        return f"{self.names.get(address, address)}.{port if port in self.ports else '*'}"


@dataclass(slots=True)
class Stream:
    """One direction between two ends: what of it was seen, and what again."""

    seen: list[tuple[int, int]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # SYN, FIN, RST, repeats, ...
    options: set[str] = field(default_factory=set)  # kinds, on whatever is no SYN

    def take(self, what: str, start: int, end: int, plain: bool) -> None:
        if not plain:
            self.others[what] += 1
        if end > start:
            if any(a < end and start < b for a, b in self.seen):
                self.others[f"again {start}:{end}"] += 1
            self.seen = _merged([*self.seen, (start, end)])

    def text(self) -> str:
        ranges = [f"data {a}:{b}" for a, b in self.seen]
        options = [f"<{', '.join(sorted(self.options))}>"] if self.options else []
        return ", ".join([*ranges, *(f"{n} x {what}" for what, n in sorted(self.others.items())), *options])


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def segment_lines(vantage: str, segments: list[Segment], words: Words) -> Iterator[str]:
    """A line for each direction between two ends, and one for each kind of what is not TCP."""
    streams: dict[Ends, Stream] = {}
    yield from {f"{vantage}: {words.not_tcp(segment)}" for segment in segments if not segment.is_tcp}
    for segment in segments:
        if not segment.is_tcp:
            continue
        stream = streams.setdefault(ends(segment), Stream())
        what, at = words.what(segment), words.relative(segment)
        plain = segment.flags & (SYN | FIN | RST | URG) == 0 and bool(segment.flags & ACK)
        stream.take(what, at, at + segment.payload_len, plain)
        if not segment.flags & SYN:
            stream.options |= _kinds(segment)
    for of, stream in streams.items():
        yield f"{vantage}: {words.way(of)}: {stream.text()}"


def endpoint_lines(outcome: EndpointOutcome) -> Iterator[str]:
    told = [f"error {outcome.error}"] if outcome.error else []
    told += [f"unfinished: {outcome.unfinished}"] if outcome.unfinished else []
    told += [f"exit {outcome.exit_status}"] if outcome.exit_status and not outcome.ended_by_us else []
    told += [f"took {name} x {count}" for name, count in sorted(outcome.took.items())]
    yield f"endpoint {outcome.name}: {', '.join(told) or 'done'}"
    if (outcome.error or "").startswith("SIG"):
        return  # killed: what it had told of its connections until then is chance
    for text, count in Counter(map(_connection, outcome.connections)).items():
        yield f"endpoint {outcome.name}: {count} x {text}"


def _offer(segment: Segment) -> str:
    """A SYN's options, without values that are new each time."""
    told = [f"mss {segment.mss}"] if segment.mss >= 0 else []
    told += ["sackOK"] if segment.sack_ok else []
    told += ["TS"] if segment.tsval >= 0 else []
    told += [f"wscale {segment.wscale}"] if segment.wscale >= 0 else []
    return ", ".join([*told, *sorted(_kinds(segment) - set(KINDS.values()))])


def _kinds(segment: Segment) -> set[str]:
    return {KINDS.get(kind, f"option {kind}") for kind, _ in segment.options if kind not in (EOL, NOP)}


def _connection(connection: ConnectionOutcome) -> str:
    error = f", {connection.error}" if connection.error else ""
    return f"sent {connection.sent_bytes}, received {connection.received_bytes}{error}"


def fired_lines(evidence: Evidence) -> Iterator[str]:
    fired: Counter[str] = Counter()
    for link in evidence.links.values():
        fired.update(link.fired)
    fired.update(event.name for event in evidence.events)
    yield from (f"fault {name} fired {count} x" for name, count in fired.items())


def ledger_lines(entries: list[Entry], words: Words) -> Iterator[str]:
    """What faults and impairments have touched, and how."""
    touched: Counter[str] = Counter()
    for entry in entries:
        if entry.fault is None and not entry.acts:
            continue
        who = ", ".join(entry.faults or ([entry.fault] if entry.fault else []))
        what = " ".join([entry.fate, *map(str, entry.acts), *([f"by {who}"] if who else [])])
        touched[f"ledger: {what}: {words.segment(decode(entry.head, wire_len=entry.len_bytes))}"] += 1
    yield from (f"{line} x {count}" if count > 1 else line for line, count in touched.items())


def finding_lines(evidence: Evidence, words: Words) -> Iterator[str]:
    for vantage, capture in evidence.captures.items():
        found: Counter[str] = Counter()
        for finding in capture.report.findings if capture.report else ():
            if finding.name in MEASURED:
                continue
            name = f"{finding.name} ({finding.kind})" if finding.kind else finding.name
            line = f"found at {vantage}: {finding.level} {name} {words.key(finding.flow)}".rstrip()
            if finding.level in COUNTED:
                found[line + words.found_at(finding)] += 1
            else:
                found[line] = 1
        yield from (f"{line} x {count}" if count > 1 else line for line, count in found.items())


def ends(segment: Segment) -> Ends:
    return (segment.src, segment.sport, segment.dst, segment.dport)


def _tcp(frame: bytes) -> Segment:
    return decode(frame)


def _until_marker(frames: Frames) -> Iterator[bytes]:
    for _, frame in frames:
        if frame[12:14] == MARKER:
            return
        yield frame
