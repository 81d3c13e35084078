# Widths for the compiled build; pace.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef Hit idle(Segment segment, Side this, Side other)
cpdef Hit rtt_spike(Segment segment, Side this, Side other)
cpdef Hit delayed_ack_stall(Segment segment, Side this, Side other)
cpdef Hit window_limited(Segment segment, Side this, Side other)
cpdef Hit bufferbloat(Segment segment, Side this, Side other)
