# Widths for the compiled build; liveness.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef Hit keep_alive(Segment segment, Side this, Side other)
cpdef Hit keep_alive_unanswered(Segment segment, Side this, Side other)
cpdef Hit keep_alive_ack(Segment segment, Side this, Side other)
