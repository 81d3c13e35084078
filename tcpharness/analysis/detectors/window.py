"""Flow control: windows that close, fill, shrink and open."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import FIN, RST, SYN, Segment

MS = 1_000_000
HELD_NS = 10 * MS  # a window that is full for less than that is a sender at full speed


def zero_window(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment that offers no room at all; not of a SYN, FIN or RST, and not the answer to a probe.

    why it matters: The receiving program does not read. The sender stops; nothing is lost.
    what to do: Look at the receiving program, and at its receive buffer.
    limits: None: zero is zero with any scaling.
    fires: closed
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
    silent: a RST's window means nothing
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:1(0) ack 11 win 0
    """
    if segment.win or segment.flags & (SYN | FIN | RST) or this.answers == "probe":
        return None
    again = ", still" if this.zero_since_ns >= 0 else ""
    return Hit(f"win 0{again}", detail={"first": int(this.zero_since_ns < 0)})


def zero_window_probe(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A probe of a closed window: one byte, or, as Linux does it, none with a number just acknowledged.

    why it matters: The sender waits for room; without probes a lost update would stall it for ever.
    what to do: Look at the receiver (zero_window).
    limits: Wireshark calls Linux' probes keep-alives.
    fires: as Linux does it
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.250 > . 1000:1000(0) ack 1
    fires: one byte
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.250 > . 1001:1002(1) ack 1
    silent: a keep-alive of an open window
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 500
        9.000 > . 1000:1000(0) ack 1
    """
    if this.order != Order.WINDOW_PROBE:
        return None
    closed = (
        f", closed for {(segment.time_ns - other.zero_since_ns) / MS:.0f} ms"
        if other.zero_since_ns >= 0
        else ""
    )
    return Hit(
        f"probe number {this.probe_number + 1} of {segment.payload_len} bytes{closed}",
        detail={"number": this.probe_number + 1},
    )


def zero_window_probe_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The answer to a window probe: still no room.

    why it matters: The receiver lives and does not read.
    what to do: Look at the receiver (zero_window).
    limits: Linux leaves some probes unanswered (one answer in 500 ms); that is normal.
    fires: still closed
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.250 > . 1000:1000(0) ack 1
        0.251 < . 1:1(0) ack 1001 win 0
    silent: the closing itself
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
    """
    if this.answers != "probe":
        return None
    return Hit(f"still closed, {(segment.time_ns - other.probe_ns) / MS:.3f} ms after the probe")


def window_full(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Data that ends exactly where the window ends, and nothing opened it for 10 ms or a round trip.

    why it matters: The sender is held by the receiver's window, not by the network.
    what to do: A larger receive buffer (net.ipv4.tcp_rmem), or a receiver that reads sooner.
    limits: Reported on the frame that filled it, when the answer is there. Silly-window avoidance
        may stop a sender a few bytes earlier, which this does not see. Needs both SYNs, for the scale.
    fires: held until the window closes
        0.000 > S 0:0(0) win 4000
        0.001 < S. 0:0(0) ack 1 win 1000
        0.002 > P. 1:1001(1000) ack 1
        0.003 < . 1:1(0) ack 1001 win 0
    fires: held for a round trip of 20 ms
        0.000 > S 0:0(0) win 4000
        0.020 < S. 0:0(0) ack 1 win 1000
        0.020 > P. 1:1001(1000) ack 1
        0.040 < . 1:1(0) ack 1001 win 1000
    silent: opened at once
        0.000 > S 0:0(0) win 4000
        0.001 < S. 0:0(0) ack 1 win 1000
        0.002 > P. 1:1001(1000) ack 1
        0.003 < . 1:1(0) ack 1001 win 1000
    """
    held = segment.time_ns - other.full_ns
    if held < max(HELD_NS, other.srtt * 3 // 4) and segment.win:
        return None
    return Hit(
        f"{other.full_len} bytes fill the window of {this.win_now or this.most_win} bytes; "
        f"{'then it closed' if not segment.win else f'held for {held / MS:.3f} ms'}",
        of_other=True,
        frame=other.full_frame,
        time_ns=other.full_ns,
        end_ns=segment.time_ns,
        seq=other.full_seq,
        len=other.full_len,
        detail={"held_ns": held},
    )


def window_update(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK that acknowledges nothing new and offers a larger window.

    why it matters: The receiving program has read; a sender that waited goes on.
    what to do: Nothing.
    limits: None.
    fires: open again
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.500 < . 1:1(0) ack 1001 win 1000
    silent: an ACK of data
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 1000
    """
    return Hit(f"from {this.win_raw} to {segment.win} (unscaled), the right edge {this.edge_moved} bytes on")


def window_shrunk(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The right edge of the window (ack + win) has moved left.

    why it matters: RFC 9293 3.8.6 discourages it: what the sender was allowed to send may be refused.
    what to do: Look for a middlebox that rewrites windows, or net.ipv4.tcp_shrink_window.
    limits: Rounding by the window scale is left out, and so is the window of the SYN, which is not scaled.
    fires: taken back
        0.000 < . 1:1(0) ack 1 win 5000
        0.001 > P. 1:101(100) ack 1
        0.002 < . 1:1(0) ack 101 win 1000
    silent: used up
        0.000 < . 1:1(0) ack 1 win 5000
        0.001 > P. 1:101(100) ack 1
        0.002 < . 1:1(0) ack 101 win 4900
    silent: after the other side's end
        0.000 < . 1:1(0) ack 1 win 5000
        0.001 > F. 1:1(0) ack 1
        0.002 < . 1:1(0) ack 2 win 4000
    """
    grain = 1 << this.wscale if this.scaling else 1
    if (
        this.stale
        or other.fin_seq >= 0  # nothing more can come: the window means nothing any more
        or this.edge_moved > -grain
        or this.edge_of_syn
        or this.order != Order.NEXT
        or segment.flags & (SYN | RST)
    ):
        return None
    if this.scaling or this.options_known or this.wscale >= 0 or grain == 1:
        return Hit(f"the right edge {-this.edge_moved} bytes to the left", detail={"bytes": -this.edge_moved})
    return None


def receiver_stall(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An episode: from the window's closing to its opening.

    why it matters: For so long the receiving program kept the sender waiting.
    what to do: Look at what the receiving program did at that time.
    limits: Reported when it ends, at the frame that closed the window; one that never ends, with the capture.
    fires: half a second
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.500 < . 1:1(0) ack 1001 win 1000
    silent: never closed
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 1000
    """
    if this.zero_since_ns < 0 or (segment.is_tcp and not segment.win):
        return None
    lasted = segment.time_ns - this.zero_since_ns
    ended = "opened again" if segment.is_tcp else "not opened any more"
    return Hit(
        f"window closed for {lasted / MS:.3f} ms, {ended}",
        frame=this.zero_frame,
        time_ns=this.zero_since_ns,
        end_ns=segment.time_ns,
        count=this.zero_count,
        detail={"lasted_ns": lasted},
    )


def window_update_lost(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A closed window that a probe finds open: no update had come by before.

    why it matters: The update was lost; without the probe (RFC 9293 3.8.6.1) both sides would wait for ever.
    what to do: Look for the loss; updates are not sent again.
    limits: The receiver may have opened it at that very moment.
    fires: open when asked
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.500 > . 1000:1000(0) ack 1
        0.501 < . 1:1(0) ack 1001 win 5000
    silent: an update
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001 win 0
        0.500 < . 1:1(0) ack 1001 win 5000
    """
    if this.zero_since_ns < 0 or not segment.is_tcp or not segment.win or other.probe_ns < 0:
        return None
    waited = segment.time_ns - other.probe_ns
    if waited > 2 * (this.flow.rtt_ns() or 0) + 10 * MS:
        return None
    return Hit(f"{waited / MS:.3f} ms after a probe", detail={"waited_ns": waited})


def silly_window(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A window below the MSS and half of the largest seen, but not zero (RFC 9293 3.8.6.2.2).

    why it matters: It invites tiny segments, most of which is header.
    what to do: A receiver should wait until it can offer a full segment.
    limits: Once a time that the window falls below the threshold. Needs both SYNs, for the scale.
    fires: 100 bytes
        0.000 > S 0:0(0) win 8000 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 8000 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 8000
        0.003 < P. 1:7901(7900) ack 1
        0.004 > . 1:1(0) ack 7901 win 100
    silent: room enough
        0.000 > S 0:0(0) win 8000 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 8000 <mss 1460>
        0.002 > . 1:1(0) ack 1 win 8000
        0.003 < P. 1:101(100) ack 1 win 8000
        0.004 > . 1:1(0) ack 101 win 7900
    """
    if not this.options_known or this.mss < 0 or not segment.win or segment.flags & (SYN | RST | FIN):
        return None
    limit = min(this.mss, this.most_win // 2)
    if this.win_now >= limit or (
        this.win_raw and (this.win_raw << (this.wscale if this.scaling else 0)) < limit
    ):
        return None
    return Hit(f"window of {this.win_now} bytes, below {limit}")
