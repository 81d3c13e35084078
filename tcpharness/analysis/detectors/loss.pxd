# Widths for the compiled build; loss.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef Hit retransmission(Segment segment, Side this, Side other)
cpdef Hit spurious_retransmission(Segment segment, Side this, Side other)
cpdef Hit out_of_order(Segment segment, Side this, Side other)
cpdef Hit gap(Segment segment, Side this, Side other)
cpdef Hit out_of_window_data(Segment segment, Side this, Side other)
cpdef Hit duplicate_frame(Segment segment, Side this, Side other)
cpdef Hit rto_backoff(Segment segment, Side this, Side other)
cpdef Hit spurious_timeout(Segment segment, Side this, Side other)
cpdef Hit timed_out(Segment segment, Side this, Side other)
cpdef bint may_be_probe(Segment segment, Side this) except -1
cpdef Hit repeated(Segment segment, Side this, str text, str needed)
