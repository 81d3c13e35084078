# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object retransmission(Segment segment, Side this, Side other)
cpdef object spurious_retransmission(Segment segment, Side this, Side other)
cpdef object out_of_order(Segment segment, Side this, Side other)
cpdef object gap(Segment segment, Side this, Side other)
cpdef object out_of_window_data(Segment segment, Side this, Side other)
cpdef object duplicate_ack(Segment segment, Side this, Side other)
cpdef object dsack(Segment segment, Side this, Side other)
cpdef object duplicate_frame(Segment segment, Side this, Side other)
cpdef object ack_of_unseen(Segment segment, Side this, Side other)
cpdef object rto_backoff(Segment segment, Side this, Side other)
cpdef object spurious_timeout(Segment segment, Side this, Side other)
cpdef object timed_out(Segment segment, Side this, Side other)
