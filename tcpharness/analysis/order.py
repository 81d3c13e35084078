"""What a segment is whose sequence numbers are not simply the next ones.

By evidence, in this order: is it the same frame captured twice; does it probe; are bytes before it
missing; has this capture seen its bytes before; and if not, was it sent later than what overtook it
(RFC 7323 timestamps, counting IP ids, what the receiver had reported, the age of the hole). A time
alone decides nothing while anything better is there.
"""

# Compiled along with flow.py: a loop costs less than a generator.
# ruff: noqa: SIM110

from __future__ import annotations

from tcpharness.analysis.records import Hole, Sent
from tcpharness.analysis.signs import Order, Sign
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import FIN, RST, SYN, Segment, seq_diff

MS = 1_000_000
COPY_NS = 100 * MS  # 97 % of copies in public captures come within 10 ms
COPY_WITHOUT_ID_NS = 10 * MS
MOST_IDS_BACK = 4096
WINDOW_JUST_OPENED_NS = 100 * MS  # a probe and the update may cross
KEEP_ALIVE_IDLE_NS = 500 * MS
SHORTEST_TIMER_NS = 5 * MS  # no rto_min that anybody sets is smaller
SCHEDULING_NS = 10 * MS
AT_ONCE_NS = MS
CLOCK_NS = MS // 20  # the two directions' clocks may differ by the time between interrupt and capture
UNKNOWN_RTT_NS = 3 * MS
REORDERING_TIMER_NS = 2 * MS
LONGEST_PROBE_NS = 400 * MS
OUTSIDE_SLACK = 1 << 16
S_PROBE, S_CONFLICT, S_COPY = int(Sign.PROBE), int(Sign.CONFLICT), int(Sign.COPY)
S_AGAIN, S_NEEDLESS, S_LATE = int(Sign.AGAIN), int(Sign.NEEDLESS), int(Sign.LATE)
S_AHEAD, S_OUTSIDE, S_OLD_ACK = int(Sign.AHEAD), int(Sign.OUTSIDE), int(Sign.OLD_ACK)
NEXT, COPY, AGAIN, NEEDLESS, LATE, AHEAD, OUTSIDE, KEEP_ALIVE, WINDOW_PROBE, OLD = (int(o) for o in Order)


def look(segment: Segment, this: Side, other: Side) -> int:
    """Sets `order` and, for what was sent again, trigger, evidence and time since; returns the signs."""
    if not this.started:
        return 0
    ahead = seq_diff(segment.seq, this.max_end)
    if probes_window(segment, this, other, ahead):
        this.order = WINDOW_PROBE
        return S_PROBE
    if ahead == 0:
        return 0
    if ahead < 0 and segment.id == this.id_last and is_newest_again(segment, this):
        this.order = COPY
        return S_COPY
    if probes_peer(segment, this, ahead):
        this.order = KEEP_ALIVE
        return S_PROBE
    if ahead > 0:
        return look_ahead(segment, this, other)
    if segment.next_seq == segment.seq:
        this.order = OLD
        # One that was sent before the newest is late, or a copy; another may be one of a storm.
        return 0 if this.sent_before(segment, this.id_last, this.ts_high) > 0 else S_OLD_ACK
    return look_back(segment, this)


def probes_window(segment: Segment, this: Side, other: Side, ahead: int) -> bool:
    """RFC 9293 3.8.6.1: one byte into a closed window. Linux sends none, one number below una."""
    if segment.flags & (SYN | FIN | RST) or segment.payload_len > 1:
        return False
    closed = other.zero_since_ns >= 0
    if not closed and not 0 <= segment.time_ns - other.zero_ended_ns < WINDOW_JUST_OPENED_NS:
        return False
    from_una = seq_diff(segment.seq, this.una)
    if segment.payload_len == 0:
        return from_una == -1 and (closed or this.probes > 0)
    return closed and (ahead == 0 or from_una == 0)


