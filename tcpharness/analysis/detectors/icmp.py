"""What routers and hosts say about a segment (ICMP). `this` sent the segment that the error quotes."""

from __future__ import annotations

from dataclasses import replace

from tcpharness.analysis.detector import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.icmp import IcmpError, read_error
from tcpharness.packet.segment import Segment, seq_diff


def error_of(segment: Segment) -> IcmpError | None:
    return read_error(segment.data, segment.tcp_at, segment.end, segment.version)


def about(segment: Segment, error: IcmpError, this: Side, text: str) -> Hit:
    """RFC 5927 4.1: an error counts only when it quotes a number that is in flight."""
    hit = Hit(
        f"{segment.src}: {text}",
        seq=error.seq,
        detail={"from": segment.src, "type": error.type, "code": error.code},
    )
    if this.started and not 0 <= seq_diff(error.seq, this.una) <= max(0, seq_diff(this.max_end, this.una)):
        hit.text += "; it quotes a number that is not in flight: late, or forged"
        hit.detail["in_flight"] = 0
    return hit


def ttl_expired(segment: Segment, this: Side, other: Side) -> Hit | None:
    """ICMP says that a segment's TTL (IPv6: hop limit) ran out on the way, or its fragments' time.

    why it matters: A routing loop, or a TTL that was set too low; the segment is lost.
    what to do: traceroute from its sender; the router that says so is in the detail.
    limits: The segment must belong to a connection in this capture. traceroute itself makes them.
    fires: a router gave up
        0.000 > S 0:0(0) win 1000 <mss 1460> [ttl 3]
        0.001 icmp ttl_exceeded about > S 0:0(0) win 1000 <mss 1460> [ttl 1]
    silent: another connection's
        0.000 > S 0:0(0) win 1000 <mss 1460>
        0.001 icmp ttl_exceeded about 10.7.0.1.1 > 10.0.0.2.105: S 0:0(0) win 1000 <mss 1460> [ttl 1]
    """
    error = error_of(segment)
    if error is None or error.family != "ttl_exceeded":
        return None
    what = "time exceeded while its fragments were put together" if error.code else "time to live exceeded"
    return about(segment, error, this, what)


def unreachable(segment: Segment, this: Side, other: Side) -> Hit | None:
    """ICMP says that a segment could not be delivered: net, host, port, or forbidden by an administrator.

    why it matters: A router or a firewall refuses it. To Linux that is a soft error: the connection goes on
        trying, and ends with that error instead of a timeout.
    what to do: Routes, and filters that reject; who says so is in the detail.
    limits: The segment must belong to a connection in this capture. About a SYN: connection_icmp_rejected.
    fires: forbidden
        0.000 > P. 1:11(10) ack 1
        0.001 icmp admin_prohibited about > P. 1:11(10) ack 1
    silent: a RST
        0.000 > P. 1:11(10) ack 1
        0.001 < R. 1:1(0) ack 11 win 0
    """
    error = error_of(segment)
    if error is None or error.family != "unreachable" or quotes_attempt(error, this):
        return None
    return refused(segment, error, this)


def connection_icmp_rejected(segment: Segment, this: Side, other: Side) -> Hit | None:
    """ICMP says that a SYN could not be delivered, and nobody has answered it.

    why it matters: The program gets an error at once (EHOSTUNREACH, ECONNREFUSED) instead of a timeout.
    what to do: Routes, and filters that reject with ICMP instead of a RST.
    limits: The SYN must be in this capture.
    fires: a firewall rejects
        0.000 > S 0:0(0) win 1000 <mss 1460>
        0.001 icmp port_unreachable about > S 0:0(0) win 1000 <mss 1460>
    silent: data
        0.000 > P. 1:11(10) ack 1
        0.001 icmp port_unreachable about > P. 1:11(10) ack 1
    """
    error = error_of(segment)
    if error is None or error.family != "unreachable" or not quotes_attempt(error, this):
        return None
    return refused(segment, error, this)


def quotes_attempt(error: IcmpError, this: Side) -> bool:
    return this.flow.handshake == 1 and error.seq == this.isn


def refused(segment: Segment, error: IcmpError, this: Side) -> Hit:
    kind = error.kind.removesuffix("_unreachable")
    hit = about(segment, error, this, f"{error.kind.replace('_', ' ')} (code {error.code})")
    hit.kind = kind if kind in ("net", "host", "port", "admin_prohibited") else "other"
    return hit


