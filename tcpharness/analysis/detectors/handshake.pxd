# Widths for the compiled build; handshake.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef Hit handshake(Segment segment, Side this, Side other)
cpdef Hit syn_retransmission(Segment segment, Side this, Side other)
cpdef Hit synack_retransmission(Segment segment, Side this, Side other)
cpdef Hit connection_refused(Segment segment, Side this, Side other)
cpdef Hit connection_unanswered(Segment segment, Side this, Side other)
cpdef Hit half_open(Segment segment, Side this, Side other)
cpdef Hit simultaneous_open(Segment segment, Side this, Side other)
cpdef Hit port_reused(Segment segment, Side this, Side other)
cpdef Hit syn_in_established(Segment segment, Side this, Side other)
cpdef Hit slow_handshake(Segment segment, Side this, Side other)
cpdef Hit mss_missing(Segment segment, Side this, Side other)
cpdef Hit wscale_missing(Segment segment, Side this, Side other)
cpdef Hit sack_missing(Segment segment, Side this, Side other)
cpdef Hit timestamps_missing(Segment segment, Side this, Side other)
