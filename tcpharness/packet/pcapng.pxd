cdef class Interface:
    cdef public int linktype
    cdef public long long snaplen, dropped, unit_ns, offset_ns
    cdef public object units_per_second
    cpdef time_ns(self, long long high, long long low)

cdef class Section:
    cdef public bint big
    cdef public str order
    cdef public object lost
    cdef public list interfaces
    cpdef Interface interface(self, long long number, long long at)
