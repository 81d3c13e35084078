"""What makes the evidence no evidence: a witness that could not see, in words.

Silence proves something only where it would have been heard: a watched vantage needs a capture of
everything, ended by its marker, analysed, with the traffic of its own host in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tcpharness.evidence import CaptureOutcome, ConnectionOutcome, Evidence
from tcpharness.packet.segment import Segment, decode
from tcpharness.scenario.model import Case
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.watched import MARKER, Frames

TCP = 6
Flow = tuple[tuple[str, int], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Sight:
    """All that can be looked at."""

    case: Case
    plan: Plan
    evidence: Evidence
    frames: Mapping[str, Frames]


def blind_spots(sight: Sight) -> Iterator[str]:
    """Everything that may have been missed."""
    yield from blind_links(sight)
    for capture in sight.evidence.captures.values():
        yield from blind_capture(capture, sight.frames.get(capture.vantage, ()))
    for watched in sight.case.expect.findings:
        if watched.vantage != "any":
            yield from blind_vantage(watched.vantage, str(watched.at), sight)
        elif not any(serves(vantage, sight) for vantage in sight.evidence.captures):
            yield f"{watched.at}: no capture holds everything, so nothing can be found anywhere"
    for host, at in {c.host: c.at for c in sight.case.expect.counters}.items():
        if not sight.evidence.counters.get(host):
            yield f"{at}: the counters of {host} were never read"
    if not sight.evidence.endpoints and not any(any_tcp(frames) for frames in sight.frames.values()):
        yield f"{sight.case.at}: nothing happened, so nothing is proved"


# --- links


def blind_links(sight: Sight) -> Iterator[str]:
    for link in sight.plan.links:
        if link.kind != "middlebox":
            continue
        outcome = sight.evidence.links.get(link.name)
        if outcome is None:
            yield f"the middlebox of link {link.name} left no ledger"
        elif outcome.error:
            yield f"the middlebox of link {link.name}: {outcome.error}"
        elif not outcome.entries and not any(
            serves(vantage, sight)
            for vantage, host, interface in sight.plan.vantages
            if (host, interface) in [(end.host, end.name) for end in link.ends]
        ):
            yield f"the ledger of link {link.name} is empty, and no capture there says why"


# --- captures


def blind_capture(capture: CaptureOutcome, frames: Frames) -> Iterator[str]:
    """Of any capture, watched or not: its end is known, and all of it was read."""
    if capture.error:
        yield f"the capture at {capture.vantage}: {capture.error}"
    elif not capture.marker_seen and not capture.ended_by_count:
        yield f"the capture at {capture.vantage} never showed its end marker, so nobody knows what it missed"
    if capture.report is not None:
        for problem in capture.report.problems:
            yield f"the capture at {capture.vantage} could not be read to its end: {problem}"
        if capture.report.frames != len(frames):
            seen = f"{capture.report.frames} of {len(frames)} frames"
            yield f"of the capture at {capture.vantage} the analysis saw {seen}"


def blind_vantage(vantage: str, at: str, sight: Sight) -> Iterator[str]:
    """A watched vantage needs a capture of everything, with its host's traffic in it."""
    capture = sight.evidence.captures.get(vantage)
    if capture is None:
        yield f"{at}: nothing was captured at {vantage}, which is watched"
    elif capture.error:
        return  # said already
    elif how := restriction(capture):
        yield f"{at}: the capture at {vantage} {how}, so its silence proves nothing; watch another vantage"
    elif capture.report is None:
        yield f"{at}: the capture at {vantage} was never analysed"
    elif capture.dropped is None:
        yield f"{at}: tcpdump at {vantage} never said how many packets it lost"
    elif not any_tcp(sight.frames.get(vantage, ())):
        yield f"{at}: the capture at {vantage} holds no TCP segment, so its silence proves nothing"
    else:
        yield from unseen_connections(vantage, at, sight)


def restriction(capture: CaptureOutcome) -> str | None:
    """Why it does not hold every packet; None when it should."""
    if capture.text:
        return "prints text"
    if capture.filter:
        return "is filtered"
    return "stopped after its packet count" if capture.ended_by_count else None


def serves(vantage: str, sight: Sight) -> bool:
    """True when a vantage can be found in: nothing keeps it from holding TCP, and it does."""
    return not any(blind_vantage(vantage, "", sight)) and not sight.evidence.captures[vantage].error


def any_tcp(frames: Frames) -> bool:
    return any(is_tcp(decode(frame)) for _, frame in frames if frame[12:14] != MARKER)


def is_tcp(segment: Segment) -> bool:
    """TCP, or what was meant to be: broken segments are seen as well."""
    return segment.is_tcp or (segment.proto == TCP and segment.malformed is not None)


# --- the endpoints' connections


def unseen_connections(vantage: str, at: str, sight: Sight) -> Iterator[str]:
    """Connections that the kernel had at this interface and the capture has not."""
    unseen = {flow: name for name, flow in established_at(vantage, sight)}
    for _, frame in sight.frames.get(vantage, ()):
        if not unseen:
            return
        s = decode(frame)
        ends = (s.src, s.sport), (s.dst, s.dport)
        for flow in (ends, ends[::-1]):
            unseen.pop(flow, None)
    for flow, name in unseen.items():
        (source, sport), (target, tport) = flow
        what = f"{name}'s connection {source}.{sport} > {target}.{tport}"
        yield f"{at}: {what} was established and the capture at {vantage} shows nothing of it"


def established_at(vantage: str, sight: Sight) -> Iterator[tuple[str, Flow]]:
    """(endpoint, flow) of each connection that must have used the vantage's interface.

    With several interfaces the route decides, so then nothing is certain.
    """
    host, interface = next((h, i) for v, h, i in sight.plan.vantages if v == vantage)
    of_host = next(plan.interfaces for plan in sight.plan.hosts if plan.name == host)
    if interface == "lo" or len(of_host) != 1:
        return
    address = of_host[0].address
    for history in sight.evidence.sockets:  # programs' as well
        if history.host == host and any(look.state == "ESTABLISHED" for look in history.samples):
            ends = tuple((a.removeprefix("::ffff:"), port) for a, port in (history.local, history.remote))
            if ends[0][0] == address != ends[1][0]:
                yield history.endpoint or history.program or "a program", (ends[0], ends[1])
    for outcome in sight.evidence.endpoints.values():
        for c in outcome.connections if outcome.host == host else ():
            flow = flow_of(c)
            if flow is not None and flow[0][0] == address != flow[1][0]:
                yield outcome.name, flow


def flow_of(connection: ConnectionOutcome) -> Flow | None:
    if connection.opened_ns is None or connection.local is None or connection.remote is None:
        return None
    return connection.local, connection.remote