def probes_peer(segment: Segment, this: Side, ahead: int) -> bool:
    """RFC 9293 3.8.4: at most one byte that was acknowledged long ago, when nothing is outstanding."""
    if ahead != -1 or segment.flags & (SYN | FIN | RST) or segment.payload_len > 1:
        return False
    if this.acked and seq_diff(this.una, this.max_end) < 0:
        return False
    idle = segment.time_ns - max(this.last_ns, this.other.last_ns)
    return idle >= KEEP_ALIVE_IDLE_NS and (segment.payload_len == 0 or this.acked)


def look_ahead(segment: Segment, this: Side, other: Side) -> int:
    known = other.win_known and other.options_known and other.acked
    beyond = seq_diff(segment.seq, other.right_edge)
    # A second one that goes on where the first ended: the capture has missed how the window moved.
    if known and beyond > max(other.most_win, OUTSIDE_SLACK) and segment.seq != this.outside_end:
        this.order = OUTSIDE
        return S_OUTSIDE
    this.order = AHEAD
    return S_AHEAD


def look_back(segment: Segment, this: Side) -> int:
    records = overlapping(segment, this)
    if is_copy(segment, this, records):
        this.order = COPY
        return S_COPY
    last_ns = -1
    if records:
        first: Sent = records[0]
        last_ns = first.last_ns
    hole = None
    for candidate in this.holes:
        if seq_diff(candidate.seq, segment.next_seq) < 0 and seq_diff(candidate.end, segment.seq) > 0:
            hole = candidate
            break
    if hole is None and not records and is_late_copy(segment, this):
        this.order = COPY
        return S_COPY
    this.hole = hole
    this.again = records[0] if records else None
    if hole is not None and overtaken(segment, this, hole):
        this.order = LATE
        return S_LATE | (S_CONFLICT if records and conflicts(segment, records) else 0)
    if hole is None and records and repeat_came_first(segment, this, records[0]):
        this.order = LATE
        return S_LATE | (S_CONFLICT if conflicts(segment, records) else 0)
    acked = this.acked and seq_diff(segment.next_seq, this.una) <= 0
    this.order = NEEDLESS if acked or all_sacked(segment, this) else AGAIN
    since = last_ns if last_ns >= 0 else hole.since_ns if hole is not None else this.max_end_ns
    this.elapsed_ns = segment.time_ns - since
    this.trigger = trigger(segment, this)
    this.first_was_probe = this.trigger == "rto" and this.again is not None and was_probe(this, this.again)
    found = S_NEEDLESS if this.order == NEEDLESS else S_AGAIN
    return found | (S_CONFLICT if conflicts(segment, records) else 0)


def overlapping(segment: Segment, this: Side) -> list[Sent]:
    """The records of bytes that the segment carries, in order of their sequence numbers."""
    found = []
    for sent in reversed(this.sent):
        if seq_diff(sent.end, segment.seq) <= 0:
            break
        if seq_diff(sent.seq, segment.next_seq) < 0:
            found.append(sent)
    return found[::-1]


def is_copy(segment: Segment, this: Side, records: list[Sent]) -> bool:
    """The same frame a second time: IP id, ack, window and timestamp (under the checksum) are the same."""
    if len(records) != 1:
        return False
    sent, other = records[0], this.other
    if segment.flags & SYN and answers_syn(this, other, sent):
        return False
    if sent.seq != segment.seq or sent.end != segment.next_seq or sent.flags != segment.flags:
        return False
    if sent.count > 1 and segment.tsval >= 0 and segment.tsval == sent.first_tsval != sent.tsval:
        return segment.cksum == sent.first_sum  # of the first one, which a repeat has overtaken
    if segment.cksum != sent.sum or segment.tsval != sent.tsval:
        return False
    gap = segment.time_ns - sent.last_ns
    if segment.version == 4 and segment.id:
        return sent.id == segment.id and gap < COPY_NS
    rtt = this.flow.rtt_ns()
    if segment.tsval >= 0 and this.uses_sack() and rtt is not None and gap * 2 < rtt:
        return True  # within one tick of the timestamp, too soon for what tells of a loss by SACK
    early = max(other.rtt_min, 0) - (segment.time_ns - this.acked_ns) > AT_ONCE_NS
    if segment.seq == this.una and this.una_ns > sent.last_ns and answers_ack(segment, this) and not early:
        return False  # an ACK that has come since stops right here, and this answers it
    # Without an id a repair within one tick of the timestamp looks the same; but it needs a receiver that
    # has reported something, and, where no timestamp tells of a later sending, a round trip.
    return gap < limit_of_copies(segment, this) and not this.troubled() and not above(segment, this)


