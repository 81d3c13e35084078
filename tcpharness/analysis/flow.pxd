# Widths for the compiled build; flow.py is the text, and runs as it is.
cimport cython

from tcpharness.analysis.order cimport is_copy_of_ack, is_copy_of_reset, look
from tcpharness.analysis.resets cimport judge_reset
from tcpharness.analysis.records cimport Block, Damaged, Hole, Sent
from tcpharness.analysis.state cimport Flow, Side
from tcpharness.packet.segment cimport Segment, eight_bytes, four_bytes, seq_add, seq_diff
from tcpharness.packet.sums cimport sum16

cdef bytes POSSIBLE
cdef int ETHERNET
cdef long long LATE_SYN_NS, LATE_SYN_BYTES, REPLAY_NS
cdef long long ODD_SACK, FAR
cdef long long MS, ANSWER_NS, OUTSIDE_SLACK, TIME_WAIT_NS, LOW_31, MASK, SEQ_HALF
cdef int MOST_SENT, KEEP_ACKED, MOST_HELD, MOST_WILD_ACKS
cdef int NOT_PSH, ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
cdef long long ACCEPTED, BEGIN, S_COPY, S_SYN, HANDSHAKE, S_RST, S_FIN, CLOSED, DUP_ACK, DSACK, UNSEEN, ZERO, FULL, PROBE
cdef long long ODD_SYN, ODD_BEGIN, MID_STREAM, REUSED, SYN_AGAIN, MISSING
cdef int LEAST_MSS
cdef frozenset ORDINARY
cdef long long UPDATE, SHRUNK, SILLY
cdef long long CHALLENGE, CKSUM, REPAIRED, S_FLAGS, MALFORMED, FRAGMENT, TTL, ECN, TRUNCATED, SUPER, RECOVERED
cdef long long REVIVED, LATE_DATA, LAND, TUNNEL, IDLE, DSCP, PARTIAL, S_SACK, STALLED, SPIKE
cdef long long ODD, NO_TIMESTAMP, CLOCK, MOST_TICKS_BACK
cdef long long IDLE_NS, SPIKE_NS, DELAYED_FROM_NS, DELAYED_TO_NS, AT_ONCE_NS, USUAL_MSS
cdef int NEXT, COPY, AGAIN, NEEDLESS, LATE, AHEAD, OUTSIDE, KEEP_ALIVE, WINDOW_PROBE, OLD

@cython.final
cdef class Tracker:
    cdef public list buckets, ended
    cdef public Flow latest
    cdef public long long count, flow_count, idle_ns, mask, most_flows, sweep_at
    cdef public bint verify
    @cython.locals(side=Side)
    cpdef Side side_of(self, Segment segment)
    @cython.locals(flow=Flow, side=Side)
    cpdef Side find(self, Segment segment)
    @cython.locals(flow=Flow, place="Py_ssize_t")
    cpdef Side open(self, Segment segment)

cpdef Side match(Segment segment, Flow flow)
cpdef Py_ssize_t bucket(Segment segment, long long mask) noexcept
cpdef Py_ssize_t home(Flow flow, long long mask) noexcept
@cython.locals(kind="int", ip_at="Py_ssize_t", ports_at="Py_ssize_t", length="int", low="long long", high="long long",
               ports="long long")
cpdef long long bucket_of_frame(bytes data, Py_ssize_t at, Py_ssize_t stop, long long wire_len, int linktype) except? -2
@cython.locals(number="long long")
cpdef long long mixed(long long low, long long high, long long ports) noexcept
@cython.locals(flow=Flow)
cpdef bint begins_anew(Segment segment, Side side) except -1

@cython.locals(flow=Flow, ack="long long", length="long long", win="int", advance="long long", room="long long",
               edge="long long", now="long long")
cpdef bint pass_by(Segment segment, Side this, Side other) except -1
cpdef settle(Flow flow)
cpdef bint calm(Side side) except -1
cpdef bint repairing(Side side) except -1

@cython.locals(flow=Flow, flags="int", late_option="bint")
cpdef observe(Segment segment, Side this, Side other, long long signs)
@cython.locals(since="long long")
cpdef long long waited(Segment segment, Side this, Side other) except -1
@cython.locals(data="bytes", ip_at="Py_ssize_t", addresses="unsigned long long",
               header="unsigned long long", pseudo="unsigned long long")
