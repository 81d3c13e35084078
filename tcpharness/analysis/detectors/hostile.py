"""Segments that look as if somebody else had sent them, or somebody who knows nothing of the connection."""

from __future__ import annotations

from tcpharness.analysis.detector import Hit
from tcpharness.analysis.finding import Finding
from tcpharness.analysis.resets import foreign_marks
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, Segment, seq_add, seq_diff

MS = 1_000_000
PROBES = 5  # RSTs that climb: fewer may be late ones
OFF_THE_MARK = ("in window", "old", "outside")
ANSWER_NS = 1_000 * MS


def blind_rst_probe(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An episode: RSTs in one name whose numbers climb (or fall) through the stream, none of them right.

    why it matters: Somebody off the path guesses at the sequence number to cut the connection (RFC 5961 1.2).
    what to do: Filter forged sources; RFC 5961 makes each of them cost a challenge, not the connection.
    limits: From the fifth on. Guesses without an order are told one by one (reset_out_of_window).
    fires: a sweep
        0.000 > S 0:0(0) win 65535 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 65535 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 65535
        0.010 x6+0.001 10.0.0.2.105 > 10.0.0.1.40000: R {n*9000+500}:{n*9000+500}(0)
    silent: one off the mark
        0.000 > S 0:0(0) win 65535 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 65535 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 65535
        0.003 < R 501:501(0)
    """
    if this.reset_class not in OFF_THE_MARK:
        return None
    now = segment.time_ns
    guesses = this.ongoing.get("rst guesses") if this.ongoing else None
    step = seq_diff(segment.seq, guesses.seq or 0) if guesses is not None else 0
    turned = guesses is not None and guesses.count > 1 and (step > 0) != (int(guesses.detail["step"]) > 0)
    if guesses is None or not step or turned:
        # Counted, but not reported: it may be only a few.
        this.begins("rst guesses")(Finding("", "info", now, segment.frame, None, "", seq=segment.seq))
        return None
    guesses.seq, guesses.detail["step"] = segment.seq, step
    guesses.count += 1
    if guesses.count > PROBES:
        this.lasts("rst sweep", now)
        return None
    if guesses.count < PROBES:
        return None
    return Hit(
        f"{PROBES} RSTs in {(now - guesses.time_ns) / MS:.3f} ms, each {abs(step)} bytes or so from the last",
        count=PROBES, time_ns=guesses.time_ns, frame=guesses.frame, end_ns=now, detail={"step": step},
        keep=this.begins("rst sweep"),
    )  # fmt: skip


def data_injection(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Data that its sender did not send: with another TTL, and an IP id off its sender's counter.

    why it matters: Somebody on the path writes into the connection.
    what to do: Compare with a capture at the supposed sender; overlap_conflict tells when both versions came.
    limits: IPv4, and a sender whose ids count. A forger beside the sender has the same TTL.
    fires: a foreign packet
        0.000 > P. 1:11(10) ack 1 [id 100]
        0.001 > P. 11:21(10) ack 1 [id 101]
        0.002 > P. 21:31(10) ack 1 [id 102]
        0.003 > P. 31:41(10) ack 1 [id 103]
        0.004 > P. 41:51(10) ack 1 [id 40000, ttl 50]
    silent: another route
        0.000 > P. 1:11(10) ack 1 [id 100]
        0.001 > P. 11:21(10) ack 1 [id 101]
        0.002 > P. 21:31(10) ack 1 [id 102]
        0.003 > P. 31:41(10) ack 1 [id 103]
        0.004 > P. 41:51(10) ack 1 [id 104, ttl 50]
    """
    if not segment.payload_len or this.order == Order.COPY:
        return None
    marks = foreign_marks(segment, this)
    return Hit("; ".join(marks), detail={"evidence": len(marks)}) if len(marks) > 1 else None


def fin_advanced_seq(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A second FIN with another number than the first.

    why it matters: A stream ends once (RFC 9293 3.6): one of the two is forged, or a device miscounts.
    what to do: Compare TTL and IP id of both.
    limits: None.
    fires: ten bytes further
        0.000 > F. 1:1(0) ack 1
        0.001 > F. 11:11(0) ack 1
    silent: the same again
        0.000 > F. 1:1(0) ack 1
        0.200 > F. 1:1(0) ack 1
    """
    off = seq_diff(seq_add(segment.seq, segment.payload_len), this.fin_seq) if this.fin_seq >= 0 else 0
    if not off or this.order in (Order.COPY, Order.OUTSIDE):
        return None
    return Hit(f"a FIN {off:+d} bytes from the first one", detail={"off": off})


def forgotten(segment: Segment, this: Side, other: Side) -> bool:
    """A bare RST whose number is the ack of what it answers, without a FIN before (RFC 9293 3.10.7.1).

    A program that aborts sends a RST with ACK; where no socket is left, the kernel sends this one.
    """
    if segment.flags & ACK or this.reset_class != "exact" or this.reset_evidence or this.fin_seq >= 0:
        return False
    asked = other.last_ns > this.last_ns >= 0 and segment.time_ns - other.last_ns < ANSWER_NS
    news = other.max_end_ns == other.last_ns or other.keep_alives > 0 or this.live_syn >= 0
    return asked and news and segment.seq == this.una and other.fin_seq < 0
