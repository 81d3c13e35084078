# Widths for the compiled build; window.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef Hit zero_window(Segment segment, Side this, Side other)
cpdef Hit zero_window_probe(Segment segment, Side this, Side other)
cpdef Hit zero_window_probe_ack(Segment segment, Side this, Side other)
cpdef Hit window_full(Segment segment, Side this, Side other)
cpdef Hit window_update(Segment segment, Side this, Side other)
cpdef Hit window_shrunk(Segment segment, Side this, Side other)
cpdef Hit receiver_stall(Segment segment, Side this, Side other)
cpdef Hit window_update_lost(Segment segment, Side this, Side other)
cpdef Hit silly_window(Segment segment, Side this, Side other)
