"""Connections and what is known of them: facts, computed once a segment.

The law of this file (RFC 9293 3.3 to 3.10, RFC 5681, 6298, 6675, 7323):
- It is on nobody's side. A connection is two `Side`s of the same kind; `this` sent the segment that is
  being looked at, `other` is to receive it. Nothing says client or server.
- Ask, then tell. `observe` looks at a segment and writes down facts, against the state as it was before;
  the detectors read both; `apply` then changes the state.
- Only segments that a receiver would take change the state: no bad checksums, no impossible flags, no
  copies of a frame, nothing beyond every window. A RST's window and a bare RST's ack mean nothing.
- Numbers are plain ints and attributes, no dict, no exception on the way of a healthy segment.
- Not modelled: the receiver's buffer, congestion control, MPTCP's subflows.

All memory is bounded a flow: the lists below have caps, and what falls out is what was acknowledged
longest ago.
"""

# The hot file: its functions are long because a call costs more than what they do.
# ruff: noqa: C901, PLR0915, SIM102, SIM109, SIM110

from __future__ import annotations

from tcpharness.analysis.order import is_copy_of_ack, is_copy_of_reset, look
from tcpharness.analysis.records import Block, Damaged, Hole, Sent
from tcpharness.analysis.resets import judge_reset
from tcpharness.analysis.signs import Order, Sign
from tcpharness.analysis.state import Flow, Side
from tcpharness.packet import checksum
from tcpharness.packet.link import ETHERNET
from tcpharness.packet.segment import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    Segment,
    eight_bytes,
    four_bytes,
    seq_add,
    seq_diff,
)
from tcpharness.packet.sums import sum16

MS = 1_000_000
DAY_NS = 86_400_000 * MS
TIME_WAIT_NS = 240_000 * MS  # RFC 9293 3.4.2: twice the longest life of a segment
FIRST_BUCKETS = 1024
LOW_31 = (1 << 31) - 1
MASK, SEQ_HALF = (1 << 32) - 1, 1 << 31
NOT_PSH = 0x1FF & ~PSH
ANSWER_NS = 1_000 * MS  # within which an answer to a probe or a challenge is one
MOST_SENT, KEEP_ACKED, MOST_HOLES, MOST_DAMAGED, MOST_SACKED = 4096, 32, 256, 32, 64
MOST_HELD = 1 << 16  # bytes of payload a side, kept to be compared with what is sent again
MOST_WILD_ACKS = 3
MOST_ACCEPTED = 3
IDLE_NS = 60_000 * MS
SPIKE_NS = 100 * MS  # above the smoothed round trip: less is a delayed ACK, or nothing
DELAYED_FROM_NS, DELAYED_TO_NS = 30 * MS, 250 * MS  # RFC 1122 4.2.3.2; 40 ms with Linux, 200 with others
AT_ONCE_NS = 2 * MS
USUAL_MSS = 1460
FAR = 1 << 30  # further back than any window
MOST_TICKS_BACK = 1000
REPLAY_NS = 100 * MS  # a copy of a SYN comes sooner
LATE_SYN_NS, LATE_SYN_BYTES = 10 * MS, 1 << 16
OUTSIDE_SLACK = 1 << 16  # a capture may lag behind a window that has just been opened
# Plain ints: an IntFlag's own operators cost a microsecond each.
BEGIN, S_SYN, HANDSHAKE, S_RST = int(Sign.BEGIN), int(Sign.SYN), int(Sign.HANDSHAKE), int(Sign.RST)
S_FIN, CLOSED, DUP_ACK = int(Sign.FIN), int(Sign.CLOSED), int(Sign.DUP_ACK)
DSACK, UNSEEN, ZERO, FULL = int(Sign.DSACK), int(Sign.UNSEEN), int(Sign.ZERO), int(Sign.FULL)
UPDATE, SHRUNK, SILLY = int(Sign.UPDATE), int(Sign.SHRUNK), int(Sign.SILLY)
S_COPY = int(Sign.COPY)
PROBE, CHALLENGE, CKSUM, REPAIRED = int(Sign.PROBE), int(Sign.CHALLENGE), int(Sign.CKSUM), int(Sign.REPAIRED)
S_FLAGS, MALFORMED, FRAGMENT, TTL = int(Sign.FLAGS), int(Sign.MALFORMED), int(Sign.FRAGMENT), int(Sign.TTL)
ECN, TRUNCATED, SUPER, RECOVERED = int(Sign.ECN), int(Sign.TRUNCATED), int(Sign.SUPER), int(Sign.RECOVERED)
ODD, NO_TIMESTAMP, CLOCK = int(Sign.ODD), int(Sign.NO_TIMESTAMP), int(Sign.CLOCK)
UNDONE = int(Sign.UNDONE)
BY_ORIGINAL, BY_DSACK, BY_ECHO = 1, 2, 3  # what proves that a timeout was needless
ODD_SYN, ODD_BEGIN, MID_STREAM = int(Sign.ODD_SYN), int(Sign.ODD_BEGIN), int(Sign.MID_STREAM)
ACCEPTED = int(Sign.ACCEPTED)
REUSED, SYN_AGAIN, MISSING = int(Sign.REUSED), int(Sign.SYN_AGAIN), int(Sign.MISSING)
IDLE, DSCP, PARTIAL = int(Sign.IDLE), int(Sign.DSCP), int(Sign.PARTIAL)
S_SACK, STALLED, SPIKE, ODD_SACK = int(Sign.SACK), int(Sign.STALLED), int(Sign.SPIKE), int(Sign.ODD_SACK)
REVIVED, LATE_DATA, LAND, TUNNEL = int(Sign.REVIVED), int(Sign.LATE_DATA), int(Sign.LAND), int(Sign.TUNNEL)
NEXT, COPY, AGAIN, NEEDLESS, LATE, AHEAD, OUTSIDE, KEEP_ALIVE, WINDOW_PROBE, OLD = (int(o) for o in Order)

# RFC 9293 3.1 and 3.10: combinations that no state sends. SYN with URG is only a scanner's (Zeek: baroque).
IMPOSSIBLE_PAIRS = (SYN | FIN, SYN | RST, FIN | RST)


def layout_of(kinds: tuple[int, ...]) -> int:
    number = 0
    for kind in kinds:
        number = (number * 37 + kind + 1) & LOW_31
    return number


def possible(flags: int) -> bool:
    if any(flags & pair == pair for pair in IMPOSSIBLE_PAIRS) or not flags & (SYN | RST | ACK):
        return False
    return not (flags & SYN and flags & URG)


POSSIBLE = bytes(possible(flags) for flags in range(64))

LEAST_MSS = 536  # RFC 9293 3.7.1
# The options of SYNs, by kind: Linux, Windows, BSD, none, and what is left of them without one or the other.
ORDINARY = frozenset(
    layout_of(kinds)
    for kinds in (
        (), (2,), (2, 4, 8, 1, 3), (2, 1, 3, 1, 1, 4), (2, 1, 1, 4), (2, 1, 3), (2, 1, 3, 4, 8), (2, 4, 8),
        (2, 1, 3, 1, 1, 8), (2, 1, 3, 1, 1, 8, 4), (2, 1, 1, 8, 1, 3), (2, 1, 1, 4, 1, 3), (2, 4),
        (2, 1, 1, 8),
    )
)  # fmt: skip


