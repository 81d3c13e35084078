"""What is remembered of a connection: two sides of the same kind, the segments in flight, the holes.

Plain ints in slots objects; -1 means not known. Times are nanoseconds of the capture's clock.
"""

# Compiled along with flow.py: a loop costs less than a generator.
# ruff: noqa: PLR0915, SIM110

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.analysis.records import Block, Damaged, Hole, Sent
from tcpharness.packet.address import address_text
from tcpharness.packet.segment import Segment, seq_diff

NOBODY: Any = None
SAID: dict[frozenset[str], frozenset[str]] = {}  # each combination once: they are few, the sides many
EIGHT_BYTES = (1 << 64) - 1
RTO_FLOOR_NS = 200_000_000  # Linux' tcp_rto_min; RFC 6298 2.4 asks for a second


def address_of(version: int, high: int, low: int) -> str:
    if version == 4:
        return address_text(low.to_bytes(4, "big"))
    return address_text((high & EIGHT_BYTES).to_bytes(8, "big") + (low & EIGHT_BYTES).to_bytes(8, "big"))


class Side:
    """One direction. State of the stream it sends, and of the window it offers."""

    __slots__ = (  # noqa: RUF023 (by subject)
        # who
        "flow", "named", "other",
        # its SYN: isn -1 when none was captured; mss and wscale -1 when not offered
        "isn", "mss", "options_known", "sack_ok", "scaling", "syn_copies", "syn_frame", "syn_last_ns",
        "syn_ns", "syns", "ts_ok", "wscale",
        # the stream it sends (RFC 9293 3.3.1): una is what the other side has acknowledged of it
        "acked", "acked_ns", "bytes", "damaged", "dup_acks", "fin_acked", "fin_ns", "fin_seq", "frames",
        "done", "held", "holes", "last_ns", "max_end", "max_end_ns", "resent", "sacked", "sent", "started",
        "una", "una_ns",
        # its recovery: end of a fast recovery, of a timeout's slow start; when the last was sent of what has
        # reached the receiver; whether its last timeout may prove needless
        "loss_ns", "loss_recover", "rack_ns", "recover", "repair_tsval", "repairing", "rto_count",
        "rto_first_ns", "rto_frame", "rto_last_ns", "timeout_doubted", "timeout_undone", "tlp_sent",
        "too_big_ns", "undo_left", "undone_by",
        # the window it offers
        "calm", "edge_of_syn", "most_win", "right_edge", "win_known", "win_now", "win_raw", "wl1",
        "zero_count",
        "zero_ended_ns", "zero_frame", "zero_since_ns",
        # its segment that filled the other side's window
        "full_frame", "full_len", "full_ns", "full_seq",
        # what waits for an answer
        "keep_alive_ns", "keep_alives", "live_syn", "offence", "offence_ns", "outside_end",
        "probe_end", "probe_ns",
        "probe_number", "probes", "wild_acks",
        # its RST
        "reset_class", "reset_evidence", "reset_finding", "rst_frame", "rst_id", "rst_ns", "rst_seq",
        "rst_sum", "rst_tsval",
        # its packets
        "dscp_last", "id_last", "ids_bad", "ids_good", "ts_high", "ttl_last", "ttl_mode", "ttl_votes",
        # its checksums
        "bad_finding", "bad_findings", "ip_error", "ip_errors", "partial_error", "partial_errors",
        "partial_hints", "sum_error", "sum_errors", "sums_accepted", "sums_correct", "sums_offload",
        # its round trips as seen from here, without the other half of the path
        "rtt_min", "rtt_spike", "rttvar", "srtt",
        # ACKs of something new after something was sent; round trips, and with a full window; a late ACK
        "delayed_for_ns", "delayed_ns", "held_rounds", "new_acks", "round_end", "round_held", "rounds",
        # what has been said once
        "gap_said", "offload_said", "ongoing", "said", "snapped", "super_seen",
        # facts of the segment that is being looked at
        "acceptable_ack", "acks_fin", "advance", "after", "again", "answers", "cksum", "cksum_right",
        "edge_moved", "elapsed_ns", "evidence", "first_was_probe", "hole", "is_dsack", "is_dup_ack",
        "new_sack", "order", "repairs", "signs", "stale", "trigger", "usable",
    )  # fmt: skip

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.named: FlowKey | None = None
        self.other: Side = self
        self.isn = self.mss = self.wscale = -1
        self.options_known = self.sack_ok = self.scaling = self.ts_ok = False
        self.syn_copies = self.syn_frame = self.syns = 0
        self.syn_ns = self.syn_last_ns = -1
        self.acked = self.fin_acked = self.started = False
        self.acked_ns = self.una_ns = self.max_end_ns = self.last_ns = -1
        self.bytes = self.dup_acks = self.frames = self.resent = self.max_end = self.una = 0
        self.fin_seq = self.fin_ns = -1
        self.done = 0  # records at the front of `sent` that are acknowledged
        self.held = 0  # bytes of payload in them
        self.damaged: tuple[Damaged, ...] = ()
        self.holes: tuple[Hole, ...] = ()
        self.sacked: tuple[Block, ...] = ()
        self.sent: list[Sent] = []
        self.loss_ns = self.loss_recover = self.rack_ns = self.recover = self.repair_tsval = -1
        self.timeout_doubted = False
        self.undo_left = 0  # repeats of the present recovery that DSACK has not told of
        self.timeout_undone = 0  # by this ACK: one of BY_ORIGINAL, BY_DSACK; -1: not by this ACK
        self.undone_by = 0  # what has proved the last needless timeout to be one
        self.rto_count = self.rto_first_ns = self.rto_last_ns = self.rto_frame = 0
        self.tlp_sent = False
        self.too_big_ns = -1  # when a router said that a packet of this side is too big
        self.edge_of_syn = self.win_known = False
        self.most_win = self.right_edge = self.win_now = self.win_raw = self.zero_count = self.zero_frame = 0
        self.wl1 = self.zero_ended_ns = self.zero_since_ns = -1
        self.full_frame = self.full_len = self.full_seq = 0
        self.full_ns = -1
        self.keep_alives = self.probe_number = self.probes = self.wild_acks = 0
        self.keep_alive_ns = self.live_syn = self.offence_ns = self.outside_end = self.probe_end = (
            self.probe_ns
        ) = -1
        self.offence = self.reset_class = ""
        self.reset_evidence: tuple[str, ...] = ()
        self.reset_finding: Finding | None = None
        self.rst_frame = self.rst_id = self.rst_seq = self.rst_sum = 0
        self.rst_ns = -1
        self.rst_tsval = -1
        self.id_last = self.ts_high = self.ttl_last = self.ttl_mode = -1
        self.ids_bad = self.ids_good = self.ttl_votes = 0
        self.partial_hints = self.sum_errors = self.sums_correct = self.sums_offload = 0
        self.ip_errors = self.partial_errors = self.sums_accepted = 0
        self.ip_error = self.partial_error = self.sum_error = -1
        self.bad_finding: Finding | None = None
        self.bad_findings: tuple[Finding, ...] = ()
        self.rtt_min = self.rttvar = self.srtt = -1
        self.rtt_spike = self.delayed_for_ns = 0
        self.held_rounds = self.new_acks = self.round_end = self.round_held = self.rounds = self.after = 0
        self.delayed_ns = self.dscp_last = -1
        self.ongoing: dict[str, Finding] | None = None  # episodes, while they last
        self.said: frozenset[str] = frozenset()
        self.gap_said = -1
        self.calm = self.repairing = False  # segments may pass by (flow.settle)
        self.offload_said = self.snapped = self.super_seen = False
        self.acceptable_ack = self.usable = True
        self.first_was_probe = self.stale = False
        self.acks_fin = self.is_dsack = self.is_dup_ack = self.new_sack = False
        self.advance = self.edge_moved = self.elapsed_ns = self.signs = self.order = 0
        self.cksum_right = -1
        self.again: Sent | None = None
        self.answers = self.cksum = self.evidence = self.trigger = ""
        self.hole: Hole | None = None
        self.repairs: Damaged | None = None

    @property
    def key(self) -> FlowKey:
        """Who it is, in words; made when somebody asks, for most segments give no finding."""
        if self.named is None:
            self.named = self.flow.key_of(self)
        return self.named

    def say(self, word: str) -> None:
        """For what is said once a direction: `if word in this.said` asks."""
        said = self.said | {word}
        self.said = SAID.setdefault(said, said)

    def unsay(self, word: str) -> None:
        self.said -= {word}

    def in_flight(self) -> int:
        """Bytes sent and not acknowledged, as this vantage sees it."""
        return max(0, seq_diff(self.max_end, self.una)) if self.acked or self.isn >= 0 else 0

    def unacknowledged(self) -> int:
        """Payload bytes in flight: a FIN is none."""
        return max(0, self.in_flight() - (self.fin_seq >= 0 and not self.fin_acked))

    def sample(self, rtt_ns: int) -> None:
        """RFC 6298 2: the smoothed round trip and its variation."""
        if rtt_ns < 0:
            return
        if self.srtt < 0:
            self.srtt, self.rttvar = rtt_ns, rtt_ns // 2
        else:
            self.rttvar += (abs(self.srtt - rtt_ns) - self.rttvar) // 4
            self.srtt += (rtt_ns - self.srtt) // 8
        self.rtt_min = rtt_ns if self.rtt_min < 0 else min(self.rtt_min, rtt_ns)

    def rto_ns(self) -> int:
        """The timer that the sender probably runs (RFC 6298 2, with Linux' floor), without back-off."""
        if self.srtt < 0:
            return RTO_FLOOR_NS
        return self.srtt + max(RTO_FLOOR_NS, 4 * self.rttvar)

    def ids_count(self) -> bool:
        """True when this side's IPv4 ids have proven to count up; RFC 6864 promises nothing."""
        return self.ids_good >= 2 and self.ids_bad * 9 <= self.ids_good

    def sent_before(self, segment: Segment, ip_id: int, tsval: int) -> int:
        """1 when the segment was sent before the one of these marks, -1 when after, 0 when nothing tells."""
        if segment.tsval >= 0 and tsval >= 0 and segment.tsval != tsval:
            return 1 if seq_diff(segment.tsval, tsval) < 0 else -1
        if segment.version == 4 and segment.id and ip_id and segment.id != ip_id and self.ids_count():
            return -1 if (segment.id - ip_id) & 0xFFFF < 0x8000 else 1
        return 0

    def lasts(self, word: str, now_ns: int) -> Finding | None:
        """The episode of that name, one longer; None: there is none."""
        episode = self.ongoing.get(word) if self.ongoing is not None else None
        if episode is not None:
            episode.count += 1
            episode.end_ns = now_ns
        return episode

    def begins(self, word: str) -> Callable[[Finding], None]:
        """What keeps the episode's finding, to be counted on."""

        def keep(finding: Finding) -> None:
            self.ongoing = {**(self.ongoing or {}), word: finding}

        return keep

    def keep_reset(self, finding: Finding) -> None:
        self.reset_finding = finding

    def keep_bad(self, finding: Finding) -> None:
        """The first few, until it is known whether all are wrong by the same amount; and the last."""
        self.bad_finding = finding
        if len(self.bad_findings) < 3:
            self.bad_findings += (finding,)

    def uses_sack(self) -> bool:
        """True unless the SYNs have told that its data is not reported by SACK."""
        return not self.options_known or bool(self.sack_ok and self.other.sack_ok)

    def troubled(self) -> bool:
        """True while the receiver reports a hole, or a recovery is under way."""
        return bool(self.dup_acks) or self.recover >= 0 or self.loss_recover >= 0

    def sent_lately(self, seq: int) -> bool:
        """True when a segment that is still remembered began or ended at `seq`."""
        for sent in self.sent:
            if sent.seq == seq or sent.end == seq:
                return True
        return False


