# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object handshake(Segment segment, Side this, Side other)
cpdef object syn_retransmission(Segment segment, Side this, Side other)
cpdef object synack_retransmission(Segment segment, Side this, Side other)
cpdef object connection_refused(Segment segment, Side this, Side other)
cpdef object connection_unanswered(Segment segment, Side this, Side other)
cpdef object half_open(Segment segment, Side this, Side other)
cpdef object simultaneous_open(Segment segment, Side this, Side other)
cpdef object port_reused(Segment segment, Side this, Side other)
cpdef object syn_in_established(Segment segment, Side this, Side other)
cpdef object slow_handshake(Segment segment, Side this, Side other)
cpdef object mss_missing(Segment segment, Side this, Side other)
cpdef object wscale_missing(Segment segment, Side this, Side other)
cpdef object sack_missing(Segment segment, Side this, Side other)
cpdef object timestamps_missing(Segment segment, Side this, Side other)
