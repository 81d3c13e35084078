"""Whole stories in the one-line notation, and what must come of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import pack_into

import pytest

from tcpharness.analysis.capture import Analysis
from tcpharness.analysis.catalog import DETECTORS
from tcpharness.analysis.example import play
from tcpharness.analysis.finding import Finding
from tcpharness.packet.notation import parse_line
from tcpharness.packet.segment import ACK, decode, seq_add

OPEN = """
0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
0.010 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 500 ecr 100,nop,wscale 7>
0.010 > . 1:1(0) ack 1 win 502 <nop,nop,TS val 110 ecr 500>
"""
HEALTHY = (
    OPEN
    + """
0.011 > . 1:1449(1448) ack 1 win 502 <nop,nop,TS val 111 ecr 500>
0.011 > P. 1449:2001(552) ack 1 win 502 <nop,nop,TS val 111 ecr 500>
0.021 < . 1:1(0) ack 2001 win 501 <nop,nop,TS val 511 ecr 111>
0.022 < P. 1:101(100) ack 2001 win 501 <nop,nop,TS val 512 ecr 111>
0.023 > . 2001:2001(0) ack 101 win 502 <nop,nop,TS val 123 ecr 512>
0.030 > F. 2001:2001(0) ack 101 win 502 <nop,nop,TS val 130 ecr 512>
0.040 < F. 101:101(0) ack 2002 win 501 <nop,nop,TS val 530 ecr 130>
0.041 > . 2002:2002(0) ack 102 win 502 <nop,nop,TS val 141 ecr 530>
"""
)
FLIGHT = "".join(f"0.1 > . {n}:{n + 1000}(1000) ack 1 win 502\n" for n in range(1, 9001, 1000))


TOO_BIG = (
    OPEN
    + """
