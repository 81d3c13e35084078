"""Captures as files: streamed, bounded, and honest about what could not be read."""

from __future__ import annotations

from io import BytesIO
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.analysis.capture import Analysis, Options, analyze, capture_drops
from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import CaptureReport
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import flags_value

MARKER = b"\xff" * 6 + b"\2" * 6 + b"\x88\xb5tcpharness 1234"
ARP = b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + b"\0" * 28


def segment(
    flags: str,
    seq: int = 0,
    ack: int = 0,
    payload: bytes = b"",
    *,
    port: int = 40000,
    back: bool = False,
    mf: bool = False,
) -> bytes:
    ends = ("10.0.0.2", "10.0.0.1", 105, port) if back else ("10.0.0.1", "10.0.0.2", port, 105)
    spec = Frame(*ends, seq, ack, flags_value(flags), 1000, payload=payload)
    spec.mf = mf
    return encode(spec)


def capture(*frames: bytes, step_ns: int = 1_000_000) -> bytes:
    file = BytesIO()
    writer = Writer(file)
    for number, data in enumerate(frames):
        writer.write(1_700_000_000_000_000_000 + number * step_ns, data)
    return file.getvalue()


def report(data: bytes, **options: object) -> CaptureReport:
    return analyze(BytesIO(data), options=Options(**options))  # type: ignore[arg-type]


CONVERSATION = (
    segment("S"),
    segment("S.", 0, 1, back=True),
    segment(".", 1, 1),
    segment("P.", 1, 1, b"hello"),
    segment(".", 1, 6, back=True),
    segment("F.", 6, 1),
    segment("F.", 1, 7, back=True),
    segment(".", 7, 2),
)


def test_a_conversation_is_summed_up() -> None:
    found = report(capture(*CONVERSATION))
    (flow,) = found.flows
    assert str(flow.key) == "10.0.0.1.40000 > 10.0.0.2.105"
    assert (flow.frames, flow.bytes, flow.state, flow.retransmitted) == ((5, 3), (5, 0), "closed", (0, 0))
    assert flow.rtt_ns == 2_000_000
    assert (found.frames, found.problems, found.not_tcp) == (8, [], {})


def test_frames_keep_their_numbers_and_the_end_marker_counts_as_nothing() -> None:
    found = report(capture(MARKER, ARP, ARP, *CONVERSATION, MARKER))
    assert found.not_tcp == {"arp": 2}
    assert (found.frames, [f.frame for f in found.findings if f.name == "handshake"]) == (12, [6])


def test_the_marker_is_ignored_only_where_asked() -> None:
    assert report(capture(MARKER), ignore_ethertypes=frozenset()).not_tcp == {"ethertype 0x88b5": 1}


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (("S",), "unanswered"),
        (("S", "<S."), "half-open"),
        (("S", "<R."), "refused"),
        (("S", "<S.", "."), "established"),
        (("P.",), "mid-stream"),
        (("F.",), "closing"),
        (("R.",), "reset"),
    ],
)
def test_where_a_flow_stood_when_the_capture_ended(flags: tuple[str, ...], state: str) -> None:
    ack = {"S": 0, ".": 1}
    frames = [
        segment(f.strip("<"), int(f == "."), 1 if f[0] == "<" else ack.get(f, 1), back=f[0] == "<")
        for f in flags
    ]
    (flow,) = report(capture(*frames)).flows
    assert flow.state == state


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"not a capture at all", "not a capture"),
        (capture(*CONVERSATION)[:-10], "truncated at byte"),
    ],
)
def test_what_cannot_be_read_is_a_problem_in_one_line(data: bytes, says: str) -> None:
    found = report(data)
    assert len(found.problems) == 1
    assert says in found.problems[0]


def test_what_came_before_the_damage_is_analysed() -> None:
    found = report(capture(*CONVERSATION)[:-10])
    assert found.frames == 7
    assert "handshake" in {f.name for f in found.findings}


def test_a_day_of_silence_ends_a_flow() -> None:
    frames = (segment("P.", 1, 1, b"one"), segment("P.", 1, 1, b"two"))
    day = 86_400_000_000_000
    assert len(report(capture(*frames, step_ns=day - 1)).flows) == 1
    assert len(report(capture(*frames, step_ns=day + 1)).flows) == 2
    assert not [f for f in report(capture(*frames, step_ns=day + 1)).findings if f.name == "overlap_conflict"]


def test_a_clock_that_was_set_back_by_more_than_a_day_begins_another_capture() -> None:
    file = BytesIO()
    writer = Writer(file)
    for days, data in ((2, segment("P.", 1, 1, b"one")), (0, segment("P.", 1, 1, b"two"))):
        writer.write(days * 86_400_000_000_000, data)
    found = report(file.getvalue())
    names = {f.name for f in found.findings}
    assert (len(found.flows), names) == (2, {"mid_stream", "out_of_order_capture_timestamps"})


def test_flows_are_bounded_and_the_oldest_go_first() -> None:
    frames = [segment("S", port=port) for port in range(1000, 1100)]
    found = report(capture(*frames), most_flows=8)
    assert len(found.flows) == 100
    assert [f.key.sport for f in found.flows] == list(range(1000, 1100))


