"""A capture, frame by frame, to findings: streamed, so that memory does not grow with its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.crowd import WATCHED, Crowd, Episode, Event, of_flow, of_segment
from tcpharness.analysis.detector import Detector
from tcpharness.analysis.detectors.path import FORBIDDEN
from tcpharness.analysis.finding import CaptureReport, Finding, FlowKey, FlowSummary, Level
from tcpharness.analysis.flow import (
    DAY_NS,
    Tracker,
    apply,
    bucket,
    bucket_of_frame,
    check_sums,
    observe,
    pass_by,
    settle,
)
from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Flow, Side
from tcpharness.packet import checksum
from tcpharness.packet.fragments import Datagram, Fragments
from tcpharness.packet.icmp import read_error
from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import Segment, read_frame, take_ip
from tcpharness.packet.source import NotReadable

END_MARKER_ETHERTYPE = 0x88B5
REMEDIES = "a larger buffer (-B), fewer packets (-c, a filter), less of each (-s), no names (-n)"
END, EACH, CROWD, CROWD_WATCHES = int(Sign.END), int(Sign.SEGMENT), int(Sign.CROWD), int(WATCHED)
ICMP, DUP_ACK = int(Sign.ICMP), int(Sign.DUP_ACK)
EVERY = 1 << 62
JITTER_NS = 10_000_000  # on a busy host frames of two CPUs change places by less
WIDE = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Options:
    """How a capture is analysed, and how much of what is found is kept."""

    ignore_ethertypes: frozenset[int] = frozenset({END_MARKER_ETHERTYPE})
    verify_checksums: bool = True
    most_flows: int = 300_000  # beyond it, those heard of longest ago are ended
    idle_ns: int = DAY_NS  # a flow that is silent for longer has ended
    detectors: Sequence[Detector] | None = None  # None: the whole catalogue, with detectors of your own
    most_findings: int | None = None  # kept of each detector, and the first of each kind; all are counted
    keep_flows: bool = True  # their summaries; all are counted
    share: int = 0  # of `shares`: only every so many-th flow, by its hash (shares.py)
    shares: int = 1


DEFAULT = Options()


def analyze(file: BinaryIO, *, options: Options = DEFAULT) -> CaptureReport:
    """Reads to the end. Never raises for what a file holds: `problems` of the report says what was wrong."""
    return analyze_into(Analysis(options), file)


def analyze_into(analysis: Analysis, file: BinaryIO) -> CaptureReport:
    reader = Reader(file)
    analysis.read(reader)
    report = analysis.finish()
    report.problems += reader.problems
    if reader.drops and not analysis.share:
        drops = capture_drops(reader.drops, report.frames + reader.drops)
        report.findings.append(drops)
        report.counts[drops.name, drops.kind, drops.level] += 1
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


class Watch:
    """A detector while it works: how many of its findings have been kept."""

    __slots__ = ("detector", "function", "kept", "level", "more", "name", "signs", "sure")

    def __init__(self, detector: Detector) -> None:
        self.detector, self.function = detector, detector.function
        self.name, self.level = detector.name, detector.level
        self.signs, self.sure = int(detector.signs), detector.sure
        self.kept = 0
        self.more = 0  # that were counted without being looked at


class Telling(NamedTuple):
    """What is found about a frame that belongs to no flow."""

    name: str
    text: str
    kind: str = ""
    level: Level | None = None  # None: the catalogue's


def of_fragments(datagram: Datagram) -> Telling:
    """About fragments that will never be a segment."""
    if datagram.conflict:
        return Telling("fragment", f"{datagram.conflict}; all of them are dropped", "conflict", "warning")
    first = datagram.first
    forbidden = first is not None and first.df and first.version == 4
    text = f"the first of its fragments; {datagram.seen} bytes in all were captured, the rest was not"
    return Telling("fragment", text + FORBIDDEN * forbidden, "incomplete", "error" if forbidden else None)


class Analysis:
    """The detectors over segments in order; `finish` gives the report."""

    __slots__ = (
        "always", "backwards", "by_name", "by_signs", "counts", "crowd", "crowd_rules", "events", "findings",
        "flows", "fragments", "frames", "last_ns", "most_findings", "not_tcp", "options", "share", "shares",
        "signs_before", "start_ns", "tracker", "waiting", "watches",
    )  # fmt: skip

    def __init__(self, options: Options = DEFAULT) -> None:
        self.options = options
        self.share, self.shares = options.share, options.shares
        self.events: list[Event] = []  # of a share, for the crowd
        self.tracker = Tracker(options.most_flows, options.verify_checksums, options.idle_ns)
        self.findings: list[Finding] = []
        self.most_findings = EVERY if options.most_findings is None else options.most_findings
        self.counts: dict[tuple[str, str, Level], int] = {}  # also of those not kept
        self.flows: list[FlowSummary] = []
        self.not_tcp: Counter[str] = Counter()
        self.frames = 0
        self.backwards: Finding | None = None  # frames older than one before them
        self.last_ns = 0
        self.start_ns = 0  # when the first flow begins
        detectors = BY_NAME.values() if options.detectors is None else options.detectors
        self.watches = tuple([Watch(detector) for detector in detectors])
        # Signs that every segment has: none, unless somebody waits for them.
        self.always = EACH if any(watch.signs & EACH for watch in self.watches) else 0
        self.crowd = Crowd()
        self.crowd_rules = tuple([watch for watch in self.watches if watch.signs & CROWD])
        self.by_signs: dict[int, tuple[Watch, ...]] = {}  # which detectors wait for these signs
        self.signs_before = 0
        self.waiting: tuple[Watch, ...] = ()
        self.by_name = {watch.name: watch for watch in self.watches}
        self.fragments = Fragments()

    def read(self, reader: Reader) -> None:
        """Every frame of a file, through one segment that is filled again and again."""
        try:
            self.read_on(reader, Segment())
        except (NotReadable, OSError) as problem:
            reader.stop(problem)

    def read_on(self, reader: Reader, segment: Segment) -> None:
        while reader.next_frame():
            segment.frame = self.frames + 1
            segment.time_ns, segment.wire_len = reader.time_ns, reader.wire_len
            at = reader.data_at
            if self.shares > 1 and self.is_of_another(reader):
                self.count(segment)
                continue
            read_frame(segment, reader.data, at, at + reader.cap_len, reader.linktype)
            self.see(segment)

    def is_of_another(self, reader: Reader) -> bool:
        """True for a plain segment of another share's flow, which need not be decoded here."""
        at = reader.data_at
        place = bucket_of_frame(reader.data, at, at + reader.cap_len, reader.wire_len, reader.linktype)
        return place >= 0 and place % self.shares != self.share

    def count(self, segment: Segment) -> None:
        self.frames += 1
        if segment.time_ns >= self.last_ns:
            self.last_ns = segment.time_ns
        elif segment.time_ns < self.last_ns - JITTER_NS:
            self.note_backwards(segment)

    def see(self, segment: Segment) -> None:
        self.count(segment)
        if not segment.is_tcp or segment.mf:
            self.see_other(segment)
        else:
            self.see_tcp(segment)

    def note_backwards(self, segment: Segment) -> None:
        """A frame that is older than one before it in the file: told once, with their number."""
        back = self.last_ns - segment.time_ns
        finding = self.backwards
        if finding is None:
            watch = self.by_name.get("out_of_order_capture_timestamps")
            if watch is None or self.share:
                return
            text = f"{back / 1e6:.3f} ms before the newest one"
            finding = self.backwards = Finding(
                watch.name, watch.level, segment.time_ns, segment.frame, None, text, count=0
            )
            self.findings.append(finding)
            self.tally((watch.name, "", watch.level), 1)
        finding.count += 1
        finding.end_ns = segment.time_ns
        finding.detail["most_ns"] = max(back, int(finding.detail.get("most_ns", 0)))

    def see_tcp(self, segment: Segment) -> None:
        tracker = self.tracker
        if self.shares > 1 and bucket(segment, WIDE) % self.shares != self.share:
            return
        side = tracker.side_of(segment)
        if tracker.ended:
            self.end(tracker.ended)
            tracker.ended = []
        other = side.other
        signs = check_sums(segment, side, tracker.verify)
        if not signs and not self.always and pass_by(segment, side, other):
            if side.after:
                self.detect_after(segment, side)
            return
        observe(segment, side, other, signs)
        signs = side.signs | self.always
        if signs:
            self.detect(segment, side, signs)
            if signs & CROWD_WATCHES:
                event = of_segment(segment, side, signs)
                if event is not None:
                    self.hear(event)
        apply(segment, side, other)
        if side.signs == DUP_ACK:  # these come in numbers, and change nothing else of who may pass by
            other.repairing = True
        else:
            settle(side.flow)
        if side.after:
            self.detect_after(segment, side)

    def detect_after(self, segment: Segment, side: Side) -> None:
        """What was found while the segment was taken in."""
        signs, side.after = side.after, 0
        self.detect(segment, side, signs)

    def see_other(self, segment: Segment) -> None:
        if segment.ethertype in self.options.ignore_ethertypes:
            return
        if not segment.is_tcp and not self.share:
            self.not_tcp[segment.kind] += 1
        if segment.proto in (1, 58):
            self.see_icmp(segment)
        if segment.proto != 6:
            return
        if segment.malformed:
            self.tell(Telling("malformed", segment.malformed), segment)
        elif segment.mf or segment.frag_offset:
            self.see_fragment(segment)

    def see_icmp(self, segment: Segment) -> None:
        """An error about a segment concerns the side that sent it."""
        error = read_error(segment.data, segment.tcp_at, segment.end, segment.version)
        if error is None or segment.frag_offset:
            return
        quoted = Segment()
        take_ip(quoted, error.about)
        quoted.sport, quoted.dport = error.sport, error.dport
        side = self.tracker.find(quoted)
        if side is not None:
            if error.family == "frag_needed":
                side.too_big_ns = segment.time_ns
            self.detect(segment, side, ICMP)

    def see_fragment(self, segment: Segment) -> None:
        """Once the last fragment is there, the segment is looked at like any other."""
        if self.options.verify_checksums and checksum.ip_verdict(segment).word == "incorrect":
            right = checksum.ip_checksum(segment.ip_header)
            text = f"header checksum 0x{segment.ip_cksum:04x}, should be 0x{right:04x}"
            self.tell(Telling("bad_ip_checksum", text), segment)
            return
        found = self.fragments.take(segment)
        self.tell_fragments()
        if found is None:
            return
        if found.is_tcp:
            self.see_tcp(found)
        elif found.malformed:
            self.tell(Telling("malformed", found.malformed), found)

    def tell_fragments(self) -> None:
        """Of those that will never be a segment."""
        for datagram in self.fragments.given_up:
            self.tell(of_fragments(datagram), datagram, datagram.first)
        self.fragments.given_up.clear()

    def tell(self, what: Telling, at: Segment | Datagram, of: Segment | None = None) -> None:
        """A finding about a frame that belongs to no flow; `of`: whose segment it would have been."""
        watch = self.by_name.get(what.name)
        if watch is None or self.share:
            return
        level = what.level or watch.level
        self.tally((what.name, what.kind, level), 1)
        if watch.kept < self.most_findings:
            watch.kept += 1
            key = FlowKey(of.src, of.sport, of.dst, of.dport) if of is not None and of.is_tcp else None
            self.findings.append(Finding(what.name, level, at.time_ns, at.frame, key, what.text, what.kind))

    def detect(self, segment: Segment, side: Side, signs: int) -> None:
        if signs != self.signs_before:  # most often they are the same again
            self.signs_before, self.waiting = signs, self.who_waits(signs)
        for watch in self.waiting:
            if watch.sure and watch.kept >= self.most_findings:
                watch.more += 1
                continue
            hit = watch.function(segment, side, side.other)
            if hit is not None:
                self.take(watch, hit, segment, side)

    def who_waits(self, signs: int) -> tuple[Watch, ...]:
        waiting = self.by_signs.get(signs)
        if waiting is None:
            waiting = self.by_signs[signs] = tuple([w for w in self.watches if w.signs & signs])
        return waiting

    def tally(self, counted: tuple[str, str, Level], more: int) -> None:
        self.counts[counted] = self.counts.get(counted, 0) + more

    def take(self, watch: Watch, hit: Hit, segment: Segment, of: Side | Episode) -> None:
        """Counts the finding, and keeps it while there is room: later evidence may change also the others."""
        for old, new in hit.replaces:
            self.replace(old, new)
        counted = (watch.name, hit.kind, hit.level or watch.level)
        # The first of its kind is kept in any case: a table of counts says where to look.
        full = watch.kept >= self.most_findings and counted in self.counts
        self.tally(counted, 1)
        if full and hit.keep is None:
            return
        # Who it is, in words, is made for what is kept alone.
        key = of.other.key if isinstance(of, Side) and hit.of_other else of.key
        finding = made(watch, hit, segment, key)
        if not full:
            watch.kept += 1
            self.findings.append(finding)
        if hit.keep is not None:
            hit.keep(finding)

    def replace(self, old: Finding, new: Finding | None) -> None:
        """An earlier finding is better known now; it is among the last ones, so look from the end."""
        if not old.count:
            return  # it was taken back before
        old.count = 0
        self.tally((old.name, old.kind, old.level), -1)
        if new is not None:
            self.tally((new.name, new.kind, new.level), 1)
        for place in range(len(self.findings) - 1, -1, -1):
            if self.findings[place] is old:
                self.findings[place : place + 1] = [] if new is None else [new]
                return

    def end(self, flows: list[Flow]) -> None:
        for flow in flows:
            last = Segment(max(self.last_ns, flow.last_ns), flow.last_frame)
            self.detect(last, flow.a, END)
            self.detect(last, flow.b, END)
            if flow.first_ns < self.start_ns or not self.start_ns:
                self.start_ns = flow.first_ns
            if self.options.keep_flows:
                self.flows.append(summary(flow))
            self.hear(of_flow(flow))
            flow.part()
        self.judge_crowd()

    def hear(self, event: Event) -> None:
        """Shares only note it: nobody sees the whole crowd in a part of it (shares.py)."""
        if self.shares > 1:
            self.events.append(event)
        else:
            self.crowd.hear(event)

    def judge_crowd(self) -> None:
        """What the crowd's rules say of the episodes that are over."""
        for episode in self.crowd.over:
            episode.until_ns = self.last_ns
            for watch in self.crowd_rules:
                hit = watch.function(episode)
                if hit is not None:
                    self.take(watch, hit, Segment(episode.last_ns, episode.frame), episode)
        self.crowd.over = []

    def finish(self) -> CaptureReport:
        self.fragments.end()
        self.tell_fragments()
        self.end(self.tracker.flows())
        self.crowd.finish()
        self.judge_crowd()
        # By frame; what one frame gives stays in the catalogue's order.
        self.findings.sort(key=lambda finding: (finding.frame, finding.time_ns))
        self.flows.sort(key=lambda flow: flow.first_ns)
        for watch in self.watches:
            if watch.more:
                self.tally((watch.name, "", watch.level), watch.more)
        counts = Counter({key: count for key, count in self.counts.items() if count})
        return CaptureReport(
            self.findings, self.flows, self.frames, dict(self.not_tcp), [], counts, self.tracker.flow_count,
            self.start_ns,
        )  # fmt: skip


def made(watch: Watch, hit: Hit, segment: Segment, key: FlowKey) -> Finding:
    """What the hit leaves out is the segment's and the catalogue's."""
    return Finding(
        watch.name,
        hit.level or watch.level,
        segment.time_ns if hit.time_ns is None else hit.time_ns,
        segment.frame if hit.frame is None else hit.frame,
        key,
        hit.text,
        hit.kind,
        (segment.seq if segment.is_tcp else None) if hit.seq is None else hit.seq,
        segment.payload_len if hit.len is None else hit.len,
        hit.count,
        hit.end_ns,
        hit.detail,
    )


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