0.020 > . 1:1461(1460) ack 1
0.030 icmp frag_needed mtu 1300 about > . 1:1461(1460) ack 1
0.300 > . 1:1261(1260) ack 1
0.400 > . 1:1261(1260) ack 1
"""
)


def acks(at: str, ack: int, count: int, blocks: str = "") -> str:
    return f"{at} < . 1:1(0) ack {ack} win 501{blocks}\n" * count


STORIES = {
    "healthy": (HEALTHY, "info handshake, info fin_close"),
    "one timeout": (
        OPEN + "0.1 > P. 1:11(10) ack 1 win 502\n0.304 > P. 1:11(10) ack 1 win 502\n" + acks("0.31", 11, 1),
        "info handshake, warning retransmission rto",
    ),
    "three timeouts double": (
        OPEN + "".join(f"{t} > P. 1:11(10) ack 1 win 502\n" for t in ("0.1", "0.305", "0.713", "1.545"))
        + acks("1.56", 11, 1),
        "info handshake, warning retransmission rto, warning rto_backoff, warning retransmission rto,"
        " warning retransmission rto",
    ),
    "a tail-loss probe of a flight of one, then the timer": (
        OPEN + "".join(f"{t} > P. 1:11(10) ack 1 win 502\n" for t in ("0.1", "0.305", "0.513"))
        + acks("0.6", 11, 1),
        "info handshake, warning retransmission tlp, warning retransmission rto",
    ),
    "a tail-loss probe, the timer, slow start": (
        OPEN + "0.1 > . 1:1001(1000) ack 1 win 502\n0.1 > . 1001:2001(1000) ack 1 win 502\n"
        "0.1 > P. 2001:2101(100) ack 1 win 502\n0.13 > P. 2001:2101(100) ack 1 win 502\n"
        "0.35 > . 1:1001(1000) ack 1 win 502\n0.36 < . 1:1(0) ack 1001 win 501\n"
        "0.361 > . 1001:2001(1000) ack 1 win 502\n0.37 < . 1:1(0) ack 2001 win 501\n"
        "0.371 > P. 2001:2101(100) ack 1 win 502\n0.38 < . 1:1(0) ack 2101 win 501\n",
        "info handshake, warning retransmission tlp, warning retransmission rto,"
        " warning retransmission slow_start, warning retransmission slow_start",
    ),
    "two holes: fast, then recovery": (
        OPEN + FLIGHT + acks("0.11", 1, 1) + acks("0.11", 1, 1, " <nop,nop,sack 1 {1001:2001}>")
        + acks("0.111", 1, 1, " <nop,nop,sack 1 {1001:3001}>")
        + acks("0.112", 1, 1, " <nop,nop,sack 1 {1001:4001}>")
        + "0.113 > . 1:1001(1000) ack 1 win 502\n" + acks("0.123", 4001, 1, " <nop,nop,sack 1 {5001:9001}>")
        + "0.124 > . 4001:5001(1000) ack 1 win 502\n" + acks("0.13", 9001, 1),
        "info handshake, note duplicate_ack, info sack, note duplicate_ack, note duplicate_ack,"
        " warning retransmission fast, info partial_ack, warning retransmission recovery",
    ),
    "a lost FIN": (
        OPEN + "0.1 > F. 1:1(0) ack 1 win 502\n0.31 > F. 1:1(0) ack 1 win 502\n"
        "0.32 < F. 1:1(0) ack 2 win 501\n0.33 > . 2:2(0) ack 2 win 502\n",
        "info handshake, warning retransmission fin, info fin_close",
    ),
    "at the receiver a lost tail is simply new": (
        OPEN + "0.31 > P. 1:11(10) ack 1 win 502\n" + acks("0.31", 11, 1), "info handshake",
    ),
    "at the receiver, a timer's repair of a hole": (
        OPEN + "0.1 > P. 11:21(10) ack 1 win 502 <nop,nop,TS val 200 ecr 500>\n"
        + acks("0.1", 1, 1, " <nop,nop,sack 1 {11:21}>")
        + "0.9 > . 1:11(10) ack 1 win 502 <nop,nop,TS val 1000 ecr 500>\n",
        "info handshake, note gap, note duplicate_ack, info sack, warning retransmission rto",
    ),
    "a damaged segment changes nothing, and its repair is no conflict": (
        OPEN + '0.1 > P. 1:4(3) ack 1 win 502 [payload "fxx", cksum bad]\n'
        '0.3 > P. 1:4(3) ack 1 win 502 [payload "foo"]\n' + acks("0.3", 4, 1),
        "info handshake, error bad_tcp_checksum, error corrupted_then_retransmitted",
    ),
    "a RST with window 0 closes no window": (
        OPEN + "0.1 > P. 1:11(10) ack 1 win 502\n" + acks("0.1", 11, 1)
        + "0.2 < R 501:501(0) win 0\n9.0 > . 10:10(0) ack 1 win 502\n",
        "info handshake, error reset_out_of_window in_window, note keep_alive",
    ),
    "a forged reset is an injected one, the answer to what follows a plain one": (
        OPEN + "0.1 > P. 1:6(5) ack 1 win 502\n0.11 < R 1:1(0) win 0 [ttl 3]\n" + acks("0.12", 6, 1)
        + "0.13 > R 6:6(0) win 0\n",
        "info handshake, error injected_reset, note ttl_change, warning reset",
    ),
    "a reset after both FINs is a note": (
        OPEN + "0.1 > F. 1:1(0) ack 1 win 502\n0.2 < F. 1:1(0) ack 2 win 501\n0.21 > R 2:2(0) win 0\n",
        "info handshake, note reset",
    ),
    "a SYN-ACK to a SYN inside the connection makes a new one": (
        OPEN + "0.5 > S 7000:7000(0) <mss 1460>\n0.51 < S. 900:900(0) ack 7001 <mss 1460>\n",
        "info handshake, warning syn_in_established",
    ),
    "keep-alives until the peer is given up": (
        OPEN + "0.1 > P. 1:11(10) ack 1 win 502\n" + acks("0.1", 11, 1)
        + "1.1 > . 10:10(0) ack 1 win 502\n2.1 > . 10:10(0) ack 1 win 502\n3.1 > R. 11:11(0) ack 1 win 502\n",
        "info handshake, note keep_alive, note keep_alive, error timed_out keep_alives, warning reset",
    ),
    "overtaken, by its age alone": (
        OPEN + "0.1 > P. 11:21(10) ack 1 win 502\n0.1001 > P. 1:11(10) ack 1 win 502\n" + acks("0.11", 21, 1),
        "info handshake, note gap, warning out_of_order",
    ),
    "sent again, by its age alone": (
        OPEN + "0.1 > P. 11:21(10) ack 1 win 502\n" + acks("0.1", 1, 1, " <nop,nop,sack 1 {11:21}>")
        + "0.115 > P. 1:11(10) ack 1 win 502\n",
        "info handshake, note gap, note duplicate_ack, info sack, warning retransmission fast",
    ),
    "within a round trip nothing can be asked for and come": (
        OPEN + "".join(f"0.1 > P. {n}1:{n + 1}1(10) ack 1 win 502\n" for n in (1, 2, 3))
        + "".join(acks("0.1", 1, 1, f" <nop,nop,sack 1 {{11:{n}1}}>") for n in (2, 3, 4))
        + "0.101 > P. 1:11(10) ack 1 win 502\n",
        "info handshake, note gap, note duplicate_ack, info sack, note duplicate_ack, note duplicate_ack,"
        " warning out_of_order",
    ),
    "what goes on outside the window is what the capture missed": (
        OPEN + "0.1 > P. 900001:900011(10) ack 1 win 502\n0.1 > P. 900011:900021(10) ack 1 win 502\n"
        "0.1 > P. 900021:900031(10) ack 1 win 502\n",
        "info handshake, error out_of_window_data, note gap",
    ),
    "timeouts at the end of the capture": (
        OPEN + "".join(f"{t} > P. 1:11(10) ack 1 win 502\n" for t in ("0.1", "0.305", "0.713")) + "0.8 end\n",
        "info handshake, warning retransmission rto, warning rto_backoff, warning retransmission rto",
    ),
    "window probes until the peer is given up": (
        OPEN + "0.1 > P. 1:11(10) ack 1 win 502\n" + acks("0.1", 11, 1).replace("win 501", "win 0")
        + "".join(f"{t} > . 10:10(0) ack 1 win 502\n" for t in ("0.3", "0.7", "1.5")) + "9.0 end\n",
        "info handshake, warning zero_window, warning receiver_stall, note zero_window_probe,"
        " note zero_window_probe, note zero_window_probe",
    ),
    "a byte probed into a closed window is not lost data": (
        OPEN + "0.1 > P. 1:1001(1000) ack 1 win 502\n" + acks("0.1", 1001, 1).replace("win 501", "win 0")
        + "0.4 > . 1001:1002(1) ack 1 win 502\n" + acks("0.4", 1001, 1).replace("win 501", "win 0")
        + "0.9 < . 1:1(0) ack 1002 win 501\n0.91 > P. 1002:1012(10) ack 1 win 502\n" + acks("0.92", 1012, 1),
        "info handshake, warning zero_window, warning receiver_stall, note zero_window_probe,"
        " note zero_window_probe_ack",
    ),
}  # fmt: skip


LEFT_OUT = ("_missing", "timestamp_missing_mid_flow")


def said(findings: list[Finding]) -> str:
    """Level, name and kind; without the notes on options that these short lines leave out."""
    shown = (f for f in findings if not f.name.endswith(LEFT_OUT))
    return ", ".join(" ".join(filter(None, (f.level, f.name, f.kind))) for f in shown)


@pytest.mark.parametrize("name", STORIES)
def test_the_story_comes_out(name: str) -> None:
    text, expected = STORIES[name]
    assert said(play(filter(str.strip, text.splitlines()))) == expected


NO_SEGMENT = re.compile(" (end|drops|icmp)")


def shifted(lines: list[str], own: int, other: int) -> list[str]:
    """The names found when both sides' numbers begin elsewhere."""
    analysis = Analysis()
    for number, line in enumerate((text for text in lines if not NO_SEGMENT.search(text)), 1):
        segment = parse_line(line, frame=number)
        there, back = (own, other) if segment.sport == 40000 else (other, own)
        data = bytearray(segment.data)
        pack_into("!I", data, segment.tcp_at + 4, seq_add(segment.seq, there))
        if segment.flags & ACK:
            pack_into("!I", data, segment.tcp_at + 8, seq_add(segment.ack, back))
        for place, edge in enumerate(edge for block in segment.sacks for edge in block):
            pack_into("!I", data, segment.sack_at + 4 * place, seq_add(edge, back))
        analysis.tracker.verify = False
        analysis.see(decode(bytes(data), time_ns=segment.time_ns, frame=number, wire_len=segment.wire_len))
    return [f"{f.frame} {f.name} {f.kind}" for f in analysis.finish().findings]


