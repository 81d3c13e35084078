cimport cython

@cython.final
cdef class Source:
    cdef public object file
    cdef public bytes ahead, buffer
    cdef public Py_ssize_t ahead_at, start
    cdef public long long base
    cpdef bint have(self, Py_ssize_t count) except -1
    cpdef skip(self, Py_ssize_t count)
    cpdef Py_ssize_t left(self)
    cpdef bint fill(self, Py_ssize_t count) except -1
