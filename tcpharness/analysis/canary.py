"""The canary: a conversation for each condition that a monitor may be asked about, and what we say of it.

A monitor that keeps quiet proves something only if it would have spoken. So after a scenario's own
traffic each vantage sees these conversations, between addresses that no host owns, and whoever is
believed to have seen no zero window must have reported the one in here.

Each is a few segments in the one-line notation; `open` stands for a handshake. Conversations run side
by side. On the wire they hurry: from one time of the table to the next there is a beat of a millisecond
or more, whatever the table says. What has been captured is read at the table's own times, so that no
finding depends on how busy the machine was; those that need such times (`slow`) can't be asked of a
monitor that watches the wire itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tcpharness.analysis.capture import Analysis
from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.packet.canary import MOST_VANTAGES, addresses, macs, moved, number_of, place_of, vantage_of
from tcpharness.packet.notation import parse_line
from tcpharness.packet.segment import Segment, decode

CLIENT_PORT, SERVER_PORT = 40000, 20000
OPEN = (
    "0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7>",
    "0.000 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>",
    "0.000 > . 1:1(0) ack 1 win 502",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One conversation: the finding that it must give, and others that cannot be had without."""

    name: str
    lines: tuple[str, ...]
    also: tuple[str, ...] = ()
    slow: bool = False  # only at the times of the table

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.also)


def _told(name: str, text: str, *also: str, slow: bool = False) -> Condition:
    lines = [line.strip() for line in text.strip().splitlines()]
    written = [each for line in lines for each in (OPEN if line == "open" else (line,))]
    return Condition(name, tuple(written), also, slow)