def answers_syn(this: Side, other: Side, sent: Sent) -> bool:
    """True of a SYN-ACK behind another SYN, or a copy of one: sent again, though it looks the same."""
    if this.flow.handshake >= 3:
        return other.syns > this.syns and other.last_ns > sent.last_ns - CLOCK_NS
    if other.last_ns > sent.last_ns:
        return True
    return other.syns + other.syn_copies > this.syns and other.last_ns > sent.last_ns - CLOCK_NS


def is_late_copy(segment: Segment, this: Side) -> bool:
    """Bytes that were acknowledged so long ago that their record is gone, in a frame older than the newest.

    What is sent again carries the present timestamp and the next IP id; this one was sent before them.
    """
    if segment.tsval >= 0 and this.ts_high >= 0 and segment.tsval != this.ts_high:
        return seq_diff(segment.tsval, this.ts_high) < 0
    if segment.time_ns - this.last_ns >= COPY_NS:
        return False
    if segment.version == 4 and segment.id > 0:
        back = (this.id_last - segment.id) & 0xFFFF
        return back < MOST_IDS_BACK and this.ids_count()
    return segment.tsval >= 0 and this.flow.closed == "closed"  # within a tick of its last


def is_newest_again(segment: Segment, this: Side) -> bool:
    """The IP id of the newest frame, where ids count; a repeat has the next one."""
    recent = segment.time_ns - this.last_ns < COPY_NS
    return recent and segment.version == 4 and segment.id > 0 and this.ids_good > this.ids_bad


def is_copy_of_ack(segment: Segment, this: Side, other: Side) -> bool:
    """A pure ACK with the IP id of the last frame, where ids count, and the same in all it says."""
    return (
        segment.version == 4
        and this.ids_good > this.ids_bad
        and segment.next_seq == segment.seq
        and segment.win == this.win_raw
        and segment.ack == other.una
        and segment.time_ns - this.last_ns < COPY_NS
    )


def is_copy_of_reset(segment: Segment, this: Side, other: Side) -> bool:
    """Without an IP id (a kernel's own have none) nothing may have come meanwhile that it answers."""
    if segment.cksum != this.rst_sum or segment.seq != this.rst_seq or segment.id != this.rst_id:
        return False
    gap = segment.time_ns - this.rst_ns
    if segment.version == 4 and segment.id:
        return gap < COPY_NS
    return gap < COPY_WITHOUT_ID_NS and other.last_ns < this.rst_ns


def limit_of_copies(segment: Segment, this: Side) -> int:
    """So long behind the first one a frame without an IP id may come."""
    if segment.tsval >= 0:
        return COPY_NS
    rtt = this.flow.rtt_ns()
    return COPY_WITHOUT_ID_NS if rtt is None else rtt


