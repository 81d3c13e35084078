"""Time: what a connection waits for when nothing is lost."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import SYN, Segment

MS, SECOND_NS = 1_000_000, 1_000_000_000
ENOUGH_ACKS = 20  # of something new, before anything is said about a whole connection
ENOUGH_ROUNDS = 8  # round trips, likewise
BLOAT_NS = 100 * MS
FAST = 1_000_000_000  # bits a second: a window that allows as much is no limit worth a line


def idle(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Nobody has sent anything for more than 60 seconds, and then somebody does.

    why it matters: Firewalls, NATs and load balancers forget connections that are silent for some minutes.
    what to do: Keep-alives more often than that (net.ipv4.tcp_keepalive_time), if they must last.
    limits: Silence that a keep-alive or a window probe ends is theirs to report.
    fires: two minutes
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        120.000 > P. 11:21(10) ack 1
    silent: ten seconds
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        10.000 > P. 11:21(10) ack 1
    """
    if this.order in (Order.KEEP_ALIVE, Order.WINDOW_PROBE) or this.flow.closed or segment.flags & SYN:
        return None
    since_ns = this.flow.last_ns
    silence = segment.time_ns - since_ns
    waiting = this.unacknowledged() + other.unacknowledged()
    text = f"{silence / SECOND_NS:.3f} s of silence" + (f", {waiting} bytes outstanding" if waiting else "")
    return Hit(text, time_ns=since_ns, end_ns=segment.time_ns, detail={"idle_ns": silence})