EVERY = [list(filter(str.strip, text.splitlines())) for text, _ in STORIES.values()]
# Without those that stand for many lines, or for what is no segment.
PLAIN = re.compile(r"[\d.]+ (?!x\d|icmp)")
EVERY += [lines for d in DETECTORS for _, _, lines in d.examples() if lines and all(map(PLAIN.match, lines))]


@pytest.mark.parametrize("start", [(1 << 32) - 5, (1 << 32) - 1500, (1 << 31) - 10])
def test_numbers_that_wrap_change_nothing(start: int) -> None:
    for lines in EVERY:
        assert shifted(lines, start, start + 700) == shifted(lines, 0, 0), lines


def test_nobody_is_favoured() -> None:
    """Both sides exchanged, the same is found."""
    mirror = str.maketrans({">": "<", "<": ">"})
    for lines in EVERY:
        swapped = [line[:9].translate(mirror) + line[9:] for line in lines]
        names = [(f.frame, f.name, f.kind) for f in play(swapped)]
        assert names == [(f.frame, f.name, f.kind) for f in play(lines)], lines


def test_a_dsack_says_that_a_repeat_was_not_needed() -> None:
    story = OPEN + "0.1 > P. 1:11(10) ack 1 win 502\n0.304 > P. 1:11(10) ack 1 win 502\n"
    story += "0.31 < . 1:1(0) ack 11 win 501 <nop,nop,sack 1 {1:11}>\n"
    (resent,) = [f for f in play(filter(str.strip, story.splitlines())) if f.name == "retransmission"]
    assert (resent.detail["needed"], resent.detail["needed_by"]) == ("no", "DSACK")
    assert (resent.seq, resent.len, resent.frame) == (1, 10, 5)


