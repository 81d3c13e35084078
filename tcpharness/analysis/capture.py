"""A capture, frame by frame, to findings: streamed, so that memory does not grow with its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tcpharness.analysis.catalog import BY_NAME, DETECTORS
from tcpharness.analysis.detector import Detector, Hit
from tcpharness.analysis.finding import CaptureReport, Finding, FlowSummary
from tcpharness.analysis.flow import DAY_NS, Tracker, apply
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Flow, Side
from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import Segment, decode

END_MARKER_ETHERTYPE = 0x88B5
REMEDIES = "a larger buffer (-B), fewer packets (-c, a filter), less of each (-s), no names (-n)"
END = int(Sign.END)


@dataclass(frozen=True, slots=True)
class Options:
    """How a capture is analysed."""

    ignore_ethertypes: frozenset[int] = frozenset({END_MARKER_ETHERTYPE})
    verify_checksums: bool = True
    most_flows: int = 300_000  # beyond it, those heard of longest ago are ended
    idle_ns: int = DAY_NS  # a flow that is silent for longer has ended
    detectors: Sequence[Detector] = DETECTORS


DEFAULT = Options()


def analyze(file: BinaryIO, *, options: Options = DEFAULT) -> CaptureReport:
    """Reads to the end. Never raises for what a file holds: `problems` of the report says what was wrong."""
    reader = Reader(file)
    analysis = Analysis(options)
    number = 0
    for frame in reader:
        number += 1
        analysis.see(
            decode(frame.data, frame.linktype, time_ns=frame.time_ns, frame=number, wire_len=frame.wire_len)
        )
    report = analysis.finish()
    report.problems += reader.problems
    if reader.drops:
        report.findings.append(capture_drops(reader.drops, number + reader.drops))
    return report


def capture_drops(dropped: int, received: int) -> Finding:
    """The finding for a capture that lost packets, from tcpdump's figures (by kernel, by filter)."""
    share = f" of {received}" if received else ""
    text = f"{dropped} packets{share} were dropped by the kernel; {REMEDIES}"
    return Finding(
        "capture_drops",
        BY_NAME["capture_drops"].level,
        0,
        0,
        None,
        text,
        count=max(dropped, 1),
        detail={"dropped": dropped, "received": received},
    )


class Analysis:
    """The detectors over segments in order; `finish` gives the report."""

    def __init__(self, options: Options = DEFAULT) -> None:
        self.options = options
        self.tracker = Tracker(options.most_flows, options.verify_checksums, options.idle_ns)
        self.findings: list[Finding] = []
        self.flows: list[FlowSummary] = []
        self.not_tcp: Counter[str] = Counter()
        self.frames = 0
        self.last_ns = 0
        self.by_signs: dict[int, tuple[Detector, ...]] = {}  # which detectors wait for these signs

    def see(self, segment: Segment) -> None:
        self.frames += 1
        if segment.time_ns > self.last_ns:
            self.last_ns = segment.time_ns
        if not segment.is_tcp:
            self.see_other(segment)
            return
        tracker = self.tracker
        side = tracker.see(segment)
        if tracker.ended:
            self.end(tracker.ended)
            tracker.ended = []
        if side.signs:
            self.detect(segment, side, side.signs)
        apply(segment, side, side.other)

    def see_other(self, segment: Segment) -> None:
        if segment.ethertype in self.options.ignore_ethertypes:
            return
        self.not_tcp[segment.kind] += 1
        if segment.malformed and segment.proto == 6:
            self.findings.append(
                Finding(
                    "malformed",
                    BY_NAME["malformed"].level,
                    segment.time_ns,
                    segment.frame,
                    None,
                    segment.malformed,
                )
            )

    def detect(self, segment: Segment, side: Side, signs: int) -> None:
        waiting = self.by_signs.get(signs)
        if waiting is None:
            waiting = tuple(d for d in self.options.detectors if int(d.signs) & signs)
            self.by_signs[signs] = waiting
        for detector in waiting:
            hit = detector.function(segment, side, side.other)
            if hit is not None:
                self.take(detector, hit, segment, side)

    def take(self, detector: Detector, hit: Hit, segment: Segment, side: Side) -> None:
        finding = Finding(
            name=detector.name,
            level=hit.level or detector.level,
            time_ns=segment.time_ns if hit.time_ns is None else hit.time_ns,
            frame=segment.frame if hit.frame is None else hit.frame,
            flow=side.other.key if hit.of_other else side.key,
            text=hit.text,
            kind=hit.kind,
            seq=(segment.seq if segment.is_tcp else None) if hit.seq is None else hit.seq,
            len=segment.payload_len if hit.len is None else hit.len,
            count=hit.count,
            end_ns=hit.end_ns,
            detail=hit.detail,
        )
        for old, new in hit.replaces:
            self.replace(old, new)
        self.findings.append(finding)
        if hit.keep is not None:
            hit.keep(finding)

    def replace(self, old: Finding, new: Finding | None) -> None:
        """An earlier finding is better known now; it is among the last ones, so look from the end."""
        for place in range(len(self.findings) - 1, -1, -1):
            if self.findings[place] is old:
                self.findings[place : place + 1] = [] if new is None else [new]
                return

    def end(self, flows: Iterable[Flow]) -> None:
        for flow in flows:
            for side in (flow.a, flow.b):
                last = Segment(time_ns=max(self.last_ns, flow.last_ns), frame=flow.last_frame)
                self.detect(last, side, END)
            self.flows.append(summary(flow))

    def finish(self) -> CaptureReport:
        self.end(self.tracker.flows())
        # By frame; what one frame gives stays in the catalogue's order.
        self.findings.sort(key=lambda finding: (finding.frame, finding.time_ns))
        self.flows.sort(key=lambda flow: flow.first_ns)
        return CaptureReport(self.findings, self.flows, self.frames, dict(self.not_tcp), [])


def summary(flow: Flow) -> FlowSummary:
    first, second = (flow.b, flow.a) if flow.opener is flow.b else (flow.a, flow.b)
    return FlowSummary(
        key=first.key,
        first_ns=flow.first_ns,
        last_ns=flow.last_ns,
        frames=(first.frames, second.frames),
        bytes=(first.bytes, second.bytes),
        state=flow.state(),
        retransmitted=(first.resent, second.resent),
        rtt_ns=flow.rtt_ns(),
    )
