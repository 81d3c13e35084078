# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object fragment(Segment segment, Side this, Side other)
cpdef object ttl_change(Segment segment, Side this, Side other)
cpdef object ecn_ce(Segment segment, Side this, Side other)
cpdef object truncated(Segment segment, Side this, Side other)
cpdef object super_packet(Segment segment, Side this, Side other)
cpdef object mid_stream(Segment segment, Side this, Side other)
cpdef object tunnelled(Segment segment, Side this, Side other)
cpdef object capture_drops(Segment segment, Side this, Side other)