@pytest.mark.parametrize(("echo", "needed"), [(111, "no"), (315, "yes")])
def test_the_echoed_timestamp_says_whether_it_was_needed(echo: int, needed: str) -> None:
    story = OPEN + "0.1 > P. 1:11(10) ack 1 win 502 <nop,nop,TS val 111 ecr 500>\n"
    story += "0.304 > P. 1:11(10) ack 1 win 502 <nop,nop,TS val 315 ecr 500>\n"
    story += f"0.31 < . 1:1(0) ack 11 win 501 <nop,nop,TS val 800 ecr {echo}>\n"
    (resent,) = [f for f in play(filter(str.strip, story.splitlines())) if f.name == "retransmission"]
    assert resent.detail["needed"] == needed


def test_findings_read_well(golden: Callable[[str, str], None]) -> None:
    lines = []
    for name, (text, _) in STORIES.items():
        found = [f for f in play(filter(str.strip, text.splitlines())) if f.name != LEFT_OUT[1]]
        lines += [name, *(f"  {f.frame:>3} {f.level:<7} {f.name} {f.kind}: {f.text}" for f in found), ""]
    golden("analysis_stories", "\n".join(lines))


def test_what_a_router_asked_for_is_no_timeout_and_what_follows_is() -> None:
    again = [f.kind for f in play(filter(None, TOO_BIG.split("\n"))) if f.name == "retransmission"]
    assert again == ["pmtu", "rto"]


