"""What a capture cannot show, because of where and how it was made."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, SYN, Segment, seq_diff

MS = 1_000_000
FEW = 3  # frames: a probe or two have no other direction either


def one_sided(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Only one direction of a connection was captured, though its ACKs show that the other one was there.

    why it matters: Losses, windows and round trips can't be told from one direction.
    what to do: Capture where both directions pass, or at an end; look at the filter.
    limits: Three frames at least.
    fires: acknowledgements of nothing
        0.000 > . 1:1(0) ack 1
        0.001 > . 1:1(0) ack 1001
        0.002 > . 1:1(0) ack 2001
    silent: both
        0.000 > . 1:1(0) ack 1
        0.001 > . 1:1(0) ack 1001
        0.002 < . 2001:3001(1000) ack 1
    """
    if other.frames or this.frames < FEW or not other.acked:
        return None
    return Hit(f"{this.frames} frames one way, none back", count=this.frames, time_ns=this.flow.first_ns,
               frame=this.flow.first_frame, end_ns=this.last_ns)  # fmt: skip


def wrong_direction_order(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment captured behind what answers it: data behind its ACK, a SYN behind the SYN-ACK or more.

    why it matters: The capture has put frames in another order than they went (two queues, two interfaces):
        what depends on order within a fraction of a millisecond is doubtful.
    what to do: Capture on one queue, or sort by hardware timestamps.
    limits: Data without timestamps within a millisecond of its ACK only: later, it may have been sent again.
    fires: the answer first
        0.000 < S. 0:0(0) ack 1
        0.0001 > S 0:0(0)
    fires: data behind its ACK, by the timestamp that the ACK echoes
        0.000 > P. 1:11(10) ack 1 <nop,nop,TS val 10 ecr 7>
        0.001 < . 1:1(0) ack 21 <nop,nop,TS val 8 ecr 11>
        0.003 > P. 11:21(10) ack 1 <nop,nop,TS val 11 ecr 7>
    silent: as it was
        0.000 > S 0:0(0)
        0.0001 < S. 0:0(0) ack 1
    silent: sent again, after an ACK of what was not captured
        0.000 > P. 1:11(10) ack 1 <nop,nop,TS val 10 ecr 7>
        0.001 < . 1:1(0) ack 21 <nop,nop,TS val 8 ecr 11>
        0.003 > P. 11:21(10) ack 1 <nop,nop,TS val 13 ecr 7>
    """
    if not segment.flags & SYN:
        return late_data(segment, this, other) if this.hole is not None and this.hole.told else None
    if segment.flags & ACK or this.isn >= 0 or (this.order != Order.LATE and not other.syns):
        return None
    if this.order != Order.LATE and this.flow.opener is not this:
        return None
    late = segment.time_ns - (other.syn_ns if other.isn >= 0 else this.flow.first_ns)
    return Hit(f"{late / MS:.3f} ms after its answer", detail={"late_ns": late})


def late_data(segment: Segment, this: Side, other: Side) -> Hit:
    """With it, the ACK is no more of unseen data, if that was all it was about."""
    hole = this.hole
    assert hole is not None
    told = other.ongoing.get("unseen") if other.ongoing else None
    whole = seq_diff(segment.seq, hole.seq) <= 0 and seq_diff(segment.next_seq, hole.end) >= 0
    done = told is not None and told.frame == hole.frame and told.count == 1 and whole
    return Hit(
        this.evidence,
        detail={"late_ns": segment.time_ns - hole.since_ns, "ack_frame": hole.frame},
        replaces=((told, None),) if done and told is not None else (),
    )


def synack_unsolicited(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK whose SYN was not captured.

    why it matters: The other direction passes elsewhere, the capture begins here, or somebody sends SYNs in
        that address' name (syn_flood_backscatter).
    what to do: See whether its receiver answers with a RST: then it never asked.
    limits: At the very beginning of a capture it says nothing.
    fires: nobody asked
        0.000 > S. 0:0(0) ack 1
        0.001 < R 1:1(0) win 0
    silent: asked
        0.000 < S 0:0(0)
        0.001 > S. 0:0(0) ack 1
    """
    if this.isn < 0 or this.flow.opener is not other or other.isn >= 0 or "asked for" in this.said:
        return None
    answer = ", answered by a RST" if other.rst_ns >= 0 else "" if other.frames else ", not answered"
    return Hit(f"no SYN was captured before it{answer}", time_ns=this.syn_ns, frame=this.syn_frame)


def out_of_order_capture_timestamps(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Frames whose time is 10 ms or more before one above them; one finding a capture, with their number.

    why it matters: Several queues or merged files: intervals and round trips are doubtful by that much.
    what to do: Sort by time before analysing (reordercap, editcap), or capture on one queue.
    limits: Frames are taken in the order of the file. Less is usual between the CPUs of a busy host.
    fires: back by a second
        5.000 > P. 1:11(10) ack 1
        4.000 > P. 11:21(10) ack 1
    silent: in order
        4.000 > P. 1:11(10) ack 1
        5.000 > P. 11:21(10) ack 1
    """
    return None
