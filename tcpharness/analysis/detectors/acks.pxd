# Widths for the compiled build; acks.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef Hit duplicate_ack(Segment segment, Side this, Side other)
cpdef Hit partial_ack(Segment segment, Side this, Side other)
cpdef Hit sack(Segment segment, Side this, Side other)
cpdef Hit dsack(Segment segment, Side this, Side other)
cpdef Hit ack_of_unseen(Segment segment, Side this, Side other)
