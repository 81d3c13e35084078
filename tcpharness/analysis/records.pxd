# Widths for the compiled build; records.py is the text, and runs as it is.
cimport cython

from tcpharness.packet.segment cimport Segment, seq_diff

@cython.final
cdef class Sent:
    cdef public unsigned int seq, end
    cdef public long long first_ns, last_ns, acked_ns, tsval, first_tsval
    cdef public int count, id
    cdef public unsigned short flags, sum, first_sum
    cdef public char sacked
    cdef public bytes data
    cdef public object finding
    cpdef take(self, Segment segment, long long end)
    cpdef sent_again(self, Segment segment)

@cython.final
cdef class Hole:
    cdef public long long seq, end, since_ns, frame, id, tsval, tsecr
    cdef public bint told
    cpdef int older(self, Segment segment)

@cython.final
cdef class Block:
    cdef public long long left, right

@cython.final
cdef class Damaged:
    cdef public long long seq, end, frame, time_ns
    cdef public object finding
