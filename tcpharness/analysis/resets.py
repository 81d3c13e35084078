"""Whether a RST is one that its receiver would take, and whether its sender is who it says.

RFC 9293 3.10.7.1 (refused), RFC 5961 3 (only the exactly next byte resets). Signs of a forger, from
"Detecting Forged TCP Reset Packets" (NDSS 2009): another TTL than its sender's other segments have,
an IP id off its counter, a sender that goes on as if nothing had been. Not signs: IP id 0, window 0,
no timestamp, DF, for every RST of a Linux kernel has those.
"""

from __future__ import annotations

from tcpharness.analysis.state import Side
from tcpharness.packet.segment import ACK, Segment, seq_diff

FOREIGN_TTL = 2  # hops; one may be a route that changed
FOREIGN_ID = 4096


def judge_reset(segment: Segment, this: Side, other: Side) -> None:
    """Sets `reset_class` (refused, exact, in window, old, outside) and `reset_evidence`."""
    this.reset_class = classify(segment, this, other)
    this.reset_evidence = ()
    if this.reset_class == "exact" and this.frames:
        this.reset_evidence = tuple(foreign_marks(segment, this))


def classify(segment: Segment, this: Side, other: Side) -> str:
    answers_syn = segment.flags & ACK and other.isn >= 0 and seq_diff(segment.ack, other.isn) > 0
    if this.isn < 0 and not this.bytes and other.isn >= 0 and this.flow.handshake != 3:
        return "refused" if answers_syn else "outside"
    if not this.started or (this.isn < 0 and not this.acked):
        return "exact"  # nothing to compare with
    if seq_diff(segment.seq, this.max_end) <= 0:
        # A RST that answers a segment takes its ack for its own number: anything acknowledged a moment ago.
        late = this.una_ns >= 0 and segment.time_ns - this.una_ns < 1_000_000_000
        floor = (
            -this.other.most_win if late and this.other.rst_ns < 0 and this.sent_lately(segment.seq) else 0
        )
        return "exact" if seq_diff(segment.seq, this.una) >= floor else "old"
    inside = not other.win_known or seq_diff(segment.seq, other.right_edge) < 0
    return "in window" if inside else "outside"


def foreign_marks(segment: Segment, this: Side) -> list[str]:
    marks = []
    if this.ttl_mode >= 0 and abs(segment.ttl - this.ttl_mode) >= FOREIGN_TTL:
        marks.append(f"its TTL is {segment.ttl}, its sender's other segments have {this.ttl_mode}")
        if segment.version == 4 and segment.id and this.ids_count():
            distance = (segment.id - this.id_last) & 0xFFFF
            if FOREIGN_ID < distance < 0x10000 - FOREIGN_ID:
                marks.append(f"its IP id {segment.id} is off its sender's counter at {this.id_last}")
    return marks
