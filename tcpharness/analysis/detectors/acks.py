"""What acknowledgements say of losses: duplicates, parts, SACK and DSACK, and bytes that nobody saw."""

from __future__ import annotations

from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import Segment, seq_diff


def duplicate_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """No data, SYN or FIN, the same ack, the same window (or news by SACK), data outstanding (RFC 5681 2).

    why it matters: Its sender has received something beyond a hole; the third makes the other side resend.
    what to do: Nothing by itself; look for the loss or the reordering that it reports.
    limits: An answer to a probe or a challenge looks alike and is told apart by what came before.
    fires: the same again
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 2001:3001(1000) ack 1
        0.002 < . 1:1(0) ack 1001
        0.003 < . 1:1(0) ack 1001
    silent: nothing outstanding
        0.000 > . 1:1001(1000) ack 1
        0.002 < . 1:1(0) ack 1001
        0.003 < . 1:1(0) ack 1001
    """
    number = other.dup_acks + 1
    return Hit(
        f"number {number} for ack {segment.ack}, {other.in_flight()} bytes outstanding",
        detail={"number": number, "sack": int(this.new_sack)},
    )


def partial_ack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK of a part of what was outstanding when a fast recovery began (RFC 6582 3.2).

    why it matters: More than one segment of that flight was lost; each costs a round trip without SACK.
    what to do: Nothing by itself; retransmission tells the losses.
    limits: Told only once a repeat by duplicate ACKs or SACK was seen.
    fires: the second hole
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
        0.024 < . 1:1(0) ack 3001
    silent: all of it
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
        0.024 < . 1:1(0) ack 5001
    """
    left = seq_diff(other.recover, segment.ack)
    return Hit(f"{this.advance} bytes of that flight, {left} are left", detail={"left": left})


def sack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The receiver begins to report bytes above a hole (RFC 2018). Once a hole or row of holes.

    why it matters: Something is missing before them, and the sender knows what it need not send again.
    what to do: Nothing by itself; out_of_order or retransmission tells what became of the hole.
    limits: Further blocks, until all is acknowledged, are not reported.
    fires: above a hole
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 2001:3001(1000) ack 1
        0.002 < . 1:1(0) ack 1001 <nop,nop,sack 1 {2001:3001}>
    silent: what came twice
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001
        0.200 > P. 1:1001(1000) ack 1
        0.201 < . 1:1(0) ack 1001 <nop,nop,sack 1 {1:1001}>
    """
    left, right = segment.sacks[-1 if this.is_dsack else 0]
    text = f"{seq_diff(left, segment.ack)} bytes missing before {seq_diff(right, left)} bytes that came"
    return Hit(text, seq=left, len=max(0, seq_diff(right, left)), of_other=True)


def dsack(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The receiver reports that bytes came twice (RFC 2883).

    why it matters: A repeat was not needed, or the path doubles packets.
    what to do: Look at the repeat: its timer, or ACKs that were lost.
    limits: A lost ACK makes one as well.
    fires: below the ack
        0.000 > P. 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001
        0.200 > P. 1:1001(1000) ack 1
        0.201 < . 1:1(0) ack 1001 <nop,nop,sack 1 {1:1001}>
    silent: a plain SACK
        0.000 > . 1:1001(1000) ack 1
        0.001 > . 2001:3001(1000) ack 1
        0.002 < . 1:1(0) ack 1001 <nop,nop,sack 1 {2001:3001}>
    """
    if not this.is_dsack:
        return None
    left, right = segment.sacks[0]
    return Hit(
        f"{seq_diff(right, left)} bytes came twice",
        seq=left,
        len=max(0, seq_diff(right, left)),
        of_other=True,
    )


def ack_of_unseen(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK of bytes that this capture has not seen. An episode: until it sees such bytes again.

    why it matters: The capture missed packets, or sees one way of an asymmetric path; or the ACK is forged.
    what to do: Look at capture_drops and at where the other direction goes.
    limits: When it acknowledges more than there was ever room for, it is forged or broken; the text says so.
        Where nothing of the other direction was captured, one_sided says that instead.
    fires: missed
        0.000 > . 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001
        0.002 < . 1:1(0) ack 3001
    silent: seen
        0.000 > . 1:1001(1000) ack 1
        0.001 < . 1:1(0) ack 1001
    silent: one direction only
        0.001 < P. 1:11(10) ack 1001
        0.002 < . 11:11(0) ack 3001
        0.003 < . 11:11(0) ack 5001
    """
    if not other.frames or this.signs & Sign.ACCEPTED:
        return None
    beyond = seq_diff(segment.ack, other.max_end)
    going = this.ongoing.get("unseen") if this.ongoing else None
    if going is not None and this.acceptable_ack and (going.end_ns or going.time_ns) > other.max_end_ns:
        this.lasts("unseen", segment.time_ns)
        total = going.detail["bytes"]
        going.detail["bytes"] = beyond + (total if isinstance(total, int) else 0)
        return None
    text = f"acknowledges {beyond} bytes beyond what was captured"
    if not this.acceptable_ack:
        return Hit(
            text + " and beyond the window it had offered", kind="unacceptable", detail={"bytes": beyond}
        )
    return Hit(text, detail={"bytes": beyond}, keep=this.begins("unseen"))
