"""How a connection ends, and who says so."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import Segment, flags_text, seq_diff

MS = 1_000_000


def fin_close(segment: Segment, this: Side, other: Side) -> Hit | None:
    """FIN both ways, both acknowledged: the graceful end.

    why it matters: Every byte has arrived, and both programs know that there are no more.
    what to do: Nothing.
    limits: None.
    fires: four steps
        0.000 > F. 1:1(0) ack 1
        0.001 < F. 1:1(0) ack 2
        0.002 > . 2:2(0) ack 2
    silent: one side only
        0.000 > F. 1:1(0) ack 1
        0.001 < . 1:1(0) ack 2
    """
    first = other if 0 <= other.fin_ns <= this.fin_ns else this
    took = segment.time_ns - first.fin_ns
    return Hit(
        f"FIN both ways, {first.key.src}.{first.key.sport} first; {took / MS:.3f} ms from first to last",
        detail={"first": f"{first.key.src}.{first.key.sport}", "took_ns": took},
    )


def reset(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST that ends a connection.

    why it matters: Data that was under way is lost; the other program gets ECONNRESET.
    what to do: Read which side, whether data was pending, and whether a FIN came before (then it is a note).
    limits: Where nothing else was captured, one that answers a segment of no connection looks the same, and
        is a note.
    fires: in the middle
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:1(0) ack 11
    silent: a refused connection is not reset
        0.000 > S 0:0(0)
        0.001 < R. 0:0(0) ack 1 win 0
    """
    if this.reset_class != "exact" or this.reset_evidence:
        return None
    pending = this.unacknowledged() + other.unacknowledged()
    after_fin = this.fin_seq >= 0 or (other.fin_seq >= 0 and not other.in_flight())
    side = "opener" if this is this.flow.opener else "listener" if this.flow.opener else "unknown"
    if not this.frames and side == "unknown":
        return Hit(
            f"{flags_text(segment.flags)} answers a segment of no connection",
            kind="no_connection",
            level=None if other.frames else "note",
            keep=this.keep_reset,
            detail={"side": side, "pending_bytes": 0, "after_fin": 0},
        )
    text = flags_text(segment.flags) + (f" from the {side}" if side != "unknown" else "")
    text += f", {pending} bytes not acknowledged" if pending else ", nothing outstanding"
    text += ", after a FIN" if after_fin else ""
    return Hit(
        text,
        level="note" if after_fin else None,
        keep=this.keep_reset,
        detail={"side": side, "pending_bytes": pending, "after_fin": int(after_fin)},
    )


