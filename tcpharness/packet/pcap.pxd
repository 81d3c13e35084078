cimport cython

from tcpharness.packet.pcapng cimport Interface, Section, check_closing
from tcpharness.packet.source cimport Source

cdef long long MOST_FRAME_LEN, MOST_BLOCK_LEN
cdef int RECORD_HEADER_LEN, PACKET
cdef bint COMPILED

@cython.final
cdef class Reader:
    cdef public object file
    cdef public list problems
    cdef public object drops
    cdef public str format
    cdef public bint ended, big
    cdef public Source source
    cdef public Section section
    cdef public int scale, padded, linktype
    cdef public bytes data
    cdef public Py_ssize_t data_at
    cdef public long long cap_len, wire_len, time_ns, interface

    cpdef bint advance(self) except -1
    cpdef bint next_frame(self) except -1
    @cython.locals(source=Source, data="bytes", octets="const unsigned char *", at="Py_ssize_t", size="Py_ssize_t",
                   have="Py_ssize_t", high="long long", low="long long", seconds="long long", fraction="long long", cap_len="long long", wire_len="long long")
    cpdef bint next_record(self) except -1
    @cython.locals(source=Source, section=Section, data="bytes", at="Py_ssize_t", kind="long long",
                   length="long long", big="bint")
    cpdef bint next_block(self) except -1
    @cython.locals(source=Source, interface=Interface, data="bytes", at="Py_ssize_t", end="Py_ssize_t", number="long long",
                   high="long long", low="long long", cap_len="long long", wire_len="long long")
    cpdef packet_block(self, Section section, bint big, long long length)

@cython.locals(high="long long", low="long long")
cpdef long long four_little(bytes data, Py_ssize_t at) except? -1
@cython.locals(high="long long", low="long long")
cpdef long long four_big(bytes data, Py_ssize_t at) except? -1
