"""What is fuzzed, and what must hold whatever the bytes are.

Every target takes bytes, as libFuzzer calls them, and raises when something is wrong: any exception that
is not documented, or a Broken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from operator import attrgetter
from random import Random
from zlib import crc32

from tcpharness.analysis.capture import Analysis, Options, analyze
from tcpharness.analysis.finding import CaptureReport
from tcpharness.packet import checksum
from tcpharness.packet.line import parse
from tcpharness.packet.notation import format_segment, parse_line
from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import Segment, decode, read_frame

PLACE = re.compile(r"byte (\d+)")
LARGEST_NS = (1 << 63) - 1
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5")
PLACES = ("at", "mac_at", "ip_at", "src_at", "tcp_at", "payload_at", "end", "sack_at")
FIELDS = (
    "time_ns", "frame", "wire_len", "cap_len", "ethertype", "vlans", "kind", "version", "ip_header_len",
    "ttl", "tos", "id", "df", "mf", "frag_offset", "pieces", "proto", "ip_len", "ip_cksum", "tunnel",
    "is_tcp", "tcp_len", "payload_len", "next_seq", "whole", "malformed", "sport", "dport", "seq", "ack",
    "flags", "win", "cksum", "urg", "offset", "reserved", "mss", "wscale", "sack_ok", "sack_count", "tsval",
    "tsecr", "src", "dst", "src_mac", "dst_mac", "payload", "tcp_bytes", "ip_header", "options", "sacks",
    "bare", "odd",
)  # fmt: skip
OF_TCP = FIELDS.index("tcp_len")  # from there on, fields of TCP
FIELDS_OF, PLACES_OF = attrgetter(*FIELDS), attrgetter(*PLACES)


class Broken(AssertionError):
    """Something that must hold does not."""


def hold(true: bool, what: str, *details: object) -> None:
    if not true:
        raise Broken(f"{what}: {details!r}")


# --- the readers --------------------------------------------------------------------------------


def reading(data: bytes) -> None:
    """Every frame of it, and one line about the place where it can't be read."""
    reader = Reader(BytesIO(data))
    count = 0
    for frame in reader:
        count += 1
        hold(len(frame.data) <= frame.wire_len, "a frame longer than it was", frame)
        hold(-LARGEST_NS <= frame.time_ns <= LARGEST_NS, "a time that 64 bits don't hold", frame.time_ns)
    if data[:2] not in COMPRESSED:
        hold(count * 12 <= len(data), "more frames than bytes for them", count)
    one_line(reader.problems, data)


def one_line(problems: list[str], data: bytes) -> None:
    hold(len(problems) <= 1, "more than one problem", problems)
    for problem in problems:
        hold("\n" not in problem and len(problem) < 300, "more than a line", problem)
        place = PLACE.search(problem)
        known = problem == "the file is empty" or problem.startswith("not a capture")
        hold(known or bool(place) or "zstandard" in problem, "no byte is named", problem)
        if place and data[:2] not in COMPRESSED:
            hold(int(place[1]) <= len(data), "a byte beyond the end", problem)


# --- the decoder --------------------------------------------------------------------------------


def decoding(data: bytes) -> None:
    """The first two bytes choose the link type and how much of the frame was left out; the rest is it."""
    if len(data) < 2:
        return
    linktype = (1, 1, 1, 1, 113, 276, 101, 0, 108, 228, 229, 12, 14, 105)[data[0] % 14]
    frame = data[2:]
    judge(frame, linktype, len(frame) + (data[1] & 0x3F if data[1] & 0x40 else 0))


def decoding_capture(data: bytes) -> None:
    """The same of every frame of a capture."""
    reader = Reader(BytesIO(data))
    for frame in reader:
        judge(frame.data, frame.linktype, frame.wire_len)


def judge(frame: bytes, linktype: int, wire_len: int) -> None:
    segment = decode(frame, linktype, wire_len=wire_len)
    alone = facts(segment)
    hold(segment.is_tcp or bool(segment.kind), "neither TCP nor a kind", frame)
    if segment.is_tcp:
        hold(segment.payload_at <= segment.end <= len(frame), "an end beyond the frame", frame)
        hold(
            len(segment.payload) <= max(segment.payload_len, 0) or bool(segment.malformed),
            "more payload",
            frame,
        )
        checksum.verdict(segment)
    checksum.ip_verdict(segment)
    format_segment(segment)
    # Bytes that look like padding, like nothing, and like an option: one of them, by the frame itself.
    poison = (b"\x00", b"\xff", b"\x05")[crc32(frame) % 3] * 80
    hold(facts(among(frame, linktype, wire_len, poison)) == alone, "what is around it is read", frame)


def among(frame: bytes, linktype: int, wire_len: int, poison: bytes) -> Segment:
    """The frame as a piece of a buffer, in a segment that has held another one before."""
    segment = Segment()
    read_frame(segment, USED, 0, len(USED), 1)
    segment.wire_len, segment.time_ns, segment.frame = wire_len, 0, 0
    read_frame(segment, poison + frame + poison, len(poison), len(poison) + len(frame), linktype)
    return segment


