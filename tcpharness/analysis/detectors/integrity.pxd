# Widths for the compiled build.
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment

cpdef object bad_tcp_checksum(Segment segment, Side this, Side other)
cpdef object bad_ip_checksum(Segment segment, Side this, Side other)
cpdef object checksum_offload(Segment segment, Side this, Side other)
cpdef object corrupted_then_retransmitted(Segment segment, Side this, Side other)
cpdef object impossible_flags(Segment segment, Side this, Side other)
cpdef object malformed(Segment segment, Side this, Side other)
cpdef object overlap_conflict(Segment segment, Side this, Side other)
cpdef object land(Segment segment, Side this, Side other)