class Tracker:
    """All flows of a capture.

    The table is a list of chains of its own, and both directions lie in one: a dict would need a tuple and
    two pieces of bytes a segment.
    """

    __slots__ = (
        "buckets", "count", "ended", "flow_count", "idle_ns", "latest", "mask", "most_flows", "sweep_at",
        "verify",
    )  # fmt: skip

    def __init__(self, most_flows: int = 300_000, verify: bool = True, idle_ns: int = DAY_NS) -> None:
        self.most_flows = most_flows
        self.verify = verify
        self.idle_ns = idle_ns
        self.ended: list[Flow] = []  # to be reported and forgotten
        self.flow_count = 0
        self.count = 0  # of flows in the table
        self.buckets: list[Flow | None] = [None] * FIRST_BUCKETS
        self.latest: Flow | None = None  # that something was heard of
        self.mask = FIRST_BUCKETS - 1
        self.sweep_at = min(FIRST_BUCKETS, most_flows)

    def side_of(self, segment: Segment) -> Side:
        """The side that sent it, of its flow or of a new one."""
        side = self.find(segment)
        if side is None:
            side = self.open(segment)
        elif segment.flags & SYN and begins_anew(segment, side):
            reused = bool(side.flow.closed)
            self.remove(side.flow)
            side = self.open(segment)
            side.flow.reused = reused
            if segment.flags & ACK:
                side.say("asked for")  # by a SYN that is the last flow's
        elif (
            segment.time_ns - side.flow.last_ns > self.idle_ns
            or side.flow.last_ns - segment.time_ns > self.idle_ns
        ):
            # Whatever these ports talked about so long ago, it was another connection (or another capture).
            self.remove(side.flow)
            side = self.open(segment)
        return side

    def find(self, segment: Segment) -> Side | None:
        flow = self.latest
        if flow is not None:  # most often it is the one before
            side = match(segment, flow)
            if side is not None:
                return side
        flow = self.buckets[bucket(segment, self.mask)]
        while flow is not None:
            side = match(segment, flow)
            if side is not None:
                self.latest = flow
                return side
            flow = flow.next
        return None

    def open(self, segment: Segment) -> Side:
        if self.count >= self.sweep_at:
            self.sweep(segment.time_ns)
        flow = Flow(segment)
        place = bucket(segment, self.mask)
        flow.next = self.buckets[place]
        self.buckets[place] = flow
        self.count += 1
        self.flow_count += 1
        return flow.a

    def remove(self, gone: Flow) -> None:
        self.keep([flow for flow in self.chain_of(gone) if flow is not gone], home(gone, self.mask))
        self.count -= 1
        self.latest = None
        self.ended.append(gone)

    def chain_of(self, flow: Flow) -> list[Flow]:
        chain = []
        each = self.buckets[home(flow, self.mask)]
        while each is not None:
            chain.append(each)
            each = each.next
        return chain

    def keep(self, chain: list[Flow], place: int) -> None:
        following: Flow | None = None
        for flow in reversed(chain):
            flow.next = following
            following = flow
        self.buckets[place] = following

    def sweep(self, now_ns: int) -> None:
        """Makes room: those that ended or fell silent long ago go; else the table grows, up to its bound."""
        flows = self.flows()
        live = [flow for flow in flows if not over(flow, now_ns, self.idle_ns)]
        if len(live) > self.most_flows * 3 // 4 and self.count >= self.most_flows:
            live = sorted(live, key=lambda flow: flow.last_ns)[-(self.most_flows * 3 // 4) or len(live) :]
        kept = {id(flow) for flow in live}
        self.ended += [flow for flow in flows if id(flow) not in kept]
        self.rebuild([flow for flow in flows if id(flow) in kept])

    def rebuild(self, flows: list[Flow]) -> None:
        """A table with at least as many buckets as flows, and half of them free."""
        size = FIRST_BUCKETS
        while size < 2 * len(flows):
            size *= 2
        self.mask = size - 1
        self.latest = None
        self.buckets = [None] * size
        for flow in flows:
            place = home(flow, self.mask)
            flow.next = self.buckets[place]
            self.buckets[place] = flow
        self.count = len(flows)
        self.sweep_at = min(max(2 * len(flows), size), self.most_flows)

    def flows(self) -> list[Flow]:
        """Every flow in the table, in order of its beginning."""
        found = []
        for each in self.buckets:
            while each is not None:
                found.append(each)
                each = each.next
        found.sort(key=lambda flow: flow.first_frame)
        return found


def match(segment: Segment, flow: Flow) -> Side | None:
    """The side that sent it; None: it is another flow's."""
    if segment.sport == flow.a_port and segment.dport == flow.b_port:
        if (
            segment.src_low == flow.a_low
            and segment.dst_low == flow.b_low
            and segment.src_high == flow.a_high
            and segment.dst_high == flow.b_high
            and segment.version == flow.version
        ):
            return flow.a
    if segment.sport == flow.b_port and segment.dport == flow.a_port:
        if (
            segment.src_low == flow.b_low
            and segment.dst_low == flow.a_low
            and segment.src_high == flow.b_high
            and segment.dst_high == flow.a_high
            and segment.version == flow.version
        ):
            return flow.b
    return None


def bucket(segment: Segment, mask: int) -> int:
    return (
        mixed(
            segment.src_low ^ segment.dst_low,
            segment.src_high ^ segment.dst_high,
            segment.sport ^ segment.dport,
        )
        & mask
    )


def bucket_of_frame(data: bytes, at: int, stop: int, wire_len: int, linktype: int) -> int:
    """`bucket` of the plain TCP segment in data[at:stop], for less than decoding costs; -1: it is none.

    Plain is what `read_frame` takes for it: anything else is looked at by every share.
    """
    if linktype != ETHERNET or stop - at < 54:
        return -1
    kind, ip_at = data[at + 12] << 8 | data[at + 13], at + 14
    if kind == 0x0800 and data[ip_at] == 0x45 and data[ip_at + 9] == 6:
        length = data[ip_at + 2] << 8 | data[ip_at + 3]
        if (data[ip_at + 6] & 0x3F) | data[ip_at + 7] or length < 40 or 14 + length > wire_len:
            return -1
        low, high, ports_at = four_bytes(data, ip_at + 12) ^ four_bytes(data, ip_at + 16), 0, ip_at + 20
    elif kind == 0x86DD and data[ip_at] >> 4 == 6 and data[ip_at + 6] == 6 and stop - ip_at >= 60:
        length = data[ip_at + 4] << 8 | data[ip_at + 5]
        if length < 20 or 54 + length > wire_len:
            return -1
        low = eight_bytes(data, ip_at + 16) ^ eight_bytes(data, ip_at + 32)
        high, ports_at = eight_bytes(data, ip_at + 8) ^ eight_bytes(data, ip_at + 24), ip_at + 40
    else:
        return -1
    ports = four_bytes(data, ports_at)
    return mixed(low, high, ports >> 16 ^ ports & 0xFFFF) & LOW_31


def home(flow: Flow, mask: int) -> int:
    return mixed(flow.a_low ^ flow.b_low, flow.a_high ^ flow.b_high, flow.a_port ^ flow.b_port) & mask


def mixed(low: int, high: int, ports: int) -> int:
    """The same for both directions; below 2 ** 63, so that C's integers and Python's agree."""
    number = (low & LOW_31) * 40503 + (high & LOW_31) * 30011 + (high >> 31 & LOW_31) * 69069 + ports * 69069
    return number ^ number >> 15


def over(flow: Flow, now_ns: int, idle_ns: int) -> bool:
    """True when nothing more is to be expected: closed for longer than TIME-WAIT lasts, or silent."""
    silent_ns = now_ns - flow.last_ns
    return silent_ns > idle_ns or (bool(flow.closed) and silent_ns > TIME_WAIT_NS)


def begins_anew(segment: Segment, side: Side) -> bool:
    """True when a SYN or SYN-ACK begins a new connection between the same ports (RFC 6191, RFC 5961 4)."""
    flow = side.flow
    if segment.flags & (FIN | RST | URG):
        return False
    if segment.flags & ACK:
        # A SYN in a live connection is only a new one when it is answered as one.
        return side.other.live_syn >= 0 and segment.ack == seq_add(side.other.live_syn, 1)
    if side.isn >= 0 and segment.seq == side.isn:
        # The same once more, after it had ended: somebody plays a capture again.
        ended = flow.closed == "closed" or (flow.closed == "reset" and flow.handshake == 3)
        return ended and segment.time_ns - side.syn_last_ns > REPLAY_NS
    if comes_late(segment, side):
        return False
    # Nobody has answered, or only with a RST, or that is not captured: another attempt from the same port.
    return bool(flow.closed) or side.other.frames == 0


# --- nearly every segment ---------------------------------------------------------------------------


def pass_by(segment: Segment, this: Side, other: Side) -> bool:
    """The next data, or an ACK of some, where nothing else is going on: taken over. Else all is as it was.

    What `observe` and `apply` would do with it, without looking for what is not there. Its checksum was
    looked at before.
    """
    if not this.calm or not other.calm or segment.flags & NOT_PSH != ACK or segment.seq != this.max_end:
        return False
    ack, length, win = segment.ack, segment.payload_len, segment.win
    advance = 0 if ack == other.una else seq_diff(ack, other.una)
    # What is at or ahead of something lies less than half the circle from it (RFC 9293 3.4).
    if advance < 0 or not win or (other.max_end - ack) & MASK >= SEQ_HALF:
        return False
    if advance == 0 and (not length or win != this.win_raw):
        return False
    if advance > 0 and other.repairing:
        return False
    room = win << this.wscale if this.scaling else win
    edge = (ack + room) & MASK
    if room < this.mss or (edge - this.right_edge) & MASK >= SEQ_HALF:
        return False
    if (
        not segment.bare
        or segment.ttl != this.ttl_last
        or segment.tos >> 2 != this.dscp_last
        or segment.tos & 3 == 3
        or (segment.tsval < 0 <= this.ts_high)
        or not (segment.whole or this.snapped)
    ):
        return False
    if length and (
        segment.next_seq == other.right_edge
        or this.delayed_ns >= 0
        or not segment.ip_len
        or (not this.super_seen and (length > other.mss > 0 or length > 65495))
    ):
        return False
    now, flow = segment.time_ns, this.flow
    if now - flow.last_ns > IDLE_NS:
        return False
    flow.frames += 1
    flow.last_ns, flow.last_frame = now, segment.frame
    this.frames += 1
    this.last_ns = other.acked_ns = now
    this.signs = 0
    if this.cksum:
        this.sums_offload += 1
    remember_marks(segment, this)
    if length:
        this.bytes += length
        this.max_end, this.max_end_ns = segment.next_seq, now
        remember(segment, this, segment.next_seq)
    if advance > 0:
        advance_una(segment, this, other)
    this.win_raw, this.win_now, this.right_edge, this.wl1 = win, room, edge, segment.seq
    this.edge_of_syn = False
    if room > this.most_win:
        this.most_win = room
    return True


def settle(flow: Flow) -> None:
    """After a segment that did not pass by: whether the next one may; what is over needs no records."""
    if flow.closed == "closed" and (flow.a.sent or flow.b.sent):
        forget(flow.a, len(flow.a.sent))
        forget(flow.b, len(flow.b.sent))
    flow.a.calm = flow.handshake in (0, 3) and not flow.closed and calm(flow.a)
    flow.b.calm = flow.a.calm and calm(flow.b)
    flow.a.repairing, flow.b.repairing = repairing(flow.a), repairing(flow.b)


def calm(side: Side) -> bool:
    """True when nothing of this side waits for an answer, an end, or a repair."""
    return (
        side.started
        and side.acked
        and side.win_known
        and side.zero_since_ns < 0
        and not side.holes
        and not side.damaged
        and side.fin_seq < 0
        and side.rst_ns < 0
        and side.full_ns < 0
        and not side.rto_count
        and not side.tlp_sent
        and side.probe_ns < 0
        and side.probe_end < 0
        and not side.probes
        and side.keep_alive_ns < 0
        and not side.keep_alives
        and side.offence_ns < 0
        and side.live_syn < 0
        and not side.wild_acks
    )


def repairing(side: Side) -> bool:
    """True while ACKs of its data may tell of a hole or a recovery; what it sends itself is as ever."""
    return bool(side.dup_acks or side.sacked) or side.recover >= 0 or side.loss_recover >= 0


# --- observe: facts, nothing changed but the facts ------------------------------------------------


def observe(segment: Segment, this: Side, other: Side, signs: int) -> None:
    """The facts, and the signs of them, to those that `check_sums` gave."""
    flow = this.flow
    this.order = NEXT
    this.advance = 0
    this.is_dup_ack = this.is_dsack = this.new_sack = False
    this.acceptable_ack = True
    this.hole = None
    this.again = None
    this.answers = ""
    this.acks_fin = this.first_was_probe = this.stale = False
    flags = segment.flags
    if not flow.frames:
        signs |= BEGIN
        if not flags & SYN:
            signs |= MID_STREAM
        if flow.reused:
            signs |= REUSED
        if not segment.sport or not segment.dport or (segment.ip_header_len > 20 and segment.version == 4):
            signs |= ODD_BEGIN
        if (
            segment.sport == segment.dport
            and segment.src_low == segment.dst_low
            and segment.src_high == segment.dst_high
        ):
            signs |= LAND
        if segment.tunnel:
            signs |= TUNNEL
    elif segment.time_ns - flow.last_ns > IDLE_NS:
        signs |= IDLE
    if segment.malformed:
        signs |= MALFORMED
        if segment.offset < 5 or segment.offset * 4 > segment.tcp_len:
            this.usable = False
    if segment.pieces or segment.mf:
        signs |= FRAGMENT
        if segment.mf:
            this.usable = False
    if not segment.whole and not segment.mf and not this.snapped:
        signs |= TRUNCATED
    if not POSSIBLE[flags & 63]:
        signs |= S_FLAGS
        this.usable = False
    if not this.usable:
        this.signs = signs
        return
    signs |= path(segment, this)
    late_option = not flags & SYN and (segment.mss & segment.wscale != -1 or segment.sack_ok)
    if late_option or segment.urg | segment.reserved | (flags & URG):
        signs |= ODD
    if segment.tsval < 0 <= this.ts_high:
        signs |= NO_TIMESTAMP
    if flags & SYN:
        signs |= S_SYN
        if segment.mss < 0 or segment.wscale < 0 or not segment.sack_ok or segment.tsval < 0:
            signs |= MISSING
        if odd_syn(segment):
            signs |= ODD_SYN
        signs |= handshake(segment, this, other)
    elif flags & RST:
        if this.rst_ns >= 0 and is_copy_of_reset(segment, this, other):
            this.order = COPY
            signs |= S_COPY
        else:
            signs |= S_RST
            judge_reset(segment, this, other)
    else:
        if segment.seq != this.max_end or other.zero_since_ns >= 0 or not this.started:
            signs |= look(segment, this, other)
        if this.order == NEXT and segment.id == this.id_last and is_copy_of_ack(segment, this, other):
            this.order = COPY
            signs |= S_COPY
        if flags & ACK and this.order != COPY and this.order != OUTSIDE:
            signs |= acknowledgement(segment, this, other)
        if this.rst_ns >= 0 and this.order != COPY and goes_on(segment, this):
            signs |= REVIVED
        if this.damaged and segment.payload_len and this.order != COPY:
            signs |= repaired(segment, this)
    if segment.payload_len or flags & FIN:
        if flags & FIN:
            signs |= S_FIN
        if (this.fin_seq >= 0 or other.fin_acked or other.rst_ns >= 0) and segment.payload_len:
            signs |= LATE_DATA
        if this.delayed_ns >= 0 and segment.payload_len:
            signs |= waited(segment, this, other)
        if not this.super_seen and (
            segment.payload_len > other.mss > 0 or segment.payload_len > 65495 or not segment.ip_len
        ):
            signs |= SUPER
    this.signs = signs


def waited(segment: Segment, this: Side, other: Side) -> int:
    """Data right behind an ACK that came late: it had been held back for it (RFC 9293 3.7.4, Nagle)."""
    since = segment.time_ns - this.delayed_ns - max(other.rtt_min, 0)
    return STALLED if this.order == NEXT and since <= AT_ONCE_NS else 0


def check_sums(segment: Segment, this: Side, verify: bool) -> int:
    """Sets `cksum` to "", "ip", "bad" or the kind of offload, decided by direction; and `usable`."""
    this.usable = True
    this.cksum = ""
    if not verify:
        return 0
    data, ip_at = segment.data, segment.ip_at
    # Sums count modulo 65535, of which 2 ** 16 leaves 1: a field of 32 bits is as good as its halves.
    if segment.version == 4:
        addresses = segment.src_low + segment.dst_low
        if segment.ip_header_len == 20 and not segment.pieces:
            header = (
                (data[ip_at] << 8) + segment.tos + segment.ip_len + segment.id
                + (data[ip_at + 6] << 8) + data[ip_at + 7] + (segment.ttl << 8) + segment.proto
                + segment.ip_cksum + addresses
            )  # fmt: skip
        else:
            header = sum16(data, ip_at, ip_at + segment.ip_header_len)
        # An IP sum of zero is left to the device, as the TCP sum may be; damage leaves anything else.
        if header % 0xFFFF and segment.ip_cksum:
            return doubtful_ip_sum(segment, this)
    else:
        addresses = sum16(data, segment.src_at, segment.src_at + 32)
    if segment.mf or segment.frag_offset:
        return 0
    pseudo = 6 + segment.tcp_len + addresses
    if segment.whole:
        if (pseudo + sum16(data, segment.tcp_at, segment.end)) % 0xFFFF == 0:
            this.sums_correct += 1
            return 0
    elif (pseudo + 0xFFFF - segment.cksum) % 0xFFFF:
        return 0  # not all of it is there, and it is no sum that offload leaves
    if this.offload_said and not this.sums_correct and (pseudo + 0xFFFF - segment.cksum) % 0xFFFF == 0:
        this.cksum = "partial"  # like all before it
        return 0
    return doubtful_sum(segment, this)


def doubtful_ip_sum(segment: Segment, this: Side) -> int:
    """Damage, unless all are wrong by one amount: then the addresses were changed since."""
    this.cksum_right = checksum.ip_checksum(segment.ip_header)
    error = (this.cksum_right - segment.ip_cksum) % 0xFFFF
    if same_before(error, this.ip_error, this.ip_errors, this.other.ip_error, this.other.ip_errors):
        this.cksum = "rewritten"
        return 0 if this.offload_said else CKSUM
    this.cksum, this.usable = "ip", False
    return CKSUM


def same_before(error: int, mine: int, times: int, theirs: int, their_times: int) -> bool:
    """True when two sums of the connection were wrong by that amount before."""
    return (times if error == mine else 0) + (their_times if error == theirs else 0) >= 2


def doubtful_sum(segment: Segment, this: Side) -> int:
    """A sum that is not right: damage, or the work of a device (tcp_evidence A.4)."""
    found = checksum.verdict(segment)
    if found.word == "unverified" or found.word == "correct":
        return 0
    this.cksum_right = found.right if found.right is not None else -1
    how = found.how
    if found.word == "offload" and segment.whole and this.sums_correct >= 2 and not this.sums_offload:
        # A device that computes none computes none from the start: this is one damaged sum in 65536 that
        # looks like it.
        this.usable = False
        this.cksum = "bad"
        return CKSUM
    if found.word == "incorrect":
        error = (this.cksum_right - segment.cksum) % 0xFFFF
        if (this.other.mss > 0 and segment.payload_len > this.other.mss) or not segment.ip_len:
            how = "super"  # a device's work: cut into segments, it gets its sums
        elif rewritten(segment, this, this.other, error):
            how = "rewritten"
        elif altered(segment, this, this.other):
            how = "altered"
        else:
            this.usable = False
            this.cksum = "bad"
            return CKSUM
    elif not segment.whole:
        # Of a snapped capture one packet in 65536 matches by chance: two in a row do not.
        this.partial_hints += 1
        if this.partial_hints < 2:
            return 0
    this.cksum = how
    return 0 if this.offload_said else CKSUM


def rewritten(segment: Segment, this: Side, other: Side, error: int) -> bool:
    """True when no sum is right, and all are off by one amount: from the right one, or from an offload's."""
    if this.sums_correct or other.sums_correct:
        return False
    if same_before(error, this.sum_error, this.sum_errors, other.sum_error, other.sum_errors):
        return True
    error = partial_error(segment)
    return same_before(
        error, this.partial_error, this.partial_errors, other.partial_error, other.partial_errors
    )


def partial_error(segment: Segment) -> int:
    """How far the field is from the sum that an offload leaves."""
    pseudo = checksum.pseudo_header_sum(segment.src_bytes, segment.dst_bytes, segment.tcp_len)
    return (segment.cksum - pseudo) % 0xFFFF


def altered(segment: Segment, this: Side, other: Side) -> bool:
    """True when wrong sums were right once: their receiver has acknowledged such segments three times, or
    it is not captured and their sender simply goes on.
    """
    if this.sums_accepted >= MOST_ACCEPTED:
        return True
    if other.frames or this.bytes or len(this.damaged) < 2:
        return False
    before, last = this.damaged[-2], this.damaged[-1]
    return seq_diff(last.seq, before.seq) > 0 and seq_diff(segment.seq, last.seq) > 0


def path(segment: Segment, this: Side) -> int:
    signs = 0
    if segment.ttl != this.ttl_last and this.ttl_last >= 0:
        signs |= TTL
    if segment.tos >> 2 != this.dscp_last and this.dscp_last >= 0:
        signs |= DSCP
    if segment.tos & 3 == 3 or (segment.flags & (ECE | CWR) and not segment.flags & SYN):
        signs |= ECN
    return signs


def odd_syn(segment: Segment) -> bool:
    """True when a SYN has what most have not: then the rules about oddities look at it."""
    if 0 <= segment.mss < LEAST_MSS or segment.wscale > 14 or segment.payload_len:
        return True
    if segment.ack and not segment.flags & ACK:
        return True
    return layout(segment) not in ORDINARY


def layout(segment: Segment) -> int:
    """The kinds of the options in order, as one number; what can't be read so is nobody's."""
    data, at, stop = segment.data, segment.tcp_at + 20, segment.payload_at
    number = 0
    while at < stop:
        kind = data[at]
        number = (number * 37 + kind + 1) & LOW_31
        if kind == 1:
            at += 1
        elif kind == 0 or at + 1 >= stop or data[at + 1] < 2:
            return -1
        else:
            at += data[at + 1]
    return number if at == stop else -1


def handshake(segment: Segment, this: Side, other: Side) -> int:
    """A SYN or SYN-ACK: sent before, or in a live connection (RFC 9293 3.10.7.4, RFC 5961 4)."""
    if segment.flags & ACK and other.isn >= 0 and seq_diff(segment.ack, other.max_end) > 0:
        this.acceptable_ack = False  # it answers no SYN that was sent, and is reset (3.10.7.3)
    if this.isn >= 0 and segment.seq == this.isn and this.syns:
        return look(segment, this, other) | SYN_AGAIN
    if comes_late(segment, this):
        this.order = LATE
    elif this.isn >= 0 or (this.started and this.frames):
        this.order = OUTSIDE
    return 0


def comes_late(segment: Segment, this: Side) -> bool:
    """True for a SYN that was captured behind what it began: right below the stream that is known."""
    if this.isn >= 0 or not this.started or segment.time_ns - this.flow.first_ns > LATE_SYN_NS:
        return False
    return 0 < seq_diff(this.max_end, segment.seq) <= LATE_SYN_BYTES


def acknowledgement(segment: Segment, this: Side, other: Side) -> int:
    """What the ack and window fields say of the other side's data."""
    signs = 0
    ack, length = segment.ack, segment.payload_len
    pure = not length and not segment.flags & FIN
    if not other.started:
        this.advance = 0
    else:
        this.advance = seq_diff(ack, other.una)
        if not other.acked and this.advance < 0:
            this.advance = 0  # of what was sent before the capture began
        beyond = seq_diff(ack, other.max_end)
        if beyond > 0 and not (other.probe_end >= 0 and ack == other.probe_end):
            signs |= UNSEEN
            # Nobody acknowledges more than it has offered room for: RFC 5961 5 drops such an ACK.
            # (Where the capture has missed much, our idea of the window is behind: the fourth is believed.)
            known = this.win_known and this.options_known and this.wild_acks < MOST_WILD_ACKS
            this.acceptable_ack = not known or seq_diff(ack, this.right_edge) <= 0
        elif this.advance < 0 and -this.advance > max(this.most_win, OUTSIDE_SLACK):
            this.acceptable_ack = False
        if not this.acceptable_ack:
            this.advance = 0
            return signs | answer(segment, this, other, pure)
    if other.damaged and accepts_damage(ack, other):
        signs |= ACCEPTED
    if segment.sack_count and this.order != COPY:
        signs |= selective(segment, this, other)
    if this.advance > 0 and other.sacked and not segment.sack_count and inside(ack, other.sacked):
        signs |= ODD_SACK
    if this.advance > 0 and other.rto_count >= 2:
        signs |= RECOVERED
    if other.recover >= 0 and this.advance > 0 and seq_diff(ack, other.recover) < 0:
        signs |= PARTIAL
    signs |= window(segment, this, other, pure)
    if not signs & PROBE:
        signs |= answer(segment, this, other, pure)
        if not this.is_dup_ack:
            signs &= ~DUP_ACK  # it answers a probe or a challenge
    if other.fin_seq >= 0 and not other.fin_acked and seq_diff(ack, other.fin_seq) > 0:
        this.acks_fin = True
        if this.fin_acked:
            signs |= CLOSED
    else:
        this.acks_fin = False
    if this.flow.handshake == 2 and this is this.flow.opener and seq_diff(ack, other.isn) > 0:
        signs |= HANDSHAKE
    return signs


def accepts_damage(ack: int, other: Side) -> bool:
    """True when a segment that came with a wrong checksum is acknowledged, and no good copy was seen."""
    for damaged in other.damaged:
        if seq_diff(ack, damaged.end) >= 0 and not seen_well(damaged, other):
            return True
    return False


def seen_well(damaged: Damaged, side: Side) -> bool:
    """True when other segments have brought its bytes."""
    if seq_diff(damaged.end, side.max_end) > 0:
        return False
    for hole in side.holes:
        if seq_diff(hole.seq, damaged.end) < 0 and seq_diff(hole.end, damaged.seq) > 0:
            return False
    return True


def inside(number: int, blocks: tuple[Block, ...]) -> bool:
    for block in blocks:
        if seq_diff(block.left, number) <= 0 < seq_diff(block.right, number):
            return True
    return False


def selective(segment: Segment, this: Side, other: Side) -> int:
    """RFC 2018, and RFC 2883 4: a first block at or below the ack, or within the second, is a duplicate's."""
    count = segment.sack_count
    left, right = segment.sack_left(0), segment.sack_right(0)
    if seq_diff(right, segment.ack) <= 0 or (
        count > 1
        and seq_diff(left, segment.sack_left(1)) >= 0
        and seq_diff(right, segment.sack_right(1)) <= 0
    ):
        this.is_dsack = True
    signs = DSACK if this.is_dsack else 0
    known = this.options_known and this.win_known
    if this.options_known and not (other.sack_ok and this.sack_ok):
        signs |= ODD_SACK
    for number in range(count):
        left, right = segment.sack_left(number), segment.sack_right(number)
        if (
            seq_diff(right, left) <= 0
            or seq_diff(segment.ack, left) > FAR
            or (known and seq_diff(right, this.right_edge) > this.most_win)
        ):
            signs |= ODD_SACK
        if number == 0 and this.is_dsack:
            continue
        if seq_diff(right, segment.ack) > 0 and not covered(other, left, right):
            this.new_sack = True
    if this.new_sack and not other.sacked and other.recover < 0 and other.loss_recover < 0:
        signs |= S_SACK
    return signs


def covered(side: Side, left: int, right: int) -> bool:
    """True when the scoreboard has all of it already."""
    for block in side.sacked:
        if (left - block.left) & MASK < SEQ_HALF and (block.right - right) & MASK < SEQ_HALF:
            return True
    return False


def window(segment: Segment, this: Side, other: Side, pure: bool) -> int:
    """The window as it would be taken (RFC 9293 3.10.7.4: only from segments newer than the last one)."""
    signs = 0
    scale = this.wscale if this.scaling else 0
    this.win_now = segment.win << scale
    edge = seq_add(segment.ack, this.win_now)
    this.edge_moved = seq_diff(edge, this.right_edge) if this.win_known else 0
    # Of two ACKs in quick succession that nothing tells apart, the one with less room is the older.
    this.stale = (
        this.edge_moved < 0
        and this.advance <= 0
        and segment.time_ns - this.last_ns < MS
        and this.sent_before(segment, this.id_last, this.ts_high) >= 0
    )
    if not segment.win or this.zero_since_ns >= 0:
        signs |= ZERO
    if this.advance == 0 and this.edge_moved > 0 and pure and this.order == NEXT and not this.new_sack:
        signs |= UPDATE
    if this.edge_moved < 0 and this.advance >= 0 and not this.stale:
        signs |= SHRUNK
    if this.win_now < this.mss and this.win_now and this.options_known and segment.win != this.win_raw:
        signs |= SILLY
    if other.full_ns >= 0 and (this.advance > 0 or this.edge_moved > 0 or not segment.win):
        signs |= FULL
    # RFC 5681 2: no data, no SYN or FIN, the same ack, the same window (or new SACK information), and data
    # outstanding.
    if (
        pure
        and this.advance == 0
        and other.acked
        and this.order == NEXT
        and (segment.win == this.win_raw or this.new_sack)
        and seq_diff(other.max_end, segment.ack) > 0
        and this.win_known
        and not (segment.win == 0 and not this.new_sack)
        and not this.is_dsack
    ):
        this.is_dup_ack = True
        signs |= DUP_ACK
    return signs


def answer(segment: Segment, this: Side, other: Side, pure: bool) -> int:
    """A pure ACK that answers a probe, a keep-alive, or an offence against RFC 5961."""
    this.answers = ""
    if not pure or this.order != NEXT or this.advance > 0:
        return 0
    now = segment.time_ns
    if other.probe_ns >= 0 and segment.win == 0:
        this.answers = "probe"
    elif other.offence_ns >= 0 and now - other.offence_ns < ANSWER_NS:
        this.answers = "offence"
    elif other.keep_alive_ns >= 0:
        this.answers = "keep-alive"
    else:
        return 0
    this.is_dup_ack = False
    return CHALLENGE if this.answers == "offence" else PROBE


def goes_on(segment: Segment, this: Side) -> bool:
    """True when a side that has sent a RST sends on, and not something older that was overtaken."""
    if this.sent_before(segment, this.rst_id, this.rst_tsval) == 1:
        return False
    return seq_diff(segment.next_seq, this.rst_seq) >= 0 and segment.time_ns > this.rst_ns


def repaired(segment: Segment, this: Side) -> int:
    for damaged in this.damaged:
        if seq_diff(damaged.seq, segment.seq) >= 0 and seq_diff(damaged.end, segment.next_seq) <= 0:
            this.repairs = damaged
            return REPAIRED
    return 0


# --- apply: the state as it is after the segment ---------------------------------------------------


def apply(segment: Segment, this: Side, other: Side) -> None:
    flow = this.flow
    flow.frames += 1
    flow.last_ns, flow.last_frame = segment.time_ns, segment.frame
    this.frames += 1
    if this.signs & REPAIRED and this.repairs is not None:
        this.damaged = without(this.damaged, this.repairs)
        this.repairs = None
    if not segment.whole:
        this.snapped = True
    if not this.usable:
        note_damage(segment, this)
        return
    if this.cksum:
        this.sums_offload += 1
        this.offload_said = True
        if this.cksum == "altered":
            this.sums_accepted = MOST_ACCEPTED
        if this.damaged:
            this.damaged = ()  # they were none
    if this.signs & SUPER:
        this.super_seen = True
    if this.order != COPY:
        remember_path(segment, this)
    if segment.flags & RST:
        if this.order != COPY:
            apply_reset(segment, this, other)
    elif segment.flags & SYN:
        apply_syn(segment, this, other)
    elif this.order == OUTSIDE:
        this.offence_ns, this.offence = segment.time_ns, "data outside the window"
        this.outside_end = segment.next_seq
    else:
        apply_data(segment, this, other)
        if segment.flags & ACK and this.order != COPY:
            apply_ack(segment, this, other)
    this.last_ns = segment.time_ns


def without(damaged: tuple[Damaged, ...], repaired: Damaged) -> tuple[Damaged, ...]:
    return tuple(each for each in damaged if each is not repaired)


def note_damage(segment: Segment, this: Side) -> None:
    if this.cksum == "bad":
        error = (this.cksum_right - segment.cksum) % 0xFFFF
        this.sum_errors = this.sum_errors + 1 if error == this.sum_error else 1
        this.sum_error = error
        error = partial_error(segment)
        this.partial_errors = this.partial_errors + 1 if error == this.partial_error else 1
        this.partial_error = error
    elif this.cksum == "ip" and this.ttl_last < 0:  # none of its sums has been right
        error = (this.cksum_right - segment.ip_cksum) % 0xFFFF
        this.ip_errors = this.ip_errors + 1 if error == this.ip_error else 1
        this.ip_error = error
    if this.cksum in ("bad", "ip") and segment.payload_len:
        damaged = Damaged(segment.seq, segment.next_seq, segment.frame, segment.time_ns, this.bad_finding)
        this.damaged = (*this.damaged, damaged)[-MOST_DAMAGED:]


def remember_path(segment: Segment, this: Side) -> None:
    this.ttl_last = segment.ttl
    this.dscp_last = segment.tos >> 2
    remember_marks(segment, this)


def remember_marks(segment: Segment, this: Side) -> None:
    if segment.ttl == this.ttl_mode:
        this.ttl_votes += 1
    elif this.ttl_votes == 0:
        this.ttl_mode, this.ttl_votes = segment.ttl, 1
    else:
        this.ttl_votes -= 1
    if segment.flags & RST:
        return
    if segment.version == 4 and segment.id:
        if this.id_last >= 0:
            # A counter a socket, or one for the whole host: the step is small and positive; back by little
            # goes what comes late.
            step = (segment.id - this.id_last) & 0xFFFF
            if 0 < step < 4096:
                this.ids_good += 1
            elif 0 < step <= 0x10000 - 4096:
                this.ids_bad += 1
            else:
                step = -1
        else:
            step = 0
        if step >= 0:
            this.id_last = segment.id
    if segment.tsval >= 0 and segment.tsval != this.ts_high:
        newer = 1 if this.ts_high < 0 else seq_diff(segment.tsval, this.ts_high)
        if newer > 0:
            this.ts_high = segment.tsval
        elif newer < -MOST_TICKS_BACK and segment.seq == this.max_end:
            this.after |= CLOCK


def apply_reset(segment: Segment, this: Side, other: Side) -> None:
    if this.reset_class in ("in window", "old", "outside"):
        this.offence_ns, this.offence = segment.time_ns, "a RST that is not exactly the next byte"
        return
    this.rst_ns, this.rst_seq, this.rst_frame = segment.time_ns, segment.seq, segment.frame
    this.rst_id, this.rst_tsval, this.rst_sum = segment.id, segment.tsval, segment.cksum
    this.flow.closed = "refused" if this.reset_class == "refused" else "reset"


def apply_syn(segment: Segment, this: Side, other: Side) -> None:
    if this.order == OUTSIDE:
        this.live_syn = segment.seq
        this.offence_ns, this.offence = segment.time_ns, "a SYN inside the connection"
        return
    if this.order == COPY:
        this.syn_copies += 1
        return
    this.syns += 1
    flow = this.flow
    if this.order == LATE:
        note_late_syn(segment, this, other)
        return
    if this.isn < 0:
        begin_side(segment, this)
        if segment.flags & ACK:
            flow.handshake = 2
            flow.opener = other
        elif flow.opener is None:
            flow.handshake, flow.opener = 1, this
        else:
            flow.simultaneous = True
        this.syn_ns, this.syn_frame = segment.time_ns, segment.frame
        remember(segment, this, seq_add(segment.seq, 1))
    else:
        resend(segment, this)
        if (
            this.rst_ns >= 0 and flow.handshake < 3
        ):  # its RST refused one answer; it asks on (RFC 9293 3.10.7.3)
            this.rst_ns, flow.closed = -1, ""
    this.syn_last_ns = segment.time_ns
    if segment.flags & ACK:
        if other.isn >= 0 and not other.win_known:
            other.right_edge, other.win_known = seq_add(segment.seq, 1 + other.win_raw), True
        if other.started and this.acceptable_ack:
            this.advance = seq_diff(segment.ack, other.una)  # the SYN itself is acknowledged
            apply_ack(segment, this, other)
        settle_options(this, other)


def note_late_syn(segment: Segment, this: Side, other: Side) -> None:
    """What the SYN offers, and who opened; the stream has gone on since."""
    flow = this.flow
    take_offer(segment, this)
    this.syn_ns = this.syn_last_ns = segment.time_ns
    this.syn_frame = segment.frame
    if segment.flags & ACK:
        flow.opener = other
    elif flow.opener is None:
        flow.opener = this
    if flow.handshake != 2:
        flow.handshake = 3
    settle_options(this, other)


def take_offer(segment: Segment, this: Side) -> None:
    """The SYN's number and options."""
    this.isn, this.started = segment.seq, True
    this.mss = segment.mss
    this.wscale = min(segment.wscale, 14)  # RFC 7323 2.3
    this.sack_ok, this.ts_ok = segment.sack_ok, segment.tsval >= 0


def begin_side(segment: Segment, this: Side) -> None:
    take_offer(segment, this)
    this.max_end = segment.next_seq
    this.una = this.round_end = segment.seq
    this.win_raw = this.win_now = segment.win
    this.right_edge, this.edge_of_syn = seq_add(segment.ack, segment.win), True
    this.win_known = bool(segment.flags & ACK)  # a bare SYN's window has no place in the sequence space yet
    this.most_win = max(this.most_win, segment.win)


def settle_options(this: Side, other: Side) -> None:
    """RFC 7323 2.2: windows are scaled when both SYNs offered it."""
    both = this.wscale >= 0 and other.wscale >= 0
    this.scaling = other.scaling = both
    this.options_known = other.options_known = this.isn >= 0 and other.isn >= 0


def apply_data(segment: Segment, this: Side, other: Side) -> None:
    length = segment.payload_len
    if not this.started:
        this.started, this.max_end, this.una = True, segment.seq, segment.seq
        this.round_end = segment.seq
    order = this.order
    if length:
        this.delayed_ns = -1
    if order == WINDOW_PROBE:
        this.probe_ns = segment.time_ns
        this.probes += 1  # unanswered ones
        this.probe_number += 1
        if length:
            this.probe_end = segment.next_seq
        return
    if order == KEEP_ALIVE:
        this.keep_alive_ns = segment.time_ns
        this.keep_alives += 1
        return
    if order == COPY or order == OLD:
        return
    end = segment.next_seq
    if segment.flags & FIN and this.fin_seq < 0:
        this.fin_seq, this.fin_ns = seq_add(segment.seq, length), segment.time_ns
    if end == segment.seq:
        return
    if order == AHEAD:
        this.holes = (*this.holes, Hole(this.max_end, segment.seq, segment))[-MOST_HOLES:]
    new = seq_diff(end, this.max_end)
    if order == AGAIN or order == NEEDLESS:
        this.resent += 1
        note_trigger(segment, this)
        if this.hole is None:
            resend(segment, this)
    if this.hole is not None:
        fill(segment, this)
    if new > 0:
        this.bytes += min(length, new)
        this.max_end = end
        this.max_end_ns = segment.time_ns
        if order not in (AGAIN, NEEDLESS):
            this.tlp_sent = False
        note_full(segment, this, other, length)
        if this.again is None or order not in (AGAIN, NEEDLESS) or this.hole is None:
            remember(segment, this, end)


def record(segment: Segment, this: Side, end: int) -> Sent:
    sent: Sent = Sent.__new__(Sent)
    sent.take(segment, end)
    length = segment.end - segment.payload_at
    if length > 0 and this.held + length <= MOST_HELD:
        octets = segment.data  # in C the bytes themselves
        sent.data = octets[segment.payload_at : segment.end]
        this.held += length
    return sent


def remember(segment: Segment, this: Side, end: int) -> None:
    this.sent.append(record(segment, this, end))
    if len(this.sent) > MOST_SENT:
        forget(this, MOST_SENT // 2)


def forget(this: Side, count: int) -> None:
    """The oldest records, and what they held."""
    for sent in this.sent[:count]:
        let_data_go(this, sent)
    del this.sent[:count]
    this.done = max(0, this.done - count)


def let_data_go(this: Side, sent: Sent) -> None:
    if sent.data is not None:
        this.held -= len(sent.data)
        sent.data = None


def note_trigger(segment: Segment, this: Side) -> None:
    """Where the sender's recovery stands after a segment that was sent again."""
    if this.order == NEEDLESS:
        return
    if this.recover < 0 and this.loss_recover < 0:
        this.repair_tsval = segment.tsval
        this.undo_left = int(this.tlp_sent)
    elif this.trigger == "rto" and this.loss_recover >= 0 and not this.rto_count:
        this.undo_left = 0
    this.undo_left += 1
    if this.trigger == "rto":
        # Linux doubts a timeout (RFC 5682) unless it ends a recovery.
        this.timeout_doubted = this.recover < 0 or this.rto_count > 0
        if this.first_was_probe:
            this.rto_count = 0
        if not this.rto_count:
            this.rto_first_ns, this.rto_frame = segment.time_ns, segment.frame
        this.rto_count += 1
        this.rto_last_ns = this.loss_ns = segment.time_ns
        this.loss_recover = this.max_end
        this.recover = -1
    elif this.trigger == "slow_start":
        this.timeout_doubted = False
    elif this.trigger == "fast":
        this.recover = this.max_end
        this.loss_recover = -1
        this.timeout_doubted = False
    elif this.trigger == "tlp":
        this.tlp_sent = True


def note_full(segment: Segment, this: Side, other: Side, length: int) -> None:
    """Data that ends exactly where the other side's window ends: remembered until it is answered."""
    if length and other.win_known and other.options_known and this.max_end == other.right_edge:
        this.full_ns, this.full_frame, this.full_seq, this.full_len = (
            segment.time_ns, segment.frame, segment.seq, length,
        )  # fmt: skip


def resend(segment: Segment, this: Side) -> None:
    end = segment.next_seq
    for place in range(len(this.sent) - 1, -1, -1):
        sent = this.sent[place]
        if seq_diff(sent.end, segment.seq) <= 0:
            if seq_diff(sent.seq, segment.seq) < -(1 << 20):
                break
            continue
        if seq_diff(sent.seq, end) < 0:
            sent.sent_again(segment)
            this.done = min(this.done, place)


def fill(segment: Segment, this: Side) -> None:
    """Cuts the segment out of the holes, and keeps it as sent."""
    left, right = segment.seq, segment.next_seq
    kept: list[Hole] = []
    for hole in this.holes:
        if seq_diff(hole.end, left) <= 0 or seq_diff(hole.seq, right) >= 0:
            kept.append(hole)
            continue
        if seq_diff(left, hole.seq) > 0:
            kept.append(hole.part(hole.seq, left))
        if seq_diff(hole.end, right) > 0:
            kept.append(hole.part(right, hole.end))
        inside = min(seq_diff(hole.end, left), seq_diff(hole.end, hole.seq), seq_diff(right, hole.seq))
        this.bytes += max(0, min(inside, segment.payload_len))
    this.holes = tuple(kept)
    sent = record(segment, this, right)
    if this.order == AGAIN:
        sent.count = 2
    place = len(this.sent)
    while place and seq_diff(this.sent[place - 1].seq, left) > 0:
        place -= 1
    this.sent.insert(place, sent)
    this.done = min(this.done, place)
    this.again = sent


def apply_ack(segment: Segment, this: Side, other: Side) -> None:
    """The other side's data is acknowledged, or its window opened."""
    now = segment.time_ns
    if not this.acceptable_ack:
        this.offence_ns, this.offence = now, "an ACK of what was never sent or long ago"
        this.wild_acks += 1
        return
    if not other.started:
        # Mid-stream: what is acknowledged is where the other side stands, as far as we know.
        other.started, other.max_end, other.una, other.acked = True, segment.ack, segment.ack, True
        other.round_end = segment.ack
    if not other.acked:
        # What was acknowledged before the capture began is where it begins.
        other.acked = True
        if seq_diff(segment.ack, other.una) < 0:
            other.una = other.round_end = segment.ack
    if seq_diff(segment.ack, other.max_end) > 0:
        if other.probe_end != segment.ack:
            hole = Hole(other.max_end, segment.ack, segment)
            other.holes = (*other.holes, hole.tell())[-MOST_HOLES:]
        other.max_end = segment.ack
    other.acked_ns = now
    this.wild_acks = 0
    if other.damaged:
        settle_damage(segment.ack, this, other)
    if this.is_dsack:
        hear_dsack(segment, other)
    if this.advance > 0:
        advance_una(segment, this, other)
    elif this.is_dup_ack:
        other.dup_acks += 1
    if segment.sack_count:
        score(segment, this, other)
    if this.acks_fin:
        other.fin_acked = True
        if this.fin_acked:
            this.flow.closed = "closed"
    if this.signs & HANDSHAKE:
        this.flow.handshake = 3
    apply_answers(this, other, now)
    apply_window(segment, this, other)


def settle_damage(ack: int, this: Side, other: Side) -> None:
    """What is acknowledged of segments with a wrong checksum needs no good copy any more."""
    left = tuple([each for each in other.damaged if seq_diff(ack, each.end) < 0])
    if this.signs & ACCEPTED:
        other.sums_accepted += len(other.damaged) - len(left)
    other.damaged = left


def apply_answers(this: Side, other: Side, now: int) -> None:
    if not this.answers:
        if this.advance > 0:
            other.keep_alive_ns = other.probe_ns = -1
            other.keep_alives = other.probes = 0
    elif this.answers == "offence":
        other.offence_ns = -1
    elif this.answers == "keep-alive":
        other.keep_alive_ns, other.keep_alives = -1, 0
    elif this.answers == "probe":
        other.probe_ns, other.probes = -1, 0


def advance_una(segment: Segment, this: Side, other: Side) -> None:
    now = segment.time_ns
    ack = segment.ack
    newest: Sent | None = None
    again = False  # something that was sent again is among it
    done, count = other.done, len(other.sent)
    while done < count:
        sent = other.sent[done]
        if 0 < (sent.end - ack) & MASK < SEQ_HALF:  # seq_diff(sent.end, ack) > 0, without the call
            break
        done += 1
        if not sent.acked_ns:
            if not sent.sacked:
                reached(sent, other, now)
            sent.acked_ns = now
            newest = sent
            again = again or sent.count > 1
            if sent.finding is not None:
                judge_need(segment, sent, other)
    # Karn (RFC 6298 3): only what was sent once gives a round trip, and did not wait behind a hole.
    if newest is not None and not again and not newest.sacked:
        rtt = now - newest.last_ns
        if rtt >= DELAYED_FROM_NS:
            note_slow(segment, this, other, rtt, done)
        other.sample(rtt)
    if other.max_end_ns > other.una_ns:  # something was sent since the last one: so much it dared
        other.new_acks += 1
        if seq_diff(this.right_edge, other.max_end) * 10 <= seq_diff(this.right_edge, other.una):
            other.round_held = 1
        if seq_diff(ack, other.round_end) >= 0:
            end_round(other)
    release(other, done)
    other.una, other.una_ns = ack, now
    other.dup_acks = 0
    other.rto_count = 0
    other.tlp_sent = False
    if other.sacked:
        other.sacked = above_only(other.sacked, ack)
    if other.recover >= 0 and seq_diff(ack, other.recover) >= 0:
        other.recover = -1
    if other.loss_recover >= 0:
        note_undo(segment, other)
        if seq_diff(ack, other.loss_recover) >= 0:
            other.loss_recover = -1
    if other.probe_end >= 0 and seq_diff(ack, other.probe_end) >= 0:
        other.probe_end = -1


def end_round(side: Side) -> None:
    """A round trip is over: what was outstanding when it began has been acknowledged."""
    side.rounds += 1
    side.held_rounds += side.round_held
    side.round_held = 0
    side.round_end = side.max_end


def reached(sent: Sent, side: Side, now: int) -> None:
    """The receiver has it, as it tells for the first time (RFC 8985 6.2 step 2, RFC 5682 3.1 step 3b)."""
    # One that came back sooner than any trip took is an answer to an earlier copy.
    if sent.last_ns > side.rack_ns and (sent.count == 1 or (now - sent.last_ns) * 8 >= side.rtt_min * 7):
        side.rack_ns = sent.last_ns
    if not side.timeout_doubted or side.loss_recover < 0:
        return
    if sent.count > 1 and not side.uses_sack():
        side.timeout_undone = -1  # without SACK that one alone may be what has come
    elif sent.count == 1 and not side.timeout_undone and seq_diff(sent.end, side.loss_recover) <= 0:
        side.timeout_undone = BY_ORIGINAL


def note_undo(segment: Segment, side: Side) -> None:
    """A timeout that proves to have been needless is taken back: the sender is in no recovery any more."""
    if side.loss_recover < 0:
        return
    # RFC 3522: what is echoed was sent before anything was sent again.
    early = segment.tsecr >= 0 and side.repair_tsval >= 0 and seq_diff(segment.tsecr, side.repair_tsval) < 0
    if side.timeout_undone > 0 or early:
        side.loss_recover = side.recover = -1
        side.undone_by = side.timeout_undone if side.timeout_undone > 0 else BY_ECHO
        side.other.after |= UNDONE
    side.timeout_undone = 0


def note_slow(segment: Segment, this: Side, other: Side, rtt: int, done: int) -> None:
    """An ACK that took its time: it was delayed on purpose, or the round trip has jumped."""
    if other.srtt < 0 or other.troubled():
        return
    # All that was outstanding was one small segment, and nothing came back with the ACK.
    small = this.mss if this.mss > 0 else USUAL_MSS
    alone = done == len(other.sent) and not segment.payload_len and seq_diff(segment.ack, other.una) < small
    if alone and DELAYED_FROM_NS <= rtt - other.rtt_min <= DELAYED_TO_NS:
        other.delayed_ns, other.delayed_for_ns = segment.time_ns, rtt
    elif rtt > 3 * other.srtt + 4 * other.rttvar and rtt > other.srtt + SPIKE_NS:
        other.rtt_spike = rtt
        this.after |= SPIKE


def above_only(blocks: tuple[Block, ...], ack: int) -> tuple[Block, ...]:
    """Those that end above the ack."""
    return tuple([block for block in blocks if seq_diff(block.right, ack) > 0])


def release(side: Side, done: int) -> None:
    """Of what is acknowledged, the last few stay, and of those the last two with their bytes."""
    place = done - 3
    while place >= 0:
        sent = side.sent[place]
        if sent.data is None:
            break
        let_data_go(side, sent)
        place -= 1
    side.done = done
    if done > 2 * KEEP_ACKED:
        del side.sent[: done - KEEP_ACKED]
        side.done = KEEP_ACKED


def judge_need(segment: Segment, sent: Sent, side: Side) -> None:
    """Eifel (RFC 3522): the echoed timestamp tells which transmission the first new ACK answers.

    That it answers the repeat proves a need only where a receiver would tell of what comes twice (DSACK): the
    first one may have come, and its ACK been lost.
    """
    finding = sent.finding
    if finding is None or segment.tsecr < 0 or sent.tsval < 0 or sent.first_tsval < 0:
        return
    if sent.tsval == sent.first_tsval or finding.detail.get("needed") != "unknown":
        return
    before = seq_diff(segment.tsecr, sent.tsval) < 0
    if not before and (segment.tsecr != sent.tsval or not side.uses_sack()):
        return
    finding.detail["needed"] = "no" if before else "yes"
    finding.detail["needed_by"] = "echo of the first transmission" if before else "echo of this transmission"


def hear_dsack(segment: Segment, other: Side) -> None:
    """What came twice (RFC 2883, RFC 3708): before the ACK itself is weighed, which may end a recovery."""
    left, right = segment.sack_left(0), segment.sack_right(0)
    for sent in reversed(other.sent):
        if sent.finding is not None and seq_diff(sent.seq, right) < 0 and seq_diff(sent.end, left) > 0:
            sent.finding.detail["needed"], sent.finding.detail["needed_by"] = "no", "DSACK"
            break
    other.undo_left -= 1
    if not other.undo_left and other.loss_recover >= 0:
        other.timeout_undone = BY_DSACK  # all that was sent again has come twice


def score(segment: Segment, this: Side, other: Side) -> None:
    """The scoreboard of what was received above a hole."""
    for number in range(1 if this.is_dsack else 0, segment.sack_count):
        left, right = segment.sack_left(number), segment.sack_right(number)
        if seq_diff(right, segment.ack) > 0 and not covered(other, left, right):
            merge(other, left, right, segment.time_ns)
    if other.timeout_undone:
        note_undo(segment, other)


def merge(other: Side, left: int, right: int, now: int) -> None:
    """One more block on the scoreboard, and its mark on the records it covers."""
    for block in other.sacked:
        # Nearly always a block that has grown at its end, and touches no other.
        if seq_diff(block.left, left) <= 0 <= seq_diff(block.right, left):
            if alone(other, block, right):
                fresh, block.right = block.right, right
                mark(other, block.left, right, fresh, now)
                return
    fresh = left  # records that end below have their mark already
    kept: list[Block] = []
    for block in other.sacked:
        if seq_diff(block.right, left) < 0 or seq_diff(block.left, right) > 0:
            kept.append(block)
            continue
        if seq_diff(block.left, left) <= 0:
            left, fresh = block.left, block.right
        if seq_diff(block.right, right) > 0:
            right = block.right
    kept.append(Block(left, right))
    other.sacked = tuple(kept[-MOST_SACKED:])
    mark(other, left, right, fresh, now)


def alone(side: Side, grown: Block, right: int) -> bool:
    """True when no other block begins between the grown one's old end and its new one, or holds them."""
    for block in side.sacked:
        if block is not grown and seq_diff(block.left, right) <= 0 <= seq_diff(block.right, grown.right):
            return False
    return True


def mark(side: Side, left: int, right: int, fresh: int, now: int) -> None:
    """The records inside left:right are reported; those that end at or below `fresh` have been before."""
    low, high = side.done, len(side.sent)  # what is acknowledged ends before every block
    while low < high:
        middle = (low + high) >> 1
        sent = side.sent[middle]
        if 0 < (sent.end - fresh) & MASK < SEQ_HALF:
            high = middle
        else:
            low = middle + 1
    for place in range(low, len(side.sent)):
        sent = side.sent[place]
        if seq_diff(sent.seq, right) >= 0:
            break
        if seq_diff(sent.seq, left) >= 0 and seq_diff(sent.end, right) <= 0:
            if not sent.sacked and not sent.acked_ns:
                reached(sent, side, now)
            sent.sacked = True


def apply_window(segment: Segment, this: Side, other: Side) -> None:
    if segment.flags & FIN and segment.win == 0:
        return
    if segment.flags & SYN:
        return  # taken by begin_side; never scaled
    older = (
        this.wl1 >= 0 and seq_diff(segment.seq, this.wl1) < 0 and this.order not in (KEEP_ALIVE, WINDOW_PROBE)
    )
    if this.win_known and (this.advance < 0 or (older and this.advance == 0)):
        return
    if this.stale:
        return
    scale = this.wscale if this.scaling else 0
    this.win_raw, this.win_now = segment.win, segment.win << scale
    edge = seq_add(segment.ack, this.win_now)
    moved = seq_diff(edge, this.right_edge) if this.win_known else 1
    this.right_edge, this.win_known, this.edge_of_syn = edge, True, False
    this.wl1 = segment.seq
    this.most_win = max(this.most_win, this.win_now)
    if segment.win == 0:
        if this.zero_since_ns < 0:
            this.zero_since_ns, this.zero_frame, this.zero_count = segment.time_ns, segment.frame, 0
        this.zero_count += 1
    elif this.zero_since_ns >= 0:
        this.zero_since_ns = -1
        other.probe_number = other.probes = 0
        this.zero_ended_ns = segment.time_ns
    if (moved > 0 or not segment.win) and other.full_ns >= 0:
        other.full_ns = -1