# TCP over IPv4 with every option, none of which may be left over.
USED = bytes.fromhex(
    "02000000000102000000000208004500005000014000400600000a0000010a000002"
    "9c4000690000000700000009f01003e800000000"
    "020405b4010303070402080a0000000100000002050a0000000100000002" + "00" * 16
)


def facts(segment: Segment) -> tuple[object, ...]:
    """All that a segment says; places counted from the frame's beginning."""
    at = segment.at
    places = [
        place if place < 0 or (name in ("sack_at", "src_at") and not place) else place - at
        for name, place in zip(PLACES, PLACES_OF(segment), strict=True)
    ]
    if segment.is_tcp:
        return (*FIELDS_OF(segment), *places)
    return tuple(FIELDS_OF(segment)[:OF_TCP])


# --- the analysis -------------------------------------------------------------------------------


def choices(data: bytes) -> Options:
    """Options that depend on the input alone: two flows at once, no checksums, and so on."""
    drawn = crc32(data)
    return Options(
        verify_checksums=drawn & 1 == 0,
        most_flows=2 if drawn & 6 == 6 else 300_000,
        idle_ns=1_000_000_000 if drawn & 24 == 24 else 86_400_000_000_000,
        most_findings=1 if drawn & 96 == 96 else None,
    )


def analysing(data: bytes) -> CaptureReport:
    """The whole analysis; what it counts adds up."""
    options = choices(data)
    report = analyze(BytesIO(data), options=options)
    one_line(report.problems, data)
    for finding in report.findings:
        hold(0 <= finding.frame <= report.frames, "a finding about no frame", finding)
        hold("\n" not in finding.text, "more than a line", finding)
        hold(finding.count >= 1, "a count below one", finding)
    if options.most_findings is None:
        kept = Counter((f.name, f.kind, f.level) for f in report.findings)
        hold(
            kept == report.counts,
            "counts that are not the findings",
            report.counts - kept,
            kept - report.counts,
        )
    of_flows = sum(sum(flow.frames) for flow in report.flows)
    others = sum(report.not_tcp.values())
    hold(of_flows + others <= report.frames, "more frames than there are", of_flows, others, report.frames)
    hold(report.flow_count == len(report.flows), "flows that are not told", report.flow_count)
    return report


class Dripping:
    """A file that gives pieces of its own choosing."""

    def __init__(self, data: bytes, random: Random) -> None:
        self.file, self.random = BytesIO(data), random

    def read(self, size: int = -1, /) -> bytes:
        piece = 1 + int(self.random.random() ** 3 * 400)
        return self.file.read(piece if size < 0 else min(size, piece))


def dripping(data: bytes) -> None:
    """In pieces of any size, the analysis is the same."""
    options = choices(data)
    whole = analyze(BytesIO(data), options=options)
    random = Random(crc32(data))
    pieces = analyze(Dripping(data, random), options=options)  # type: ignore[arg-type]
    hold(whole == pieces, "the borders of pieces matter", whole, pieces)


def isolated(data: bytes) -> None:
    """Frame by frame, each decoded for itself and in a segment of its own, the analysis is the same."""
    options = choices(data)
    whole = analyze(BytesIO(data), options=options)
    reader, alone = Reader(BytesIO(data)), Analysis(options)
    for number, frame in enumerate(reader, 1):
        alone.see(
            decode(frame.data, frame.linktype, time_ns=frame.time_ns, frame=number, wire_len=frame.wire_len)
        )
    found = alone.finish()
    of_frames = [finding for finding in whole.findings if finding.name != "capture_drops"]
    mine = [finding for finding in found.findings if finding.name != "capture_drops"]
    hold(of_frames == mine, "what is around a frame matters", of_frames, mine)
    hold(whole.flows == found.flows, "what is around a frame matters", whole.flows, found.flows)
    hold(whole.not_tcp == found.not_tcp, "what is around a frame matters", whole.not_tcp, found.not_tcp)


def telling(data: bytes) -> bytes:
    """All that the analysis says, as text: two builds must say the same."""
    report = analysing(data)
    reader = Reader(BytesIO(data))
    frames = [facts(decode(f.data, f.linktype, time_ns=f.time_ns, wire_len=f.wire_len)) for f in reader]
    told = (
        report.findings,
        report.flows,
        report.frames,
        report.not_tcp,
        report.problems,
        frames,
        reader.drops,
    )
    return repr(told).encode()


# --- texts --------------------------------------------------------------------------------------


def notation(data: bytes) -> None:
    """A line of the notation, and one of a script: ValueError, or a segment that can be printed."""
    text = data.decode("utf-8", "replace")
    for understand in (printed, lambda line: parse(line, sent=True), lambda line: parse(line, sent=False)):
        try:
            understand(text)
        except ValueError as error:
            hold("\n" not in str(error) or "\n" in text, "more than a line", str(error))


def printed(text: str) -> str:
    return format_segment(parse_line(text))


Target = Callable[[bytes], object]
TARGETS: dict[str, Target] = {
    "reading": reading,
    "decoding": decoding,
    "decoding_capture": decoding_capture,
    "analysing": analysing,
    "dripping": dripping,
    "isolated": isolated,
    "notation": notation,
}
