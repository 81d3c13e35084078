"""Whether the other side is still there."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import Segment

MS = 1_000_000
FEW = 2  # keep-alives: one may be answered yet
ANSWER_NS = 1_000 * MS


def keep_alive(segment: Segment, this: Side, other: Side) -> Hit | None:
    """At most one byte that was acknowledged long ago, into an open window, when nothing is outstanding.

    why it matters: The connection is idle and its owner wants to know whether the peer lives.
    what to do: Nothing; without an answer the connection ends (timed_out).
    limits: Told from Linux' window probes only by the window.
    fires: as Linux does it
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
    silent: the window is closed
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11 win 0
        9.000 > . 10:10(0) ack 1
    silent: a lost last byte sent again
        0.000 > P. 1:2(1) ack 1
        0.200 > P. 1:2(1) ack 1
    """
    if this.order != Order.KEEP_ALIVE:
        return None
    idle = segment.time_ns - max(this.last_ns, other.last_ns)
    return Hit(
        f"number {this.keep_alives + 1} after {idle / MS:.0f} ms of silence",
        detail={"number": this.keep_alives + 1, "idle_ns": idle},
    )


def keep_alive_unanswered(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Two keep-alives or more without an answer, when the capture or the connection's silence ends.

    why it matters: The other side is gone, or something on the way has forgotten the connection.
    what to do: Find out since when nothing came back; timed_out tells when its sender gives up.
    limits: A capture of one direction says nothing.
    fires: no answer
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
        10.000 > . 10:10(0) ack 1
        12.000 end
    silent: answered
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
        9.001 < . 1:1(0) ack 11
        12.000 end
    """
    waited = segment.time_ns - this.keep_alive_ns
    if this.keep_alives < FEW or this.flow.closed or not other.frames or waited < ANSWER_NS:
        return None
    return Hit(
        f"{this.keep_alives} without an answer", count=this.keep_alives, time_ns=this.keep_alive_ns,
        end_ns=segment.time_ns,
    )  # fmt: skip


def keep_alive_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The answer to a keep-alive.

    why it matters: The peer lives.
    what to do: Nothing.
    limits: None.
    fires: it lives
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        9.000 > . 10:10(0) ack 1
        9.001 < . 1:1(0) ack 11
    silent: an ACK of data
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
    """
    if this.answers != "keep-alive":
        return None
    return Hit(f"{(segment.time_ns - other.keep_alive_ns) / MS:.3f} ms after the probe")