def injected_reset(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST that its sender did not send: by its TTL, or because the sender goes on as if nothing had been.

    why it matters: Somebody on the path cuts connections: a firewall, a censor, an attacker.
    what to do: Compare the TTL with those of the devices on the path; capture at the supposed sender.
    limits: A forger beside the sender has the same TTL; then only a sender that goes on gives it away.
    fires: a foreign TTL
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.003 < R 1:1(0) [ttl 3]
    fires: the sender goes on
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > P. 1:11(10) ack 1
        0.003 < R 1:1(0)
        0.004 < P. 1:11(10) ack 11
    silent: IP id 0, window 0 and no timestamp are what a Linux kernel sends
        0.000 > S 0:0(0) <TS val 1 ecr 0> [id 7]
        0.001 < S. 0:0(0) ack 1 <TS val 1 ecr 1> [id 9]
        0.002 > P. 1:11(10) ack 1 <TS val 2 ecr 1> [id 8]
        0.003 < R 1:1(0) win 0 [id 0]
    silent: it refused one answer and asks on (RFC 9293 3.10.7.3)
        0.000 > S 0:0(0) <mss 1460,sackOK,TS val 500 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 9 ecr 5>
        0.002 > R 1:1(0) win 0
        1.000 > S 0:0(0) <mss 1460,sackOK,TS val 1500 ecr 0>
        1.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 10 ecr 1500>
        1.002 > . 1:1(0) ack 1 <TS val 1501 ecr 10>
    """
    if this.reset_class == "exact" and this.reset_evidence and segment.flags & 4:
        strength = "strong" if len(this.reset_evidence) > 1 else "fair"
        return Hit(
            "; ".join(this.reset_evidence),
            detail={"evidence": len(this.reset_evidence), "strength": strength},
        )
    finding = this.reset_finding
    if finding is None or finding.name == "injected_reset" or segment.flags & 4:
        return None
    return Hit(
        f"its sender goes on {(segment.time_ns - this.rst_ns) / MS:.3f} ms later, in frame {segment.frame}",
        frame=finding.frame,
        time_ns=finding.time_ns,
        seq=finding.seq,
        len=finding.len,
        detail={"evidence": 1, "strength": "strong", "goes_on_in_frame": segment.frame},
        replaces=((finding, None),),
        keep=this.keep_reset,
    )


def reset_out_of_window(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST whose number is not the next one expected: to be challenged or dropped (RFC 5961 3).

    why it matters: An old duplicate, or somebody guessing. It must not end the connection.
    what to do: A series of them with climbing numbers is an attack; one in a while a late packet.
    limits: Where bytes before it were lost ahead of this vantage, an honest RST looks like this too.
    fires: in the window, not the next byte
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.003 < R 501:501(0)
    silent: the next byte
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.003 < R 1:1(0)
    """
    if this.reset_class not in ("in window", "old", "outside"):
        return None
    off = seq_diff(segment.seq, this.una) if this.started else 0
    kind = this.reset_class.replace(" ", "_")
    return Hit(
        f"a RST {off:+d} bytes from the next one expected ({this.reset_class})",
        kind=kind,
        detail={"off": off},
    )


def challenge_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The ACK that answers a doubtful RST, a SYN inside the connection, or an impossible ACK (RFC 5961).

    why it matters: It looks like a duplicate ACK and is none; the other side proves itself by what follows.
    what to do: Look at the segment it answers.
    limits: Told from a duplicate ACK only by what came before it; Linux limits how many it sends.
    fires: a RST off the mark is challenged
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.003 < R 501:501(0)
        0.004 > . 1:1(0) ack 1
    silent: an ACK of data
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > P. 1:11(10) ack 1
        0.003 < . 1:1(0) ack 11
    """
    return Hit(f"answers {other.offence}, {(segment.time_ns - other.offence_ns) / MS:.3f} ms before")


def data_after_close(segment: Segment, this: Side, other: Side) -> Hit | None:
    """New data beyond its sender's own FIN, or towards a side that has reset the connection.

    why it matters: The program at the other end will never see it.
    what to do: Look at who closes first, and whether the other program knows the protocol's end.
    limits: What was under way when the RST was sent is not reported: only data from 100 ms later on.
    fires: beyond its own FIN
        0.000 > F. 1:1(0) ack 1
        0.001 < . 1:1(0) ack 2
        0.002 > P. 2:12(10) ack 1
    silent: the other side may still send
        0.000 > F. 1:1(0) ack 1
        0.001 < . 1:1(0) ack 2
        0.002 < P. 1:11(10) ack 2
    """
    if this.order in (Order.COPY, Order.AGAIN, Order.NEEDLESS):
        return None
    if this.fin_seq >= 0 and seq_diff(segment.seq, this.fin_seq) > 0:
        return Hit(f"{segment.payload_len} bytes beyond its own FIN")
    if other.rst_ns >= 0 and segment.time_ns - other.rst_ns > 100 * MS:
        return Hit(
            f"{segment.payload_len} bytes, {(segment.time_ns - other.rst_ns) / MS:.0f} ms after the RST"
        )
    return None


def half_closed(segment: Segment, this: Side, other: Side) -> Hit | None:
    """One side's FIN is acknowledged and the other side still sends. Once a connection.

    why it matters: Legal (RFC 9293 3.6) and used by few; middleboxes with short timers cut it.
    what to do: Nothing, if the protocol means it.
    limits: None.
    fires: the answer after the question's end
        0.000 > F. 1:1(0) ack 1
        0.001 < . 1:1(0) ack 2
        0.002 < P. 1:11(10) ack 2
    silent: both have finished
        0.000 > F. 1:1(0) ack 1
        0.001 < F. 1:1(0) ack 2
        0.002 > . 2:2(0) ack 2
    """
    if not other.fin_acked or this.order != Order.NEXT or "half_closed" in this.said:
        return None
    this.say("half_closed")
    return Hit("sends data although the other side has finished, and it knows")


def rst_with_data(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST with payload.

    why it matters: RFC 9293 3.5.2 allows a text that says why; usual stacks send none.
    what to do: Read the payload.
    limits: None.
    fires: a text
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:8(7) ack 11 win 0 [payload "go away"]
    silent: none
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:1(0) ack 11 win 0
    """
    if not segment.payload_len:
        return None
    return Hit(f"{segment.payload_len} bytes: {segment.payload[:40]!r}")


def rst_idle_timeout(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST that ends a minute of silence, or more.

    why it matters: A firewall, a NAT or a balancer has forgotten the connection, or an idle timer fired.
    what to do: Keep-alives more often than that.
    limits: Told by the silence alone.
    fires: after five minutes
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        300.000 < R. 1:1(0) ack 11 win 0
    silent: at once
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        0.002 < R. 1:1(0) ack 11 win 0
    """
    silence = segment.time_ns - max(this.last_ns, other.last_ns)
    if this.reset_class != "exact" or not this.frames or not other.frames or silence < 60_000 * MS:
        return None
    return Hit(f"after {silence / MS / 1000:.3f} s of silence", detail={"idle_ns": silence})


def keep_alive_answered_by_rst(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST that answers a keep-alive: the other side knows nothing of this connection any more.

    why it matters: It was restarted, or something on the way has forgotten the connection (half-open).
    what to do: Look at the other side at the time of its last answer.
    limits: None.
    fires: forgotten
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
        9.001 < R 1:1(0) win 0
    silent: it lives
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
        9.001 < . 1:1(0) ack 11
    """
    if other.keep_alive_ns < 0 or not other.keep_alives:
        return None
    return Hit(f"{(segment.time_ns - other.keep_alive_ns) / MS:.3f} ms after the keep-alive")


def fin_no_answer(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A FIN that was acknowledged, and no FIN came back within a minute, nor data.

    why it matters: The other program does not close (CLOSE-WAIT): its socket leaks. This side's kernel gives
        up its own after net.ipv4.tcp_fin_timeout.
    what to do: Look for CLOSE-WAIT at the other side: `ss state close-wait`.
    limits: The capture has to go on for a minute.
    fires: never closed
        0.000 > F. 1:1(0) ack 1
        0.001 < . 1:1(0) ack 2
        99.000 end
    silent: closed
        0.000 > F. 1:1(0) ack 1
        0.001 < F. 1:1(0) ack 2
        0.002 > . 2:2(0) ack 2
        99.000 end
    """
    quiet = segment.time_ns - max(this.fin_ns, other.max_end_ns)
    if (
        this.fin_seq < 0
        or not this.fin_acked
        or other.fin_seq >= 0
        or this.flow.closed
        or quiet < 60_000 * MS
    ):
        return None
    return Hit(f"acknowledged, and nothing for {quiet / MS / 1000:.3f} s", time_ns=this.fin_ns)
