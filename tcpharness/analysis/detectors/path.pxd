# Widths for the compiled build; path.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef Hit fragment(Segment segment, Side this, Side other)
cpdef Hit ttl_change(Segment segment, Side this, Side other)
cpdef Hit dscp_change(Segment segment, Side this, Side other)
cpdef Hit ecn_ce(Segment segment, Side this, Side other)
cpdef Hit truncated(Segment segment, Side this, Side other)
cpdef Hit super_packet(Segment segment, Side this, Side other)
cpdef Hit mid_stream(Segment segment, Side this, Side other)
cpdef Hit tunnelled(Segment segment, Side this, Side other)
cpdef Hit capture_drops(Segment segment, Side this, Side other)
