"""Answers that do not fit what they answer, in handshakes, reports and clocks."""

from __future__ import annotations

from tcpharness.analysis.detector import Hit
from tcpharness.analysis.detectors.oddity import once
from tcpharness.analysis.finding import Finding
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, AE, CWR, ECE, SYN, Segment, seq_diff

STORM = 10  # old ACKs of each side
ECHOES = 10
SECOND_NS = 1_000_000_000
FAR = 1 << 30  # further back than any window


def synack_bad_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK that acknowledges something else than the SYN (RFC 9293 3.10.7.3).

    why it matters: The client answers with a RST: a forged answer, or a server that mixes clients up.
    what to do: Compare its TTL with the server's other segments.
    limits: Needs the SYN.
    fires: another's
        0.000 > S 100:100(0)
        0.001 < S. 0:0(0) ack 999
    silent: one more than the SYN
        0.000 > S 100:100(0)
        0.001 < S. 0:0(0) ack 101
    """
    if not segment.flags & ACK or other.isn < 0:
        return None
    acked = seq_diff(segment.ack, other.isn)
    if 1 <= acked <= max(1, seq_diff(other.max_end, other.isn)):
        return None
    return Hit(f"acknowledges the SYN's number and {acked}, not 1")


def synack_changed_isn(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A second SYN-ACK with another initial number.

    why it matters: Two servers answer (anycast, a balancer that flaps), or a cookie was computed anew.
    what to do: Compare TTL and MACs of both.
    limits: A connection that begins anew between the same ports is another one.
    fires: two answers
        0.000 > S 100:100(0)
        0.001 < S. 500:500(0) ack 101
        0.002 < S. 900:900(0) ack 101
    silent: the same again
        0.000 > S 100:100(0)
        0.001 < S. 500:500(0) ack 101
        1.002 < S. 500:500(0) ack 101
    """
    if not segment.flags & ACK or this.order != Order.OUTSIDE or this.isn < 0:
        return None
    return Hit(f"number {segment.seq} after {this.isn}")


