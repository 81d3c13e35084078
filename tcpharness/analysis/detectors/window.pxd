# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object zero_window(Segment segment, Side this, Side other)
cpdef object zero_window_probe(Segment segment, Side this, Side other)
cpdef object zero_window_probe_ack(Segment segment, Side this, Side other)
cpdef object window_full(Segment segment, Side this, Side other)
cpdef object window_update(Segment segment, Side this, Side other)
cpdef object window_shrunk(Segment segment, Side this, Side other)
cpdef object receiver_stall(Segment segment, Side this, Side other)
cpdef object silly_window(Segment segment, Side this, Side other)