def rtt_spike(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A round trip beyond three times the smoothed one and four times its variation, by 100 ms or more.

    why it matters: A queue has filled, a route has changed, or the receiver stood still; the timer is near.
    what to do: Look at what else used the path at that time.
    limits: Said of the segment whose ACK it is. Not in recovery, where an ACK waits for the repair; and
        30 to 250 ms more for one small segment are a delayed ACK.
    fires: 500 ms instead of 10
        0.000 > P. 1:11(10) ack 1
        0.010 < . 1:1(0) ack 11
        0.020 > P. 11:21(10) ack 1
        0.030 < . 1:1(0) ack 21
        0.040 > P. 21:31(10) ack 1
        0.540 < . 1:1(0) ack 31
    silent: a delayed ACK
        0.000 > P. 1:11(10) ack 1
        0.001 < . 1:1(0) ack 11
        0.020 > P. 11:21(10) ack 1
        0.021 < . 1:1(0) ack 21
        0.040 > P. 21:31(10) ack 1
        0.081 < . 1:1(0) ack 31
    """
    rtt = other.rtt_spike
    usual = (8 * other.srtt - rtt) // 7  # before this sample (RFC 6298 2.3)
    return Hit(
        f"{rtt / MS:.3f} ms, usually {usual / MS:.3f} ms",
        seq=other.una,
        of_other=True,
        detail={"rtt_ns": rtt, "usual_ns": usual},
    )


def delayed_ack_stall(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An episode: data that went out the moment a delayed ACK came, twice or more: it had waited for it.

    why it matters: A sender with Nagle's algorithm holds a small segment while another is outstanding; a
        receiver with nothing to say delays its ACK. Together they wait 40 ms (Linux) or 200 ms, each time.
    what to do: Write a request in one piece; TCP_NODELAY at the sender, or TCP_QUICKACK at the receiver.
    limits: Needs an earlier round trip to compare with. Once is no finding: a program may happen to write at
        that moment.
    fires: 40 ms for a second write, twice
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.001 > . 1:1(0) ack 1
        0.002 > P. 1:11(10) ack 1
        0.003 < P. 1:11(10) ack 11
        0.010 > P. 11:21(10) ack 11
        0.051 < . 11:11(0) ack 21
        0.051 > P. 21:31(10) ack 11
        0.052 < P. 11:21(10) ack 31
        0.060 > P. 31:41(10) ack 21
        0.101 < . 21:21(0) ack 41
        0.101 > P. 41:51(10) ack 21
    silent: written later
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.001 > . 1:1(0) ack 1
        0.002 > P. 1:11(10) ack 1
        0.003 < P. 1:11(10) ack 11
        0.010 > P. 11:21(10) ack 11
        0.051 < . 11:11(0) ack 21
        0.090 > P. 21:31(10) ack 11
    """
    if this.lasts("stall", segment.time_ns) is not None:
        return None
    if "stalled" not in this.said:
        this.say("stalled")
        return None
    return Hit(
        f"{segment.payload_len} bytes had waited for an ACK that took {this.delayed_for_ns / MS:.3f} ms",
        count=2,
        detail={"waited_ns": this.delayed_for_ns},
        keep=this.begins("stall"),
    )


def window_limited(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The receiver's window was nine tenths full in half of all round trips, or more: it set the pace.

    why it matters: No more than a window goes out in a round trip: win / RTT is the bound on any link.
    what to do: A larger receive buffer (net.ipv4.tcp_rmem, SO_RCVBUF), window scaling, a shorter path.
    limits: Only a vantage at the sender sees what is outstanding. Needs both SYNs. Where the bound is above
        1 Gbit/s it is an info.
    fires: 4000 bytes a round trip
        0.000 > S 0:0(0) win 4000 <mss 1460>
        0.100 < S. 0:0(0) ack 1 win 4000 <mss 1460>
        0.100 > . 1:1(0) ack 1 win 4000
        0.200 x30+0.100 10.0.0.1.40000 > 10.0.0.2.105: . {n*4000+1}:{n*4000+4001}(4000) ack 1 win 4000
        0.299 x30+0.100 10.0.0.2.105 > 10.0.0.1.40000: . 1:1(0) ack {n*4000+4001} win 4000
    silent: room enough
        0.000 > S 0:0(0) win 4000 <mss 1460>
        0.100 < S. 0:0(0) ack 1 win 40000 <mss 1460>
        0.100 > . 1:1(0) ack 1 win 4000
        0.200 x30+0.100 10.0.0.1.40000 > 10.0.0.2.105: . {n*4000+1}:{n*4000+4001}(4000) ack 1 win 4000
        0.299 x30+0.100 10.0.0.2.105 > 10.0.0.1.40000: . 1:1(0) ack {n*4000+4001} win 40000
    """
    rtt = this.flow.rtt_ns()
    if (
        this.rounds < ENOUGH_ROUNDS
        or this.held_rounds * 2 < this.rounds
        or not other.options_known
        or not rtt
    ):
        return None
    window = other.most_win
    if this.bytes < 10 * window:
        return None
    bound = window * 8 * SECOND_NS // rtt
    needed = FAST // 8 * rtt // SECOND_NS
    return Hit(
        f"window of {window} bytes full in {this.held_rounds} of {this.rounds} round trips: at most "
        f"{bound / 1e6:.1f} Mbit/s with a round trip of {rtt / MS:.3f} ms; 1 Gbit/s takes {needed} bytes",
        level="info" if bound >= FAST else None,
        detail={
            "held": this.held_rounds,
            "rounds": this.rounds,
            "window": window,
            "bound_bits_per_s": bound,
            "needed_bytes": needed,
        },
    )


def bufferbloat(segment: Segment, this: Side, other: Side) -> Hit | None:
    """At its end a connection's round trip was 100 ms above its best one, or more.

    why it matters: A queue on the path is full all the time: everything else on it waits as long.
    what to do: A smaller queue or a managed one (fq_codel) where the path is narrowest.
    limits: Judged by the smoothed round trip at the end. A receiver that is slow to answer looks alike.
    fires: 10 ms grow to 210
        0.000 x40+0.200 10.0.0.1.40000 > 10.0.0.2.105: . {n*4000+1}:{n*4000+4001}(4000) ack 1
        0.010 x40+0.205 10.0.0.2.105 > 10.0.0.1.40000: . 1:1(0) ack {n*4000+4001}
    silent: steady
        0.000 x40+0.200 10.0.0.1.40000 > 10.0.0.2.105: . {n*4000+1}:{n*4000+4001}(4000) ack 1
        0.010 x40+0.200 10.0.0.2.105 > 10.0.0.1.40000: . 1:1(0) ack {n*4000+4001}
    """
    if this.new_acks < ENOUGH_ACKS or this.srtt - this.rtt_min < BLOAT_NS:
        return None
    return Hit(
        f"round trip {this.srtt / MS:.3f} ms at the end, {this.rtt_min / MS:.3f} ms at its best",
        detail={"srtt_ns": this.srtt, "rtt_min_ns": this.rtt_min},
    )
