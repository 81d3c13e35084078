# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object fin_close(Segment segment, Side this, Side other)
cpdef object reset(Segment segment, Side this, Side other)
cpdef object injected_reset(Segment segment, Side this, Side other)
cpdef object reset_out_of_window(Segment segment, Side this, Side other)
cpdef object challenge_ack(Segment segment, Side this, Side other)
cpdef object data_after_close(Segment segment, Side this, Side other)
cpdef object half_closed(Segment segment, Side this, Side other)