@pytest.mark.parametrize(("waited_ms", "kind"), [(12, "fast"), (260, "rto")])
def test_at_the_receiver_a_busy_sender_has_no_timeout(waited_ms: int, kind: str) -> None:
    story = (
        OPEN.replace("0.010", "0.0001") + "0.1 > . 1:1001(1000) ack 1 win 502 <nop,nop,TS val 200 ecr 500>\n"
    )
    story += "0.1001 < . 1:1(0) ack 1001 win 501 <nop,nop,TS val 600 ecr 200>\n"
    for at in range(2001, 6002, 1000):  # what is missing before them was never captured here
        story += f"0.1002 > . {at}:{at + 1000}(1000) ack 1 win 502 <nop,nop,TS val 200 ecr 600>\n"
        sack = f"<nop,nop,TS val 600 ecr 200,nop,nop,sack 1 {{2001:{at + 1000}}}>"
        story += f"0.1002 < . 1:1(0) ack 1001 win 501 {sack}\n"
    story += (
        f"{0.1002 + waited_ms / 1000:.4f} > . 1001:2001(1000) ack 1 win 502 <nop,nop,TS val 220 ecr 600>\n"
    )
    found = [f.kind for f in play(filter(str.strip, story.splitlines())) if f.name == "retransmission"]
    assert found == [kind]


def test_a_window_that_sets_the_pace_does_so_however_its_acks_are_bundled() -> None:
    """The first ACK of a round trip finds the window full; the others overtake what that one lets out."""
    lines = [
        "0.000 > S 0:0(0) win 8000 <mss 1460>",
        "0.100 < S. 0:0(0) ack 1 win 8000 <mss 1460>",
        "0.100 > . 1:1(0) ack 1 win 8000",
        *(f"0.101 > . {1 + 1000 * n}:{1001 + 1000 * n}(1000) ack 1 win 8000" for n in range(8)),
    ]
    sent, acked = 8001, 1
    for trip in range(2, 17):
        for _ in range(4):
            acked += 2000
            lines.append(f"{trip / 10:.3f} < . 1:1(0) ack {acked} win 8000")
            lines.append(f"{trip / 10:.3f} > . {sent}:{sent + 500}(500) ack 1 win 8000")
            sent += 500
        while sent < acked + 8000:
            size = min(1000, acked + 8000 - sent)
            lines.append(f"{trip / 10 + 0.001:.3f} > . {sent}:{sent + size}({size}) ack 1 win 8000")
            sent += size
    (limited,) = [f for f in play(lines) if f.name == "window_limited"]
    assert limited.detail["held"] == limited.detail["rounds"]


@pytest.mark.parametrize(("later", "copies"), [(100, 1), (101, 0)])
def test_a_timestamp_tells_a_late_copy_from_a_repair(later: int, copies: int) -> None:
    """Without an IP id, as in IPv6; what is sent again is stamped anew (RFC 7323 3.3)."""
    story = OPEN + "0.020 > P. 1:101(100) ack 1 win 502 <nop,nop,TS val 100 ecr 500>\n"
    story += f"0.060 > P. 1:101(100) ack 1 win 502 <nop,nop,TS val {later} ecr 500>\n"
    found = [f.name for f in play(filter(None, story.split("\n")))]
    assert found.count("duplicate_frame") == copies
    assert found.count("retransmission") == 1 - copies