def pmtu_reduced(segment: Segment, this: Side, other: Side) -> Hit | None:
    """ICMP asks for smaller packets: fragmentation needed (IPv4), packet too big (IPv6).

    why it matters: Path MTU discovery at work (RFC 1191, 8201): one segment is lost, smaller ones follow.
    what to do: Nothing, unless what follows is not smaller (pmtu_blackhole).
    limits: The segment must belong to a connection in this capture.
    fires: 1300
        0.000 > . 1:1461(1460) ack 1
        0.001 icmp frag_needed mtu 1300 about > . 1:1461(1460) ack 1
    silent: another error
        0.000 > . 1:1461(1460) ack 1
        0.001 icmp host_unreachable about > . 1:1461(1460) ack 1
    """
    error = error_of(segment)
    if error is None or error.family != "frag_needed":
        return None
    this.say("icmp")
    hit = about(segment, error, this, f"packet of {error.about.ip_len} bytes too big, MTU {error.mtu}")
    hit.detail["mtu"] = error.mtu
    return hit


def pmtu_blackhole(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A large segment that may not be fragmented is sent for the third time, unanswered, without any ICMP.

    why it matters: A link on the way takes only smaller packets, and its router's ICMP does not arrive:
        the connection stands still as soon as there is much to send.
    what to do: Let ICMP type 3 code 4 (ICMPv6 type 2) through; clamp the MSS; net.ipv4.tcp_mtu_probing.
    limits: An error where smaller ones sent since have arrived; without that it is a note, for an outage that
        begins with large segments looks alike. A smaller repeat that arrives proves it.
    fires: only the small one arrives
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.001 > . 1:1(0) ack 1
        0.002 > . 1:1461(1460) ack 1
        0.002 > P. 1461:1561(100) ack 1
        0.003 < . 1:1(0) ack 1 <nop,nop,sack 1 {1461:1561}>
        0.300 > . 1:1461(1460) ack 1
        0.700 > . 1:1461(1460) ack 1
    silent: a small one is lost
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.001 > . 1:1(0) ack 1
        0.002 > P. 1:101(100) ack 1
        0.300 > P. 1:101(100) ack 1
        0.700 > P. 1:101(100) ack 1
    silent: ICMP said why
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.001 > . 1:1(0) ack 1
        0.002 > . 1:1461(1460) ack 1
        0.003 icmp frag_needed mtu 1300 about > . 1:1461(1460) ack 1
        0.300 > . 1:1461(1460) ack 1
        0.700 > . 1:1461(1460) ack 1
    """
    again = this.again
    if again is None or again.count < 2 or not segment.df or this.said & {"icmp", "blackhole"}:
        return None
    large = max(other.mss - 60, 1000)
    if segment.payload_len < large or segment.payload_len > max(other.mss, 0):
        return None
    if any(seq_diff(sent.end, sent.seq) >= large and (sent.acked_ns or sent.sacked) for sent in this.sent):
        return None  # others of that size get through
    this.say("blackhole")
    small = any(sent.sacked and sent.first_ns >= again.first_ns for sent in this.sent)
    what = "smaller ones sent since have arrived" if small else "nothing of that size ever has"
    return Hit(
        f"{segment.payload_len} bytes for the third time, {what}, no ICMP",
        level="error" if small else "note",
        time_ns=again.first_ns,
        end_ns=segment.time_ns,
        count=again.count + 1,
        keep=this.begins("blackhole"),
    )


def pmtu_probe_recovery(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Bytes that a black hole swallowed arrive in a smaller segment (RFC 4821).

    why it matters: It proves the black hole; the pmtu_blackhole before it becomes an error.
    what to do: What pmtu_blackhole says; the size that gets through is in the detail.
    limits: Only after two timeouts or more.
    fires: half of it arrives
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.001 > . 1:1(0) ack 1
        0.002 > . 1:1461(1460) ack 1
        0.202 > . 1:1461(1460) ack 1
        0.602 > . 1:1461(1460) ack 1
        1.402 > . 1:513(512) ack 1
        1.403 < . 1:1(0) ack 513
    silent: the large one has arrived at last
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.001 > . 1:1(0) ack 1
        0.002 > . 1:1461(1460) ack 1
        0.202 > . 1:1461(1460) ack 1
        0.602 > . 1:1461(1460) ack 1
        0.603 < . 1:1(0) ack 1461
    """
    swallowed = other.ongoing.get("blackhole") if other.ongoing else None
    if swallowed is None or swallowed.level != "note" or not 0 < this.advance < swallowed.len:
        return None
    proven = replace(swallowed, level="error", text=f"{swallowed.text}; {this.advance} of them arrived alone")
    other.begins("blackhole")(proven)
    return Hit(
        f"{this.advance} bytes arrive, where {swallowed.len} did not",
        of_other=True,
        seq=other.una,
        len=this.advance,
        detail={"passes": this.advance, "swallowed": swallowed.len},
        replaces=((swallowed, proven),),
    )
