"""The kernel's tracepoints: against what is expected of them, and against its own counters.

Only events of flows that a capture of the case shows are its: addresses alone may be another run's on
this machine. Where events were lost, or two cases shared addresses, the tracepoints are no witness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcpharness.evidence import Evidence, TraceEvent
from tcpharness.packet.address import address_text
from tcpharness.packet.segment import Segment, read_frame
from tcpharness.scenario.model import TraceExpect
from tcpharness.verdict.blind import Sight
from tcpharness.verdict.result import Agreement, Failure
from tcpharness.verdict.watched import Frames

End = tuple[str, int]
ETHERNET = 1


def judge_trace(sight: Sight, lacking: list[str]) -> Iterator[Failure]:
    """Failures; what could not be traced is added to `lacking`."""
    if not sight.case.expect.tracepoints:
        return
    events = own_events(sight)
    for wanted in sight.case.expect.tracepoints:
        why = untold(wanted.name, sight.evidence)
        if why:
            lacking.append(f"{wanted.at}: {why}")
            continue
        found = [e for e in events.get(wanted.host, []) if fits(e, wanted)]
        if not wanted.count.holds(len(found)):
            reason = f" with reason {wanted.reason}" if wanted.reason else ""
            others = [e for e in events.get(wanted.host, []) if e.name == wanted.name][:8]
            yield Failure(
                wanted.at,
                f"{wanted.name}{reason} {wanted.count} times at {wanted.host}",
                f"{len(found)} times",
                tuple(map(shown, others)),
            )


def fits(event: TraceEvent, wanted: TraceExpect) -> bool:
    return event.name == wanted.name and wanted.reason in (None, event.reason)


def untold(name: str, evidence: Evidence) -> str | None:
    """Why nothing is known of a tracepoint; None when it is."""
    trace = evidence.trace
    if trace is None or trace.refused:
        return f"the kernel's tracepoints can't be read: {trace.refused if trace else 'nobody asked'}"
    if name not in trace.traced:
        return f"this kernel has no tracepoint {name}"
    if trace.shared:
        return "the case shared its addresses with another, so tracepoints can't be told apart"
    return f"{trace.lost} events were lost, so tracepoints prove nothing" if trace.lost else None


def untraced(evidence: Evidence) -> Iterator[str]:
    """One witness fewer, in words."""
    if evidence.trace is not None and not evidence.trace.is_whole:
        why = untold("", evidence)
        yield f"one witness fewer: {why}"


def own_events(sight: Sight) -> dict[str, list[TraceEvent]]:
    """By host; of the flows that a capture shows."""
    hosts = {i.address: host.name for host in sight.plan.hosts for i in host.interfaces}
    flows = flows_in(sight.frames)
    found: dict[str, list[TraceEvent]] = {}
    for event in sight.evidence.trace.events if sight.evidence.trace else ():
        host = hosts.get(event.here[0])
        if host is not None and frozenset((event.here, event.there)) in flows:
            found.setdefault(host, []).append(event)
    return found


def flows_in(frames: Mapping[str, Frames]) -> set[frozenset[End]]:
    """Both ends of every flow in a capture."""
    s = Segment()
    raw: set[tuple[bytes, bytes, int, int]] = set()
    for of_vantage in frames.values():
        for _, frame in of_vantage:
            s.wire_len = len(frame)
            read_frame(s, frame, 0, len(frame), ETHERNET)
            if s.is_tcp:
                raw.add((s.src_bytes, s.dst_bytes, s.sport, s.dport))
    return {frozenset(((address_text(a), p), (address_text(b), q))) for a, b, p, q in raw}


def shown(event: TraceEvent) -> str:
    reason = f" {event.reason}" if event.reason else ""
    return f"{event.name} {event.here[0]}.{event.here[1]} > {event.there[0]}.{event.there[1]}{reason}"


# --- against the counters


def trace_agreements(sight: Sight) -> Iterator[Agreement]:
    """What the tracepoints told, and what the kernel counted. Never a law: kernels differ in when they trace,
    and the machine's other users pass the same tracepoints."""
    trace = sight.evidence.trace
    if trace is None or trace.refused:
        return
    events = own_events(sight)
    why = (
        untold("tcp_bad_csum", sight.evidence)
        or "tracepoints count buffers, and not every kernel traces alike"
    )
    for host, counted in sight.evidence.counters.items():
        of_host = events.get(host, [])
        for counter, names, at_most in COMPARED:
            traced = sum(e.name in names and not e.err for e in of_host)
            number = counted.get(counter)
            if number is None or not set(names) & set(trace.traced):
                continue
            # One retransmitted buffer may be several segments.
            holds = (traced > 0) == (number > 0) and traced <= number if at_most else traced == number
            yield Agreement(host, f"tracepoints: {' + '.join(names)}", traced, counter, number, holds, why)


COMPARED = (
    ("TcpRetransSegs", ("tcp_retransmit_skb", "tcp_retransmit_synack"), True),
    ("TcpInCsumErrors", ("tcp_bad_csum",), False),
    ("TcpOutRsts", ("tcp_send_reset",), False),
)
