# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object keep_alive(Segment segment, Side this, Side other)
cpdef object keep_alive_ack(Segment segment, Side this, Side other)
