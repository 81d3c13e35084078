cimport cython

@cython.final
cdef class Interface:
    cdef public int linktype
    cdef public long long snaplen, dropped, unit_ns, offset_ns, most_high
    cdef public object units_per_second
    # Of any length: before it is divided, a time may need far more than 64 bits.
    cpdef time_ns(self, high, low)

@cython.final
cdef class Section:
    cdef public bint big
    cdef public str order
    cdef public object dropped
    cdef public list interfaces
    cpdef drops(self, Interface interface, total)
    cpdef Interface interface(self, long long number, long long at)

cpdef check_closing(long long length, long long closing, long long at)