def accept_queue_overflow(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK is sent again although the client's ACK has come by here.

    why it matters: A listener whose accept queue is full ignores that ACK: the program does not accept.
    what to do: Look at ListenOverflows; a larger backlog, net.core.somaxconn, a program that accepts sooner.
    limits: Far from the server the ACK may have been lost further on.
    fires: ignored
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        1.001 < S. 0:0(0) ack 1
    silent: the ACK is missing
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        1.001 < S. 0:0(0) ack 1
    """
    if not segment.flags & ACK or this.flow.handshake != 3 or this.order not in (Order.AGAIN, Order.NEEDLESS):
        return None
    if this.flow.simultaneous or not once(this, "overflow"):
        return None
    return Hit(f"SYN-ACK number {this.syns + 1}, though its ACK was seen")


def ecn_setup(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Both SYNs agree on ECN (RFC 3168 6.1.1).

    why it matters: Congestion may be told by marks instead of losses.
    what to do: Nothing.
    limits: Needs both SYNs.
    fires: agreed
        0.000 > SEW 0:0(0) <mss 1460>
        0.001 < S.E 0:0(0) ack 1 <mss 1460>
    silent: not asked for
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
    """
    return Hit("asked for and agreed") if asked_for_ecn(segment, this, other) and agrees(segment) else None


def ecn_refused(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The SYN asked for ECN, the SYN-ACK does not agree.

    why it matters: The connection does without: congestion is told by losses.
    what to do: net.ipv4.tcp_ecn at the server; or a middlebox has cleared the bits (ecn_bleached).
    limits: Needs both SYNs.
    fires: refused
        0.000 > SEW 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
    silent: agreed
        0.000 > SEW 0:0(0) <mss 1460>
        0.001 < S.E 0:0(0) ack 1 <mss 1460>
    """
    return (
        Hit("asked for, not agreed") if asked_for_ecn(segment, this, other) and not agrees(segment) else None
    )


def asked_for_ecn(segment: Segment, this: Side, other: Side) -> bool:
    flow = this.flow
    first = flow.first_flags & (SYN | ACK | ECE | CWR)
    return bool(segment.flags & ACK) and this.isn < 0 and other is flow.a and first == SYN | ECE | CWR


def agrees(segment: Segment) -> bool:
    """ECE alone, or one of AccECN's answers (RFC 9768 3.1.2)."""
    return segment.flags & (ECE | CWR) == ECE or bool(segment.flags & (AE | CWR))


def sack_block_invalid(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SACK block that ends before it begins, or lies beyond its sender's own window. Once a direction.

    why it matters: The sender drops such ACKs or learns nothing from them: a firewall that changes sequence
        numbers and forgets those in SACK (an old and common mistake).
    what to do: Compare with a capture at the other side of the firewall.
    limits: Needs both SYNs, for the window.
    fires: numbers of another world
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.002 > . 1:1(0) ack 1
        0.003 > . 1001:2001(1000) ack 1
        0.004 < . 1:1(0) ack 1 <nop,nop,sack 1 {777771001:777772001}>
    silent: as it should be
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.002 > . 1:1(0) ack 1
        0.003 > . 1001:2001(1000) ack 1
        0.004 < . 1:1(0) ack 1 <nop,nop,sack 1 {1001:2001}>
    """
    wrong = [block for block in segment.sacks if not valid(*block, segment.ack, this)]
    if not wrong or not once(this, "sack block"):
        return None
    return Hit(f"block {wrong[0][0]}:{wrong[0][1]} with ack {segment.ack}")


def sack_reneging(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK that stops where bytes begin which its sender had reported by SACK (RFC 2018 8).

    why it matters: The receiver has thrown away what it had reported, for want of memory: the sender must
        forget its scoreboard and send all of it again.
    what to do: TCPSACKReneging at the sender; net.ipv4.tcp_mem and tcp_rmem at the receiver.
    limits: None.
    fires: it had 1001:2001
        0.000 > . 1:501(500) ack 1
        0.001 > . 501:1001(500) ack 1
        0.002 > . 1001:2001(1000) ack 1
        0.003 < . 1:1(0) ack 501 <nop,nop,sack 1 {1001:2001}>
        0.300 > . 501:1001(500) ack 1
        0.301 < . 1:1(0) ack 1001
    silent: all of it
        0.000 > . 1:501(500) ack 1
        0.001 > . 501:1001(500) ack 1
        0.002 > . 1001:2001(1000) ack 1
        0.003 < . 1:1(0) ack 501 <nop,nop,sack 1 {1001:2001}>
        0.300 > . 501:1001(500) ack 1
        0.301 < . 1:1(0) ack 2001
    """
    if this.advance <= 0 or segment.sack_count:
        return None  # blocks that go on report it still
    for block in other.sacked:
        if seq_diff(block.left, segment.ack) <= 0 < seq_diff(block.right, segment.ack):
            lost = seq_diff(block.right, segment.ack)
            return Hit(f"{lost} bytes beyond ack {segment.ack} had been reported", detail={"bytes": lost})
    return None


def cwr_missing(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Congestion is echoed for longer than three round trips, and the sender does not answer (CWR).

    why it matters: The sender ignores marks, or somebody clears CWR: the queue grows on (RFC 3168 6.1.2).
    what to do: Look whether the sender slows down; compare captures of both sides.
    limits: Needs the SYNs, for accurate ECN (RFC 9768) uses the same bits otherwise. Ten echoes at least.
    fires: never answered
        0.000 > SEW 0:0(0) <mss 1460>
        0.001 < S.E 0:0(0) ack 1 <mss 1460>
        0.002 > . 1:1(0) ack 1
        0.010 x12+0.100 10.0.0.1.40000 > 10.0.0.2.105: P. {n*10+1}:{n*10+11}(10) ack 1
        0.011 x12+0.100 10.0.0.2.105 > 10.0.0.1.40000: .E 1:1(0) ack {n*10+11}
    silent: answered
        0.000 > SEW 0:0(0) <mss 1460>
        0.001 < S.E 0:0(0) ack 1 <mss 1460>
        0.002 > . 1:1(0) ack 1
        0.003 > P. 1:11(10) ack 1
        0.004 < .E 1:1(0) ack 11
        0.005 > P.W 11:21(10) ack 1
    """
    if segment.flags & CWR and other.ongoing and "echo" in other.ongoing:
        other.ongoing = {word: each for word, each in other.ongoing.items() if word != "echo"}
    first = this.flow.first_flags & (SYN | ACK | ECE | CWR | AE)
    if not segment.flags & ECE or first != SYN | ECE | CWR:
        return None
    now = segment.time_ns
    echo = this.lasts("echo", now)
    if echo is None:
        # Counted, but not reported: most are answered.
        this.begins("echo")(Finding("", "info", now, segment.frame, None, ""))
        return None
    patience = max(3 * (this.flow.rtt_ns() or 0), 100_000_000)
    if echo.count < ECHOES or now - echo.time_ns < patience or not once(this, "cwr"):
        return None
    return Hit(f"{echo.count} echoes in {(now - echo.time_ns) / 1e6:.3f} ms, no CWR", count=echo.count,
               time_ns=echo.time_ns, frame=echo.frame, end_ns=now)  # fmt: skip


def valid(left: int, right: int, ack: int, this: Side) -> bool:
    if seq_diff(right, left) <= 0 or seq_diff(ack, left) > FAR:
        return False
    known = this.options_known and this.win_known
    return not known or seq_diff(right, this.right_edge) <= max(this.most_win, 0)


def timestamp_regression(segment: Segment, this: Side, other: Side) -> Hit | None:
    """New data with a timestamp more than a thousand ticks before an earlier one's. Once a direction.

    why it matters: Its receiver drops it (PAWS, RFC 7323 5): the connection hangs. Two hosts behind one
        address, a clock that was set back, or a forged segment.
    what to do: Compare TTL and IP id of both segments.
    limits: Less may be reordering.
    fires: back by a minute
        0.000 > P. 1:11(10) ack 1 <nop,nop,TS val 90000 ecr 1>
        0.010 > P. 11:21(10) ack 1 <nop,nop,TS val 30000 ecr 1>
    silent: on
        0.000 > P. 1:11(10) ack 1 <nop,nop,TS val 90000 ecr 1>
        0.010 > P. 11:21(10) ack 1 <nop,nop,TS val 90010 ecr 1>
    """
    if not segment.payload_len or not once(this, "clock"):
        return None
    back = seq_diff(this.ts_high, segment.tsval)
    return Hit(f"timestamp {segment.tsval} after {this.ts_high}, {back} ticks back", detail={"ticks": back})


def ack_storm(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An episode: both sides answer each other's old ACKs by old ACKs, ten each within a second, or more.

    why it matters: They disagree about the numbers of the stream (a forged segment, a middlebox that forgot):
        each ACK is unacceptable, and answered by another (RFC 5961 7) until one is lost or all is reset.
    what to do: Find the first segment that only one side took. Linux bounds it by tcp_invalid_ratelimit.
    limits: Numbers that are too high look like a gap here, and are not counted.
    fires: ping and pong
        0.000 > P. 1:101(100) ack 1
        0.000 < P. 1:101(100) ack 1
        0.001 x12+0.002 10.0.0.1.40000 > 10.0.0.2.105: . 51:51(0) ack 51
        0.002 x12+0.002 10.0.0.2.105 > 10.0.0.1.40000: . 51:51(0) ack 51
    silent: one side's ACKs came late
        0.000 > P. 1:101(100) ack 1
        0.000 < P. 1:101(100) ack 1
        0.001 x12+0.002 10.0.0.1.40000 > 10.0.0.2.105: . 51:51(0) ack 51
    """
    now = segment.time_ns
    if this.lasts("ack storm", now) is not None or other.lasts("ack storm", now) is not None:
        return None
    mine = this.lasts("old acks", now)
    if mine is None or now - mine.time_ns > SECOND_NS:
        # Counted, but not reported: it may be only a few.
        this.begins("old acks")(Finding("", "info", now, segment.frame, None, ""))
        return None
    theirs = other.ongoing.get("old acks") if other.ongoing else None
    if theirs is None or min(mine.count, theirs.count) < STORM or now - theirs.time_ns > SECOND_NS:
        return None
    total = mine.count + theirs.count
    took = (now - mine.time_ns) / 1e6
    return Hit(f"{total} old ACKs within {took:.3f} ms", count=total, time_ns=mine.time_ns,
               end_ns=now, keep=this.begins("ack storm"))  # fmt: skip