@pytest.mark.parametrize("times", [3, 5])
def test_an_error_that_is_always_the_same_is_a_rewritten_header(times: int) -> None:
    """An address changed after the sum was made: every segment is off by one amount."""
    right = [segment("P.", 1 + 5 * n, 1, b"hello") for n in range(times)]
    rewritten = [data[:29] + b"\x09" + data[30:] for data in right]
    fixed = [data[:24] + pack("!H", sum_of(data)) + data[26:] for data in rewritten]
    names = [f.name + f.kind for f in report(capture(*fixed)).findings if "checksum" in f.name]
    assert names.count("checksum_offloadrewritten") == 1
    assert "bad_tcp_checksum" not in names


def sum_of(data: bytes) -> int:
    from tcpharness.packet.checksum import ip_checksum

    return ip_checksum(data[14:34])


def fragments(data: bytes, *borders: int, df: bool = False) -> list[bytes]:
    """An Ethernet frame of TCP over IPv4 in pieces."""
    body, found = data[34:], []
    for at, end in zip((0, *borders), (*borders, len(body)), strict=True):
        bits = df << 14 | (end < len(body)) << 13 | at // 8
        head = data[:16] + pack("!HHH", 20 + len(body[at:end]), 7, bits) + data[22:34]
        piece = head + body[at:end]
        found.append(piece[:24] + pack("!H", sum_of(piece)) + piece[26:])
    return found


@pytest.mark.parametrize(("df", "level"), [(False, "note"), (True, "error")])
def test_a_segment_in_fragments_is_judged_when_it_is_complete(df: bool, level: str) -> None:
    sent = segment("P.", 1, 1, b"x" * 100)
    found = report(capture(*fragments(sent, 48, 96, df=df), segment(".", 1, 101, back=True), sent))
    assert [(f.name, f.kind, f.level, f.frame) for f in found.findings if f.level != "info"] == [
        ("fragment", "", level, 3),
        ("spurious_retransmission", "unknown", "warning", 5),
    ]
    assert found.not_tcp == {"fragment": 2}
    assert [flow.frames for flow in found.flows] == [(2, 1)]
    text = next(f.text for f in found.findings if f.name == "fragment")
    assert text == "came in 3 IP fragments" + ", although DF forbids it" * df


def test_a_fragment_with_df_is_an_error() -> None:
    found = report(capture(segment("P.", 1, 1, b"x" * 100, mf=True)))
    (fragment,) = [f for f in found.findings if f.name == "fragment"]
    assert (fragment.level, fragment.kind, str(fragment.flow)) == (
        "error",
        "incomplete",
        "10.0.0.1.40000 > 10.0.0.2.105",
    )


def test_fragments_that_overlap_are_a_warning() -> None:
    first, _, last = fragments(segment("P.", 1, 1, b"x" * 100), 48, 96)
    _, overlapping = fragments(segment("P.", 1, 1, b"x" * 100), 40)
    found = report(capture(first, overlapping, last))
    assert [(f.kind, f.level, f.frame) for f in found.findings] == [("conflict", "warning", 2)]
    assert (
        found.findings[0].text == "bytes 40 to 120 overlap another fragment in part; all of them are dropped"
    )


def test_a_fragment_with_a_damaged_header_is_not_taken() -> None:
    first, last = fragments(segment("P.", 1, 1, b"x" * 100), 48)
    found = report(capture(first, last[:22] + b"\x3f" + last[23:]))
    assert [(f.name, f.frame) for f in found.findings] == [("fragment", 1), ("bad_ip_checksum", 2)]


def test_a_reset_whose_sender_goes_on_and_on_is_one_finding() -> None:
    first = [segment("S", 0), segment("S.", 0, 1, back=True), segment(".", 1, 1), segment("R", 1)]
    found = report(capture(*first, segment("P.", 1, 1, payload=b"ab"), segment("P.", 3, 1, payload=b"cd")))
    resets = {key: count for key, count in found.counts.items() if "reset" in key[0]}
    assert resets == {("injected_reset", "", "error"): 1}
    assert sum(f.name == "injected_reset" for f in found.findings) == 1


def test_capture_drops_names_the_remedies() -> None:
    found = capture_drops(5, 100)
    assert (found.name, found.level, found.count, found.detail) == (
        "capture_drops", "error", 5, {"dropped": 5, "received": 100},
    )  # fmt: skip
    assert "larger buffer (-B)" in found.text


@given(st.lists(st.integers(1, 200), max_size=30))
def test_findings_do_not_depend_on_the_pieces_a_file_comes_in(sizes: list[int]) -> None:
    data = capture(*CONVERSATION, *CONVERSATION[3:4])

    class Dripping(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, sizes.pop()) if sizes else size)

    assert analyze(Dripping(data)) == report(data)


@given(st.data())
def test_damaged_captures_never_raise(data: st.DataObject) -> None:
    whole = bytearray(capture(*CONVERSATION))
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = report(bytes(whole))
    assert found.frames or found.problems
    assert {f.name for f in found.findings} <= BY_NAME.keys()


def test_what_is_not_kept_is_counted_and_the_first_of_each_kind_is_kept() -> None:
    lines = [f"{n / 2} > P. 1:11(10) ack 1" for n in range(4)] + ["9.0 > F. 11:11(0)", "9.5 > F. 11:11(0)"]
    analysis = Analysis(Options(most_findings=1))
    for frame, line in enumerate(lines, 1):
        analysis.see(parse_line(line, frame=frame))
    found = analysis.finish()
    again = {key[1]: count for key, count in found.counts.items() if key[0] == "retransmission"}
    assert again == {"rto": 3, "fin": 1}
    kept = [(f.kind, f.frame) for f in found.findings if f.name == "retransmission"]
    assert kept == [("rto", 2), ("fin", 6)]
