cimport cython

cdef bint COMPILED

@cython.locals(octets="const unsigned char *", even="unsigned int", odd="unsigned int", total="long long",
               i="Py_ssize_t")
cpdef long long sum16(bytes data, Py_ssize_t at, Py_ssize_t end) except -1
