# Widths for the compiled build; segment.py is the text, and runs as it is.
cimport cython

cdef long long SEQ_HALF, MASK
cdef bint COMPILED
cdef int ETHERNET, SLL, RAW_IP, TCP_HEADER_LEN

cdef class Segment:
    cdef public long long time_ns, wire_len, cap_len, frame
    cdef public bytes data
    cdef public Py_ssize_t at, mac_at, ip_at, src_at, tcp_at, payload_at, end, sack_at
    cdef public int ethertype, version, ip_header_len, ttl, tos, frag_offset, pieces, proto, ip_cksum
    cdef public long long id, ip_len, tcp_len, payload_len
    cdef public long long src_high, src_low, dst_high, dst_low
    cdef public bint df, mf, is_tcp, whole, sack_ok, odd, bare
    cdef public tuple vlans
    cdef public str kind, tunnel, malformed
    cdef public int sport, dport, flags, win, cksum, urg, offset, reserved
    cdef public long long seq, next_seq, ack, tsval, tsecr
    cdef public int mss, wscale, sack_count
    cpdef clear(self)
    cpdef forget_options(self)
    cpdef long long sack_left(self, int number) except? -1
    cpdef long long sack_right(self, int number) except? -1


cpdef long long seq_add(long long seq, long long count) noexcept
cpdef long long seq_diff(long long a, long long b) noexcept
cpdef bint seq_lt(long long a, long long b) noexcept
cpdef bint seq_le(long long a, long long b) noexcept

@cython.locals(ip_at="Py_ssize_t", ethertype="int", octets="const unsigned char *")
cpdef read_frame(Segment segment, bytes data, Py_ssize_t at, Py_ssize_t stop, int linktype)

@cython.locals(length="int", fragment="int", tos="int", ttl="int", proto="int", number="int", cksum="int",
               src="long long", dst="long long", octets="const unsigned char *", high="long long", low="long long")
cpdef bint read_plain_ipv4(Segment segment, bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(length="int")
cpdef bint read_plain_ipv6(Segment segment, bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(high="long long")
cpdef long long eight_bytes(bytes data, Py_ssize_t at) except? -1

@cython.locals(data="bytes", at="Py_ssize_t", end="Py_ssize_t", high="long long", low="long long", words="int",
               header_len="int", flags="int", payload_at="Py_ssize_t", octets="const unsigned char *")
cpdef read_tcp(Segment segment)

@cython.locals(data="bytes", stop="Py_ssize_t", kind="int", length="int")
cpdef take_options(Segment segment, Py_ssize_t at, bint cut)

cpdef take_option(Segment segment, bytes data, int kind, int length, Py_ssize_t at)

@cython.locals(high="long long", low="long long", octets="const unsigned char *")
cpdef long long four_bytes(bytes data, Py_ssize_t at) except? -1
