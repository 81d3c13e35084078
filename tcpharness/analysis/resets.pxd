from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef judge_reset(Segment segment, Side this, Side other)
cpdef str classify(Segment segment, Side this, Side other)
