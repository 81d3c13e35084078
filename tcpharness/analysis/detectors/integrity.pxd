# Widths for the compiled build; integrity.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef Hit bad_tcp_checksum(Segment segment, Side this, Side other)
cpdef Hit bad_ip_checksum(Segment segment, Side this, Side other)
cpdef Hit checksum_offload(Segment segment, Side this, Side other)
cpdef Hit checksum_bad_but_accepted(Segment segment, Side this, Side other)
cpdef Hit corrupted_then_retransmitted(Segment segment, Side this, Side other)
cpdef Hit impossible_flags(Segment segment, Side this, Side other)
cpdef Hit malformed(Segment segment, Side this, Side other)
cpdef Hit overlap_conflict(Segment segment, Side this, Side other)
cpdef Hit land(Segment segment, Side this, Side other)
