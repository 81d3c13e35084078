"""How a connection begins, or fails to."""

from __future__ import annotations

from tcpharness.analysis.detectors.hostile import forgotten
from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Order
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, SYN, Segment, flags_text

MS = 1_000_000
SECOND = 1_000 * MS
PATIENCE_NS = 900 * MS  # a SYN that the capture could see unanswered for less says nothing
SLOW_NS = SECOND
SCALED_CEILING = 65535


def half(side: Side) -> int:
    return side.rtt_min


def handshake(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The third segment of a handshake: SYN, SYN-ACK, and the ACK of both.

    why it matters: The connection exists; both halves of the round trip are known from here on.
    what to do: Nothing.
    limits: A handshake whose beginning was not captured is not seen.
    fires: SYN, SYN-ACK, ACK
        0.000 > S 0:0(0)
        0.010 < S. 0:0(0) ack 1
        0.011 > . 1:1(0) ack 1
    silent: the last ACK is missing
        0.000 > S 0:0(0)
        0.010 < S. 0:0(0) ack 1
    """
    if other.syn_ns < 0 or this.syn_ns < 0:
        return None
    to_peer, back = other.syn_last_ns - this.syn_ns, segment.time_ns - other.syn_last_ns
    if to_peer < 0:
        return Hit("complete; its SYN was captured behind the SYN-ACK")
    text = f"SYN to SYN-ACK {to_peer / MS:.3f} ms, SYN-ACK to ACK {back / MS:.3f} ms"
    return Hit(
        text,
        detail={"to_peer_ns": to_peer, "back_ns": back, "rtt_ns": to_peer + back},
        time_ns=segment.time_ns,
    )


def syn_retransmission(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A second SYN with the same initial sequence number, whether or not a SYN-ACK lies between.

    why it matters: A second of waiting (RFC 6298 2.1), then two, then four, before anything was said.
    what to do: See whether the SYN arrived at the other side; lost, filtered, or its SYN-ACK lost.
    limits: At the receiver's vantage the first SYN may never have come; then this one is the first.
    fires: the first SYN was lost
        0.000 > S 0:0(0)
        1.000 > S 0:0(0)
    fires: the SYN-ACK was lost
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        1.000 > S 0:0(0)
    silent: a new attempt has a new number
        0.000 > S 0:0(0)
        3.000 > S 7000:7000(0)
    """
    if segment.flags & ACK or this.order not in (Order.AGAIN, Order.NEEDLESS):
        return None
    answered = " although a SYN-ACK had come by" if other.isn >= 0 else ""
    ago = segment.time_ns - this.syn_last_ns
    return Hit(
        f"SYN number {this.syns + 1}, {ago / MS:.0f} ms after the last one{answered}",
        kind="syn",
        detail={"number": this.syns + 1, "elapsed_ns": ago, "needed": "unknown"},
    )


def synack_retransmission(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A second SYN-ACK with the same initial sequence number.

    why it matters: The handshake's last ACK did not arrive, or the SYN-ACK itself was lost on the way.
    what to do: Look for the ACK at both sides; a client that never answers may be a scanner.
    limits: An answer to a SYN that came twice looks the same; both are listed.
    fires: the last ACK was lost
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        1.001 < S. 0:0(0) ack 1
    silent: one is enough
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
    silent: a simultaneous open, in which both sides follow their SYN by a SYN-ACK (RFC 9293 3.5)
        0.000 > S 0:0(0)
        0.001 < S 0:0(0)
        0.002 > S. 0:0(0) ack 1
        0.002 < S. 0:0(0) ack 1
        0.003 > . 1:1(0) ack 1
    """
    if not segment.flags & ACK or this.order not in (Order.AGAIN, Order.NEEDLESS):
        return None
    if this.flow.simultaneous and this.syns == 1:
        return None
    ago = segment.time_ns - this.syn_last_ns
    return Hit(
        f"SYN-ACK number {this.syns + 1}, {ago / MS:.0f} ms after the last one",
        kind="syn",
        detail={"number": this.syns + 1, "elapsed_ns": ago, "needed": "unknown"},
    )


def connection_refused(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A RST that answers a SYN: nobody listens, or a firewall says so.

    why it matters: The service is not there; the host is.
    what to do: Check the port and the service; a rejecting firewall looks the same.
    limits: A middlebox that answers for the host has another TTL than the host, if that is known.
    fires: a closed port
        0.000 > S 0:0(0)
        0.001 < R. 0:0(0) ack 1 win 0
    silent: a reset later on
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.003 < R. 1:1(0) ack 1
    """
    if this.reset_class != "refused":
        return None
    return Hit(f"{flags_text(segment.flags)} answers the SYN of port {segment.dport} to port {segment.sport}")


def connection_unanswered(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN without any answer, while the capture went on long enough for one.

    why it matters: The SYN or every answer is dropped: a filter, a dead host, a wrong route.
    what to do: Capture at the other side; if the SYN arrives there, look at its firewall and its way back.
    limits: A capture of one direction shows the SYN alone as well, until its sender acknowledges something.
    fires: nobody answers
        0.000 > S 0:0(0)
        1.000 > S 0:0(0)
        3.000 end
    silent: refused is an answer
        0.000 > S 0:0(0)
        0.001 < R. 0:0(0) ack 1 win 0
        3.000 end
    silent: the capture ended at once
        0.000 > S 0:0(0)
        0.010 end
    silent: answered, for it goes on; the other direction was not captured
        0.000 > S 0:0(0)
        0.001 > . 1:1(0) ack 1
        3.000 end
    """
    if this.isn < 0 or other.frames or other.acked or this.flow.handshake != 1:
        return None
    if this.syns < 2 and segment.time_ns - this.syn_ns < PATIENCE_NS:
        return None
    span = this.syn_last_ns - this.syn_ns
    return Hit(
        f"{this.syns} SYN in {span / SECOND:.3f} s, no answer",
        count=this.syns,
        frame=this.syn_frame,
        time_ns=this.syn_ns,
        end_ns=this.syn_last_ns,
        seq=this.isn,
    )


def half_open(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK that was never acknowledged while the capture went on; or (a note, kind forgotten) a segment
    of a live connection that is answered as if there was none (RFC 9293 3.5.1).

    why it matters: The server keeps the half-made connection in its queue; many of them are a SYN flood.
        Where one side has forgotten the connection (a crash, a NAT), the other learns it by the RST.
    what to do: Look whether the client's ACK is lost or never sent; `ss -o state syn-recv` on the server.
    limits: Needs a second of capture after the SYN-ACK, and something of the client.
    fires: forgotten: a bare RST, numbered by what it answers
        0.000 > P. 1:11(10) ack 1
        0.001 < P. 1:11(10) ack 11
        0.002 > . 11:11(0) ack 11
        9.000 > P. 11:21(10) ack 11
        9.001 < R 11:11(0) win 0
    fires: the client has gone
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        1.001 < S. 0:0(0) ack 1
        5.000 end
    silent: data acknowledges it as well
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > P. 1:11(10) ack 1
        5.000 end
    silent: the client's direction was not captured
        0.001 < S. 0:0(0) ack 1
        0.003 < P. 1:101(100) ack 11
        5.000 end
    """
    if segment.is_tcp:
        text = "a segment of this connection is answered as if there was none"
        return Hit(text, kind="forgotten", level="note") if forgotten(segment, this, other) else None
    if this.flow.handshake != 2 or this.flow.opener is not other or this.isn < 0 or this.flow.closed:
        return None
    if not other.frames or this.bytes:
        return None
    if (this.acked and this.una != this.isn) or segment.time_ns - this.syn_ns < PATIENCE_NS:
        return None
    return Hit(
        f"SYN-ACK, sent {this.syns} times, never acknowledged",
        count=this.syns,
        frame=this.syn_frame,
        time_ns=this.syn_ns,
        end_ns=this.syn_last_ns,
        seq=this.isn,
    )


def simultaneous_open(segment: Segment, this: Side, other: Side) -> Hit | None:
    """SYNs that cross: both sides open the same connection (RFC 9293 figure 8).

    why it matters: Legal and rare; firewalls and monitors often get it wrong.
    what to do: Nothing, if both programs mean it (hole punching); else look for an address used twice.
    limits: None.
    fires: both open
        0.000 > S 0:0(0)
        0.001 < S 0:0(0)
    silent: one opens
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
    """
    if segment.flags & ACK or this.isn >= 0 or other.isn < 0 or this.flow.opener is this:
        return None
    return Hit("a SYN crosses the other side's SYN")


def port_reused(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN with a new number on ports whose last connection has ended.

    why it matters: Normal for a busy client (RFC 6191); a monitor that joins both connections is misled.
    what to do: Nothing; with refusals, a larger range of ephemeral ports.
    limits: Only connections within this capture.
    fires: once more from the same port
        0.000 > S 0:0(0)
        0.001 < R. 0:0(0) ack 1 win 0
        0.500 > S 9000:9000(0)
    silent: the first use
        0.000 > S 0:0(0)
    """
    if not this.flow.reused or not segment.flags & SYN:
        return None
    return Hit("the ports had a connection before, which has ended")


def syn_in_established(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN with another number inside a living connection (RFC 5961 4).

    why it matters: The sender has forgotten the connection (a crash, a NAT), or is blindly guessing.
    what to do: See what follows: a challenge ACK and a RST mean half-open; a challenge alone, a guess.
    limits: If a SYN-ACK answers it, it is a new connection and not reported.
    fires: a guess
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        0.002 > . 1:1(0) ack 1
        0.500 > S 99:99(0)
    silent: the same SYN again
        0.000 > S 0:0(0)
        0.001 < S. 0:0(0) ack 1
        1.000 > S 0:0(0)
    """
    if this.order != Order.OUTSIDE or (segment.flags & ACK and this.isn >= 0):
        return None
    return Hit("a SYN with a new number in a connection that lives")


def slow_handshake(segment: Segment, this: Side, other: Side) -> Hit | None:
    """More than a second between a SYN and its SYN-ACK without any being sent again.

    why it matters: The server's accept queue, its processor or the path is slow, before any data is.
    what to do: Compare with the round trip of later data.
    limits: The threshold is fixed.
    fires: 1.2 s
        0.000 > S 0:0(0)
        1.200 < S. 0:0(0) ack 1
    silent: 10 ms
        0.000 > S 0:0(0)
        0.010 < S. 0:0(0) ack 1
    """
    if not segment.flags & ACK or other.syn_ns < 0 or this.isn >= 0:
        return None
    waited = segment.time_ns - other.syn_last_ns
    return (
        Hit(f"SYN-ACK after {waited / MS:.0f} ms", detail={"elapsed_ns": waited})
        if waited > SLOW_NS
        else None
    )


def option_missing(
    segment: Segment, this: Side, other: Side, name: str, has: bool, effect: str
) -> Hit | None:
    """Shared by the four rules below: this side's SYN lacks what it could have."""
    if has or this.isn >= 0:
        return None
    if segment.flags & ACK and name != "MSS" and not offered(other, name):
        return None  # RFC 7323 and 2018: a SYN-ACK may only answer what the SYN offered
    return Hit(f"the {'SYN-ACK' if segment.flags & ACK else 'SYN'} has no {name} option: {effect}")


def offered(side: Side, name: str) -> bool:
    return {"window scale": side.wscale >= 0, "SACK permitted": side.sack_ok, "timestamps": side.ts_ok}[name]


def mss_missing(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN without MSS: the other side must assume 536 bytes (IPv6: 1220).

    why it matters: Small segments, three times the packets.
    what to do: Look for a middlebox that strips options, or a stack that is not meant for bulk.
    limits: None.
    fires: bare SYN
        0.000 > S 0:0(0)
    silent: with MSS
        0.000 > S 0:0(0) <mss 1460>
    """
    size = 536 if segment.version == 4 else 1220
    return option_missing(segment, this, other, "MSS", segment.mss >= 0, f"{size} bytes are assumed")


def wscale_missing(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN, or the SYN-ACK to one that has it, without window scaling: no window above 65535 bytes.

    why it matters: Throughput cannot exceed 64 KB a round trip, whatever the link carries.
    what to do: net.ipv4.tcp_window_scaling, or a middlebox that strips the option.
    limits: The bound is given where a round trip is known, with the SYN-ACK.
    fires: not offered
        0.000 > S 0:0(0) <mss 1460>
    fires: not answered
        0.000 > S 0:0(0) <mss 1460,nop,wscale 7>
        0.020 < S. 0:0(0) ack 1 <mss 1460>
    silent: both
        0.000 > S 0:0(0) <mss 1460,nop,wscale 7>
        0.020 < S. 0:0(0) ack 1 <mss 1460,nop,wscale 7>
    """
    hit = option_missing(
        segment,
        this,
        other,
        "window scale",
        segment.wscale >= 0,
        f"no window above {SCALED_CEILING} bytes (64 KB)",
    )
    if hit is None or not segment.flags & ACK or other.syn_ns < 0:
        return hit
    rtt = max(1, segment.time_ns - other.syn_last_ns)
    mbit = SCALED_CEILING * 8 * 1000 / rtt
    hit.text += f", so at most {mbit:.1f} Mbit/s over the {rtt / MS:.3f} ms from SYN to SYN-ACK"
    hit.detail = {"ceiling_bytes": SCALED_CEILING, "rtt_ns": rtt, "bound_mbit": round(mbit, 3)}
    return hit


def sack_missing(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN, or the SYN-ACK to one that has it, without SACK permitted (RFC 2018).

    why it matters: Of several losses in a window one is repaired a round trip.
    what to do: net.ipv4.tcp_sack, or a middlebox that strips the option.
    limits: None.
    fires: not offered
        0.000 > S 0:0(0) <mss 1460>
    silent: offered
        0.000 > S 0:0(0) <mss 1460,sackOK>
    """
    return option_missing(segment, this, other, "SACK permitted", segment.sack_ok, "one repair a round trip")


def timestamps_missing(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN, or the SYN-ACK to one that has it, without timestamps (RFC 7323).

    why it matters: No protection against wrapped sequence numbers, fewer round-trip samples.
    what to do: net.ipv4.tcp_timestamps; Windows leaves them off by default, and that is fine below 1 Gbit/s.
    limits: None.
    fires: not offered
        0.000 > S 0:0(0) <mss 1460>
    silent: offered
        0.000 > S 0:0(0) <mss 1460,TS val 1 ecr 0>
    """
    return option_missing(
        segment, this, other, "timestamps", segment.tsval >= 0, "round trips are only guessed"
    )