class Flow:
    """Two sides, and how far they got. Addresses as two numbers of 64 bits each, as a segment has them."""

    __slots__ = (  # noqa: RUF023 (by subject)
        "a", "b", "next", "version", "a_high", "a_low", "a_port", "b_high", "b_low", "b_port",
        "closed", "first_flags", "first_frame", "first_ns", "frames", "handshake", "last_frame", "last_ns",
        "opener", "reused", "simultaneous",
    )  # fmt: skip

    def __init__(self, segment: Segment) -> None:
        self.a, self.b = Side(self), Side(self)
        self.a.other, self.b.other = self.b, self.a
        self.next: Flow | None = None  # in its bucket
        self.version = segment.version
        self.a_high, self.a_low, self.a_port = segment.src_high, segment.src_low, segment.sport
        self.b_high, self.b_low, self.b_port = segment.dst_high, segment.dst_low, segment.dport
        self.first_ns = self.last_ns = segment.time_ns
        self.first_frame = self.last_frame = segment.frame
        self.first_flags = segment.flags
        self.frames = 0
        self.handshake = 0  # 1: SYN, 2: SYN-ACK, 3: complete
        self.opener: Side | None = None
        self.closed = ""  # "closed", "reset", "refused"
        self.reused = self.simultaneous = False

    def part(self) -> None:
        """The two sides forget each other: the cycle would keep all until the collector comes by."""
        self.a.flow = self.a.other = self.b.flow = self.b.other = NOBODY
        self.a = self.b = self.opener = NOBODY

    def key_of(self, side: Side) -> FlowKey:
        first = address_of(self.version, self.a_high, self.a_low)
        second = address_of(self.version, self.b_high, self.b_low)
        if side is self.a:
            return FlowKey(first, self.a_port, second, self.b_port)
        return FlowKey(second, self.b_port, first, self.a_port)

    def rtt_ns(self) -> int | None:
        """The whole round trip: the two halves left and right of the vantage; None while one is not known."""
        halves = [side.rtt_min for side in (self.a, self.b) if side.rtt_min >= 0]
        return sum(halves) if halves else None

    def state(self) -> str:
        """Where the connection stood when the capture ended, in a word or two."""
        if self.closed:
            return self.closed
        if self.handshake == 1:
            return "unanswered" if not (self.a.frames and self.b.frames) else "opening"
        if self.handshake == 2:
            return "half-open"
        if self.a.fin_seq >= 0 or self.b.fin_seq >= 0:
            return "closing"
        return "established" if self.handshake == 3 else "mid-stream"
