"""What the path does to packets, and what the capture does."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import CWR, ECE, RST, SYN, Segment

FORBIDDEN = ", although DF forbids it"


def fragment(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A TCP segment that came in IP fragments; incomplete ones, and fragments that contradict each other.

    With DF set, a contradiction as well. A complete one is judged as any other segment, at its last frame.

    why it matters: One lost fragment costs the whole segment; firewalls and NATs drop fragments.
    what to do: Path MTU discovery should make this unnecessary: look for a tunnel with a smaller MTU.
    limits: Only the first fragment has ports; the others are counted as not TCP. Overlapping fragments are
    dropped, as Linux does (RFC 5722); a receiver that takes them may see other bytes.
    fires: a first fragment, and never the rest
        0.000 > P. 1:1001(1000) ack 1 [mf, df off]
    silent: whole
        0.000 > P. 1:1001(1000) ack 1
    """
    forbidden = segment.df and segment.version == 4
    return Hit(
        f"came in {segment.pieces} IP fragments" + (FORBIDDEN if forbidden else ""),
        level="error" if forbidden else None,
        detail={"fragments": segment.pieces},
    )


def ttl_change(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The TTL differs from the last one of this direction.

    why it matters: Another way, or another sender.
    what to do: With one segment only, suspect an injection; with all that follow, a route has changed.
    limits: A RST that is already reported as injected says it itself.
    fires: two hops less
        0.000 > P. 1:11(10) ack 1 [ttl 64]
        0.001 > P. 11:21(10) ack 1 [ttl 62]
    silent: the same
        0.000 > P. 1:11(10) ack 1 [ttl 64]
        0.001 > P. 11:21(10) ack 1 [ttl 64]
    """
    if this.order == 1 or (segment.flags & 4 and this.reset_evidence):
        return None
    return Hit(
        f"TTL {segment.ttl} after {this.ttl_last}", detail={"ttl": segment.ttl, "before": this.ttl_last}
    )


def dscp_change(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The DSCP (the six upper bits of tos) differs from the last one of this direction. Each pair once.

    why it matters: A program has asked for another class, or something on the way marks anew: another queue.
    what to do: With every segment alike, compare with a capture nearer to the sender.
    limits: A kernel's RST may carry another one than the program's segments: not reported.
    fires: another class
        0.000 > P. 1:11(10) ack 1
        0.001 > P. 11:21(10) ack 1 [tos 0xb8]
    silent: congestion, not class
        0.000 > P. 1:11(10) ack 1 [tos 2]
        0.001 > P. 11:21(10) ack 1 [tos 3]
    """
    word = f"dscp {this.dscp_last}>{segment.tos >> 2}"
    if segment.flags & RST or word in this.said:
        return None
    this.say(word)
    return Hit(
        f"DSCP {segment.tos >> 2} after {this.dscp_last}",
        detail={"dscp": segment.tos >> 2, "before": this.dscp_last},
    )


def ecn_ce(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Congestion marked by a router (CE), its echo by the receiver (ECE), the sender's answer (CWR).

    why it matters: The path is congested, and nobody had to lose a packet to say so (RFC 3168).
    what to do: Nothing; many of them mean a queue that is always full.
    limits: The echo is on every ACK until CWR; only its beginning is reported.
    fires: marked
        0.000 > P. 1:11(10) ack 1 [tos 3]
    silent: capable only
        0.000 > P. 1:11(10) ack 1 [tos 2]
    """
    if segment.tos & 3 == 3:
        return Hit("congestion experienced", kind="ce")
    if segment.flags & SYN:
        return None
    if segment.flags & CWR:
        other.unsay("ece")
        return Hit("the sender has slowed down", kind="cwr")
    if segment.flags & ECE and "ece" not in this.said:
        this.say("ece")
        return Hit("the receiver echoes congestion", kind="echo")
    return None


def truncated(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Segments of which only a part was captured. Once a direction.

    why it matters: Their checksums cannot be verified, their payloads not compared.
    what to do: A larger snaplen (tcpdump -s 0), if that matters.
    limits: None.
    fires: snapped
        0.000 > P. 1:1001(1000) ack 1 [snap 96]
    silent: whole
        0.000 > P. 1:1001(1000) ack 1
    """
    return Hit(f"{segment.cap_len} of {segment.wire_len} bytes were captured")


def super_packet(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment longer than the receiver's MSS: captured before the device cut it. Once a direction.

    why it matters: Counts and intervals are those of bursts, not of what is on the wire.
    what to do: `ethtool -K IFACE tso off gso off gro off` before capturing, if that matters.
    limits: Needs the receiver's SYN.
    fires: 3000 bytes with an MSS of 1460
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.002 > P. 1:3001(3000) ack 1
    silent: 1460
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.002 > P. 1:1461(1460) ack 1
    """
    return Hit(f"{segment.payload_len} bytes in one segment, with an MSS of {other.mss}")


def mid_stream(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A flow that begins without a SYN: captured from the middle on.

    why it matters: The window scale is not known, so windows are lower bounds; first losses can't be told.
    what to do: Begin the capture before the connection.
    limits: None.
    fires: from the middle
        0.000 > P. 1:11(10) ack 1
    silent: from the beginning
        0.000 > S 0:0(0)
    """
    return None if segment.flags & SYN else Hit("no SYN was captured: the window scale is not known")


def tunnelled(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A flow inside a tunnel: IP in IP, GRE, VXLAN, Geneve; looked into one level deep.

    why it matters: What is reported is the inner connection; the outer packets have losses of their own.
    what to do: Nothing.
    limits: One level.
    fires: never in the short notation
    silent: plain
        0.000 > S 0:0(0)
    """
    return Hit(f"inside {segment.tunnel}", kind=segment.tunnel)


def capture_drops(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The capturing program says that it lost packets; found in its closing figures, not in a packet.

    why it matters: Whatever this capture does not show may have been there all the same.
    what to do: A larger buffer (tcpdump -B), fewer packets (a filter, -c), less of each (-s), no names (-n).
    limits: Drivers count their own losses badly, or not at all.
    fires: as tcpdump said
        0.000 drops 5 of 100
    silent: none
        0.000 drops 0 of 100
    """
    return None
