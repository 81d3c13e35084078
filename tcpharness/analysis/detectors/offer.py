"""What SYNs offer beside the usual, and what becomes of it."""

from __future__ import annotations

from tcpharness.analysis.detector import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, Segment, seq_diff

FAST_OPEN = 34
FEW_SEGMENTS = 2  # below it the sender waits for a delayed ACK after its first one


def small_initial_window(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN or SYN-ACK whose window has no room for two full segments.

    why it matters: The other side's first flight is one segment, and waits for a delayed ACK.
    what to do: net.ipv4.tcp_rmem or SO_RCVBUF of the receiver; a proxy that answers SYNs opens it later.
    limits: A window in a SYN is never scaled. Scanners offer small ones as well.
    fires: room for less than two
        0.000 > S 0:0(0) win 64240 <mss 1460>
        0.001 < S. 0:0(0) ack 1 win 2000 <mss 1460>
    silent: four and more
        0.000 > S 0:0(0) win 5840 <mss 1460>
    """
    mss = other.mss if segment.flags & ACK and other.mss > 0 else segment.mss
    if this.isn >= 0 or mss <= 0 or segment.win >= FEW_SEGMENTS * mss:
        return None
    return Hit(f"{segment.win} bytes, with an MSS of {mss}", detail={"win": segment.win, "mss": mss})


def tsecr_invalid(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK that echoes a timestamp which no SYN had (RFC 7323 3.2).

    why it matters: Linux answers it by a RST (PAWSActive) and sends its SYN again when its timer runs out:
        a proxy that answers with timestamps of its own, or a forged answer.
    what to do: Compare its TTL with the server's other segments.
    limits: Looked at in the handshake only, where the stack looks at it, too. After several SYNs an older
        timestamp is taken for that of one of them.
    fires: an older one, though there was one SYN
        0.000 > S 0:0(0) <mss 1460,sackOK,TS val 500 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 9 ecr 5>
    fires: another's
        0.000 > S 0:0(0) <mss 1460,sackOK,TS val 500 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 9 ecr 70000>
    silent: the SYN's
        0.000 > S 0:0(0) <mss 1460,sackOK,TS val 500 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 9 ecr 500>
    silent: the first one's, when there were two
        0.000 > S 0:0(0) <mss 1460,sackOK,TS val 500 ecr 0>
        1.000 > S 0:0(0) <mss 1460,sackOK,TS val 1500 ecr 0>
        1.001 < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 9 ecr 500>
    """
    if not segment.flags & ACK or segment.tsecr < 0 or not other.ts_ok:
        return None
    ahead = seq_diff(segment.tsecr, other.ts_high)
    may_be = ahead == 0 or (ahead < 0 and other.syns > 1)
    if may_be and (segment.tsecr or not other.ts_high):
        return None
    return Hit(f"echoes {segment.tsecr}, the SYN's timestamp was {other.ts_high}")


def tfo_cookie(segment: Segment, this: Side, other: Side) -> Hit | None:
    """TCP fast open: a SYN asks for a cookie or brings one, a SYN-ACK grants one (RFC 7413 4.1).

    why it matters: With a cookie, data may go with the SYN, a round trip earlier.
    what to do: Nothing; net.ipv4.tcp_fastopen.
    limits: The experimental form of the option (kind 254) is not looked at.
    fires: asked for
        0.000 > S 0:0(0) <mss 1460,unknown-34>
    fires: brought
        0.000 > S 0:10(10) <mss 1460,unknown-34 0x0102030405060708>
    silent: plain
        0.000 > S 0:0(0) <mss 1460>
    """
    cookie = next((value for kind, value in segment.options if kind == FAST_OPEN), None)
    if cookie is None:
        return None
    kind = "granted" if segment.flags & ACK else "used" if cookie else "request"
    return Hit(f"a cookie of {len(cookie)} bytes" if cookie else "asks for a cookie", kind=kind)


def tfo_data_not_acked(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN-ACK that acknowledges the SYN and not the data that came with it (RFC 7413 4.2.2).

    why it matters: The data is sent again after the handshake: fast open has cost instead of saved.
    what to do: net.ipv4.tcp_fastopen at the server (2), a cookie that is out of date, a middlebox in between.
    limits: Needs the SYN.
    fires: ignored
        0.000 > S 0:10(10) <mss 1460,unknown-34 0x0102030405060708>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
    silent: taken
        0.000 > S 0:10(10) <mss 1460,unknown-34 0x0102030405060708>
        0.001 < S. 0:0(0) ack 11 <mss 1460>
    """
    if not segment.flags & ACK or this.isn >= 0 or other.isn < 0 or seq_diff(segment.ack, other.isn) != 1:
        return None
    left = seq_diff(other.max_end, segment.ack)
    return Hit(f"{left} bytes of the SYN are not taken", detail={"bytes": left}) if left > 0 else None
