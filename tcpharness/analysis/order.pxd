cimport cython

from tcpharness.analysis.records cimport Block, Hole, Sent
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cdef long long MS, COPY_NS, COPY_WITHOUT_ID_NS, MOST_IDS_BACK, WINDOW_JUST_OPENED_NS, KEEP_ALIVE_IDLE_NS, SHORTEST_TIMER_NS
cdef long long SCHEDULING_NS, AT_ONCE_NS, CLOCK_NS
cdef long long UNKNOWN_RTT_NS, REORDERING_TIMER_NS, LONGEST_PROBE_NS, OUTSIDE_SLACK
cdef long long S_PROBE, S_CONFLICT, S_COPY, S_AGAIN, S_NEEDLESS, S_LATE, S_AHEAD, S_OUTSIDE, S_OLD_ACK
cdef int NEXT, COPY, AGAIN, NEEDLESS, LATE, AHEAD, OUTSIDE, KEEP_ALIVE, WINDOW_PROBE, OLD, FIN, RST, SYN

@cython.locals(ahead="long long")
cpdef long long look(Segment segment, Side this, Side other) except -1
@cython.locals(closed="bint", from_una="long long")
cpdef bint probes_window(Segment segment, Side this, Side other, long long ahead) except -1
@cython.locals(idle="long long")
cpdef bint probes_peer(Segment segment, Side this, long long ahead) except -1
@cython.locals(known="bint", beyond="long long")
cpdef long long look_ahead(Segment segment, Side this, Side other) except -1
@cython.locals(records="list", last_ns="long long", first=Sent, hole=Hole, candidate=Hole, acked="bint",
               since="long long", found="long long")
cpdef long long look_back(Segment segment, Side this) except -1
@cython.locals(found="list", sent=Sent)
cpdef list overlapping(Segment segment, Side this)
@cython.locals(sent=Sent, other=Side, gap="long long", early="bint")
cpdef bint is_copy(Segment segment, Side this, list records) except -1
@cython.locals(back="long long")
cpdef bint is_late_copy(Segment segment, Side this) except -1
@cython.locals(recent="bint")
cpdef bint is_newest_again(Segment segment, Side this) except -1
cpdef bint is_copy_of_ack(Segment segment, Side this, Side other) except -1
@cython.locals(gap="long long")
cpdef bint is_copy_of_reset(Segment segment, Side this, Side other) except -1
cpdef bint answers_syn(Side this, Side other, Sent sent) except -1
cpdef long long limit_of_copies(Segment segment, Side this) except -1
@cython.locals(age="long long", late="bint")
cpdef bint captured_late(Segment segment, Side this, Hole hole) except -1
cpdef bint repeat_came_first(Segment segment, Side this, Sent sent) except -1
@cython.locals(block=Block)
cpdef bint above(Segment segment, Side this) except -1
@cython.locals(block=Block)
cpdef bint all_sacked(Segment segment, Side this) except -1
@cython.locals(sent=Sent)
cpdef bint conflicts(Segment segment, list records) except -1
@cython.locals(now="long long", prompt="bint", asked="bint")
cpdef str trigger(Segment segment, Side this)
cpdef bint just_asked(Segment segment, Side this) except -1
@cython.locals(away="long long")
cpdef bint answers_ack(Segment segment, Side this) except -1
cpdef bint reported(Segment segment, Side this) except -1
@cython.locals(sent=Sent)
cpdef bint lost_again(Side this) except -1
@cython.locals(sent=Sent, now="long long", trip="long long", away="long long", waited="long long",
               answer="long long")
cpdef bint timer_ran_out(Segment segment, Side this) except -1