# The number of a conversation is its place, from 1: new ones come last.
CONDITIONS: tuple[Condition, ...] = (
    _told("syn_retransmission", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7> [id 1]
        0.200 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7> [id 2]
        0.200 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
        0.200 > . 1:1(0) ack 1 win 502
    """),
    _told("synack_retransmission", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7>
        0.000 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
        0.200 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
        0.200 > . 1:1(0) ack 1 win 502
    """),
    _told("connection_refused", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7>
        0.000 < R. 0:0(0) ack 1 win 0
    """),
    _told("connection_unanswered", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7> [id 1]
        0.200 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 7> [id 2]
    """, "syn_retransmission"),
    _told("retransmission", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.200 > P. 1:101(100) ack 1 win 502
        0.200 < . 1:1(0) ack 101 win 509
    """),
    _told("spurious_retransmission", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.200 > P. 1:101(100) ack 1 win 502
        0.200 < . 1:1(0) ack 101 win 509
    """),
    _told("out_of_order", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
        0.200 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 1 ecr 1,nop,wscale 7>
        0.200 > . 1:1(0) ack 1 win 502 <nop,nop,TS val 9 ecr 1>
        0.200 > . 1:101(100) ack 1 win 502 <nop,nop,TS val 10 ecr 1>
        0.200 > . 201:301(100) ack 1 win 502 <nop,nop,TS val 12 ecr 1>
        0.200 > . 101:201(100) ack 1 win 502 <nop,nop,TS val 11 ecr 1>
        0.200 < . 1:1(0) ack 301 win 509 <nop,nop,TS val 2 ecr 12>
    """, "gap"),
    _told("duplicate_ack", """
        open
        0.000 > . 1:1001(1000) ack 1 win 502
        0.000 > . 1001:2001(1000) ack 1 win 502
        0.000 > . 2001:3001(1000) ack 1 win 502
        0.000 > . 3001:4001(1000) ack 1 win 502
        0.000 > P. 4001:5001(1000) ack 1 win 502
        0.010 < . 1:1(0) ack 1001 win 500
        0.010 < . 1:1(0) ack 1001 win 500 <nop,nop,sack 1 {2001:3001}>
        0.010 < . 1:1(0) ack 1001 win 500 <nop,nop,sack 1 {2001:4001}>
        0.010 < . 1:1(0) ack 1001 win 500 <nop,nop,sack 1 {2001:5001}>
        0.010 > . 1001:2001(1000) ack 1 win 502
        0.010 < . 1:1(0) ack 5001 win 500
    """, "retransmission"),
    _told("zero_window", """
        0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 0>
        0.000 < S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK,nop,wscale 0>
        0.000 > . 1:1(0) ack 1 win 64240
        0.000 > P. 1:1001(1000) ack 1 win 64240
        0.000 < . 1:1(0) ack 1001 win 0
        0.200 > . 1001:1002(1) ack 1 win 64240
        0.200 < . 1:1(0) ack 1001 win 0
        0.300 < . 1:1(0) ack 1001 win 1000
    """, "window_full", "zero_window_probe", "zero_window_probe_ack", "window_update", "receiver_stall"),
    _told("bad_tcp_checksum", """
        open
        0.000 > P. 1:101(100) ack 1 win 502 [cksum bad]
    """),
    _told("reset", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.000 < R. 1:1(0) ack 101 win 0
    """),
    _told("keep_alive", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.010 < . 1:1(0) ack 101 win 509
        1.000 > . 100:100(0) ack 1 win 502
        1.000 < . 1:1(0) ack 101 win 509
    """, "keep_alive_ack", slow=True),
    _told("impossible_flags", """
        0.000 > SF 0:0(0) win 1024
    """),
    _told("ack_of_unseen", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 1101 win 509
    """),
    _told("malformed", """
        open
        0.000 > P. 1:101(100) ack 1 win 502 [offset 4]
    """),
    _told("overlap_conflict", """
        open
        0.000 > P. 1:9(8) ack 1 win 502 [payload "one tale"]
        0.000 > P. 1:9(8) ack 1 win 502 [payload "another."]
        0.010 < . 1:1(0) ack 9 win 509
    """, "retransmission"),
    _told("data_after_close", """
        open
        0.000 > F. 1:1(0) ack 1 win 502
        0.000 < . 1:1(0) ack 2 win 509
        0.000 > P. 2:102(100) ack 1 win 502
    """),
    _told("syn_in_established", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.000 > S 5000:5000(0) win 1024
        0.000 < . 1:1(0) ack 101 win 509
    """, "challenge_ack"),
    _told("window_shrunk", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.000 > P. 101:201(100) ack 1 win 502
        0.000 < . 1:1(0) ack 201 win 100
    """),
    _told("reset_out_of_window", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.000 > R 900000:900000(0) win 0
    """),
    _told("out_of_window_data", """
        open
        0.000 > P. 1:101(100) ack 1 win 502
        0.000 < . 1:1(0) ack 101 win 509
        0.000 > P. 900000:900100(100) ack 1 win 502
    """),
)  # fmt: skip
NAMES = frozenset(name for condition in CONDITIONS for name in condition.names)
FAST_NAMES = frozenset(name for condition in CONDITIONS if not condition.slow for name in condition.names)
# Of the kernel's canary, which lab/kernel_canary.py plays: conditions, and the counters that they move.
KERNEL_NAMES = frozenset(
    {
        *("retransmission", "syn_retransmission", "synack_retransmission", "rto_backoff", "zero_window"),
        *("bad_tcp_checksum", "reset", "connection_refused"),
        *("TcpRetransSegs", "TcpExtTCPTimeouts", "TcpExtTCPSynRetrans", "TcpExtTCPToZeroWindowAdv"),
        *("TcpInCsumErrors", "TcpOutRsts", "TcpAttemptFails", "TcpEstabResets"),
        *("TcpExtListenDrops", "TcpExtListenOverflows"),
    }
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame: when it is sent, in beats after the first, and when it counts as sent."""

    beat: int
    offset_ns: int
    frame: bytes


@lru_cache(maxsize=2 * MOST_VANTAGES)
def conversations(vantage: int, version: int) -> tuple[Sent, ...]:
    """All frames for one vantage of a case, in the order in which they are sent."""
    if vantage:
        return tuple(Sent(s.beat, s.offset_ns, moved(s.frame, vantage)) for s in conversations(0, version))
    lines = [(line, number) for number, condition in enumerate(CONDITIONS, 1) for line in condition.lines]
    lines.sort(key=lambda pair: float(pair[0].split()[0]))  # stable: each conversation keeps its order
    beats = {time: beat for beat, time in enumerate(dict.fromkeys(line.split()[0] for line, _ in lines))}
    found = []
    for place, (line, number) in enumerate(lines):
        segment = segment_of(line, vantage, number, version)
        frame = macs(vantage, place) + segment.data[12:]
        found.append(Sent(beats[line.split()[0]], segment.time_ns, frame))
    return tuple(found)


def segment_of(line: str, vantage: int, number: int, version: int) -> Segment:
    time, side, rest = line.split(None, 2)
    client, server = addresses(vantage, number, version)
    one, other = f"{client}.{CLIENT_PORT + number}", f"{server}.{SERVER_PORT + number}"
    who = f"{one} > {other}" if side == ">" else f"{other} > {one}"
    return parse_line(f"{time} {who}: {rest}")


def condition_of(finding: HasFlow) -> Condition | None:
    """That of whose conversation something is said; None when it is about no canary's."""
    place = place_of(finding.flow.src) if finding.flow is not None else None
    if place is None or not 0 < place[1] <= len(CONDITIONS):
        return None
    return CONDITIONS[place[1] - 1]


class HasFlow(Protocol):
    @property
    def flow(self) -> FlowKey | None: ...


# --- what we say of it


def heard(frames: Iterable[bytes], vantage: int, version: int) -> frozenset[str]:
    """The names that our detectors report of those of its frames that were captured."""
    whole = conversations(vantage, version)
    captured = [frame for frame in frames if vantage_of(frame) == vantage]
    if captured == [sent.frame for sent in whole]:
        return _heard_whole(version)
    times = {number_of(sent.frame): sent.offset_ns for sent in whole}
    return _names(Sent(0, times.get(number_of(frame), 0), frame) for frame in captured)


@lru_cache(maxsize=2)
def _heard_whole(version: int) -> frozenset[str]:
    """The same at every vantage: only addresses differ."""
    return _names(conversations(0, version))


def _names(sent: Iterable[Sent]) -> frozenset[str]:
    """Each finding counts in the conversation that is made for it alone, or comes along with."""
    return frozenset(
        finding.name
        for finding in findings_of(sent)
        if (condition := condition_of(finding)) is not None and finding.name in condition.names
    )


def findings_of(sent: Iterable[Sent]) -> list[Finding]:
    """All that our detectors say of these frames, at the table's times."""
    analysis = Analysis()
    for number, one in enumerate(sent, 1):
        analysis.see(decode(one.frame, time_ns=one.offset_ns, frame=number))
    return analysis.finish().findings
