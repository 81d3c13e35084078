"""Loss and order: what was sent again, why, and whether it was needed."""

from __future__ import annotations

from dataclasses import replace

from tcpharness.analysis.finding import Finding
from tcpharness.analysis.hit import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import SYN, Segment, seq_diff

MS = 1_000_000
SECOND = 1_000 * MS


def may_be_probe(segment: Segment, this: Side) -> bool:
    """True for the first repeat of a flight of one: a tail-loss probe waits as long (RFC 8985 7.2)."""
    first = this.again is not None and this.again.count == 1 and segment.seq == this.una
    last = seq_diff(segment.next_seq, this.max_end) >= 0
    return first and last and this.recover < 0 and this.loss_recover < 0 and this.uses_sack()


def repeated(segment: Segment, this: Side, text: str, needed: str) -> Hit:
    """What both kinds of repeat say."""
    detail: dict[str, int | str | float] = {
        "trigger": this.trigger,
        "needed": needed,
        "elapsed_ns": this.elapsed_ns,
        "dup_acks": this.dup_acks,
        "captured_before": int(this.hole is None),
        "times": this.again.count if this.again is not None else 1,
        "rto_ns": this.rto_ns(),
    }
    if this.trigger == "rto" and may_be_probe(segment, this):
        detail["or"] = "tlp"
    return Hit(text, kind=this.trigger, detail=detail, keep=this.again.keep if this.again else None)


