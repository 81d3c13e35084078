# Widths for the compiled build; vantage.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef Hit one_sided(Segment segment, Side this, Side other)
cpdef Hit wrong_direction_order(Segment segment, Side this, Side other)
cpdef Hit synack_unsolicited(Segment segment, Side this, Side other)
cpdef Hit out_of_order_capture_timestamps(Segment segment, Side this, Side other)