cpdef long long check_sums(Segment segment, Side this, bint verify) except -1
@cython.locals(error="long long")
cpdef long long doubtful_ip_sum(Segment segment, Side this) except -1
cpdef bint same_before(long long error, long long mine, long long times, long long theirs, long long their_times) except -1
cpdef long long doubtful_sum(Segment segment, Side this) except -1
cpdef bint rewritten(Segment segment, Side this, Side other, long long error) except -1
cpdef long long partial_error(Segment segment) except -1
@cython.locals(before=Damaged, last=Damaged)
cpdef bint altered(Segment segment, Side this, Side other) except -1
@cython.locals(signs="long long")
cpdef long long path(Segment segment, Side this) except -1
cpdef bint odd_syn(Segment segment) except -1
@cython.locals(data="bytes", at="Py_ssize_t", stop="Py_ssize_t", number="long long", kind="int")
cpdef long long layout(Segment segment) except? -1
cpdef long long handshake(Segment segment, Side this, Side other) except -1
cpdef bint comes_late(Segment segment, Side this) except -1
@cython.locals(signs="long long", ack="long long", length="long long", pure="bint", beyond="long long", known="bint")
cpdef long long acknowledgement(Segment segment, Side this, Side other) except -1
@cython.locals(damaged=Damaged)
cpdef bint accepts_damage(long long ack, Side other) except -1
@cython.locals(block=Block)
cpdef bint inside(long long number, tuple blocks) except -1
@cython.locals(hole=Hole)
cpdef bint seen_well(Damaged damaged, Side side) except -1
@cython.locals(signs="long long", known="bint", count="int", number="int", left="long long", right="long long")
cpdef long long selective(Segment segment, Side this, Side other) except -1
@cython.locals(block=Block)
cpdef bint covered(Side side, long long left, long long right) except -1
@cython.locals(signs="long long", scale="int", edge="long long")
cpdef long long window(Segment segment, Side this, Side other, bint pure) except -1
@cython.locals(now="long long")
cpdef long long answer(Segment segment, Side this, Side other, bint pure) except -1
cpdef bint goes_on(Segment segment, Side this) except -1
@cython.locals(damaged=Damaged)
cpdef long long repaired(Segment segment, Side this) except -1

@cython.locals(flow=Flow)
cpdef apply(Segment segment, Side this, Side other)
cpdef remember_path(Segment segment, Side this)
@cython.locals(newer="long long", step="int")
cpdef remember_marks(Segment segment, Side this)
cpdef apply_reset(Segment segment, Side this, Side other)
@cython.locals(flow=Flow)
cpdef apply_syn(Segment segment, Side this, Side other)
@cython.locals(flow=Flow)
cpdef note_late_syn(Segment segment, Side this, Side other)
cpdef take_offer(Segment segment, Side this)
cpdef begin_side(Segment segment, Side this)
@cython.locals(length="long long", order="int", end="long long", new="long long")
cpdef apply_data(Segment segment, Side this, Side other)
@cython.locals(sent=Sent, length="Py_ssize_t", octets="const unsigned char *")
cpdef Sent record(Segment segment, Side this, long long end)
cpdef remember(Segment segment, Side this, long long end)
@cython.locals(sent=Sent)
cpdef forget(Side this, Py_ssize_t count)
cpdef let_data_go(Side this, Sent sent)
cpdef note_trigger(Segment segment, Side this)
cpdef note_full(Segment segment, Side this, Side other, long long length)
@cython.locals(sent=Sent, end="long long", place="Py_ssize_t")
cpdef resend(Segment segment, Side this)
@cython.locals(hole=Hole, sent=Sent, left="long long", right="long long", place="Py_ssize_t", inside="long long")
cpdef fill(Segment segment, Side this)
@cython.locals(now="long long", hole=Hole)
cpdef apply_ack(Segment segment, Side this, Side other)
cpdef apply_answers(Side this, Side other, long long now)
@cython.locals(now="long long", rtt="long long", ack="long long", newest=Sent, sent=Sent, done="Py_ssize_t", count="Py_ssize_t", again="bint")
cpdef advance_una(Segment segment, Side this, Side other)
@cython.locals(alone="bint", small="long long")
cpdef note_slow(Segment segment, Side this, Side other, long long rtt, Py_ssize_t done)
cpdef end_round(Side side)
@cython.locals(place="Py_ssize_t", sent=Sent)
cpdef release(Side side, Py_ssize_t done)
cpdef reached(Sent sent, Side side, long long now)
@cython.locals(early="bint")
cpdef note_undo(Segment segment, Side side)
cpdef judge_need(Segment segment, Sent sent, Side side)
@cython.locals(sent=Sent, left="long long", right="long long")
cpdef hear_dsack(Segment segment, Side other)
@cython.locals(left="long long", right="long long", number="int")
cpdef score(Segment segment, Side this, Side other)
@cython.locals(fresh="long long", kept="list", block=Block)
cpdef merge(Side other, long long left, long long right, long long now)
@cython.locals(block=Block)
cpdef bint alone(Side side, Block grown, long long right) except -1
@cython.locals(sent=Sent, low="Py_ssize_t", high="Py_ssize_t", middle="Py_ssize_t", place="Py_ssize_t")
cpdef mark(Side side, long long left, long long right, long long fresh, long long now)
@cython.locals(block=Block)
cpdef tuple above_only(tuple blocks, long long ack)
@cython.locals(older="bint", scale="int", edge="long long", moved="long long")
cpdef apply_window(Segment segment, Side this, Side other)