def retransmission(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Bytes, or a FIN, that were sent before; also where this capture never saw the first time.

    why it matters: Something was lost, or its sender had to believe so. `kind` says what made it send again:
        fast (duplicate ACKs or SACK), recovery (further ones of that), rto (the timer), slow_start
        (further ones after the timer), tlp (a tail-loss probe), syn, fin, pmtu (a router's ICMP), unknown.
    what to do: fast and recovery cost a round trip, rto a stall: look for the loss, or at rto_min.
    limits: With one segment in flight a tail-loss probe waits as long as the timer, and is told from it only
        when another follows; until then `or` in the detail is tlp. `needed` becomes yes or no when the
        receiver tells (DSACK, echo). `times`: how often it had been sent; `rto_ns`: RFC 6298's estimate.
    fires: the timer
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
    fires: three duplicate ACKs
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 1001:2001(1000) ack 1
        0.002 > . 2001:3001(1000) ack 1
        0.003 > . 3001:4001(1000) ack 1
        0.004 > . 4001:5001(1000) ack 1
        0.010 < . 1:1(0) ack 1001
        0.011 < . 1:1(0) ack 1001
        0.012 < . 1:1(0) ack 1001
        0.013 < . 1:1(0) ack 1001
        0.014 > . 1001:2001(1000) ack 1
    fires: a hole filled later, by its timestamp, where the first copy was never captured
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.001 > . 2001:3001(1000) ack 1 <TS val 10 ecr 1>
        0.050 > . 1001:2001(1000) ack 1 <TS val 60 ecr 1>
    silent: a keep-alive
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
    silent: overtaken, by its timestamp
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.001 > . 2001:3001(1000) ack 1 <TS val 12 ecr 1>
        0.002 > . 1001:2001(1000) ack 1 <TS val 11 ecr 1>
    silent: the same frame captured twice
        0.000 > P. 1:11(10) ack 1 [id 77]
        0.001 > P. 1:11(10) ack 1 [id 77]
    """
    if segment.flags & SYN:
        return None
    hit = repeated(segment, this, this.evidence, "unknown" if this.hole is None else "yes")
    if this.hole is not None:
        hit.text += "; the first copy was not captured here"
    if this.first_was_probe and this.again is not None and this.again.finding is not None:
        old = this.again.finding
        hit.replaces = ((old, as_probe(old)),)
    return hit


def as_probe(old: Finding) -> Finding:
    """The first repeat of a flight of one, now that the next interval has not doubled."""
    text = old.text + "; a probe, for the next interval has not doubled"
    detail = {name: value for name, value in old.detail.items() if name != "or"}
    return replace(old, kind="tlp", text=text, detail={**detail, "trigger": "tlp"})


def spurious_retransmission(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Sent again although all of it had been acknowledged, as this capture saw before.

    why it matters: Wasted, and the sender has slowed down for nothing.
    what to do: An ACK that was lost or late, or a timer below the round trip (delay variation, rto_min).
    limits: Near the receiver the ACK may only have been under way; the sender could not know.
    fires: acknowledged before
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        0.200 > P. 1:11(10) ack 1
    silent: not acknowledged
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
    """
    if segment.flags & SYN:
        return None
    ago = f"{(segment.time_ns - this.una_ns) / MS:.3f} ms" if this.una_ns >= 0 else "some time"
    return repeated(segment, this, f"acknowledged {ago} before; {this.evidence}", "no")


def out_of_order(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment that was overtaken: sent before what arrived before it.

    why it matters: The path reorders; three or more places make senders resend what was not lost.
    what to do: Look for packets spread over several links or queues.
    limits: Without timestamps or counting IP ids its age decides, against the round trip; the text says so.
    fires: by its timestamp
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.001 > . 2001:3001(1000) ack 1 <TS val 12 ecr 1>
        0.002 > . 1001:2001(1000) ack 1 <TS val 11 ecr 1>
    fires: overtaken by its own repeat
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.050 > . 1001:2001(1000) ack 1 <TS val 60 ecr 1>
        0.051 > . 1001:2001(1000) ack 1 <TS val 11 ecr 1>
    silent: sent later
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.001 > . 2001:3001(1000) ack 1 <TS val 10 ecr 1>
        0.050 > . 1001:2001(1000) ack 1 <TS val 60 ecr 1>
    """
    if this.hole is not None and this.hole.told:
        return None  # wrong_direction_order
    behind = segment.time_ns - this.hole.since_ns if this.hole else 0
    return Hit(this.evidence, detail={"behind_ns": behind})


def gap(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment that begins beyond what this capture has seen: bytes before it are missing, as yet.

    why it matters: Lost or overtaken before it came by here, or missed by the capture.
    what to do: What follows tells: out_of_order, retransmission, or nothing (then ack_of_unseen).
    limits: None.
    fires: a hole
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 2001:3001(1000) ack 1
    silent: in order
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 1001:2001(1000) ack 1
    """
    missing = seq_diff(segment.seq, this.max_end)
    if segment.next_seq == segment.seq:
        if this.gap_said == segment.seq:
            return None
        this.gap_said = segment.seq
    return Hit(
        f"{missing} bytes before it are missing", detail={"missing_bytes": missing, "from_seq": this.max_end}
    )


def out_of_window_data(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Data far beyond any window that its receiver has offered.

    why it matters: Its receiver drops it: a blind injection, or a broken device.
    what to do: Compare TTL and IP id with its sender's other segments.
    limits: Needs both SYNs, for the scale; 64 KB beyond the edge are let pass.
    fires: a guess
        0.000 > S 0:0(0) win 1000 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 1000 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 1000
        0.003 > P. 900000:900010(10) ack 1
    silent: in the window
        0.000 > S 0:0(0) win 1000 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 1000 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 1000
        0.003 > P. 501:511(10) ack 1
    """
    if segment.flags & SYN:
        return None
    return Hit(f"{seq_diff(segment.seq, other.right_edge)} bytes beyond the window's right edge")


def duplicate_frame(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The same frame once more: captured twice or doubled on the path, not sent twice.

    why it matters: Tools that do not notice report retransmissions and duplicate ACKs that never were.
    what to do: Capture on one interface; a port that mirrors both directions of a link doubles everything.
    limits: A pure ACK only where its sender's IP ids count. Without an IP id (IPv6) the receiver's reports
        must agree. Of data that was acknowledged long ago, the timestamp or the id tells that it is older
        than what came since.
    fires: the same id and bytes
        0.000 > P. 1:11(10) ack 1 [id 77]
        0.001 > P. 1:11(10) ack 1 [id 77]
    fires: an ACK
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 1 [id 77]
        0.002 < . 1:1(0) ack 11 [id 78]
        0.003 < . 1:1(0) ack 11 [id 78]
    fires: a RST
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:1(0) ack 11 win 0 [id 0]
        0.002 < R. 1:1(0) ack 11 win 0 [id 0]
    silent: a RST for each segment
        0.000 > P. 1:11(10) ack 1
        0.001 < R 1:1(0) win 0 [id 0]
        0.002 > P. 11:21(10) ack 1
        0.003 < R 1:1(0) win 0 [id 0]
    silent: it answers an ACK that has come since
        0.0000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.0000 > . 1001:2001(1000) ack 1 <TS val 10 ecr 1>
        0.0002 < . 1:1(0) ack 1001 <TS val 5 ecr 10>
        0.0002 > . 1001:2001(1000) ack 1 <TS val 10 ecr 1>
    silent: another id
        0.000 > P. 1:11(10) ack 1 [id 77]
        0.200 > P. 1:11(10) ack 1 [id 78]
    """
    routed = this.ttl_last >= 0 and segment.ttl < this.ttl_last
    text = f", with TTL {segment.ttl} after {this.ttl_last}: routed past here twice" if routed else ""
    return Hit("the same frame again" + text, kind="routed" if routed else "")


def rto_backoff(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An episode: the timer fired twice or more in a row, each interval about twice the last (RFC 6298 5.5).

    why it matters: The connection stood still for that long.
    what to do: Find what was lost so often; on short paths a smaller rto_min shortens it.
    limits: Reported when it ends, at the first of its retransmissions.
    fires: 200, 400 ms
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.600 > P. 1:11(10) ack 1
        0.601 < . 1:1(0) ack 11
    fires: the other side ends it, and the capture goes on
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.600 > P. 1:11(10) ack 1
        1.000 < R. 1:1(0) ack 1
        9.000 end
    silent: one timeout
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.201 < . 1:1(0) ack 11
    """
    # With an ACK the episode is the other side's; with the end of the flow it is this side's.
    side = other if segment.is_tcp else this
    closed = not segment.is_tcp and bool(this.flow.closed)
    if side.rto_count < 2 or (not segment.is_tcp and not closed and timed_out_after(segment, this)):
        return None
    # What came to an end before the capture did ends there.
    ended_ns = this.flow.last_ns if closed else segment.time_ns
    span = ended_ns - side.rto_first_ns
    return Hit(
        f"{side.rto_count} timeouts in a row, {span / SECOND:.3f} s from the first",
        count=side.rto_count,
        frame=side.rto_frame,
        time_ns=side.rto_first_ns,
        end_ns=ended_ns,
        seq=side.una,
        of_other=segment.is_tcp,
        detail={"timeouts": side.rto_count, "span_ns": span},
    )


NEEDLESS_BECAUSE = {  # flow.py's BY_ORIGINAL, BY_DSACK, BY_ECHO
    1: ("f_rto", "what was sent before it has come"),
    2: ("dsack", "all that was sent again came twice"),
    3: ("echo", "the ACK echoes what was sent before it"),
}


def spurious_timeout(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK proves that the other side's timer had run out too early: its flight had come, or was coming.

    why it matters: Nothing stood still but the clock; the sender had begun slowly again, and takes that back.
        `kind` says what proves it: f_rto (what had been sent before is acknowledged after it, RFC 5682), echo
        (the first transmission's timestamp comes back, RFC 3522), dsack (each repeat came twice, RFC 3708).
    what to do: The round trip has grown beyond the timer: delay variation, a pause of the receiver, ACKs that
        were lost, an rto_min that is too small.
    limits: f_rto proves that ACKs were still coming, not that each repeat was needless. Timers of SYNs and of
        bare FINs are left out, and so is DSACK that comes when the recovery is over.
    fires: the first of a flight is sent again, and then the others are acknowledged
        0.000 > S 0:0(0) win 1000 <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK>
        0.002 > . 1:1(0) ack 1 win 1000
        0.003 > . 1:1001(1000) ack 1 win 1000
        0.004 > . 1001:2001(1000) ack 1 win 1000
        0.304 > . 1:1001(1000) ack 1 win 1000
        0.310 < . 1:1(0) ack 2001 win 1000
    fires: the echo
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.300 > . 1:1001(1000) ack 1 <TS val 310 ecr 1>
        0.310 < . 1:1(0) ack 1001 <TS val 5 ecr 10>
    silent: the repeat was needed
        0.000 > . 1:1001(1000) ack 1 <TS val 10 ecr 1>
        0.300 > . 1:1001(1000) ack 1 <TS val 310 ecr 1>
        0.310 < . 1:1(0) ack 1001 <TS val 5 ecr 310>
    """
    kind, because = NEEDLESS_BECAUSE[other.undone_by]
    after_ns = segment.time_ns - other.rto_first_ns
    return Hit(
        f"{because}; the timer of frame {other.rto_frame} ran out {after_ns / MS:.3f} ms before",
        kind=kind,
        seq=other.una,
        of_other=True,
        detail={"timeout_frame": other.rto_frame, "after_ns": after_ns},
    )


def timed_out_after(segment: Segment, this: Side) -> bool:
    """True when the flow fell silent for longer than the next timer would have waited."""
    if this.rto_count >= 2:
        interval = max(this.rto_last_ns - this.rto_first_ns, 1)
        return segment.time_ns - this.rto_last_ns > 3 * interval
    return False


def timed_out(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Repeats or keep-alives that end without an answer: silence, or their sender resets.

    why it matters: The connection is dead; the program gets ETIMEDOUT.
    what to do: Find out since when nothing came back: the path, the peer, a NAT that forgot.
    limits: A capture that ends before the next timer says nothing. Window probes are not counted.
    fires: silence
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.600 > P. 1:11(10) ack 1
        9.000 end
    fires: the sender gives up
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.600 > P. 1:11(10) ack 1
        1.400 > R. 11:11(0) ack 1
    silent: answered
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 1:11(10) ack 1
        0.600 > P. 1:11(10) ack 1
        0.601 < . 1:1(0) ack 11
        9.000 end
    """
    tries, what = this.rto_count, "retransmissions"
    if tries < 2 and this.keep_alives >= 2:
        tries, what = this.keep_alives, "keep-alives"
    if tries < 2 or this.flow.closed:
        return None
    if segment.is_tcp:
        ended = "reset by its sender"
    elif what == "retransmissions" and timed_out_after(segment, this):
        ended = f"silence for {(segment.time_ns - this.rto_last_ns) / SECOND:.3f} s"
    else:
        return None
    first = this.rto_first_ns if what == "retransmissions" else this.keep_alive_ns
    return Hit(
        f"{tries} {what} without an answer, then {ended}",
        kind=what.replace("-", "_"),
        count=tries,
        time_ns=first,
        frame=this.rto_frame or segment.frame,
        end_ns=segment.time_ns,
    )