def overtaken(segment: Segment, this: Side, hole: Hole) -> bool:
    """True when a segment that fills a hole was sent before what came first; False: it was sent again."""
    if hole.told:
        return captured_late(segment, this, hole)
    before = this.sent_before(segment, hole.id, hole.tsval) or hole.older(segment)
    if before:
        this.evidence = (
            "its timestamp or IP id is " + ("older" if before > 0 else "newer") + " than its successor's"
        )
        return before > 0
    age = segment.time_ns - hole.since_ns
    rtt = this.flow.rtt_ns()
    trip = UNKNOWN_RTT_NS if rtt is None else rtt
    this.evidence = f"{age / MS:.3f} ms behind its successor, with a round trip of {trip / MS:.3f} ms"
    if this.dup_acks >= 3 or this.recover >= 0:
        # What was missed is asked for and comes again, but not within a round trip.
        this.evidence += f", after {this.dup_acks} duplicate ACKs"
        return age * 10 < trip * 9
    # With fewer, a sender waits for its reordering timer (RFC 8985 6.2), two ticks of its clock at least.
    return age < max(trip + trip // 4, REORDERING_TIMER_NS)


def captured_late(segment: Segment, this: Side, hole: Hole) -> bool:
    """True when it was captured behind the ACK that answers it: two queues, or two interfaces.

    The ACK echoes the newest timestamp that had come (RFC 7323 4.3); what is sent again has a newer one.
    """
    age = segment.time_ns - hole.since_ns
    if segment.tsval >= 0 and hole.tsval >= 0:
        late = seq_diff(segment.tsval, hole.tsval) <= 0 and age < COPY_NS
    else:
        late = age < AT_ONCE_NS
    this.evidence = f"{age / MS:.3f} ms behind the ACK of it, in frame {hole.frame}"
    return late


def repeat_came_first(segment: Segment, this: Side, sent: Sent) -> bool:
    """True when what is known of its bytes was sent after it: what was sent again has overtaken it."""
    if this.sent_before(segment, sent.id, sent.tsval) <= 0:
        return False
    this.evidence = "its timestamp or IP id is older than that of the repeat, which came before it"
    return True


def above(segment: Segment, this: Side) -> bool:
    """True when the receiver has reported bytes beyond the segment's (RFC 6675, RFC 8985)."""
    for block in this.sacked:
        if seq_diff(block.right, segment.next_seq) > 0:
            return True
    return False


def all_sacked(segment: Segment, this: Side) -> bool:
    for block in this.sacked:
        if seq_diff(block.left, segment.seq) <= 0 and seq_diff(block.right, segment.next_seq) >= 0:
            return True
    return False


def conflicts(segment: Segment, records: list[Sent]) -> bool:
    """True when bytes that both captures hold differ from those sent first."""
    if segment.flags & SYN or not segment.payload_len:
        return False
    for sent in records:
        if sent.data is None:
            continue
        start = max(0, seq_diff(sent.seq, segment.seq))
        skip = max(0, seq_diff(segment.seq, sent.seq))
        new = segment.data[segment.payload_at + start : segment.end]
        old = sent.data[skip:]
        shared = min(len(new), len(old))
        if new[:shared] != old[:shared]:
            return True
    return False


# --- why it was sent again -----------------------------------------------------------------------


def trigger(segment: Segment, this: Side) -> str:
    """fast, recovery, tlp, rto, slow_start, syn, fin, pmtu, or unknown; the reason is left in `evidence`."""
    if segment.flags & SYN:
        return "syn"
    now = segment.time_ns
    this.evidence = f"{this.elapsed_ns / MS:.3f} ms after it was last sent"
    if segment.flags & FIN and not segment.payload_len:
        return "fin"
    if this.too_big_ns >= max(0, now - this.elapsed_ns):
        this.evidence += ", and a router had said that packets are too big"
        return "pmtu"
    asked = reported(segment, this) or just_asked(segment, this)
    if this.loss_recover >= 0 and this.acked_ns <= this.loss_ns:
        this.evidence += ", nothing heard since the last timeout"
        return "rto"
    if timer_ran_out(segment, this):
        return silent(segment, this, asked)
    if this.loss_recover >= 0:
        if lost_again(this):
            # Linux leaves the slow start when a segment is lost a second time.
            return in_recovery(this)
        this.evidence = "on an ACK after a timeout, before all of that flight was acknowledged"
        return "slow_start"
    prompt = this.acked_ns >= 0 and (now - this.acked_ns) * 10 < this.rto_ns() * 7
    if prompt and (asked or this.recover >= 0):
        return in_recovery(this)
    if this.order != NEEDLESS and answers_ack(segment, this):
        return in_recovery(this)  # a partial ACK, or one that tells a sender more than us
    return silent(segment, this, asked)


def reported(segment: Segment, this: Side) -> bool:
    """True when the receiver tells of a loss: 3 duplicate ACKs, bytes above it, or what was sent later."""
    if this.dup_acks >= 3 or above(segment, this):
        return True
    return this.again is not None and this.again.last_ns < this.rack_ns


def just_asked(segment: Segment, this: Side) -> bool:
    """True when it follows a duplicate ACK at once: fewer than three do for a sender that knows its path."""
    return bool(this.dup_acks) and answers_ack(segment, this)


def answers_ack(segment: Segment, this: Side) -> bool:
    away = max(this.other.rtt_min, 0)
    return this.acked_ns >= 0 and segment.time_ns - this.acked_ns <= away + AT_ONCE_NS


def lost_again(this: Side) -> bool:
    """True when it was sent again after the timeout, and what was sent after that has come."""
    sent = this.again
    return sent is not None and sent.count > 1 and this.loss_ns <= sent.last_ns < this.rack_ns


def timer_ran_out(segment: Segment, this: Side) -> bool:
    """True when no ACK can have made the sender send this: it is the first outstanding segment, a timer's."""
    if this.acked and seq_diff(segment.seq, this.una) > 0:
        return False
    now, trip, away = segment.time_ns, max(this.srtt, 0), max(this.other.rtt_min, 0)
    waited = this.elapsed_ns if this.una_ns < 0 else min(this.elapsed_ns, now - this.una_ns)
    if waited < max(trip, SHORTEST_TIMER_NS):
        return False
    if this.again is None and reported(segment, this) and waited * 10 < this.rto_ns() * 7:
        return False  # seen at its receiver: a sender that was told of a loss, and had other things to do
    # An ACK is answered at once; with SACK, after the reordering timer, a round trip at most (RFC 8985 6.2).
    answer = away + SCHEDULING_NS + (min(trip, 2 * max(this.rtt_min, 0)) if this.uses_sack() else 0)
    if this.acked_ns < 0 or now - this.acked_ns > answer:
        return True
    if not this.uses_sack() and waited * 10 >= this.rto_ns() * 9 and not answers_ack(segment, this):
        return True
    # An ACK came meanwhile, but of nothing that was sent after the last repeat.
    sent = this.again
    if waited < trip + 2 * SCHEDULING_NS:
        return False
    return sent is not None and sent.count > 1 and sent.last_ns >= max(this.una_ns, this.rack_ns)


def was_probe(this: Side, sent: Sent) -> bool:
    """True when the first repeat of a flight of one was a tail-loss probe.

    With one segment outstanding a probe waits as long as the timer (RFC 8985 7.2); only the interval to
    the next repeat tells: after a timeout it has doubled, after a probe it has not. No probe waits much
    longer than two round trips and the 200 ms that Linux allows for a delayed ACK.
    """
    if sent.count != 2 or seq_diff(sent.end, this.max_end) < 0 or this.too_big_ns >= sent.first_ns:
        return False
    if sent.last_ns - sent.first_ns > 2 * max(this.srtt, 0) + LONGEST_PROBE_NS:
        return False
    return this.elapsed_ns * 2 < (sent.last_ns - sent.first_ns) * 3


def in_recovery(this: Side) -> str:
    said = f"{this.dup_acks} duplicate ACKs"
    if this.sacked:
        reported = 0
        for block in this.sacked:
            reported += seq_diff(block.right, block.left)
        said += f", {reported} bytes above it reported by SACK"
    this.evidence = said
    return "recovery" if this.recover >= 0 else "fast"


def silent(segment: Segment, this: Side, reported: bool) -> str:
    """Nothing has asked for it: a timer."""
    first = not this.acked or seq_diff(segment.seq, this.una) <= 0
    last = seq_diff(segment.next_seq, this.max_end) >= 0
    if this.order == NEEDLESS:
        return "rto" if this.elapsed_ns * 10 >= this.rto_ns() * 7 else "unknown"
    if last and not first and not reported and not this.tlp_sent:
        # RFC 8985 7: a tail-loss probe sends the highest segment again, the timer the lowest.
        this.evidence += ", the last segment of its flight, no ACK had asked for it"
        return "tlp"
    if not first or this.elapsed_ns < max(this.srtt, SHORTEST_TIMER_NS):
        return "unknown"
    this.evidence += ", the first outstanding segment, no ACK had asked for it"
    return "rto"
